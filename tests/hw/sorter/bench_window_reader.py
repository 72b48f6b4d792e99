# SPDX-License-Identifier: Apache-2.0
"""window_reader against icsort.sim.bit_true.event: every pixel of every window, while lines are written and events
begin and end as event_trigger tells them. The bench is the line store and the trigger."""

import random
from collections import deque
from dataclasses import dataclass, field

import cocotb
import numpy as np

from icsort.sim.bit_true.event import Events, Trigger, Window, cut_windows
from tests.hw.sorter.signals import cycle, reset, start

PRE_LINES = 2
BEHIND = 3  # lines that the trigger has not judged, at most: no line comes within few cycles
ENDLESS = 100_000  # cycles
HELD = 31  # cycles behind line_stopped
INPUTS = {
    "x_offset": 0, "centred": 0, "flush": 0, "line_stopped": 0, "begin_valid": 0, "begin_tag": 0, "begin_line": 0,
    "begin_skip": 0, "begin_sum": 0, "begin_moment": 0, "rows": 0, "end_valid": 0, "end_rows": 0, "write_line": 0,
    "write_beat": 0, "read_data": 0, "length_beats": 0, "m_axis_tready": 0,
}  # fmt: skip
OUTPUTS = (
    *("begin_ready", "read_address", "read_enable", "window_valid", "window_tag", "window_lost", "m_axis_tdata"),
    *("m_axis_tuser", "m_axis_tvalid"),
)


@dataclass
class Event:
    """Lines: trigger (row PRE_LINES), first, last; accepted, ended: those after which it begins and ends."""

    trigger: int
    first: int
    last: int
    accepted: int
    ended: int
    begun_at: int = -1

    @property
    def begin(self) -> int:
        return self.trigger - PRE_LINES

    @property
    def rows(self) -> int:
        return self.last - self.begin + 1


