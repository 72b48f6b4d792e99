# SPDX-License-Identifier: Apache-2.0
"""The acceptance test of a board: known cells through its line source, and all that it says of them compared.

It arms nothing, so no sort output moves. What it changes is put back, also where it is interrupted: the gate set in
force, and which fields records have. The settings of the package stay in force, as `icsort play` leaves them; arming
loads its own.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.host.images import Image, ImageAssembler
from icsort.host.line_source import LineSource
from icsort.host.link.protocol import EventRecord, ImagePiece
from icsort.host.link.registers import REGISTERS
from icsort.host.settings import FrontSettings
from icsort.host.sorter import FAULT_CAUSES, Identity, Sorter, build_key
from icsort.sim.bit_true.scheduler import Outcome

if TYPE_CHECKING:  # the command line starts without numpy and pydantic
    import numpy as np
    from numpy.typing import NDArray

    from icsort.formats.board import GateEngine
    from icsort.formats.build import Build
    from icsort.formats.compile_gate import Compiled
    from icsort.formats.gate_set import GateSet
    from icsort.formats.known import Known, Played
    from icsort.formats.package import Manifest
    from icsort.report.page import Page

JSON_FILE: Final = "selftest.json"
ROUND_TRIPS: Final = 100
PLAYS: Final = 2
"""Of each cell, one after the other: the board must say the same of each."""
SILENCE: Final = 5.0
"""Seconds without an event and without a piece of an image after which none is waited for."""
PATTERNS: Final = (0x55555555, 0xAAAAAAAA)
LATER: Final = 1.1
"""By which an event may be decided later than `icsort.formats.latency` says, which is not exact."""
POSTERIOR: Final = 0.5
"""Of the test's own gates."""
UNCOUNTED: Final = ("LINK_GOOD_FRAMES", "STATISTICS_LOST", "IMAGES_SKIPPED")
"""Counters that may move: of what was asked, and of what others asked for."""
FIRST_LINE: Final = "LINE_GAPS"
"""The counter of lines that do not follow the line before: the first one that is played need not."""
REPORT: Final = "load the bitstream again (`icsort program`); where that does not help, report it with this page"
CABLE: Final = "look after cable, USB hub and power, then test again"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Step:
    """One thing that was looked at. told: for people, its figures, or what differs and what to do about it."""

    name: str
    passed: bool
    told: str
    figures: dict[str, Any]


@dataclass
class _Comparison:
    """Values of the board against those expected. first: the first one that differs, in words."""

    compared: int = 0
    equal: int = 0
    first: str = ""

    def see(self, where: str, found: object, expected: object) -> None:
        self.compared += 1
        self.equal += found == expected
        if found != expected and not self.first:
            self.first = f"{where}: {found}, expected {expected}"

    def step(self, name: str, what: str, remedy: str = REPORT) -> Step:
        """Passed where there was something to compare and all of it was equal."""
        passed = 0 < self.compared == self.equal
        told = f"{self.equal:,} of {self.compared:,} {what} equal"
        if not passed:
            told += f"; {self.first or 'there was nothing to compare'}; {remedy}"
        return Step(name, passed, told, {"compared": self.compared, "equal": self.equal, "first": self.first})


@dataclass(frozen=True)
class _Cell:
    """One known cell: what it must give, and what the board sent. features: (F,), F = 0 where the build has none."""

    index: int
    front: "Played"
    features: "NDArray[np.int64]"
    logits: "NDArray[np.int64]"
    events: list[EventRecord] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    @property
    def shown(self) -> list[Image]:
        """Images of its first event: the one that was asked for. Others are somebody else's."""
        return [image for image in self.images if self.events and image.event_id == self.events[0].event_id]


class _EndedError(Exception):
    """A step failed behind which no other makes sense."""


