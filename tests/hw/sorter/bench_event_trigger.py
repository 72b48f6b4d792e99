# SPDX-License-Identifier: Apache-2.0
"""event_trigger against bit_true.event: events, debris, dead time and what is missed, of line sums of every course."""

import random
from dataclasses import replace

import cocotb
import numpy as np

from icsort.sim.bit_true.event import EventFlag, Events, Trigger, find_events
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "on": 0, "off": 0, "dip": 0, "pre_lines": 0, "post_lines": 0, "end_lines": 1, "min_lines": 1, "max_lines": 1,
    "doubt": 0, "line_valid": 0, "line_sum": 0, "line_moment": 0, "line_bad": 0, "line_time": 0, "stopped": 0,
    "begin_ready": 1,
}  # fmt: skip
OUTPUTS = (
    "begin_valid", "begin_tag", "begin_time", "begin_line", "begin_skip", "begin_sum", "begin_moment", "rows",
    "rows_here", "end_valid", "end_tag", "end_time", "end_length", "end_flags", "end_rows", "neighbour",
    "neighbour_time", "missed", "debris", "dead_time", "stalled",
)  # fmt: skip
LATENCY = 4


def rules() -> Trigger:
    end, pre, least = random.randrange(1, 5), random.randrange(5), random.randrange(1, 4)
    on = random.randrange(1, 60)
    return Trigger(
        weights=(1,),
        on=on,
        off=random.randrange(on + 1),
        first_column=0,
        last_column=0,
        end_lines=end,
        min_lines=least,
        max_lines=random.randrange(least, 20),
        pre_lines=pre,
        post_lines=random.randrange(end + 1),
        dip=random.randrange(17),
    )


def course(lines: int) -> np.ndarray:
    """Line sums that wander: bumps of every length and depth, plateaus."""
    level, sums = 0.0, []
    for _ in range(lines):
        level += (random.choice([0, 90]) - level) * random.choice([0.1, 0.4, 0.9])
        sums.append(int(level) + random.randrange(6))
    return np.asarray(sums)


async def run(dut, sums: np.ndarray, trigger: Trigger, idle: float, full: float, wrong: float) -> Events:
    """Lines with these sums from reset on, some bad, some behind a stop. Compares everything."""
    bad = np.asarray([random.random() < wrong for _ in sums])
    stops = [line for line in range(len(sums)) if random.random() < wrong]
    moments, times = [], []
    begins, ends, neighbours, known = [], [], [], []
    counts = dict.fromkeys(OUTPUTS[-4:], 0)
    now = 0
    fixed = {name: getattr(trigger, name) for name in
             ("on", "off", "dip", "pre_lines", "post_lines", "end_lines", "min_lines", "max_lines")}  # fmt: skip

    async def step(**inputs: int) -> None:
        nonlocal now
        ready = random.random() >= full
        values = await cycle(dut, *OUTPUTS, **fixed, begin_ready=ready, **inputs)
        out = dict(zip(OUTPUTS, values, strict=True))
        if out["begin_valid"]:
            begins.append(values[1:7])
        if out["end_valid"]:
            ends.append(values[10:15])
            known.append(out["end_rows"])
        elif len(begins) > len(ends):
            # What was once known to be the event's stays so, and is not more than has come by more than the post-lines.
            assert out["rows_here"] <= out["rows"] <= out["rows_here"] + trigger.post_lines
            rows.append(out["rows_here"])
        if out["neighbour"]:
            neighbours.append(out["neighbour_time"])
        for name in counts:
            counts[name] += out[name]
        now += 1

    rows: list[int] = []
    for line, total in enumerate(sums.tolist()):
        if line in stops:
            await step(line_valid=0, stopped=1)
        while random.random() < idle:
            await step(line_valid=0, stopped=0, line_sum=random.getrandbits(8))
        moments.append(random.getrandbits(20))
        times.append(random.getrandbits(48))
        await step(
            line_valid=1,
            line_sum=total,
            line_moment=moments[-1],
            line_bad=int(bad[line]),
            line_time=times[-1],
            stopped=0,
        )
    for _ in range(LATENCY + 1):
        await step(line_valid=0, stopped=0)

    found = find_events(sums, trigger, bad, stops)
    at, events = np.asarray(times), found.events
    started = {begin[1] for begin in begins}
    here = np.asarray([times[t] in started for t in events.trigger], bool)
    assert full or here.all()
    index = 2 ** dut.INDEX_BITS.value.to_unsigned()
    assert begins == [
        (
            i % 256, times[t], (t - trigger.pre_lines) % index, first - t + trigger.pre_lines, int(sums[t]), moments[t],
        )
        for i, (t, first) in enumerate(zip(events.trigger[here].tolist(), events.first[here].tolist(), strict=True))
    ]  # fmt: skip
    ended = events[here & events.ended]
    assert ends == [
        (i % 256, times[timed], length, flags, last - t + trigger.pre_lines + 1)
        for i, (timed, length, flags, last, t) in enumerate(
            zip(
                *(getattr(ended, name).tolist() for name in ("timed", "length", "flags", "last", "trigger")),
                strict=True,
            )
        )
    ]
    others = [*found.neighbours.tolist(), *events.trigger[~here].tolist()]
    assert sorted(neighbours) == sorted(at[others].tolist())
    debris = found.debris[found.debris.ended]
    stalled = [part.flagged(EventFlag.STALLED).sum() for part in (events, debris)]
    assert counts == {
        "missed": (~here).sum(), "debris": len(debris), "dead_time": len(found.dead_time), "stalled": sum(stalled),
    }  # fmt: skip
    return events


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], full=[0.0, 0.3])
async def equals_the_model(dut, idle, full):
    """Events of every kind, with a line a cycle or fewer, whether there is room for them or not."""
    await start(dut, **INPUTS)
    events, flags, rounds = 0, 0, 0
    every = sum(EventFlag) - EventFlag.FEATURELESS  # which is the features's
    while rounds < 12 or (flags != every and rounds < 100):  # some kinds are rare
        found = await run(dut, course(150), rules(), idle, full, random.choice([0.0, 0.05]))
        events += len(found)
        flags |= int(np.bitwise_or.reduce(found.flags, initial=0))
        await reset(dut)
        rounds += 1
    assert events > 20
    assert flags == every


