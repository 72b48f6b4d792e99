# SPDX-License-Identifier: Apache-2.0
"""RTL against references: cells through the whole sorter, every logit compared with QONNX's and FINN's execution."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from icsort.errors import IcsortError
from icsort.formats.background import CELLS_PER_SECOND
from icsort.formats.build import Build
from icsort.formats.gate import index_mask, posterior_threshold
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.host.link import protocol
from icsort.host.link.registers import REGISTERS
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.bit_true import framing, gate
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.simulate.lines import dense_flow, flow
from icsort.sim.verilator.board import BoardOutcome, compile_board, run_batch

DENSE_CELLS = 20
DROP_DELAY_CYCLES = 20_000  # long enough for every decision, short enough to simulate
PULSE_CYCLES = 100
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

    events: of cells (cells_triggered) and of background (false_triggers). posterior_error: most by which the RTL's
    posterior differs from softmax(logit * scale / temperature); posterior_bound: what rounding can cost.
    cycles_per_cell: least distance of two decisions when cells came as densely as the trigger allows.
    """

    cells: int
    cells_triggered: int
    events: int
    false_triggers: dict[str, Any]
    logits_compared: int
    logits_equal: int
    decisions_compared: int
    decisions_equal: int
    posterior_error: float
    posterior_bound: float
    accuracy: float
    balanced_accuracy: float
    latency_cycles_first_pixel_to_decision: Range
    latency_cycles_last_pixel_to_decision: Range
    cycles_per_cell: int
    net_interval_cycles_predicted: int
    clock_target_mhz: float
    build_id: str
    simulated_cycles: int
    simulated_cycles_per_second: float
    first_latencies: list[int] = field(repr=False)
    last_latencies: list[int] = field(repr=False)
    mismatches: list[Mismatch] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every logit, decision and posterior is what the references say."""
        return (
            self.logits_compared == self.logits_equal
            and self.decisions_compared == self.decisions_equal
            and self.posterior_error <= self.posterior_bound
        )

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def setup_frames(build: Build) -> bytes:
    """Bytes for the board's receiver: trigger as the model package has it, the gate of `gate_classes`, armed."""
    manifest = build.manifest
    mask = gate_classes(manifest)
    writes = {
        "TRIGGER_CHANNEL": manifest.trigger.channel,
        "TRIGGER_THRESHOLD": manifest.trigger.threshold,
        "DROP_DELAY": DROP_DELAY_CYCLES,
        "PULSE_CYCLES": PULSE_CYCLES,
        "GATE_CLASSES_LO": mask & 0xFFFFFFFF,
        "GATE_CLASSES_HI": mask >> 32,
        "GATE_POSTERIOR": posterior_threshold(POSTERIOR),
        "GATE_COMMIT": 1,
        "HEARTBEAT": NO_HEARTBEAT,
        "ARM": 1,
    }
    return b"".join(
        protocol.write_request(seq, REGISTERS[name].address, value) for seq, (name, value) in enumerate(writes.items())
    )


def gate_classes(manifest: Manifest) -> int:
    """The class set of the simulated gate: every other class, so that posteriors tell something."""
    return index_mask(range(0, len(manifest.classes), 2))


@dataclass(frozen=True)
class Decided:
    """Records of which class, posterior and rejection equal the bit-true gate's, and the distance to the softmax."""

    equal: int
    posterior_error: float


def compare_decisions(records: Sequence[protocol.EventRecord], manifest: Manifest) -> Decided:
    """Compare decisions with the bit-true gate, which has the package's constants, and with SciPy's softmax of the
    package's scale and temperature, which knows nothing of them."""
    logits = np.array([record.logits for record in records], np.int64)
    constants, mask = manifest.posterior, gate_classes(manifest)
    decisions = gate.decide(logits, mask, posterior_threshold(POSTERIOR), constants.multiplier, constants.shift)
    equal = [
        (record.class_index, record.posterior, record.outcome is Outcome.REJECTED) == (best, posterior, not passes)
        for record, passes, best, posterior in zip(records, *(values.tolist() for values in decisions), strict=True)
    ]
    wanted = [bool(mask >> c & 1) for c in range(len(manifest.classes))]
    scale = manifest.logits.scale / manifest.logits.temperature
    expected = softmax(logits * scale, axis=1)[:, wanted].sum(axis=1)
    posteriors = np.array([record.posterior for record in records]) / gate.POSTERIOR_ONE
    return Decided(sum(equal), float(np.abs(posteriors - expected).max(initial=0.0)))


