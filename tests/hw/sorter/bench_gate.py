# SPDX-License-Identifier: Apache-2.0
"""gate against icsort.sim.bit_true.gate: every result, every posterior, and the cycle in which each comes."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.gate import decide
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {"s_axis_tdata": 0, "s_axis_tvalid": 0, "result_ready": 0, "class_set": 0, "threshold": 0}


class Shape:
    def __init__(self, dut) -> None:
        self.classes = dut.N_CLASSES.value.to_unsigned()
        self.bits = dut.LOGIT_BITS.value.to_unsigned()
        self.constants = dut.POST_MULT.value.to_unsigned(), dut.POST_SHIFT.value.to_unsigned()

    def logits(self) -> list[int]:
        """Random logits: all sizes of distance, many ties, the extremes."""
        spread = 2 ** random.randrange(self.bits)
        middle = random.randrange(-(2 ** (self.bits - 1)), 2 ** (self.bits - 1))
        low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        values = [min(high, max(low, middle + random.randrange(-spread, spread + 1))) for _ in range(self.classes)]
        return [random.choice([value, value, value, values[0], low, high]) for value in values]

    def pack(self, logits: list[int]) -> int:
        return sum((value & (2**self.bits - 1)) << self.bits * c for c, value in enumerate(logits))


async def evaluate(dut, logits: list[int], class_set: int, threshold: int, wait: int) -> tuple[int, int, int]:
    """One evaluation; the result is left waiting for `wait` cycles. Checks latency, returns pass, class, posterior."""
    shape = Shape(dut)
    packed = shape.pack(logits)
    ready = 0
    while not ready:
        (ready,) = await cycle(
            dut, "s_axis_tready", s_axis_tdata=packed, s_axis_tvalid=1, class_set=class_set, threshold=threshold
        )
    # The gate in force may change while an evaluation is under way: it was taken with the logits.
    inputs = {"s_axis_tvalid": 0, "class_set": random.getrandbits(shape.classes), "threshold": random.getrandbits(16)}
    for elapsed in range(1, 2 * shape.classes + 7):
        valid, ready = await cycle(dut, "result_valid", "s_axis_tready", **inputs)
        assert (valid, ready) == (0, 0), elapsed
    outputs = ("result_valid", "result_pass", "result_class", "result_logits", "posterior_valid")
    for _ in range(wait):
        valid, *_, done = await cycle(dut, *outputs)
        assert (valid, done) == (1, 0)
    valid, passes, best, echoed, done = await cycle(dut, *outputs, result_ready=1)
    assert (valid, echoed, done) == (1, packed, 0)
    for elapsed in range(wait + 1, 100):
        valid, done, posterior, ready = await cycle(
            dut, "result_valid", "posterior_valid", "posterior", "s_axis_tready", result_ready=0
        )
        assert not valid
        assert ready == done
        if done:
            assert elapsed == max(17, wait + 1)
            return passes, best, posterior
    raise AssertionError("no posterior")


def expected(dut, logits: list[int], class_set: int, threshold: int) -> tuple[int, ...]:
    return tuple(int(value) for value in decide(np.asarray(logits), class_set, threshold, *Shape(dut).constants))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_the_model(dut):
    await start(dut, **INPUTS)
    shape = Shape(dut)
    passed = 0
    for _ in range(150):
        logits, class_set = shape.logits(), random.getrandbits(shape.classes)
        threshold = random.choice([0, 65535, random.getrandbits(16), random.getrandbits(12)])
        result = await evaluate(dut, logits, class_set, threshold, random.choice([0, 0, 5, 16, 17, 30]))
        assert result == expected(dut, logits, class_set, threshold), (logits, class_set, threshold)
        passed += result[0]
    assert 0 < passed < 150


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def threshold_is_exact(dut):
    """At the reported posterior an event passes, one count above it does not."""
    await start(dut, **INPUTS)
    shape = Shape(dut)
    if shape.classes == 1:
        return
    tried = 0
    while tried < 20:
        logits = shape.logits()
        class_set = 1 << int(np.argmax(logits))
        _, _, posterior = expected(dut, logits, class_set, 0)
        if posterior < 65535:
            tried += 1
            assert (await evaluate(dut, logits, class_set, posterior, 0))[0] == 1
            assert (await evaluate(dut, logits, class_set, posterior + 1, 0))[0] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def weights_end_beyond_16_octaves(dut):
    """All classes but one at the distance where the smallest weight, 1, becomes 0."""
    await start(dut, **INPUTS)
    shape = Shape(dut)
    multiplier, shift = shape.constants
    best = 2 ** (shape.bits - 1) - 1
    for odds in (15 * 256, 16 * 256 - 1, 16 * 256, 16 * 256 + 1):
        logits = [best] + [best - -(-(odds << shift) // multiplier)] * (shape.classes - 1)
        assert await evaluate(dut, logits, 1, 0, 0) == expected(dut, logits, 1, 0)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    shape = Shape(dut)
    for when in (1, 2 * shape.classes + 3, 2 * shape.classes + 9):
        await cycle(dut, s_axis_tdata=shape.pack(shape.logits()), s_axis_tvalid=1, class_set=1, threshold=0)
        for _ in range(when):
            await cycle(dut, s_axis_tvalid=0)
        await reset(dut)
        assert dut.result_valid.value == 0
        logits = shape.logits()
        assert await evaluate(dut, logits, 1, 9, 0) == expected(dut, logits, 1, 9)
