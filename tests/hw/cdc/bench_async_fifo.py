# SPDX-License-Identifier: Apache-2.0
"""async_fifo between random clocks against Python's own queue: order, stalls on both sides, rate, depth, resets."""

import logging
import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from tests.hw.cdc.clocks import start_clocks
from tests.streams import pauses

LIMIT = {"timeout_time": 2, "timeout_unit": "ms"}


class Ends:
    """Source and sink, each of its own clock."""

    def __init__(self, dut, idle: float, stall: float) -> None:
        self.dut = dut
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.s_clk, dut.rst, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.m_clk, dut.rst, byte_lanes=1)
        for end, probability in ((self.source, idle), (self.sink, stall)):
            end.log.setLevel(logging.WARNING)
            if probability:
                end.set_pause_generator(pauses(probability))

    async def reset(self) -> None:
        """Of no clock, for a time between nothing and some cycles."""
        self.dut.rst.value = 1
        await Timer(random.randrange(1, 40_000), unit="ps")
        self.source.clear()
        self.sink.clear()
        self.dut.rst.value = 0
        for clock in (self.dut.s_clk, self.dut.m_clk):  # until both sides are open
            for _ in range(4):
                await RisingEdge(clock)

    async def receive(self, count: int) -> list[int]:
        beats: list[int] = []
        while len(beats) < count:
            beats += [int(beat) for beat in await self.sink.read(count - len(beats))]
        return beats


def random_beats(dut, count: int) -> list[int]:
    return [random.getrandbits(dut.WIDTH.value.to_unsigned()) for _ in range(count)]


@cocotb.test(**LIMIT)
@cocotb.parametrize(m_faster=[False, True], idle=[0.0, 0.6], stall=[0.0, 0.6])
async def keeps_order(dut, m_faster, idle, stall):
    start_clocks(dut, m_faster=m_faster)
    ends = Ends(dut, idle, stall)
    await ends.reset()
    beats = random_beats(dut, 300)
    ends.source.send_nowait(beats)
    assert await ends.receive(len(beats)) == beats


@cocotb.test(**LIMIT)
@cocotb.parametrize(m_faster=[False, True])
async def a_beat_comes_in_the_promised_cycle(dut, m_faster):
    """Those that find it empty, told by the edges of m_clk behind that of s_clk."""
    start_clocks(dut, m_faster=m_faster)
    ends = Ends(dut, 0.0, 0.0)
    await ends.reset()
    edges: list[tuple[int, bool]] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.m_clk)
            await ReadOnly()
            edges.append((get_sim_time("ps"), dut.m_axis_tvalid.value == 1))

    cocotb.start_soon(watch())
    for _ in range(40):
        ends.source.send_nowait(random_beats(dut, 1))
        while True:
            await RisingEdge(dut.s_clk)
            if dut.s_axis_tvalid.value == 1 and dut.s_axis_tready.value == 1:
                break
        taken = get_sim_time("ps")
        await Timer(random.randrange(200_000, 300_000), unit="ps")
        behind = [valid for time, valid in edges if time > taken]
        assert behind.index(True) in ((2, 3) if taken in dict(edges) else (2,))


@cocotb.test(**LIMIT)
@cocotb.parametrize(m_faster=[False, True])
async def a_beat_a_cycle_of_the_slower_clock(dut, m_faster):
    if dut.DEPTH.value.to_unsigned() < 8:
        return
    periods = start_clocks(dut, m_faster=m_faster)
    ends = Ends(dut, 0.0, 0.0)
    await ends.reset()
    ends.source.send_nowait(random_beats(dut, 400))
    await ends.receive(100)
    begun = get_sim_time("ps")
    await ends.receive(200)
    assert get_sim_time("ps") - begun <= (200 + 3) * max(periods)


@cocotb.test(**LIMIT)
async def takes_depth_beats_and_no_more(dut):
    """And the one on offer, while the sink takes none."""
    start_clocks(dut)
    ends = Ends(dut, 0.0, 0.0)
    await ends.reset()
    depth = dut.DEPTH.value.to_unsigned()
    ends.sink.pause = True
    beats = random_beats(dut, depth + 9)
    ends.source.send_nowait(beats)
    await Timer(2 * (depth + 12) * 16, unit="ns")
    taken = 0

    async def count() -> None:
        nonlocal taken
        while True:
            await RisingEdge(dut.s_clk)
            taken += int(dut.s_axis_tvalid.value == 1 and dut.s_axis_tready.value == 1)

    cocotb.start_soon(count())
    await Timer(500, unit="ns")
    assert taken == 0
    assert dut.s_axis_tready.value == 0
    ends.sink.pause = False
    assert await ends.receive(len(beats)) == beats


@cocotb.test(**LIMIT)
async def resets_in_the_middle(dut):
    """Of any length, at any time: what was inside does not come, and what goes in behind it does."""
    start_clocks(dut)
    ends = Ends(dut, 0.2, 0.3)
    await ends.reset()
    for _ in range(30):
        ends.source.send_nowait(random_beats(dut, 40))
        await Timer(random.randrange(1, 300_000), unit="ps")
        await ends.reset()
        beats = random_beats(dut, 20)
        ends.source.send_nowait(beats)
        assert await ends.receive(len(beats)) == beats
