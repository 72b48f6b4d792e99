# SPDX-License-Identifier: Apache-2.0
"""Events of a line stream against a state machine that takes line after line, and against SciPy's labels."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from icsort.errors import IcsortError
from icsort.sim.bit_true.event import (
    FLAT_ONE,
    Trigger,
    Window,
    cut_windows,
    delay_channels,
    delay_doubt,
    doubtful_lines,
    find_events,
    first_columns,
    flat_field,
    line_sums,
    members,
    normalise_line,
)
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.preprocess import preprocess

SEEDS = st.integers(0, 2**32 - 1)


@dataclass
class Machine:
    """The trigger as registers that a line, or a stop of the lines, changes; told once more than in the model."""

    trigger: Trigger
    state: str = "idle"
    line: int = 0
    low_lines: int = 0
    was_low: bool = False
    since_barrier: int = 0
    since_bad: int = 10**6
    events: list[tuple[int, ...]] = field(default_factory=list)
    debris: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)

    def take(self, total: int, bad: bool) -> None:
        rules = self.trigger
        low, high = total < rules.off, total >= rules.on
        rises = high and self.was_low
        self.was_low = low or (self.was_low and not high)
        self.since_bad = 0 if bad else self.since_bad + 1
        self.low_lines = self.low_lines + 1 if low else 0
        if self.state == "idle" and high:
            self.state, self.begin, self.lit, self.accepted = "active", self.line, self.line, -1
            self.peak = self.valley = total
            self.flags = 0
            pre = min(rules.pre_lines, self.since_barrier)
            if pre < rules.pre_lines:
                self.flags |= EventFlag.TRUNCATED
            self.first = self.line - pre
            if self.since_bad <= pre:
                self.flags |= EventFlag.DOUBTFUL
            self._accept()
        elif self.state == "active":
            self.flags |= EventFlag.DOUBTFUL if bad else 0
            if not low and self.line - self.begin >= rules.max_lines:
                self._end(EventFlag.OVERLONG)
            elif low:
                self.valley = min(self.valley, total)
                if self.low_lines == rules.end_lines:
                    self._end(EventFlag(0))
            else:
                self.lit = self.line
                depth = rules.dip * (self.peak - rules.off)
                fell, rose = self.peak - self.valley, total - self.valley
                if rules.dip and fell > 0 and 16 * fell >= depth and 16 * rose >= depth:
                    self.flags |= EventFlag.DOUBLET
                if total > self.peak:
                    self.peak = self.valley = total
                self.valley = min(self.valley, total)
                self._accept()
        elif self.state == "closed":
            if rises:
                self.dead.append(self.line)
            if not low:
                self.since_barrier = -1
            if self.low_lines >= rules.end_lines:
                self.state = "idle"
        self.since_barrier += 1
        self.line += 1

    def stop(self) -> None:
        if self.state == "active":
            self.line -= 1
            self._end(EventFlag.STALLED)
            self.line += 1
            self.since_barrier = 0
            if self.low_lines >= self.trigger.end_lines:
                raise AssertionError("would have ended")

    def _accept(self) -> None:
        if self.accepted < 0 and self.line - self.begin + 1 >= self.trigger.min_lines:
            self.accepted = self.line

    def _end(self, cause: EventFlag) -> None:
        post = reach = self.lit + self.trigger.post_lines
        if cause == EventFlag.STALLED:
            post = reach = min(post, self.line)
        if cause == EventFlag.OVERLONG:
            post, reach = min(post, self.begin + self.trigger.max_lines - 1), min(post, self.line - 1)
        self.state = "closed" if cause else "idle"
        self.since_barrier = self.trigger.end_lines - self.trigger.post_lines - 1 if not cause else -1
        if self.accepted < 0:
            self.debris.append(self.begin)
            return
        event = (self.begin, self.first, post, self.accepted, self.line, reach, self.lit - self.begin + 1)
        self.events.append((*event, int(self.flags | cause)))


def random_trigger(random: np.random.Generator, **fixed: int) -> Trigger:
    end, pre = int(random.integers(1, 5)), int(random.integers(0, 5))
    least = int(random.integers(1, 4))
    on = int(random.integers(1, 60))
    return replace(
        Trigger(
            weights=(1,),
            on=on,
            off=int(random.integers(0, on + 1)),
            first_column=0,
            last_column=0,
            end_lines=end,
            min_lines=least,
            max_lines=int(random.integers(least, 20)),
            pre_lines=pre,
            post_lines=int(random.integers(0, end + 1)),
            dip=int(random.integers(0, 17)),
        ),
        **fixed,
    )


def random_sums(random: np.random.Generator, lines: int) -> NDArray[np.int64]:
    """Bumps of every length and depth, noise and plateaus."""
    smooth = ndimage.uniform_filter1d(random.normal(0, 1, lines), int(random.integers(1, 9)))
    return np.asarray(np.clip(30 + 40 * smooth / max(1e-9, smooth.std()) * random.random(), 0, 99), np.int64)


@given(SEEDS)
def test_events_equal_a_walk_line_by_line(seed: int) -> None:
    random = np.random.default_rng(seed)
    trigger = random_trigger(random)
    sums = random_sums(random, 150)
    bad = random.random(len(sums)) < random.choice([0, 0.05])
    stops = np.flatnonzero(random.random(len(sums) + 1) < random.choice([0, 0.1]))
    machine = Machine(trigger)
    for line, total in enumerate(sums.tolist()):
        if line in stops:
            machine.stop()
        machine.take(total, bool(bad[line]))
    if len(sums) in stops:
        machine.stop()
    found = find_events(sums, trigger, bad, stops)
    ended = found.events[found.events.ended]
    names = ("trigger", "first", "last", "accepted", "end", "timed", "length", "flags")
    assert list(zip(*(getattr(ended, name).tolist() for name in names), strict=True)) == machine.events
    assert found.debris.trigger[found.debris.ended].tolist() == machine.debris
    assert found.dead_time.tolist() == machine.dead
    open_event = machine.state == "active" and machine.accepted >= 0
    assert found.events.trigger[~found.events.ended].tolist() == ([machine.begin] if open_event else [])
    assert found.neighbours.tolist() == sorted(machine.debris + machine.dead)


@given(SEEDS)
def test_with_one_threshold_and_one_low_line_events_are_runs(seed: int) -> None:
    random = np.random.default_rng(seed)
    sums = random_sums(random, 250)
    on = int(random.integers(1, 60))
    least = int(random.integers(1, 4))
    trigger = Trigger((1,), on, on, 0, 0, min_lines=least, max_lines=255)
    labels, count = ndimage.label(np.append(sums >= on, False))
    runs = [(part[0].start, part[0].stop - 1) for part in ndimage.find_objects(labels)]
    found = find_events(np.append(sums, 0), trigger)
    assert len(found.events) + len(found.debris) == count
    kept = [run for run in runs if run[1] - run[0] + 1 >= least]
    assert list(zip(found.events.trigger.tolist(), found.events.last.tolist(), strict=True)) == kept
    assert (found.events.end == found.events.last + 1).all()


@given(SEEDS)
def test_runs_closed_over_short_gaps_are_scipys_closing(seed: int) -> None:
    random = np.random.default_rng(seed)
    sums = random_sums(random, 200)
    on = int(random.integers(1, 60))
    end_lines = int(random.integers(1, 6))
    padded = np.concatenate([np.zeros(8, np.int64), sums, np.zeros(8, np.int64)])
    closed = ndimage.binary_closing(padded >= on, np.ones(end_lines))
    runs = [part[0] for part in ndimage.find_objects(ndimage.label(closed)[0])]
    found = find_events(padded, Trigger((1,), on, on, 0, 0, end_lines=end_lines, max_lines=255)).events
    assert list(zip(found.trigger.tolist(), (found.last + 1).tolist(), strict=True)) == [
        (r.start, r.stop) for r in runs
    ]


def case(sums: list[int], **rules: int) -> tuple[list[tuple[int, int, int]], list[int], list[int]]:
    """Trigger, first and last line of each event, debris, dead time; on 10, off 5."""
    found = find_events(np.asarray(sums, np.int64), replace(Trigger((1,), 10, 5, 0, 0), **rules))
    events = found.events
    lines = zip(events.trigger.tolist(), events.first.tolist(), events.last.tolist(), strict=True)
    return list(lines), found.debris.trigger.tolist(), found.dead_time.tolist()


def test_hysteresis_begins_at_on_and_ends_below_off() -> None:
    assert case([9, 10, 5, 9, 4, 0]) == ([(1, 1, 3)], [], [])
    assert case([9, 9, 6, 4]) == ([], [], [])


def test_short_cells_are_debris() -> None:
    assert case([0, 10, 0, 0, 10, 10, 0], min_lines=2) == ([(4, 4, 5)], [1], [])


def test_members_reach_before_and_behind_but_not_into_what_came_before() -> None:
    rules = {"end_lines": 2, "pre_lines": 2, "post_lines": 1}
    assert case([0, 0, 0, 10, 0, 0, 0, 0, 10, 0, 0], **rules) == ([(3, 1, 4), (8, 6, 9)], [], [])
    assert case([0, 10, 0, 0, 10, 0, 0], **rules) == ([(1, 0, 2), (4, 3, 5)], [], [])


def test_a_long_event_ends_and_what_rises_in_its_wake_is_dead_time() -> None:
    assert case([0, 10, 10, 10, 10, 0, 10, 0, 0, 10, 0, 0], max_lines=2, end_lines=2) == (
        [(1, 1, 2), (9, 9, 9)],
        [],
        [6],
    )
    assert case([0, 10, 10, 0], max_lines=2) == ([(1, 1, 2)], [], [])


def test_two_maxima_are_a_doublet_by_the_depth_between() -> None:
    def doublet(sums: list[int], dip: int) -> bool:
        found = find_events(np.asarray(sums, np.int64), Trigger((1,), 10, 5, 0, 0, dip=dip)).events
        return bool(found.flagged(EventFlag.DOUBLET)[0])

    assert doublet([0, 21, 13, 21, 0], 8)  # 8 of 16 from 21 to off
    assert not doublet([0, 21, 14, 22, 0], 8)
    assert not doublet([0, 21, 13, 20, 0], 8)
    assert doublet([0, 21, 13, 30, 0], 8)
    assert not doublet([0, 21, 13, 21, 0], 0)
    assert not doublet([0, 10, 20, 30, 20, 10, 0], 1)
    flat = find_events(np.asarray([0, 10, 10, 0]), Trigger((1,), 10, 10, 0, 0, dip=8)).events
    assert not flat.flagged(EventFlag.DOUBLET).any()


def test_a_stop_ends_the_event_and_closes_the_trigger() -> None:
    sums = np.asarray([0, 10, 10, 10, 0, 10, 0], np.int64)
    found = find_events(sums, Trigger((1,), 10, 5, 0, 0, pre_lines=1), stops=[3])
    assert (found.events.trigger.tolist(), found.events.end.tolist()) == ([1, 5], [2, 6])
    assert found.events.flags.tolist() == [EventFlag.STALLED, 0]
    rules = Trigger((1,), 10, 5, 0, 0, pre_lines=3, end_lines=2)
    assert find_events(np.asarray([0, 10, 0, 0, 10]), rules, stops=[3]).events.first.tolist() == [0, 3]
    at_the_end = find_events(sums[:3], Trigger((1,), 10, 5, 0, 0), stops=[3]).events
    assert at_the_end.flags.tolist() == [EventFlag.STALLED]
    assert find_events(sums[:3], Trigger((1,), 10, 5, 0, 0)).events.ended.tolist() == [False]


def test_a_bad_line_makes_its_events_doubtful() -> None:
    sums = np.asarray([0, 0, 10, 0, 0, 0, 10, 0, 0, 0], np.int64)
    trigger = Trigger((1,), 10, 5, 0, 0, pre_lines=1, end_lines=2)
    for line, expected in ((0, [0, 0]), (1, [1, 0]), (4, [1, 0]), (5, [0, 1]), (8, [0, 1]), (9, [0, 0])):
        bad = np.arange(10) == line
        assert find_events(sums, trigger, bad).events.flags.tolist() == expected


@given(SEEDS)
def test_windows_hold_members_and_zeros(seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = random.integers(0, 3000, (80, 9, 2)).astype(np.uint16)
    lines[random.random(80) < 0.5] //= 8
    trigger = Trigger((3, 1), 9000, 7000, 1, 6, end_lines=2, pre_lines=int(random.integers(0, 4)), post_lines=1)
    window = Window(5, 4, 2, centred=bool(random.integers(2)))
    events = find_events(line_sums(lines, trigger), trigger).events
    raw = cut_windows(lines, events, trigger, window, (300, 40))
    pixels = preprocess(raw, (300, 40), (30, 50), 7)
    columns = first_columns(lines, events.trigger, trigger, window)
    assert raw.shape == (len(events), 5, 4, 2)
    for index, x in enumerate(columns.tolist()):
        for row in range(5):
            line = int(events.trigger[index]) - trigger.pre_lines + row
            if events.first[index] <= line <= events.last[index]:
                assert (raw[index, row] == lines[line, x : x + 4]).all()
            else:
                assert not pixels[index, row].any()


@given(SEEDS, st.integers(1, 9))
def test_centred_windows_lie_about_numpys_centroid(seed: int, width: int) -> None:
    random = np.random.default_rng(seed)
    lines = random.integers(0, 65536, (6, 24, 2)).astype(np.uint16) >> random.integers(0, 16, (6, 24, 2))
    lines = lines.astype(np.uint16)
    lines[:, 5] |= 1
    trigger = Trigger((255, 7), 1, 1, 2, 20)
    columns = first_columns(lines, np.arange(6), trigger, Window(3, width, centred=True))
    signal = lines[:, 2:21] @ np.array([255.0, 7.0])
    for x, line in zip(columns.tolist(), signal, strict=True):
        middle = np.average(np.arange(2, 21), weights=line)
        assert 0 <= x <= 24 - width
        if 0 < x < 24 - width:
            assert abs(x + (width - 1) / 2 - middle) <= 0.5 + 1e-9


def test_members_go_event_by_event() -> None:
    sums = np.asarray([0, 0, 10, 10, 0, 0, 0, 10, 0, 0, 0], np.int64)
    events = find_events(sums, Trigger((1,), 10, 5, 0, 0, pre_lines=1, end_lines=2, post_lines=1)).events
    which, line = members(events)
    assert which.tolist() == [0] * 4 + [1] * 3
    assert line.tolist() == [1, 2, 3, 4, 6, 7, 8]


def test_line_sums_are_weighted_and_do_not_wrap() -> None:
    lines = np.full((3, 40, 2), 65535, np.uint16)
    trigger = Trigger((255, 1), 1, 1, 0, 39)
    assert line_sums(lines, trigger).tolist() == [40 * 256 * 65535] * 3
    random = np.random.default_rng(1).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    expected = np.einsum("lxc,c->l", random[:, 2:5].astype(np.int64), [2, 0, 9])
    assert line_sums(random, Trigger((2, 0, 9), 1, 1, 2, 4)).tolist() == expected.tolist()


def test_flat_field_is_what_fractions_give() -> None:
    from fractions import Fraction
    from math import floor

    random = np.random.default_rng(2)
    lines = random.integers(0, 4096, (4, 5, 2)).astype(np.uint16)
    dark = random.integers(0, 4096, (5, 2))
    flat = random.integers(0, 2**16, (5, 2))
    corrected = flat_field(lines, dark, flat, 12)
    for at in np.ndindex(lines.shape):
        exact = floor((int(lines[at]) - int(dark[at[1:]])) * Fraction(int(flat[at[1:]]), FLAT_ONE))
        assert corrected[at] == min(4095, max(0, exact))
    neutral = flat_field(lines, np.zeros((5, 2)), np.full((5, 2), FLAT_ONE))
    assert (neutral == lines).all()
    with pytest.raises(IcsortError, match="dark is of shape"):
        flat_field(lines, dark.T, flat)
    with pytest.raises(IcsortError, match=r"flat has .* within 0\.\.65535"):
        flat_field(lines, dark, flat + 2**16)


def test_a_channel_is_delayed_by_lines_and_its_doubt_spreads() -> None:
    lines = np.arange(1, 13, dtype=np.uint16).reshape(6, 1, 2)
    delayed = delay_channels(lines, (0, 2))
    assert delayed[:, 0, 0].tolist() == [1, 3, 5, 7, 9, 11]
    assert delayed[:, 0, 1].tolist() == [0, 0, 2, 4, 6, 8]
    bad = np.asarray([0, 1, 0, 0, 0, 1], bool)
    assert delay_doubt(bad, (0, 2)).tolist() == [False, True, True, True, False, True]
    assert delay_doubt(bad, (0, 0)).tolist() == bad.tolist()
    with pytest.raises(IcsortError, match=r"delays \[0\]"):
        delay_channels(lines, (0,))


def test_lines_that_do_not_follow_are_doubtful() -> None:
    def doubtful(*lines: tuple[int, int, int]) -> list[bool]:
        return doubtful_lines(*np.array(lines, np.int64).T).tolist()

    assert doubtful((7, 100, 100), (8, 101, 105), (9, 200, 200)) == [False, False, False]
    assert doubtful((2**16 - 1, 100, 100), (0, 110, 110)) == [False, False]  # the number wraps
    assert doubtful((7, 100, 100), (9, 110, 110), (10, 120, 120)) == [False, True, False]  # one was lost
    assert doubtful((7, 100, 100), (7, 110, 110)) == [False, True]
    assert doubtful((7, 100, 100), (8, 100, 110), (9, 99, 120)) == [False, True, True]  # no later than the one before
    assert doubtful((7, 101, 100), (8, 110, 110)) == [True, False]  # still to come


def test_short_lines_are_padded_and_long_ones_truncated() -> None:
    pixels = np.arange(1, 9, dtype=np.uint16).reshape(4, 2)
    short, fine = normalise_line(pixels, 6)
    assert short.tolist() == [*pixels.tolist(), [0, 0], [0, 0]]
    assert not fine
    long, fine = normalise_line(pixels, 3)
    assert long.tolist() == pixels[:3].tolist()
    assert not fine
    assert short.dtype == long.dtype == np.uint16
    listed, fine = normalise_line([[1, 2]], 2)
    assert listed.dtype == np.uint16
    assert (listed.tolist(), fine) == ([[1, 2], [0, 0]], False)
    same, fine = normalise_line(pixels, 4)
    assert same.tolist() == pixels.tolist()
    assert fine


@pytest.mark.parametrize(
    ("lines", "trigger", "named"),
    [
        (np.zeros((5, 4, 1), np.uint16), Trigger((1, 1), 1, 1, 0, 3), "2 trigger weights"),
        (np.zeros((5, 4, 1), np.uint16), Trigger((1,), 1, 1, 1, 4), "do not fit"),
        (np.zeros((5, 4, 1), np.int64), Trigger((1,), 1, 1, 0, 3), "int64"),
        (np.zeros((5, 4), np.uint16), Trigger((1,), 1, 1, 0, 3), "shape"),
    ],
)
def test_refuses_lines_that_do_not_fit(lines: np.ndarray, trigger: Trigger, named: str) -> None:
    with pytest.raises(IcsortError, match=named):
        line_sums(lines, trigger)


def test_refuses_a_window_that_does_not_fit() -> None:
    with pytest.raises(IcsortError, match=r"window's columns 2\.\.5 do not fit a line of 4"):
        first_columns(np.zeros((5, 4, 1), np.uint16), np.arange(1), Trigger((1,), 1, 1, 0, 3), Window(2, 4, 2))
    with pytest.raises(IcsortError, match="at least 1"):
        Window(0, 1)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"weights": (0,)}, "weights"),
        ({"weights": (256,)}, "weights"),
        ({"weights": ()}, "weights"),
        ({"off": 2}, "off <= on"),
        ({"on": 2**32}, "off <= on"),
        ({"first_column": 4}, "first_column"),
        ({"end_lines": 0}, "end_lines"),
        ({"end_lines": 64}, "end_lines"),
        ({"post_lines": 2}, "post_lines"),
        ({"pre_lines": 64}, "pre_lines and min_lines"),
        ({"min_lines": 0}, "min_lines"),
        ({"max_lines": 256}, "max_lines"),
        ({"max_lines": 1, "min_lines": 2}, "max_lines"),
        ({"dip": 17}, "dip"),
    ],
)
def test_refuses_what_is_no_trigger(wrong: dict[str, int], named: str) -> None:
    trigger = Trigger((1,), 1, 1, 0, 3)
    with pytest.raises(IcsortError, match=named):
        replace(trigger, **wrong)
