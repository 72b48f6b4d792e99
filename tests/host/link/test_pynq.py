# SPDX-License-Identifier: Apache-2.0
"""The sorter beside a processor: the same objects and commands as over the link, on registers and a DMA."""

import fcntl
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import icsort
from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.host import session
from icsort.host.link.protocol import EventRecord, Statistics, read_request, unbatch
from icsort.host.link.pynq import PynqTransport
from icsort.host.link.transport import PortBusyError, PortGoneError
from icsort.host.sorter import DisarmedBy, Sorter
from icsort.sim.bit_true.framing import NackCode, decode, encode
from tests.host.fake_board import ARM, DISARM, GATE_COMMIT, GATE_SERIAL, HOST, SCHEDULE_COMMIT, STATUS, FakeBoard
from tests.host.fake_pynq import FakePynq


@pytest.fixture
def pynq(model: Manifest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePynq]:
    fake = FakePynq(FakeBoard(model.model_id, model.network_id))
    monkeypatch.setitem(sys.modules, "pynq", fake)
    yield fake
    fake.board.close()


@pytest.fixture
def port(tmp_path: Path) -> str:
    (tmp_path / "sorter.bit").write_bytes(b"bits")
    return f"pynq://{tmp_path / 'sorter.bit'}"


@pytest.fixture
def sorter(pynq: FakePynq, port: str) -> Iterator[Sorter]:
    assert not pynq.loaded
    with Sorter.open(port) as sorter:
        yield sorter


def test_batches_are_read_from_their_end(seed: int) -> None:
    draw = random.Random(seed)
    records = [(draw.choice([0xE0, 0xE1, 0xE2, 0xE3]), draw.randbytes(4 * draw.randint(1, 40))) for _ in range(50)]
    batch = b"".join(body + struct.pack("<I", kind << 24 | len(body) // 4) for kind, body in records)
    assert unbatch(batch) == records
    assert unbatch(b"") == []
    cut = draw.randint(1, len(records[0][1]))
    assert unbatch(batch[cut:]) == records[1:]


def test_identity_and_gate(pynq: FakePynq, sorter: Sorter, model: Manifest) -> None:
    board = sorter.check_model(model)
    assert board.model_id == model.model_id
    gate = sorter.set_gate([model.classes[1]], 0.7, model)
    assert (gate.mask, sorter.gate()) == (0b010, gate)
    assert pynq.downloads == 1
    assert sorter.losses.bad_frames == 0


def test_commits_that_take_longer_than_a_read(pynq: FakePynq, sorter: Sorter, model: Manifest) -> None:
    """Some tens of the board's cycles, in which this host reads several times."""
    late: dict[int, tuple[int, int]] = {}  # register that a commit changes: reads until it shows, and its value then
    execute = pynq.board._execute

    def slowly(payload: bytes) -> bytes:
        kind, address = payload[0], struct.unpack_from("<H", payload, 2)[0]
        shown = {name: pynq.board.registers[name] for name in (GATE_SERIAL, STATUS)}
        answer = execute(payload)
        if kind == 2 and address in (GATE_COMMIT, SCHEDULE_COMMIT):
            name = GATE_SERIAL if address == GATE_COMMIT else STATUS
            late[name] = 7, pynq.board.registers[name]
            pynq.board.registers[name] = shown[name]
        elif kind == 1 and address in late:
            reads, value = late.pop(address)
            if reads:
                late[address] = reads - 1, value
            else:
                pynq.board.registers[address] = value
        return answer

    pynq.board._execute = slowly  # type: ignore[method-assign]
    serial = sorter.read("GATE_SERIAL")
    assert sorter.set_gate([model.classes[0]], 0.7, model).serial == serial + 1
    sorter.arm(model)
    assert pynq.board.armed


def test_arm_events_and_disarm(pynq: FakePynq, sorter: Sorter, model: Manifest) -> None:
    sorter.set_gate([model.classes[0]], 0.7, model)
    sorter.arm(model)
    assert pynq.board.armed
    board = pynq.board
    pynq.send(board.event(0), board.event(1), board.statistics(0, 700, {}))
    pynq.send(board.event(2))
    messages = [message for message in sorter.events(count=3) if message is not None]
    assert [message.event_id for message in messages if isinstance(message, EventRecord)] == [0, 1, 2]
    assert [message.number for message in messages if isinstance(message, Statistics)] == [0]
    assert [message.seq for message in messages if isinstance(message, EventRecord)] == [0, 1, 2]
    sorter.disarm()
    assert sorter.status().disarmed_by is DisarmedBy.HOST
    assert sorter.losses.events == sorter.losses.frames == 0


def test_it_is_quiet_where_nobody_asks(pynq: FakePynq, sorter: Sorter, model: Manifest) -> None:
    """What keeps an armed board alive is what the program asks, not that its threads live."""
    sorter.set_gate([model.classes[0]], 0.7, model)
    sorter.arm(model)
    touched = len(pynq.registers.touched)
    pynq.send(pynq.board.event(0))
    time.sleep(0.3)
    assert len(pynq.registers.touched) == touched


def test_more_batches_than_buffers(pynq: FakePynq, sorter: Sorter) -> None:
    for first in range(0, 300, 30):
        pynq.send(*(pynq.board.event(first + index) for index in range(30)))
    events = [message.event_id for message in sorter.events(count=300) if isinstance(message, EventRecord)]
    assert events == list(range(300))
    assert sorter.losses.events == 0
    assert len(pynq.buffers) == 2


def test_a_transfer_that_fails_is_begun_anew_and_its_events_are_counted(pynq: FakePynq, sorter: Sorter) -> None:
    board = pynq.board
    pynq.send(board.event(0))
    assert len([*sorter.events(count=1)]) >= 1
    pynq.channel.fails = 1
    pynq.send(board.event(1), board.event(2))
    pynq.send(board.event(3), board.event(4), cut=8)  # the DMA begins in the middle of a packet
    pynq.send(board.event(5))
    seen = [message.event_id for message in sorter.events(count=2) if isinstance(message, EventRecord)]
    assert seen == [4, 5]
    assert sorter.losses.events == 3


def test_a_dma_that_stays_broken_is_a_port_that_is_gone(pynq: FakePynq, sorter: Sorter) -> None:
    pynq.channel.fails = 3
    for _ in range(3):
        pynq.send(pynq.board.event(0))
    with pytest.raises(PortGoneError, match=r"the DMA gives no records .DMA Slave Error"):
        for _ in sorter.events(idle=5):
            pass


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x05\x00\x00\x00", NackCode.UNKNOWN_TYPE),
        (b"\x01\x00\x00", NackCode.BAD_LENGTH),
        (b"\x02\x00\x00\x00", NackCode.BAD_LENGTH),
        (b"\x01\x00\x02\x00", NackCode.BAD_ADDRESS),  # no multiple of 4
        (b"\x01\x00\xfc\xff", NackCode.BAD_ADDRESS),  # no register
        (b"\x01\x00\x3c\x00", NackCode.BAD_ADDRESS),  # ARM, read
        (b"\x02\x00\x00\x00\x01\x00\x00\x00", NackCode.BAD_ADDRESS),  # MAGIC, written
    ],
)
@pytest.mark.usefixtures("pynq")
def test_what_would_be_a_bus_error_is_refused(port: str, payload: bytes, code: NackCode) -> None:
    transport = PynqTransport(port)
    try:
        transport.write(encode(payload))
        assert decode(transport.read()[:-1]) == bytes([0xFF, payload[1], code])
        transport.write(read_request(7, 0))
        assert decode(transport.read()[:-1])[:2] == bytes([0x81, 7])
    finally:
        transport.close()


