# SPDX-License-Identifier: Apache-2.0
"""preprocess against bit_true.preprocess: random samples, extremes, both sides of clip and rounding edges."""

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from icsort.sim.bit_true.preprocess import preprocess
from tests.streams import start


def constants(dut) -> tuple[list[int], list[int], int]:
    background = dut.BACKGROUND.value.to_unsigned()
    gain = dut.GAIN.value.to_unsigned()
    return [background], [gain - 2**18 if gain >> 17 else gain], dut.SHIFT.value.to_unsigned()


def samples(background: list[int], gain: list[int], shift: int) -> np.ndarray:
    """Extremes, samples about each change of the result, and random ones. (n, 1) uint16."""
    every = np.arange(2**16, dtype=np.uint16)[:, None]
    pixels = preprocess(every, background, gain, shift)[:, 0]
    edges = np.flatnonzero(np.diff(pixels))
    # About the first and the last change lie the values that are just clipped: -1, 256.
    clips = {min(max(edge + near, 0), 65535) for edge in edges[[0, -1]].tolist() for near in range(-12, 13)}
    edges = random.sample(edges.tolist(), min(300, len(edges)))
    chosen = {0, 1, 65534, 65535, background[0], *clips, *edges, *(edge + 1 for edge in edges)}
    chosen |= {random.randrange(2**16) for _ in range(300)}
    return every[random.sample(sorted(chosen), len(chosen))]


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.4], stall=[0.0, 0.4])
async def equals_the_model(dut, idle, stall):
    stream = await start(dut, idle, stall)
    raw = samples(*constants(dut))
    stream.send([int(value) for value in raw[:, 0]])
    assert await stream.receive(len(raw)) == preprocess(raw, *constants(dut))[:, 0].tolist()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def latency_is_three_cycles(dut):
    stream = await start(dut)
    stream.send([1])
    cycles = []
    for now in range(20):
        await RisingEdge(dut.clk)
        if dut.s_axis_tvalid.value or dut.m_axis_tvalid.value:
            cycles.append(now)
    taken, given = cycles
    assert given - taken == 3


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    stream = await start(dut)
    stream.sink.pause = True
    stream.send([65535, 0, 1])
    for _ in range(8):
        await RisingEdge(dut.clk)
    await stream.reset()
    assert dut.m_axis_tvalid.value == 0
    stream.sink.pause = False
    raw = samples(*constants(dut))[:5]
    stream.send([int(value) for value in raw[:, 0]])
    assert await stream.receive(5) == preprocess(raw, *constants(dut))[:, 0].tolist()
