# SPDX-License-Identifier: Apache-2.0
"""line_source: what was stored comes out, at its pace, with number and time; else the instrument's pass."""

import random

import cocotb
import numpy as np

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "timestamp": 0, "armed": 0, "select": 0, "while_armed": 0, "count": 0, "gap": 0, "repeats": 1, "start": 0,
    "stop": 0,
    "index_written": 0, "index": 0, "data_written": 0, "data": 0, "s_axis_line_tdata": 0, "s_axis_line_tvalid": 0,
    "s_axis_line_tlast": 0, "s_axis_line_tuser": 0,
}  # fmt: skip
OUTPUTS = ("m_axis_line_tdata", "m_axis_line_tvalid", "m_axis_line_tlast", "m_axis_line_tuser", "selected", "playing")


class Bench:
    def __init__(self, dut) -> None:
        self.dut = dut
        names = ("LINE_W", "C", "SAMPLE_BITS", "P", "LINES")
        self.line_w, self.c, self.bits, self.p, self.lines = (dut[name].value.to_unsigned() for name in names)
        self.beats = -(-self.line_w // self.p)
        self.now = random.getrandbits(40)

    async def step(self, **inputs: int) -> tuple[int, ...]:
        out = await cycle(self.dut, *OUTPUTS, timestamp=self.now, **inputs)
        self.now += 1
        return out

    async def store(self, lines: np.ndarray) -> None:
        """Lines (n, LINE_W, C) from line 0 on; some samples by their index, most by the one before."""
        for position, (place, sample) in enumerate(np.ndenumerate(lines)):
            line, column, channel = place
            if position == 0 or random.random() < 0.05:
                index = line << 24 | column << 8 | channel
                await self.step(index_written=1, index=random.getrandbits(32))
                await self.step(index_written=0, index=index)
            await self.step(data_written=1, data=random.getrandbits(self.bits))
            await self.step(data_written=0, data=int(sample))

    def beat(self, data: int) -> list[int]:
        return [data >> self.bits * i & (1 << self.bits) - 1 for i in range(self.p * self.c)]


async def prepare(dut) -> tuple[Bench, np.ndarray]:
    await start(dut, **INPUTS)
    bench = Bench(dut)
    count = random.randrange(2, bench.lines + 1)
    rng = np.random.default_rng(random.getrandbits(32))
    stored = rng.integers(0, 2**bench.bits, (count, bench.line_w, bench.c))
    await bench.store(stored)
    return bench, stored


@cocotb.test()
@cocotb.parametrize(slack=[-1, 0, 3])
async def plays_what_is_stored(dut, slack):
    bench, stored = await prepare(dut)
    gap = max(0, bench.beats + slack)
    await bench.step(select=1)
    number = 0
    for repeats in (0, 3):
        await bench.step(start=1, count=len(stored), gap=gap, repeats=repeats)
        got, starts, first = [], [], True
        for _ in range(max(1, repeats) * len(stored) * (bench.beats + 4) + 9):
            now = bench.now
            data, valid, last, user, selected, _ = await bench.step(start=0)
            assert selected
            if valid:
                if first:
                    assert user == number % 2**16 << 48 | now
                    number += 1
                    starts.append(now)
                    got.append([])
                got[-1] += bench.beat(data)
                assert last == (len(got[-1]) == bench.beats * bench.p * bench.c)
                first = last
        _, _, _, _, _, playing = await bench.step()
        assert not playing
        expected = np.concatenate([stored] * max(1, repeats))
        lines = np.reshape(got, (len(got), -1, bench.c))[:, : bench.line_w]
        assert (lines == expected).all()
        assert set(np.diff(starts)) == {max(gap, bench.beats)}


@cocotb.test()
async def never_while_armed_unless_asked(dut):
    """Armed, the instrument's lines pass whatever is chosen, and what plays ends; with while_armed it goes on."""
    bench, stored = await prepare(dut)
    for allowed in (0, 1):
        await bench.step(select=1, armed=0, while_armed=allowed, count=len(stored), gap=0, repeats=100)
        await bench.step(start=1)
        for _ in range(3 * bench.beats):
            *_, selected, playing = await bench.step(start=0)
        assert (selected, playing) == (1, 1)
        for _ in range(3 * bench.beats + 4):
            live = random.getrandbits(64)
            data, valid, last, user, selected, playing = await bench.step(
                armed=1,
                s_axis_line_tvalid=1,
                s_axis_line_tdata=live & 1,
                s_axis_line_tuser=live,
                s_axis_line_tlast=live & 1,
            )
        assert (selected, playing) == (allowed, allowed)
        if not allowed:
            assert (data, valid, last, user) == (live & 1, 1, live & 1, live)
            await bench.step(start=1)
            *_, playing = await bench.step(start=0)
            assert not playing
        await bench.step(stop=1, armed=0)
        for _ in range(bench.beats + 3):
            *_, playing = await bench.step(stop=0)
        assert not playing


@cocotb.test()
async def reset_in_the_middle(dut):
    """Nothing plays; what was stored is still there."""
    bench, stored = await prepare(dut)
    await bench.step(select=1)
    await bench.step(start=1, count=len(stored), gap=0, repeats=9)
    for _ in range(5):
        await bench.step(start=0)
    await reset(dut)
    assert not dut.playing.value
    await bench.step(select=1)
    await bench.step(start=1, repeats=1)
    got = []
    for _ in range(len(stored) * bench.beats + 5):
        data, valid, *_ = await bench.step(start=0)
        got += bench.beat(data) if valid else []
    assert (np.reshape(got, (len(stored), -1, bench.c))[:, : bench.line_w] == stored).all()
