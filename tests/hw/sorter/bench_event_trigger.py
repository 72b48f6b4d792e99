# SPDX-License-Identifier: Apache-2.0
"""event_trigger against bit_true.event: starts, aborted events, what is kept of each line, a full side FIFO."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.event import aborted_events, dead_time_cells, trigger_starts
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "threshold": 0, "beat_valid": 0, "beat_store": 0, "beat_summed": 0, "beat_sum": 0, "beat_end": 0, "beat_bad": 0,
    "beat_time": 0, "line_time": 0, "m_event_tready": 1,
}  # fmt: skip
OUTPUTS = (
    "store", "commit", "rollback", "m_event_tvalid", "m_event_tdata", "m_done_tvalid", "m_done_tdata", "window_open",
    "dead_time", "accepted", "missed",
)  # fmt: skip
THRESHOLD = 1000


async def lines(dut, over: list[bool], bad: list[bool], full: float):
    """Drive lines of 1 to 5 beats. Returns (events, ends, lines kept, accepted, missed, dead time, times, room)."""
    events, ends, kept, sums, room = [], [], [], [], []
    accepted = missed = dead = 0
    unfinished = 0  # lines of a window still to end
    height = dut.H.value.to_unsigned()
    now = random.getrandbits(40)
    for i, (is_over, is_bad) in enumerate(zip(over, bad, strict=True)):
        pixels, tail = random.randrange(1, 4), random.randrange(3)
        begun, trial = now, 0
        over_by = random.choice([0, 1, random.randrange(2**20)])
        total = THRESHOLD + over_by if is_over else max(0, THRESHOLD - 1 - over_by)
        ready = random.random() >= full
        for beat in range(pixels + tail):
            while random.random() < 0.2:
                *_, is_open, late, got, lost = await cycle(dut, *OUTPUTS, beat_valid=0)
                accepted, missed, dead, now = accepted + got, missed + lost, dead + late, now + 1
                assert is_open == (unfinished > 0)
            summed, end = beat == pixels - 1, beat == pixels + tail - 1
            store, commit, rollback, event, time, done, last, is_open, late, got, lost = await cycle(
                dut, *OUTPUTS, beat_valid=1, beat_store=beat < pixels, beat_summed=summed, beat_end=end, beat_time=now,
                beat_sum=total if summed else random.getrandbits(21), beat_bad=end and is_bad, line_time=begun,
                threshold=THRESHOLD, m_event_tready=ready,
            )  # fmt: skip
            accepted, missed, dead = accepted + got, missed + lost, dead + late
            assert is_open == (unfinished > 0)
            trial += store
            if event:
                assert summed
                unfinished = height
                if ready:
                    events.append((i, time))
            if end and unfinished:
                unfinished -= 1
            if done:
                assert end
                assert unfinished == 0
                ends.append((i, bool(last >> 48), last & (2**48 - 1)))
            assert not (commit and rollback)
            if rollback:
                trial = 0
            if commit:
                kept += [i] * trial
                trial = 0
            if summed:
                sums.append((begun, now, pixels))
                assert trial == 0
            now += 1
        room.append(ready)
    *_, late, got, lost = await cycle(dut, *OUTPUTS, beat_valid=0)
    return events, ends, kept, accepted + got, missed + lost, dead + late, sums, room


@cocotb.test()
@cocotb.parametrize(full=[0.0, 0.4])
async def equals_the_model(dut, full):
    await start(dut, **INPUTS)
    height = dut.H.value.to_unsigned()
    over = [random.random() < random.choice([0.1, 0.5, 0.9]) for _ in range(400)]
    bad = [random.random() < 0.08 for _ in over]
    events, ends, kept, accepted, missed, dead, sums, room = await lines(dut, over, bad, full)
    starts = trigger_starts(np.asarray(over), height)
    aborted = aborted_events(starts, ~np.asarray(bad), height)
    taken = [(int(s), bool(a)) for s, a in zip(starts, aborted, strict=True) if room[s]]
    assert events == [(s, sums[s][0]) for s, _ in taken]
    assert (accepted, missed) == (len(taken), len(starts) - len(taken))
    assert dead == dead_time_cells(np.asarray(over), starts)
    assert dead > 0 or height == 1
    complete = [(s, a) for s, a in taken if s + height <= len(over)]
    assert ends == [(s + height - 1, a, sums[s + height - 1][1]) for s, a in complete]
    window = [i for s, _ in taken for i in range(s, min(s + height, len(over)))]
    assert kept == [i for i in window for _ in range(sums[i][2])]
    assert len(complete) > 10
    assert full == 0.0 or missed > 0


@cocotb.test()
async def reset_in_the_middle(dut):
    """An event cut by a reset has no end, and the first line behind it may start one."""
    await start(dut, **INPUTS)
    await lines(dut, [True], [True], 0.0)
    await reset(dut)
    height = dut.H.value.to_unsigned()
    events, ends, *_ = await lines(dut, [True] * height, [False] * height, 0.0)
    assert [line for line, _ in events] == [0]
    assert [(line, aborted) for line, aborted, _ in ends] == [(height - 1, False)]