@cocotb.test()
async def longest_events(dut):
    """As many lines as an event may have, one less and one more."""
    await start(dut, **INPUTS)
    bounds = {"pre_lines": 0, "post_lines": 0, "min_lines": 1, "max_lines": 255}
    trigger = replace(rules(), on=10, off=5, dip=0, **bounds)
    dark = [0] * 8
    sums = [*dark, *[20] * 255, *dark, *[20] * 254, *dark, *[20] * 256, *dark]
    found = await run(dut, np.asarray(sums), trigger, 0.0, 0.0, 0.0)
    assert found.length.tolist() == [255, 254, 255]
    assert found.flagged(EventFlag.OVERLONG).tolist() == [False, False, True]


@cocotb.test()
async def doubt(dut):
    """An event that is open when the settings change is doubtful, as is one that begins soon after; then none is."""
    await start(dut, **INPUTS)
    fixed = {"on": 10, "off": 10, "end_lines": 1, "min_lines": 1, "max_lines": 99}

    async def event(wait: int, when: int) -> int:
        """Doubt in the cycle before line `when` of an event of three lines that begins `wait` cycles behind it."""
        flags = None
        for line, total in enumerate([20, 20, 20, 0]):
            await cycle(dut, **fixed, line_valid=0, doubt=line == when)
            for _ in range(wait if line == when else 0):
                await cycle(dut, doubt=0)
            await cycle(dut, line_valid=1, line_sum=total, doubt=0)
        for _ in range(LATENCY + 1):
            valid, got = await cycle(dut, "end_valid", "end_flags", line_valid=0)
            flags = got if valid else flags
        return flags

    assert await event(0, 1) == EventFlag.DOUBTFUL
    assert await event(0, 0) == EventFlag.DOUBTFUL
    assert await event(40, 0) == 0


@cocotb.test()
async def reset_in_the_middle(dut):
    """An event that a reset cuts has no end, and lines are counted from 0 again."""
    await start(dut, **INPUTS)
    for _ in range(3):
        await cycle(dut, on=5, off=5, max_lines=9, line_valid=1, line_sum=9)
    await cycle(dut, line_valid=0)
    await reset(dut)
    await run(dut, course(100), rules(), 0.2, 0.0, 0.0)