def test_one_program_has_it_and_others_go_through_that_one(
    pynq: FakePynq, port: str, model: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with icsort.connect("pynq://sorter.bit") as sorter:
        with pytest.raises(PortBusyError, match="busy, another program has the overlay"):
            Sorter.open(port)
        with icsort.connect(port) as other:
            assert not other.owns_port
            assert other.identify() == sorter.identify()
            sorter.set_gate([model.classes[0]], 0.7, model)
            sorter.arm(model)
            other.disarm()
        with pytest.raises(IcsortError, match="stopped it"):
            sorter.check_armed()
    assert pynq.downloads == 1
    assert all(buffer.freed for buffer in pynq.buffers)
    with icsort.connect(port):
        assert pynq.downloads == 1  # it holds this one already, and might be armed


def test_a_board_that_was_armed_stays_so_when_somebody_connects(pynq: FakePynq, port: str) -> None:
    """As behind a program that was killed: nothing is loaded anew, and no heartbeat but that of requests goes on."""
    pynq.loaded = True
    pynq.board.registers[STATUS] |= 0x43
    pynq.board._write(ARM, 1)
    with Sorter.open(port) as sorter:
        assert sorter.status().armed
        sorter.disarm()
    assert pynq.board.registers[STATUS] & HOST


def test_stop_past_a_program_that_hangs(pynq: FakePynq, port: str, model: Manifest) -> None:
    with Sorter.open(port) as sorter:  # which nobody can ask
        sorter.set_gate([model.classes[0]], 0.7, model)
        sorter.arm(model)
        session.stop(port)
        assert not pynq.board.armed
        assert pynq.registers.touched[-2:] == [DISARM, STATUS]
        transfers = pynq.channel.transfers
        with pytest.raises(IcsortError, match="not armed"):
            sorter.check_armed()
        assert pynq.channel.transfers == transfers  # the DMA is left alone


def test_nothing_of_another_design_is_touched(port: str, pynq: FakePynq) -> None:
    with Path(port.removeprefix("pynq://")).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(IcsortError, match="the FPGA holds another design"):
            session.stop(port)
    assert pynq.registers.touched == []


def test_what_is_missing_is_said(pynq: FakePynq, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IcsortError, match=r"there is no overlay .*none\.bit"):
        Sorter.open(f"pynq://{tmp_path / 'none.bit'}")

    def refuses(path: str, **_: bool) -> None:
        raise ValueError(f"Cannot find HWH file for {path}")

    monkeypatch.setattr(pynq, "Overlay", refuses)
    with pytest.raises(IcsortError, match=r"PYNQ does not load it .*hwh must be beside it"):
        Sorter.open(port)
    monkeypatch.setattr(pynq, "Overlay", lambda _, **__: type("Empty", (), {"is_loaded": lambda _: True})())
    with pytest.raises(IcsortError, match="has no cell 'sorter'"):
        Sorter.open(port)
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(IcsortError, match="this Python has no PYNQ"):
        Sorter.open(port)


HOLDS = """
import fcntl, sys
file = open(sys.argv[1], "rb")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_killed_programs_leave_the_overlay(port: str, pynq: FakePynq) -> None:
    """Its lock goes with the process, however that ends."""
    hold = [sys.executable, "-c", HOLDS, port.removeprefix("pynq://")]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(PortBusyError):
            Sorter.open(port)
        assert pynq.downloads == 0
        other.kill()
    with Sorter.open(port) as sorter:
        sorter.check_protocol()
