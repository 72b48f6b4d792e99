# SPDX-License-Identifier: Apache-2.0
"""Requests to the board and what it sends, as Python values. No I/O: bytes in, bytes out."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from icsort.formats import event_record
from icsort.formats.event_record import Field, Group
from icsort.host.link.registers import COUNTERS, REGISTERS
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.framing import HEADER_BYTES, FrameError, MessageType, NackCode, encode
from icsort.sim.bit_true.scheduler import Outcome

_ADDRESS = struct.Struct("<H")
_ADDRESS_DATA = struct.Struct("<HI")
_WORD = struct.Struct("<I")

STATISTICS_HEAD: Final = (Field("number", 0, 4), Field("taken_at", 4, 6), Field("state", 10, 2))
"""Of a STATISTICS frame, in front of its counters, u32 each, in the order of `registers.COUNTERS`."""
IMAGE_HEAD: Final = (
    Field("event_id", 0, 4),
    Field("tag", 4, 1),
    Field("reason", 5, 1),
    Field("unused", 6, 2),
    Field("piece", 8, 2),
    Field("pieces", 10, 2),
)
"""Of an IMAGE frame, in front of its pixels, whole words."""
WORD_BYTES: Final = 4
PAST_SEQS: Final = range(10)
"""Sequence numbers of a DISARM that is sent past the program which has the port, and of nothing that this one sends."""
_TIMING: Final = int(Group.TIMING)
_TIMING_NAMES: Final = tuple(field.name for field in event_record.FIELDS[Group.TIMING])
STATE_REGISTERS: Final = ("STATUS", "FAULTS")
"""Whose low bytes `state` is, the first in its low byte."""


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
class Timing:
    """Latencies of an event's decision, cycles, and how often a gate had been committed by then, modulo 2^32."""

    first_pixel_to_decision: int
    last_pixel_to_decision: int
    gate_serial: int


@dataclass(frozen=True)
class EventRecord:
    """One event as the board reports it. Times and latencies are cycles of the board's clock (register CLOCK_HZ)."""

    seq: int
    """Number of the EVENT frame, 0..255, wraps: a gap is a frame lost on the link."""
    event_id: int
    """0, 1, 2 .. since reset: a gap is an event without a record here."""
    time: int
    """When the light of the event's first pixel was there, as its line 0 brought it."""
    tag: int
    """Number of the event among those accepted, modulo 256."""
    outcome: Outcome
    direction: int | None
    """Sort output that it was wished for; None: for none, or the event was aborted, DISARMED or REJECTED before wishes
    count."""
    flags: EventFlag
    length: int
    """Lines."""
    class_index: int
    """Class with the largest logit, the lowest at ties."""
    posterior: int
    """Posterior of the gate's class set, unsigned 0.16 (65535 also stands for 1)."""
    gates: int
    """Bit g: gate g holds."""
    timing: Timing | None = None
    """None, as features and logits, where the register RECORD_FIELDS leaves the group out."""
    features: tuple[int, ...] | None = None
    logits: tuple[int, ...] | None = None
    """Integer accumulators, one a class; times the manifest's logits.scale they are logits."""


@dataclass(frozen=True)
class Amendment:
    """A sort that was decided as SORTED, as the event's record says, and did not come."""

    seq: int
    """Count of amendments as the board's link sent them, modulo 256, from 0 at reset."""
    event: int
    """`event_id` of the event, modulo 2^24."""
    outcome: Outcome
    """How it ended instead."""
    direction: int


@dataclass(frozen=True)
class Statistics:
    """All counters of the board at one moment."""

    seq: int
    """Number of the STATISTICS frame, 0..255, wraps: a gap is a frame lost on the link."""
    number: int
    """Of the moment since reset: a gap is a moment of which no frame came."""
    time: int
    """Cycles since reset, modulo 2^48."""
    state: dict[str, int]
    """Fields of the register STATUS."""
    faults: tuple[str, ...]
    """Fields of the register FAULTS that are set."""
    counters: dict[str, int]
    """Modulo 2^32."""


class ImageReason(IntEnum):
    """Why the board sends an image; but for REQUEST also the rules of IMAGE_RULE."""

    NONE = 0
    REQUEST = 1
    EVERY = 2
    GATE = 3


@dataclass(frozen=True)
class ImagePiece:
    """A part of the window of an event, as the network took it."""

    seq: int
    """Number of the IMAGE frame, 0..255, wraps: a gap is a frame lost on the link."""
    event_id: int
    tag: int
    """Number of the event among those accepted, modulo 256."""
    reason: ImageReason
    piece: int
    pieces: int
    """How many the image has; `piece` counts from 0."""
    pixels: bytes
    """Pixel by pixel, row by row, one byte a channel; behind the last one zeros up to a whole word."""


Message = EventRecord | Amendment | Statistics | ImagePiece
"""What a board sends without being asked."""


