# SPDX-License-Identifier: Apache-2.0
"""scheduler against bit_true.scheduler: each decision with its cycle, each amendment, each cycle of each output.

Random sets of settings, cells, wishes, ends and disarmings; several rounds, each from a reset on.
"""

import os
import random
from collections import deque
from dataclasses import replace
from itertools import pairwise

import cocotb
from cocotb.triggers import RisingEdge

from icsort.sim.bit_true import scheduler as model
from icsort.sim.bit_true.scheduler import Cell, Direction, Drops, Envelope, Outcome, Purity, Result, Settings
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = dict.fromkeys(
    (
        *(
            "timestamp",
            "armed",
            "testing",
            "settings_view",
            "reg_req",
            "reg_we",
            "reg_index",
            "reg_wdata",
            "settings_commit",
        ),
        *("test_one", "test_period", "test_width", "test_direction", "test_events", "drop_in"),
        *("cell_valid", "cell_event", "cell_doubtful", "cell_time"),
        *("s_decision_tvalid", "s_decision_hit", "s_decision_flags", "s_decision_fault"),
    ),
    0,
) | {"m_amend_ready": 1}
OUTPUTS = (
    *("decided", "outcome", "direction", "m_amend_valid", "m_amend_event", "m_amend_outcome", "m_amend_direction"),
    *("fired", "pending", "sort_out", "cells_lost", "drop_failed"),
)
FLAGS = ("hardware", "overlong", "doublet", "stalled")  # bits of s_decision_flags
ROUNDS = int(os.environ.get("ICSORT_ROUNDS", "10"))


async def upload(dut, settings: Settings, now: int) -> int:
    """Write and commit a set while the timestamp goes on. Returns the cycle behind."""
    for index, word in settings.words().items():
        request = {"reg_req": 1, "reg_we": 1, "reg_index": index, "reg_wdata": word, "settings_view": 0}
        await cycle(dut, timestamp=now, armed=0, testing=0, **request)
        now += 1
    await cycle(dut, timestamp=now, reg_req=0, reg_we=0, settings_commit=1)
    now += 1
    for _ in range(50):
        valid, serial = await cycle(dut, "settings_valid", "settings_serial", timestamp=now, settings_commit=0)
        now += 1
    assert (valid, serial) == (1, 1)
    for index, word in settings.words().items():
        for _ in range(5):
            ack, back = await cycle(dut, "reg_rd_ack", "reg_rdata", timestamp=now, reg_req=_ == 0, reg_index=index,
                                    settings_view=1)  # fmt: skip
            now += 1
        assert (ack, back) == (1, word)
    return now


def random_settings(droplet: bool) -> Settings:
    def direction() -> Direction:
        return Direction(
            delay=random.randrange(40, 120) if droplet else random.choice([random.randrange(300, 1500), 600]),
            width=random.choice([0, 1, 20, 300]),
            dead=random.choice([0, 0, 1, 2]) if droplet else random.choice([0, 50, 300]),
            every=random.choice([0, 1, 1, 1, 2, 3]),
            target=random.choice([0, 0, 0, 2, 5]),
            cost=random.choice([0, 0, 3]) if droplet else random.choice([0, 0, 600]),
            burst=random.choice([0, 4]) if droplet else random.choice([0, 900]),
        )

    first, last = random.choice([(0, 15), (0, 15), (2, 13)])
    return Settings(
        directions={number: direction() for number in random.choice([range(6), range(6), (0, 1, 3, 5)])},
        purity=random.choice(list(Purity)),
        before=random.choice([0, 60, 250]),
        after=random.choice([0, 60, 250]),
        droplet=droplet,
        envelope=random.choice(list(Envelope)),
        margin=random.choice([0, 0, 4]),
        first_phase=first,
        last_phase=last,
        doublets=random.random() < 0.3,
        overlong=random.random() < 0.3,
        increment=2**32 // random.randrange(300, 700) + random.randrange(1000) if droplet else 0,
    )


