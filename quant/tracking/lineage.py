# SPDX-License-Identifier: Apache-2.0
"""Who became whom: one number a cell, the index of the cell that it was; tracks and trees follow from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.tracking.cells import Cells


@dataclass(frozen=True)
class Tracks:
    """number (N,) int64: the track of each cell, from 1. table (K, 4) int64: of each track its number, first frame,
    last frame, parent track or 0.

    A track goes on through one frame after the other: it ends at a division, and before a frame in which its cell is
    missing, behind which another one with it as parent begins.
    """

    number: NDArray[np.int64]
    table: NDArray[np.int64]


def tracks(cells: Cells, parent: NDArray[np.int64]) -> Tracks:
    """The tracks of cells (N,) whose parents (N,) come before them."""
    children = np.bincount(parent[parent >= 0], minlength=len(cells))
    number = np.zeros(len(cells), np.int64)
    rows: list[list[int]] = []
    for cell, before in enumerate(parent):
        frame = int(cells.frame[cell])
        if before >= 0 and children[before] == 1 and cells.frame[before] == frame - 1:
            number[cell] = number[before]
            rows[number[cell] - 1][2] = frame
        else:
            rows.append([len(rows) + 1, frame, frame, int(number[before]) if before >= 0 else 0])
            number[cell] = len(rows)
    return Tracks(number, np.array(rows, np.int64).reshape(-1, 4))


def parents(cells: Cells, table: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """The parent of each cell (N,), of a table of tracks (K, 4) whose numbers are the masks' labels.

    Raises IcsortError, with `where` in front, for a table that does not belong to the masks.
    """
    index = {(int(label), int(frame)): i for i, (label, frame) in enumerate(zip(cells.label, cells.frame, strict=True))}
    rows = {int(row[0]): row for row in table}
    parent = np.full(len(cells), -1, np.int64)
    for (label, frame), cell in index.items():
        row = rows.get(label)
        if row is None or not row[1] <= frame <= row[2]:
            raise IcsortError(f"{where}: says nothing of cell {label} in frame {frame}; give the truth of this movie")
        if row[3] and frame == row[1]:
            if (before := rows.get(int(row[3]))) is None or before[2] >= frame:
                raise IcsortError(
                    f"{where}: track {label} has parent {row[3]}, which does not end before it; repair it"
                )
            parent[cell] = index.get((int(before[0]), int(before[2])), -1)
        elif frame > row[1]:
            past = (index.get((label, earlier), -1) for earlier in range(frame - 1, int(row[1]) - 1, -1))
            parent[cell] = next((i for i in past if i >= 0), -1)
    return parent


def thinned(
    cells: Cells, parent: NDArray[np.int64], step: int, begin: int = 0, end: int | None = None
) -> tuple[Cells, NDArray[np.int64]]:
    """Every `step`th frame from `begin` to `end`, and the parents among what is left: the nearest that is there."""
    few, kept = cells.taken(step, begin, end)
    new = np.full(len(cells) + 1, -1)
    new[kept] = np.arange(len(kept))
    result = np.full(len(kept), -1, np.int64)
    for index, cell in enumerate(kept):
        before = parent[cell]
        while before >= 0 and new[before] < 0:
            before = parent[before]
        result[index] = new[before] if before >= 0 else -1
    return few, result
