# SPDX-License-Identifier: Apache-2.0
"""exp2_table holds icsort.sim.bit_true.gate.TABLE."""

import cocotb
from cocotb.clock import Clock

from icsort.sim.bit_true.gate import TABLE
from tests.hw.sorter.signals import cycle


@cocotb.test()
async def is_the_table(dut):
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    values = [await cycle(dut, "value", enable=1, fraction=i) for i in [*range(256), 0]]
    assert [value for (value,) in values[1:]] == TABLE.tolist()
    (held,) = await cycle(dut, "value", enable=0, fraction=77)
    (still,) = await cycle(dut, "value", enable=0, fraction=78)
    assert held == still == TABLE[0]
