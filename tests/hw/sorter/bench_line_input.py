# SPDX-License-Identifier: Apache-2.0
"""line_input against icsort.sim.bit_true.event: lines of every length, times, gaps, errors; lines that stop."""

import random
from dataclasses import dataclass, field

import cocotb
import numpy as np

from icsort.sim.bit_true.event import doubtful_lines, normalise_line
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {"timestamp": 0, "line_timeout": 2**32 - 1, "doubt": 0, "s_axis_line_tdata": 0, "s_axis_line_tvalid": 0,
          "s_axis_line_tlast": 0, "s_axis_line_tuser": 0}  # fmt: skip
OUTPUTS = ("s_axis_line_tready", "beat_valid", "beat_data", "beat_end", "beat_made", "beat_bad", "beat_time",
           "line_stopped", "line_error", "line_gap")  # fmt: skip


@dataclass
class Line:
    """What came out as one line."""

    pixels: list[list[int]] = field(default_factory=list)
    bad: int = 0
    times: set[int] = field(default_factory=set)


class Bench:
    def __init__(self, dut) -> None:
        self.dut = dut
        self.line_w, self.c, self.p, self.bits = (
            dut[name].value.to_unsigned() for name in ("LINE_W", "C", "P", "SAMPLE_BITS")
        )
        self.beats = -(-self.line_w // self.p)
        self.now = random.getrandbits(40)
        self.lines: list[Line] = []
        self.at_hand = Line()
        self.made: list[int] = []  # lines that were closed
        self.stops: list[int] = []  # lines before each
        self.errors = self.gaps = 0

    async def step(self, **inputs: int) -> bool:
        """One cycle. Returns whether a beat came out."""
        values = await cycle(self.dut, *OUTPUTS, timestamp=self.now, **inputs)
        ready, valid, data, end, made, bad, time, stopped, error, gap = values
        assert ready
        self.now += 1
        self.errors += error
        self.gaps += gap
        if stopped:
            assert not valid or not end
            self.stops.append(len(self.lines))
        if valid:
            samples = [data >> self.bits * i & (1 << self.bits) - 1 for i in range(self.p * self.c)]
            if made:
                assert end
                assert not any(samples)
                self.made.append(len(self.lines))
            else:
                self.at_hand.pixels += np.reshape(samples, (self.p, self.c)).tolist()
            self.at_hand.times.add(time)
            if end:
                self.at_hand.bad = bad
                self.lines.append(self.at_hand)
                self.at_hand = Line()
        return bool(valid)

    def words(self, pixels: np.ndarray) -> list[int]:
        """A line's beats; what the last one has beyond the line is anything."""
        pad = np.asarray([[random.getrandbits(self.bits) for _ in range(self.c)] for _ in range(-len(pixels) % self.p)])
        beats = np.concatenate([pixels, pad.reshape(-1, self.c)]).astype(np.int64).reshape(-1, self.p * self.c)
        return [sum(int(sample) << self.bits * k for k, sample in enumerate(beat)) for beat in beats]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.3], wrong=[0.0, 0.2])
