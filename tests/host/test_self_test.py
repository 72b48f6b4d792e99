# SPDX-License-Identifier: Apache-2.0
"""The self-test against a board that says all that it should, and one thing that it should not.

tests/sim/verilator/test_board.py runs it against the RTL.
"""

import json
import shutil
import struct
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import event_record, gate_set, known
from icsort.formats import package as packages
from icsort.formats.acquisition import InputSpec, LineSpec, TriggerSpec
from icsort.formats.board import GateEngine
from icsort.formats.build import BUILD_FILE, FILE_LIST, GRAPH_FILE, Build, FoldingSearch, load_build
from icsort.formats.compile_gate import board_values, compile_gate
from icsort.formats.netlist import Netlist
from icsort.host import self_test
from icsort.host.link.registers import REGISTERS
from icsort.host.self_test import PLAYS, SelfTest
from icsort.host.sorter import Sorter
from icsort.sim.bit_true import features, gate_engine
from tests.host import fake_board
from tests.host.commands.test_board_commands import icsort, refusal
from tests.host.fake_board import FakeBoard, pieces_of
from tests.host.recordings import MODEL, example

CELLS, LIT = 3, 4
SPACE = 50_000  # cycles between events, more than the gate that looks at it asks for
DISARMED = 0x90
BUILD_ID = "0123456789abcdef"
GATES = """
format = "icsort-gate-set"
version = 1
tests = [
    {name = "sure", kind = "class", classes = ["S", "M"], posterior = 0.5},
    {name = "late", kind = "range", x = {value = "time since the event before", min = 300}},
]
gates = [{name = "left", all = ["sure"]}, {name = "spaced", all = ["late"]}]
directions = [{output = 3, gate = "left"}]
"""


def small() -> packages.Manifest:
    """The example with few pixels, so that lines are soon stored."""
    kept = {name: value for name, value in example() if name != "model_id"}
    shape = {
        "input": InputSpec(height=6, width=4, channels=2),
        "line": LineSpec(width=6, x_offset=1),
        "trigger": TriggerSpec(
            weights=(0, 1), on=800, off=700, end_lines=3, min_lines=2, max_lines=20, pre_lines=1, post_lines=1
        ),
    }
    return packages.Manifest(**(kept | shape))


def write_build(folder: Path, build_id: str = BUILD_ID) -> Build:
    """A build folder of `small` without RTL, and known cells with logits that were drawn."""
    manifest = small()
    folder.mkdir(exist_ok=True)
    (folder / packages.MODEL_FILE).write_bytes(MODEL)
    packages.save(manifest, folder)
    for name in (GRAPH_FILE, FILE_LIST):
        (folder / name).write_text("")
    build = Build(
        folder=folder, manifest=manifest, build_id=build_id, model_id=manifest.model_id, name="small", board="desk",
        part="none", budget={"LUT": 1, "DSP": 1, "BRAM_18K": 1, "URAM": 0}, budget_is="for comparison", fill=1.0,
        all_in=False, clock_mhz=100.0, clock_is="target", baud=4_000_000, clks_per_bit=25, pixels_per_beat=1,
        line_pixels=1, features=features.count(2), ring_lines=256, logit_bits=20, logit_scale=0.0093,
        net_latency_cycles=300, last_pixel_latency_cycles=90, interval_cycles=36, cycles_are="predicted",
        line_cycles=10, resources_are="none", glue_resources={}, layers=[], folding={},
        folding_search=FoldingSearch(programs=0, cut_short=0, largest_gap=0),
        netlist=Netlist(input="in", output="out", streams={}, instances=()), tools={},
    )  # fmt: skip
    (folder / BUILD_FILE).write_text(json.dumps(build.to_json()))
    random = np.random.default_rng(7)
    lines = random.integers(0, 60, (CELLS, 2 + LIT + 3, 6, 2)).astype(np.uint16)
    lines[:, 2 : 2 + LIT] += random.integers(400, 900, (CELLS, LIT, 6, 2)).astype(np.uint16)
    fronts = [known.played(cell, manifest) for cell in lines]
    np.savez(
        folder / known.KNOWN_FILE,
        format=known.FORMAT,
        version=known.VERSION,
        network_id=manifest.network_id,
        lines=lines,
        heights=np.full(CELLS, lines.shape[1]),
        pixels=np.stack([front.pixels for front in fronts if front]),
        logits=np.array([[120, 700, -30], [-500, -90, 60], [900, 3, 5]]),
    )
    return load_build(folder)


