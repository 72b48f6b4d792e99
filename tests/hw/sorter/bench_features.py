# SPDX-License-Identifier: Apache-2.0
"""features against icsort.sim.bit_true.features: every value of every event, its time, and events without."""

import random
from collections import deque

import cocotb
import numpy as np

from icsort.sim.bit_true.features import MATRIX_BITS, Settings, count, event_sums, line_sums, names, pairs, values
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    **dict.fromkeys(("index", "store", "data", "commit", "beat_valid", "beat_data", "beat_end"), 0),
    **dict.fromkeys(("s_member_tdata", "s_member_tvalid", "m_features_tready", "value_index"), 0),
}
OUTPUTS = ("s_member_tready", "m_features_tvalid", "m_features_tdata", "value", "event_lost", "line_lost")


class Shape:
    """What the block was built for."""

    def __init__(self, dut) -> None:
        names = ("LINE_W", "C", "SAMPLE_BITS", "P", "LINES", "BANKS")
        self.line_w, self.c, self.bits, self.p, self.lines, self.banks = (
            getattr(dut, name).value.to_unsigned() for name in names
        )
        self.beats = -(-self.line_w // self.p)
        apart, alone = max(3 * self.c + 12, 4 * self.c + 6 + len(pairs(self.c))), max(3 * self.c + 24, self.c**2 + 2)
        self.last = max(alone, apart + len(pairs(self.c)) + 13) if self.c > 1 else alone

    def settings(self) -> Settings:
        """Random ones."""
        most = 2**self.bits - 1
        level = [random.choice([0, random.randrange(most // 4 + 1)]) for _ in range(2 * self.c)]
        one, large = 1 << MATRIX_BITS, 2**17
        draw = [lambda: random.randrange(-one, one + 1), lambda: random.randrange(-large, large), lambda: large - 1]
        matrix = tuple(tuple(random.choice(draw)() for _ in range(self.c)) for _ in range(self.c))
        return Settings(tuple(level[: self.c]), tuple(level[self.c :]), matrix)

    def line(self) -> np.ndarray:
        """Of some kind: dark, noise, a spot, full, a single pixel."""
        most = 2**self.bits
        line = np.zeros((self.line_w, self.c), np.int64)
        for c in range(self.c):
            kind = random.randrange(6)
            x = np.arange(self.line_w)
            middle, wide = random.uniform(0, self.line_w), random.uniform(0.5, self.line_w)
            spot = random.randrange(most) * np.exp(-(((x - middle) / wide) ** 2))
            single = np.where(x == random.randrange(self.line_w), random.randrange(most), 0)
            noise = np.asarray([random.randrange(most) for _ in x])
            line[:, c] = [0 * x, noise, spot, spot, 0 * x + most - 1, single][kind].astype(np.int64)
        if random.random() < 0.2:
            line[:] = line[:, :1]  # channels that go together
        return line.astype(np.uint16)

    def beat(self, line: np.ndarray, beat: int) -> int:
        """Data of one beat; what is past the line is noise."""
        word = random.getrandbits(self.p * self.c * self.bits)
        for lane in range(self.p):
            x = beat * self.p + lane
            for c in range(self.c if x < self.line_w else 0):
                at = (lane * self.c + c) * self.bits
                word = word & ~((2**self.bits - 1) << at) | int(line[x, c]) << at
        return word


async def load(dut, settings: Settings) -> None:
    """Through the shadow, read back, committed."""
    entries = {
        c: background << 16 | threshold
        for c, (background, threshold) in enumerate(zip(settings.background, settings.threshold, strict=True))
    }
    for r, row in enumerate(settings.matrix):
        entries |= {64 + 8 * r + c: value % 2**32 for c, value in enumerate(row)}
    for index, data in entries.items():
        await cycle(dut, index=index, data=data, store=1)
    for index, data in entries.items():
        await cycle(dut, index=index, store=0)
        assert dut.entry.value.to_unsigned() == data, index
    await cycle(dut, commit=1)
    await cycle(dut, commit=0)


class Run:
    """Drives lines and members, takes tables. events: (first, last) line of each, ascending."""

    def __init__(self, dut, lines: list[np.ndarray], events: list[tuple[int, int]], first_line: int = 0) -> None:
        self.dut, self.shape = dut, Shape(dut)
        self.lines, self.first_line = lines, first_line
        self.members = deque(
            (tag % 256, line, line == first, line == last)
            for tag, (first, last) in enumerate(events)
            for line in range(first, last + 1)
        )
        self.events = len(events)
        self.tables: list[tuple[int, bool, list[int]]] = []  # tag, invalid, values
        self.accepted: list[int] = []  # cycle in which an event's last line was taken
        self.arrived: list[int] = []  # cycle in which its table was seen
        self.lost = self.lost_lines = 0
        self.now = 0

    async def go(self, beat_idle: float = 0, member_idle: float = 0, table_idle: float = 0, delay: int = 0) -> None:
        """To the end. idle: how often nothing is offered or taken; delay: lines between a line and its offer."""
        shape, dut = self.shape, self.dut
        at = (0, 0)  # line, beat
        ended = 0
        reading = -1  # index that is read, -1: none
        got: list[int] = []
        offered = False
        quiet = 0
        while len(self.tables) < self.events and quiet < 50 * shape.last + 2000:
            inputs = {"beat_valid": 0, "beat_data": random.getrandbits(shape.bits), "beat_end": 0}
            beat = at[0] < len(self.lines) and random.random() >= beat_idle
            if beat:
                last = at[1] == shape.beats - 1
                inputs = {"beat_valid": 1, "beat_data": shape.beat(self.lines[at[0]], at[1]), "beat_end": int(last)}
                at = (at[0] + 1, 0) if last else (at[0], at[1] + 1)
            head = self.members[0] if self.members else None
            may = head is not None and (head[1] + delay < ended or at[0] == len(self.lines))
            offered = may and (offered or random.random() >= member_idle)
            if offered:
                tag, line, first, last_line = head
                inputs["s_member_tdata"] = tag << 10 | (line + self.first_line) % 256 << 2 | first << 1 | last_line
            inputs["s_member_tvalid"] = int(offered)
            take = reading == count(shape.c) and random.random() >= table_idle
            inputs |= {"value_index": max(reading, 0) % 256, "m_features_tready": int(take)}
            ready, valid, event, value, event_lost, line_lost = await cycle(dut, *OUTPUTS, **inputs)
            quiet = 0 if beat or ready else quiet + 1
            self.lost, self.lost_lines = self.lost + event_lost, self.lost_lines + line_lost
            if beat and inputs["beat_end"]:
                ended += 1
            if offered and ready:
                if self.members.popleft()[3]:
                    self.accepted.append(self.now)
                offered = False
            if reading > 0 and len(got) < count(shape.c):
                got.append(value - 2**32 if value >= 2**31 else value)
            if take:
                assert valid
                self.tables.append((event >> 1, bool(event & 1), got))
                reading, got = -1, []
            elif valid and reading < 0:
                self.arrived.append(self.now)
                reading = 0
            elif 0 <= reading < count(shape.c):
                reading += 1
            self.now += 1
        await cycle(dut, s_member_tvalid=0, m_features_tready=0, beat_valid=0)


def expected(lines: list[np.ndarray], events: list[tuple[int, int]], settings: Settings) -> list[list[int]]:
    sums = line_sums(np.stack(lines), settings)
    return values(event_sums(sums, *np.asarray(events).T), settings).tolist()


def check(shape: Shape, got: list[list[int]], wanted: list[list[int]]) -> None:
    """Equal, or what is not, by name."""
    for event, (row, model) in enumerate(zip(got, wanted, strict=True)):
        wrong = {
            name: (value, right)
            for name, value, right in zip(names(shape.c), row, model, strict=True)
            if value != right
        }
        assert not wrong, (event, wrong)


def draw(shape: Shape, number: int, gap: int) -> tuple[list[np.ndarray], list[tuple[int, int]]]:
    """Lines and events with at least so many lines from end to end."""
    events, line = [], 0
    for _ in range(number):
        first = line + random.randrange(3)
        line = max(line + gap, first + random.choice([1, 2, 3, random.randrange(1, 12)]))
        events.append((first, line - 1))
    return [shape.line() for _ in range(line + 1)], events


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def equals_the_model(dut):
    """At full speed, then with idle beats, members that come late, tables that are taken late."""
    shape = Shape(dut)
    await start(dut, **INPUTS)
    gap = -(-(shape.last + count(shape.c) + 10) // shape.beats)  # lines, so that tables are taken in time
    for full in (True, False):
        await reset(dut)
        settings = shape.settings()
        await load(dut, settings)
        lines, events = draw(shape, 24, gap)
        run = Run(dut, lines, events)
        if full:
            await run.go()
        else:
            await run.go(beat_idle=0.3, member_idle=0.4, table_idle=0.8, delay=random.randrange(6))
        assert [table[:2] for table in run.tables] == [(tag % 256, False) for tag in range(len(events))]
        check(shape, [table[2] for table in run.tables], expected(lines, events, settings))
        assert (run.lost, run.lost_lines) == (0, 0)
        if full:  # nothing waited: the latency that the head promises
            steps = [arrived - taken for arrived, taken in zip(run.arrived, run.accepted, strict=True)]
            assert steps == [shape.last + 6 - shape.c] * len(events), steps
            assert shape.c != 3 or steps[0] <= 40


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def lines_may_belong_to_two_events(dut):
    """Members in any order of lines, as overlapping pre-lines are."""
    shape = Shape(dut)
    await start(dut, **INPUTS)
    settings = Settings((0,) * shape.c, (1,) * shape.c)
    lines = [shape.line() for _ in range(10)]
    events = [(0, 4), (2, 6), (2, 2), (5, 9)]
    await load(dut, Settings((0,) * shape.c, (1,) * shape.c, tuple(map(tuple, settings.coefficients.tolist()))))
    run = Run(dut, lines, events)
    await run.go()
    check(shape, [table[2] for table in run.tables], expected(lines, events, settings))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def longest_event(dut):
    """255 lines of the largest samples; one more line is too many."""
    shape = Shape(dut)
    await start(dut, **INPUTS)  # settings as of reset
    line = np.full((shape.line_w, shape.c), 2**shape.bits - 1, np.uint16)
    lines, events = [line] * 520, [(0, 254), (255, 510), (511, 519)]
    run = Run(dut, lines, events)
    await run.go()
    assert [table[1] for table in run.tables] == [False, True, False]
    plain = Settings((0,) * shape.c, (0,) * shape.c)
    for event in (0, 2):
        check(shape, [run.tables[event][2]], expected(lines, [events[event]], plain))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def events_that_find_no_room(dut):
    """While no table is taken: two are full, BANKS events wait, all others are lost and say so, in order."""
    shape = Shape(dut)
    await start(dut, **INPUTS)
    settings = Settings((0,) * shape.c, (1,) * shape.c)
    gap = -(-(shape.last + 2) // shape.beats)
    lines, events = draw(shape, shape.banks + 6, gap)
    await load(dut, Settings((0,) * shape.c, (1,) * shape.c, tuple(map(tuple, settings.coefficients.tolist()))))
    run = Run(dut, lines, events)
    sent = cocotb.start_soon(run.go(table_idle=1))
    while run.members:
        await cocotb.triggers.ClockCycles(dut.clk, 50)
    await cocotb.triggers.ClockCycles(dut.clk, 3 * shape.last)
    sent.cancel()
    await cocotb.triggers.FallingEdge(dut.clk)
    late = Run(dut, [], [])
    late.events = len(events)
    await late.go()
    kept = shape.banks + 2
    assert run.lost == len(events) - kept
    assert [table[0] for table in late.tables] == list(range(len(events)))
    assert [table[1] for table in late.tables] == [False] * kept + [True] * (len(events) - kept)
    check(shape, [table[2] for table in late.tables[:kept]], expected(lines, events[:kept], settings))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def commit_within_an_event(dut):
    """It is invalid; what begins afterwards has the new settings."""
    shape = Shape(dut)
    await start(dut, **INPUTS)
    for when in ("line", 0, 1, 2, 3, random.randrange(4, shape.last - 4)):  # later its features may be complete
        await reset(dut)
        first, second = shape.settings(), shape.settings()
        await load(dut, first)
        lines = [shape.line() for _ in range(8)]
        run = Run(dut, lines, [(1, 7)])
        sent = cocotb.start_soon(run.go(table_idle=1))
        if when == "line":
            await cocotb.triggers.ClockCycles(dut.clk, 3 * shape.beats + 2)
        else:
            while not run.accepted:
                await cocotb.triggers.ClockCycles(dut.clk, 1)
            await cocotb.triggers.ClockCycles(dut.clk, when + 1)  # while its features are computed
        await cocotb.triggers.FallingEdge(dut.clk)
        dut.commit.value = 1
        await cocotb.triggers.FallingEdge(dut.clk)
        dut.commit.value = 0
        await cocotb.triggers.ClockCycles(dut.clk, 8 * shape.beats + 3 * shape.last)
        sent.cancel()
        await cocotb.triggers.FallingEdge(dut.clk)
        late = Run(dut, [], [])
        late.events = 1
        await late.go()
        assert late.tables[0][:2] == (0, True), when
        await load(dut, second)
        again = Run(dut, lines, [(0, 5)], first_line=len(lines))
        await again.go()
        assert not again.tables[0][1]
        check(shape, [again.tables[0][2]], expected(lines, [(0, 5)], second))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def lines_too_short_or_too_old(dut):
    """A line that is lost and one that is no longer kept make an event invalid, never wrong."""
    shape = Shape(dut)
    await start(dut, **INPUTS)
    settings = Settings((0,) * shape.c, (0,) * shape.c)
    lines = [shape.line() for _ in range(shape.lines + 8)]
    old = Run(dut, lines, [(2, 6), (shape.lines + 1, shape.lines + 5)])
    await old.go(delay=shape.lines + 1)
    assert [table[1] for table in old.tables] == [True, False]
    check(shape, [old.tables[1][2]], expected(lines, [(shape.lines + 1, shape.lines + 5)], settings))
    if shape.c == 1:
        return
    await reset(dut)
    for line in range(6):  # of one beat each, back to back
        await cycle(dut, beat_valid=1, beat_data=shape.beat(lines[line], 0), beat_end=1)
    short = Run(dut, lines[:20], [(-3, 2), (5, 12)], first_line=6)
    await short.go(beat_idle=0.1)
    assert [table[1] for table in short.tables] == [True, False]
    check(shape, [short.tables[1][2]], expected(lines, [(5, 12)], settings))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_in_the_middle(dut):
    shape = Shape(dut)
    await start(dut, **INPUTS)
    plain = Settings((0,) * shape.c, (0,) * shape.c)
    for _ in range(3):
        lines, events = draw(shape, 3, 4)
        run = Run(dut, lines, events)
        sent = cocotb.start_soon(run.go())
        await cocotb.triggers.ClockCycles(dut.clk, random.randrange(1, len(lines) * shape.beats + shape.last))
        sent.cancel()
        await cycle(dut, **INPUTS)
        await reset(dut)
        assert dut.m_features_tvalid.value == 0
        lines = [shape.line() for _ in range(6)]
        run = Run(dut, lines, [(1, 4)])
        await run.go()
        assert run.tables[0][:2] == (0, False)
        check(shape, [run.tables[0][2]], expected(lines, [(1, 4)], plain))
