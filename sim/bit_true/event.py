# SPDX-License-Identifier: Apache-2.0
"""Event trigger and fixed window over a stream of lines, bit-true to the hardware trigger.

A line is LINE_W pixels of C unsigned 16-bit samples. Its line sum adds the trigger channel's samples over the window
columns x_offset .. x_offset + width - 1. The rules:

* After reset the trigger is armed and idle.
* While armed and idle, a line whose line sum is >= threshold starts an event; that line is window line 0.
* The next height - 1 lines belong to the event whatever they hold.
* After the window the trigger arms again with the first line below the threshold (that line cannot start an event; the
  next one can).
* A malformed line (too few or too many pixels) is padded with zeros or truncated to LINE_W, then treated like any
  other; the event that it belongs to is aborted.
* The time of an event is the one that its line 0 brought. A line whose number or time does not follow the line before
  makes the time doubtful; the event that it belongs to is aborted.
* A cell begins with a line that reaches the threshold behind one below it. Where that starts no event, it fell into
  another's window or came before the trigger was armed again: into its dead time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError


@dataclass(frozen=True)
class Trigger:
    """Trigger and window: `channel` and `threshold` (counts, line sum), window of height x width at column x_offset."""

    channel: int
    threshold: int
    height: int
    width: int
    x_offset: int = 0

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.x_offset < 0 or self.channel < 0 or self.threshold < 0:
            raise IcsortError(f"{self}: height and width must be at least 1, the other values at least 0")


def normalise_line(pixels: ArrayLike, line_width: int) -> tuple[NDArray[np.uint16], bool]:
    """One line as received, shape (n, C) uint16, padded with zeros or truncated to (line_width, C).

    Returns the line and whether it was well formed (n == line_width).
    """
    received = np.asarray(pixels, dtype=np.uint16)
    line = np.zeros((line_width, received.shape[1]), dtype=np.uint16)
    kept = min(line_width, received.shape[0])
    line[:kept] = received[:kept]
    return line, received.shape[0] == line_width


def line_sums(lines: NDArray[np.uint16], trigger: Trigger) -> NDArray[np.int64]:
    """Line sum of every line. lines: (L, LINE_W, C) uint16. Returns (L,) int64, counts."""
    _check_lines(lines, trigger)
    columns = slice(trigger.x_offset, trigger.x_offset + trigger.width)
    return np.asarray(lines[:, columns, trigger.channel].sum(axis=1, dtype=np.int64))


def trigger_starts(over: NDArray[np.bool_], height: int) -> NDArray[np.int64]:
    """Start lines of all events, the last one perhaps unfinished.

    over: (L,) whether each line's sum reaches the threshold. Returns the indices of window line 0, ascending.
    """
    over_at = np.flatnonzero(over)
    below_at = np.flatnonzero(~over)
    starts: list[int] = []
    search_from = 0
    while True:
        hit = int(np.searchsorted(over_at, search_from))
        if hit == len(over_at):
            break
        start = int(over_at[hit])
        starts.append(start)
        rearm = int(np.searchsorted(below_at, start + height))
        if rearm == len(below_at):
            break
        search_from = int(below_at[rearm]) + 1
    return np.asarray(starts, dtype=np.int64)


def cut_events(lines: NDArray[np.uint16], trigger: Trigger) -> NDArray[np.int64]:
    """Start lines of the complete events in a stream that begins at reset.

    lines: (L, LINE_W, C) uint16, normalised. Returns (E,) int64, ascending; an event whose last lines are not in the
    stream is left out.
    """
    starts = trigger_starts(line_sums(lines, trigger) >= trigger.threshold, trigger.height)
    return np.asarray(starts[starts + trigger.height <= lines.shape[0]], dtype=np.int64)


def doubtful_lines(
    numbers: NDArray[np.int64], times: NDArray[np.int64], accepted: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which lines do not follow the line before, or bring a time that is still to come.

    numbers: (L,) line numbers, modulo 2^16; times: (L,) timestamps that the lines bring; accepted: (L,) timestamps at
    which their first beats were accepted. Returns (L,) bool.
    """
    doubtful = times > accepted
    doubtful[1:] |= (np.diff(numbers) % 2**16 != 1) | (np.diff(times) <= 0)
    return np.asarray(doubtful, dtype=np.bool_)


def dead_time_cells(over: NDArray[np.bool_], starts: NDArray[np.int64]) -> int:
    """How many cells begin without starting an event. over: (L,) lines that reach the threshold; starts: (E,) line 0
    of all events, the unfinished one too."""
    begins = over & ~np.concatenate([[False], over[:-1]])
    return int(begins.sum()) - len(starts)


def aborted_events(starts: NDArray[np.int64], good: NDArray[np.bool_], height: int) -> NDArray[np.bool_]:
    """Which events hold a bad line. starts: (E,); good: (L,) whether a line is neither malformed nor doubtful. Returns
    (E,) bool."""
    bad = np.concatenate([[0], np.cumsum(~good)])
    ends = np.minimum(starts + height, len(good))
    return np.asarray(bad[ends] > bad[starts], dtype=np.bool_)


def event_window(lines: NDArray[np.uint16], start: int, trigger: Trigger) -> NDArray[np.uint16]:
    """The raw window of one event, (height, width, C) uint16. Raises IcsortError where the stream ends inside it."""
    _check_lines(lines, trigger)
    if start < 0 or start + trigger.height > lines.shape[0]:
        raise IcsortError(
            f"the event at line {start} needs {trigger.height} lines and the stream has {lines.shape[0]}: send the rest"
        )
    window = lines[start : start + trigger.height, trigger.x_offset : trigger.x_offset + trigger.width]
    return np.asarray(window, dtype=np.uint16)


def _check_lines(lines: NDArray[np.uint16], trigger: Trigger) -> None:
    if lines.dtype != np.uint16 or lines.ndim != 3:
        raise IcsortError(f"lines must be uint16 (line, pixel, channel), not {lines.dtype} of shape {lines.shape}")
    if trigger.x_offset + trigger.width > lines.shape[1]:
        raise IcsortError(
            f"the window's columns {trigger.x_offset}..{trigger.x_offset + trigger.width - 1} do not fit a line of "
            f"{lines.shape[1]} pixels"
        )
    if trigger.channel >= lines.shape[2]:
        raise IcsortError(f"trigger channel {trigger.channel} does not exist: the lines have {lines.shape[2]} channels")
