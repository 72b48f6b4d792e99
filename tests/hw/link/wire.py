# SPDX-License-Identifier: Apache-2.0
"""What the link benches share: frames made with the `cobs` package and zlib, and a UART line moved by hand."""

import random
import zlib

from cobs import cobs
from cocotb.triggers import Timer

CLOCK_NS = 10


def frame(payload: bytes) -> bytes:
    """A frame with its closing zero."""
    return cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"


def unframe(coded: bytes) -> bytes:
    """Payload of a frame without its closing zero; fails where it is not intact."""
    content = cobs.decode(coded)
    assert zlib.crc32(content[:-4]) == int.from_bytes(content[-4:], "little"), f"checksum of {content.hex()}"
    return content[:-4]


def read(seq: int, address: int) -> bytes:
    return bytes([0x01, seq]) + address.to_bytes(2, "little")


def write(seq: int, address: int, data: int) -> bytes:
    return bytes([0x02, seq]) + address.to_bytes(2, "little") + data.to_bytes(4, "little")


def some_bytes(length: int) -> bytes:
    """Random bytes of one of three kinds: all values, mostly zeros, no zeros."""
    kind = random.choice(["all", "zeros", "nonzero"])
    if kind == "all":
        return random.randbytes(length)
    if kind == "zeros":
        return bytes(random.choice([0, 0, 0, 1, 255]) for _ in range(length))
    return bytes(random.randint(1, 255) for _ in range(length))


async def send_byte(pin, value: int, bit_ps: int, stop: int = 1) -> None:
    """One byte on a serial line with bits of any length, to the picosecond; stop = 0 breaks the stop bit."""
    for bit in (0, *(value >> i & 1 for i in range(8)), stop):
        pin.value = bit
        await Timer(bit_ps, unit="ps")
    if not stop:
        pin.value = 1
        await Timer(bit_ps, unit="ps")
