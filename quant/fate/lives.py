# SPDX-License-Identifier: Apache-2.0
"""The life of each cell of a movie, from its birth or the first frame to its division, and what is known of its end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.quant.tracking.cells import Cells


@dataclass(frozen=True)
class Lives:
    """Of N cells, each one of one frame: life (N,), which of them are the same cell, from 0; age (N,) frames since it
    was first seen; born (N,) bool, whether its birth was seen; divides (N,), the frame of its children or -1; last
    (N,), the last frame that shows it.

    A life goes on behind missing frames. It ends where a cell has two children or more.
    """

    life: NDArray[np.int64]
    age: NDArray[np.int64]
    born: NDArray[np.bool_]
    divides: NDArray[np.int64]
    last: NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """What is known of cells within some frames: cells (n,), their indices; time (n,) frames to the division, or where
    `divided` (n,) is false frames during which there was none: the cell was lost, or the frames ended (censored)."""

    cells: NDArray[np.int64]
    time: NDArray[np.int64]
    divided: NDArray[np.bool_]

    def known(self, ahead: int) -> NDArray[np.bool_]:
        """(n,) of which it is known whether they divide within `ahead` frames."""
        return self.divided | (self.time >= ahead)

    def within(self, ahead: int) -> NDArray[np.bool_]:
        """(n,) which divide within `ahead` frames."""
        return self.divided & (self.time <= ahead)


def lives(cells: Cells, parent: NDArray[np.int64]) -> Lives:
    """The lives of cells whose parents (N,) come before them, -1 for what was born unseen."""
    children = np.bincount(parent[parent >= 0], minlength=len(cells))
    life, age = np.zeros(len(cells), np.int64), np.zeros(len(cells), np.int64)
    born = np.zeros(len(cells), np.bool_)
    firsts, lasts = list[int](), list[int]()
    for cell, before in enumerate(parent):
        goes_on = before >= 0 and children[before] == 1
        if not goes_on:
            firsts.append(cell)
            lasts.append(cell)
        life[cell] = life[before] if goes_on else len(firsts) - 1
        born[cell] = born[before] if goes_on else before >= 0
        lasts[life[cell]] = cell
        age[cell] = cells.frame[cell] - cells.frame[firsts[life[cell]]]
    end = np.array(lasts, np.int64)
    divides = np.full(len(cells), -1, np.int64)
    daughters = np.flatnonzero((parent >= 0) & (children[parent] > 1))
    for daughter in daughters[::-1]:  # the earliest one's frame stays
        divides[parent[daughter]] = cells.frame[daughter]
    return Lives(life, age, born, divides[end][life], cells.frame[end][life])


def outcomes(cells: Cells, known: Lives, begin: int, end: int) -> Outcomes:
    """Of the cells of the frames from `begin` to before `end`, by these frames alone: a later division is not known."""
    chosen = np.flatnonzero((cells.frame >= begin) & (cells.frame < end))
    frame, divides = cells.frame[chosen], known.divides[chosen]
    divided = (divides >= 0) & (divides < end)
    seen = np.minimum(known.last[chosen], end - 1)
    return Outcomes(chosen, np.where(divided, divides, seen) - frame, divided)


def windows(known: Lives, chosen: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The last `length` cells of the life of each chosen one (n,), up to itself, (n, length); -1 before its life or
    before the first one that was chosen of it."""
    found = np.full((len(chosen), length), -1, np.int64)
    past: dict[int, list[int]] = {}
    for row, cell in enumerate(chosen):
        way = past.setdefault(int(known.life[cell]), [])
        way.append(int(cell))
        seen = way[-length:]
        found[row, length - len(seen) :] = seen
    return found