async def run(dut, settings: Settings, spacing: int, disarms: float, length: int, testing: int | None, period: int):
    """Random cells for `length` cycles, then until nothing waits. Compares everything with the model."""
    now = await upload(dut, settings, 0)
    origin = now
    next_cell, on = now + 700, False
    cells: list[Cell] = []
    waiting: deque[tuple[int, int, int, bool]] = deque()  # cycle from which it is there, hit, flags
    results: list[Result] = []
    enabled: list[tuple[int, int]] = []
    decided, amended, high = [], [], [[] for _ in range(model.DIRECTIONS)]
    fired = quiet = 0
    last_ready = 0
    used = random.sample(range(model.DIRECTIONS), random.choice([1, 2, 6]))
    switch = now + 600
    while now < origin + length or waiting or quiet < 40:
        inputs = {"timestamp": now, "cell_valid": 0, "s_decision_tvalid": 0}
        if now >= next_cell and now < origin + length:
            event = random.random() < 0.75 and len(waiting) < 15
            doubtful = random.random() < 0.04
            time = now - random.randrange(10, 60)
            if cells:
                time = max(time, cells[-1].time + 1)
            cells.append(Cell(now, time, event, doubtful))
            inputs |= {"cell_valid": 1, "cell_event": event, "cell_doubtful": doubtful, "cell_time": time}
            if event:
                ready = max(last_ready, now + random.randrange(20, 200))
                last_ready = ready
                wish = random.choice(used) if random.random() < 0.85 else None
                flags = {name: True for name in (*FLAGS, "fault") if random.random() < 0.02}
                several = random.random() < 0.02
                result = Result(ready, None if several else wish, several, **flags)
                results.append(result)
                hit = 0b100010 if several else 0 if wish is None else 1 << wish
                waiting.append((ready, hit, encode(flags), "fault" in flags))
            next_cell = now + 1 + int(random.expovariate(1 / spacing))
        if now >= switch:
            on = not on
            if on:
                enabled.append((now, model.NEVER))
            else:
                enabled[-1] = (enabled[-1][0], now)
            switch = now + (
                int(random.expovariate(disarms)) + 1 if on and disarms else 2**40 if on else random.choice([1, 40])
            )
        inputs |= {"armed": on and testing is None, "testing": on and testing is not None}
        inputs["drop_in"] = bool(period) and (now - origin) % period < period // 2
        inputs |= {"test_events": testing is not None, "test_direction": testing or 0}
        if waiting and now >= waiting[0][0]:
            names = ("s_decision_hit", "s_decision_flags", "s_decision_fault")
            inputs |= dict(zip(names, waiting[0][1:], strict=True), s_decision_tvalid=1)
        (done, outcome, direction, amend, event_id, why, which, fire, pending, out, lost, failed) = await cycle(
            dut, *OUTPUTS, **inputs
        )
        assert (lost, failed) == (0, 0)
        if done:
            waiting.popleft()
            decided.append((now, Outcome(outcome), direction))
        if amend:
            amended.append((event_id, Outcome(why), which))
        fired += fire.bit_count()
        for number in range(model.DIRECTIONS):
            if out >> number & 1:
                high[number].append(now)
        quiet = 0 if pending or waiting else quiet + 1
        now += 1
    drops = None
    if settings.droplet:
        drops = Drops(TICKS)
    expected = model.Scheduler(settings, enabled, drops, testing).run(cells, results)
    for index, (seen, wanted) in enumerate(zip(decided, expected.decided, strict=True)):
        assert seen == wanted, (index, seen, wanted, settings)
    assert amended == expected.amended, settings
    for number in range(model.DIRECTIONS):
        assert high[number] == [t for a, b in expected.pulses[number] for t in range(a, b + 1)], (number, settings)
    assert fired == len(expected.sorts) == expected.final.count(Outcome.SORTED)
    return {(outcome, "decided") for _, outcome, _ in decided} | {(outcome, "amended") for _, outcome, _ in amended}


def encode(flags) -> int:
    return sum(1 << FLAGS.index(name) for name in flags if name != "fault")


TICKS: list[int] = []  # cycles in which drops began


async def watch_drops(dut) -> None:
    while True:
        await RisingEdge(dut.clk)
        if dut.drop_tick.value == 1:
            TICKS.append(int(dut.timestamp.value))


