# SPDX-License-Identifier: Apache-2.0
"""Messages against bytes written out by hand from docs/link.md."""

import random
import struct
import zlib

import pytest
from cobs import cobs

from icsort.host.link.protocol import (
    Answer,
    EventRecord,
    Nack,
    Statistics,
    Timing,
    parse,
    read_request,
    write_request,
)
from icsort.host.link.registers import REGISTERS
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.framing import FrameError, NackCode
from icsort.sim.bit_true.scheduler import Outcome

COUNTER_ADDRESSES = {*range(0x80, 0xCD, 4), *range(0x500, 0x5FD, 4)}


def content(frame: bytes) -> bytes:
    assert frame[-1:] == b"\0"
    payload = cobs.decode(frame[:-1])
    assert zlib.crc32(payload[:-4]) == int.from_bytes(payload[-4:], "little")
    return payload[:-4]


def base(event: int = 0, time: int = 0, outcome: int = 0, best: int = 0, groups: int = 1) -> bytes:
    """The group BASE of an event record, by docs/link.md."""
    head = struct.pack("<IIHBB", event, time % 2**32, time >> 32, 0xA5, groups)
    return head + struct.pack("<BBHBBHI", outcome, 5, 0b101, 255, best, 65535, 2**31 + 1)


def test_a_record_without_groups() -> None:
    record = parse(b"\xe0\x00" + base())
    assert isinstance(record, EventRecord)
    assert (record.timing, record.features, record.logits) == (None, None, None)


def test_requests() -> None:
    assert content(read_request(7, 0x1234)) == bytes([0x01, 7, 0x34, 0x12])
    assert content(write_request(255, 0x44, 0xA1B2C3D4)) == bytes([0x02, 255, 0x44, 0x00, 0xD4, 0xC3, 0xB2, 0xA1])


def test_answers() -> None:
    assert parse(bytes.fromhex("81 05 3412 78563412")) == Answer(5, 0x1234, 0x12345678, is_write=False)
    assert parse(bytes.fromhex("82 06 0000 ffffffff")) == Answer(6, 0, 0xFFFFFFFF, is_write=True)
    assert parse(bytes.fromhex("ff 07 03")) == Nack(7, NackCode.BAD_ADDRESS)


@pytest.mark.parametrize("classes", [2, 7, 36, 64])
def test_event(classes: int) -> None:
    logits = tuple((-1) ** c * (2**31 - 1 - c) for c in range(classes))
    body = base(2**32 - 1, 2**48 - 1, outcome=5, best=1, groups=0b1111) + struct.pack("<IiI", 1700, -3, 17)
    body += struct.pack("<I2i", 2, 2**31 - 1, -7)
    body += struct.pack("<I", classes) + b"".join(struct.pack("<i", logit) for logit in logits)
    expected = EventRecord(
        seq=9,
        event_id=2**32 - 1,
        time=2**48 - 1,
        tag=0xA5,
        outcome=Outcome.CONFLICT,
        direction=5,
        flags=EventFlag.DOUBTFUL | EventFlag.DOUBLET,
        length=255,
        class_index=1,
        posterior=65535,
        gates=2**31 + 1,
        timing=Timing(1700, -3, 17),
        features=(2**31 - 1, -7),
        logits=logits,
    )
    assert parse(b"\xe0\x09" + body) == expected


def test_statistics() -> None:
    names = [name for name, register in REGISTERS.items() if register.address in COUNTER_ADDRESSES]
    values = [random.getrandbits(32) for _ in names]
    head = struct.pack("<IIHH", 2**32 - 1, 0x89ABCDEF, 0x4567, 0b10010 << 8 | 0b11100001)
    statistics = parse(b"\xe2\xff" + head + struct.pack(f"<{len(names)}I", *values))
    assert isinstance(statistics, Statistics)
    assert (statistics.seq, statistics.number, statistics.time) == (255, 2**32 - 1, 0x456789ABCDEF)
    assert statistics.counters == dict(zip(names, values, strict=True))
    assert statistics.faults == ("cells_lost", "network")
    assert statistics.state == {
        "armed": 1, "gate_valid": 0, "idle": 0, "testing": 0, "disarmed_by": 2, "schedule_valid": 1, "interlock": 1,
    }  # fmt: skip
    for wrong in (b"", head, head + b"\0" * (4 * len(names) - 1), head + b"\0" * (4 * len(names) + 4)):
        with pytest.raises(FrameError, match="message type 0xe2"):
            parse(b"\xe2\x00" + wrong)


@pytest.mark.parametrize(
    "payload",
    [
        bytes.fromhex("81 05 3412 785634"),
        bytes.fromhex("81 05"),
        bytes.fromhex("82 05 3412 78563412 00"),
        bytes.fromhex("ff 07"),
        bytes.fromhex("ff 07 09"),
        bytes.fromhex("01 05 3412"),
        bytes.fromhex("e0 00"),
        b"\xe0\x00" + base(groups=0b1001) + bytes(4),  # no class at all
        b"\xe0\x00" + base(groups=0b1001, best=1) + bytes([1, 0, 0, 0, 9, 9, 9, 9]),  # class 1 of 1
        b"\xe0\x00" + base(outcome=200),
        b"\xe0\x00" + base(groups=0),
        b"\xe0\x00" + base(groups=0b10001),
        b"\xe0\x00" + base(groups=0b1001) + bytes([3, 0, 0, 0, 9, 9, 9, 9]),  # two logits too few
        b"\xe0\x00" + base() + bytes(1),
        b"\xe0\x00" + base()[:-1],
    ],
)
def test_what_no_board_sends_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse(payload)
