# SPDX-License-Identifier: Apache-2.0
"""Cells cut as the hardware would cut them: by the bit-true trigger and window of icsort.sim.bit_true.event."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition
from icsort.formats.background import Background
from icsort.sim.bit_true.event import cut_windows, find_events, line_sums

CHUNK = 256  # cells that flow in one stream


@dataclass(frozen=True)
class Cut:
    """Windows of the cells that triggered, uint16 (M, H, W, C), corrected counts; rows that are not of the event hold
    the background of preprocessing, so that they become zero. `cells` (M,) their index; `missed` the other cells."""

    windows: NDArray[np.uint16]
    cells: NDArray[np.int64]
    missed: NDArray[np.int64]


def cut_cells(images: Sequence[NDArray[np.uint16]], acquisition: Acquisition, background: Background) -> Cut:
    """Send cells through the trigger, each by itself: quiet background lines, the cell's, background lines behind.

    images: (height_i, LINE_W, C) raw counts. A cell that triggers more than once keeps its first event; what background
    triggers is no cell. Behind a cell there are as many lines as its window and the end of its event need, and the
    event has ended where they do.
    """
    windows, cells = [np.empty((0, *acquisition.input.shape), np.uint16)], [np.empty(0, np.int64)]
    for begin in range(0, len(images), CHUNK):
        some, found = _cut_some(images[begin : begin + CHUNK], acquisition, background)
        windows.append(some)
        cells.append(begin + found)
    triggered = np.concatenate(cells)
    return Cut(np.concatenate(windows), triggered, np.setdiff1d(np.arange(len(images)), triggered))


def _cut_some(
    images: Sequence[NDArray[np.uint16]], acquisition: Acquisition, background: Background
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Windows of the cells that triggered, and their index; all cells in one stream."""
    trigger = acquisition.event_trigger
    before = _quiet(acquisition, background, trigger.pre_lines)
    behind = acquisition.input.height + 2 * trigger.end_lines
    pieces = [
        acquisition.corrected(np.concatenate([before, image, background.behind(image, behind)])) for image in images
    ]
    lines = np.concatenate(pieces)
    ends = np.cumsum([len(piece) for piece in pieces])
    first = ends - [len(piece) - len(before) for piece in pieces]
    sums = line_sums(lines, trigger)
    sums[(ends[:, np.newaxis] - 1 - np.arange(trigger.end_lines)).ravel()] = -1  # no event goes on in the next cell
    events = find_events(sums, trigger).events
    cell = np.searchsorted(first, events.trigger, "right") - 1
    heights = np.asarray([len(image) for image in images])
    inside = (cell >= 0) & (events.trigger < first[cell] + heights[cell])
    cells, chosen = np.unique(cell[inside], return_index=True)
    window, fill = acquisition.event_window, acquisition.preprocess.background
    return cut_windows(lines, events[inside][chosen], trigger, window, fill), cells


def _quiet(acquisition: Acquisition, background: Background, count: int) -> NDArray[np.uint16]:
    """So many quiet background lines, (count, LINE_W, C), over and over; any of them where none is quiet."""
    quiet = background.quiet(acquisition) if count else background.lines
    lines = quiet if len(quiet) else background.lines
    return lines[np.arange(count) % len(lines)]
