# SPDX-License-Identifier: Apache-2.0
"""Trigger and window against a line-by-line state machine written here."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.event import (
    Trigger,
    aborted_events,
    cut_events,
    dead_time_cells,
    doubtful_lines,
    event_window,
    line_sums,
    normalise_line,
    trigger_starts,
)


def walk(over: list[bool], height: int) -> list[int]:
    """One line at a time: armed -> in a window -> waiting for a line below the threshold -> armed."""
    starts, remaining, armed = [], 0, True
    for index, high in enumerate(over):
        if remaining:
            remaining -= 1
        elif armed:
            if high:
                starts.append(index)
                remaining, armed = height - 1, False
        elif not high:
            armed = True
    return starts


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 9))
def test_starts_equal_a_line_by_line_walk(over: list[bool], height: int) -> None:
    assert trigger_starts(np.asarray(over, dtype=bool), height).tolist() == walk(over, height)


@given(st.integers(0, 2**32 - 1))
def test_events_of_a_random_stream(seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = random.integers(0, 65536, (60, 7, 2)).astype(np.uint16)
    trigger = Trigger(channel=1, threshold=int(random.integers(0, 4 * 65535)), height=4, width=4, x_offset=2)
    over = [sum(int(pixel[1]) for pixel in line[2:6]) >= trigger.threshold for line in lines]
    starts = cut_events(lines, trigger)
    assert starts.tolist() == [start for start in walk(over, 4) if start + 4 <= len(lines)]
    for start in starts:
        assert (event_window(lines, int(start), trigger) == lines[start : start + 4, 2:6]).all()


def test_threshold_is_reached_by_equality_and_line_sums_do_not_wrap() -> None:
    lines = np.full((3, 40, 1), 65535, np.uint16)
    trigger = Trigger(channel=0, threshold=40 * 65535, height=2, width=40)
    assert line_sums(lines, trigger).tolist() == [40 * 65535] * 3
    assert cut_events(lines, trigger).tolist() == [0]
    assert cut_events(lines, Trigger(0, 40 * 65535 + 1, 2, 40)).tolist() == []


def test_no_second_event_without_a_line_below_the_threshold() -> None:
    over = np.asarray([0, 1, 1, 1, 1, 1, 0, 1, 1], bool)
    assert trigger_starts(over, 3).tolist() == [1, 7]


def test_a_low_line_inside_the_window_does_not_arm() -> None:
    over = np.asarray([1, 0, 1, 1, 0, 1], bool)
    assert trigger_starts(over, 3).tolist() == [0, 5]


def test_the_unfinished_event_is_a_start_but_not_cut() -> None:
    lines = np.zeros((6, 3, 1), np.uint16)
    lines[[0, 5]] = 9
    trigger = Trigger(0, 20, 3, 3)
    assert trigger_starts(line_sums(lines, trigger) >= 20, 3).tolist() == [0, 5]
    assert cut_events(lines, trigger).tolist() == [0]
    with pytest.raises(IcsortError, match="event at line 5 needs 3 lines and the stream has 6: send the rest"):
        event_window(lines, 5, trigger)
    with pytest.raises(IcsortError, match="event at line -1"):
        event_window(lines, -1, trigger)
    assert event_window(lines, 3, trigger).tolist() == [[[0]] * 3, [[0]] * 3, [[9]] * 3]
    assert [array.dtype for array in (line_sums(lines, trigger), cut_events(lines, trigger))] == [np.int64] * 2


def test_malformed_lines_abort_their_own_event_alone() -> None:
    well_formed = np.ones(20, bool)
    well_formed[[3, 9, 14]] = False  # before, in the middle of and in the last line of an event
    starts = np.asarray([0, 4, 8, 12, 17])
    assert aborted_events(starts, well_formed, 3).tolist() == [False, False, True, True, False]


def aborted_naively(starts: NDArray[np.int64], well_formed: NDArray[np.bool_], height: int) -> list[bool]:
    return [not all(well_formed[start : start + height]) for start in starts]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_aborted_equals_a_look_at_every_line(seed: int, height: int) -> None:
    random = np.random.default_rng(seed)
    well_formed = random.random(30) < 0.8
    starts = np.flatnonzero(random.random(30) < 0.3)
    assert aborted_events(starts, well_formed, height).tolist() == aborted_naively(starts, well_formed, height)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_every_cell_starts_an_event_or_is_dead_time(seed: int, height: int) -> None:
    """Told line by line: behind the window of an event, and until a line is below, a cell that begins is dead time."""
    over = np.random.default_rng(seed).random(60) < 0.4
    started, dead, window, armed, before = 0, 0, 0, True, False
    for is_over in over.tolist():
        begins, before = is_over and not before, is_over
        if window:
            window, dead = window - 1, dead + begins
        elif not armed:
            armed, dead = not is_over, dead + begins
        elif is_over:
            started, window, armed = started + 1, height - 1, False
    starts = trigger_starts(over, height)
    assert (len(starts), dead_time_cells(over, starts)) == (started, dead)


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
        (np.zeros((5, 4, 1), np.uint16), Trigger(1, 1, 2, 4), "channel 1"),
        (np.zeros((5, 4, 1), np.uint16), Trigger(0, 1, 2, 4, x_offset=1), "do not fit"),
        (np.zeros((5, 4, 1), np.int64), Trigger(0, 1, 2, 4), "int64"),
        (np.zeros((5, 4), np.uint16), Trigger(0, 1, 2, 4), "shape"),
    ],
)
def test_refuses_lines_that_do_not_fit(lines: np.ndarray, trigger: Trigger, named: str) -> None:
    with pytest.raises(IcsortError, match=named):
        cut_events(lines, trigger)


@pytest.mark.parametrize("wrong", [{"height": 0}, {"width": 0}, {"x_offset": -1}, {"channel": -1}, {"threshold": -1}])
def test_refuses_what_is_no_trigger(wrong: dict[str, int]) -> None:
    least = {"channel": 0, "threshold": 0, "height": 1, "width": 1, "x_offset": 0}
    assert Trigger(**least).height == 1
    with pytest.raises(IcsortError, match="height and width must be at least 1, the other values at least 0"):
        Trigger(**{**least, **wrong})