async def equals_the_model(dut, idle, wrong):
    await start(dut, **INPUTS)
    bench = Bench(dut)
    rng = np.random.default_rng(random.getrandbits(32))
    counts = [random.choice([bench.beats, bench.beats, random.randrange(1, 2 * bench.beats + 1)]) for _ in range(80)]
    counts += [*range(1, 2 * bench.beats + 1), bench.beats]
    sent, number = [], random.getrandbits(16)
    for count in counts:
        width = bench.line_w if count == bench.beats else count * bench.p
        pixels = rng.integers(0, 2**bench.bits, (width, bench.c), dtype=np.uint16)
        fault = random.choice(["number", "time"]) if random.random() < wrong else ""
        number += random.choice([0, 2, 50]) if fault == "number" else 1
        words = bench.words(pixels)
        for i, word in enumerate(words):
            while random.random() < idle:
                await bench.step(s_axis_line_tvalid=0, s_axis_line_tdata=random.getrandbits(8))
            if i == 0:
                before = sent[-1][2] if sent else bench.now
                time = random.choice([before, bench.now - 1000, bench.now + 100]) if fault == "time" else bench.now
                sent.append((pixels, number % 2**16, time, bench.now))
            user = (number % 2**16) << 48 | time
            await bench.step(
                s_axis_line_tvalid=1, s_axis_line_tdata=word, s_axis_line_tlast=i == len(words) - 1,
                s_axis_line_tuser=user if i == 0 else random.getrandbits(64),
            )  # fmt: skip
    for _ in range(3):
        await bench.step(s_axis_line_tvalid=0)
    numbers, times, taken = (np.asarray([line[i] for line in sent], np.int64) for i in (1, 2, 3))
    doubtful = doubtful_lines(numbers, times, taken)
    assert bench.gaps == doubtful.sum()
    assert (bench.gaps > 0) == (wrong > 0)
    assert bench.errors == sum(count != bench.beats for count in counts)
    assert not bench.stops
    for (pixels, _, time, _), doubt, got in zip(sent, doubtful, bench.lines, strict=True):
        normal, good = normalise_line(pixels, bench.line_w)
        kept = min(len(pixels), bench.line_w)
        whole = np.asarray(got.pixels)
        assert (whole[:kept] == normal[:kept]).all()
        assert not whole[kept:].any()
        assert (got.bad, got.times) == (not good or doubt, {time})


@cocotb.test()
async def silence(dut):
    """Lines that stop, between two and at each beat of one: the line is closed, its tail is dropped, it is told once. A
    silence that is one cycle shorter is none."""
    await start(dut, **INPUTS)
    bench = Bench(dut)
    timeout = 20
    number, closed, stops = 0, [], []
    for quiet in (timeout + 1, timeout + 2, timeout + 60):
        for at in range(bench.beats):
            number += 1
            for beat in range(bench.beats):
                if beat == at:
                    for _ in range(quiet):
                        await bench.step(s_axis_line_tvalid=0, line_timeout=timeout)
                await bench.step(
                    s_axis_line_tvalid=1, s_axis_line_tlast=beat == bench.beats - 1, s_axis_line_tdata=7,
                    s_axis_line_tuser=number << 48 | bench.now,
                )  # fmt: skip
            if quiet > timeout + 1:
                stops.append(number - (at == 0))
                closed += [number - 1] * (at > 0)
            for _ in range(2):
                await bench.step(s_axis_line_tvalid=0)
    assert (bench.errors, bench.gaps) == (0, 0)
    assert bench.stops == stops
    assert bench.made == closed
    assert [line.bad for line in bench.lines] == [i in closed for i in range(number)]


@cocotb.test()
async def doubt(dut):
    """A line at hand, or one that begins, is bad where the settings change; no other is."""
    await start(dut, **INPUTS)
    bench = Bench(dut)
    for number in range(6):
        for beat in range(bench.beats):
            await bench.step(
                s_axis_line_tvalid=1,
                s_axis_line_tlast=beat == bench.beats - 1,
                s_axis_line_tuser=number << 48 | bench.now,
                doubt=(number, beat) in ((1, 0), (3, bench.beats - 1)),
            )
    await bench.step(s_axis_line_tvalid=0, doubt=1)  # no line is at hand
    await bench.step(doubt=0)
    assert [line.bad for line in bench.lines] == [0, 1, 0, 1, 0, 0]


@cocotb.test()
async def reset_in_the_middle(dut):
    """The rest of a line that was cut by a reset counts as a line of its own, a malformed one."""
    await start(dut, **INPUTS)
    bench = Bench(dut)
    if bench.beats > 1:
        await bench.step(s_axis_line_tvalid=1, s_axis_line_tlast=0)
    await bench.step(s_axis_line_tvalid=0)
    await reset(dut)
    bench = Bench(dut)
    assert dut.beat_valid.value == 0
    for beats in (bench.beats - 1, bench.beats):
        for beat in range(beats):
            await bench.step(
                s_axis_line_tvalid=1, s_axis_line_tlast=beat == beats - 1, s_axis_line_tuser=beats << 48 | bench.now
            )
    await bench.step(s_axis_line_tvalid=0)
    assert bench.gaps == 0  # the line that was cut is no line before
    assert [line.bad for line in bench.lines] == [1, 0][-len(bench.lines) :]
    assert bench.errors == len(bench.lines) - 1
