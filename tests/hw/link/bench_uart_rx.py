# SPDX-License-Identifier: Apache-2.0
"""uart_rx: every byte value, senders off by 2 % either way, broken stop bits, glitches, reset in the middle."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer

from tests.hw.link.wire import CLOCK_NS, send_byte


async def start(dut) -> list[tuple[int, int]]:
    """Clock, reset, and the list that received (byte, error) pairs go to."""
    cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start())
    dut.rxd.value = 1
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    received: list[tuple[int, int]] = []

    async def collect() -> None:
        while True:
            await RisingEdge(dut.clk)
            if dut.valid.value == 1:
                received.append((int(dut.data.value), int(dut.error.value)))

    cocotb.start_soon(collect())
    return received


def bit_ps(dut) -> int:
    return int(dut.CLKS_PER_BIT.value) * CLOCK_NS * 1000


@cocotb.test()
@cocotb.parametrize(mismatch=[-0.02, 0.0, 0.02])
async def every_byte_back_to_back(dut, mismatch):
    received = await start(dut)
    sent = list(range(256))
    random.shuffle(sent)
    await Timer(random.randint(1, 10000), unit="ps")  # any phase against the clock
    for value in sent:
        await send_byte(dut.rxd, value, round(bit_ps(dut) * (1 + mismatch)))
    await ClockCycles(dut.clk, 10)
    assert received == [(value, 0) for value in sent]


@cocotb.test()
async def broken_stop_bit_is_reported(dut):
    received = await start(dut)
    for value, stop in ((0x55, 1), (0x00, 0), (0xA7, 0), (0x33, 1)):
        await send_byte(dut.rxd, value, bit_ps(dut), stop)
    await ClockCycles(dut.clk, 10)
    assert received == [(0x55, 0), (0x00, 1), (0xA7, 1), (0x33, 0)]


@cocotb.test()
async def long_break_is_one_error(dut):
    received = await start(dut)
    dut.rxd.value = 0
    await Timer(50 * bit_ps(dut), unit="ps")
    dut.rxd.value = 1
    await Timer(bit_ps(dut), unit="ps")
    await send_byte(dut.rxd, 0x42, bit_ps(dut))
    await ClockCycles(dut.clk, 10)
    assert received == [(0, 1), (0x42, 0)]


@cocotb.test()
async def glitch_is_no_start_bit(dut):
    received = await start(dut)
    await Timer(random.randint(1, CLOCK_NS - 1), unit="ns")
    dut.rxd.value = 0
    await Timer(3 * CLOCK_NS // 2, unit="ns")  # one clock edge sees it for sure, no more than two do
    dut.rxd.value = 1
    await Timer(2 * bit_ps(dut), unit="ps")
    await send_byte(dut.rxd, 0x81, bit_ps(dut))
    await ClockCycles(dut.clk, 10)
    assert received == [(0x81, 0)]


@cocotb.test()
async def reset_in_the_middle(dut):
    received = await start(dut)
    sending = cocotb.start_soon(send_byte(dut.rxd, 0xFF, bit_ps(dut)))
    await Timer(3 * bit_ps(dut), unit="ps")
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    await sending
    await send_byte(dut.rxd, 0x18, bit_ps(dut))
    await ClockCycles(dut.clk, 10)
    assert received == [(0x18, 0)]
