# SPDX-License-Identifier: Apache-2.0
"""cobs_decoder against the `cobs` package: any content, full rate and pauses, truncation, marked bytes, reset."""

import random

import cocotb
from cobs import cobs
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hw.link.wire import CLOCK_NS, some_bytes

BAD = None  # what a bad frame is received as


class Bench:
    def __init__(self, dut, idle: float) -> None:
        self.dut = dut
        self.idle = idle
        self.frames: list[bytes | None] = []
        self._open = bytearray()

    async def start(self) -> None:
        cocotb.start_soon(Clock(self.dut.clk, CLOCK_NS, unit="ns").start())
        self.dut.s_valid.value = 0
        await self.reset()
        cocotb.start_soon(self._collect())

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 3)
        self._open.clear()
        self.dut.rst.value = 0

    async def _collect(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if self.dut.m_valid.value == 1:
                assert self.dut.m_end.value == 0
                self._open.append(int(self.dut.m_data.value))
            if self.dut.m_end.value == 1:
                self.frames.append(BAD if self.dut.m_bad.value == 1 else bytes(self._open))
                self._open.clear()

    async def send(self, data: bytes, error_at: int = -1) -> None:
        for i, value in enumerate(data):
            while random.random() < self.idle:
                self.dut.s_valid.value = 0
                self.dut.s_data.value = random.getrandbits(8)
                await RisingEdge(self.dut.clk)
            self.dut.s_valid.value = 1
            self.dut.s_data.value = value
            self.dut.s_error.value = i == error_at
            await RisingEdge(self.dut.clk)
        self.dut.s_valid.value = 0

    async def received(self) -> list[bytes | None]:
        await ClockCycles(self.dut.clk, 3)
        frames, self.frames = self.frames, []
        return frames


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def any_content(dut, idle):
    bench = Bench(dut, idle)
    await bench.start()
    lengths = [1, 2, 253, 254, 255, 508, 509, *(random.randint(1, 300) for _ in range(20))]
    contents = [some_bytes(length) for length in lengths] + [b"\x01" * 254, b"\x01" * 254 + b"\0", b"\0" * 255]
    for content in contents:
        await bench.send(cobs.encode(content) + b"\0" * random.randint(1, 3))
    assert await bench.received() == contents


@cocotb.test()
async def every_truncation(dut):
    """A cut frame is bad, unless what is left is itself a frame by the reference; the next frame is whole."""
    bench = Bench(dut, 0.0)
    await bench.start()
    coded = cobs.encode(b"\x05\x00\x07\x08\x00\x00\x09")
    for keep in range(1, len(coded)):
        try:
            expected = cobs.decode(coded[:keep])
        except cobs.DecodeError:
            expected = BAD
        await bench.send(coded[:keep] + b"\0" + coded + b"\0")
        assert await bench.received() == [expected, cobs.decode(coded)], keep


@cocotb.test()
async def marked_byte_spoils_its_frame(dut):
    bench = Bench(dut, 0.3)
    await bench.start()
    content = b"\x05\x00\x07\x08"
    coded = cobs.encode(content) + b"\0"
    for at in range(len(coded)):
        await bench.send(coded, error_at=at)
        await bench.send(b"\0")  # the closing zero may be the marked one
        await bench.send(coded)
        assert await bench.received() == [BAD, content], at


@cocotb.test()
async def reset_in_the_middle(dut):
    bench = Bench(dut, 0.0)
    await bench.start()
    coded = cobs.encode(bytes(range(40))) + b"\0"
    await bench.send(coded[:20])
    await bench.reset()
    await bench.send(coded)
    assert await bench.received() == [bytes(range(40))]
