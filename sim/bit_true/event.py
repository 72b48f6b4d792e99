# SPDX-License-Identifier: Apache-2.0
"""From lines to events, bit-true to the front of the sorter: correction, line sum, trigger, window, members.

A line is LINE_W pixels of C unsigned samples; the lines of an array follow each other from reset on. The rules, each
told for one line after the other, as the hardware sees them:

* Flat field: s' = clip(((s - dark) * flat) >> 14, 0, 2^SAMPLE_BITS - 1), one dark and flat (unsigned 2.14) for each
  column and channel.
* Channel delay: the corrected line holds channel c of `delays[c]` lines ago, zeros before that many lines since reset.
  It keeps its own number and time. A bad line makes as many more lines bad as the largest delay says.
* Line sum S: over the channels, weight times the sum of the samples in columns first_column .. last_column.
* A line is *low* where S < off, *high* where S >= on. Idle, a high line t begins an event. The event's last lit line is
  the last one that is not low; its core is t .. last lit line.
* The event ends with the end_lines-th low line on end, or where a line that is not low would make its core longer
  than max_lines (OVERLONG), or where lines stop (STALLED). It is accepted with the first line that is not low and
  makes its core at least min_lines long; one that ends before is debris.
* Behind an event that ended OVERLONG or STALLED the trigger is closed until end_lines low lines on end have come (those
  before a stop count). A cell that rises meanwhile, a high line that follows a low one with none of the two between, is
  dead time.
* Lines of an event, its members: pre_lines lines before t, the core, post_lines behind it (of these, where it ended
  STALLED, those that came; where OVERLONG, those within max_lines of t). Lines that belonged to what came before,
  debris and dead time too, are no pre-lines, nor is anything before a stop that closed the trigger or before reset:
  such an event is TRUNCATED.
* DOUBTFUL: one of the lines from its first member to the one that ended it is malformed, or its number or time does not
  follow the line before.
* DOUBLET: with p the highest S of the core so far and v the lowest since, v is less than p, and p - v and then, in a
  line that is not low, S - v have both reached dip / 16 of p - off. A dip of 0 flags none.
* Window: rows are the lines from t - pre_lines on, columns the `width` from x_offset on, or those about the trigger
  line's centroid. A row that is no member is zero behind preprocessing, whatever the line holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.event_flag import EventFlag

WEIGHT_MAX: Final = 255
FLAT_ONE: Final = 2**14
FLAT_MAX: Final = 2**16 - 1
MAX_DELAY: Final = 63  # lines
BACK_LINES: Final = 64  # that lie between a line and when it is known to be a member, with the pre-lines
MAX_LINES: Final = 255  # members of an event
DIP_MAX: Final = 16
THRESHOLD_MAX: Final = 2**32 - 1


@dataclass(frozen=True)
class Trigger:
    """What begins and ends an event: line sum by `weights` (C,) over columns first_column .. last_column, thresholds
    `on` and `off` in its counts, lengths in lines, `dip` in sixteenths. Raises IcsortError for what the hardware
    cannot hold."""

    weights: tuple[int, ...]
    on: int
    off: int
    first_column: int
    last_column: int
    end_lines: int = 1
    min_lines: int = 1
    max_lines: int = 128
    pre_lines: int = 0
    post_lines: int = 0
    dip: int = 0

    def __post_init__(self) -> None:
        wrong = None
        if not self.weights or not all(0 <= weight <= WEIGHT_MAX for weight in self.weights) or not any(self.weights):
            wrong = f"weights must be within 0..{WEIGHT_MAX}, at least one of them not 0"
        elif not 0 <= self.off <= self.on <= THRESHOLD_MAX:
            wrong = f"0 <= off <= on <= {THRESHOLD_MAX} must hold"
        elif not 0 <= self.first_column <= self.last_column:
            wrong = "0 <= first_column <= last_column must hold"
        elif not 1 <= self.end_lines < BACK_LINES or not 0 <= self.post_lines <= self.end_lines:
            wrong = f"end_lines must be within 1..{BACK_LINES - 1}, post_lines within 0..end_lines"
        elif self.pre_lines < 0 or self.min_lines < 1 or self.pre_lines + self.min_lines > BACK_LINES:
            wrong = f"pre_lines and min_lines must be at least 0 and 1, together at most {BACK_LINES}"
        elif not self.min_lines <= self.max_lines <= MAX_LINES - self.pre_lines - self.post_lines:
            wrong = f"max_lines must be at least min_lines, with pre_lines and post_lines at most {MAX_LINES}"
        elif not 0 <= self.dip <= DIP_MAX:
            wrong = f"dip must be within 0..{DIP_MAX}"
        if wrong:
            raise IcsortError(f"{self}: {wrong}")


@dataclass(frozen=True)
class Window:
    """The network's part of an event: `height` lines from the first pre-line on, `width` columns, from x_offset on or
    `centred` on the trigger line's centroid."""

    height: int
    width: int
    x_offset: int = 0
    centred: bool = False

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.x_offset < 0:
            raise IcsortError(f"{self}: height and width must be at least 1, x_offset at least 0")


