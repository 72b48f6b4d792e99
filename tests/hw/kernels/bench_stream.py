# SPDX-License-Identifier: Apache-2.0
"""The bench of every streaming kernel: values, order, exact cycles, stalls, resets. What differs is the StreamCase."""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge

from tests.streams import start

CASE = json.loads(Path(os.environ["ICSORT_STREAM_CASE"]).read_text())
INPUTS, OUTPUTS = CASE["inputs"], CASE["outputs"]
LIMIT = {"timeout_time": 2, "timeout_unit": "ms"}


class Monitor:
    """Cycle and value of every beat on both sides; checks that an offered beat stays until it is taken."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.inputs: list[tuple[int, int]] = []
        self.outputs: list[tuple[int, int]] = []
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut, cycle, waiting = self.dut, 0, None
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            if dut.rst.value == 1:
                waiting = None
                continue
            if dut.s_axis_tvalid.value == 1 and dut.s_axis_tready.value == 1:
                self.inputs.append((cycle, dut.s_axis_tdata.value.to_unsigned()))
            offered = dut.m_axis_tdata.value.to_unsigned() if dut.m_axis_tvalid.value == 1 else None
            assert waiting is None or offered == waiting, "an offered beat changed or went away before it was taken"
            waiting = None
            if offered is not None:
                if dut.m_axis_tready.value == 1:
                    self.outputs.append((cycle, offered))
                else:
                    waiting = offered

    def clear(self) -> None:
        self.inputs.clear()
        self.outputs.clear()

    async def finish(self) -> None:
        """Wait until all of the case is in and out, then some cycles more for beats that should not be there."""
        while len(self.inputs) < len(INPUTS) or len(self.outputs) < len(OUTPUTS):
            await RisingEdge(self.dut.clk)
        for _ in range(30):
            await RisingEdge(self.dut.clk)
        assert [value for _, value in self.inputs] == INPUTS
        assert [value for _, value in self.outputs] == OUTPUTS


@cocotb.test(**LIMIT)
async def full_speed_in_the_promised_cycles(dut):
    stream = await start(dut)
    monitor = Monitor(dut)
    stream.send(INPUTS)
    await monitor.finish()
    first = monitor.inputs[0][0]
    assert [cycle - first for cycle, _ in monitor.inputs] == CASE["input_cycles"]
    # null: a beat that waits for no input, so that its cycle depends on when the bench began to look
    assert [
        promised if promised is None else cycle - first
        for (cycle, _), promised in zip(monitor.outputs, CASE["output_cycles"], strict=True)
    ] == CASE["output_cycles"]


@cocotb.test(**LIMIT)
@cocotb.parametrize((("idle", "stall"), [(0.6, 0.0), (0.0, 0.6), (0.4, 0.4)]))
async def random_stalls(dut, idle, stall):
    stream = await start(dut, idle, stall)
    monitor = Monitor(dut)
    stream.send(INPUTS)
    await monitor.finish()


@cocotb.test(**LIMIT)
async def reset_in_the_middle(dut):
    """After a reset at any point, with beats inside or an output waiting, a whole run is right."""
    for stall in (0.0, 0.5, 1.0):
        stream = await start(dut, 0.2, stall)
        monitor = Monitor(dut)
        stream.send(INPUTS)
        for _ in range(random.randrange(1, CASE["input_cycles"][-1] + 4)):
            await RisingEdge(dut.clk)
        stream.sink.clear_pause_generator()
        stream.sink.pause = False
        await stream.reset()
        assert dut.m_axis_tvalid.value == 0
        monitor.clear()
        stream.send(INPUTS)
        await monitor.finish()