class Sound:
    """A board whose build is `small`, and what it sends of each known cell: what the models say, but for `change`,
    which is told the cell, the play, and the record's values, features and logits."""

    def __init__(self, board: FakeBoard, build: Build) -> None:
        self.board, self.build = board, build
        self.known = known.load(build.folder, build.manifest)
        self.change: Callable[[int, int, dict[str, int], list[int], list[int]], object] = lambda *_: None
        self.pixels: Callable[[np.ndarray], object] = lambda _: None
        self.lost: Container[int] = ()  # the events of these numbers are not sent
        self.gates: gate_set.GateSet | None = None
        board.registers[fake_board.GATE_VALUES] = build.features
        board.registers[fake_board.RECORD_FIELDS] = 0b1011
        board.on_play = self.play

    def play(self, repeats: int) -> Iterable[bytes]:
        board, manifest = self.board, self.build.manifest
        number = len(board.played) - 1
        cell, play = number // PLAYS % CELLS, number % PLAYS
        front = known.played(self.known.lines[cell], manifest)
        assert front is not None
        assert repeats == 1
        found, logits = front.events, self.known.logits[cell]
        numbers = features.features(front.lines, found.first, found.last, manifest.feature_settings)
        program = gate_engine.unpack(board.in_force)
        values = gate_engine.values_of(
            logits[np.newaxis], program, manifest.posterior.multiplier, manifest.posterior.shift,
            features=numbers, length=found.length, interval=SPACE,
        )  # fmt: skip
        gated = gate_engine.evaluate(program, values, [logits.argmax()])
        record = {
            "event_id": number, "event_time": 2**33 + SPACE * number, "tag": number, "outcome": 2, "direction": 255,
            "flags": 0, "length": int(found.length[0]), "class_index": int(logits.argmax()),
            "posterior": int(values[0, 0]), "gates": int(gated.gates[0] @ (1 << np.arange(len(program.gates)))),
            "first_pixel_to_decision": 400 + cell, "last_pixel_to_decision": 90 + cell,
            "gate_serial": board.registers[fake_board.GATE_SERIAL],
        }  # fmt: skip
        of_event, of_network = numbers[0].tolist(), logits.tolist()
        self.change(cell, play, record, of_event, of_network)
        frame = board.frame(bytes([0xE0, board.event_seq]) + event_record.pack(record, of_event, of_network))
        board.event_seq += 1
        board.counters[fake_board.ACCEPTED] += 1
        board.counters[DISARMED] += 1
        if number not in self.lost:
            yield frame
        if play == 0:
            for body in pieces_of(10**6, bytes(6 * 4 * 2), 2):  # that another program's rule asked for
                yield board.image(body)
            window = self.known.pixels[cell].copy()
            self.pixels(window)
            for body in pieces_of(number, window.tobytes(), 1):
                yield board.image(body)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return write_build(tmp_path_factory.mktemp("desk") / "build")


@pytest.fixture
def sound(build: Build) -> Iterator[Sound]:
    manifest = build.manifest
    with FakeBoard(manifest.model_id, manifest.network_id, BUILD_ID, (3, 2, 6, 4)) as board:
        yield Sound(board, build)


@pytest.fixture
def sorter(sound: Sound) -> Iterator[Sorter]:
    with Sorter.open(sound.board.port) as sorter:
        yield sorter


def examined(
    sorter: Sorter, sound: Sound, own: bool = False, progress: self_test.Progress = lambda *_: None
) -> SelfTest:
    """A self-test that has run, with few gates that are in force already, or with its own."""
    if not own:
        source = gate_set.parse(GATES, "gates")
        sorter.set_gates(source, sound.build.manifest)
    test = SelfTest(sorter, sound.build, sound.known, None if own else source, progress)
    test.run()
    return test


def failed(test: SelfTest) -> dict[str, str]:
    return {step.name: step.told for step in test.steps if not step.passed}


STEPS = [
    "identity", "link", "registers", "front settings", "gate set", "line source", "events", "images", "logits",
    "features", "decisions", "cycles", "counters", "faults",
]  # fmt: skip