@dataclass
class Bench:
    """idle: how often no beat comes; stall: how often the sink takes none; flushes, stops: how often there is one."""

    dut: object
    centred: bool
    idle: float = 0.0
    stall: float = 0.0
    flushes: float = 0.0
    stops: float = 0.0
    now: int = 0
    beats: list[tuple[int, int]] = field(default_factory=list)  # what left: tuser, tdata
    left: list[int] = field(default_factory=list)  # and the cycles in which each was first to be seen
    windows: list[tuple[int, int, bool, int, int]] = field(default_factory=list)  # cycle, tag, lost, line, beats before
    begun: list[Event] = field(default_factory=list)
    flushed: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    missed: int = 0

    def __post_init__(self) -> None:
        names = ("LINE_W", "H", "W", "C", "SAMPLE_BITS", "P", "M", "LINES", "EVENTS", "INDEX_BITS")
        sizes = (self.dut[name].value.to_unsigned() for name in names)
        self.line_w, self.h, self.w, self.c, self.bits, self.p, self.m, self.ring, self.events, self.index = sizes
        self.line_beats = -(-self.line_w // self.p)
        self.pixel_bits = self.c * self.bits
        self.window_beats = self.h * self.w // self.m
        self.x_offset = random.randrange(self.line_w - self.w + 1)

    def draw(self, count: int) -> tuple[list[Event], np.ndarray, list[int]]:
        """Events behind each other, the lines that they are of, and how many beats of each line come."""
        events, line, free = [], 0, 0
        for _ in range(count):
            trigger = line + random.choice([0, 0, 1, random.randrange(12)])
            last = trigger + random.choice([0, random.randrange(1, 2 * self.h + 2), random.randrange(self.h)])
            accepted = random.choice([trigger, random.randint(trigger, last)])
            ended = last + random.randrange(4)
            first = max(trigger - PRE_LINES, free)
            events.append(Event(trigger, first, last, accepted, ended))
            line, free = ended + 1, last + 1
        lines = np.asarray(
            [
                [[random.getrandbits(self.bits) for _ in range(self.c)] for _ in range(self.line_w)]
                for _ in range(line + 2)
            ],
            np.uint16,
        )
        came = [random.choice([self.line_beats] * 5 + [random.randint(1, self.line_beats)]) for _ in lines]
        for pixels, number in zip(lines, came, strict=True):
            pixels[number * self.p :] = 0
            if random.random() < 0.1:
                pixels[:] = 0
            elif random.random() < 0.3:  # light at one edge
                pixels[slice(0, -2) if random.random() < 0.5 else slice(2, None)] = 0
        return events, lines, came

    async def run(self, count: int, limit: int | None = None) -> None:
        """Events from the first line on, until all windows have left, or `limit` cycles; then compare all of them."""
        self.trigger = Trigger(
            weights=tuple(random.randrange(1, 4) for _ in range(self.c)), on=1, off=1, first_column=0,
            last_column=self.line_w - 1, end_lines=1, min_lines=1, max_lines=200, pre_lines=PRE_LINES,
        )  # fmt: skip
        self.drawn, self.lines, came = self.draw(count)
        memory = np.full((self.p, self.ring * self.line_beats), 2**self.pixel_bits - 1, dtype=object)
        lengths, length = [0] * self.ring, 0
        read = coming = 0  # of the two cycles of read_enable before
        line = beat = known = 0
        judged: deque[tuple[int, int]] = deque()  # line, cycle from which the trigger has judged it
        told, gap = -1, 0  # the last line that the trigger has judged; cycles until it may say something again
        waiting, opened = deque(self.drawn), None
        while limit is None or self.now < limit:
            done = line == len(self.lines) and not waiting and opened is None
            assert self.now < ENDLESS
            if done and len(self.beats) == len(self.begun) * self.window_beats:
                break
            inputs = dict.fromkeys(("begin_valid", "end_valid", "flush", "line_stopped"), 0)
            # The writer.
            if line < len(self.lines) and len(judged) < BEHIND and random.random() >= self.idle:
                pixels = self.lines[line]
                if beat < came[line]:
                    for lane in range(self.p):
                        column = beat * self.p + lane
                        samples = pixels[column].tolist() if column < self.line_w else [0] * self.c
                        word = sum(sample << self.bits * k for k, sample in enumerate(samples))
                        memory[lane, line % self.ring * self.line_beats + beat] = word
                    beat += 1
                if beat == came[line] and (beat == self.line_beats or random.random() < 0.5):
                    lengths[line % self.ring] = beat
                    judged.append((line, self.now + random.randrange(8, 12)))
                    line, beat = line + 1, 0
            # The trigger.
            gap = max(0, gap - 1)
            if not gap and judged and judged[0][1] <= self.now:
                event = opened or (waiting[0] if waiting else None)
                at = judged[0][0]
                if event is not None and opened is None and at >= event.accepted:
                    waiting.popleft()
                    if self.ready:
                        opened, event.begun_at = event, self.now
                        pixels = self.lines[event.trigger].astype(np.int64) @ np.asarray(self.trigger.weights)
                        inputs |= {
                            "begin_valid": 1,
                            "begin_tag": len(self.begun) % 256,
                            "begin_line": event.begin % 2**self.index,
                            "begin_skip": event.first - event.begin,
                            "begin_sum": int(pixels.sum()),
                            "begin_moment": int(pixels @ np.arange(self.line_w)),
                        }
                        self.begun.append(event)
                        known = 0
                    else:
                        self.missed += 1
                    gap = 3
                elif opened is not None and at >= opened.ended:
                    inputs |= {"end_valid": 1, "end_rows": opened.rows}
                    opened, gap = None, 4
                else:
                    judged.popleft()
                    told = at
                if opened is not None:
                    known = max(known, min(opened.rows, told - opened.begin + 1 + random.randrange(6)))
            if random.random() < self.flushes:
                inputs["flush"] = 1
                self.flushed.append(self.now)
            if random.random() < self.stops:
                inputs["line_stopped"] = 1
                self.stopped.append(self.now)
            asked = self.dut.length_line.value.to_unsigned()
            taken = int(random.random() >= self.stall)
            ready, address, enable, valid, tag, lost, data, user, shown = await cycle(
                self.dut,
                *OUTPUTS,
                x_offset=self.x_offset,
                centred=int(self.centred),
                rows=known,
                write_line=line % 2**self.index,
                write_beat=beat,
                read_data=read,
                length_beats=length,
                m_axis_tready=taken,
                **inputs,
            )
            self.ready = bool(ready) and not inputs["begin_valid"]
            if enable:
                width = (self.ring * self.line_beats - 1).bit_length()
                places = [address >> width * lane & 2**width - 1 for lane in range(self.p)]
                words = [memory[lane, at] if at < memory.shape[1] else 0 for lane, at in enumerate(places)]
                read, coming = coming, sum(word << self.pixel_bits * lane for lane, word in enumerate(words))
                length = lengths[asked]
            if valid:
                self.windows.append((self.now, tag, bool(lost), line, len(self.beats)))
            if shown and len(self.left) == len(self.beats):
                self.left.append(self.now)
            if shown and taken:
                self.beats.append((user, data))
            self.now += 1
        if limit is None:
            self.check()

    ready = True

    def check(self) -> None:
        none = np.zeros(len(self.begun), np.int64)
        lines = {
            name: np.asarray([getattr(event, name) for event in self.begun]) for name in ("trigger", "first", "last")
        }
        events = Events(**dict.fromkeys(Events.__dataclass_fields__, none) | lines)
        window = Window(self.h, self.w, 0 if self.centred else self.x_offset, self.centred)
        windows = cut_windows(self.lines, events, self.trigger, window, [0] * self.c)
        assert len(self.windows) == len(self.begun)
        for number, (event, pixels, told) in enumerate(zip(self.begun, windows, self.windows, strict=True)):
            time, tag, lost, line, before = told
            assert tag == number % 256
            first = number * self.window_beats
            assert first + self.window_beats - 4 <= before < first + self.window_beats
            flushed = any(event.begun_at < flush <= time - 2 for flush in self.flushed)
            assert lost or not flushed
            assert not lost or flushed or line - event.first >= self.ring
            rows = np.arange(event.begin, event.begin + self.h)
            real = np.repeat((rows >= event.first) & (rows <= event.last), self.w // self.m)
            words = pixels.reshape(self.window_beats, -1).tolist()
            packed = [sum(sample << self.bits * k for k, sample in enumerate(word)) for word in words]
            beats = self.beats[first : first + self.window_beats]
            # Of a window that was lost no beat is wrong, and from some beat on all are zero.
            whole = max((i + 1 for i in range(self.window_beats) if real[i] and not beats[i][0]), default=0)
            end = whole if lost else self.window_beats
            for i, (user, data) in enumerate(beats):
                assert user == int(i >= end or not real[i]), (number, i)
                assert user or data == packed[i], (number, i)


async def prepare(dut, centred: bool, **how: float) -> Bench:
    await start(dut, **INPUTS)
    return Bench(dut, centred, **how)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.7], stall=[0.0, 0.3])
