# SPDX-License-Identifier: Apache-2.0
"""What laptrack makes of the same cells, with the cutoffs that suit them best: the tracker to be better than."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.quant.tracking.cells import Cells

CUTOFFS = (15, 30, 40, 60)  # pixels
DIVISION_CUTOFFS = (30, 40, 50, 60, 80)
MISSING = (0, 2)  # frames


def best_laptrack(
    cells: Cells, worth: Callable[[NDArray[np.int64]], float]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """The parents (N,) that are worth most of all that the cutoffs give, and these cutoffs.

    They are chosen by the truth, which nobody who tracks has: the comparison is in laptrack's favour. Needs laptrack
    (icsort[track]).
    """
    best: tuple[float, NDArray[np.int64], dict[str, int]] | None = None
    for cutoff, division, missing in itertools.product(CUTOFFS, DIVISION_CUTOFFS, MISSING):
        parent = laptrack(cells, cutoff, division, missing)
        value = worth(parent)
        if best is None or value > best[0]:
            best = value, parent, {"cutoff": cutoff, "division_cutoff": division, "missing": missing}
    assert best is not None
    return best[1], best[2]


def laptrack(cells: Cells, cutoff: float, division: float, missing: int = 0) -> NDArray[np.int64]:
    """Parents (N,) as of icsort.quant.tracking.assign.link. cutoff, division: pixels."""
    from laptrack import LapTrack

    options: dict[str, Any] = {
        "cutoff": cutoff**2,
        "splitting_cutoff": division**2,
        "gap_closing_cutoff": cutoff**2 if missing else False,
        "gap_closing_max_frame_count": missing,
    }
    tracker = LapTrack(**options)
    index = [cells.at(frame) for frame in range(cells.frames)]
    tree = tracker.predict([cells.position[there] for there in index])
    parent = np.full(len(cells), -1, np.int64)
    for (frame, cell), (other_frame, other) in tree.edges:
        earlier, later = sorted([(frame, cell), (other_frame, other)])
        parent[index[later[0]][later[1]]] = index[earlier[0]][earlier[1]]
    return parent
