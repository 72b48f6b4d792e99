# SPDX-License-Identifier: Apache-2.0
"""AXI4-Stream source and sink with random idle and stall cycles, for every cocotb bench.

cocotbext-axi drives the handshake. Its "byte" is set to the whole TDATA, so that a beat of any width is one integer.
"""

import logging
import random
from collections.abc import Iterator

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

logging.getLogger("cocotb").setLevel(logging.INFO)


def pauses(probability: float) -> Iterator[bool]:
    """Endless random pause decisions; the seed is cocotb's, which prints it."""
    while True:
        yield random.random() < probability


class Stream:
    """`s_axis` and `m_axis` of a device under test, one integer a beat."""

    def __init__(self, dut, idle: float, stall: float) -> None:
        self.dut = dut
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst, byte_lanes=1)
        for end in (self.source, self.sink):
            end.log.setLevel(logging.WARNING)
        if idle:
            self.source.set_pause_generator(pauses(idle))
        if stall:
            self.sink.set_pause_generator(pauses(stall))

    def send(self, beats: list[int]) -> None:
        """Queue beats; they leave as soon as the device takes them."""
        self.source.send_nowait(beats)

    async def receive(self, count: int) -> list[int]:
        """Wait for `count` beats."""
        beats: list[int] = []
        while len(beats) < count:
            beats += [int(beat) for beat in await self.sink.read(count - len(beats))]
        return beats

    async def reset(self) -> None:
        """Reset the device for 4 cycles; what was queued or received before is forgotten."""
        self.dut.rst.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        self.source.clear()
        self.sink.clear()
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)


async def start(dut, idle: float = 0.0, stall: float = 0.0) -> Stream:
    """Clock running, stream ends attached, device reset for 4 cycles. `idle` and `stall` are probabilities a cycle."""
    clock = Clock(dut.clk, 10, unit="ns")
    cocotb.start_soon(clock.start())
    dut.rst.value = 1
    stream = Stream(dut, idle, stall)
    await stream.reset()
    return stream
