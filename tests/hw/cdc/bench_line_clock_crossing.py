# SPDX-License-Identifier: Apache-2.0
"""line_clock_crossing between random clocks: each beat once, each line with its number and the sorter's cycle in which
it began."""

import random

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, Timer

from tests.hw.cdc.clocks import start_clocks


class Bench:
    """The camera on s_clk, the sorter on m_clk, and what each of them saw."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.light: list[tuple[int, list[int], bool]] = []  # of each line: its cycle, samples, whether all found room
        self.received: list[tuple[int, int, list[int]]] = []  # number, time, samples
        self.stall = 0.0

    async def start(self, **clocks) -> None:
        dut = self.dut
        dut.s_axis_line_tvalid.value = dut.timestamp.value = dut.m_axis_line_tready.value = 0
        dut.rst.value = 1
        start_clocks(dut, **clocks)
        cocotb.start_soon(self._count())
        await Timer(random.randrange(1, 30_000), unit="ps")
        dut.rst.value = 0
        for clock in (dut.m_clk, dut.s_clk):
            for _ in range(4):
                await RisingEdge(clock)
        cocotb.start_soon(self._receive())

    async def _count(self) -> None:
        cycle = 1000
        while True:
            await RisingEdge(self.dut.m_clk)
            cycle += 1
            self.dut.timestamp.value = cycle

    async def _receive(self) -> None:
        dut, begun = self.dut, False
        while True:
            await FallingEdge(dut.m_clk)
            dut.m_axis_line_tready.value = random.random() >= self.stall
            await RisingEdge(dut.m_clk)
            if dut.m_axis_line_tvalid.value == 1 and dut.m_axis_line_tready.value == 1:
                if not begun:
                    user = dut.m_axis_line_tuser.value.to_unsigned()
                    self.received.append((user >> 48, user & (2**48 - 1), []))
                self.received[-1][2].append(dut.m_axis_line_tdata.value.to_unsigned())
                begun = dut.m_axis_line_tlast.value == 0

    async def send(self, length: int, idle: float = 0.0) -> None:
        """A line; samples of it that are lost are not among those of `light`."""
        dut, samples, whole, time = self.dut, [], True, -1
        for column in range(length):
            while random.random() < idle:
                await RisingEdge(dut.s_clk)
            sample = random.getrandbits(16)
            dut.s_axis_line_tdata.value, dut.s_axis_line_tlast.value = sample, column == length - 1
            dut.s_axis_line_tvalid.value = 1
            await FallingEdge(dut.s_clk)
            await ReadOnly()
            whole = whole and dut.lost.value == 0
            await RisingEdge(dut.s_clk)
            if column == 0:
                time = dut.timestamp.value.to_unsigned()
            if whole:
                samples.append(sample)
            dut.s_axis_line_tvalid.value = 0
        self.light.append((time, samples, whole))

    async def drain(self) -> None:
        self.stall = 0.0
        await Timer(3, unit="us")
        await RisingEdge(self.dut.s_clk)


@cocotb.test()
@cocotb.parametrize(m_faster=[False, True], stall=[0.0, 0.3])
async def lines_keep_their_time(dut, m_faster, stall):
    bench = Bench(dut)
    await bench.start(m_faster=m_faster)
    bench.stall = stall
    for _ in range(150):
        await bench.send(random.randrange(1, 9), 0.3)
        for _ in range(random.randrange(90, 130)):  # long enough for all to be told, and taken, at any ratio
            await RisingEdge(dut.s_clk)
    await bench.drain()
    assert len(bench.received) == len(bench.light)
    for index, ((number, told, got), (time, sent, whole)) in enumerate(zip(bench.received, bench.light, strict=True)):
        assert whole
        assert (number, got) == (index, sent)
        assert told - time in (0, 1), (told, time)


@cocotb.test()
async def lines_too_near_get_no_time_of_their_own(dut):
    """Each has its own time, exact to the cycle, or that of the line before, which is no later one."""
    bench = Bench(dut)
    await bench.start(m_faster=True)
    for _ in range(300):
        await bench.send(random.randrange(1, 4))
        if random.random() < 0.3:
            await Timer(random.randrange(1, 200_000), unit="ps")
            await RisingEdge(dut.s_clk)
    await bench.drain()
    assert [number for number, _, _ in bench.received] == list(range(300))
    assert [got for _, _, got in bench.received] == [sent for _, sent, _ in bench.light]
    before, untimed = -1, 0
    for (_, told, _), (time, _, _) in zip(bench.received, bench.light, strict=True):
        untimed += told == before
        assert told == before or told - time in (0, 1)
        before = told
    assert 0 < untimed < 300


@cocotb.test()
async def what_finds_no_room_is_lost_by_lines(dut):
    """The sorter stands still for a while: lines are cut or missing, never mixed, and the numbers say which."""
    bench = Bench(dut)
    await bench.start(m_faster=True)
    for burst in range(6):
        bench.stall = 1.0 if burst % 2 else 0.0
        for _ in range(15):
            await bench.send(random.randrange(3, 9))
            await Timer(100, unit="ns")
            await RisingEdge(dut.s_clk)
    await bench.drain()
    for _ in range(2):  # the first ends a line that was cut
        await bench.send(5)
        await bench.drain()
    flat = [sample for _, _, got in bench.received for sample in got]
    assert flat == [sample for _, sent, _ in bench.light for sample in sent]
    assert any(not whole for _, _, whole in bench.light)
    assert any(not sent for _, sent, _ in bench.light)
    for number, told, got in bench.received:
        time, sent, _ = bench.light[number]
        assert got[: len(sent)] == sent  # behind a line that was cut the next one follows without a tlast between
        assert told - time in (0, 1)
    assert bench.received[-1][2] == bench.light[-1][1]