def check_fit(sorter: Sorter, build: "Build", gates: "GateSet | None") -> Identity:
    """Raises IcsortError for a board that is armed, and for one of another build, network, geometry, clock or, where
    one is given, gate set, with what would fit. Changes nothing."""
    try:
        board = sorter.check_model(build.manifest, build.build_id)
    except IcsortError as error:
        fitting = _build_of(build.folder, sorter.identify().build_id)
        raise IcsortError(f"{error}{f' ({fitting})' if fitting else ''}") from None
    port, clock_hz = sorter.port, round(build.clock_mhz * 1e6)
    if board.clock_hz != clock_hz:
        raise IcsortError(
            f"{port}: the board says its clock is {board.clock_hz:,} Hz, the build is for {clock_hz:,}; program the "
            "board with this build"
        )
    if sorter.has_features(build.manifest) != (build.features > 0):
        raise IcsortError(f"{port}: board and build do not agree on features; program the board with this build")
    status = sorter.status()
    if status.armed or status.testing:
        raise IcsortError(
            f"{port}: the board is {'armed' if status.armed else 'in test mode'}, and a self-test would take its "
            "events; see that nobody sorts, then `icsort disarm`"
        )
    if gates is not None:
        from icsort.formats.compile_gate import compile_gate

        wanted = compile_gate(gates, sorter.gate_values(build.manifest)).identity
        if not status.gate_valid:
            raise IcsortError(
                f"{port}: no gate set is in force; put {wanted} in force with `icsort gate set`, or leave out --gates"
            )
        if (in_force := sorter.gate().identity) != wanted:
            raise IcsortError(
                f"{port}: gate set {in_force} is in force, the file is {wanted}; put it in force with `icsort gate "
                "set`, give the file of the one that is, or leave out --gates to test with gates of the test's own"
            )
        sorter.check_gates(gates, build.manifest)
    return board


def _build_of(folder: Path, build_id: str) -> str:
    """Which folder beside this one is that build, in words; empty where none is."""
    for other in sorted(folder.resolve().parent.iterdir()):
        with contextlib.suppress(IcsortError, OSError):
            key = build_key(other)
            if key is not None and key[0] == build_id:
                return f"{folder.parent / other.name} is that build"
    return ""


def own_gates(manifest: "Manifest", cells: "Sequence[_Cell]", engine: "GateEngine") -> "GateSet":
    """Gates of all kinds that split these cells: each of the first classes in a direction of its own, or the greater
    half of each of the first values, as many as the board's gate engine leaves room for; one by the length of events,
    one by a feature, one by a polygon without an ellipse in it."""
    import numpy as np

    from icsort.formats import gate_set as form
    from icsort.formats.recording import LENGTH, output_names
    from icsort.sim.bit_true import features, gate_engine

    def drawn(column: int) -> tuple[form.Axis, float, float]:
        """Axis of an output, the middle of the cells on it, and how far they reach from there."""
        unit = manifest.unit_values[column]
        places = np.array([cell.logits[column] for cell in cells]) * unit
        reach = max(unit / manifest.logits.scale, float(np.ptp(places)) / 2)
        return form.Axis(value=output_names(manifest)[column]), float(np.median(places)), reach

    room = min(engine.tests - 4, engine.gates - 3)  # beside those of no class, below
    classes = manifest.classes[: max(1, min(gate_engine.DIRECTIONS, gate_engine.CLASS_SETS, room))]
    (x, middle_x, wide), (y, middle_y, high) = drawn(0), drawn(min(1, len(manifest.classes) - 1))
    corners = ((middle_x - wide, middle_y - high), (middle_x + wide, middle_y - high), (middle_x, middle_y + high))
    lengths = [int(cell.front.events.length[0]) for cell in cells]
    tests: list[form.AnyTest] = [
        form.RangeTest(name=f"sure {index}", kind="range", x=form.Bounds(value=name, min=drawn(index)[1]))
        if manifest.values
        else form.ClassTest(name=f"sure {index}", kind="class", classes=(name,), posterior=POSTERIOR)
        for index, name in enumerate(classes)
    ]
    tests += [
        form.RangeTest(name="long", kind="range", x=form.Bounds(value=LENGTH, min=float(np.median(lengths)))),
        form.PolygonTest(name="triangle", kind="polygon", x=x, y=y, corners=corners),
        form.EllipseTest(
            name="round", kind="ellipse", x=x, y=y, center=(middle_x, middle_y), radii=(wide / 2, high / 2), angle=30
        ),
    ]
    gates = [form.GateSpec(name=f"class {index}", all=(f"sure {index}",)) for index in range(len(classes))]
    gates += [form.GateSpec(name="tall", all=("long",)), form.GateSpec(name="ring", all=("triangle", "not round"))]
    if len(cells[0].features):
        name = features.names(manifest.channels)[0]
        unit = float(features.scales(len(manifest.channels))[0])
        middle = float(np.median([cell.features[0] for cell in cells])) * unit
        tests.append(form.RangeTest(name="large", kind="range", x=form.Bounds(value=name, min=middle)))
        gates.append(form.GateSpec(name="wide", any=("large",)))
    directions = tuple(form.Direction(output=index, gate=f"class {index}") for index in range(len(classes)))
    return form.GateSet(name="self-test", tests=tuple(tests), gates=tuple(gates), directions=directions)


