# SPDX-License-Identifier: Apache-2.0
"""Recorded cells as the line stream that would flow past the sorter, and what the bit-true models make of it."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.acquisition import Acquisition
from icsort.formats.background import FalseTriggers
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.sim.bit_true.event import cut_events, event_window

NO_CELL = -1  # in place of the cell of an event that background triggered


@dataclass(frozen=True)
class Flow:
    """A line stream and the events that the bit-true trigger finds in it.

    lines: (L, LINE_W, C) uint16; starts: (E,) first line of each event; cells: (E,) which cell each event shows, or
    NO_CELL; pixels: (E, H, W, C) uint8, what the network is given; empty_lines: how many of the lines are background
    (a window that begins in a cell's lines goes on in them).
    """

    lines: NDArray[np.uint16]
    starts: NDArray[np.int64]
    cells: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    empty_lines: int

    @property
    def of_cell(self) -> NDArray[np.bool_]:
        """(E,) which events show a cell."""
        return np.asarray(self.cells != NO_CELL)

    def truth(self, cells: HeldOut) -> NDArray[np.int64]:
        """(E,) true class of each event, or NO_CELL."""
        return np.where(self.of_cell, cells.labels[self.cells], NO_CELL)

    @property
    def false_triggers(self) -> FalseTriggers:
        """Events that background triggered, among the background lines."""
        return FalseTriggers(self.empty_lines, int((~self.of_cell).sum()))


def load_cells(path: Path, manifest: Manifest, count: int | None = None) -> HeldOut:
    """The first `count` cells of a held-out file (`heldout.npz` of a run), checked against the model they are for.

    Raises IcsortError for a file that is none, other channels or classes, a line width that differs, or too few cells.
    """
    cells = heldout.load(path)
    for what, of_cells, of_model in (
        ("channels", cells.channels, manifest.channels),
        ("classes", cells.classes, manifest.classes),
    ):
        if of_cells != of_model:
            raise IcsortError(f"{path} has the {what} {', '.join(of_cells)}; the model wants {', '.join(of_model)}")
    width = cells.background.lines.shape[1]
    if width != manifest.line.width:
        raise IcsortError(f"{path} has lines of {width} pixels; the model wants lines of {manifest.line.width}")
    if len(cells.images) < (count or 1):
        raise IcsortError(
            f"{path} has {len(cells.images)} cells, {count or 'at least 1'} were asked for; give another --count"
        )
    return cells if count is None else cells.first(count)


def flow(cells: HeldOut, acquisition: Acquisition, cycles_per_cell: float = 0) -> Flow:
    """Every cell's lines, each cell followed by background lines: at least a window's height of them, so that no event
    shows two cells, and so many that a cell comes every `cycles_per_cell` cycles at one pixel a cycle.

    The last lines do not trigger, so that no event is unfinished where the stream ends.
    """
    height = max(len(image) for image in cells.images)
    period = height + max(acquisition.input.height, math.ceil(cycles_per_cell / acquisition.line.width) - height)
    heights = np.asarray([len(image) for image in cells.images])
    gaps = (cells.background.behind(image, period - len(image)) for image in cells.images)
    end = _quiet_lines(cells, acquisition)
    end = end[np.arange(acquisition.input.height) % len(end)]
    lines = np.concatenate([*(part for pair in zip(cells.images, gaps, strict=True) for part in pair), end])
    return _events(lines, heights, period, acquisition)


def dense_flow(cells: HeldOut, acquisition: Acquisition) -> Flow:
    """The same cells as densely as the trigger can take them: windows that begin with a line that triggers, one empty
    line between them that does not."""
    trigger = acquisition.event_trigger
    spaced = flow(cells, acquisition)
    quiet = _quiet_lines(cells, acquisition)
    windows = [spaced.lines[start : start + trigger.height] for start in spaced.starts[spaced.of_cell].tolist()]
    lines = np.concatenate([part for i, window in enumerate(windows) for part in (window, quiet[[i % len(quiet)]])])
    return _events(lines, np.full(len(windows), trigger.height), trigger.height + 1, acquisition)


def _quiet_lines(cells: HeldOut, acquisition: Acquisition) -> NDArray[np.uint16]:
    """Background lines that do not trigger, at least one. Raises IcsortError where all do."""
    quiet = cells.background.quiet(acquisition.event_trigger)
    if not len(quiet):
        raise IcsortError("every background line triggers: these are not the cells that the trigger was set for")
    return quiet


def _events(lines: NDArray[np.uint16], heights: NDArray[np.int64], period: int, acquisition: Acquisition) -> Flow:
    """Events of a stream in which cell i has the first heights[i] lines from line i * period on."""
    trigger = acquisition.event_trigger
    starts = cut_events(lines, trigger)
    windows = [event_window(lines, int(start), trigger) for start in starts]
    pixels = acquisition.pixels(np.stack(windows)) if windows else np.empty((0, *acquisition.input.shape), np.uint8)
    cells, offsets = np.divmod(starts, period)
    return Flow(
        lines, starts, np.where(offsets < heights[cells], cells, NO_CELL), pixels, len(lines) - int(heights.sum())
    )
