# SPDX-License-Identifier: Apache-2.0
"""Recorded cells as the line stream that would flow past the sorter, and what the bit-true models make of it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.acquisition import Acquisition
from icsort.formats.background import CELLS_PER_SECOND, Background, FalseTriggers
from icsort.formats.build import Build
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.sim.bit_true.event import Events, cut_windows, find_events, line_sums
from icsort.sim.verilator.board import line_cycles

ARRIVALS = ("even", "poisson")
NO_QUIET = "every background line triggers: these are not the cells that the trigger was set for"
NO_CELL = -1  # in place of the cell of an event that background triggered


@dataclass(frozen=True)
class Flow:
    """A line stream and the events that the bit-true trigger finds in it.

    lines: (L, LINE_W, C) uint16, as the sorter is given them; events: E accepted ones, all ended; cells: (E,) which
    cell each event shows, or NO_CELL; pixels: (E, H, W, C) uint8, what the network is given; empty_lines: how many of
    the lines are background.
    """

    lines: NDArray[np.uint16]
    events: Events
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

    A model that predicts values has no classes: its cells have no label. Raises IcsortError for a file that is none,
    other channels or classes, a line width that differs, or too few cells.
    """
    cells = heldout.load(path)
    if manifest.values:
        cells = replace(cells, labels=np.full(len(cells.images), -1, np.int64), classes=manifest.classes)
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


def flow_past(
    build: Build,
    cells: HeldOut,
    cells_per_second: float = CELLS_PER_SECOND,
    line_rate: float | None = None,
    arrivals: str = "even",
    seed: int = 0,
) -> Flow:
    """`flow` with so many cells a second on a build's board; line_rate: lines a second, None: without pause."""
    per_cell = build.clock_mhz * 1e6 / line_cycles(build, line_rate) / cells_per_second
    return flow(cells, build.manifest, per_cell, arrivals, seed)


def flow(
    cells: HeldOut, acquisition: Acquisition, lines_per_cell: float = 0, arrivals: str = "even", seed: int = 0
) -> Flow:
    """Every cell's lines among background lines, a cell every `lines_per_cell` lines.

    arrivals: "even", each cell at least so far behind the one before that no event shows two cells; "poisson", at
    random times of that rate, where cells may overlap. Drawn with the seed. The last lines do not trigger, so that no
    event is unfinished where the stream ends.
    """
    scene = Scene(cells, acquisition, lines_per_cell, arrivals, seed)
    which = np.arange(len(cells.images))
    starts, length = scene.arrive(which)
    table, index = scene.stretch(which, starts, length)
    return _events(table[index], starts, scene.heights[which], acquisition)