def no_gates() -> "GateSet":
    """A gate set that wishes nothing: no event is shorter than a line."""
    from icsort.formats import gate_set as form
    from icsort.formats.recording import LENGTH

    return form.GateSet(
        name="nothing",
        tests=(form.RangeTest(name="none", kind="range", x=form.Bounds(value=LENGTH, max=0)),),
        gates=(form.GateSpec(name="nothing", all=("none",)),),
        directions=(form.Direction(output=0, gate="nothing"),),
    )


class SelfTest:
    """The test of one board. steps: what was looked at so far; left: what the board was left with, in words.

    gates: the set that must be in force; None: gates of the test's own, in its place while it runs.
    """

    def __init__(
        self,
        sorter: Sorter,
        build: "Build",
        known: "Known",
        gates: "GateSet | None" = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        import numpy as np

        from icsort.formats.known import played
        from icsort.sim.bit_true.features import features

        self.steps: list[Step] = []
        self.left: list[str] = []
        self._sorter, self._build, self._known = sorter, build, known
        self._manifest = manifest = build.manifest
        self._gates = gates
        self._progress = progress
        self._compiled: Compiled | None = None
        self._serial = 0  # of the gate set that decides
        self._gap = max(build.line_cycles, build.line_beats)  # cycles from one line to the next
        self._cells: list[_Cell] = []
        for index, lines in enumerate(known.lines):
            front = played(lines, manifest)
            assert front is not None  # as `known.load` has seen
            found = front.events
            values = np.zeros(0, np.int64)
            if build.features:
                values = features(front.lines, found.first, found.last, manifest.feature_settings)[0]
            self._cells.append(_Cell(index, front, values, known.logits[index]))

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(step.passed for step in self.steps)

    def run(self) -> dict[str, Any]:
        """Do it all. Returns the figures. Raises IcsortError as `check_fit` does, where another program has armed the
        board, and where the link is lost."""
        begun = datetime.now().astimezone()
        board = check_fit(self._sorter, self._build, self._gates)
        self._sorter.claim()
        try:
            with contextlib.suppress(_EndedError), self._kept():
                self._identity(board)
                self._link()
                self._registers()
                self._front()
                self._gate_set()
                before = self._play()
                self._compare()
                self._counters(before)
        finally:
            self._sorter.release()
        return self._document(begun, board)

    # Steps, in their order

    def _identity(self, board: Identity) -> None:
        manifest = self._manifest
        ids = {"build_id": board.build_id, "network_id": board.network_id, "model_id": manifest.model_id}
        told = f"build {board.build_id}, network {board.network_id}, {board.clock_hz / 1e6:g} MHz"
        self.steps.append(Step("identity", True, told, {**ids, "clock_hz": board.clock_hz}))

    def _link(self) -> None:
        retries, bad = self._sorter.retries, self._sorter.losses.bad_frames
        took = []
        for _ in range(ROUND_TRIPS):
            begun = time.perf_counter()
            self._sorter.read("MAGIC")
            took.append(1e3 * (time.perf_counter() - begun))
        figures = {
            "round_trips": ROUND_TRIPS,
            "mean_ms": sum(took) / ROUND_TRIPS,
            "most_ms": max(took),
            "baud": self._build.baud,
            "repeated": self._sorter.retries - retries,
            "bad_frames": self._sorter.losses.bad_frames - bad,
        }
        passed = not figures["repeated"] and not figures["bad_frames"]
        told = f"{ROUND_TRIPS} round trips, {figures['mean_ms']:.2f} ms each, {figures['most_ms']:.2f} ms at most"
        if not passed:
            told += f"; {figures['repeated']} requests repeated, {figures['bad_frames']} bad frames; {CABLE}"
        self.steps.append(Step("link", passed, told, figures))

    def _registers(self) -> None:
        """Patterns in the registers that hold nothing until FRONT_COMMIT, which the next step writes and commits."""
        compared = _Comparison()
        names = list(FrontSettings.of(self._manifest, self._build.features > 0).registers)
        masks = {
            name: sum(((1 << field.bits) - 1) << field.low for field in REGISTERS[name].fields.values())
            for name in names
        }
        for pattern in PATTERNS:
            written = {name: (pattern ^ index * 0x01010101) & masks[name] for index, name in enumerate(names)}
            with self._sorter.turn():
                for name, value in written.items():
                    self._sorter.write(name, value)
                for name, value in written.items():
                    compared.see(name, f"{self._sorter.read(name):#010x}", f"{value:#010x}")
        self.steps.append(compared.step("registers", "words"))

    def _front(self) -> None:
        settings = FrontSettings.of(self._manifest, self._build.features > 0)
        words = len(settings.registers) + sum(map(len, settings.tables.values()))
        with self._failing("front settings"):
            self._sorter.set_front(self._manifest)
        told = f"{words} words of trigger, window, preprocessing, features and calibration kept"
        self.steps.append(Step("front settings", True, told, {"words": words}))
        self.left.append(f"settings of model {self._manifest.model_id} in force; arming loads its own")

    def _gate_set(self) -> None:
        from icsort.formats.compile_gate import compile_gate

        source = self._gates or own_gates(self._manifest, self._cells, self._build.gate_engine)
        with self._failing("gate set"):
            self._compiled = compile_gate(source, self._sorter.gate_values(self._manifest))
            if self._gates is None:
                self._progress("gate set", 0, 0)
                self._sorter.set_gates(source, self._manifest)
            self._serial = self._sorter.read("GATE_SERIAL")
            self._sorter.set_record(self._build.features > 0)
        whose = "of the file" if self._gates else "of the test's own"
        told = f"{len(self._compiled.words)} words of {self._compiled.identity}, {whose}, kept"
        figures = {"identity": self._compiled.identity, "words": len(self._compiled.words), "own": self._gates is None}
        self.steps.append(Step("gate set", True, told, figures))

    def _play(self) -> dict[str, int]:
        """Store and play each cell, and keep what comes of it. Returns the counters from before."""
        gap = self._gap
        with self._failing("line source"), LineSource(self._sorter) as source:
            for _ in self._sorter.events(idle=0):
                pass  # of what was there before
            before = self._sorter.counters()
            for cell in self._cells:
                lines = self._known.lines[cell.index]

                def told(done: int, step: str = f"cell {cell.index}", total: int = len(lines)) -> None:
                    self._progress(step, done, total)

                source.store(lines, told)
                assembler = ImageAssembler(self._known.pixels[cell.index].size)
                self._sorter.request_image()
                for play in range(PLAYS):
                    source.play(gap)
                    self._listen(cell, assembler, play + 1)
        samples = sum(lines.size for lines in self._known.lines)
        told_lines = f"{len(self._cells)} cells, {samples:,} samples, a line each {gap} cycles"
        self.steps.append(Step("line source", True, told_lines, {"samples": samples, "cycles_per_line": gap}))
        return before

    def _listen(self, cell: _Cell, assembler: ImageAssembler, events: int) -> None:
        """Take what comes until so many events and an image are there, or nothing of them comes any more."""
        last = time.monotonic()
        for message in self._sorter.events():
            if isinstance(message, EventRecord):
                cell.events.append(message)
            elif isinstance(message, ImagePiece) and (image := assembler.see(message)):
                cell.images.append(image)
            if isinstance(message, EventRecord | ImagePiece):
                last = time.monotonic()
            if (len(cell.events) >= events and cell.shown) or time.monotonic() - last > SILENCE:
                return

    def _counters(self, before: dict[str, int]) -> None:
        after, compared = self._sorter.counters(), _Comparison()
        events = PLAYS * len(self._cells)
        expected = {"ACCEPTED": events, "DISARMED": events}
        for name in before:
            moved = (after[name] - before[name]) % 2**32
            if name not in (*UNCOUNTED, "TIMESTAMP") and not (name == FIRST_LINE and moved == 1):
                compared.see(name, moved, expected.get(name, 0))
        losses = self._sorter.losses
        lost = {"events": losses.events, "bad frames": losses.bad_frames, "restarts": losses.restarts}
        for what, number in lost.items():
            compared.see(f"{what} told by gaps of what was received", number, 0)
        self.steps.append(compared.step("counters", "counters", CABLE if any(lost.values()) else REPORT))
        faults, status = self._sorter.faults(), self._sorter.status()
        wrong = [name for name in faults if name != "interlock"]
        told = f"none; interlock {'closed' if status.interlock else 'open, which keeps the board from being armed'}"
        if wrong:
            told = "; ".join(f"{name}: {FAULT_CAUSES[name]}" for name in wrong)
        elif faults and status.interlock:
            told += ", and was open, a fault until it is cleared (`icsort arm --clear-faults`)"
        self.steps.append(Step("faults", not wrong, told, {"faults": faults, "interlock": status.interlock}))

    # What the board said of the cells

    def _compare(self) -> None:
        import numpy as np

        from icsort.formats.recording import output_names
        from icsort.sim.bit_true import features as event_features

        manifest = self._manifest
        events, images, logits, numbers = _Comparison(), _Comparison(), _Comparison(), _Comparison()
        names = event_features.names(manifest.channels)
        for cell in self._cells:
            found, where = cell.front.events, f"cell {cell.index}"
            events.see(f"{where}, events", len(cell.events), PLAYS)
            images.see(f"{where}, images of its first event", len(cell.shown), 1)
            for image in cell.shown:
                pixels = np.frombuffer(image.pixels, np.uint8).reshape(manifest.input.shape)
                for place in np.ndindex(pixels.shape):
                    row, column, channel = place
                    spot = f"{where}, row {row}, column {column}, {manifest.channels[channel]}"
                    images.see(spot, int(pixels[place]), int(cell.front.pixels[place]))
            for play, event in enumerate(cell.events):
                spot = f"{where}, play {play}"
                events.see(f"{spot}, lines", event.length, int(found.length[0]))
                events.see(f"{spot}, flags", int(event.flags), int(found.flags[0]))
                _each(logits, spot, output_names(manifest), event.logits, cell.logits.tolist())
                if self._build.features:
                    _each(numbers, spot, names, event.features, cell.features.tolist())
        self.steps += [events.step("events", "counts, lengths, flags"), images.step("images", "pixels")]
        self.steps.append(logits.step("logits", "logits"))
        if self._build.features:
            self.steps.append(numbers.step("features", "features"))
        self.steps += [self._decisions(), self._latency()]

    def _decisions(self) -> Step:
        """Class, posterior, gates and outcome of each event, by the bit-true engine on what must be. Of a board that is
        not armed no record has a direction."""
        import numpy as np

        from icsort.sim.bit_true import gate_engine as engine

        assert self._compiled is not None
        program, constants = self._compiled.program, self._manifest.posterior
        compared = _Comparison()
        told = [(cell, play, event) for cell in self._cells for play, event in enumerate(cell.events)]
        if told:
            best = np.array([cell.logits.argmax() for cell, _, _ in told])
            numbers = np.array([cell.features for cell, _, _ in told])
            values = engine.values_of(
                np.array([cell.logits for cell, _, _ in told]),
                program,
                constants.multiplier,
                constants.shift,
                features=numbers,
                length=[int(cell.front.events.length[0]) for cell, _, _ in told],
                interval=engine.intervals([event.time for _, _, event in told]),
            )
            gated = engine.evaluate(program, values, best, engine.VALUE_FEATURE + numbers.shape[1])
            gates = gated.gates @ (1 << np.arange(len(program.gates)))
            # How long before the first event another one came, on which gates may look, nobody knows.
            used = {axis.value for test in program.tests for axis in (test.x, test.y)}
            unknown = engine.VALUE_INTERVAL in used
            for index, (cell, play, event) in enumerate(told):
                spot = f"cell {cell.index}, play {play}"
                compared.see(f"{spot}, class", event.class_index, int(best[index]))
                compared.see(f"{spot}, posterior", event.posterior, int(values[index, engine.VALUE_POSTERIOR]))
                if index or not unknown:
                    compared.see(f"{spot}, gates", f"{event.gates:#x}", f"{int(gates[index]):#x}")
                compared.see(f"{spot}, direction", event.direction, None)
                compared.see(f"{spot}, outcome", event.outcome.name, Outcome.DISARMED.name)
        return compared.step("decisions", "classes, posteriors, gates, outcomes")

    def _latency(self) -> Step:
        """Cycles to the decision: the same of each play of a cell, and at most LATER times those predicted."""
        from icsort.formats.latency import Latency

        assert self._compiled is not None
        program, gap = self._compiled.program, self._gap
        model = Latency.of(self._build, len(program.tests) + len(program.gates))
        compared, first, last, predicted = _Comparison(), list[int](), list[int](), list[int]()
        for cell in self._cells:
            found = cell.front.events
            begin = int(found.trigger[0]) - self._manifest.event_trigger.pre_lines
            accepted, end = (int(line - begin) * gap for line in (found.accepted[0], found.end[0]))
            expected = model.decided(accepted + model.line, end)
            for play, event in enumerate(cell.events):
                spot, before = f"cell {cell.index}, play {play}", cell.events[0].timing
                timing = event.timing
                compared.see(f"{spot}, cycles stated", timing is not None, True)
                if timing is None or before is None:
                    continue
                took = timing.first_pixel_to_decision
                compared.see(f"{spot}, first pixel to decision, cycles", took, before.first_pixel_to_decision)
                last_took, last_before = timing.last_pixel_to_decision, before.last_pixel_to_decision
                compared.see(f"{spot}, last pixel to decision, cycles", last_took, last_before)
                most = round(LATER * expected)
                compared.see(f"{spot}, first pixel to decision, more than {most} cycles", max(took - most, 0), 0)
                compared.see(f"{spot}, gate serial", timing.gate_serial, self._serial)
                first.append(took)
                last.append(last_took)
                predicted.append(expected)
        step = compared.step("cycles", "figures")
        if not first:
            return step
        figures = {
            "first_pixel_to_decision": {"min": min(first), "max": max(first)},
            "last_pixel_to_decision": {"min": min(last), "max": max(last)},
            "predicted": {"min": min(predicted), "max": max(predicted)},
        }
        us = max(first) / self._build.clock_mhz
        told = f"{max(first):,} from the first pixel to the decision at most, {us:.2f} us; predicted {max(predicted):,}"
        return Step("cycles", step.passed, f"{told}; {step.told}", step.figures | figures)

    # What holds it together

    @contextlib.contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        """What the board refuses, or does not keep, fails this step and ends the test. So does a link that is lost,
        through which nothing can be put back, so that `run` raises."""
        try:
            yield
        except IcsortError as error:
            self.steps.append(Step(name, False, str(error), {}))
            raise _EndedError from None

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Behind this block records have the fields that they had, and the gate set is in force that was."""
        sorter = self._sorter
        fields, serial = sorter.read("RECORD_FIELDS"), sorter.read("GATE_SERIAL")
        gate = sorter.gate() if sorter.status().gate_valid else None
        try:
            yield
        finally:
            sorter.write_checked("RECORD_FIELDS", fields)
            if sorter.read("GATE_SERIAL") == serial:
                self.left.append("the gate set as it was")
            elif gate is None:
                sorter.set_gates(no_gates(), self._manifest)
                self.left.append("a gate set in force that wishes nothing, as none was before: `icsort gate set`")
            else:
                sorter.write("GATE_COMMIT", 1)  # the set before is the one that was to be written
                if (back := sorter.gate().identity) != gate.identity:
                    raise IcsortError(
                        f"{sorter.port}: gate set {gate.identity} was in force and is not any more, but {back}; set it "
                        "again with `icsort gate set`"
                    )
                self.left.append(f"gate set {gate.identity} in force again")

    def _document(self, begun: datetime, board: Identity) -> dict[str, Any]:
        from icsort import __version__

        return {
            "passed": self.passed,
            "begun": begun.isoformat(timespec="seconds"),
            "icsort": __version__,
            "port": self._sorter.port,
            "board": {**vars(board), "settings_id": self._sorter.settings_id()},
            "build": {"name": self._build.name, "board": self._build.board, "part": self._build.part},
            "steps": [vars(step) for step in self.steps],
            "events": [
                {
                    "cell": cell.index,
                    "class": self._manifest.classes[event.class_index],
                    "posterior": event.posterior / 2**16,
                    "gates": event.gates,
                    "lines": event.length,
                    "first_pixel_to_decision": event.timing.first_pixel_to_decision if event.timing else None,
                    "last_pixel_to_decision": event.timing.last_pixel_to_decision if event.timing else None,
                }
                for cell in self._cells
                for event in cell.events
            ],
            "left": self.left,
        }


def _each(
    compared: _Comparison, where: str, names: Sequence[str], found: Sequence[int] | None, expected: Sequence[int]
) -> None:
    """Each value of a list by its name; of one that is missing or of another length, that."""
    if found is None or len(found) != len(expected):
        compared.see(f"{where}, values", None if found is None else len(found), len(expected))
        return
    for name, value, right in zip(names, found, expected, strict=True):
        compared.see(f"{where}, {name}", value, right)


def page(document: dict[str, Any]) -> "Page":
    """For people, and for the folder of the board's papers."""
    from icsort.report.page import Page, Section, Tile

    board, steps = document["board"], document["steps"]
    result = "passed" if document["passed"] else "FAILED"
    rows = [
        ["port", document["port"]],
        ["board", f"{document['build']['board']} ({document['build']['part']})"],
        ["build id", board["build_id"]],
        ["model", f"{document['build']['name']}, {board['model_id']}"],
        ["network id", board["network_id"]],
        ["settings in force", board["settings_id"]],
        ["classes, channels", f"{board['classes']}, {board['channels']}"],
        ["window", f"{board['height']} x {board['width']}"],
        ["clock", f"{board['clock_hz'] / 1e6:g} MHz"],
        ["icsort", document["icsort"]],
    ]
    events = [
        [
            str(event["cell"]),
            event["class"],
            f"{event['posterior']:.4f}",
            f"{event['gates']:#x}",
            str(event["lines"]),
            *("–" if event[key] is None else f"{event[key]:,}" for key in CYCLES),
        ]
        for event in document["events"]
    ]
    sections = [
        Section(
            "Steps", "Each value of the board against the one that the package gives; the first that differs is named.",
            head=("step", "result", "figures"),
            rows=[[step["name"], "passed" if step["passed"] else "FAILED", step["told"]] for step in steps],
        ),
        Section("Board", "What it says it is.", head=("", ""), rows=rows),
        Section(
            "Events", "Each known cell, as often as it was played. Cycles are those to the decision.",
            head=("cell", "class", "posterior", "gates", "lines", "from the first pixel", "from the last pixel"),
            rows=events,
        ),
        Section(
            "What this does not show", "Nothing was armed: no sort output moved, no record told a direction, and "
            "interlock, heartbeat and drop clock were not tried. Lines came from the board's own memory, not from the "
            f"instrument's connector. The board was left with {'; '.join(document['left'])}.",
        ),
    ]  # fmt: skip
    tiles = [
        Tile(result, "self-test", "good" if document["passed"] else "bad"),
        Tile(f"{sum(step['passed'] for step in steps)} of {len(steps)}", "steps passed"),
        Tile(f"{len(events)}", "events"),
    ]
    failed = [f"{step['name']}: {step['told']}" for step in steps if not step["passed"]]
    return Page(f"Self-test of {board['build_id']}: {result}", document["begun"], sections, tiles, failed)


CYCLES: Final = ("first_pixel_to_decision", "last_pixel_to_decision")


def write_report(document: dict[str, Any], folder: Path) -> None:
    """report.html and selftest.json into a folder."""
    from icsort.report.page import write

    write(folder, page(document), JSON_FILE, document)
