# SPDX-License-Identifier: Apache-2.0
"""fifo against Python's own queue: order, full rate, stalls, reset in the middle, occupancy."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from tests.streams import start


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.5])
async def keeps_order(dut, idle, stall):
    stream = await start(dut, idle, stall)
    beats = [random.getrandbits(dut.WIDTH.value.to_unsigned()) for _ in range(200)]
    stream.send(beats)
    assert await stream.receive(len(beats)) == beats


@cocotb.test()
async def full_rate_and_count(dut):
    """DEPTH beats fit while the sink is stalled, `count` says so, and then one beat leaves every cycle."""
    depth = dut.DEPTH.value.to_unsigned()
    stream = await start(dut, 0.0, 0.0)
    stream.sink.pause = True
    beats = [random.getrandbits(dut.WIDTH.value.to_unsigned()) for _ in range(depth + 1)]
    stream.send(beats)
    for _ in range(depth + 4):
        await RisingEdge(dut.clk)
    assert dut.count.value.to_unsigned() == depth
    assert dut.s_axis_tready.value == 0
    stream.sink.pause = False
    assert await stream.receive(len(beats)) == beats


@cocotb.test()
async def reset_in_the_middle(dut):
    stream = await start(dut, 0.0, 0.0)
    stream.sink.pause = True
    stream.send([1, 1, 0])
    for _ in range(10):
        await RisingEdge(dut.clk)
    await stream.reset()
    assert dut.m_axis_tvalid.value == 0
    stream.sink.pause = False
    stream.send([0, 1, 0])
    assert await stream.receive(3) == [0, 1, 0]