def test_a_sound_board_passes_and_is_as_it_was(sorter: Sorter, sound: Sound) -> None:
    """With the test's own gates, which split the cells, in place of those in force."""
    board, manifest = sound.board, sound.build.manifest
    before = sorter.set_gate(["M"], 0.75, manifest)
    test = examined(sorter, sound, own=True)
    assert failed(test) == {}
    assert test.passed
    assert [step.name for step in test.steps] == STEPS
    figures = {step.name: step.figures for step in test.steps}
    events = CELLS * PLAYS
    assert figures["logits"]["compared"] == 3 * events
    assert figures["features"]["compared"] == features.count(2) * events
    assert figures["images"]["compared"] == CELLS * (6 * 4 * 2 + 1)
    assert figures["cycles"]["first_pixel_to_decision"] == {"min": 400, "max": 402}
    # Accepted with the third line of the event, the second of its core, of six beats; seven tests and six gates.
    accepted, gate = 2 * 10 + 6, 2 * 3 + 23 + 16 + 13
    assert figures["cycles"]["predicted"] == dict.fromkeys(("min", "max"), accepted + 300 + 40 + gate)
    assert figures["gate set"]["own"] is True
    stored = np.array([board.stored[place] for place in np.ndindex(9, 6, 2)]).reshape(9, 6, 2)
    assert (stored == sound.known.lines[-1]).all()
    assert board.played == [(9, 10, 1)] * CELLS * PLAYS
    after = sorter.gate()
    assert (after.identity, after.mask, after.posterior) == (before.identity, before.mask, before.posterior)
    assert f"gate set {before.identity} in force again" in test.left
    assert board.registers[fake_board.RECORD_FIELDS] == 0b1011
    assert board.registers[fake_board.LINE_SOURCE] == 0
    assert sorter.settings_id() == manifest.model_id
    never = {fake_board.ARM, fake_board.ARM_TEST, fake_board.TEST_PULSE, fake_board.TEST, fake_board.TEST_PERIOD}
    written = {struct.unpack_from("<H", request, 2)[0] for request in board.requests if request[0] == 2}
    assert not written & never


def test_own_gates_tell_the_cells_apart(build: Build, sorter: Sorter, sound: Sound) -> None:
    """Every kind of test, every direction of a class that is best and sure, gates that hold of some cells only."""
    test = SelfTest(sorter, build, sound.known)
    source = self_test.own_gates(build.manifest, test._cells, build.gate_engine)
    assert {each.kind for each in source.tests} == {"class", "range", "polygon", "ellipse"}
    assert [direction.output for direction in source.directions] == [0, 1, 2]
    program = compile_gate(source, board_values(build.manifest, 1e8, features=True)).program
    numbers = np.array([cell.features for cell in test._cells])
    values = gate_engine.values_of(
        sound.known.logits, program, build.manifest.posterior.multiplier, build.manifest.posterior.shift,
        features=numbers, length=[int(cell.front.events.length[0]) for cell in test._cells],
    )  # fmt: skip
    gated = gate_engine.evaluate(program, values, sound.known.logits.argmax(axis=1))
    assert set(gated.direction.tolist()) == {0, 1, 2}
    held = gated.gates.sum(axis=0)
    assert (held > 0).sum() >= 4
    assert (held < CELLS).sum() >= 4


def test_own_gates_fit_a_small_gate_engine(build: Build, sorter: Sorter, sound: Sound) -> None:
    cells = SelfTest(sorter, build, sound.known)._cells
    for tests, gates, classes in ((7, 16, 3), (6, 16, 2), (32, 4, 1)):
        source = self_test.own_gates(build.manifest, cells, GateEngine(tests=tests, gates=gates))
        assert len(source.directions) == classes
        assert (len(source.tests), len(source.gates)) == (classes + 4, classes + 3)
        assert {each.kind for each in source.tests} == {"class", "range", "polygon", "ellipse"}


def test_a_wrong_gate_of_the_first_event_is_found(sorter: Sorter, sound: Sound) -> None:
    """Of gates that do not look at the time since the event before, which of the first one is not known."""
    sound.change = of(0, 0, put("gates", 64))
    assert "cell 0, play 0, gates: " in failed(examined(sorter, sound, own=True))["decisions"]


def test_no_gate_before_leaves_one_that_wishes_nothing(sorter: Sorter, sound: Sound) -> None:
    test = examined(sorter, sound, own=True)
    assert failed(test) == {}
    program = compile_gate(self_test.no_gates(), board_values(sound.build.manifest, 1e8, features=True)).program
    assert sorter.gate().identity == f"{sound.board.in_force[gate_engine.INDEX_ID]:08x}"
    assert gate_engine.unpack(sound.board.in_force) == program
    assert any("wishes nothing" in line for line in test.left)
    lengths = gate_engine.values_of(np.zeros((255, 3), int), program, 1, 0, length=np.arange(1, 256))
    assert not gate_engine.evaluate(program, lengths, np.zeros(255, int)).gates.any()


