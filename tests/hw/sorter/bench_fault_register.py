# SPDX-License-Identifier: Apache-2.0
"""fault_register: a cause is remembered until it is cleared, and one that lasts is not to be cleared."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start


@cocotb.test()
async def remembers_until_cleared(dut):
    await start(dut, cause=0, clear=0)
    faults = 0
    for _ in range(3000):
        cause = sum((random.random() < 0.05) << bit for bit in range(4))
        clear = sum((random.random() < 0.1) << bit for bit in range(4))
        assert await cycle(dut, "faults", "any", cause=cause, clear=clear) == (faults, int(faults > 0))
        for bit in range(4):
            if cause >> bit & 1:
                faults |= 1 << bit
            elif clear >> bit & 1:
                faults &= ~(1 << bit)
    await cycle(dut, cause=15, clear=0)
    await cycle(dut, cause=0)
    await reset(dut)
    assert await cycle(dut, "faults", "any") == (0, 0)
