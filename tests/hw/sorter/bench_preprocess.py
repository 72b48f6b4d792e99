# SPDX-License-Identifier: Apache-2.0
"""preprocess against bit_true.preprocess: random samples, extremes, both sides of clip and rounding edges."""

import random

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamFrame

from icsort.sim.bit_true.preprocess import preprocess
from tests.streams import Stream, start

LATENCY = 4
CONSTANTS = [
    ((0,), (2**17 - 1,), 1),
    ((65535,), (-(2**17),), 31),
    ((65535,), (-(2**17),), 1),
    ((300,), (900,), 12),
    ((40000,), (-77,), 8),
]


class Case:
    """Constants for all channels, and samples of them, (n, C) uint16."""

    def __init__(self, dut) -> None:
        self.c, self.m, self.bits = (dut[name].value.to_unsigned() for name in ("C", "M", "SAMPLE_BITS"))
        chosen = random.choices(CONSTANTS, k=self.c)
        self.background = tuple(background[0] >> 16 - self.bits for background, _, _ in chosen)
        self.gain = tuple(gain[0] for _, gain, _ in chosen)
        self.shift = random.choice(chosen)[2]
        every = np.arange(2**self.bits, dtype=np.uint16)
        columns = []
        for background, gain in zip(self.background, self.gain, strict=True):
            pixels = preprocess(every[:, None], (background,), (gain,), self.shift)[:, 0]
            edges = np.flatnonzero(np.diff(pixels)).tolist()
            # About the first and the last change lie the values that are just clipped: -1, 256.
            near = [edge + step for edge in (*edges[:1], *edges[-1:]) for step in range(-12, 13)]
            picked = [0, 1, every[-1], background, *near, *random.sample(edges, min(100, len(edges)))]
            picked += [edge + 1 for edge in edges[:50]] + random.choices(range(len(every)), k=400)
            columns.append(np.clip(picked, 0, every[-1])[: 400 // self.m * self.m].astype(np.uint16))
        self.raw = np.stack(columns, axis=1)
        random.shuffle(self.raw)

    def apply(self, dut) -> None:
        dut.background.value = sum(value << self.bits * c for c, value in enumerate(self.background))
        dut.gain.value = sum(value % 2**18 << 18 * c for c, value in enumerate(self.gain))
        dut.shift.value = self.shift

    async def through(self, dut, stream: Stream) -> None:
        self.apply(dut)
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        beats = self.raw.reshape(-1, self.m * self.c)
        stream.send([sum(int(sample) << self.bits * k for k, sample in enumerate(beat)) for beat in beats])
        pixels = preprocess(self.raw, self.background, self.gain, self.shift).reshape(beats.shape)
        expected = [sum(int(pixel) << 8 * k for k, pixel in enumerate(beat)) for beat in pixels]
        assert await stream.receive(len(beats)) == expected


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.4], stall=[0.0, 0.4])
async def equals_the_model(dut, idle, stall):
    stream = await start(dut, idle, stall)
    for _ in range(4):
        await Case(dut).through(dut, stream)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def latency_and_zeros(dut):
    """A beat that is marked is zero, its neighbours are not; each comes LATENCY cycles later."""
    stream = await start(dut)
    dut.background.value, dut.gain.value, dut.shift.value = 0, 2**17 - 1, 1
    stream.source.send_nowait(AxiStreamFrame([1, 1, 1], tuser=[0, 1, 0]))
    cycles, out = [], []
    for now in range(20):
        await RisingEdge(dut.clk)
        if dut.s_axis_tvalid.value:
            cycles.append(now)
        if dut.m_axis_tvalid.value:
            out.append((now, int(dut.m_axis_tdata.value) & 255))
    assert [now for now, _ in out] == [now + LATENCY for now in cycles]
    assert [pixel for _, pixel in out] == [255, 0, 255]


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
    await Case(dut).through(dut, stream)
