# SPDX-License-Identifier: Apache-2.0
"""front as a whole against the bit-true models: lines in; events, neighbours, members, windows and pixels out."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cocotb
import numpy as np

from icsort.sim.bit_true.event import (
    EventFlag,
    Trigger,
    Window,
    cut_windows,
    delay_channels,
    delay_doubt,
    doubtful_lines,
    find_events,
    flat_field,
    line_sums,
    members,
    normalise_line,
)
from icsort.sim.bit_true.preprocess import preprocess
from tests.hw.sorter.signals import cycle, reset, start

TIMEOUT = 40
MAX_DELAY, MAX_END_LINES = 5, 4
OUTPUTS = (
    "s_axis_line_tready", "begin_valid", "begin_tag", "begin_time", "end_valid", "end_tag", "end_time", "end_length",
    "end_flags", "window_valid", "window_tag", "window_lost", "neighbour", "neighbour_time", "m_member_valid",
    "m_member_tag", "m_member_line", "m_member_first", "m_member_last", "m_pixel_tvalid", "m_pixel_tdata", "missed",
    "debris", "dead_time", "stalled", "line_error", "line_gap",
)  # fmt: skip
INPUTS = {
    "timestamp": 0, "line_timeout": TIMEOUT, "commit": 0, "s_axis_line_tdata": 0, "s_axis_line_tvalid": 0,
    "s_axis_line_tlast": 0, "s_axis_line_tuser": 0, "table_write": 0, "begin_ready": 1,
    "m_member_ready": 1, "m_pixel_tready": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What is committed; dark and flat: (LINE_W, C), or None where the flat field is off."""

    trigger: Trigger
    window: Window
    background: tuple[int, ...]
    gain: tuple[int, ...]
    shift: int
    delays: tuple[int, ...]
    field: tuple[np.ndarray, np.ndarray] | None


@dataclass
class Line:
    """A line as it is to be sent: pixels (n, C), a fault of its number or time, the beat before which the lines stop,
    if at all. As it was: its number and time, and when its first and its last beat were there."""

    pixels: np.ndarray
    fault: str = ""
    stop_at: int | None = None
    number: int = 0
    time: int = 0
    taken: int = 0
    complete: int = 0


@dataclass
class Seen:
    """What came out, with the cycle where it matters."""

    begins: list[tuple[int, int]] = field(default_factory=list)
    ends: list[tuple[int, int, int, int]] = field(default_factory=list)
    windows: list[tuple[int, int]] = field(default_factory=list)
    neighbours: list[int] = field(default_factory=list)
    members: list[tuple[int, int, int, int]] = field(default_factory=list)
    pixels: list[tuple[int, int]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTPUTS[-6:], 0))


