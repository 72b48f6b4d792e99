# SPDX-License-Identifier: Apache-2.0
"""What a gate set makes of recorded events: the gate engine's bit-true model on the integers that the board had."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from icsort.errors import IcsortError
from icsort.formats.recording import (
    CLASS,
    EVENT,
    FLAGS,
    INTERVAL,
    LENGTH,
    TIME,
    UNKNOWN_INTERVAL,
    Recording,
    output_names,
)
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Envelope, Purity, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from icsort.formats.compile_gate import Board, Compiled
    from icsort.formats.gate_set import GateSet
    from icsort.formats.package import Manifest

EventProgress = Callable[[str, int, int], None]
CHUNK: Final = 100_000
"""Events that are in memory at a time."""


@dataclass
class Counted:
    """Events of a gate or a direction. changed: of all events, those of which the integers say other than the gate as
    it was drawn."""

    events: int = 0
    changed: int = 0


@dataclass
class Preview:
    """What a gate set makes of recorded events.

    events: looked at; left_out: more, whose time since the event before is not known though the set asks for it.
    gates: in the order of the records' bits. directions: by output, of those wished for. ambiguous: events that two
    gates wish to different outputs, or an unknown one. changed: events whose direction the integers change. rate:
    events a second while recording; 0 where fewer than two are known.
    """

    gates: dict[str, Counted]
    directions: dict[int, Counted]
    gate_of: dict[int, str]
    events: int = 0
    left_out: int = 0
    ambiguous: int = 0
    changed: int = 0
    rate: float = 0.0

    @property
    def shares(self) -> dict[int, float]:
        """Of each direction's events among all."""
        return {output: counted.events / max(1, self.events) for output, counted in self.directions.items()}


def aborted(settings: Settings, clock_hz: int, rate: float, shares: Mapping[int, float]) -> dict[int, float]:
    """Share of each direction's events that a neighbour aborts, where events come at random, `rate` a second.

    settings: of the schedule. shares: of each direction among all events. A neighbour aborts that comes within reach of
    the pulse (valve) or of the charged drops (droplet); with purity only one that does not go the same way.
    """
    lost = {}
    for output, own in shares.items():
        others = {Purity.YIELD: 0.0, Purity.PURITY: 1.0 - own, Purity.SINGLE: 1.0}[settings.purity] * rate
        alone = [math.exp(-others * seconds) for seconds in _reach(settings, clock_hz)]
        lost[output] = 1 - sum(alone) / len(alone)
    return lost


def pace(ids: "NDArray[np.float64]", times: "NDArray[np.float64]", clock_hz: int) -> tuple[int, float]:
    """How many events came from the first of these to the last, lost ones too, and in which seconds; not across a reset
    of the board."""
    import numpy as np

    apart, cycles = np.diff(ids), np.diff(times)
    on = (apart > 0) & (cycles >= 0)
    return int(apart[on].sum()), float(cycles[on].sum()) / clock_hz


def preview(
    source: "GateSet",
    recordings: Sequence[Recording],
    manifest: "Manifest",
    features: bool,
    progress: EventProgress = lambda *_: None,
) -> Preview:
    """Count what the gate set makes of these recordings, of one board.

    features: whether the board's build has them. progress: told a step, the events looked at and all. Raises
    IcsortError as `compile_gate`, and for recordings that lack a value that the set asks for, or are of boards with
    other clocks.
    """
    import numpy as np

    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.gate_set import order

    clocks = {recording.clock_hz for recording in recordings}
    if len(clocks) != 1:
        raise IcsortError(f"the recordings are of boards with clocks of {sorted(clocks)} Hz; preview them one by one")
    board = board_values(manifest, clocks.pop(), features)
    compiled = compile_gate(source, board)
    outputs = {direction.output: direction.gate for direction in source.directions}
    counted = Preview(
        {gate.name: Counted() for gate in order(source.gates)},
        {output: Counted() for output in sorted(outputs)},
        outputs,
    )
    came, seconds = 0, 0.0
    done, total = 0, sum(recording.events for recording in recordings)
    for recording in recordings:
        events = _Events(recording, manifest, compiled)
        before: NDArray[np.float64] | None = None
        for first in range(0, recording.events, CHUNK):
            progress("events", done + first, total)
            rows = recording.rows(first, CHUNK)
            timed = rows if before is None else np.concatenate([before, rows])
            more, took = pace(recording.column(timed, EVENT), recording.column(timed, TIME), recording.clock_hz)
            came, seconds, before = came + more, seconds + took, rows[-1:]
            _count(counted, compiled, board, events, rows)
        done += recording.events
    counted.rate = came / seconds if seconds else 0.0
    return counted


