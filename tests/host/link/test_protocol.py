# SPDX-License-Identifier: Apache-2.0
"""Messages against bytes written out by hand from docs/link.md."""

import struct
import zlib

import pytest
from cobs import cobs

from icsort.host.link.protocol import Answer, EventRecord, Nack, parse, read_request, write_request
from icsort.sim.bit_true.framing import FrameError, NackCode
from icsort.sim.bit_true.scheduler import Outcome


def content(frame: bytes) -> bytes:
    assert frame[-1:] == b"\0"
    payload = cobs.decode(frame[:-1])
    assert zlib.crc32(payload[:-4]) == int.from_bytes(payload[-4:], "little")
    return payload[:-4]


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
    body = struct.pack("<IQBBHIi", 2**32 - 1, 2**48 - 1, 5, 1, 65535, 1700, -3)
    body += b"".join(struct.pack("<i", logit) for logit in logits)
    expected = EventRecord(
        seq=9,
        event_id=2**32 - 1,
        time=2**48 - 1,
        outcome=Outcome.CONFLICT,
        class_index=1,
        posterior=65535,
        first_pixel_to_decision=1700,
        last_pixel_to_decision=-3,
        logits=logits,
    )
    assert parse(b"\xe0\x09" + body) == expected


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
        b"\xe0\x00" + struct.pack("<IQBBHIi", 0, 0, 0, 0, 0, 0, 0),  # no class at all
        b"\xe0\x00" + struct.pack("<IQBBHIi", 0, 0, 0, 1, 0, 0, 0) + bytes(4),  # class 1 of 1
        b"\xe0\x00" + struct.pack("<IQBBHIi", 0, 0, 6, 0, 0, 0, 0) + bytes(8),  # no such outcome
        b"\xe0\x00" + struct.pack("<IQBBHIi", 0, 0, 0, 0, 0, 0, 0) + bytes(7),
    ],
)
def test_what_no_board_sends_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse(payload)
