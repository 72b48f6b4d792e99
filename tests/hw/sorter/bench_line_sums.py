# SPDX-License-Identifier: Apache-2.0
"""line_sums against NumPy: the weighted sum and moment of each line, and the cycle in which they come."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.event import Trigger, line_sums
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "weights": 0, "first_column": 0, "last_column": 0, "beat_valid": 0, "beat_data": 0, "beat_end": 0, "beat_bad": 0,
    "beat_time": 0, "line_stopped": 0,
}  # fmt: skip
OUTPUTS = ("line_valid", "line_sum", "line_moment", "line_bad", "line_time", "stopped")


async def send(dut, lines: list[np.ndarray], trigger: Trigger, idle: float) -> None:
    """Lines, one after the other, some of them short; compares all that comes."""
    p, bits, c = (dut[name].value.to_unsigned() for name in ("P", "SAMPLE_BITS", "C"))
    latency = 4 + ((c - 1).bit_length() + 1) // 2 + ((p - 1).bit_length() + 1) // 2
    expected: dict[int, tuple[int, ...]] = {}
    stops, now = set(), 0
    fixed = {
        "weights": sum(weight << 8 * i for i, weight in enumerate(trigger.weights)),
        "first_column": trigger.first_column,
        "last_column": trigger.last_column,
    }
    columns = np.arange(trigger.first_column, trigger.last_column + 1)

    async def step(**inputs: int) -> None:
        nonlocal now
        *line, stopped = await cycle(dut, *OUTPUTS, **fixed, **inputs)
        assert line[0] == (now in expected)
        if line[0]:
            assert tuple(line[1:]) == expected[now]
        assert stopped == (now in stops)
        now += 1

    for line in lines:
        padded = np.concatenate([line, np.zeros((-len(line) % p, c), line.dtype)])
        beats = padded.reshape(-1, p * c).tolist()
        time, bad = random.getrandbits(48), random.getrandbits(1)
        for i, beat in enumerate(beats):
            while random.random() < idle:
                stop = i == 0 and random.random() < 0.2
                if stop:
                    stops.add(now + latency)
                await step(beat_valid=0, line_stopped=stop)
            last = i == len(beats) - 1
            if last:
                whole = np.zeros((1, dut.LINE_W.value.to_unsigned(), c), np.uint16)
                whole[0, : len(line)] = line
                weighted = whole[0, columns].astype(np.int64) @ np.asarray(trigger.weights)
                total = int(line_sums(whole, trigger)[0])
                expected[now + latency] = (total, int(weighted @ columns), bad, time)
            await step(
                beat_valid=1, beat_end=last, beat_bad=bad if last else random.getrandbits(1), beat_time=time,
                beat_data=sum(sample << bits * k for k, sample in enumerate(beat)), line_stopped=0,
            )  # fmt: skip
    for _ in range(latency + 2):
        await step(beat_valid=0, line_stopped=0)


def draw(dut, count: int, extreme: bool = False) -> tuple[list[np.ndarray], Trigger]:
    line_w, c, p, bits = (dut[name].value.to_unsigned() for name in ("LINE_W", "C", "P", "SAMPLE_BITS"))
    first, last = sorted(random.choices(range(line_w), k=2))
    weights = tuple(255 if extreme else random.randrange(256) for _ in range(c))
    lines = []
    for _ in range(count):
        width = random.choice([line_w, line_w, p * random.randrange(1, line_w // p + 1)])
        top = 2**bits - 1
        lines.append(
            np.asarray([[top if extreme else random.randrange(top + 1) for _ in range(c)] for _ in range(width)])
        )
    return lines, Trigger(
        (*weights[:-1], max(1, weights[-1])), 1, 1, 0 if extreme else first, line_w - 1 if extreme else last
    )


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def equals_numpy(dut, idle):
    await start(dut, **INPUTS)
    for extreme in (False, False, False, True):
        await send(dut, *draw(dut, 40, extreme), idle)


@cocotb.test()
async def reset_in_the_middle(dut):
    """A line that a reset cuts has no part in the next one's sum."""
    await start(dut, **INPUTS)
    await cycle(dut, beat_valid=1, beat_end=0, beat_data=5, weights=1, last_column=20)
    await cycle(dut, beat_valid=0)
    await reset(dut)
    await send(dut, *draw(dut, 10), 0.2)
