# SPDX-License-Identifier: Apache-2.0
"""stream_fork: every copy whole and in order, each with stalls of its own; a copy not taken stops no other."""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

CASE = json.loads(Path(os.environ["ICSORT_STREAM_CASE"]).read_text())
INPUTS, OUTPUTS = CASE["inputs"], CASE["outputs"]


class Ends:
    """Source and sinks, one decision a cycle; `copies[i]` holds (cycle, beat) of every beat that copy i gave."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.width = dut.WIDTH.value.to_unsigned()
        self.clear()
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())

    def clear(self) -> None:
        self.cycle = 0
        self.taken: list[int] = []
        self.copies: list[list[tuple[int, int]]] = [[] for _ in OUTPUTS]
        self.waiting: list[int | None] = [None for _ in OUTPUTS]
        self.offering = False

    async def reset(self) -> None:
        self.dut.rst.value = 1
        self.dut.s_axis_tvalid.value = 0
        self.dut.m_axis_tready.value = 0
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        assert self.dut.m_axis_tvalid.value.to_unsigned() == 0
        self.dut.rst.value = 0
        self.clear()

    async def step(self, idle: float, stalls: list[float]) -> None:
        """One cycle. `idle` and `stalls` (one for each copy) are probabilities."""
        dut = self.dut
        if not self.offering and len(self.taken) < len(INPUTS) and random.random() >= idle:
            self.offering = True
            dut.s_axis_tdata.value = INPUTS[len(self.taken)]
        dut.s_axis_tvalid.value = self.offering
        ready = [random.random() >= stall for stall in stalls]
        dut.m_axis_tready.value = sum(bit << index for index, bit in enumerate(ready))
        await RisingEdge(dut.clk)
        self.cycle += 1
        valid, data = dut.m_axis_tvalid.value.to_unsigned(), dut.m_axis_tdata.value.to_unsigned()
        for index, copy in enumerate(self.copies):
            beat = data >> index * self.width & (1 << self.width) - 1 if valid >> index & 1 else None
            waited, self.waiting[index] = self.waiting[index], None
            assert waited is None or beat == waited, "an offered beat changed or went away before it was taken"
            if beat is not None and ready[index]:
                copy.append((self.cycle, beat))
            else:
                self.waiting[index] = beat
        if self.offering and dut.s_axis_tready.value == 1:
            self.taken.append(self.cycle)
            self.offering = False

    async def finish(self, idle: float, stalls: list[float]) -> None:
        while len(self.taken) < len(INPUTS) or any(len(copy) < len(INPUTS) for copy in self.copies):
            await self.step(idle, stalls)
        for _ in range(10):
            await self.step(0.0, [0.0 for _ in stalls])
        assert [[beat for _, beat in copy] for copy in self.copies] == OUTPUTS


NEVER = [0.0 for _ in OUTPUTS]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def full_speed_in_the_promised_cycles(dut):
    ends = Ends(dut)
    await ends.reset()
    await ends.finish(0.0, NEVER)
    assert ends.taken == list(range(ends.taken[0], ends.taken[0] + len(INPUTS)))
    for copy in ends.copies:
        assert [cycle for cycle, _ in copy] == [cycle + 1 for cycle in ends.taken]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_stalls(dut):
    ends = Ends(dut)
    for idle in (0.0, 0.5):
        await ends.reset()
        await ends.finish(idle, [random.choice([0.0, 0.3, 0.7]) for _ in OUTPUTS])


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_copy_that_is_not_taken_stops_no_other(dut):
    """The others get the beat that is inside; the next one enters only when the last copy is taken."""
    ends = Ends(dut)
    for stalled in range(len(OUTPUTS)):
        await ends.reset()
        for _ in range(20):
            await ends.step(0.0, [float(index == stalled) for index in range(len(OUTPUTS))])
        assert len(ends.taken) == 1
        assert [len(copy) for copy in ends.copies] == [int(index != stalled) for index in range(len(OUTPUTS))]
        await ends.finish(0.0, NEVER)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    ends = Ends(dut)
    for stall in (0.0, 0.5, 1.0):
        await ends.reset()
        for _ in range(random.randrange(1, len(INPUTS))):
            await ends.step(0.2, [stall for _ in OUTPUTS])
        await ends.reset()
        await ends.finish(0.0, NEVER)
