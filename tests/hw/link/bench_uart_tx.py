# SPDX-License-Identifier: Apache-2.0
"""uart_tx against the receiver of cocotbext-uart: every byte value, random pauses, rate, reset in the middle."""

import logging
import random
from itertools import pairwise

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiStreamBus, AxiStreamSource
from cocotbext.uart import UartSink

from tests.hw.link.wire import CLOCK_NS
from tests.streams import pauses


async def start(dut, idle: float = 0.0) -> tuple[AxiStreamSource, UartSink]:
    cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start())
    dut.rst.value = 1
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    source.log.setLevel(logging.WARNING)
    if idle:
        source.set_pause_generator(pauses(idle))
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    sink = UartSink(dut.txd, baud=10**9 // (CLOCK_NS * int(dut.CLKS_PER_BIT.value)))
    sink.log.setLevel(logging.WARNING)
    return source, sink


async def receive(sink: UartSink, count: int) -> list[int]:
    received: list[int] = []
    while len(received) < count:
        received += await sink.read()
    return received


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.9])
async def every_byte(dut, idle):
    source, sink = await start(dut, idle)
    sent = list(range(256))
    random.shuffle(sent)
    source.send_nowait(sent)
    assert await receive(sink, 256) == sent


@cocotb.test()
async def rate_and_busy(dut):
    """A byte every 10 bits and 1 cycle; 0xFF has one falling edge, its start bit."""
    source, sink = await start(dut)
    assert dut.busy.value == 0
    source.send_nowait([0xFF] * 4)
    edges = []
    for _ in range(4):
        await FallingEdge(dut.txd)
        edges.append(get_sim_time("ns") / CLOCK_NS)
    await RisingEdge(dut.clk)
    assert dut.busy.value == 1
    interval = 10 * int(dut.CLKS_PER_BIT.value) + 1
    assert [b - a for a, b in pairwise(edges)] == [interval] * 3
    await ClockCycles(dut.clk, interval)
    assert dut.busy.value == 0
    assert await receive(sink, 4) == [0xFF] * 4


@cocotb.test()
async def reset_in_the_middle(dut):
    source, _ = await start(dut)
    source.send_nowait([0x00])
    await ClockCycles(dut.clk, 3 * int(dut.CLKS_PER_BIT.value))
    dut.rst.value = 1
    source.clear()
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 12 * int(dut.CLKS_PER_BIT.value))
    assert dut.txd.value == 1
    sink = UartSink(dut.txd, baud=10**9 // (CLOCK_NS * int(dut.CLKS_PER_BIT.value)))
    source.send_nowait([0x5A])
    assert await receive(sink, 1) == [0x5A]
