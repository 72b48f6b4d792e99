# SPDX-License-Identifier: Apache-2.0
"""Cells in one line, as along a cell cycle: the slowest diffusion over their neighbourhoods, from a chosen root.

After Haghverdi et al. 2016 (doi:10.1038/nmeth.3971) and Eulenberg et al. 2017 (doi:10.1038/s41467-017-00623-3), who
order imaged cells so; the embedding is scikit-learn's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import kendalltau, rankdata, spearmanr
from sklearn.decomposition import PCA
from sklearn.manifold import SpectralEmbedding

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.discovery.features import CellFeatures

NEIGHBOURS = 15  # of a cell, between which it is a small step
COMPONENTS = 16  # of the features
FIRST = 0.1  # share of the cells, those of the least value, that are the root where it is a feature


@dataclass(frozen=True)
class Order:
    """place (N,), 0 at the root to 1, evenly over the cells; parts: sets of cells that no neighbourhood joins, of which
    one is a line; line (N,) the first principal component, turned alike, as the plain way."""

    place: NDArray[np.float64]
    line: NDArray[np.float64]
    parts: int


def order(values: NDArray[np.float64], root: NDArray[np.bool_], seed: int) -> Order:
    """The order of cells by their features (N, F), begun at the end where the cells of the root (N,) are."""
    components = PCA(min(COMPONENTS, *values.shape), random_state=seed).fit_transform(values)
    neighbours = min(NEIGHBOURS, len(values) - 1)
    embedding = SpectralEmbedding(1, n_neighbors=neighbours, random_state=seed)
    along = embedding.fit_transform(components)[:, 0]
    parts, _ = connected_components(embedding.affinity_matrix_, directed=False)
    return Order(_turned(along, root), _turned(components[:, 0], root), int(parts))


def _turned(along: NDArray[np.float64], root: NDArray[np.bool_]) -> NDArray[np.float64]:
    place: NDArray[np.float64] = (rankdata(along) - 1) / max(len(along) - 1, 1)
    return 1 - place if place[root].mean() > place[~root].mean() else place


def root_cells(name: str, cells: Dataset, features: CellFeatures) -> tuple[NDArray[np.bool_], str]:
    """The cells (N,) of a root and what it is: a group, a class of the data, or a feature, whose least values it is.

    Raises IcsortError for a name that is none of these, and for one that all cells have.
    """
    groups = [] if cells.groups is None else np.unique(cells.groups).tolist()
    if name in groups:
        assert cells.groups is not None
        chosen, kind = cells.groups == name, "group"
    elif name in cells.classes:
        chosen, kind = cells.labels == list(cells.classes).index(name), "class"
    elif name in features.names:
        values = features.descriptors[:, features.names.index(name)]
        chosen, kind = values <= np.quantile(values, FIRST), "feature"
    else:
        known = ", ".join([*groups, *(label for label in cells.classes if label), *features.names])
        raise IcsortError(f"--root {name}: is no group, class or feature of these cells; there are {known}")
    if chosen.all() or not chosen.any():
        which = "all cells are" if chosen.all() else "no cell is"
        raise IcsortError(
            f"--root {name}: {which} of it, so it gives no direction; give another group, class or feature"
        )
    return chosen, kind


def order_report(
    found: Order,
    root: tuple[str, str],
    cells: Dataset,
    features: CellFeatures,
    by: Sequence[str],
    phases: Sequence[str],
) -> dict[str, Any]:
    """What the order is worth: rank correlations with each feature, and with the known order of classes `phases`.

    root: name and kind. by: channels that the order was made from. Raises IcsortError for phases that are no classes.
    """
    correlations: list[dict[str, Any]] = [
        {"feature": name, "spearman": _spearman(found.place, values)}
        for name, values in zip(features.names, features.descriptors.T, strict=True)
    ]
    correlations.sort(key=lambda entry: -abs(entry["spearman"]))
    known = cells.labels >= 0
    return {
        "root": root[0],
        "root_is": root[1],
        "channels": list(by),
        "parts": found.parts,
        "features": correlations,
        "features_of_line": {
            name: _spearman(found.line, values)
            for name, values in zip(features.names, features.descriptors.T, strict=True)
        },
        "classes": [
            {"name": name, "cells": int(chosen.sum()), **_quartiles(found.place[chosen])}
            for label, name in enumerate(cells.classes)
            if (chosen := known & (cells.labels == label)).any()
        ],
        "phases": _phases(found, cells, features, phases) if phases else None,
    }


def _phases(found: Order, cells: Dataset, features: CellFeatures, phases: Sequence[str]) -> dict[str, Any]:
    unknown = [name for name in phases if name not in cells.classes]
    if unknown or len(set(phases)) < max(2, len(phases)):
        raise IcsortError(
            f"--phases {','.join(phases)}: give two classes of the data or more, each once, in their order; there are "
            f"{', '.join(cells.classes)}"
        )
    number = np.full(len(cells.classes), -1)
    number[[list(cells.classes).index(name) for name in phases]] = np.arange(len(phases))
    phase = np.where(cells.labels >= 0, number[cells.labels], -1)
    chosen = phase >= 0
    if len(np.unique(phase[chosen])) < 2:
        raise IcsortError(f"--phases {','.join(phases)}: the cells are of fewer than two of them; give more cells")
    kinds = {"this order": found.place, "first principal component": found.line}
    features_of = dict(zip(features.names, features.descriptors.T, strict=True))
    best = max(features_of, key=lambda name: abs(_spearman(features_of[name][chosen], phase[chosen])))
    kinds[f"{best} alone, the best feature"] = features_of[best]
    return {
        "order": list(phases),
        "cells": int(chosen.sum()),
        "by": [
            {
                "name": name,
                "spearman": _spearman(values[chosen], phase[chosen]),
                "kendall": float(kendalltau(values[chosen], phase[chosen]).statistic),
            }
            for name, values in kinds.items()
        ],
    }


def _spearman(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Of two that may be all alike: 0."""
    return 0.0 if np.ptp(one) == 0 or np.ptp(other) == 0 else float(spearmanr(one, other).statistic)


def _quartiles(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(("low", "median", "high"), np.quantile(values, [0.25, 0.5, 0.75]).tolist(), strict=True))
