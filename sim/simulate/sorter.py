# SPDX-License-Identifier: Apache-2.0
"""RTL against references: cells through the whole sorter, every logit compared with QONNX's and FINN's execution."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from icsort.errors import IcsortError
from icsort.formats.background import CELLS_PER_SECOND
from icsort.formats.build import Build
from icsort.formats.event_record import Group
from icsort.formats.gate import index_mask, posterior_threshold
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.host.link import protocol
from icsort.host.link.registers import REGISTERS, SCHEDULE_WORDS
from icsort.host.settings import FrontSettings
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.bit_true import framing, gate, gate_engine
from icsort.sim.bit_true.features import features
from icsort.sim.bit_true.gate_engine import Program
from icsort.sim.bit_true.scheduler import Direction, Purity, Settings
from icsort.sim.simulate.lines import Flow, dense_flow, flow_past
from icsort.sim.verilator.board import BoardOutcome, compile_board, line_cycles, run_batch

DENSE_CELLS = 20
# Long enough for every decision, short enough to simulate.
SCHEDULE = Settings({0: Direction(delay=20_000, width=100)}, Purity.YIELD)
NO_HEARTBEAT = 2**32 - 1  # cycles: nobody is there to be silent once the lines flow
POSTERIOR = 0.5
SHOWN_MISMATCHES = 10


@dataclass(frozen=True)
class Range:
    """Minimum, median and maximum, in cycles."""

    min: int
    median: float
    max: int

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> "Range":
        return cls(int(values.min()), float(np.median(values)), int(values.max()))


@dataclass(frozen=True)
class Mismatch:
    """One logit that differs: which event, which class, and the three integers."""

    event: int
    class_name: str
    rtl: int
    qonnx: int
    finn: int


@dataclass(frozen=True)
class Simulation:
    """What `icsort simulate` found. Latencies are the hardware's own counts; a cell without an event never triggered.

    accuracy, balanced_accuracy: of the labelled cells; None where there are none. events: of cells (cells_triggered)
    and of background (false_triggers); events_equal: those of which time, length and flags are the bit-true trigger's.
    features_compared: values, 0 where the build has none. last_line: the one with which an event ended, from its light
    on; negative where its decision needed no end. posterior_error: most by which the RTL's posterior differs
    from softmax(logit * scale / temperature); posterior_bound: what rounding can cost. cycles_per_cell: least distance
    of two decisions when cells came as densely as the trigger allows.
    """

    cells: int
    cells_triggered: int
    events: int
    false_triggers: dict[str, Any]
    events_equal: int
    logits_compared: int
    logits_equal: int
    features_compared: int
    features_equal: int
    decisions_compared: int
    decisions_equal: int
    posterior_error: float
    posterior_bound: float
    accuracy: float | None
    balanced_accuracy: float | None
    latency_cycles_first_pixel_to_decision: Range
    latency_cycles_last_pixel_to_decision: Range
    latency_cycles_last_line_to_decision: Range
    cycles_per_cell: int
    net_interval_cycles_predicted: int
    clock_target_mhz: float
    clock_is: str
    build_id: str
    simulated_cycles: int
    simulated_cycles_per_second: float
    first_latencies: list[int] = field(repr=False)
    last_latencies: list[int] = field(repr=False)
    last_line_latencies: list[int] = field(repr=False)
    mismatches: list[Mismatch] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every event, logit, feature, decision and posterior is what the references say."""
        return (
            self.events == self.events_equal
            and self.logits_compared == self.logits_equal
            and self.features_compared == self.features_equal
            and self.decisions_compared == self.decisions_equal
            and self.posterior_error <= self.posterior_bound
        )

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def every_other(manifest: Manifest) -> Program:
    """The gate of a simulation that is given none: the classes of `gate_classes`, sure by POSTERIOR, in direction 0."""
    return gate_engine.of_classes(gate_classes(manifest), posterior_threshold(POSTERIOR), len(manifest.classes))


def setup_frames(build: Build, program: Program | None = None) -> bytes:
    """Bytes for the board's receiver: trigger as the model package has it, the gates of a program or `every_other`,
    armed."""
    manifest = build.manifest
    gates = program or every_other(manifest)
    writes = [
        *FrontSettings.of(manifest, build.features > 0).writes(),
        ("RECORD_FIELDS", sum(Group)),
        *((SCHEDULE_WORDS[index], word) for index, word in SCHEDULE.words().items()),
        ("SCHEDULE_COMMIT", 1),
        *(write for word in gates.words().items() for write in zip(("GATE_INDEX", "GATE_DATA"), word, strict=True)),
        ("GATE_COMMIT", 1),
        ("HEARTBEAT", NO_HEARTBEAT),
        ("ARM", 1),
    ]
    # A host waits for each answer. A lone zero byte behind each request, no frame, leaves the answer its time.
    return b"".join(
        protocol.write_request(seq % 256, REGISTERS[name].address, value) + b"\0"
        for seq, (name, value) in enumerate(writes)
    )


