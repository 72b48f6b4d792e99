# SPDX-License-Identifier: Apache-2.0
"""Joins of two streams, a result a cycle, with either side late, a stalled sink and a reset in the middle."""

import json
import logging
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from tests.streams import pauses

CASE = json.loads(Path(os.environ["ICSORT_STREAM_CASE"]).read_text())
LHS, RHS, OUTPUTS = CASE["lhs"], CASE["rhs"], CASE["outputs"]
LIMIT = {"timeout_time": 1, "timeout_unit": "ms"}


class Ends:
    """Both sources and the sink. `taken` and `given` hold the cycles of the beats; an offered result must stay."""

    def __init__(self, dut) -> None:
        self.dut = dut
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        self.lhs, self.rhs = (
            AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{side}"), dut.clk, dut.rst, byte_lanes=1)
            for side in ("lhs", "rhs")
        )
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst, byte_lanes=1)
        for end in (self.lhs, self.rhs, self.sink):
            end.log.setLevel(logging.WARNING)
        self.taken: list[int] = []
        self.given: list[tuple[int, int]] = []
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut, cycle, waiting = self.dut, 0, None
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            if dut.rst.value != 0:
                waiting = None
                continue
            taken = [
                valid.value == 1 and ready.value == 1
                for valid, ready in (
                    (dut.s_axis_lhs_tvalid, dut.s_axis_lhs_tready),
                    (dut.s_axis_rhs_tvalid, dut.s_axis_rhs_tready),
                )
            ]
            assert taken[0] == taken[1], "a beat was taken from one side alone"
            if taken[0]:
                self.taken.append(cycle)
            offered = dut.m_axis_tdata.value.to_unsigned() if dut.m_axis_tvalid.value == 1 else None
            assert waiting is None or offered == waiting, "an offered beat changed or went away before it was taken"
            waiting = None
            if offered is not None and dut.m_axis_tready.value == 1:
                self.given.append((cycle, offered))
            else:
                waiting = offered

    async def reset(self) -> None:
        self.dut.rst.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        for end in (self.lhs, self.rhs, self.sink):
            end.clear()
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)
        assert self.dut.m_axis_tvalid.value == 0
        self.taken.clear()
        self.given.clear()

    def pause(self, lhs: float, rhs: float, sink: float) -> None:
        for end, probability in ((self.lhs, lhs), (self.rhs, rhs), (self.sink, sink)):
            end.set_pause_generator(pauses(probability))

    def send(self) -> None:
        self.lhs.send_nowait(LHS)
        self.rhs.send_nowait(RHS)

    async def finish(self) -> None:
        while len(self.given) < len(OUTPUTS):
            await RisingEdge(self.dut.clk)
        for _ in range(10):
            await RisingEdge(self.dut.clk)
        assert [value for _, value in self.given] == OUTPUTS


@cocotb.test(**LIMIT)
async def full_speed_in_the_promised_cycles(dut):
    ends = Ends(dut)
    await ends.reset()
    ends.send()
    await ends.finish()
    assert ends.taken == list(range(ends.taken[0], ends.taken[0] + len(LHS)))
    assert [cycle for cycle, _ in ends.given] == [cycle + 1 for cycle in ends.taken]


@cocotb.test(**LIMIT)
@cocotb.parametrize((("lhs", "rhs", "sink"), [(0.6, 0.0, 0.0), (0.0, 0.6, 0.0), (0.0, 0.0, 0.6), (0.4, 0.4, 0.4)]))
async def random_stalls(dut, lhs, rhs, sink):
    ends = Ends(dut)
    await ends.reset()
    ends.pause(lhs, rhs, sink)
    ends.send()
    await ends.finish()


@cocotb.test(**LIMIT)
async def reset_in_the_middle(dut):
    ends = Ends(dut)
    for sink in (0.0, 0.5, 1.0):
        await ends.reset()
        ends.pause(0.2, 0.2, sink)
        ends.send()
        for _ in range(random.randrange(1, len(LHS))):
            await RisingEdge(dut.clk)
        ends.pause(0.0, 0.0, 0.0)
        await ends.reset()
        ends.send()
        await ends.finish()