def events(outcome: BoardOutcome) -> list[protocol.EventRecord]:
    """The events of a finished board, as they left its UART. Raises IcsortError where its records are others."""
    payloads = framing.Decoder().feed(outcome.uart)
    received = [payload for payload in payloads if payload[0] == framing.MessageType.EVENT]
    if [payload[framing.HEADER_BYTES :] for payload in received] != outcome.records:
        raise IcsortError(
            f"{len(outcome.records)} events were decided, {len(received)} of their records left the UART: cells come "
            "faster than the link carries records, so lower --rate or compile for a board with a faster one"
        )
    return [event for event in map(protocol.parse, received) if isinstance(event, protocol.EventRecord)]


def simulate(
    build: Build,
    cells: HeldOut,
    *,
    cells_per_second: float = CELLS_PER_SECOND,
    line_gap: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Simulation:
    """Run cells through the RTL and compare with QONNX's and FINN's execution and with the bit-true gate.

    The board is armed with a gate of every other class. cells_per_second: at the board's clock. line_gap: idle cycles
    behind each line. progress: called with the name of each step before it runs. Raises IcsortError where the RTL does
    not see the events that the bit-true trigger sees, or the link cannot carry their records.
    """
    manifest = build.manifest
    stream = flow(cells, manifest, build.clock_mhz * 1e6 / cells_per_second)
    if not stream.of_cell.any():
        raise IcsortError("no cell triggers an event: these are not the cells that the model's trigger was set for")
    progress("compile the RTL")
    compile_board(build)
    progress(f"{len(stream.starts)} cells through the RTL")
    outcome = run_batch(build, stream.lines, setup_frames(build), line_gap=line_gap)
    records = events(outcome)
    if len(records) != len(stream.starts):
        raise IcsortError(
            f"the RTL decided {len(records)} events, the bit-true trigger finds {len(stream.starts)}: "
            "the trigger's RTL is at fault"
        )
    progress("cells without pause through the RTL")
    dense = run_batch(build, dense_flow(cells.first(DENSE_CELLS), manifest).lines, setup_frames(build))
    spacing = np.diff([event.time + event.first_pixel_to_decision for event in events(dense)])
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
    decided = compare_decisions(records, manifest)
    best = np.array([record.class_index for record in records])[stream.of_cell]
    first = np.array([record.first_pixel_to_decision for record in records], np.int64)
    last = np.array([record.last_pixel_to_decision for record in records], np.int64)
    truth = cells.labels[stream.cells[stream.of_cell]]
    return Simulation(
        cells=len(cells.images),
        cells_triggered=len(set(stream.cells[stream.of_cell].tolist())),
        events=len(records),
        false_triggers=stream.false_triggers.to_json(
            manifest.input.height, cells_per_second, build.clock_mhz * 1e6 / manifest.line.width
        ),
        logits_compared=rtl.size,
        logits_equal=int(equal.sum()),
        decisions_compared=len(records),
        decisions_equal=decided.equal,
        posterior_error=decided.posterior_error,
        posterior_bound=gate.posterior_error(len(manifest.classes)),
        accuracy=float((best == truth).mean()),
        balanced_accuracy=float(balanced_accuracy_score(truth, best)),
        latency_cycles_first_pixel_to_decision=Range.of(first),
        latency_cycles_last_pixel_to_decision=Range.of(last),
        cycles_per_cell=int(spacing.min()),
        net_interval_cycles_predicted=build.interval_cycles,
        clock_target_mhz=build.clock_mhz,
        build_id=build.build_id,
        simulated_cycles=outcome.summary["cycles"],
        simulated_cycles_per_second=outcome.summary["cycles"] / outcome.summary["seconds"],
        first_latencies=first.tolist(),
        last_latencies=last.tolist(),
        mismatches=mismatches,
    )
