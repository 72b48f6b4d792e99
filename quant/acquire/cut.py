# SPDX-License-Identifier: Apache-2.0
"""Cells cut as the hardware would cut them: by the bit-true trigger and window of icsort.sim.bit_true.event."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition
from icsort.formats.background import Background
from icsort.sim.bit_true.event import cut_events, event_window


@dataclass(frozen=True)
class Cut:
    """Windows of the cells that triggered, uint16 (M, H, W, C); `cells` (M,) their index; `missed` the other cells."""

    windows: NDArray[np.uint16]
    cells: NDArray[np.int64]
    missed: NDArray[np.int64]


def cut_cells(images: Sequence[NDArray[np.uint16]], acquisition: Acquisition, background: Background) -> Cut:
    """Send cells through the trigger, each by itself: its lines, then a window of background lines.

    images: (height_i, width, C) raw counts. A tall cell that triggers again after its window keeps its first event;
    what background triggers is no cell.
    """
    trigger = acquisition.event_trigger
    shape = acquisition.input.shape
    windows, cells = [np.empty((0, *shape), np.uint16)], []
    for index, image in enumerate(images):
        lines = np.concatenate([image, background.behind(image, trigger.height)])
        starts = cut_events(lines, trigger)
        if len(starts) and starts[0] < len(image):
            windows.append(event_window(lines, int(starts[0]), trigger)[np.newaxis])
            cells.append(index)
    found = np.asarray(cells, np.int64)
    return Cut(np.concatenate(windows), found, np.setdiff1d(np.arange(len(images)), found))
