# SPDX-License-Identifier: Apache-2.0
"""Cells of one frame assigned to those of the next: linear assignment with shadow objects, divisions, closed gaps.

After Jaqaman et al. 2008 (doi:10.1038/nmeth.1237) and Moen et al. 2019 (doi:10.1101/803205): every cell may also be
assigned to a shadow of itself, which is its death or, for a cell of the next frame, its birth; and every cell is there
twice, the second time to have a second child. What is still born is later offered to tracks that ended.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from icsort.quant.tracking.cells import Cells
from icsort.quant.tracking.cost import CHILD, SAME, Cost, Motion
from icsort.quant.tracking.pairs import Pairs, history, pairs, typical_step

SHADOW = 3.0  # what a birth or a death costs, in negative logarithms of probability
CLOSED = 0.5  # probability above which a track goes on behind missing frames
DIVIDED = 0.25  # probability of a division, of both children together, above which it is one
ROBUST = 0.2  # share of motion alone in the probabilities: a learned cost is sure also where it has never been
FORBIDDEN = 1e6
SURE = 1e-12  # least probability


def link(cells: Cells, cost: Cost, missing: int) -> NDArray[np.int64]:
    """The cell that each cell was, (N,): its index in the frame before, -1 for what is born. Two may be the same one's.

    missing: frames that a track may be away.
    """
    parent = np.full(len(cells), -1, np.int64)
    if not len(cells):
        return parent
    scale = cells.diameter, typical_step(cells)
    for frame in range(1, cells.frames):
        here, there = cells.at(frame - 1), cells.at(frame)
        candidates = pairs(cells, history(cells, parent, here), here, there, 1, scale)
        _assign(parent, candidates, _robust(cost, candidates))
        for gap in range(2, missing + 2):
            if frame >= gap:
                _close(cells, parent, cost, frame, gap, scale)
    return parent


def _robust(cost: Cost, candidates: Pairs) -> NDArray[np.float64]:
    learned, motion = (kind.probabilities(candidates.features) for kind in (cost, Motion()))
    return (1 - ROBUST) * learned + ROBUST * motion


def _assign(parent: NDArray[np.int64], candidates: Pairs, probabilities: NDArray[np.float64]) -> None:
    """Parents of the later cells of these pairs. A second child whose probability does not go with the first one's is
    born."""
    going_on = probabilities[:, SAME] + probabilities[:, CHILD]
    once, twice = _assigned(candidates.first, candidates.second, going_on, SHADOW, probabilities[:, CHILD])
    parent[candidates.second[once]] = candidates.first[once]
    other = dict(zip(candidates.first[once].tolist(), once.tolist(), strict=True))
    for pair in twice:
        before = int(candidates.first[pair])
        child = probabilities[[pair, other.get(before, pair)], CHILD]
        if before not in other or np.sqrt(child.prod()) > DIVIDED:
            parent[candidates.second[pair]] = before


def _close(
    cells: Cells, parent: NDArray[np.int64], cost: Cost, frame: int, gap: int, scale: tuple[float, float]
) -> None:
    ended = cells.at(frame - gap)
    ended = ended[~np.isin(ended, parent)]
    born = cells.at(frame)
    born = born[parent[born] < 0]
    candidates = pairs(cells, history(cells, parent, ended), ended, born, gap, scale)
    same = cost.probabilities(candidates.features)[:, SAME]
    taken, _ = _assigned(candidates.first, candidates.second, same, -np.log(CLOSED) / 2, np.zeros(len(same)))
    parent[candidates.second[taken]] = candidates.first[taken]


def _assigned(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    probability: NDArray[np.float64],
    shadow: float,
    again: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs that the cheapest assignment takes, and those that it takes as second ones of their first cell.

    probability, again (P,): of a pair, and of it as a second one. shadow: what a cell without a partner costs; a cell
    without a second one costs nothing.
    """
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    n, m = len(rows), len(columns)
    costs = np.full((2 * n + m, m + 2 * n), FORBIDDEN)  # cells, cells again, shadows of births; columns, shadows
    costs[row, column] = -np.log(np.maximum(probability, SURE))
    costs[n + row, column] = -np.log(np.maximum(again, SURE))
    costs[np.arange(n), m + np.arange(n)] = shadow
    costs[n + np.arange(n), m + n + np.arange(n)] = 0
    costs[2 * n + np.arange(m), np.arange(m)] = shadow
    costs[2 * n :, m:] = 0
    pair_of = np.full((n, m), -1)
    pair_of[row, column] = np.arange(len(first))
    left, right = linear_sum_assignment(costs)
    once, twice = (
        pair_of[left[chosen] % max(n, 1), right[chosen]]
        for chosen in ((left < n) & (right < m), (left >= n) & (left < 2 * n) & (right < m))
    )
    return once[once >= 0], twice[twice >= 0]
