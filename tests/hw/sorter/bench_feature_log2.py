# SPDX-License-Identifier: Apache-2.0
"""feature_log2 against icsort.sim.bit_true.features: numbers of every length, one a cycle, 6 cycles later."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true import features
from tests.hw.sorter.signals import cycle

LATENCY = 6


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_the_model(dut):
    bits, signed = dut.BITS.value.to_unsigned(), dut.SIGNED.value.to_unsigned()
    numbers = [0, 1, 2, 3, 2 ** (bits - signed) - 1]
    numbers += [random.getrandbits(random.randrange(1, bits - signed + 1)) for _ in range(2000)]
    if signed:
        numbers += [-1, -2, -(2 ** (bits - 1))] + [-random.getrandbits(random.randrange(1, bits)) for _ in range(2000)]
    wanted, none = features._log2(np.asarray(numbers, dtype=object))
    cocotb.start_soon(cocotb.clock.Clock(dut.clk, 10, unit="ns").start())
    await cocotb.triggers.FallingEdge(dut.clk)
    sides = [random.getrandbits(1) for _ in numbers]
    for index in range(len(numbers) + LATENCY):
        number, side = (numbers[index], sides[index]) if index < len(numbers) else (0, 0)
        dut.number.value, dut.side.value = number % 2**bits, side
        got = await cycle(dut, "log", "negative", "none", "log_side")
        at = index - LATENCY
        if at >= 0:
            assert got[1:] == (numbers[at] < 0, none[at], sides[at]), numbers[at]
            assert none[at] or got[0] == wanted[at] + signed * features.ONE, numbers[at]