def run_armed(
    build: Build,
    lines: NDArray[np.uint16],
    *,
    line_rate: float | None = None,
    program: Program | None = None,
    netlist: Sequence[Path] = (),
) -> BoardOutcome:
    """Send `setup_frames` to the board, then the lines, as `run_batch` does; the sorter has taken every setting.

    Raises IcsortError, also where a write was not acknowledged: the sorter would run by other settings than the model.
    """
    frames = setup_frames(build, program)
    outcome = run_batch(build, lines, frames, line_rate=line_rate, netlist=netlist)
    answers = [protocol.parse(payload) for payload in framing.Decoder().feed(outcome.uart)]
    written = [answer.seq for answer in answers if isinstance(answer, protocol.Answer) and answer.is_write]
    asked = len(framing.Decoder().feed(frames))
    if written != [seq % 256 for seq in range(asked)]:
        raise IcsortError(f"the board acknowledged {len(written)} of {asked} writes: its link's RTL is at fault")
    return outcome


def gate_classes(manifest: Manifest) -> int:
    """The class set of the simulated gate: every other class, so that posteriors tell something."""
    return index_mask(range(0, len(manifest.classes), 2))


@dataclass(frozen=True)
class Decided:
    """Records of which class, posterior and gates equal the bit-true engine's, and the distance to the softmax."""

    equal: int
    posterior_error: float


def compare_decisions(
    records: Sequence[protocol.EventRecord], manifest: Manifest, program: Program | None = None
) -> Decided:
    """Compare decisions with the bit-true gate engine, which has the package's constants, and with SciPy's softmax of
    the package's scale and temperature, which knows nothing of them. Features are those of the records."""
    logits = np.array([record.logits for record in records], np.int64)
    program, constants = program or every_other(manifest), manifest.posterior
    number = max((len(record.features) for record in records if record.features), default=0)
    values = gate_engine.values_of(
        logits,
        program,
        constants.multiplier,
        constants.shift,
        features=np.array([record.features or (0,) * number for record in records], np.int64),
        length=[record.length for record in records],
        interval=gate_engine.intervals([record.time for record in records]),
    )
    known = [gate_engine.VALUE_FEATURE + len(record.features or ()) for record in records]
    best = logits.argmax(axis=1)
    gates = gate_engine.evaluate(program, values, best, known).gates @ (1 << np.arange(len(program.gates)))
    posterior = values[:, gate_engine.VALUE_POSTERIOR]
    equal = [
        (record.class_index, record.posterior, record.gates) == expected
        for record, expected in zip(records, zip(best, posterior, gates, strict=True), strict=True)
    ]
    if not program.class_sets:
        return Decided(sum(equal), 0.0)
    mask = program.class_sets[0]
    wanted = [bool(mask >> c & 1) for c in range(len(manifest.classes))]
    scale = manifest.logits.scale / manifest.logits.temperature
    expected = softmax(logits * scale, axis=1)[:, wanted].sum(axis=1)
    posteriors = np.array([record.posterior for record in records]) / gate.POSTERIOR_ONE
    return Decided(sum(equal), float(np.abs(posteriors - expected).max(initial=0.0)))


def equal_features(records: Sequence[protocol.EventRecord], stream: Flow, build: Build) -> int:
    """How many values of the records are those of the bit-true features; 0 where the build has none."""
    if not build.features:
        return 0
    found, manifest = stream.events, build.manifest
    expected = features(manifest.corrected(stream.lines), found.first, found.last, manifest.feature_settings)
    return sum(
        sum(value == right for value, right in zip(record.features or (), row, strict=record.features is not None))
        for record, row in zip(records, expected.tolist(), strict=True)
    )


def line_times(lines: NDArray[np.int64], first_line: int, cycles_per_line: float) -> NDArray[np.int64]:
    """When the light of lines fell, in cycles, by their number."""
    return np.asarray(first_line + np.floor(lines * cycles_per_line), np.int64)


def equal_events(records: Sequence[protocol.EventRecord], stream: Flow, first_line: int, cycles_per_line: float) -> int:
    """How many records have time, length and flags of the bit-true trigger's events. first_line: when it fell."""
    found = stream.events
    times = line_times(found.trigger, first_line, cycles_per_line)
    expected = zip(times.tolist(), found.length.tolist(), found.flags.tolist(), strict=True)
    return sum(
        (record.time, record.length, int(record.flags)) == event
        for record, event in zip(records, expected, strict=True)
    )


