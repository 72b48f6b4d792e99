# SPDX-License-Identifier: Apache-2.0
"""The schedule against a naive simulation that steps through every cycle and keeps the pending sorts in a heap."""

import heapq
import random

import pytest

from icsort.errors import IcsortError
from icsort.sim.bit_true.scheduler import LATE_MARGIN, Decision, Outcome, schedule


def simulate(events, drop_delay, pulse_cycles, armed, queue_depth):
    """Cycle by cycle. Returns (decided, final, cycles in which the output is high)."""
    width = max(1, pulse_cycles)
    decisions = {event.decision: i for i, event in enumerate(events)}
    decided, final, high = [None] * len(events), [None] * len(events), set()
    pending, blocked_until = [], -1  # blocked_until: first low cycle after the last pulse that is or will be
    last = max(event.time + drop_delay + width + event.decision for event in events)
    for cycle in range(last):
        on = any(first <= cycle < end for first, end in armed)
        if not on:
            for _, i in pending:
                final[i] = Outcome.DISARMED
            pending = []
            blocked_until = max(high, default=-1) + 1
        occupied = len(pending)
        if pending and pending[0][0] == cycle + 1:
            start, i = heapq.heappop(pending)
            final[i] = Outcome.SORTED
            high.update(range(start, start + width))
        if cycle in decisions:
            i = decisions[cycle]
            start = events[i].time + drop_delay
            if events[i].aborted:
                decided[i] = Outcome.ABORTED
            elif not on:
                decided[i] = Outcome.DISARMED
            elif not events[i].passes:
                decided[i] = Outcome.REJECTED
            elif start < cycle + LATE_MARGIN:
                decided[i] = Outcome.LATE
            elif start <= blocked_until or occupied == queue_depth:
                decided[i] = Outcome.CONFLICT
            else:
                decided[i] = Outcome.SORTED
                heapq.heappush(pending, (start, i))
                blocked_until = start + width
            if decided[i] is not Outcome.SORTED:
                final[i] = decided[i]
    return decided, final, high


@pytest.mark.parametrize("round_", range(40))
def test_equals_a_cycle_by_cycle_simulation(seed: int, round_: int) -> None:
    rng = random.Random(f"{seed} {round_}")
    time, free, events = 0, 0, []
    for _ in range(60):
        time += rng.randrange(1, 60)
        free = max(free + 1, time + rng.randrange(1, 80))
        events.append(Decision(time, free, rng.random() < 0.8, rng.random() < 0.1))
    armed, cycle = [], rng.randrange(40)
    while cycle < events[-1].decision + 200:
        end = cycle + rng.randrange(1, 900)
        armed.append((cycle, end))
        cycle = end + rng.randrange(1, 60)
    arguments = rng.randrange(20, 400), rng.randrange(0, 50), armed, rng.choice([1, 2, 4, 64])
    result = schedule(events, *arguments)
    decided, final, high = simulate(events, *arguments)
    assert list(result.decided) == decided
    assert list(result.final) == final
    pulses = [range(first, last + 1) for first, last in result.pulses]
    assert sorted(high) == sorted(cycle for pulse in pulses for cycle in pulse)
    assert len(pulses) == final.count(Outcome.SORTED)


def test_every_rule_and_its_edge() -> None:
    def outcome(event: Decision, *before: Decision, armed=((0, 1000),)) -> Outcome:
        return schedule([*before, event], 100, 10, armed).final[-1]

    assert outcome(Decision(0, 96, True)) is Outcome.SORTED
    assert outcome(Decision(0, 97, True)) is Outcome.LATE
    assert outcome(Decision(0, 97, False)) is Outcome.REJECTED
    assert outcome(Decision(0, 50, False), armed=((0, 50),)) is Outcome.DISARMED
    assert outcome(Decision(0, 50, True, aborted=True), armed=()) is Outcome.ABORTED
    assert outcome(Decision(10, 60, True), Decision(0, 50, True)) is Outcome.CONFLICT
    assert outcome(Decision(11, 60, True), Decision(0, 50, True)) is Outcome.SORTED
    assert outcome(Decision(0, 50, True), armed=((0, 99),)) is Outcome.DISARMED
    assert outcome(Decision(0, 50, True), armed=((0, 100),)) is Outcome.SORTED


def test_refuses_what_cannot_happen() -> None:
    with pytest.raises(IcsortError, match="decisions must ascend"):
        schedule([Decision(0, 5, True), Decision(1, 5, True)], 10, 1, [])
    with pytest.raises(IcsortError, match="armed intervals"):
        schedule([], 10, 1, [(0, 5), (5, 9)])
