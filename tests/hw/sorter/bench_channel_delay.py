# SPDX-License-Identifier: Apache-2.0
"""channel_delay against bit_true.event: lines of every length, delays of every channel, what a bad line makes bad."""

import random
from dataclasses import replace

import cocotb
import numpy as np

from icsort.sim.bit_true.event import delay_channels, delay_doubt
from tests.hw.sorter.corrected import INPUTS, Bench
from tests.hw.sorter.signals import cycle, reset, start

LATENCY = 2


async def run(bench: Bench, idle: float) -> None:
    depth = bench.dut.DEPTH.value.to_unsigned()
    delays = tuple(random.choice([0, 1, depth - 1, random.randrange(depth)]) for _ in range(bench.c))
    bits = (depth - 1).bit_length()
    for _ in range(2):
        await cycle(bench.dut, delays=sum(delay << bits * c for c, delay in enumerate(delays)))
    lines = bench.lines(4 * depth)
    out = await bench.through(lines, LATENCY, idle)
    expected = delay_channels(bench.whole(lines), delays)
    kept = np.asarray([len(line.pixels) for line in lines])
    expected[np.arange(bench.line_w) >= kept[:, np.newaxis]] = 0
    assert [len(line.pixels) for line in out] == kept.tolist()
    assert (bench.whole(out) == expected).all()
    assert [line.bad for line in out] == delay_doubt(np.asarray([line.bad for line in lines]), delays).tolist()
    assert [line.time for line in out] == [line.time for line in lines]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def equals_the_model(dut, idle):
    await start(dut, **INPUTS, delays=0, doubt=0)
    for _ in range(6):
        await run(Bench(dut), idle)
        await reset(dut)


@cocotb.test()
async def doubt_is_for_what_is_in_the_memory(dut):
    """Behind it and what comes in 8 cycles, as many lines are bad as the largest of the delays that came with it."""
    await start(dut, **INPUTS, delays=0, doubt=0)
    bench = Bench(dut)
    depth = dut.DEPTH.value.to_unsigned()
    bits = (depth - 1).bit_length()
    for _ in range(6):
        await bench.through([replace(line, bad=False) for line in bench.lines(depth)], LATENCY, 0.2)
        delays = [random.randrange(depth) for _ in range(bench.c)]
        await cycle(dut, doubt=1)
        on_the_way = random.random() < 0.5
        for behind in range(1, 12):
            last = on_the_way and behind == 8
            await cycle(
                dut, doubt=0, beat_valid=last, beat_data=0, beat_end=last, beat_bad=0, beat_made=0,
                delays=sum(delay << bits * c for c, delay in enumerate(delays)),
            )  # fmt: skip
        out = await bench.through([replace(line, bad=False) for line in bench.lines(2 * depth)], LATENCY, 0.2)
        assert [line.bad for line in out] == [i < max(delays) for i in range(len(out))]


@cocotb.test()
async def reset_in_the_middle(dut):
    """Nothing of before comes out, nor is a line bad for one of before."""
    await start(dut, **INPUTS, delays=1, doubt=0)
    bench = Bench(dut)
    for beat in range(3 * bench.beats + 1):
        last = beat % bench.beats == bench.beats - 1
        await cycle(dut, beat_valid=1, beat_data=5, beat_end=last, beat_bad=1)
    await cycle(dut, beat_valid=0)
    await reset(dut)
    await run(bench, 0.2)
