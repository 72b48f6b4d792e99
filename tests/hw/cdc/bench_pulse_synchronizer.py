# SPDX-License-Identifier: Apache-2.0
"""pulse_synchronizer between random clocks: as many pulses come as were taken, each in the promised cycle."""

import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time

from tests.hw.cdc.clocks import start_clocks


class Watch:
    """When pulses were taken, and when they came: the edges of s_clk, the edges of m_clk with which m_pulse begins."""

    def __init__(self, dut) -> None:
        self.taken: list[int] = []
        self.came: list[int] = []
        self.edges: list[int] = []  # of m_clk
        self.s_edges: list[int] = []
        self.ready: list[int] = []  # with which s_ready rises
        self.dut = dut
        cocotb.start_soon(self._taken())
        cocotb.start_soon(self._came())

    async def _taken(self) -> None:
        waits = False
        while True:
            await RisingEdge(self.dut.s_clk)
            self.s_edges.append(get_sim_time("ps"))
            if self.dut.s_pulse.value == 1 and self.dut.s_ready.value == 1:
                self.taken.append(self.s_edges[-1])
            await ReadOnly()
            if waits and self.dut.s_ready.value == 1:
                self.ready.append(self.s_edges[-1])
            waits = self.dut.s_ready.value == 0

    async def _came(self) -> None:
        while True:
            await RisingEdge(self.dut.m_clk)
            await ReadOnly()
            self.edges.append(get_sim_time("ps"))
            if self.dut.m_pulse.value == 1:
                self.came.append(self.edges[-1])


async def reset(dut) -> None:
    dut.rst.value = 1
    await Timer(random.randrange(1, 40_000), unit="ps")
    dut.rst.value = 0


async def pulses(dut, cycles: int) -> None:
    for _ in range(cycles):
        await RisingEdge(dut.s_clk)
        dut.s_pulse.value = random.random() < 0.5
    await RisingEdge(dut.s_clk)
    dut.s_pulse.value = 0
    await Timer(200, unit="ns")


@cocotb.test()
@cocotb.parametrize(m_faster=[False, True])
async def each_pulse_once_in_its_cycle(dut, m_faster):
    dut.s_pulse.value = 0
    start_clocks(dut, m_faster=m_faster)
    await reset(dut)
    watch = Watch(dut)
    await pulses(dut, 2500)  # one takes 30 cycles where m_clk is eight times slower
    assert len(watch.taken) > 40
    assert len(watch.came) == len(watch.taken)
    for taken, came in zip(watch.taken, watch.came, strict=True):
        behind = [edge for edge in watch.edges if edge > taken]
        # An edge that falls together reads the old level or the new one.
        assert came in behind[1 : 3 if taken in watch.edges else 2], (taken, came)
    rises = [ready for ready in watch.ready if ready > watch.taken[0]]  # not that behind the reset
    for came, ready in zip(watch.came, rises, strict=True):
        ends = next(edge for edge in watch.edges if edge > came)
        behind = [edge for edge in watch.s_edges if edge > ends]
        assert ready in behind[1 : 3 if ends in watch.s_edges else 2], (came, ready)


@cocotb.test()
async def a_reset_makes_up_no_pulse(dut):
    dut.s_pulse.value = 0
    start_clocks(dut)
    await reset(dut)
    for _ in range(40):
        await pulses(dut, random.randrange(1, 12))
        cocotb.start_soon(pulses(dut, 3))
        await Timer(random.randrange(1, 60_000), unit="ps")
        await reset(dut)
        dut.s_pulse.value = 0
        watch = Watch(dut)
        await Timer(300, unit="ns")
        assert len(watch.came) == len(watch.taken)
        assert dut.s_ready.value == 1