class _Events:
    """Recorded events as the gate engine sees them."""

    def __init__(self, recording: Recording, manifest: "Manifest", compiled: "Compiled") -> None:
        from icsort.sim.bit_true import features
        from icsort.sim.bit_true import gate_engine as engine

        self.recording = recording
        self._manifest = manifest
        self._program = compiled.program
        used = {axis.value for test in compiled.program.tests for axis in (test.x, test.y)}
        self.asks_interval = engine.VALUE_INTERVAL in used
        self._asks_features = any(value >= engine.VALUE_FEATURE for value in used)
        self._features = features.names(manifest.channels)
        self._scales = features.scales(len(manifest.channels)).tolist()

    def values(self, rows: "NDArray[np.float64]") -> "NDArray[np.int32]":
        """(E, 256)."""
        from icsort.sim.bit_true import gate_engine as engine

        recording, manifest = self.recording, self._manifest
        columns = recording.integers(rows, output_names(manifest), manifest.unit_values)
        parts = recording.integers(rows, (LENGTH, INTERVAL), (1.0, 1e6 / recording.clock_hz))
        features = recording.integers(rows, self._features, self._scales) if self._asks_features else None
        constants = self._manifest.posterior
        return engine.values_of(
            columns, self._program, constants.multiplier, constants.shift,
            features=features, length=parts[:, 0], interval=parts[:, 1],
        )  # fmt: skip

    def best(self, rows: "NDArray[np.float64]") -> "NDArray[np.int64]":
        """Index of the best class, (E,)."""
        return self.recording.integers(rows, (CLASS,), (1.0,))[:, 0]

    def known(self, rows: "NDArray[np.float64]") -> "NDArray[np.int64]":
        """From which index on an event has no values, (E,)."""
        import numpy as np

        from icsort.sim.bit_true import gate_engine as engine

        blind = self.recording.integers(rows, (FLAGS,), (1.0,))[:, 0] & EventFlag.FEATURELESS != 0
        return np.where(blind, engine.VALUE_FEATURE, engine.VALUES)


def _count(
    counted: Preview, compiled: "Compiled", board: "Board", events: _Events, rows: "NDArray[np.float64]"
) -> None:
    from icsort.formats import drawn_gate
    from icsort.sim.bit_true import gate_engine as engine

    if events.asks_interval:
        told = events.recording.column(rows, INTERVAL) != UNKNOWN_INTERVAL
        counted.left_out += int((~told).sum())
        rows = rows[told]
    values, best, known = events.values(rows), events.best(rows), events.known(rows)
    sorter = engine.evaluate(compiled.program, values, best, known)
    drawn = drawn_gate.evaluate(compiled, board, values, best, known)
    counted.events += len(rows)
    counted.ambiguous += int(sorter.ambiguous.sum())
    changed = (sorter.direction != drawn.direction) | (sorter.ambiguous != drawn.ambiguous)
    counted.changed += int(changed.sum())
    for number, gate in enumerate(counted.gates.values()):
        gate.events += int(sorter.gates[:, number].sum())
        gate.changed += int((sorter.gates[:, number] != drawn.gates[:, number]).sum())
    for output, direction in counted.directions.items():
        wished, as_drawn = sorter.direction == output, drawn.direction == output
        direction.events += int(wished.sum())
        direction.changed += int((wished != as_drawn).sum())


def _reach(settings: Settings, clock_hz: int) -> list[float]:
    """Seconds within which a neighbour aborts, of cases that are equally often."""
    if not settings.droplet:
        return [(settings.before + settings.after + 1) / clock_hz]
    drop = 2**32 / settings.increment / clock_hz
    drops = {Envelope.ONE: (1,), Envelope.ONE_AND_A_HALF: (1, 2), Envelope.TWO: (2,)}[settings.envelope]
    return [(16 * charged + 2 * settings.margin) / 16 * drop for charged in drops]
