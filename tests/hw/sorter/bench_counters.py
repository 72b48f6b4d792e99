# SPDX-License-Identifier: Apache-2.0
"""counters against NumPy's cumulative sum, over the wrap at 2**32."""

import random

import cocotb
import numpy as np

from tests.hw.sorter.signals import cycle, reset, start


@cocotb.test()
async def counts(dut):
    counters, bits = dut.COUNTERS.value.to_unsigned(), dut.STEP_BITS.value.to_unsigned()
    await start(dut, step=0)
    steps = np.asarray([[random.getrandbits(bits) for _ in range(counters)] for _ in range(200)], dtype=np.uint64)
    expected = np.cumsum(steps, axis=0) % 2**32
    for i, row in enumerate(steps.tolist()):
        (value,) = await cycle(dut, "value", step=sum(step << bits * c for c, step in enumerate(row)))
        if i:
            assert [value >> 32 * c & 0xFFFFFFFF for c in range(counters)] == expected[i - 1].tolist()
    await reset(dut)
    assert dut.value.value.to_unsigned() == 0