async def rounds(dut, droplet: bool) -> None:
    await start(dut, **INPUTS)
    cocotb.start_soon(watch_drops(dut))
    seen = set()
    for _ in range(ROUNDS):
        TICKS.clear()
        settings = random_settings(droplet)
        period = random.randrange(300, 700) if droplet and random.random() < 0.4 else 0
        if period:
            settings = replace(settings, external=True, increment=0)
        spacing = random.choice([100, 150, 400, 900] if droplet else [30, 150, 400, 900])
        testing = random.choice([None, None, None, None, 3])
        seen |= await run(dut, settings, spacing, random.choice([0, 1e-3, 3e-3]), 6000, testing, period)
        if period:
            assert {after - before for before, after in pairwise(TICKS)} == {period}
        elif droplet:
            length = 2**32 / settings.increment  # and whatever phase was left
            assert all(abs(tick - TICKS[0] - i * length) <= 1 for i, tick in enumerate(TICKS))
        await reset(dut)
    dut._log.info("%s", ", ".join(sorted(f"{outcome.name} {how}" for outcome, how in seen)))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def valve_equals_the_model(dut):
    await rounds(dut, droplet=False)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def droplet_equals_the_model(dut):
    await rounds(dut, droplet=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_drop_clock_that_stops_is_a_fault(dut):
    """So is a drop that comes too early, which is none."""
    await start(dut, **INPUTS)
    settings = Settings({0: Direction(delay=400)}, droplet=True, external=True, timeout=1500)
    now = await upload(dut, settings, 0)
    failures = []
    edges = [now + 400 * n for n in range(1, 8)] + [now + 400 * 7 + 100]
    for cycle_ in range(now, now + 6500):
        high = any(edge <= cycle_ < edge + 20 for edge in edges)
        (failed,) = await cycle(dut, "drop_failed", timestamp=cycle_, drop_in=high)
        if failed:
            failures.append(cycle_ - now)
    early, *stopped = failures
    assert 400 * 7 + 100 <= early < 400 * 7 + 110
    assert len(stopped) == 2  # once each timeout
    assert 400 * 7 + 1500 <= stopped[0] < 400 * 7 + 1510


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_sort_of_before_does_not_count_in_a_new_arming(dut):
    """While nobody takes amendments a sort runs late, and the sorter is armed anew before that is told: the target's
    count began at 0 with the arming, and stays there."""
    await start(dut, **INPUTS)
    directions = {number: Direction(delay=600, width=20, target=2) for number in (0, 1)}
    settings = Settings(directions, Purity.PURITY, before=60, after=60)
    origin = await upload(dut, settings, 0)
    cells = {10: 1, 120: 0, 300: 1, 1100: 1, 1500: 1, 1900: 1}  # those that are events; the second is near the first
    wishes = deque([(100, 1), (360, 2), (1160, 2), (1560, 2), (1960, 2)])
    outputs = ("decided", "outcome", "m_amend_valid", "m_amend_event", "m_amend_outcome")
    results, amended = [], []
    for now in range(3000):
        wished = bool(wishes) and now >= wishes[0][0]
        inputs = {
            "timestamp": origin + now,
            "armed": not 1000 <= now < 1020,
            "m_amend_ready": now >= 1050,
            "cell_valid": now in cells,
            "cell_event": cells.get(now, 0),
            "cell_time": origin + (40 if now == 120 else now),
            "s_decision_tvalid": wished,
            "s_decision_hit": wishes[0][1] if wished else 0,
        }
        decided, outcome, told, event, why = await cycle(dut, *outputs, **inputs)
        if decided:
            wishes.popleft()
            results.append(Outcome(outcome))
        if told and inputs["m_amend_ready"]:
            amended.append((event, Outcome(why)))
    assert amended == [(0, Outcome.COINCIDENCE), (1, Outcome.LATE)]
    assert results == [*[Outcome.SORTED] * 4, Outcome.COMPLETE]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def test_pulses_come_only_armed(dut):
    """One for each request, periodic ones as often as they are asked for, of the width that was; none unless armed or
    in test mode."""
    await start(dut, **INPUTS)
    now = await upload(dut, Settings({0: Direction(delay=1000)}), 0)
    tests = {"test_width": 5, "test_direction": 2}
    for mode, expected in (
        ({"armed": 0, "testing": 0}, 0),
        ({"armed": 0, "testing": 1}, 1),
        ({"armed": 1, "testing": 0}, 1),
    ):
        high = []
        for i in range(60):
            (out,) = await cycle(dut, "sort_out", timestamp=now, test_one=i == 10, test_period=0, **mode, **tests)
            high += [now] if out else []
            assert out in (0, 4)
            now += 1
        assert len(high) == 5 * expected
    pulses = 0
    for _ in range(1000):
        tested, out = await cycle(dut, "tested", "sort_out", timestamp=now, test_period=100, **tests)
        pulses += tested == 4
        now += 1
    assert pulses in (9, 10)
    for i in range(300):
        (out,) = await cycle(dut, "sort_out", timestamp=now, armed=0, testing=0, test_period=100)
        assert not out or i < 6
        now += 1