class Scene:
    """Cells that flow past among background lines, a stretch after the other.

    Lines are rows of `table`, (T, LINE_W, C) raw counts: the background's, then those of all cells. lines_per_cell,
    arrivals, seed: as for `flow`. A stretch begins and ends with quiet lines, so that what happens in it has no effect
    on the next. Raises IcsortError for random arrivals without a rate, and where no line is quiet.
    """

    def __init__(
        self, cells: HeldOut, acquisition: Acquisition, lines_per_cell: float, arrivals: str, seed: int = 0
    ) -> None:
        if arrivals not in ARRIVALS:
            raise IcsortError(f"there are no arrivals {arrivals!r}: choose one of {', '.join(ARRIVALS)}")
        if arrivals == "poisson" and lines_per_cell <= 0:
            raise IcsortError("--arrivals poisson needs a rate: give --rate")
        bank = cells.background.lines
        self.table = np.concatenate([bank, *cells.images])
        self.heights = np.asarray([len(image) for image in cells.images])
        self._rows = len(bank) + np.cumsum(self.heights) - self.heights
        self._bank = len(bank)
        self._median = np.rint(np.median(bank, axis=(0, 1))).astype(np.int64)
        self._behind = np.asarray([cells.background.first_behind(image) for image in cells.images])
        self._random = np.random.default_rng(seed)
        self._poisson = arrivals == "poisson"
        trigger = acquisition.event_trigger
        self._front = trigger.pre_lines
        apart = max(acquisition.input.height, trigger.pre_lines + trigger.end_lines + 1)
        least = int(self.heights.max()) + apart
        self._per_cell = lines_per_cell if self._poisson else max(least, lines_per_cell)
        self._tail = trigger.end_lines + trigger.pre_lines
        self._quiet = np.flatnonzero(line_sums(acquisition.corrected(bank), trigger) < trigger.off)
        if not len(self._quiet):
            raise IcsortError(NO_QUIET)

    def arrive(self, which: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """First lines of these cells, from a stretch's beginning, and the lines of the stretch."""
        if self._poisson:
            waits = self._random.exponential(self._per_cell, len(which))
            starts = self._front + np.floor(np.cumsum(waits)).astype(np.int64)
            end = max((starts + self.heights[which]).max(), self._front + np.ceil(waits.sum()))
            return starts, int(end) + self._tail
        period = math.ceil(self._per_cell)
        return self._front + period * np.arange(len(which)), self._front + period * len(which) + self._tail

    def stretch(
        self, which: NDArray[np.int64], starts: NDArray[np.int64], length: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        """A stretch in which cell which[i] has lines from starts[i] on: a table that begins with this one, and the row
        of it that each line is. Where cells overlap, what they add to the background's median adds up."""
        if self._poisson:
            index = self._random.integers(0, self._bank, length)
        else:
            line = np.arange(length)
            last = np.maximum(np.searchsorted(starts, line, "right") - 1, 0)
            index = (self._behind[which[last]] + line - (starts + self.heights[which])[last]) % self._bank
        index[: self._front] = self._quiet[np.arange(self._front) % len(self._quiet)]
        index[length - self._tail :] = self._quiet[np.arange(self._tail) % len(self._quiet)]
        added: list[NDArray[np.uint16]] = []
        free = rows = 0
        for start, cell in zip(starts.tolist(), which.tolist(), strict=True):
            height, first = int(self.heights[cell]), int(self._rows[cell])
            shared = max(0, min(free - start, height))
            if shared:
                under = index[start : start + shared]
                below = np.stack([self._line(row, added) for row in under.tolist()]).astype(np.int64)
                both = np.clip(below + self.table[first : first + shared] - self._median, 0, np.iinfo(np.uint16).max)
                index[start : start + shared] = len(self.table) + rows + np.arange(shared)
                added.extend(both.astype(np.uint16))
                rows += shared
            index[start + shared : start + height] = first + np.arange(shared, height)
            free = max(free, start + height)
        return np.concatenate([self.table, np.stack(added)]) if added else self.table, index

    def _line(self, row: int, added: list[NDArray[np.uint16]]) -> NDArray[np.uint16]:
        return self.table[row] if row < len(self.table) else added[row - len(self.table)]


def dense_flow(cells: HeldOut, acquisition: Acquisition) -> Flow:
    """The same cells as densely as the trigger can take them: events of a window's height that begin with a line that
    triggers, and between them as few lines that do not as end an event."""
    trigger, height = acquisition.event_trigger, acquisition.input.height
    spaced = flow(cells, acquisition)
    between = quiet_lines(acquisition, cells.background, max(trigger.end_lines, trigger.pre_lines))
    starts = spaced.events.trigger[spaced.of_cell]
    windows = [spaced.lines[start : start + height] for start in starts.tolist()]
    lines = np.concatenate([between, *(part for window in windows for part in (window, between))])
    period = height + len(between)
    first = len(between) + period * np.arange(len(windows))
    return _events(lines, first, np.full(len(windows), height), acquisition)


def quiet_lines(acquisition: Acquisition, background: Background, count: int) -> NDArray[np.uint16]:
    """So many background lines that neither begin nor prolong an event, (count, LINE_W, C), over and over. Raises
    IcsortError where none is quiet."""
    quiet = background.quiet(acquisition)
    if not len(quiet):
        raise IcsortError(NO_QUIET)
    return quiet[np.arange(count) % len(quiet)]


def _events(
    lines: NDArray[np.uint16], starts: NDArray[np.int64], heights: NDArray[np.int64], acquisition: Acquisition
) -> Flow:
    """Events of a stream in which cell i has the heights[i] lines from starts[i] on. Raises IcsortError where one is
    not ended by the last line."""
    trigger = acquisition.event_trigger
    corrected = acquisition.corrected(lines)
    events = find_events(line_sums(corrected, trigger), trigger).events
    if not events.ended.all():
        raise IcsortError("the background behind the last cell does not end its event: give other cells")
    fill = acquisition.preprocess.background
    pixels = acquisition.pixels(cut_windows(corrected, events, trigger, acquisition.event_window, fill))
    cell = np.searchsorted(starts, events.trigger, "right") - 1
    in_cell = (cell >= 0) & (events.trigger < (starts + heights)[cell])
    covered = np.zeros(len(lines) + 1, np.int64)
    np.add.at(covered, starts, 1)
    np.add.at(covered, starts + heights, -1)
    return Flow(lines, events, np.where(in_cell, cell, NO_CELL), pixels, int((np.cumsum(covered)[:-1] == 0).sum()))
