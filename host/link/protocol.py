# SPDX-License-Identifier: Apache-2.0
"""Requests to the board and what it sends, as Python values. No I/O: bytes in, bytes out."""

import struct
from dataclasses import dataclass

from icsort.formats import event_record
from icsort.sim.bit_true.framing import HEADER_BYTES, FrameError, MessageType, NackCode, encode
from icsort.sim.bit_true.scheduler import Outcome

_ADDRESS = struct.Struct("<H")
_ADDRESS_DATA = struct.Struct("<HI")


@dataclass(frozen=True)
class Answer:
    """READ_ACK or WRITE_ACK: `data` is the register's value, after a write the value read back."""

    seq: int
    address: int
    data: int
    is_write: bool


@dataclass(frozen=True)
class Nack:
    """The board did not carry out the request of this sequence number."""

    seq: int
    code: NackCode


@dataclass(frozen=True)
class EventRecord:
    """One event as the board reports it. Times and latencies are cycles of the board's clock (register CLOCK_HZ)."""

    seq: int
    """Number of the EVENT frame, 0..255, wraps: a gap is a frame lost on the link."""
    event_id: int
    """0, 1, 2 .. since reset: a gap is an event without a record here."""
    time: int
    """When the light of the event's first pixel was there, as its line 0 brought it."""
    outcome: Outcome
    class_index: int
    """Class with the largest logit, the lowest at ties."""
    posterior: int
    """Posterior of the gate's class set, unsigned 0.16 (65535 also stands for 1)."""
    first_pixel_to_decision: int
    last_pixel_to_decision: int
    logits: tuple[int, ...]
    """Integer accumulators, one a class; times the manifest's logits.scale they are logits."""


def read_request(seq: int, address: int) -> bytes:
    """Frame that asks for the register at a byte address."""
    return encode(bytes([MessageType.READ, seq]) + _ADDRESS.pack(address))


def write_request(seq: int, address: int, data: int) -> bytes:
    """Frame that writes 32 bits to the register at a byte address."""
    return encode(bytes([MessageType.WRITE, seq]) + _ADDRESS_DATA.pack(address, data))


def parse(payload: bytes) -> Answer | Nack | EventRecord:
    """What an intact payload from the board says. Raises FrameError for one that no board of this protocol sends."""
    kind, seq, body = payload[0], payload[1], payload[HEADER_BYTES:]
    try:
        if kind in (MessageType.READ_ACK, MessageType.WRITE_ACK):
            address, data = _ADDRESS_DATA.unpack(body)
            return Answer(seq, address, data, kind == MessageType.WRITE_ACK)
        if kind == MessageType.NACK:
            (code,) = body
            return Nack(seq, NackCode(code))
        if kind == MessageType.EVENT:
            header, logits = event_record.unpack(body)
            outcome = Outcome(header.pop("outcome"))
            record = EventRecord(seq, **header, outcome=outcome, logits=logits)
            if record.class_index >= len(logits):
                raise FrameError(f"EVENT names class {record.class_index} of {len(logits)}")
            return record
    except (struct.error, ValueError) as error:
        raise FrameError(f"message type {kind:#04x} with a body of {len(body)} bytes: {error}") from None
    raise FrameError(f"unknown message type {kind:#04x}")
