# SPDX-License-Identifier: Apache-2.0
"""Sorter against the fake board: registers, gate, arm, counters, events, and everything that goes wrong."""

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.formats import gate_set
from icsort.formats.acquisition import FeatureSpec, FlatFieldSpec
from icsort.formats.compile_gate import compile_gate
from icsort.formats.package import Manifest, PosteriorSpec
from icsort.formats.schedule import DirectionSchedule, Schedule, simple
from icsort.host.link.protocol import Amendment
from icsort.host.link.registers import REGISTERS
from icsort.host.link.transport import SerialTransport
from icsort.host.sorter import DisarmedBy, Losses, Sorter, StoppedError, build_key, disarm_past
from icsort.sim.bit_true import gate_engine
from icsort.sim.bit_true.scheduler import Direction, Outcome
from tests.host import fake_board
from tests.host.fake_board import FakeBoard
from tests.host.recordings import example


@pytest.fixture
def sorter(board: FakeBoard) -> Iterator[Sorter]:
    with Sorter.open(board.port, timeout=0.2) as sorter:
        yield sorter


def writes(board: FakeBoard) -> list[tuple[int, int]]:
    """(address, data) of the write requests so far."""
    return [
        (int.from_bytes(request[2:4], "little"), int.from_bytes(request[4:], "little"))
        for request in board.requests
        if request[0] == 2
    ]


