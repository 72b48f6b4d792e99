# SPDX-License-Identifier: Apache-2.0
"""feature_exp2 against icsort.sim.bit_true.features: every size of result, one a cycle, in the 4th cycle behind."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true import features
from tests.hw.sorter.signals import cycle

LATENCY = 4


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_the_model(dut):
    one = features.ONE
    inputs = []
    for _ in range(3000):
        bits = random.choice([0, 8, 16])
        low = random.choice([-100, -bits - 4])
        inputs.append(
            (random.randrange(low * one, (24 - bits) * one), bits, random.random() < 0.1, random.getrandbits(1))
        )
    wanted = [int(features._exp2(np.int64(exponent), bits, np.bool_(zero))) for exponent, bits, zero, _ in inputs]
    cocotb.start_soon(cocotb.clock.Clock(dut.clk, 10, unit="ns").start())
    await cocotb.triggers.FallingEdge(dut.clk)
    for index in range(len(inputs) + LATENCY):
        exponent, bits, zero, side = inputs[min(index, len(inputs) - 1)]
        dut.exponent.value, dut.fraction_bits.value, dut.zero.value, dut.side.value = exponent, bits, zero, side
        result, side = await cycle(dut, "result", "result_side")
        if index >= LATENCY:
            assert (result, side) == (wanted[index - LATENCY], inputs[index - LATENCY][3]), inputs[index - LATENCY]