def read_request(seq: int, address: int) -> bytes:
    """Frame that asks for the register at a byte address."""
    return encode(bytes([MessageType.READ, seq]) + _ADDRESS.pack(address))


def write_request(seq: int, address: int, data: int) -> bytes:
    """Frame that writes 32 bits to the register at a byte address."""
    return encode(bytes([MessageType.WRITE, seq]) + _ADDRESS_DATA.pack(address, data))


def unbatch(batch: bytes) -> list[tuple[int, bytes]]:
    """Records of a batch, as record_batches makes them: type and body of each, in order. A first one that is cut off in
    front, where the DMA began in the middle of it, is left out."""
    records = []
    end = len(batch)
    while end >= WORD_BYTES:
        (trailer,) = _WORD.unpack_from(batch, end - WORD_BYTES)
        end -= WORD_BYTES
        begin = end - WORD_BYTES * (trailer & 0xFFFF)
        if begin < 0 or begin == end:
            break
        records.append((trailer >> 24, batch[begin:end]))
        end = begin
    return records[::-1]


def parse(payload: bytes) -> Answer | Nack | EventRecord | Amendment | Statistics | ImagePiece:
    """What an intact payload from the board says. Raises FrameError for one that no board of this protocol sends."""
    kind, seq, body = payload[0], payload[1], payload[HEADER_BYTES:]
    try:
        if kind == MessageType.EVENT:  # first: the most by far
            return _event(seq, event_record.unpack(body))
        if kind in (MessageType.READ_ACK, MessageType.WRITE_ACK):
            address, data = _ADDRESS_DATA.unpack(body)
            return Answer(seq, address, data, kind == MessageType.WRITE_ACK)
        if kind == MessageType.NACK:
            (code,) = body
            return Nack(seq, NackCode(code))
        if kind == MessageType.AMENDMENT:
            (word,) = _WORD.unpack(body)
            return Amendment(seq, word & 0xFFFFFF, Outcome(word >> 24 & 0xF), word >> 28)
        if kind == MessageType.STATISTICS:
            return _statistics(seq, body)
        if kind == MessageType.IMAGE:
            return _image(seq, body)
    except (struct.error, ValueError) as error:
        raise FrameError(f"message type {kind:#04x} with a body of {len(body)} bytes: {error}") from None
    raise FrameError(f"unknown message type {kind:#04x}")


def _event(seq: int, record: event_record.Record) -> EventRecord:
    """Raises ValueError for a record that no board makes."""
    values, features, logits = record
    if logits is not None and values["class_index"] >= len(logits):
        raise ValueError(f"class {values['class_index']} of {len(logits)}")
    timing = values["groups"] & _TIMING and Timing(*[values[name] for name in _TIMING_NAMES])
    direction = values["direction"]
    return EventRecord(
        seq=seq,
        event_id=values["event_id"],
        time=values["event_time"],
        tag=values["tag"],
        outcome=Outcome(values["outcome"]),
        direction=None if direction == event_record.NO_DIRECTION else direction,
        flags=EventFlag(values["flags"]),
        length=values["length"],
        class_index=values["class_index"],
        posterior=values["posterior"],
        gates=values["gates"],
        timing=timing or None,
        features=features,
        logits=logits,
    )


def _head(body: bytes, fields: tuple[Field, ...]) -> tuple[dict[str, int], bytes]:
    """The fields in front of a body, by name, and what is behind them."""
    size = fields[-1].offset + fields[-1].width
    if len(body) < size:
        raise ValueError(f"shorter than its head of {size} bytes")
    values = {field.name: int.from_bytes(body[field.offset : field.offset + field.width], "little") for field in fields}
    return values, body[size:]


def _image(seq: int, body: bytes) -> ImagePiece:
    """Raises ValueError for what no board sends."""
    head, pixels = _head(body, IMAGE_HEAD)
    if not pixels or len(pixels) % WORD_BYTES or head["piece"] >= head["pieces"]:
        raise ValueError(f"piece {head['piece']} of {head['pieces']} with {len(pixels)} bytes of pixels")
    return ImagePiece(
        seq, head["event_id"], head["tag"], ImageReason(head["reason"]), head["piece"], head["pieces"], pixels
    )


def _statistics(seq: int, body: bytes) -> Statistics:
    """Raises ValueError or struct.error for another length."""
    head, rest = _head(body, STATISTICS_HEAD)
    counters = struct.unpack(f"<{len(COUNTERS)}I", rest)
    status, faults = (
        {
            name: head["state"] >> 8 * index + field.low & (1 << field.bits) - 1
            for name, field in REGISTERS[register].fields.items()
        }
        for index, register in enumerate(STATE_REGISTERS)
    )
    return Statistics(
        seq=seq,
        number=head["number"],
        time=head["taken_at"],
        state=status,
        faults=tuple(name for name, value in faults.items() if value),
        counters=dict(zip(COUNTERS, counters, strict=True)),
    )