def events(outcome: BoardOutcome) -> list[protocol.EventRecord]:
    """The events of a finished board, as its records state them before the link. Raises IcsortError where the UART sent
    others, or in another order; those that it had no time for are missing there."""
    payloads = framing.Decoder().feed(outcome.uart)
    made = iter(outcome.records)
    sent = [payload[framing.HEADER_BYTES :] for payload in payloads if payload[0] == framing.MessageType.EVENT]
    if not all(record in made for record in sent):
        raise IcsortError("the UART sent records that the sorter did not make: the link's RTL is at fault")
    header = bytes([framing.MessageType.EVENT, 0])
    parsed = (protocol.parse(header + record) for record in outcome.records)
    return [event for event in parsed if isinstance(event, protocol.EventRecord)]


def simulate(
    build: Build,
    cells: HeldOut,
    *,
    cells_per_second: float = CELLS_PER_SECOND,
    line_rate: float | None = None,
    arrivals: str = "even",
    seed: int = 0,
    program: Program | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Simulation:
    """Run cells through the RTL and compare with QONNX's and FINN's execution and with bit-true features and gates.

    The board is armed with a gate of every other class, or those of a program. cells_per_second: at the board's clock.
    line_rate: lines a second, None: without pause. progress: called with the name of each step before it runs. Raises
    IcsortError where the RTL does not see the events that the bit-true trigger sees, or the link sends other records.
    """
    manifest = build.manifest
    rate = build.clock_mhz * 1e6 / line_cycles(build, line_rate)
    stream = flow_past(build, cells, cells_per_second, line_rate, arrivals, seed)
    if not stream.of_cell.any():
        raise IcsortError("no cell triggers an event: these are not the cells that the model's trigger was set for")
    progress("compile the RTL")
    compile_board(build)
    progress(f"{len(stream.events)} cells through the RTL")
    outcome = run_armed(build, stream.lines, line_rate=line_rate, program=program)
    records = events(outcome)
    if len(records) != len(stream.events):
        raise IcsortError(
            f"the RTL decided {len(records)} events, the bit-true trigger finds {len(stream.events)}: "
            "the trigger's RTL is at fault"
        )
    progress("cells without pause through the RTL")
    dense = run_armed(build, dense_flow(cells.first(DENSE_CELLS), manifest).lines)
    spacing = np.diff([event.time + event.timing.first_pixel_to_decision for event in events(dense) if event.timing])
    progress("QONNX model")
    qonnx, _ = qonnx_logits(build, stream.pixels)
    progress("FINN's graph")
    finn = finn_logits(build, stream.pixels)
    rtl = np.array([record.logits for record in records], np.int64)

    equal = (rtl == qonnx) & (rtl == finn)
    mismatches = [
        Mismatch(int(event), manifest.classes[column], *(int(who[event, column]) for who in (rtl, qonnx, finn)))
        for event, column in np.argwhere(~equal)[:SHOWN_MISMATCHES]
    ]
    decided = compare_decisions(records, manifest, program)
    best = np.array([record.class_index for record in records])[stream.of_cell]
    timings = [record.timing for record in records if record.timing]
    first = np.array([timing.first_pixel_to_decision for timing in timings], np.int64)
    last = np.array([timing.last_pixel_to_decision for timing in timings], np.int64)
    decided_at = np.array([record.time for record in records], np.int64) + first
    ends = line_times(stream.events.end, outcome.summary["first_line"], line_cycles(build, line_rate))
    last_line = decided_at - ends
    truth = cells.labels[stream.cells[stream.of_cell]]
    best, truth = best[truth >= 0], truth[truth >= 0]
    return Simulation(
        cells=len(cells.images),
        cells_triggered=len(set(stream.cells[stream.of_cell].tolist())),
        events=len(records),
        false_triggers=stream.false_triggers.to_json(manifest.input.height, cells_per_second, rate),
        events_equal=equal_events(records, stream, outcome.summary["first_line"], line_cycles(build, line_rate)),
        logits_compared=rtl.size,
        logits_equal=int(equal.sum()),
        features_compared=len(records) * build.features,
        features_equal=equal_features(records, stream, build),
        decisions_compared=len(records),
        decisions_equal=decided.equal,
        posterior_error=decided.posterior_error,
        posterior_bound=gate.posterior_error(len(manifest.classes)),
        accuracy=float((best == truth).mean()) if len(truth) else None,
        balanced_accuracy=float(balanced_accuracy_score(truth, best)) if len(truth) else None,
        latency_cycles_first_pixel_to_decision=Range.of(first),
        latency_cycles_last_pixel_to_decision=Range.of(last),
        latency_cycles_last_line_to_decision=Range.of(last_line),
        cycles_per_cell=int(spacing.min()),
        net_interval_cycles_predicted=build.interval_cycles,
        clock_target_mhz=build.clock_mhz,
        clock_is=build.clock_is,
        build_id=build.build_id,
        simulated_cycles=outcome.summary["cycles"],
        simulated_cycles_per_second=outcome.summary["cycles"] / outcome.summary["seconds"],
        first_latencies=first.tolist(),
        last_latencies=last.tolist(),
        last_line_latencies=last_line.tolist(),
        mismatches=mismatches,
    )