def test_identity(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    identity = sorter.identify()
    assert (identity.build_id, identity.model_id) == ("0123456789abcdef", model.model_id)
    assert (identity.network_id, identity.settings_id) == (model.network_id, None)
    assert (identity.classes, identity.channels, identity.height, identity.width) == (3, 2, 40, 38)
    assert identity.clock_hz == 100_000_000
    assert sorter.retries == 0
    assert [request[1] for request in board.requests] == list(range(len(board.requests)))


@pytest.mark.parametrize("damage", ["flip", "drop", "seq"])
def test_damaged_answers_are_asked_for_again(board: FakeBoard, sorter: Sorter, damage: str) -> None:
    zeros = board.lone_zeros
    board.damage = [damage, damage, ""]
    assert sorter.write("LINE_TIMEOUT", 77) == 77
    assert sorter.retries == 2
    assert board.requests[-3:] == [board.requests[-1]] * 3
    assert board.lone_zeros == zeros + 2  # each retry ends what the board may be in the middle of
    assert sorter.losses.bad_frames == (2 if damage == "flip" else 0)


def test_three_damaged_answers_are_an_error(board: FakeBoard, sorter: Sorter) -> None:
    board.damage = ["flip"] * 3
    with pytest.raises(IcsortError, match=r"bytes arrived but no frame.* no answer to 3 requests for LINE_TIMEOUT; "):
        sorter.read("LINE_TIMEOUT")
    assert sorter.read("LINE_TIMEOUT") == 0


def test_late_answer_is_not_taken_for_the_next(board: FakeBoard, sorter: Sorter) -> None:
    board.damage = ["repeat"] * 20
    for value in range(10):
        assert sorter.write("LINE_TIMEOUT", value) == value
        assert sorter.read("TRIGGER_LINES") == 0
    assert sorter.retries == 0


def test_sequence_numbers_wrap(board: FakeBoard, sorter: Sorter) -> None:
    for value in range(300):
        assert sorter.write("LINE_TIMEOUT", value) == value
    assert len(board.requests) == 303
    assert sorter.retries == 0


def test_refused_address_names_the_register(sorter: Sorter) -> None:
    with pytest.raises(IcsortError, match=r"refuses to write MAGIC at 0x0000"):
        sorter.write("MAGIC", 1)


def test_not_an_icsort_board(board: FakeBoard) -> None:
    board.registers[fake_board.MAGIC] = 0x12345678
    with pytest.raises(IcsortError, match=r"not an icsort board \(MAGIC is 0x12345678\)"):
        Sorter.open(board.port)
    board.registers[fake_board.MAGIC] = int.from_bytes(b"ICSR", "little")
    Sorter.open(board.port).close()  # and the port was given back


def test_other_protocol(board: FakeBoard) -> None:
    board.registers[fake_board.PROTOCOL] = 1
    with pytest.raises(IcsortError, match=r"speaks protocol 1, this icsort 3"):
        Sorter.open(board.port)


def test_gate(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    gate = sorter.set_gate(["M", "G1"], 0.9, model)
    assert (gate.mask, gate.posterior, gate.serial, gate.tests, gate.gates) == (0b101, 58983, 1, 1, 1)
    assert board.in_force == gate_engine.of_classes(0b101, 58983, 3).words()
    assert int(gate.identity, 16) == board.in_force[gate_engine.INDEX_ID]
    assert writes(board).count((fake_board.GATE_COMMIT, 1)) == 1
    # the next one goes where the one before the last was
    again = sorter.set_gate(["S"], 0.0, model)
    assert (again.mask, again.posterior, again.serial) == (0b010, 0, 2)


LARGER = """
format = "icsort-gate-set"
version = 1

[[tests]]
name = "long"
kind = "range"
x = {value = "event length", min = 20}
y = {value = "logit M", max = 0.5}

[[tests]]
name = "drawn"
kind = "polygon"
x = {classes = ["M", "S"]}
y = {value = "logit S", scale = "wide"}
corners = [[0.1, 0.2], [0.9, 0.3], [0.5, 0.9]]

[[gates]]
name = "either"
any = ["long", "not drawn"]

[[directions]]
output = 3
gate = "either"

[scales.wide]
kind = "arcsinh"
t = 30
m = 3
"""


def test_a_gate_set_is_written_checked_and_compared(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    gates = gate_set.parse(LARGER, "larger")
    gate = sorter.set_gates(gates, model)
    compiled = compile_gate(gates, sorter.gate_values(model))
    assert board.in_force == compiled.words
    assert (gate.identity, gate.tests, gate.gates, gate.mask) == (compiled.identity, 2, 1, None)
    sorter.check_gates(gates, model)
    board.in_force[next(iter(board.in_force))] ^= 1
    with pytest.raises(IcsortError, match="another gate set is in force: word 0xb is"):
        sorter.check_gates(gates, model)


def test_a_gate_set_is_read_once_more_when_it_is_in_force(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """Its identity is one word of it, the others may be another's."""

    def mix() -> None:
        request = board.requests[-1]
        if request[0] == 2 and request[2:4] == fake_board.GATE_COMMIT.to_bytes(2, "little"):
            board.written[gate_engine.WORD_LOW_X] ^= 1

    board.on_request = mix
    with pytest.raises(IcsortError, match=r"another gate set is in force: word .* set it again"):
        sorter.set_gates(gate_set.parse(LARGER, "larger"), model)


@pytest.mark.parametrize("what", ["tests", "scales", "corners"])
def test_a_gate_set_that_the_board_is_too_small_for(
    board: FakeBoard, sorter: Sorter, model: Manifest, what: str
) -> None:
    field = REGISTERS["GATE_SIZE"].fields[what]
    board.registers[fake_board.GATE_SIZE] &= ~(255 << field.low)
    board.registers[fake_board.GATE_SIZE] |= 1 << field.low
    with pytest.raises(IcsortError, match=f"the gate set has [23] {what}, the board's gate engine 1; use fewer"):
        sorter.set_gates(gate_set.parse(LARGER, "larger"), model)
    assert board.written == {}


@pytest.mark.parametrize(
    "forgotten",
    [fake_board.GATE_INDEX, fake_board.GATE_WORD + gate_engine.WORD_LOW_X, fake_board.GATE_COMMIT],
)
def test_gate_is_read_back(board: FakeBoard, sorter: Sorter, model: Manifest, forgotten: int) -> None:
    """A gate that does not arrive is never committed, and one that is not committed is never taken for it."""
    board.forgets.add(forgotten)
    with pytest.raises(IcsortError, match=r"reads back|did not take the gate"):
        sorter.set_gate(["M"], 0.5, model)
    assert ((fake_board.GATE_COMMIT, 1) in writes(board)) == (forgotten == fake_board.GATE_COMMIT)


FRONT_WRITES = [
    *[(0x200, 1965), (0x204, 1800), (0x208, 1 << 8), (0x20C, 0), (0x210, 47 << 16 | 10)],
    *[(0x214, 2 << 24 | 2 << 16 | 1 << 8 | 3), (0x218, 90), (0x21C, 10), (0x220, 0), (0x224, 0), (0x228, 16)],
    (fake_board.POSTERIOR, example().posterior.shift << 24 | example().posterior.multiplier),
    (fake_board.SETTINGS_ID, int(example().model_id[8:], 16)),
    (fake_board.SETTINGS_ID + 4, int(example().model_id[:8], 16)),
    *[(fake_board.FRONT_INDEX, 2 << 24), (fake_board.FRONT_DATA, 482)],
    *[(fake_board.FRONT_INDEX, 2 << 24 | 1), (fake_board.FRONT_DATA, 34)],
    *[(fake_board.FRONT_INDEX, 3 << 24), (fake_board.FRONT_DATA, 33290)],
    *[(fake_board.FRONT_INDEX, 3 << 24 | 1), (fake_board.FRONT_DATA, 2**18 - 12806)],
    *[(fake_board.FRONT_INDEX, 2 << 24 | channel) for channel in (0, 1)],
    *[(fake_board.FRONT_INDEX, 3 << 24 | channel) for channel in (0, 1)],
    (fake_board.FRONT_COMMIT, 1),
]
"""The example's trigger, window and preprocessing; before the commit each table is read back."""


def test_flat_field_and_delays_reach_their_registers(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """Each column's dark count and sensitivity by column << 8 | channel; what the package has none of stays off."""
    width, channels = model.line.width, len(model.channels)
    dark = tuple(tuple(column + 100 * channel for channel in range(channels)) for column in range(width))
    flat = tuple(tuple(2**14 + column - channel for channel in range(channels)) for column in range(width))
    line = model.line.model_copy(update={"delays": (3, 0)})
    sorter.set_front(model.model_copy(update={"flat_field": FlatFieldSpec(dark=dark, flat=flat), "line": line}))
    for table, words in enumerate((dark, flat)):
        got = {index & 0xFFFFFF: word for index, word in board.tables.items() if index >> 24 == table}
        assert got.items() >= {c << 8 | k: word for c, row in enumerate(words) for k, word in enumerate(row)}.items()
    assert (board.front[0x21C] >> 17, board.front[0x220]) == (1, 3)


def test_features_of_a_board_that_has_them(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """Their settings are table 4, all of the compensation matrix with them; gates know them by name and unit."""
    assert not sorter.has_features(model)
    assert "Size (nucleus)" not in sorter.gate_values(model).values
    sorter.set_front(model)
    assert not [index for index in board.tables if index >> 24 == 4]
    board.registers[fake_board.GATE_VALUES] = 9 * 2 + 2
    channels = model.channels
    spec = FeatureSpec(background=(7, 300), threshold=(1, 65535), compensation=((2**14, -5), (0, 2**17 - 1)))
    sorter.set_front(model.model_copy(update={"features": spec}))
    got = {index & 0xFFFFFF: word for index, word in board.front.items() if index >> 24 == 4}
    wanted = {0: 7 << 16 | 1, 1: 300 << 16 | 65535, 64: 2**14, 65: 2**32 - 5, 72: 0, 73: 2**17 - 1}
    assert {index: word for index, word in got.items() if index in wanted} == wanted
    values = sorter.gate_values(model).values
    assert (values[f"Size ({channels[0]})"].index, values[f"Size ({channels[0]})"].unit) == (80, "pixels")
    assert values[f"Total Intensity ({channels[1]})"].index == 85
    pair = values[f"Correlation ({channels[0]}/{channels[1]})"]
    assert (pair.index, pair.unit_value) == (80 + 19, 2.0**-16)
    board.registers[fake_board.GATE_VALUES] = 33
    with pytest.raises(IcsortError, match="the board has 33 features, 2 channels have 20"):
        sorter.set_front(model)


def calibrated_again(model: Manifest) -> Manifest:
    """The package with another temperature."""
    logits = model.logits.model_copy(update={"temperature": 2 * model.logits.temperature})
    kept = {key: value for key, value in model if key not in ("logits", "posterior", "model_id")}
    return Manifest(**kept, logits=logits, posterior=PosteriorSpec.of(logits))


def test_another_calibration_of_the_same_network_is_loaded(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """No other build is needed; what reads events by the other package's constants is refused."""
    other = calibrated_again(model)
    assert (other.network_id, other.model_id != model.model_id) == (model.network_id, True)
    sorter.check_settings(model)
    sorter.check_settings(other)
    sorter.set_gate(["S"], 0.5, model)
    for package in (model, other):
        sorter.arm(package)
        constants = package.posterior
        assert board.registers[fake_board.POSTERIOR_IN_FORCE] == constants.shift << 24 | constants.multiplier
        assert sorter.identify().settings_id == package.model_id
    sorter.check_settings(other)
    in_force, folder = f"settings of model {other.model_id} are in force", f"the folder is model {model.model_id}"
    with pytest.raises(IcsortError, match=f"{in_force}, {folder}; give that model's folder"):
        sorter.check_settings(model)


def test_a_board_that_decides_by_another_calibration_is_not_armed(
    board: FakeBoard, sorter: Sorter, model: Manifest
) -> None:
    """It keeps what is written and does not put it in force."""
    board.keeps_calibration = True
    sorter.set_gate(["S"], 0.5, model)
    with pytest.raises(IcsortError, match=r"posteriors go by 0x00000000 of model .*, not by .*; arm again"):
        sorter.arm(model)
    assert not board.armed


@pytest.mark.parametrize("forgotten", [0x200, 0x214, 0x240, 0x248, fake_board.FRONT_DATA, fake_board.FRONT_COMMIT])
def test_the_front_is_read_back(board: FakeBoard, sorter: Sorter, model: Manifest, forgotten: int) -> None:
    board.forgets = {forgotten}
    with pytest.raises(IcsortError, match=r"reads back 0 after writing|did not take the trigger's settings"):
        sorter.set_front(model)
    assert ((fake_board.FRONT_COMMIT, 1) in writes(board)) == (forgotten == fake_board.FRONT_COMMIT)
    assert not board.front


def test_a_repeated_request_leaves_the_tables_right(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """A lost answer to FRONT_DATA: its second try goes one word further, and the next index puts that right."""
    sorter._timeout = 0.05
    board.damage = [""] * 17 + ["drop", "", "", "drop"]
    sorter.set_front(model)
    tables = {index: word for index, word in board.front.items() if index >= 1 << 24}
    expected = {2 << 24: 482, 2 << 24 | 1: 34, 3 << 24: 33290, 3 << 24 | 1: 2**18 - 12806}
    assert {index: tables[index] for index in expected} == expected
    assert sorter.retries > 0


def test_arm(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    before = len(writes(board))
    settings = sorter.arm(model, simple(123.45, 2.0, "single", 1.0, target=7), build_id="0123456789abcdef")
    assert settings.directions == {0: Direction(delay=12345, width=200, target=7)}
    assert writes(board)[before:] == [
        (fake_board.DISARM, 1),
        *FRONT_WRITES,
        (fake_board.SCHEDULE_VIEW, 0),
        *zip(range(0x100, 0x118, 4), (12345, 200, 1, 7, 0, 0), strict=True),
        *zip(range(0x190, 0x1A4, 4), (2 | 15 << 12 | 1 << 24, 100, 100, 0, 2**32 - 1), strict=True),
        (fake_board.SCHEDULE_COMMIT, 1),
        (fake_board.TEST_PERIOD, 0),
        (fake_board.HEARTBEAT, 200_000_000),
        (fake_board.ARM, 1),
    ]
    assert sorter.status().armed
    assert sorter.schedule() == settings
    sorter.disarm()
    assert not sorter.status().armed


def test_who_is_to_stop_does_not_arm(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """It is asked behind all that arming takes, and then no more."""
    sorter.set_gate(["S"], 0.0, model)
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(board.registers[fake_board.HEARTBEAT])
        return len(asked) % 2 == 1

    acts = ((fake_board.ARM, lambda: sorter.arm(model, stopped=stopped)),
            (fake_board.ARM_TEST, lambda: sorter.arm_test(Schedule(), stopped=stopped)))  # fmt: skip
    for register, act in acts:
        board.registers[fake_board.HEARTBEAT] = 0
        with pytest.raises(StoppedError, match="stopped before it was armed; it is disarmed"):
            act()
        assert (register, 1) not in writes(board)
        assert asked.pop() == 200_000_000
        asked.append(0)
        act()
        assert (register, 1) in writes(board)
        sorter.disarm()
        asked.clear()


def test_schedule_is_refused_while_armed(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    armed(board, sorter, model)
    in_force = sorter.schedule()
    with pytest.raises(IcsortError, match="did not take the schedule; it takes none while it is armed"):
        sorter.set_schedule(simple(80.0))
    assert sorter.schedule() == in_force


def test_faults(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """A board with a fault is not armed before somebody has cleared it; what made it disarm is told."""
    sorter.set_gate(["S"], 0.0, model)
    board.registers[fake_board.FAULTS] = 0b101
    with pytest.raises(IcsortError, match=r"the interlock is open, or was; close it; .* --clear-faults"):
        sorter.arm(model)
    assert sorter.faults() == ["interlock", "drop_clock"]
    assert sorter.clear_faults() == []
    sorter.arm(model)
    board.registers[fake_board.FAULTS] = 0b100
    board.disarm(fake_board.FAULT)
    with pytest.raises(IcsortError, match="the board is not armed: the drop clock stopped"):
        list(sorter.events(idle=5))


def test_test_mode(board: FakeBoard, sorter: Sorter) -> None:
    """Needs no gate, sorts nothing, and ends as arming does."""
    sorter.arm_test(Schedule(directions={0: DirectionSchedule(delay_us=10, pulse_us=3)}), events=True)
    status = sorter.status()
    assert (status.testing, status.armed) == (True, False)
    assert board.registers[fake_board.TEST] == 300 << 16 | 1 << 8
    sorter.test_period(1000)
    assert board.registers[fake_board.TEST_PERIOD] == 100_000
    sorter.test_pulse()
    assert writes(board)[-1] == (fake_board.TEST_PULSE, 1)
    sorter.disarm()
    assert not sorter.status().testing


def test_amendments(board: FakeBoard, sorter: Sorter) -> None:
    """A sort that did not come is told behind its event; one that is lost on the line is counted."""
    for seq, event in ((0, 3), (2, 2**24 + 5)):
        body = (event % 2**24 | Outcome.COINCIDENCE << 24 | 4 << 28).to_bytes(4, "little")
        board.put(board.event(event) + board.frame(bytes([0xE1, seq]) + body))
    messages = [message for message in sorter.events(idle=0.1) if message]
    assert messages[1] == Amendment(0, 3, Outcome.COINCIDENCE, 4)
    assert messages[3] == Amendment(2, 5, Outcome.COINCIDENCE, 4)
    assert sorter.losses.amendments == 1


def test_arm_needs_a_gate(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    with pytest.raises(IcsortError, match="no gate is set; set one with `icsort gate set"):
        sorter.arm(model)
    assert writes(board) == []


def test_arm_refuses_another_build(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    before = writes(board)
    with pytest.raises(
        IcsortError, match=r"holds build 0123456789abcdef, the folder is build 00000000deadbeef; program"
    ):
        sorter.arm(model, build_id="00000000deadbeef")
    kept = {key: value for key, value in model if key not in ("classes", "model_id")}
    other = Manifest(**kept, classes=("a", "b", "c"))
    holds = f"holds network {model.network_id} of model {model.model_id}"
    with pytest.raises(IcsortError, match=f"{holds}, the folder is network {other.network_id} of model"):
        sorter.arm(other)
    board.registers[fake_board.GEOMETRY] += 1
    with pytest.raises(IcsortError, match=r"built for \(4, 2, 40, 38\)"):
        sorter.arm(model)
    assert writes(board) == before
    assert not board.armed


@pytest.mark.parametrize(
    ("delay", "pulse"), [(math.nan, 5), (-1, 5), (0, 5), (1e9, 5), (500, 1e6), (500, math.inf), (500, 0)]
)
def test_arm_refuses_times_that_do_not_fit(sorter: Sorter, model: Manifest, delay: float, pulse: float) -> None:
    sorter.set_gate(["S"], 0.0, model)
    with pytest.raises(IcsortError, match=r"not within 1\.\.\d+ cycles of the board's 100 MHz clock|it must be"):
        sorter.arm(model, simple(delay, pulse))
    assert not sorter.status().armed


def test_arm_fails_where_a_register_does_not_keep_its_value(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    board.forgets = {0x100}
    with pytest.raises(IcsortError, match="SCHEDULE_DIRECTION_0_DELAY reads back 0 after writing 50000"):
        sorter.arm(model)
    assert not sorter.status().armed


def test_counters(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    assert set(sorter.counters()) == {"TIMESTAMP"} | {
        n for n, r in REGISTERS.items() if 0x80 <= r.address < 0x100 or r.address >= 0x500
    }
    assert sorter.counters()["ACCEPTED"] == 100 + 0x80
    assert sorter.counters()["LINK_GOOD_FRAMES"] == 100 + 0xB0
    assert sorter.counters()["TIMESTAMP"] == 1 << 32 | 7
    sorter.set_gate(["S"], 0.0, model)
    sorter.arm(model)
    sorter.counters()
    assert board.armed, "a snapshot must not disarm"


def test_events_between_answers_are_kept(board: FakeBoard, sorter: Sorter) -> None:
    board.on_request = lambda: board.put(board.event(board.requests[-1][1]))
    sorter.read("LINE_TIMEOUT")
    sorter.read("LINE_TIMEOUT")
    board.on_request = lambda: None
    events = [event for event in sorter.events(idle=0.1) if event]
    assert [event.event_id for event in events] == [3, 4]
    assert (events[0].class_index, events[0].logits, events[0].time) == (1, (-5, 2**30, -(2**31)), 2**40 + 3)
    assert sorter.losses == Losses(_next=(5, 2))


def test_losses_are_counted_by_place(board: FakeBoard, sorter: Sorter) -> None:
    """Ids 0..9: 2 never sent by the board, 4 damaged and 7 lost on the line, then a reset of the board."""
    for event_id in range(10):
        if event_id == 2:
            continue
        frame = board.event(event_id)
        if event_id == 4:
            frame = frame[:10] + bytes([frame[10] ^ 1 or 2]) + frame[11:]
        if event_id != 7:
            board.put(frame)
    received = [event.event_id for event in sorter.events(count=7) if event]
    assert received == [0, 1, 3, 5, 6, 8, 9]
    losses = sorter.losses
    assert (losses.events, losses.frames, losses.bad_frames, losses.restarts) == (3, 2, 1, 0)
    board.event_seq = 0
    board.put(board.event(0) + board.event(1))
    assert [event.event_id for event in sorter.events(count=2) if event] == [0, 1]
    assert (losses.events, losses.restarts) == (3, 1)


def test_joining_in_the_middle_is_no_loss(board: FakeBoard) -> None:
    transport = SerialTransport(board.port)
    board.put(board.event(500)[20:] + board.event(501))
    with Sorter(transport, timeout=0.2) as sorter:
        assert [event.event_id for event in sorter.events(count=1) if event] == [501]
        assert (sorter.losses.events, sorter.losses.frames) == (0, 0)


def test_garbage_and_foreign_messages_are_counted(board: FakeBoard, sorter: Sorter) -> None:
    board.put(b"\x05garbage\0" + board.frame(b"\x77\x01what") + board.event(1))
    assert [event.event_id for event in sorter.events(count=1) if event] == [1]
    assert sorter.losses.bad_frames == 2


def test_unplugged_while_waiting_for_events(board: FakeBoard, sorter: Sorter) -> None:
    events = sorter.events()
    board.put(board.event(0))
    assert next(event for event in events if event).event_id == 0
    board.unplug()
    with pytest.raises(IcsortError, match=r"the port is gone, the board was unplugged or switched off; connect it"):
        next(event for event in events if event)


def test_unplugged_in_the_middle_of_a_request(board: FakeBoard, sorter: Sorter) -> None:
    board.on_request = lambda: board.unplug()
    with pytest.raises(IcsortError, match="the port is gone"):
        sorter.read("LINE_TIMEOUT")


def test_silent_board(board: FakeBoard) -> None:
    board.deaf = True
    with pytest.raises(IcsortError, match=r"no answer to 3 requests for MAGIC; check that"):
        Sorter.open(board.port, [1_000_000], timeout=0.05)
    with pytest.raises(IcsortError, match=r"no answer to requests at 12000000, 3000000 baud; check that"):
        Sorter.open(board.port, [12_000_000, 3_000_000], timeout=0.05)


def test_port_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(
        IcsortError, match=r"ttyNONE: there is no such port; connect the board, or use one of: "
    ) as caught:
        SerialTransport(str(tmp_path / "ttyNONE"))
    assert "\n" not in str(caught.value)


def test_port_is_busy(board: FakeBoard, sorter: Sorter) -> None:
    with pytest.raises(IcsortError, match=r"busy, another program has it open"):
        SerialTransport(board.port)
    sorter.read("MAGIC")  # and the one that has it is not disturbed


def test_port_is_no_serial_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a port")
    with pytest.raises(IcsortError, match="not a serial port"):
        SerialTransport(str(tmp_path / "file"))
    with pytest.raises(IcsortError, match="not a serial port"):
        SerialTransport(str(tmp_path))


def test_port_without_rights(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every port may be opened, so the refusal of the system is made up."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(IcsortError, match=r"no rights to open it; join group dialout"):
        SerialTransport(board.port)


def test_build_key_of_a_folder(tmp_path: Path) -> None:
    assert build_key(tmp_path) is None
    key = {"build_id": "00000000DEADBEEF", "baud": 4_000_000, "features": 33, "clock_mhz": 41.6666}
    (tmp_path / "build.json").write_text(json.dumps(key))
    assert build_key(tmp_path) == ("00000000deadbeef", 4_000_000, True, 41_666_600)
    wrong = [key | {"build_id": build_id} for build_id in (5, "xyz", "12")]
    wrong += [key | {"baud": baud} for baud in (0, "9600", True)]
    wrong += [key | {"clock_mhz": clock} for clock in (0, "100", float("inf"), float("nan"))]
    for content in ("", "[]", "{}", *map(json.dumps, wrong)):
        (tmp_path / "build.json").write_text(content)
        with pytest.raises(IcsortError, match="no build id, baud rate and clock in it"):
            build_key(tmp_path)


def test_baud_is_found(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """At another rate the board receives nothing intact; the first rate at which it answers is kept."""
    tried: list[int] = []
    monkeypatch.setattr(SerialTransport, "baud", property(lambda _: tried[-1], lambda _, baud: tried.append(baud)))
    board.on_request = lambda: setattr(board, "deaf", tried[-1] != 3_000_000)
    with Sorter.open(board.port, timeout=0.1) as sorter:
        assert tried == [12_000_000, 8_000_000, 4_000_000, 3_000_000]
        assert sorter.retries == 0


@pytest.mark.parametrize("noise", [b"[INFO] boot ok, temp 31.2C\r\nready> ", b"\0" * 64, b"\x55" * 2000])
def test_noise_is_not_taken_for_silence(board: FakeBoard, noise: bytes) -> None:
    """Bytes that are no frames do not prolong the wait, and the line says that they came."""
    board.deaf = True
    board.chatter = noise
    problem = (
        r"\d+ bytes arrived but no frame of an icsort board.*another device's port, the wrong --baud, or a bad cable$"
    )
    begun = time.monotonic()
    with pytest.raises(IcsortError, match=problem):
        Sorter.open(board.port, [1_000_000], timeout=0.2)
    with pytest.raises(IcsortError, match=problem):
        Sorter.open(board.port, timeout=0.2)
    # 3 tries, then 5 rates of half as long each: 1.1 s. Each once took ten times as long.
    assert time.monotonic() - begun < 10


def armed(board: FakeBoard, sorter: Sorter, model: Manifest, **options: float) -> None:
    sorter.set_gate(["S"], 0.0, model)
    sorter.arm(model, **options)
    assert board.armed


def test_a_stop_is_never_undone(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """A disarm in front of any request of any operation but arming stays: nothing is written back."""

    def everything() -> None:
        sorter.counters()
        sorter.status()
        sorter.identify()
        sorter.set_gate(["M"], 0.5, model)
        sorter.write_checked("LINE_TIMEOUT", 5)
        sorter.losses.see(next(event for event in sorter.events(count=1) if event))

    armed(board, sorter, model)
    before = len(board.requests)
    board.put(board.event(0))
    everything()
    requests = len(board.requests) - before
    assert requests > 30
    for stop in range(requests):
        sorter.arm(model)
        countdown = iter(range(stop, -1, -1))
        board.on_request = lambda left=countdown: next(left, None) == 0 and board.disarm(fake_board.HOST)
        board.put(board.event(0))
        with contextlib.suppress(IcsortError):  # "not armed": what armed it noticed
            everything()
        board.on_request = lambda: None
        assert not board.armed, stop


@pytest.mark.parametrize("after", range(32))
def test_failure_while_arming_disarms(board: FakeBoard, model: Manifest, after: int) -> None:
    """Whatever request the line swallows: behind the object nothing is armed that was not before."""
    asked: set[int] = set()  # sequence numbers: a retry has that of the first try

    def swallow() -> None:
        asked.add(board.requests[-1][1])
        board.damage = ["drop"] if len(asked) == after + 1 else []

    with Sorter.open(board.port, timeout=0.1) as sorter:
        sorter.set_gate(["S"], 0.0, model)
        board.on_request = swallow
        with pytest.raises(IcsortError, match="no answer"):
            sorter.arm(model)
    assert len(asked) > after
    assert not board.armed


def closed(board: FakeBoard, model: Manifest, act: Callable[[Sorter], object], **options: float) -> None:
    """Arm, do something, and leave the block."""
    with Sorter.open(board.port, timeout=0.2) as sorter:
        armed(board, sorter, model, **options)
        act(sorter)


def test_an_exception_disarms(board: FakeBoard, model: Manifest) -> None:
    with pytest.raises(ZeroDivisionError):
        closed(board, model, lambda _: 1 / 0)
    assert not board.armed


def test_what_others_armed_stays(board: FakeBoard) -> None:
    board.registers[fake_board.STATUS] |= fake_board.ARMED | fake_board.GATE_VALID
    with Sorter.open(board.port, timeout=0.2) as sorter:
        sorter.counters()
    assert board.armed


def test_events_keep_the_heartbeat(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    armed(board, sorter, model, heartbeat=0.4)
    assert board.registers[fake_board.HEARTBEAT] == 40_000_000
    before = len(board.requests)
    list(sorter.events(idle=1.0))
    assert len(board.requests) - before >= 4  # each at most a quarter of the time apart
    sorter.disarm()
    before = len(board.requests)
    list(sorter.events(idle=0.3))
    assert len(board.requests) == before


@pytest.mark.parametrize(
    ("cause", "word"), [(fake_board.HOST, "`icsort disarm` stopped it"), (fake_board.SILENCE, "longer --heartbeat")]
)
def test_events_end_where_the_board_is_disarmed(
    board: FakeBoard, sorter: Sorter, model: Manifest, cause: int, word: str
) -> None:
    armed(board, sorter, model, heartbeat=0.4)
    board.disarm(cause)
    with pytest.raises(IcsortError, match=f"the board is not armed: .*{word}"):
        list(sorter.events(idle=5))
    assert sorter.status().disarmed_by == (DisarmedBy.HOST if cause == fake_board.HOST else DisarmedBy.HEARTBEAT)


@pytest.mark.parametrize("heartbeat", [0.0, 60.0, math.nan])
def test_heartbeat_must_fit(board: FakeBoard, sorter: Sorter, model: Manifest, heartbeat: float) -> None:
    sorter.set_gate(["S"], 0.0, model)
    with pytest.raises(IcsortError, match="heartbeat of"):
        sorter.arm(model, heartbeat=heartbeat)
    assert not board.armed


def test_port_gone_while_armed(board: FakeBoard, model: Manifest) -> None:
    """The board may go on for as long as its heartbeat lasts, and the line says so."""

    def unplug(sorter: Sorter) -> None:
        board.unplug()
        sorter.counters()

    with pytest.raises(IcsortError, match=r"may still be armed: its heartbeat disarms it 3 s after") as caught:
        closed(board, model, unplug, heartbeat=3)
    assert "the port is gone" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_board_that_does_not_disarm(board: FakeBoard, model: Manifest) -> None:
    with pytest.raises(IcsortError, match=r"stays armed; switch the sorter off; the board may still be armed"):
        closed(board, model, lambda _: board.forgets.add(fake_board.DISARM))


def test_board_that_does_not_arm(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    board.forgets = {fake_board.ARM}
    with pytest.raises(IcsortError, match="the board is not armed"):
        sorter.arm(model)


def test_disarm_past_another_program(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    """A stop gets through a port that is held, in the middle of the holder's requests, and the holder's go on."""
    armed(board, sorter, model)
    stop = threading.Thread(target=disarm_past, args=(board.port,))
    stop.start()
    while stop.is_alive():
        assert sorter.read("MAGIC") == int.from_bytes(b"ICSR", "little")
    stop.join()
    assert not board.armed
    assert sorter.retries == 0


def test_disarm_past_a_port_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="nothing can be sent past it"):
        disarm_past(str(tmp_path / "none"))