def of(cell: int, play: int, change: Callable[[dict, list, list], object]) -> Callable[..., object]:
    """The change to one event."""
    return lambda at, number, *parts: change(*parts) if (at, number) == (cell, play) else None


def put(place: Any, value: Any, part: int = 0) -> Callable[..., None]:
    """A value of the record (0), of its features (1) or logits (2) that is off by so much."""
    return lambda *parts: parts[part].__setitem__(place, parts[part][place] + value)


@pytest.mark.parametrize(
    ("change", "step", "told"),
    [
        (of(1, 0, put(2, 1, part=2)), "logits", "17 of 18 logits equal; cell 1, play 0, logit M: 61, expected 60; "),
        (of(2, 1, put(0, -1, part=1)), "features", "cell 2, play 1, Size (Brightfield): "),
        (of(0, 1, lambda *parts: parts[2].pop()), "logits", "cell 0, play 1, values: 2, expected 3"),
        (of(1, 0, put("gates", 4)), "decisions", "cell 1, play 0, gates: 0x7, expected 0x3"),
        (of(0, 0, put("posterior", 1)), "decisions", "cell 0, play 0, posterior: "),
        (of(2, 0, put("class_index", 1)), "decisions", "cell 2, play 0, class: 1, expected 0"),
        (of(0, 1, put("direction", -255)), "decisions", "cell 0, play 1, direction: 0, expected None"),
        (of(1, 1, put("outcome", -1)), "decisions", "cell 1, play 1, outcome: REJECTED, expected DISARMED"),
        (of(1, 1, put("first_pixel_to_decision", 1)), "cycles", "first pixel to decision, cycles: 402, expected 401"),
        (of(1, 1, put("last_pixel_to_decision", -1)), "cycles", "last pixel to decision, cycles: 90, expected 91"),
        (
            lambda _cell, _play, record, *_: put("first_pixel_to_decision", 900)(record),
            "cycles",
            "cell 0, play 0, first pixel to decision, more than ",
        ),
        (of(2, 1, put("gate_serial", 1)), "cycles", "cell 2, play 1, gate serial: 2, expected 1"),
        (of(0, 1, put("event_time", 20_000 - SPACE)), "decisions", "cell 0, play 1, gates: 0x3, expected 0x1"),
        (of(0, 1, put("length", 1)), "events", "cell 0, play 1, lines: 5, expected 4"),
        (of(2, 0, put("flags", 4)), "events", "cell 2, play 0, flags: 4, expected 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_found(
    sorter: Sorter, sound: Sound, change: Callable[..., object], step: str, told: str
) -> None:
    sound.change = change
    test = examined(sorter, sound)
    assert set(failed(test)) == {step}
    assert told in failed(test)[step]


def test_a_wrong_pixel_is_found(sorter: Sorter, sound: Sound) -> None:
    sound.pixels = lambda window: window.__setitem__((5, 3, 1), window[5, 3, 1] ^ 4)
    wrong = failed(examined(sorter, sound))
    assert set(wrong) == {"images"}
    assert "cell 0, row 5, column 3, PI: " in wrong["images"]


def test_a_lost_event_is_found(sorter: Sorter, sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "SILENCE", 0.2)
    sound.lost = {3}
    wrong = failed(examined(sorter, sound))
    assert set(wrong) == {"events", "counters"}
    assert "cell 1, events: 1, expected 2" in wrong["events"]
    assert "events told by gaps of what was received: 1, expected 0" in wrong["counters"]


def test_a_board_that_sends_nothing_passes_nothing(
    sorter: Sorter, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "SILENCE", 0.1)
    sound.lost = range(CELLS * PLAYS)
    wrong = failed(examined(sorter, sound))
    assert set(wrong) == {"events", "images", "logits", "features", "decisions", "cycles"}
    assert "0 of 0 logits equal; there was nothing to compare" in wrong["logits"]


@pytest.mark.parametrize(
    ("counter", "by", "passes"),
    [(0x84, 1, False), (0xC4, 1, False), (0x88, 1, False), (0xB8, 1, True), (0xB8, 2, False), (0xB0, 9, True)],
)
def test_counters_that_move(sorter: Sorter, sound: Sound, counter: int, by: int, passes: bool) -> None:
    """MISSED, DEBRIS and SORTED may not; LINE_GAPS by one, and what was asked for."""

    def moved(cell: int, play: int, *_: object) -> None:
        sound.board.counters[counter] += by * ((cell, play) == (0, 0))

    sound.change = moved
    assert set(failed(examined(sorter, sound))) == (set() if passes else {"counters"})


def test_a_fault_is_found(sorter: Sorter, sound: Sound) -> None:
    """One other than the interlock, which a board alone on a desk has open."""
    sound.board.registers[fake_board.FAULTS] = 1
    test = examined(sorter, sound)
    assert failed(test) == {}
    assert "interlock closed, and was open" in test.steps[-1].told
    sound.board.registers[fake_board.FAULTS] = 1 | 1 << REGISTERS["FAULTS"].fields["network"].low
    assert "network: the network gave no logits" in failed(examined(sorter, sound))["faults"]


def test_a_register_that_keeps_nothing_is_found(sorter: Sorter, sound: Sound) -> None:
    """And what comes behind it makes no sense, so the test ends; what was in force is again."""
    sound.board.forgets = {fake_board.FRONT + 4}
    test = examined(sorter, sound)
    assert set(failed(test)) == {"registers", "front settings"}
    assert "TRIGGER_OFF: " in failed(test)["registers"]
    assert "TRIGGER_OFF reads back" in failed(test)["front settings"]
    assert [step.name for step in test.steps] == STEPS[:4]
    assert sound.board.registers[fake_board.RECORD_FIELDS] == 0b1011


def test_a_register_that_is_two_is_found(sorter: Sorter, sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    write = sound.board._write

    def twice(address: int, data: int) -> None:
        write(address, data)
        if address == fake_board.FRONT + 4:
            write(fake_board.FRONT, data)

    monkeypatch.setattr(sound.board, "_write", twice)
    assert "26 of 28 words equal; TRIGGER_ON: " in failed(examined(sorter, sound))["registers"]


def test_a_request_that_is_repeated_is_found(sorter: Sorter, sound: Sound) -> None:
    sorter._timeout = 0.1
    source = gate_set.parse(GATES, "gates")
    sorter.set_gates(source, sound.build.manifest)
    requests = len(sound.board.requests)
    sound.board.on_request = lambda: (
        sound.board.damage.append("drop") if len(sound.board.requests) == requests + 150 else None
    )
    test = SelfTest(sorter, sound.build, sound.known, source)
    test.run()
    assert set(failed(test)) == {"link"}
    assert "1 requests repeated" in failed(test)["link"]


def test_an_interrupted_test_leaves_the_board_as_it_was(sorter: Sorter, sound: Sound) -> None:
    board = sound.board
    before = sorter.set_gate(["M"], 0.75, sound.build.manifest)

    def interrupt(step: str, done: int, _: int) -> None:
        if step == "cell 1" and done == 4:
            assert board.registers[fake_board.LINE_SOURCE] == 1
            assert sorter.gate().identity != before.identity
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examined(sorter, sound, own=True, progress=interrupt)
    assert board.registers[fake_board.LINE_SOURCE] == 0
    assert board.registers[fake_board.RECORD_FIELDS] == 0b1011
    assert sorter.gate().identity == before.identity


def told_by(sorter: Sorter, sound: Sound, build: Build | None = None, gates: str | None = None) -> str:
    """What a test is refused with; nothing was written."""
    writes = sum(request[0] == 2 for request in sound.board.requests)
    source = gate_set.parse(gates, "gates") if gates else None
    with pytest.raises(IcsortError) as error:
        SelfTest(sorter, build or sound.build, sound.known, source).run()
    # But for where a word of the gate set is read.
    asked = [request for request in sound.board.requests if request[0] == 2][writes:]
    assert {struct.unpack_from("<H", request, 2)[0] for request in asked} <= {fake_board.GATE_INDEX}
    return str(error.value)


def test_a_board_that_is_armed_is_left_alone(sorter: Sorter, sound: Sound) -> None:
    sound.board.registers[fake_board.STATUS] |= fake_board.ARMED
    assert "the board is armed" in told_by(sorter, sound)
    sound.board.registers[fake_board.STATUS] ^= fake_board.ARMED | fake_board.TESTING
    assert "the board is in test mode" in told_by(sorter, sound)


def test_what_would_fit_is_told(sorter: Sorter, sound: Sound, tmp_path: Path) -> None:
    other = write_build(tmp_path / "other", "fedcba9876543210")
    line = told_by(sorter, sound, other)
    assert f"the board holds build {BUILD_ID}, the folder is build fedcba9876543210" in line
    assert "is that build" not in line
    shutil.copytree(sound.build.folder, tmp_path / "fits")
    assert told_by(sorter, sound, other).endswith(f"({tmp_path / 'fits'} is that build)")
    sound.board.registers[fake_board.CLOCK_HZ] = 99_000_000
    assert "its clock is 99,000,000 Hz, the build is for 100,000,000" in told_by(sorter, sound)
    sound.board.registers[fake_board.CLOCK_HZ] = 100_000_000
    sound.board.registers[fake_board.GATE_VALUES] = 0
    assert "do not agree on features" in told_by(sorter, sound)
    sound.board.registers[fake_board.NETWORK_ID] ^= 1
    assert "the board holds network" in told_by(sorter, sound)


def test_another_gate_set_is_refused(sorter: Sorter, sound: Sound) -> None:
    assert "no gate set is in force" in told_by(sorter, sound, gates=GATES)
    in_force = sorter.set_gate(["M"], 0.75, sound.build.manifest).identity
    line = told_by(sorter, sound, gates=GATES)
    assert f"gate set {in_force} is in force, the file is " in line
    assert "leave out --gates" in line


def test_the_command(sound: Sound, tmp_path: Path) -> None:
    gates, out = tmp_path / "gates.toml", tmp_path / "page"
    gates.write_text(GATES)
    at = ("--port", sound.board.port, "--model", str(sound.build.folder))
    assert icsort("gate", "set", str(gates), *at).returncode == 0
    words = ("selftest", *at, "--gates", str(gates))
    done = icsort(*words, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["passed"] is True
    assert [step["name"] for step in document["steps"]] == STEPS
    assert document["page"] == str(out / "report.html")
    assert len(document["events"]) == CELLS * PLAYS
    assert json.loads((out / self_test.JSON_FILE).read_text()) == {
        key: value for key, value in document.items() if key != "page"
    }
    page = (out / "report.html").read_text()
    assert "Nothing was armed" in page
    assert all(step["told"] in page.replace("&#39;", "'") for step in document["steps"])
    assert "FAILED" not in page

    sound.change = of(1, 0, put(0, 1, part=2))
    done = icsort(*words, "--count", "2", "--out", str(out), "--force")
    assert done.returncode == 1
    assert "11 of 12 logits equal; cell 1, play 0, logit G1: -499, expected -500" in " ".join(done.stdout.split())
    assert "FAILED" in (out / "report.html").read_text()


def test_what_the_command_refuses(sound: Sound, tmp_path: Path) -> None:
    copy, port = tmp_path / "build", ("--port", sound.board.port)
    shutil.copytree(sound.build.folder, copy)
    (copy / known.KNOWN_FILE).unlink()
    assert "has no known cells (no known.npz); export the run again" in refusal("selftest", *port, "--model", str(copy))
    (copy / known.KNOWN_FILE).write_bytes(b"no archive")
    assert "no known cells can be read of it" in refusal("selftest", *port, "--model", str(copy))
    (copy / BUILD_FILE).unlink()
    assert "not a build" in refusal("selftest", *port, "--model", str(copy))
    at = ("--port", str(tmp_path / "nowhere"), "--model", str(sound.build.folder))
    assert str(tmp_path / "nowhere") in refusal("selftest", *at, "--out", str(tmp_path / "page"))
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("gone", [True, False])
def test_a_link_that_is_lost_is_one_line(sound: Sound, tmp_path: Path, gone: bool) -> None:
    """A port that is unplugged, or a board that is silent, in the middle of the front's settings."""
    requests: list[int] = []

    def count() -> None:
        requests.append(1)
        if len(requests) == 200:
            sound.board.unplug() if gone else setattr(sound.board, "deaf", True)

    sound.board.on_request = count
    at = ("--port", sound.board.port, "--model", str(sound.build.folder))
    assert sound.board.port in refusal("selftest", *at, "--timeout", "0.1", "--out", str(tmp_path / "page"))
    assert not (tmp_path / "page").exists()
