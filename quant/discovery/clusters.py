# SPDX-License-Identifier: Apache-2.0
"""Clusters of cells: how many, which cells lie far from all, how much they differ, how stable they are.

k-means, components, silhouette and adjusted Rand index are scikit-learn's, the Jensen-Shannon divergence is SciPy's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import t
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from icsort.errors import IcsortError
from icsort.quant.cells.on_disk import on_disk
from icsort.quant.cells.splits import MIN_CELLS_PER_CLASS
from icsort.quant.evaluation.intervals import CONFIDENCE

LARGE = 50_000  # cells above which clusters and components are found in batches, not in memory
PORTION = 8192  # cells of such a batch, and of what is read of features on disk at once
STARTS = 4  # of k-means; the tightest clusters are taken
SILHOUETTE_CELLS = 1000  # of a repeat, at most
BINS = 20  # of a feature's distribution, of equally many cells each
COMPONENTS = 20  # of the pixels, for the baseline
Values = NDArray[np.floating]
Labels = NDArray[np.int64]


def k_means(values: Values, clusters: int, seed: int, centres: Values | None = None) -> Labels:
    """Clusters (N,) of cells by their features (N, F), each with cells. centres: (clusters, F) to begin at.

    Of more than LARGE cells by mini-batches (Sculley 2010), so that features may stay on disk.
    """
    starts: dict[str, Any] = {"n_init": STARTS} if centres is None else {"n_init": 1, "init": centres}
    if len(values) > LARGE:
        found = MiniBatchKMeans(clusters, random_state=seed, batch_size=PORTION, **starts)
    else:
        found = KMeans(clusters, random_state=seed, **starts)
    return np.asarray(found.fit_predict(values), np.int64)


def components(values: Values, count: int, seed: int, folder: Path | None = None) -> NDArray[np.float64]:
    """At most `count` principal components of features (N, F), (N, count); of more than LARGE cells by batches (Ross et
    al. 2008), and in a file of the folder."""
    count = min(count, *values.shape)
    if len(values) <= LARGE:
        return np.asarray(PCA(count, random_state=seed).fit_transform(values), np.float64)
    found = IncrementalPCA(count)
    for part in portions(len(values)):
        if part.stop - part.start >= count:  # fewer than components are no batch
            found.partial_fit(values[part])
    placed = on_disk((len(values), count), np.float64, folder, "the cells' features")
    for part in portions(len(values)):
        placed[part] = found.transform(values[part])
    return placed


def portions(count: int) -> Iterator[slice]:
    """PORTION after PORTION of so many cells."""
    return (slice(begin, min(begin + PORTION, count)) for begin in range(0, count, PORTION))


def check_sizes(labels: Labels, clusters: int) -> None:
    """Raise IcsortError where a cluster has too few cells to be learned and tested."""
    smallest = int(np.bincount(labels, minlength=clusters).min())
    if smallest < MIN_CELLS_PER_CLASS:
        raise IcsortError(
            f"a cluster has {smallest} of the {len(labels)} cells, and at least {MIN_CELLS_PER_CLASS} are needed to "
            "learn and test it; give fewer --clusters, or more cells"
        )


def silhouettes(values: Values, most: int, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Mean silhouette of 2 to `most` clusters over `repeats` (at least 2) draws of the cells, with its 95 % interval.

    Each repeat draws four fifths of the cells, at most SILHOUETTE_CELLS, clusters them anew and scores them. Entries:
    clusters, silhouette, low, high (Student's interval of the mean). Raises IcsortError for fewer cells than clusters.
    """
    cells = min(SILHOUETTE_CELLS, len(values) * 4 // 5)
    if cells <= most:
        raise IcsortError(f"{len(values)} cells are too few for {most} clusters; give more cells or fewer clusters")
    random = np.random.default_rng(seed)
    draws = [random.permutation(len(values))[:cells] for _ in range(repeats)]
    curve = []
    for clusters in range(2, most + 1):
        scores = [
            silhouette_score(values[chosen], k_means(values[chosen], clusters, seed + repeat))
            for repeat, chosen in enumerate(draws)
        ]
        mean = float(np.mean(scores))
        half = float(t.ppf((1 + CONFIDENCE) / 2, repeats - 1) * np.std(scores, ddof=1) / np.sqrt(repeats))
        curve.append({"clusters": clusters, "silhouette": mean, "low": mean - half, "high": mean + half})
    return curve


def distances(values: Values, labels: Labels) -> NDArray[np.float64]:
    """Of each cell (N,), the distance from the nearest cluster's centre over that cluster's own root mean square."""
    clusters = np.unique(labels)
    cells = np.asarray([(labels == cluster).sum() for cluster in clusters])
    sums, squares = np.zeros((len(clusters), values.shape[1])), np.zeros(len(clusters))
    for part in portions(len(values)):
        for index, cluster in enumerate(clusters):
            sums[index] += values[part][labels[part] == cluster].sum(axis=0)
    centres = sums / cells[:, np.newaxis]
    for part in portions(len(values)):
        for index, cluster in enumerate(clusters):
            squares[index] += ((values[part][labels[part] == cluster] - centres[index]) ** 2).sum()
    spreads = np.maximum(np.sqrt(squares / cells), 1e-12)
    nearest = np.empty(len(values))
    for part in portions(len(values)):
        apart = [np.linalg.norm(values[part] - centre, axis=1) for centre in centres]
        nearest[part] = (np.asarray(apart) / spreads[:, np.newaxis]).min(axis=0)
    return nearest


def divergence(values: Values, one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Jensen-Shannon divergence, in bits (0 alike, 1 apart), of a feature (N,) in two sets of cells.

    Both are counted in bins that hold equally many of all N cells.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    bins = np.searchsorted(edges[1:-1], values, "right")
    counts = [np.bincount(bins[chosen], minlength=BINS) for chosen in (one, other)]
    distance = float(jensenshannon(*counts, base=2))
    return 0.0 if np.isnan(distance) else distance**2


def agreement(labellings: list[Labels]) -> NDArray[np.float64]:
    """Adjusted Rand index of each two of S labellings of the same cells, (S, S)."""
    return np.asarray([[adjusted_rand_score(one, other) for other in labellings] for one in labellings])


def pixels_baseline(pixels: NDArray[np.uint16], clusters: int, seed: int) -> Labels:
    """Clusters (N,) by k-means of the principal components of standardized pixels (N, ...), as anybody would try."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    spread = flat.std(axis=0)
    standard = (flat - flat.mean(axis=0)) / np.where(spread > 0, spread, 1)
    components = min(COMPONENTS, *standard.shape)
    return k_means(PCA(components, random_state=seed).fit_transform(standard), clusters, seed)
