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
from icsort.formats.package import Manifest
from icsort.host.link.registers import REGISTERS
from icsort.host.link.transport import SerialTransport
from icsort.host.sorter import DisarmedBy, Losses, Sorter, build_key, disarm_past
from tests.host import fake_board
from tests.host.fake_board import FakeBoard


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
    assert (identity.classes, identity.channels, identity.height, identity.width) == (3, 2, 40, 38)
    assert identity.clock_hz == 100_000_000
    assert sorter.retries == 0
    assert [request[1] for request in board.requests] == list(range(len(board.requests)))


@pytest.mark.parametrize("damage", ["flip", "drop", "seq"])
def test_damaged_answers_are_asked_for_again(board: FakeBoard, sorter: Sorter, damage: str) -> None:
    zeros = board.lone_zeros
    board.damage = [damage, damage, ""]
    assert sorter.write("DROP_DELAY", 77) == 77
    assert sorter.retries == 2
    assert board.requests[-3:] == [board.requests[-1]] * 3
    assert board.lone_zeros == zeros + 2  # each retry ends what the board may be in the middle of
    assert sorter.losses.bad_frames == (2 if damage == "flip" else 0)


def test_three_damaged_answers_are_an_error(board: FakeBoard, sorter: Sorter) -> None:
    board.damage = ["flip"] * 3
    with pytest.raises(IcsortError, match=r"bytes arrived but no frame.* no answer to 3 requests for DROP_DELAY; "):
        sorter.read("DROP_DELAY")
    assert sorter.read("DROP_DELAY") == 0


def test_late_answer_is_not_taken_for_the_next(board: FakeBoard, sorter: Sorter) -> None:
    board.damage = ["repeat"] * 20
    for value in range(10):
        assert sorter.write("DROP_DELAY", value) == value
        assert sorter.read("PULSE_CYCLES") == 0
    assert sorter.retries == 0


def test_sequence_numbers_wrap(board: FakeBoard, sorter: Sorter) -> None:
    for value in range(300):
        assert sorter.write("DROP_DELAY", value) == value
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
    with pytest.raises(IcsortError, match=r"speaks protocol 1, this icsort 2"):
        Sorter.open(board.port)


def test_gate(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    gate = sorter.set_gate(["M", "G1"], 0.9, model)
    assert (gate.mask, gate.posterior, gate.serial) == (0b101, 58983, 1)
    assert board.registers[fake_board.GATE_ACTIVE] == 0b101
    assert writes(board) == [
        *[(fake_board.GATE, 0b101), (fake_board.GATE + 4, 0), (fake_board.GATE + 8, 58983), (fake_board.GATE_COMMIT, 1)]
    ]


@pytest.mark.parametrize("forgotten", [fake_board.GATE, fake_board.GATE + 8, fake_board.GATE_COMMIT])
def test_gate_is_read_back(board: FakeBoard, sorter: Sorter, model: Manifest, forgotten: int) -> None:
    """A gate that does not arrive is never committed, and one that is not committed is never taken for it."""
    board.forgets = {forgotten}
    with pytest.raises(IcsortError, match=r"reads back|did not take the gate"):
        sorter.set_gate(["M"], 0.5, model)
    assert ((fake_board.GATE_COMMIT, 1) in writes(board)) == (forgotten == fake_board.GATE_COMMIT)


def test_arm(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    before = len(writes(board))
    assert sorter.arm(model, drop_delay_us=123.45, pulse_us=2.0, build_id="0123456789abcdef") == (12345, 200)
    assert writes(board)[before:] == [
        (fake_board.DISARM, 1),
        (fake_board.TRIGGER_CHANNEL, 1),
        (fake_board.TRIGGER_THRESHOLD, 1965),
        (fake_board.DROP_DELAY, 12345),
        (fake_board.PULSE_CYCLES, 200),
        (fake_board.HEARTBEAT, 200_000_000),
        (fake_board.ARM, 1),
    ]
    assert sorter.status().armed
    sorter.disarm()
    assert not sorter.status().armed


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
    other = Manifest(**{key: value for key, value in model if key not in ("name", "model_id")}, name="other")
    with pytest.raises(
        IcsortError, match=f"holds model {model.model_id}, the folder is model {other.model_id}; program"
    ):
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
    with pytest.raises(IcsortError, match=r"not within 1\.\.\d+ cycles of the board's 100 MHz clock"):
        sorter.arm(model, delay, pulse)
    assert not sorter.status().armed


def test_arm_fails_where_a_register_does_not_keep_its_value(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate(["S"], 0.0, model)
    board.forgets = {fake_board.DROP_DELAY}
    with pytest.raises(IcsortError, match="DROP_DELAY reads back 0 after writing 50000"):
        sorter.arm(model)
    assert not sorter.status().armed


def test_counters(board: FakeBoard, sorter: Sorter, model: Manifest) -> None:
    assert set(sorter.counters()) == {"TIMESTAMP"} | {n for n, r in REGISTERS.items() if r.address >= 0x80}
    assert sorter.counters()["ACCEPTED"] == 100 + 0x80
    assert sorter.counters()["LINK_GOOD_FRAMES"] == 100 + 0xB0
    assert sorter.counters()["TIMESTAMP"] == 1 << 32 | 7
    sorter.set_gate(["S"], 0.0, model)
    sorter.arm(model)
    sorter.counters()
    assert board.armed, "a snapshot must not disarm"


def test_events_between_answers_are_kept(board: FakeBoard, sorter: Sorter) -> None:
    board.on_request = lambda: board.put(board.event(board.requests[-1][1]))
    sorter.read("DROP_DELAY")
    sorter.read("DROP_DELAY")
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
        sorter.read("DROP_DELAY")


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
    (tmp_path / "build.json").write_text(json.dumps({"build_id": "00000000DEADBEEF", "baud": 4_000_000}))
    assert build_key(tmp_path) == ("00000000deadbeef", 4_000_000)
    ids = [{"build_id": build_id, "baud": 9600} for build_id in (5, "xyz", "12")]
    bauds = [{"build_id": "00000000DEADBEEF", "baud": baud} for baud in (0, "9600", True)]
    for content in ("", "[]", "{}", *map(json.dumps, ids + bauds)):
        (tmp_path / "build.json").write_text(content)
        with pytest.raises(IcsortError, match="no build id and baud rate in it"):
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
    assert time.monotonic() - begun < 5


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
        sorter.write_checked("DROP_DELAY", 5)
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


@pytest.mark.parametrize("after", range(18))
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