class Bench:
    def __init__(self, dut) -> None:
        self.dut = dut
        names = ("LINE_W", "H", "W", "C", "SAMPLE_BITS", "P", "NET_PIXELS", "EVENTS", "LINES")
        self.line_w, self.h, self.w, self.c, self.bits, self.p, self.net, self.events, self.lines = (
            dut[name].value.to_unsigned() for name in names
        )
        self.beats = -(-self.line_w // self.p)
        self.now = 1000
        self.number = 0
        self.seen = Seen()
        self.sink = self.taker = self.full = 0.0  # probabilities that these do not take
        self.commits: list[Settings] = []  # to fall into whatever is sent

    def settings(self, **fixed) -> Settings:
        end, pre = random.randrange(1, MAX_END_LINES + 1), random.randrange(4)
        on = 40 * 2 ** (self.bits - 8) * self.line_w
        trigger = Trigger(
            weights=tuple(random.randrange(1, 4) for _ in range(self.c)),
            on=on,
            off=int(on * random.choice([1, 0.6])),
            first_column=random.choice([0, self.line_w // 4]),
            last_column=self.line_w - 1 - random.choice([0, self.line_w // 4]),
            end_lines=end,
            min_lines=random.randrange(1, 4),
            max_lines=random.randrange(8, 14),
            pre_lines=pre,
            post_lines=random.randrange(end + 1),
            dip=random.choice([0, 3, 8]),
        )
        values = {
            "trigger": trigger,
            "window": Window(self.h, self.w, random.randrange(self.line_w - self.w + 1), random.random() < 0.5),
            "background": tuple(random.randrange(2 ** (self.bits - 2)) for _ in range(self.c)),
            "gain": tuple(random.choice([1, -1]) * random.randrange(2**14, 2**16) for _ in range(self.c)),
            "shift": self.bits + 7,
            "delays": tuple(random.choice([0, 0, 1, MAX_DELAY]) for _ in range(self.c)),
            "field": random.choice([None, self.field()]),
        }
        return Settings(**values | fixed)

    def field(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(random.getrandbits(32))
        shape = (self.line_w, self.c)
        return rng.integers(0, 2 ** (self.bits - 6), shape), rng.integers(2**13, 2**15, shape)

    async def commit(self, settings: Settings, idle: int = 40) -> None:
        """idle: cycles behind it."""
        if settings.field is not None:
            for flat, values in enumerate(settings.field):
                for (column, channel), value in np.ndenumerate(values):
                    await self.step(
                        table_write=1, table_flat=flat, table_index=column << 8 | channel, table_data=int(value)
                    )
                    await self.step(table_write=0)
                    await self.step()
                    assert int(self.dut.table_read.value) == value

        await self.step(commit=1, **self.packed(settings))
        for _ in range(idle):
            await self.step()

    def packed(self, settings: Settings) -> dict[str, int]:
        """The inputs that a commit takes."""

        def packed(values: Sequence[int], bits: int) -> int:
            return sum(int(value) % 2**bits << bits * i for i, value in enumerate(values))

        trigger = settings.trigger
        return {
            **{name: getattr(trigger, name) for name in (
                "on", "off", "dip", "first_column", "last_column", "pre_lines", "post_lines", "end_lines", "min_lines",
                "max_lines")},
            "weights": packed(trigger.weights, 8), "x_offset": settings.window.x_offset,
            "centred": settings.window.centred, "background": packed(settings.background, self.bits),
            "gain": packed(settings.gain, 18), "shift": settings.shift, "delays": packed(settings.delays, 6),
            "flat_enable": settings.field is not None,
        }  # fmt: skip

    async def step(self, **inputs: int) -> None:
        """One cycle; notes what came out."""
        if self.commits and random.random() < 0.02:
            inputs |= {"commit": 1, **self.packed(self.commits.pop())}
        elif inputs.get("commit") is None:
            inputs["commit"] = 0
        ready = {
            "m_pixel_tready": random.random() >= self.sink,
            "m_member_ready": random.random() >= self.taker,
            "begin_ready": random.random() >= self.full,
        }
        values = await cycle(self.dut, *OUTPUTS, timestamp=self.now, **ready, **inputs)
        out, seen = dict(zip(OUTPUTS, values, strict=True)), self.seen
        assert out["s_axis_line_tready"] == 1
        if out["begin_valid"]:
            seen.begins.append((out["begin_tag"], out["begin_time"]))
        if out["end_valid"]:
            seen.ends.append((out["end_tag"], out["end_time"], out["end_length"], out["end_flags"]))
        if out["window_valid"]:
            seen.windows.append((out["window_tag"], out["window_lost"]))
        if out["neighbour"]:
            seen.neighbours.append(out["neighbour_time"])
        if out["m_member_valid"] and ready["m_member_ready"]:
            seen.members.append(tuple(out[f"m_member_{name}"] for name in ("tag", "line", "first", "last")))
        if out["m_pixel_tvalid"] and ready["m_pixel_tready"]:
            seen.pixels.append((self.now, out["m_pixel_tdata"]))
        for name in seen.counts:
            seen.counts[name] += out[name]
        self.now += 1

    async def send(self, lines: list[Line], idle: float = 0.0, gap: int = 0) -> None:
        for line in lines:
            self.number += 2 if line.fault == "number" else 1
            pad = np.zeros((-len(line.pixels) % self.p, self.c), np.int64)
            beats = np.concatenate([line.pixels, pad]).reshape(-1, self.p * self.c)
            for i, beat in enumerate(beats.tolist()):
                stop = TIMEOUT + 3 + random.randrange(9) if line.stop_at == i else 0
                for _ in range(stop + gap):
                    await self.step(s_axis_line_tvalid=0)
                while random.random() < idle:
                    await self.step(s_axis_line_tvalid=0)
                if i == 0:
                    line.number, line.taken = self.number % 2**16, self.now
                    line.time = self.now + random.choice([5, -500]) if line.fault == "time" else self.now
                line.complete = self.now
                await self.step(
                    s_axis_line_tvalid=1,
                    s_axis_line_tdata=sum(int(sample) << self.bits * k for k, sample in enumerate(beat)),
                    s_axis_line_tlast=i == len(beats) - 1,
                    s_axis_line_tuser=line.number << 48 | line.time if i == 0 else random.getrandbits(64),
                )
        await self.step(s_axis_line_tvalid=0)

    async def drain(self) -> None:
        """Until nothing more can come."""
        self.sink = self.taker = 0.0
        for _ in range(60 + self.events * (self.h * self.w + 40)):
            await self.step(s_axis_line_tvalid=0)

    # ------------------------------------------------------------------ lines

    def dark(self, count: int) -> list[Line]:
        top = 4 * 2 ** (self.bits - 8)
        return [
            Line(np.random.default_rng(random.getrandbits(32)).integers(0, top, (self.line_w, self.c)))
            for _ in range(count)
        ]

    def cell(self, height: int) -> list[Line]:
        rng = np.random.default_rng(random.getrandbits(32))
        levels = rng.choice([1.0, 0.6, 0.35, 0.05], p=[0.6, 0.2, 0.1, 0.1], size=height)
        top = 2**self.bits - 1
        columns = np.exp(-(((np.arange(self.line_w) - rng.uniform(0, self.line_w)) / (self.line_w / 2)) ** 2))
        return [
            Line((level * columns[:, None] * rng.uniform(0.5, 1, (self.line_w, self.c)) * top).astype(int))
            for level in levels
        ]

    def stream(self, cells: int, gap: tuple[int, int] = (0, 12), tall: int = 16) -> list[Line]:
        lines = self.dark(3)
        for _ in range(cells):
            lines += self.cell(random.randrange(1, tall)) + self.dark(random.randrange(*gap))
        return lines + self.dark(MAX_DELAY + MAX_END_LINES + 3)  # the last light comes out late, and ends

    # ------------------------------------------------------------------ what must come

    def check(self, sent: list[Line], settings: Settings, lost_may_be: bool = False) -> None:
        """Everything since reset, of lines behind which the event at hand has ended."""
        seen, p = self.seen, self.p
        lines, good, stops, kept = [], [], [], []
        for line in sent:
            pixels, whole = line.pixels, len(line.pixels) == self.line_w
            if line.stop_at == 0:
                stops.append(len(lines))
            elif line.stop_at is not None:
                pixels, whole = pixels[: line.stop_at * p], False
            normal, _ = normalise_line(pixels, self.line_w)
            lines.append(normal)
            good.append(whole)
            kept.append(len(pixels))
            if line.stop_at:
                stops.append(len(lines))
        cut = [line.stop_at is not None and line.stop_at > 0 for line in sent]
        stream = np.stack(lines)
        if settings.field is not None:
            stream = flat_field(stream, *settings.field, self.bits)
        stream = delay_channels(stream, settings.delays)
        stream[np.arange(self.line_w) >= np.asarray(kept)[:, np.newaxis]] = 0
        numbers, times, taken = (
            np.asarray([getattr(line, name) for line in sent]) for name in ("number", "time", "taken")
        )
        doubtful = doubtful_lines(numbers, times, taken)
        assert seen.counts["line_gap"] == doubtful.sum()
        assert seen.counts["line_error"] == sum(not ok and not short for ok, short in zip(good, cut, strict=True))
        bad = delay_doubt(~np.asarray(good) | doubtful, settings.delays)
        trigger = settings.trigger
        found = find_events(line_sums(stream, trigger), trigger, bad, stops)
        events = found.events
        assert events.ended.all()

        started = [time for _, time in seen.begins]
        assert [tag for tag, _ in seen.begins] == [i % 256 for i in range(len(started))]
        here = np.zeros(len(events), bool)  # which were not missed
        at = 0
        for i, time in enumerate(times[events.trigger].tolist()):
            if at < len(started) and started[at] == time:
                here[i], at = True, at + 1
        assert at == len(started), "an event began that is none"
        assert seen.counts["missed"] == (~here).sum()
        assert seen.counts["debris"] == len(found.debris)
        assert seen.counts["dead_time"] == len(found.dead_time)
        assert seen.counts["stalled"] == sum(
            part.flagged(EventFlag.STALLED).sum() for part in (found.events, found.debris)
        )
        others = [*found.neighbours.tolist(), *events.trigger[~here].tolist()]
        assert sorted(seen.neighbours) == sorted(times[others].tolist())

        events = events[here]
        self.found = events
        tags = [i % 256 for i in range(len(events))]
        ends = zip(tags, times[events.timed].tolist(), events.length.tolist(), events.flags.tolist(), strict=True)
        assert seen.ends == list(ends)
        whose, line = members(events)
        first, last = line == events.first[whose], line == events.last[whose]
        expected = zip((whose % 256).tolist(), (line % 256).tolist(), first.tolist(), last.tolist(), strict=True)
        assert seen.members == list(expected)

        assert [tag for tag, _ in seen.windows] == tags
        lost = np.asarray([flag for _, flag in seen.windows], bool)
        assert lost_may_be or not lost.any()
        raw = cut_windows(stream, events, trigger, settings.window, settings.background)
        pixels = preprocess(raw, settings.background, settings.gain, settings.shift)
        beats = pixels.reshape(len(events), -1, self.net * self.c)
        got = np.asarray(
            [[data >> 8 * k & 255 for k in range(self.net * self.c)] for _, data in seen.pixels], np.uint8
        ).reshape(beats.shape)
        assert (got[~lost] == beats[~lost]).all()
        self.lost = lost


async def prepare(dut, **fixed) -> tuple[Bench, Settings]:
    await start(dut, **INPUTS)
    bench = Bench(dut)
    settings = bench.settings(**fixed)
    await bench.commit(settings)
    return bench, settings


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4], stalls=[0.0, 0.3])
async def equals_the_model(dut, idle, stalls):
    """Whatever comes, a beat a cycle or fewer; a sink that takes some time, members that have to wait."""
    bench, settings = await prepare(dut)
    bench.sink, bench.taker = stalls, stalls
    lines = bench.stream(60)
    await bench.send(lines, idle)
    await bench.drain()
    bench.check(lines, settings, lost_may_be=True)
    assert len(bench.found) > 5
    assert (~bench.lost).any()


@cocotb.test()
async def faults_of_lines(dut):
    """Lines of another length, with wrong numbers and times; lines that stop, between two or within one."""
    bench, settings = await prepare(dut)
    lines = bench.stream(80, gap=(0, 10))
    for line in lines:
        fault = random.random()
        if fault < 0.02:
            line.fault = random.choice(["number", "time"])
        elif fault < 0.04:
            length = bench.p * random.randrange(1, 2 * bench.beats)
            if length != bench.beats * bench.p:
                line.pixels = np.resize(line.pixels, (length, bench.c))
        elif fault < (0.15 if line.pixels.max() > 2 ** (bench.bits - 1) else 0.05):
            line.stop_at = random.randrange(bench.beats)
    await bench.send(lines, 0.2)
    await bench.drain()
    bench.check(lines, settings, lost_may_be=True)
    flags = np.bitwise_or.reduce(bench.found.flags)
    assert flags & EventFlag.DOUBTFUL
    assert flags & EventFlag.STALLED


@cocotb.test()
async def no_room(dut):
    """A sink that does not take: events are missed, windows lost, each of them told; then all is in step again."""
    bench, settings = await prepare(dut)
    bench.sink = bench.taker = 1.0
    lines = bench.stream(bench.events + 12, gap=(6, 12))
    await bench.send(lines)
    assert len(bench.seen.begins) <= bench.events
    bench.sink, bench.taker, bench.full = 0.0, 0.1, 0.2
    for _ in range(bench.events * bench.h * bench.w):
        await bench.step(s_axis_line_tvalid=0)
    more = bench.stream(30, gap=(20, 30))
    await bench.send(more, 0.5)
    await bench.drain()
    # Behind the silence of the wait lines go on; nothing was open then.
    more[0].stop_at = 0
    bench.check(lines + more, settings, lost_may_be=True)
    assert bench.seen.counts["missed"] > 0
    assert bench.lost.any()
    assert not bench.lost[-5:].any()


@cocotb.test()
async def a_commit_aborts_what_is_open(dut):
    """Windows that wait are lost, and what ends behind a commit that fell upon its light is doubtful."""
    bench, settings = await prepare(dut)
    bench.sink = 1.0
    trigger = settings.trigger

    def lit(count: int) -> list[Line]:
        return [Line(np.full((bench.line_w, bench.c), 2**bench.bits - 1)) for _ in range(count)]

    await bench.send(bench.dark(6) + lit(trigger.max_lines - 1) + bench.dark(10) + lit(trigger.min_lines))
    for _ in range(20):  # an event begins some cycles behind its line
        await bench.step()
    begun, ended = len(bench.seen.begins), len(bench.seen.ends)
    again = bench.settings(field=None)
    await bench.commit(again)
    bench.sink = 0.0
    await bench.send(bench.dark(10))
    await bench.drain()
    assert begun >= 1
    assert [lost for _, lost in bench.seen.windows[:begun]] == [1] * begun
    assert all(flags & EventFlag.DOUBTFUL for *_, flags in bench.seen.ends[ended:])


@cocotb.test()
async def light_on_its_way_at_a_commit(dut):
    """A commit finds a line between the input and the delays: it is doubtful where it comes out, lines later."""
    late = tuple([5] * dut.C.value.to_unsigned())
    bench, settings = await prepare(dut, delays=late)
    one_line = replace(settings.trigger, min_lines=1, pre_lines=0)
    lit = Line(np.full((bench.line_w, bench.c), 2**bench.bits - 1))
    for behind, idle in itertools.product(range(7), [0, 40]):
        await bench.commit(bench.settings(field=None, delays=late, trigger=one_line))
        await bench.send([*bench.dark(40), lit])
        ended = len(bench.seen.ends)
        for _ in range(behind):
            await bench.step()
        await bench.commit(bench.settings(field=None, delays=late, trigger=one_line), idle)
        await bench.send(bench.dark(20))
        assert all(flags & EventFlag.DOUBTFUL for *_, flags in bench.seen.ends[ended:])
    assert len(bench.seen.ends) > 0


@cocotb.test()
@cocotb.parametrize(stalls=[0.0, 0.3])
async def commits_at_any_time(dut, stalls):
    """Each event that began ends, has its lines in order, and a window or the loss of it; then all is in step again."""
    bench, _ = await prepare(dut)
    bench.sink, bench.taker = stalls, stalls
    for _ in range(6):
        bench.commits = [bench.settings(field=None) for _ in range(10)]
        await bench.send(bench.stream(12, gap=(0, 12)), random.choice([0.0, 0.4]))
    bench.commits = []
    await bench.send(bench.dark(80))
    await bench.drain()
    tags = [tag for tag, _ in bench.seen.begins]
    assert len(tags) > 5
    assert [tag for tag, *_ in bench.seen.ends] == tags
    assert [tag for tag, _ in bench.seen.windows] == tags
    for tag in tags:
        _, lines, first, last = zip(*(member for member in bench.seen.members if member[0] == tag), strict=True)
        assert [line % 256 for line in range(lines[0], lines[0] + len(lines))] == list(lines), tag
        assert first == (1, *[0] * (len(lines) - 1)), tag
        assert last == (*[0] * (len(lines) - 1), 1), tag
        assert len(lines) <= 13 + 3 + 4, tag
    assert len(bench.seen.pixels) * bench.net >= sum(not lost for _, lost in bench.seen.windows) * bench.h * bench.w

    await reset(dut)
    bench = Bench(dut)
    settings = bench.settings()
    await bench.commit(settings)
    lines = bench.stream(10)
    await bench.send(lines)
    await bench.drain()
    bench.check(lines, settings, lost_may_be=True)


@cocotb.test()
async def reset_in_the_middle(dut):
    """An event, a window and a line that a reset cuts are forgotten; all counts from nothing again."""
    bench, settings = await prepare(dut)
    bench.sink = 0.8
    lines = bench.stream(6)
    await bench.send(lines)
    if bench.beats > 1:
        await bench.step(s_axis_line_tvalid=1, s_axis_line_tlast=0)
        await bench.step(s_axis_line_tvalid=0)
    await reset(dut)
    bench.seen, bench.sink = Seen(), 0.0
    await bench.commit(settings)
    assert bench.seen == Seen()
    lines = bench.stream(20, gap=(6, 12))
    await bench.send(lines, 0.3)
    await bench.drain()
    bench.check(lines, settings, lost_may_be=True)


@cocotb.test()
async def pixels_follow_their_line(dut):
    """Where there are post-lines and the reader keeps pace, there are as many cycles from the last beat of a
    window's last line to its last pixel as the head says."""
    await start(dut, **INPUTS)
    bench = Bench(dut)
    height = bench.h
    trigger = Trigger(
        (1,) * bench.c,
        1,
        1,
        0,
        bench.line_w - 1,
        end_lines=2,
        min_lines=1,
        max_lines=bench.h + 9,
        pre_lines=1,
        post_lines=1,
    )
    window = Window(height, bench.w, bench.line_w - bench.w)
    settings = bench.settings(trigger=trigger, window=window, delays=(0,) * bench.c, field=None)
    await bench.commit(settings)
    lit = [Line(np.full((bench.line_w, bench.c), 7, np.int64)) for _ in range(height + 4)]
    black = [Line(np.zeros((bench.line_w, bench.c), np.int64)) for _ in range(10)]
    lines = black[:4] + lit + black[4:]
    at_once = next(m for m in range(bench.p, 0, -1) if bench.net % m == 0)
    await bench.send(lines, gap=bench.p // at_once + 10)  # the reader keeps pace
    await bench.drain()
    bench.check(lines, settings)
    rest = -(-min(bench.w, bench.line_w - (bench.beats - 1) * bench.p) // at_once)  # steps that the last beat needs
    last = lit[height - 2]  # row 0 is a pre-line
    assert bench.seen.pixels[-1][0] - last.complete == 15 + (bench.net > at_once) + rest - 1
