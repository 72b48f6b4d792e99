# SPDX-License-Identifier: Apache-2.0
"""sort_scheduler against bit_true.scheduler: outcome of each event, every cycle of the output, what is cancelled.

The timestamp starts shortly before it wraps.
"""

import random
from collections import deque

import cocotb

from icsort.sim.bit_true.scheduler import Decision, Outcome, schedule
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "timestamp": 0, "armed": 0, "drop_delay": 0, "pulse_cycles": 0, "s_event_tdata": 0, "s_event_tvalid": 0,
    "s_done_tdata": 0, "s_done_tvalid": 0, "result_valid": 0, "result_pass": 0,
}  # fmt: skip
OUTPUTS = ("decided", "outcome", "fired", "cancelled", "pending", "sort_pulse", "event_time", "last_time")
WRAP = 2**48


async def run(dut, origin, cycles, drop_delay, pulse_cycles, disarms, spacing):
    """Random events for `cycles` cycles, then until nothing is pending. Compares everything with the model."""
    fields = {"drop_delay": drop_delay, "pulse_cycles": pulse_cycles}
    waiting: deque[list] = deque()  # [time, cycle of the event, done and result entries, passes, aborted]
    events, outcomes, high, armed, fired, cancelled = [], [], [], [], 0, 0
    on, next_event = False, origin + 5
    now = origin
    pending = 1
    while now < origin + cycles or waiting or pending:
        if now < origin + cycles and now >= next_event and len(waiting) < 16:
            begun = now - random.randrange(2, 40)
            done, result = (now + random.randrange(2, 60) for _ in range(2))
            waiting.append([begun, now, done, result, random.random() < 0.85, random.random() < 0.1])
            next_event = now + random.randrange(1, spacing)
        if random.random() < (disarms if on else 0.1):
            on = not on
            armed.append((now, 2**60)) if on else armed.__setitem__(-1, (armed[-1][0], now))
        inputs = dict(fields, timestamp=now % WRAP, armed=on, s_event_tvalid=0, s_done_tvalid=0, result_valid=0)
        if waiting:
            time, entered, done, result, passes, aborted = waiting[0]
            inputs |= {
                "s_event_tvalid": now > entered,
                "s_event_tdata": time % WRAP,
                "s_done_tvalid": now >= done,
                "s_done_tdata": aborted << 48 | (time + 1) % WRAP,
                "result_valid": now >= result,
                "result_pass": passes,
            }
        decided, outcome, fire, cancel, pending, pulse, event_time, last_time = await cycle(dut, *OUTPUTS, **inputs)
        if decided:
            assert (event_time, last_time) == (time % WRAP, (time + 1) % WRAP)
            assert now >= max(done, result)
            waiting.popleft()
            pending = 1  # perhaps, from the next cycle on
            events.append(Decision(time, now, passes, aborted))
            outcomes.append(outcome)
        elif waiting:
            assert now < max(done, result) or now - entered <= 2 or (events and now - events[-1].decision <= 2)
        fired += fire
        cancelled += cancel
        if pulse:
            high.append(now)
        now += 1
    expected = schedule(events, drop_delay, pulse_cycles, armed, queue_depth=dut.QUEUE_DEPTH.value.to_unsigned())
    assert outcomes == list(expected.decided)
    assert high == [t for first, last in expected.pulses for t in range(first, last + 1)]
    assert fired == expected.final.count(Outcome.SORTED)
    assert fired + cancelled == expected.decided.count(Outcome.SORTED)
    return set(expected.decided), cancelled


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_the_model(dut):
    await start(dut, **INPUTS)
    seen, cancelled, origin = set(), 0, WRAP - 700
    for drop_delay, pulse_cycles, disarms, spacing in [
        (300, 10, 0.0, 80),
        (90, 0, 0.004, 60),
        (120, 1, 0.002, 100),
        (500, 60, 0.002, 50),
        (800, 3, 0.001, 12),
    ]:
        outcomes, dropped = await run(dut, origin, 2500, drop_delay, pulse_cycles, disarms, spacing)
        seen |= outcomes
        cancelled += dropped
        # Times of the last round are behind: the timestamp of the next one goes on.
        origin += 5000
        await reset(dut)
    assert seen == set(Outcome)
    assert cancelled > 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_drops_what_is_pending(dut):
    await start(dut, **INPUTS)
    event = {"s_event_tvalid": 1, "s_done_tvalid": 1, "result_valid": 1, "result_pass": 1, "armed": 1}
    for now in range(4):
        decided, _ = await cycle(dut, "decided", "outcome", timestamp=now, drop_delay=50, pulse_cycles=20, **event)
        if decided:
            break
    assert decided
    event |= {"s_event_tvalid": 0}
    (pending,) = await cycle(dut, "pending", timestamp=4, **event)
    assert pending
    await reset(dut)
    for now in range(5, 100):
        pulse, pending = await cycle(dut, "sort_pulse", "pending", timestamp=now, **event)
        assert (pulse, pending) == (0, 0)
