# SPDX-License-Identifier: Apache-2.0
"""flat_field against bit_true.event: every sample of lines of every length; its tables, as written and as read."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.event import flat_field
from tests.hw.sorter.corrected import INPUTS, Bench
from tests.hw.sorter.signals import cycle, reset, start

LATENCY = 4
TABLES = {"enable": 0, "table_write": 0, "table_flat": 0, "table_index": 0, "table_data": 0}


async def load(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Random tables, written in any order, then read."""
    rng = np.random.default_rng(random.getrandbits(32))
    shape = (bench.line_w, bench.c)
    dark = rng.integers(0, 2 ** rng.integers(1, bench.bits + 1, shape))
    flat = rng.integers(0, 2 ** rng.integers(12, 17, shape))
    values = [
        (kind, place, int(value)) for kind, table in enumerate((dark, flat)) for place, value in np.ndenumerate(table)
    ]
    random.shuffle(values)
    for kind, (column, channel), value in values:
        place = {"table_flat": kind, "table_index": column << 8 | channel}
        await cycle(bench.dut, table_write=1, table_data=value, **place)
    for kind, (column, channel), value in values:
        for _ in range(2):
            await cycle(bench.dut, table_write=0, table_flat=kind, table_index=column << 8 | channel)
        assert bench.dut.table_read.value == value
    return dark, flat


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def equals_the_model(dut, idle):
    await start(dut, **INPUTS, **TABLES)
    bench = Bench(dut)
    for enable in (0, 1, 1):
        dark, flat = await load(bench)
        await cycle(dut, enable=enable)
        lines = bench.lines(40)
        out = await bench.through(lines, LATENCY, idle)
        expected = flat_field(bench.whole(lines), dark, flat, bench.bits) if enable else bench.whole(lines)
        assert (bench.whole(out) == expected).all()
        told = [(len(line.pixels), line.bad, line.made, line.time) for line in lines]
        assert [(len(line.pixels), line.bad, line.made, line.time) for line in out] == told


@cocotb.test()
async def reset_in_the_middle(dut):
    """A line that a reset cuts is lost, the next one begins with column 0; the tables stay."""
    await start(dut, **INPUTS, **TABLES)
    bench = Bench(dut)
    dark, flat = await load(bench)
    await cycle(dut, beat_valid=1, beat_end=0, enable=1)
    await cycle(dut, beat_valid=0)
    await reset(dut)
    lines = bench.lines(10)
    out = await bench.through(lines, LATENCY, 0.2)
    assert (bench.whole(out) == flat_field(bench.whole(lines), dark, flat, bench.bits)).all()
