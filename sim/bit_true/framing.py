# SPDX-License-Identifier: Apache-2.0
"""Frames on the serial link between board and host, bit-true to hw/rtl/sorter/link.

A frame is ``COBS(payload, CRC-32(payload))`` and a zero byte, the CRC (zlib's) in little endian. A payload is a type
(u8), a sequence number (u8) and a body. docs/link.md lists the bodies. Nothing here does I/O.
"""

import zlib
from enum import IntEnum
from typing import Final

PROTOCOL_VERSION: Final = 3
CRC_BYTES: Final = 4
HEADER_BYTES: Final = 2
MAX_FRAME_BYTES: Final = 1024
"""Encoded bytes that a decoder collects before it calls a frame over-long. The largest of today, an EVENT of 64
classes, has fewer than 300."""

_RUN: Final = 254  # non-zero bytes in a full COBS block


class MessageType(IntEnum):
    """First byte of a payload. Answers have the top bit set."""

    READ = 0x01
    WRITE = 0x02
    READ_ACK = 0x81
    WRITE_ACK = 0x82
    EVENT = 0xE0
    AMENDMENT = 0xE1
    STATISTICS = 0xE2
    IMAGE = 0xE3
    NACK = 0xFF


class NackCode(IntEnum):
    """Why the board did not carry out an intact request."""

    UNKNOWN_TYPE = 1
    BAD_LENGTH = 2
    BAD_ADDRESS = 3


class FrameError(ValueError):
    """A frame that is not intact: coding, checksum or length."""


def cobs_encode(data: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing: the same bytes without a zero, at most 1 in 254 longer and 1 more."""
    out = bytearray()
    blocks = data.split(b"\0")
    for i, block in enumerate(blocks):
        while len(block) >= _RUN:
            out += b"\xff" + block[:_RUN]
            block = block[_RUN:]
            if not block and i == len(blocks) - 1:  # a full block at the very end needs nothing behind it
                return bytes(out)
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """Inverse of `cobs_encode`. Raises FrameError for a zero byte or a block that is cut short."""
    if 0 in data:
        raise FrameError("zero byte inside a frame")
    out = bytearray(data)
    full = []
    at, end = 0, len(data)
    while at < end:
        code = data[at]
        out[at] = 0  # what stands in front of a block is the zero behind the block before
        at += code
        if code > _RUN:  # no zero follows a full block
            full.append(at)
    if at > end:
        raise FrameError("frame cut short")
    for place in reversed(full):
        del out[place : place + 1]
    return bytes(out[1:])


def encode(payload: bytes) -> bytes:
    """The frame of a payload, closing zero included. payload: type, sequence number, body."""
    return cobs_encode(payload + zlib.crc32(payload).to_bytes(CRC_BYTES, "little")) + b"\0"


def decode(frame: bytes) -> bytes:
    """The payload of one frame without its closing zero. Raises FrameError where it is not intact."""
    content = cobs_decode(frame)
    if len(content) < HEADER_BYTES + CRC_BYTES:
        raise FrameError(f"{len(content)} bytes are too few for a frame")
    payload, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if zlib.crc32(payload) != int.from_bytes(crc, "little"):
        raise FrameError("checksum differs")
    return payload


class Decoder:
    """Cuts a byte stream, in pieces of any size, into payloads; counts what is not intact.

    A receiver that starts in the middle of a frame loses that one and counts it bad. Lone zero bytes are no frames.

    good, bad: frames so far.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.good = 0
        self.bad = 0
        self._max = max_frame_bytes
        self._frame = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in received bytes; returns the payloads of the frames that they complete, in order."""
        payloads: list[bytes] = []
        pieces = data.split(b"\0")
        for i, piece in enumerate(pieces):
            # One byte over the limit is kept as the mark of an over-long frame; the rest of it is thrown away.
            self._frame += piece[: self._max + 1 - len(self._frame)]
            if i == len(pieces) - 1:
                break
            frame, self._frame = bytes(self._frame), bytearray()
            if not frame:
                continue
            try:
                if len(frame) > self._max:
                    raise FrameError("frame over-long")
                payloads.append(decode(frame))
            except FrameError:
                self.bad += 1
            else:
                self.good += 1
        return payloads
