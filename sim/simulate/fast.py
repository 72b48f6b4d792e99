# SPDX-License-Identifier: Apache-2.0
"""The sorter's core as arithmetic: from lines to records, for millions of cells.

Lines are never made: each is a row of a table of the background's and the cells' lines (`lines.Scene`), so that line
sums, windows and logits of the same rows are found once. Trigger, windows, preprocessing, integer network, gate and
scheduler are the bit-true models that the RTL is held to: its records are the same but for the group TIMING. When an
event is decided is modelled from the build's cycles and not exact; so are MISSED and WINDOWS_LOST, which follow from it
where the network cannot keep up, and LATE, where a drop delay is no longer than the latency.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from icsort.formats import event_record
from icsort.formats.background import CELLS_PER_SECOND
from icsort.formats.build import Build
from icsort.formats.heldout import HeldOut
from icsort.formats.integer import IntegerNetwork
from icsort.formats.latency import Latency
from icsort.sim.bit_true import features, gate_engine
from icsort.sim.bit_true.event import Events, cut_windows, find_events, first_columns, line_sums
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.gate_engine import Program
from icsort.sim.bit_true.scheduler import NO_DIRECTION, Cell, Outcome, Result, Scheduler, Settings
from icsort.sim.simulate.lines import Scene
from icsort.sim.simulate.sorter import SCHEDULE, every_other
from icsort.sim.verilator.board import line_cycles

STRETCH = 20_000  # cells that flow at once
CHUNK = 1024  # windows that are in memory at once
EVENTS = 16  # between acceptance and decision
FRONT_COUNTERS = ("ACCEPTED", "MISSED", "DEBRIS", "DEAD_TIME", "WINDOWS_LOST")


@dataclass(frozen=True)
class Block:
    """Events of a stretch of lines, all that have ended, and what else the light has seen. Times are cycles since the
    first line of all fell.

    time: (E,) of the trigger lines; accepted, ended: (E,) of the lines with which they were accepted and with which
    they had ended; last: (E,) the time that is their end's. flags, length: (E,). logits: (E, K) integers; features:
    (E, F), F = 0 where the build has none. cells: (E,)
    which cell of the file each shows, -1 for none. neighbours, seen: (N,) times of debris and of what rose in dead
    time, and of the lines that told of them. debris: how many of them are debris.
    """

    time: NDArray[np.int64]
    accepted: NDArray[np.int64]
    ended: NDArray[np.int64]
    last: NDArray[np.int64]
    flags: NDArray[np.int64]
    length: NDArray[np.int64]
    logits: NDArray[np.int64]
    features: NDArray[np.int64]
    cells: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    seen: NDArray[np.int64]
    debris: int

    def of(self, events: NDArray[np.bool_]) -> Self:
        """The same with these of the events alone."""
        per_event = ("time", "accepted", "ended", "last", "flags", "length", "logits", "features", "cells")
        return replace(self, **{name: getattr(self, name)[events] for name in per_event})


class FastFront:
    """Front and network of a build, for cells that flow past at random or even times."""

    def __init__(
        self,
        build: Build,
        cells: HeldOut,
        cells_per_second: float,
        line_rate: float | None = None,
        arrivals: str = "poisson",
        seed: int = 0,
    ) -> None:
        self._acquisition = build.manifest
        self._line_cycles = line_cycles(build, line_rate)
        per_cell = build.clock_mhz * 1e6 / self._line_cycles / cells_per_second
        self._scene = Scene(cells, build.manifest, per_cell, arrivals, seed)
        self._draw = np.random.default_rng([seed, 1])
        self._network = IntegerNetwork(build.folder)
        self._features = build.features
        # Rows of a window, lines that are missing before them, its column -> its logits.
        self._known: dict[bytes, NDArray[np.int64]] = {}

    def stretches(self, count: int) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.int64]]]:
        """`count` cells of the file, drawn anew: table and row of each line (`Scene.stretch`), and the cell of the
        file that a line first shows, -1 for none. The lines of one follow those of the one before."""
        for begin in range(0, count, STRETCH):
            which = self._draw.integers(0, len(self._scene.heights), min(STRETCH, count - begin))
            starts, length = self._scene.arrive(which)
            table, index = self._scene.stretch(which, starts, length)
            cell = np.searchsorted(starts, np.arange(length), "right") - 1
            inside = (cell >= 0) & (np.arange(length) < (starts + self._scene.heights[which])[cell])
            yield table, index, np.where(inside, which[cell], -1)

    def blocks(self, count: int) -> Iterator[Block]:
        """What the front and the network make of `count` cells."""
        trigger = self._acquisition.event_trigger
        first_line = 0
        for table, index, cell in self.stretches(count):
            corrected, rows, lasting = self._corrected(table, index)
            found = find_events(line_sums(corrected, trigger)[rows], trigger)
            events, debris = found.events, found.debris
            time, accepted, ended, last = (
                self._cycles(first_line + line) for line in (events.trigger, events.accepted, events.end, events.timed)
            )
            dead = found.dead_time
            neighbours, seen = np.append(debris.trigger, dead), np.append(debris.end, dead)
            order = np.argsort(seen, kind="stable")
            yield Block(
                time,
                accepted,
                ended,
                last,
                events.flags,
                events.length,
                self._logits_of(corrected, rows, lasting, events),
                self._features_of(corrected, rows, events),
                cell[events.trigger],
                self._cycles(first_line + neighbours[order]),
                self._cycles(first_line + seen[order]),
                len(debris),
            )
            first_line += len(index)

    def _cycles(self, line: NDArray[np.int64]) -> NDArray[np.int64]:
        """When lines fall."""
        return np.asarray(np.floor(line * self._line_cycles), np.int64)

    def _corrected(
        self, table: NDArray[np.uint16], index: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint16], NDArray[np.int64], int]:
        """Corrected lines, which of them each line of the stream is, and how many mean the same in all stretches."""
        if any(self._acquisition.line.delays):  # a line has parts of several
            return self._acquisition.corrected(table[index]), np.arange(len(index)), 0
        return self._acquisition.corrected(table), index, len(self._scene.table)

    def _features_of(self, lines: NDArray[np.uint16], rows: NDArray[np.int64], events: Events) -> NDArray[np.int64]:
        """Features (E, F) of events."""
        if not self._features:
            return np.zeros((len(events), 0), np.int64)
        settings = self._acquisition.feature_settings
        sums = features.event_sums(features.line_sums(lines, settings), events.first, events.last, rows)
        return features.values(sums, settings)

    def _logits_of(
        self, lines: NDArray[np.uint16], rows: NDArray[np.int64], lasting: int, events: Events
    ) -> NDArray[np.int64]:
        """Logits (E, K) of events; those of windows that were seen before are known."""
        acquisition = self._acquisition
        trigger, window = acquisition.event_trigger, acquisition.event_window
        first = events.trigger - trigger.pre_lines
        last = np.minimum(events.last, first + window.height - 1)
        columns = first_columns(lines, rows[events.trigger], trigger, window)
        logits = np.empty((len(events), len(acquisition.classes)), np.int64)
        new: list[int] = []
        keys: list[bytes | None] = []
        same: dict[bytes, int] = {}  # of this stretch, not known before: the first event with it
        copies: list[tuple[int, int]] = []
        for event, (skipped, begin, end, column) in enumerate(
            zip((events.first - first).tolist(), events.first.tolist(), last.tolist(), columns.tolist(), strict=True)
        ):
            held = rows[begin : end + 1]
            key = held.tobytes() + bytes((skipped, column % 256, column >> 8)) if held.max() < lasting else None
            if key is not None and key in self._known:
                logits[event] = self._known[key]
            elif key is not None and key in same:
                copies.append((event, same[key]))
            else:
                new.append(event)
                keys.append(key)
                if key is not None:
                    same[key] = event
        for at in range(0, len(new), CHUNK):
            chosen = np.asarray(new[at : at + CHUNK])
            fill = acquisition.preprocess.background
            raw = cut_windows(lines, events[chosen], trigger, window, fill, rows)
            logits[chosen] = self._network.logits(acquisition.pixels(raw))
        for event, other in copies:
            logits[event] = logits[other]
        self._known |= {key: logits[event].copy() for event, key in zip(new, keys, strict=True) if key is not None}
        return logits


@dataclass(frozen=True)
class FastRun:
    """Accepted events, (E,) each: what their records state, and what became of them. Times are timestamps. features:
    (E, F), F = 0 where the build has none. gates: (E, G) which gates hold.

    decided: cycles in which they were decided, modelled. outcome, direction: as recorded. cells: which cell of the
    file each shows (-1: none). counters: by name, as the hardware has them. cells_sent: cells that flowed past.
    """

    time: NDArray[np.int64]
    decided: NDArray[np.int64]
    flags: NDArray[np.int64]
    length: NDArray[np.int64]
    logits: NDArray[np.int64]
    features: NDArray[np.int64]
    best: NDArray[np.int64]
    posterior: NDArray[np.int64]
    gates: NDArray[np.bool_]
    outcome: NDArray[np.int64]
    direction: NDArray[np.int64]
    cells: NDArray[np.int64]
    counters: dict[str, int]
    cells_sent: int

    def accuracy(self, cells: HeldOut) -> float | None:
        """Share of the events that a labelled cell began, of which the class is its; None where there are none."""
        truth = np.where(self.cells >= 0, cells.labels[self.cells], -1)
        right = (self.best == truth)[truth >= 0]
        return float(right.mean()) if len(right) else None

    def to_json(self, cells: HeldOut, seconds: float) -> dict[str, object]:
        """Counters, accuracy and speed, of a run that took so many seconds."""
        return {
            "cells": self.cells_sent,
            "counters": self.counters,
            "accuracy": self.accuracy(cells),
            "cells_per_second": self.cells_sent / seconds,
        }

    def records(self) -> Iterator[bytes]:
        """The event records, without the group TIMING."""
        gates = self.gates @ (1 << np.arange(self.gates.shape[1]))
        for event in range(len(self.time)):
            values = {
                "event_id": event,
                "event_time": int(self.time[event]),
                "tag": event % 256,
                "outcome": int(self.outcome[event]),
                "direction": int(self.direction[event]),
                "flags": int(self.flags[event]),
                "length": int(self.length[event]),
                "class_index": int(self.best[event]),
                "posterior": int(self.posterior[event]),
                "gates": int(gates[event]),
            }
            of_event = self.features[event].tolist() or None
            yield event_record.pack(values, of_event, self.logits[event].tolist())


def run_fast(
    build: Build,
    cells: HeldOut,
    count: int,
    *,
    cells_per_second: float = CELLS_PER_SECOND,
    line_rate: float | None = None,
    arrivals: str = "poisson",
    seed: int = 0,
    first_line: int = 0,
    settings: Settings = SCHEDULE,
    program: Program | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> FastRun:
    """What the sorter makes of `count` cells, drawn from those of a file, armed with the gate of `icsort simulate`.

    cells_per_second, line_rate, arrivals, seed: as for `flow_past`. first_line: timestamp in which the first line
    falls. settings: of the scheduler. program: of the gates, instead of those. progress: called with the number of
    cells done. Raises IcsortError as `flow_past` does.
    """
    manifest = build.manifest
    front = FastFront(build, cells, cells_per_second, line_rate, arrivals, seed)
    program = program or every_other(manifest)
    queue = _Queue(build, line_cycles(build, line_rate), len(program.tests) + len(program.gates))
    kept: list[Block] = []
    decided, lost = [], []
    seen: list[Cell] = []
    for index, block in enumerate(front.blocks(count)):
        accepted, decisions, windows_lost = queue.take(block)
        seen += _seen(block, accepted, first_line)
        kept.append(block.of(accepted))
        decided.append(decisions)
        lost.append(windows_lost)
        progress(min(count, (index + 1) * STRETCH))

    def whole(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(block, name) for block in kept])

    times, cycles = first_line + whole("time"), first_line + np.concatenate(decided)
    flags = whole("flags") | np.where(np.concatenate(lost), int(EventFlag.STALLED), 0)
    constants, logits, numbers = manifest.posterior, whole("logits"), whole("features")
    values = gate_engine.values_of(
        logits,
        program,
        constants.multiplier,
        constants.shift,
        features=numbers,
        length=whole("length"),
        interval=gate_engine.intervals(times),
    )
    best, posterior = logits.argmax(axis=1), values[:, gate_engine.VALUE_POSTERIOR].astype(np.int64)
    gated = gate_engine.evaluate(program, values, best, gate_engine.VALUE_FEATURE + numbers.shape[1])
    results = (
        Result(
            ready,
            None if wish < 0 else wish,
            several=several,
            stalled=bool(flag & EventFlag.STALLED),
            hardware=bool(flag & EventFlag.DOUBTFUL),
            overlong=bool(flag & EventFlag.OVERLONG),
            doublet=bool(flag & EventFlag.DOUBLET),
        )
        for ready, wish, several, flag in zip(
            cycles.tolist(), gated.direction.tolist(), gated.ambiguous.tolist(), flags.tolist(), strict=True
        )
    )
    schedule = Scheduler(settings, [(0, 2**62)]).run(seen, results)
    cycles, outcome, direction = (np.asarray(values, np.int64) for values in zip(*schedule.decided, strict=True))
    direction = np.where(direction == NO_DIRECTION, event_record.NO_DIRECTION, direction)
    finals = schedule.final
    counters = {
        "ACCEPTED": len(times),
        "MISSED": queue.missed,
        "DEBRIS": sum(block.debris for block in kept),
        "DEAD_TIME": sum(len(block.neighbours) - block.debris for block in kept),
        "WINDOWS_LOST": int(np.concatenate(lost).sum()),
        **{name.name: finals.count(name) for name in Outcome},
    }
    return FastRun(
        *(times, cycles, flags, whole("length"), logits, numbers, best, posterior, gated.gates, outcome, direction),
        whole("cells"),
        counters,
        count,
    )


def _seen(block: Block, accepted: NDArray[np.bool_], first_line: int) -> list[Cell]:
    """The cells of a block as the trigger tells of them: events, those that found no room, and other neighbours."""
    cycles = np.concatenate([block.accepted, block.seen])
    times = np.concatenate([block.time, block.neighbours])
    events = np.concatenate([accepted, np.zeros(len(block.neighbours), np.bool_)])
    order = np.argsort(cycles, kind="stable")
    return [
        Cell(first_line + cycle, first_line + time, event)
        for cycle, time, event in zip(
            cycles[order].tolist(), times[order].tolist(), events[order].tolist(), strict=True
        )
    ]


class _Queue:
    """Events between acceptance and decision: which are accepted, when they are decided, whose windows are lost.

    missed: events that found no room, so far.
    """

    def __init__(self, build: Build, cycles_per_line: float, tests_and_gates: int) -> None:
        self.missed = 0
        self._latency = Latency.of(build, tests_and_gates)
        self._interval = max(build.interval_cycles, build.manifest.input.height * build.manifest.input.width)
        self._ring = (build.ring_lines - build.manifest.input.height) * cycles_per_line
        self._open: deque[int] = deque()
        self._free = self._decided = 0

    def take(self, block: Block) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]:
        """(E,) which events of a block are accepted; of these, when they are decided, and whose windows are lost."""
        accepted = np.ones(len(block.time), np.bool_)
        decisions, lost = [], []
        for event, (time, begin, end) in enumerate(
            zip(block.time.tolist(), block.accepted.tolist(), block.ended.tolist(), strict=True)
        ):
            begin += self._latency.line
            while self._open and self._open[0] < begin:
                self._open.popleft()
            if len(self._open) == EVENTS:
                self.missed += 1
                accepted[event] = False
                continue
            read = max(begin, self._free)
            self._free = read + self._interval
            # One event at a time is in the gate engine.
            self._decided = max(self._latency.decided(read, end), self._decided + self._latency.gate + 1)
            self._open.append(self._decided)
            decisions.append(self._decided)
            lost.append(read - time > self._ring)
        return accepted, np.asarray(decisions, np.int64), np.asarray(lost, np.bool_)
