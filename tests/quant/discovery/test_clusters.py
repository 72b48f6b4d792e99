# SPDX-License-Identifier: Apache-2.0
"""Clusters: their number, their outliers, how far apart and how stable they are."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from icsort.errors import IcsortError
from icsort.quant.cells.on_disk import on_disk
from icsort.quant.discovery import clusters
from icsort.quant.discovery.clusters import (
    agreement,
    check_sizes,
    components,
    distances,
    divergence,
    k_means,
    pixels_baseline,
    silhouettes,
)


def blobs(seed: int, each: int = 60, apart: float = 12.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Four clusters at the corners of a square."""
    corners = apart * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    truth = np.repeat(np.arange(4), each)
    return np.random.default_rng(seed).normal(corners[truth]), truth


def test_the_silhouette_knows_how_many(seed: int) -> None:
    values, truth = blobs(seed)
    curve = silhouettes(values, 7, 3, 0)
    assert [entry["clusters"] for entry in curve] == [2, 3, 4, 5, 6, 7]
    assert max(curve, key=lambda entry: entry["silhouette"])["clusters"] == 4
    assert all(entry["low"] <= entry["silhouette"] <= entry["high"] for entry in curve)
    assert adjusted_rand_score(truth, k_means(values, 4, 1)) == 1
    with pytest.raises(IcsortError, match="too few for 9 clusters"):
        silhouettes(values[:10], 9, 3, 0)


def test_k_means_goes_on_from_centres(seed: int) -> None:
    values, truth = blobs(seed)
    centres = np.stack([values[truth == label].mean(axis=0) for label in (2, 0, 3, 1)])
    assert (np.array([2, 0, 3, 1])[k_means(values, 4, 0, centres)] == truth).all()


def test_clusters_of_many_cells_are_found_in_batches(
    seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As scikit-learn finds them of all at once; memory does not hold the features, which stay on disk."""
    values, truth = blobs(seed, each=5000)
    stored = on_disk((len(truth), 40), np.float64, tmp_path, "features")
    stored[:, ::20] = values
    whole = k_means(stored, 4, 1)
    by_mean = PCA(2).fit_transform(stored)
    monkeypatch.setattr(clusters, "LARGE", 1000)
    monkeypatch.setattr(clusters, "PORTION", 512)
    tracemalloc.start()
    try:
        batched = k_means(stored, 4, 1)
        found = components(stored, 2, 1, tmp_path)
        far = distances(stored, batched)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < stored.nbytes / 3
    assert adjusted_rand_score(whole, batched) == adjusted_rand_score(truth, batched) == 1
    assert np.abs(np.abs(np.sum(found * by_mean, axis=0) / np.sum(by_mean**2, axis=0)) - 1).max() < 1e-6
    assert not list(tmp_path.iterdir())
    for label in range(4):
        members = stored[batched == label]
        spread = np.sqrt(cdist(members, members.mean(axis=0, keepdims=True), "sqeuclidean").mean())
        own = cdist(members, members.mean(axis=0, keepdims=True))[:, 0] / spread
        assert far[batched == label] == pytest.approx(own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "PORTION", len(stored))
        assert distances(stored, batched) == pytest.approx(far)


def test_what_lies_far_from_all_is_far(seed: int) -> None:
    values, truth = blobs(seed)
    values[5], values[100] = [6, 40], [-30, 5]
    far = distances(values, truth)
    assert set(np.argsort(-far)[:2]) == {5, 100}
    assert np.allclose(far, distances(values * 3, truth))  # a matter of the cluster's own width


def test_divergence_against_entropies(seed: int) -> None:
    """Of two sets that share every bin: the entropy of the mixture less the mean entropy."""
    random = np.random.default_rng(seed)
    values = random.normal(size=4000)
    one = random.random(4000) < 1 / (1 + np.exp(-2 * values))
    edges = np.quantile(values, np.linspace(0, 1, 21))
    shares = [np.histogram(values[chosen], edges)[0] / chosen.sum() for chosen in (one, ~one)]
    expected = entropy(np.mean(shares, axis=0), base=2) - np.mean([entropy(share, base=2) for share in shares])
    assert divergence(values, one, ~one) == pytest.approx(expected, abs=2e-3)
    half = np.arange(4000) % 2 == 0
    assert divergence(np.where(half, values + 100, values), half, ~half) == pytest.approx(1, abs=1e-9)
    assert divergence(np.ones(4000), one, ~one) == 0


def test_agreement_of_renamed_clusters_is_one(seed: int) -> None:
    truth = blobs(seed)[1]
    other = np.random.default_rng(seed).permutation(truth)
    rand = agreement([truth, 3 - truth, other])
    assert rand[0, 1] == 1
    assert rand[0, 2] == pytest.approx(adjusted_rand_score(truth, other))
    assert (rand == rand.T).all()


def test_clusters_too_small_to_learn() -> None:
    labels = np.repeat([0, 1], [50, 9])
    with pytest.raises(IcsortError, match="has 9 of the 59 cells"):
        check_sizes(labels, 2)
    with pytest.raises(IcsortError, match="has 0 of the 59 cells"):
        check_sizes(labels, 3)
    check_sizes(np.repeat([0, 1], 10), 2)


def test_the_baseline_sees_pixels(seed: int) -> None:
    truth = np.repeat([0, 1], 40)
    pixels = np.random.default_rng(seed).integers(0, 50, (80, 8, 8, 2)).astype(np.uint16)
    pixels[truth == 1, 2:6] += 100
    assert adjusted_rand_score(truth, pixels_baseline(pixels, 2, 0)) == 1