@dataclass(frozen=True)
class Events:
    """Events or debris, ascending; arrays (E,), lines as indices into the stream.

    trigger: the line that began it. first, last: its members. accepted: the line with which it was accepted, -1 for
    debris. end: the line with which it ended; the last line before a stop; -1 where the stream ends first (`last` is
    the last lit line then). timed: the line whose time is that of the end, `last` but for some OVERLONG ones. length:
    lines of its core. flags: EventFlag, final where it ended.
    """

    trigger: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    accepted: NDArray[np.int64]
    end: NDArray[np.int64]
    timed: NDArray[np.int64]
    length: NDArray[np.int64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.trigger)

    def __getitem__(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Self:
        """Those of an index, a mask or a slice."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(E,) which did not outlast the stream."""
        return np.asarray(self.end >= 0)

    def flagged(self, flag: EventFlag) -> NDArray[np.bool_]:
        """(E,) which have one of the flags."""
        return np.asarray((self.flags & int(flag)) != 0)


@dataclass(frozen=True)
class Found:
    """What the trigger made of a stream: accepted `events`; `debris`, of which the last may still grow into an event
    where it has not ended; `dead_time`, (D,) lines with which further cells rose while the trigger was closed."""

    events: Events
    debris: Events
    dead_time: NDArray[np.int64]

    @property
    def neighbours(self) -> NDArray[np.int64]:
        """(N,) trigger lines of what is no event but keeps a sort away: debris that has ended, and dead time."""
        return np.sort(np.concatenate([self.debris.trigger[self.debris.ended], self.dead_time]))


def normalise_line(pixels: ArrayLike, line_width: int) -> tuple[NDArray[np.uint16], bool]:
    """One line as received, shape (n, C) uint16, padded with zeros or truncated to (line_width, C).

    Returns the line and whether it was well formed (n == line_width).
    """
    received = np.asarray(pixels, dtype=np.uint16)
    line = np.zeros((line_width, received.shape[1]), dtype=np.uint16)
    kept = min(line_width, received.shape[0])
    line[:kept] = received[:kept]
    return line, received.shape[0] == line_width


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


def flat_field(
    lines: NDArray[np.uint16], dark: ArrayLike, flat: ArrayLike, sample_bits: int = 16
) -> NDArray[np.uint16]:
    """Lines (L, LINE_W, C) with each column's dark count and sensitivity taken out.

    dark: unsigned counts, flat: unsigned 2.14 (FLAT_ONE leaves counts as they are), both (LINE_W, C). Raises
    IcsortError for other shapes or values that do not fit.
    """
    most = 2**sample_bits - 1
    offset, factor = np.asarray(dark, np.int64), np.asarray(flat, np.int64)
    for name, values, limit in (("dark", offset, most), ("flat", factor, FLAT_MAX)):
        if values.shape != lines.shape[1:]:
            raise IcsortError(
                f"{name} is of shape {values.shape}, the lines' pixels are {lines.shape[1:]}: give one each"
            )
        if values.size and not 0 <= values.min() <= values.max() <= limit:
            raise IcsortError(f"{name} has {values.min()} to {values.max()}: it must be within 0..{limit}")
    corrected = ((lines.astype(np.int64) - offset) * factor) >> 14
    return np.asarray(np.clip(corrected, 0, most), np.uint16)


def delay_channels(lines: NDArray[np.uint16], delays: Sequence[int]) -> NDArray[np.uint16]:
    """Lines (L, LINE_W, C) of which each holds channel c of `delays[c]` lines ago. Raises IcsortError."""
    _check_delays(delays, lines.shape[2])
    delayed = np.zeros_like(lines)
    for channel, delay in enumerate(delays):
        delayed[delay:, :, channel] = lines[: len(lines) - delay, :, channel]
    return delayed


def delay_doubt(bad: NDArray[np.bool_], delays: Sequence[int]) -> NDArray[np.bool_]:
    """(L,) which of the delayed lines are bad: those in which a bad line, or one from before it, may have a part."""
    begins = np.flatnonzero(bad)
    spread = np.zeros(len(bad) + 1, np.int64)
    np.add.at(spread, begins, 1)
    np.add.at(spread, np.minimum(begins + max(delays) + 1, len(bad)), -1)
    return np.asarray(np.cumsum(spread)[:-1] > 0)


def line_sums(lines: NDArray[np.uint16], trigger: Trigger) -> NDArray[np.int64]:
    """Line sum S of every line. lines: (L, LINE_W, C) uint16, corrected. Returns (L,) int64, counts. Raises
    IcsortError."""
    _check_lines(lines, trigger)
    columns = slice(trigger.first_column, trigger.last_column + 1)
    sums = np.zeros(len(lines), np.int64)
    for channel, weight in enumerate(trigger.weights):
        if weight:
            sums += weight * lines[:, columns, channel].sum(axis=1, dtype=np.int64)
    return sums


def find_events(
    sums: NDArray[np.int64],
    trigger: Trigger,
    bad: NDArray[np.bool_] | None = None,
    stops: ArrayLike = (),
) -> Found:
    """Events of a stream that begins at reset.

    sums: (L,) line sums. bad: (L,) malformed or doubtful lines. stops: lines before which lines had stopped for too
    long, ascending; L: after the last one.
    """
    lines = len(sums)
    lit = np.flatnonzero(sums >= trigger.off)
    high = np.flatnonzero(sums >= trigger.on)
    if not len(high):
        return Found(_none(), _none(), np.empty(0, np.int64))
    # Lit lines less than end_lines low ones apart are a run: what happens in one has no effect on the next.
    run_of = np.concatenate([[0], np.cumsum(np.diff(lit) > trigger.end_lines)])
    run_first, run_last = _ends(lit, run_of)
    at = high[np.minimum(np.searchsorted(high, run_first), len(high) - 1)]
    begun = (at >= run_first) & (at <= run_last)
    start, run_last = at[begun], run_last[begun]

    too_long = _next(lit, start + trigger.max_lines, lines + trigger.end_lines)
    regular_end = run_last + trigger.end_lines
    end = np.minimum(regular_end, too_long)
    overlong = too_long <= run_last
    stop = _next(np.asarray(stops, np.int64), start + 1, lines + trigger.end_lines + 1)
    stalled = (stop <= end) & (stop <= lines)
    overlong &= ~stalled
    closed = overlong | stalled
    end = np.where(stalled, stop - 1, end)
    before = np.where(stalled, stop, np.where(overlong, too_long, run_last + 1))
    last_lit = lit[np.searchsorted(lit, before) - 1]
    ended = end < lines
    length = last_lit - start + 1
    is_event = length >= trigger.min_lines
    behind = last_lit + np.where(ended, trigger.post_lines, 0)
    last = np.minimum(behind, np.where(overlong, start + trigger.max_lines - 1, np.where(stalled, end, behind)))
    timed = np.minimum(behind, np.where(overlong, end - 1, np.where(ended, end, behind)))

    barrier = np.where(closed, np.maximum(end, run_last), run_last + trigger.post_lines)
    free = start - np.concatenate([[-1], barrier[:-1]]) - 1
    first = start - np.minimum(free, trigger.pre_lines)

    flags = np.zeros(len(start), np.int64)
    flags[overlong] |= EventFlag.OVERLONG
    flags[stalled] |= EventFlag.STALLED
    flags[free < trigger.pre_lines] |= EventFlag.TRUNCATED
    flags[_doublets(sums, start, last_lit, trigger)] |= EventFlag.DOUBLET
    if bad is not None:
        count = np.concatenate([[0], np.cumsum(bad)])
        flags[count[np.minimum(end + 1, lines)] > count[first]] |= EventFlag.DOUBTFUL
    accepted = np.where(
        is_event, lit[np.minimum(np.searchsorted(lit, start + trigger.min_lines - 1), len(lit) - 1)], -1
    )
    found = Events(start, first, last, accepted, np.where(ended, end, -1), timed, length, flags)

    rises = _rises(sums, trigger)
    of = np.searchsorted(start, rises, "right") - 1
    dead = rises[(of >= 0) & closed[of] & (rises > end[of]) & (rises <= run_last[of])]
    return Found(found[is_event], found[~is_event], dead)


def first_columns(
    lines: NDArray[np.uint16], at: NDArray[np.int64], trigger: Trigger, window: Window
) -> NDArray[np.int64]:
    """First column of the windows of events with the trigger lines `at` (E,). Returns (E,) int64.

    Centred: with S the line sum and M the same sum with each sample times its column, (floor(2 M / S) + 2 - W) >> 1
    puts the window's middle at the centroid to half a column; it is moved into the line where it would reach out of it.
    """
    _check_lines(lines, trigger)
    line_width = lines.shape[1]
    if window.x_offset + window.width > line_width:
        raise IcsortError(
            f"the window's columns {window.x_offset}..{window.x_offset + window.width - 1} do not fit a line of "
            f"{line_width} pixels"
        )
    if not window.centred:
        return np.full(len(at), window.x_offset, np.int64)
    columns = np.arange(trigger.first_column, trigger.last_column + 1)
    weighted = lines[at][:, columns].astype(np.int64) @ np.asarray(trigger.weights, np.int64)
    total = weighted.sum(axis=1)
    twice = 2 * (weighted @ columns) // np.maximum(total, 1)
    return np.asarray(np.clip((twice + 2 - window.width) >> 1, 0, line_width - window.width), np.int64)


def cut_windows(
    lines: NDArray[np.uint16],
    events: Events,
    trigger: Trigger,
    window: Window,
    fill: Sequence[int],
    row_of: NDArray[np.int64] | None = None,
) -> NDArray[np.uint16]:
    """Raw windows of events, (E, H, W, C) uint16 of corrected lines. Rows that are no members hold `fill` (C,): the
    background of preprocessing, which makes them zero. row_of: (L,) which of `lines` each line of the stream is, None:
    these are the stream."""
    begun = events.trigger if row_of is None else row_of[events.trigger]
    columns = first_columns(lines, begun, trigger, window)[:, np.newaxis] + np.arange(window.width)
    rows = events.trigger[:, np.newaxis] - trigger.pre_lines + np.arange(window.height)
    member = (rows >= events.first[:, np.newaxis]) & (rows <= events.last[:, np.newaxis])
    held = np.where(member, rows, 0)
    held = held if row_of is None else row_of[held]
    raw: NDArray[np.uint16] = lines[held[:, :, np.newaxis], columns[:, np.newaxis, :]]
    raw[~member] = np.asarray(fill, np.uint16)
    return raw


def members(events: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lines of events, in the order in which the features take them. Returns (event, line), both (M,) int64."""
    counts = events.last - events.first + 1
    event = np.repeat(np.arange(len(events)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return event, events.first[event] + within


def _none() -> Events:
    return Events(*(np.empty(0, np.int64) for _ in fields(Events)))


def _ends(lit: NDArray[np.int64], run_of: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last line of each run."""
    begins = np.flatnonzero(np.diff(run_of, prepend=-1))
    return lit[begins], lit[np.append(begins[1:], len(lit)) - 1]


def _next(ascending: NDArray[np.int64], least: NDArray[np.int64], otherwise: int) -> NDArray[np.int64]:
    """The first entry that is at least `least`, for each of these."""
    return np.append(ascending, otherwise)[np.searchsorted(ascending, least)]


def _rises(sums: NDArray[np.int64], trigger: Trigger) -> NDArray[np.int64]:
    """High lines that follow a low one, with nothing but lines that are neither between."""
    told = np.flatnonzero((sums < trigger.off) | (sums >= trigger.on))
    high = sums[told] >= trigger.on
    return np.asarray(told[high & ~np.concatenate([[False], high[:-1]])], np.int64)


def _doublets(
    sums: NDArray[np.int64], start: NDArray[np.int64], last_lit: NDArray[np.int64], trigger: Trigger
) -> NDArray[np.bool_]:
    """(E,) which cores have two maxima; all events go on together, a line at a time."""
    doublet = np.zeros(len(start), np.bool_)
    if not trigger.dip:
        return doublet
    peak, valley = sums[start].copy(), sums[start].copy()
    going = np.arange(len(start))
    for row in range(1, trigger.max_lines + 1):
        going = going[start[going] + row <= last_lit[going]]
        if not len(going):
            break
        value, top, bottom = sums[start[going] + row], peak[going], valley[going]
        enough = trigger.dip * (top - trigger.off)
        # A low line of the core is followed by one that is not and rises higher, so that these alone tell.
        dipped = (bottom < top) & (16 * (top - bottom) >= enough) & (16 * (value - bottom) >= enough)
        doublet[going[dipped]] = True
        higher = value > top
        peak[going] = np.where(higher, value, top)
        valley[going] = np.where(higher, value, np.minimum(bottom, value))
    return doublet


def _check_delays(delays: Sequence[int], channels: int) -> None:
    if len(delays) != channels or not all(0 <= delay <= MAX_DELAY for delay in delays):
        raise IcsortError(f"delays {list(delays)}: give one of 0..{MAX_DELAY} lines for each of {channels} channels")


def _check_lines(lines: NDArray[np.uint16], trigger: Trigger) -> None:
    if lines.dtype != np.uint16 or lines.ndim != 3:
        raise IcsortError(f"lines must be uint16 (line, pixel, channel), not {lines.dtype} of shape {lines.shape}")
    if trigger.last_column >= lines.shape[1]:
        raise IcsortError(
            f"the trigger's columns {trigger.first_column}..{trigger.last_column} do not fit a line of "
            f"{lines.shape[1]} pixels"
        )
    if len(trigger.weights) != lines.shape[2]:
        raise IcsortError(f"{len(trigger.weights)} trigger weights, but the lines have {lines.shape[2]} channels")