async def windows_equal_the_model(dut, idle, stall):
    bench = await prepare(dut, random.random() < 0.5, idle=idle, stall=stall)
    await bench.run(30)
    assert not all(lost for _, _, lost, _, _ in bench.windows)


@cocotb.test()
async def a_network_that_is_too_slow(dut):
    """Windows whose lines are overwritten are lost and said so; where too many events wait the next find no room."""
    bench = await prepare(dut, True, stall=0.9)
    await bench.run(80)
    assert any(lost for _, _, lost, _, _ in bench.windows)
    assert bench.missed


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def flushed_and_held(dut, stall):
    """A flush loses what has begun and is not through, and nothing behind it. Where lines stopped nothing is read."""
    bench = await prepare(dut, False, idle=0.3, stall=stall, flushes=0.01, stops=0.01)
    await bench.run(70)
    lost = [told[2] for told in bench.windows]
    assert any(lost)
    if not stall:
        assert not all(lost)
        # From what is issued to what is seen it is three cycles.
        held = {stop + 3 + i for stop in bench.stopped for i in range(1, HELD + 1)}
        assert not [at for at, (user, _) in zip(bench.left, bench.beats, strict=True) if at in held and not user]


@cocotb.test()
@cocotb.parametrize(centred=[False, True])
async def latency(dut, centred):
    """Where all of it is there, the first beat comes 7 cycles behind begin_valid, and a beat each cycle follows."""
    bench = await prepare(dut, centred)
    await bench.run(20)
    more = 1 + (bench.line_w - 1).bit_length() if centred else 0
    through = -1
    exact = 0
    for number, event in enumerate(bench.begun):
        first = number * bench.window_beats
        beats = bench.left[first : first + bench.window_beats]
        assert beats[0] >= event.begun_at + 7 + more
        # It had begun behind the window before, and its first row was known and there.
        if event.begun_at > through + 8 and event.accepted >= event.begin:
            assert beats[0] == event.begun_at + 7 + more
            exact += 1
        through = beats[-1]
    assert exact


@cocotb.test()
async def reset_in_the_middle(dut):
    """What waited and what was under way is nobody's."""
    bench = await prepare(dut, True, idle=0.2, stall=0.3)
    for cycles in (150, 333):
        await bench.run(60, limit=cycles)
        await reset(dut)
        bench = Bench(dut, random.random() < 0.5, idle=0.2, stall=0.3)
    await cycle(dut, **INPUTS)
    await bench.run(30)
