# SPDX-License-Identifier: Apache-2.0
"""Noise and damaged frames, a byte a cycle, on their way to the register bus: nothing of them arrives there.

BYTES random bytes and FRAMES damaged frames, of the environment.
"""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hw.link.wire import frame, read, write


async def start(dut) -> None:
    dut.valid.value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0


async def send(dut, data: bytes) -> None:
    dut.valid.value = 1
    for byte in data:
        dut.data.value = byte
        await RisingEdge(dut.clk)
    dut.valid.value = 0
    await ClockCycles(dut.clk, 8)


def counts(dut) -> tuple[int, int, int]:
    return tuple(getattr(dut, name).value.to_unsigned() for name in ("good", "bad", "requests"))


@cocotb.test()
async def noise_then_a_frame(dut):
    """Random bytes, without and with many zeros: none is a request; the frame behind a lone zero is carried out."""
    await start(dut)
    for weights in ([1] * 256, [30] + [1] * 255):
        noise = bytes(random.choices(range(256), weights, k=int(os.environ["BYTES"]) // 2))
        await send(dut, noise + b"\0")
        pieces = sum(bool(piece) for piece in noise.split(b"\0"))
        good, bad, requests = counts(dut)
        assert (good, requests) == (0, 0)
        assert bad == pieces
        await send(dut, frame(write(7, 0x44, 0x12345678)))
        assert counts(dut) == (1, bad, 2)  # the write, and reading back
        assert (dut.reg_addr.value.to_unsigned(), dut.reg_wdata.value.to_unsigned()) == (0x44, 0x12345678)
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0


@cocotb.test()
async def one_flipped_bit(dut):
    await start(dut)
    frames = int(os.environ["FRAMES"])
    for _ in range(frames):
        seq, address = random.getrandbits(8), random.getrandbits(16)
        request = random.choice([read(seq, address), write(seq, address, random.getrandbits(32))])
        damaged = bytearray(frame(request))
        at = random.randrange(8 * len(damaged))
        damaged[at // 8] ^= 1 << at % 8
        await send(dut, bytes(damaged) + b"\0")
    good, bad, requests = counts(dut)
    assert (good, requests) == (0, 0)
    assert bad >= frames
