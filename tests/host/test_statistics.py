# SPDX-License-Identifier: Apache-2.0
"""Rates from frames of statistics against what NumPy says of their differences; gaps, restarts and wraps."""

import random

import numpy as np
import pytest

from icsort.host.link.protocol import Statistics
from icsort.host.link.registers import COUNTERS
from icsort.host.sorter import Sorter
from icsort.host.statistics import ABORTS, LOSSES, StatisticsLog, causes
from tests.host.fake_board import STATISTICS_PERIOD, FakeBoard

CLOCK_HZ = 100_000_000


def frame(number: int, time: int, values: list[int]) -> Statistics:
    return Statistics(number % 256, number, time, {}, (), dict(zip(COUNTERS, values, strict=True)))


def test_rates_of_consecutive_frames(seed: int) -> None:
    """Counters, time and number wrap; a moment without a frame is told, and the rate is over the whole time."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(0, 5000, size=(20, len(COUNTERS)))
    totals = (draw.integers(2**32 - 9000, 2**32, size=len(COUNTERS)) + np.cumsum(steps, axis=0)) % 2**32
    skipped = draw.integers(0, 3, size=20)
    numbers = (2**32 - 8 + np.cumsum(1 + skipped)) % 2**32
    times = (2**48 - 700_000_000 + 100_000_000 * np.cumsum(1 + skipped)) % 2**48
    log = StatisticsLog(CLOCK_HZ)
    for i in range(20):
        log.see(frame(int(numbers[i]), int(times[i]), totals[i].tolist()))
        if not i:
            assert log.rates is None
            continue
        assert log.rates is not None
        seconds = float(1 + skipped[i])
        assert log.rates.seconds == seconds
        expected = dict(zip(COUNTERS, (steps[i] / seconds).tolist(), strict=True))
        assert {name: log.rates.per_second(name) for name in COUNTERS} == pytest.approx(expected)
        document = log.rates.to_json()
        assert document["events"] == pytest.approx(expected["ACCEPTED"])
        assert document["losses"] == pytest.approx({name: expected[name] for name in LOSSES if expected[name]})
        assert document["aborts"] == pytest.approx({name: expected[name] for name in ABORTS if expected[name]})
    assert (log.frames, log.missing, log.restarts) == (20, int(skipped[1:].sum()), 0)


@pytest.mark.parametrize(("number", "time"), [(0, 100), (3, 4_000), (9, 900), (4, 1_000)])
def test_a_board_that_was_reset(number: int, time: int) -> None:
    """Number or time does not go on: no rates, a restart."""
    log = StatisticsLog(CLOCK_HZ)
    zeros = [0] * len(COUNTERS)
    log.see(frame(3, 1_000, zeros))
    log.see(frame(4, 1_001, zeros))
    assert log.rates is not None
    log.see(frame(number, time, zeros))
    assert (log.rates, log.restarts, log.missing) == (None, 1, 0)
    log.see(frame(number + 1, time + 50, [random.randrange(9)] * len(COUNTERS)))
    assert log.rates is not None
    assert log.rates.seconds == 50 / CLOCK_HZ


def test_what_is_zero_is_not_told() -> None:
    log = StatisticsLog(CLOCK_HZ)
    log.see(frame(0, 0, [0] * len(COUNTERS)))
    log.see(frame(1, CLOCK_HZ, [3000 * (name in ("ACCEPTED", "LATE")) for name in COUNTERS]))
    assert log.rates is not None
    assert log.rates.text() == "3,000 events/s, 0 sorted/s; aborts/s: 3,000 late; losses/s: none"


def test_they_come_between_events(board: FakeBoard) -> None:
    """In their order, without a request; one that the line loses is counted; they do not put off the idle end."""
    with Sorter.open(board.port, timeout=0.2) as sorter:
        sorter.set_statistics(0.5)
        assert board.registers[STATISTICS_PERIOD] == 50_000_000
        before = len(board.requests)
        board.put(board.event(0) + board.statistics(0, 50, {0x80: 1}))
        board.statistics(1, 100, {})
        board.put(board.statistics(2, 150, {0x80: 7, 0x53C: 1}) + board.event(1))
        messages = [message for message in sorter.events(count=2) if message]
        assert len(board.requests) == before
    frames = [message for message in messages if isinstance(message, Statistics)]
    assert [type(message).__name__ for message in messages] == [
        "EventRecord",
        "Statistics",
        "Statistics",
        "EventRecord",
    ]
    assert [(one.number, one.time, one.counters["ACCEPTED"]) for one in frames] == [(0, 50, 1), (2, 150, 7)]
    assert frames[1].counters["STATISTICS_LOST"] == 1
    assert sorter.losses.statistics == 1


def test_causes_that_are_none_are_left_out() -> None:
    counts = {"LATE": 3, "COINCIDENCE": 0, "SORTED": 9, "MISSED": 2, "RECORDS_LOST": 0}
    assert causes(counts) == {"aborts": {"LATE": 3}, "losses": {"MISSED": 2}}
    assert causes({}) == {"aborts": {}, "losses": {}}
