# SPDX-License-Identifier: Apache-2.0
"""Features of an event, integers, bit-true to hw/rtl/sorter/features.sv. docs/features.md has definitions and bounds.

I(x, y) of a channel is v = max(0, sample - background) where v >= threshold, else 0; its mask is where v >= threshold.
x is the column of the line, y the line of the event, both from 0. The event's mask is the union of its channels'.

Sums are exact. Quotients and roots go through logarithms to the base 2 (`LOG_BITS` fraction bits, tables with straight
lines between their entries), so that no divider is needed:

* D = a * b - c * d is exact, in up to 2 * 32 + 16 bits; log2 |D| is that of the `LOG_BITS` bits behind its leading
  one. A negative D is inverted rather than negated, LOG_BITS + 2 bits behind its point.
* 2^e is read from a table and shifted, rounded to the nearest integer.

Widest: sums 48 bits (int64 here), D 80 bits (Python's integers here).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError

Ints = NDArray[np.int64]

MAX_CHANNELS: Final = 8
MAX_COLUMNS: Final = 256
MAX_ROWS: Final = 255
SAMPLE_MAX: Final = 2**16 - 1

LOG_BITS: Final = 20
"""Fraction bits of logarithms, and of mantissas behind the leading one."""
ONE: Final = 1 << LOG_BITS
_DEPTH: Final = LOG_BITS + 2
SEGMENT_BITS: Final = 9
"""Of LOG2 and EXP2: 512 segments from 1 to 2."""
SUM_STEP_BITS: Final = 6
"""Of LOG2_SUM: 64 segments an octave, over 16 octaves."""
SUM_OCTAVES: Final = 16

CENTER_BITS: Final = 8
"""Fraction bits of centres, distances and moments."""
RATIO_BITS: Final = 16
"""Fraction bits of eccentricity and correlation."""
MATRIX_BITS: Final = 14
"""Fraction bits of the compensation matrix, signed 18 bit."""
MATRIX_ENTRY: Final = 64
"""Index of the first coefficient in table 4 of the registers FRONT_INDEX and FRONT_DATA; 8 a row."""
MATRIX_MAX: Final = 2**17 - 1
VALUE_MAX: Final = 2**31 - 1

CHANNEL_KINDS: Final = (
    *("size", "max_intensity", "total_intensity", "center_of_mass_x", "center_of_mass_y"),
    *("long_axis_moment", "short_axis_moment", "radial_moment", "eccentricity"),
)
PAIR_KINDS: Final = ("delta_com", "correlation")
TITLES: Final = {
    "center_of_mass_x": "Center of Mass (X)",
    "center_of_mass_y": "Center of Mass (Y)",
    "delta_com": "Delta CoM",
}
"""Of those kinds that are not just their words in capitals."""
FRACTION_BITS: Final = {
    **dict.fromkeys(("center_of_mass_x", "center_of_mass_y", "delta_com"), CENTER_BITS),
    **dict.fromkeys(("long_axis_moment", "short_axis_moment", "radial_moment"), CENTER_BITS),
    **dict.fromkeys(("eccentricity", "correlation"), RATIO_BITS),
}
"""Of those kinds that have any: the value is the integer / 2**bits."""
UNITS: Final = {
    **dict.fromkeys(("size", "center_of_mass_x", "delta_com"), "pixels"),
    "center_of_mass_y": "lines",
    **dict.fromkeys(("max_intensity", "total_intensity"), "counts"),
    **dict.fromkeys(("long_axis_moment", "short_axis_moment", "radial_moment"), "pixels^2"),
}


def pairs(channels: int) -> list[tuple[int, int]]:
    """Pairs of channels in the order of the features."""
    return list(combinations(range(channels), 2))


def possible(columns: int, channels: int) -> bool:
    """Whether lines of so many pixels and channels have features."""
    return columns <= MAX_COLUMNS and channels <= MAX_CHANNELS


def count(channels: int) -> int:
    """Features of so many channels: nine each, two a pair."""
    return len(CHANNEL_KINDS) * channels + len(PAIR_KINDS) * channels * (channels - 1) // 2


def names(channels: int | Sequence[str]) -> list[str]:
    """Names of the features in their order, as the instrument's users know them: `Size (DAPI)`, `Correlation (0/1)`.
    channels: how many, or their names."""
    of = [str(c) for c in range(channels)] if isinstance(channels, int) else list(channels)
    titles = {kind: TITLES.get(kind, kind.replace("_", " ").title()) for kind in (*CHANNEL_KINDS, *PAIR_KINDS)}
    alone = [f"{titles[kind]} ({name})" for kind in CHANNEL_KINDS for name in of]
    return alone + [f"{titles[kind]} ({of[a]}/{of[b]})" for kind in PAIR_KINDS for a, b in pairs(len(of))]


def named(values: Sequence[int], channels: Sequence[str] | None = None) -> dict[str, float]:
    """Values of one event by name, in pixels, counts, pixels squared, ratios. channels: names, by default 0, 1 ..

    Raises IcsortError where there are not as many values as that.
    """
    of = len(channels) if channels else next((c for c in range(1, MAX_CHANNELS + 1) if count(c) == len(values)), 0)
    if count(of) != len(values) or not of:
        raise IcsortError(
            f"{len(values)} features are not those of {of or 'any number of'} channels: give another model"
        )
    factors = scales(of).tolist()
    return {name: value * factor for name, value, factor in zip(names(channels or of), values, factors, strict=True)}


def units(channels: int) -> list[str]:
    """Units of the features in their order; empty of what has none."""
    kinds = [kind for kind in CHANNEL_KINDS for _ in range(channels)]
    return [UNITS.get(kind, "") for kind in kinds + [kind for kind in PAIR_KINDS for _ in pairs(channels)]]


def scales(channels: int) -> NDArray[np.float64]:
    """(F,) what to multiply the integers with: pixels, counts, pixels squared, ratios."""
    kinds = [kind for kind in CHANNEL_KINDS for _ in range(channels)]
    kinds += [kind for kind in PAIR_KINDS for _ in pairs(channels)]
    return np.asarray([2.0 ** -FRACTION_BITS.get(kind, 0) for kind in kinds])


@dataclass(frozen=True)
class Settings:
    """background, threshold: counts of each channel (C,). matrix: (C, C) compensation in 1 / 2**MATRIX_BITS, a row for
    each that comes out; empty: none. Raises IcsortError for what the hardware cannot hold."""

    background: tuple[int, ...]
    threshold: tuple[int, ...]
    matrix: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        channels = len(self.background)
        if not 1 <= channels <= MAX_CHANNELS or len(self.threshold) != channels:
            raise IcsortError(
                f"features have {channels} backgrounds and {len(self.threshold)} thresholds: give one of each for 1 to "
                f"{MAX_CHANNELS} channels"
            )
        for name, values in (("background", self.background), ("threshold", self.threshold)):
            for channel, value in enumerate(values):
                if not 0 <= value <= SAMPLE_MAX:
                    raise IcsortError(f"features.{name}[{channel}] is {value}: it must be within 0..{SAMPLE_MAX}")
        if self.matrix and {len(self.matrix), *map(len, self.matrix)} != {channels}:
            raise IcsortError(f"features.matrix must have {channels} rows of {channels} values, or none")
        for row in self.matrix:
            for value in row:
                if not -MATRIX_MAX - 1 <= value <= MATRIX_MAX:
                    raise IcsortError(
                        f"features.matrix holds {value / 2**MATRIX_BITS:g}: its values must be within "
                        f"{(-MATRIX_MAX - 1) / 2**MATRIX_BITS:g} and {MATRIX_MAX / 2**MATRIX_BITS:g}"
                    )

    @property
    def entries(self) -> dict[int, int]:
        """What the hardware's registers take: words by index, all of a set."""
        matrix = self.coefficients.tolist()
        words = {c: pair[0] << 16 | pair[1] for c, pair in enumerate(zip(self.background, self.threshold, strict=True))}
        return words | {
            MATRIX_ENTRY + 8 * r + c: value % 2**32 for r, row in enumerate(matrix) for c, value in enumerate(row)
        }

    @property
    def coefficients(self) -> Ints:
        """(C, C): the matrix, the identity where there is none."""
        channels = len(self.background)
        return np.asarray(self.matrix, np.int64) if self.matrix else np.eye(channels, dtype=np.int64) << MATRIX_BITS


@dataclass(frozen=True)
class LineSums:
    """Of each line, channels last: (L, C) int64; union (L,): pixels of the event's mask; product (L, pairs): Ia Ib."""

    size: Ints
    largest: Ints
    total: Ints
    x: Ints
    xx: Ints
    square: Ints
    union: Ints
    product: Ints

    def __getitem__(self, which: slice | Ints) -> "LineSums":
        return LineSums(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Sums:
    """Of each event, (E, C) int64, as of LineSums; y, yy, xy with the row of the line."""

    size: Ints
    largest: Ints
    total: Ints
    x: Ints
    y: Ints
    xx: Ints
    yy: Ints
    xy: Ints
    square: Ints
    union: Ints
    product: Ints


def line_sums(lines: NDArray[np.uint16], settings: Settings) -> LineSums:
    """Sums of each line. lines: (L, LINE_W, C) uint16, corrected. Raises IcsortError for another type or shape."""
    channels = len(settings.background)
    if lines.dtype != np.uint16 or lines.ndim != 3 or lines.shape[2] != channels:
        raise IcsortError(
            f"features take uint16 lines of {channels} channels, not {lines.dtype} of shape {lines.shape}"
        )
    if lines.shape[1] > MAX_COLUMNS:
        raise IcsortError(
            f"features take lines of at most {MAX_COLUMNS} pixels, not {lines.shape[1]}: use a shorter line"
        )
    value = np.maximum(lines.astype(np.int64) - np.asarray(settings.background), 0)
    mask = value >= np.asarray(settings.threshold)
    image = np.where(mask, value, 0)
    x = np.arange(lines.shape[1], dtype=np.int64)
    product = [(image[..., a] * image[..., b]).sum(axis=1) for a, b in pairs(channels)]
    return LineSums(
        size=mask.sum(axis=1, dtype=np.int64),
        largest=image.max(axis=1, initial=0),
        total=image.sum(axis=1),
        x=np.einsum("lxc,x->lc", image, x),
        xx=np.einsum("lxc,x->lc", image, x * x),
        square=(image * image).sum(axis=1),
        union=mask.any(axis=2).sum(axis=1, dtype=np.int64),
        product=np.stack(product, axis=1) if product else np.zeros((len(lines), 0), np.int64),
    )


def event_sums(lines: LineSums, first: ArrayLike, last: ArrayLike, rows: Ints | None = None) -> Sums:
    """Sums of events from those of their lines. first, last: (E,) lines, both included. rows: (L,) which of `lines`
    each line is, where these are not the lines themselves.

    Raises IcsortError for an event of no or of more than MAX_ROWS lines.
    """
    begins, ends = np.asarray(first, np.int64), np.asarray(last, np.int64)
    if np.any(ends < begins) or np.any(ends - begins >= MAX_ROWS):
        raise IcsortError(f"an event must have 1 to {MAX_ROWS} lines: set the trigger's max_lines")
    if not len(begins):
        begins = ends = np.zeros(0, np.int64)
    heights = ends - begins + 1
    starts = np.cumsum(heights) - heights  # of each event among all their lines
    row = np.arange(heights.sum()) - np.repeat(starts, heights)
    at = row + np.repeat(begins, heights)
    part = lines[at if rows is None else rows[at]]

    def added(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values, starts, axis=0) if len(starts) else values, np.int64)

    sums = {name: added(getattr(part, name)) for name in ("size", "total", "x", "xx", "square", "union", "product")}
    row = row[:, None]
    return Sums(
        **sums,
        largest=np.asarray(np.maximum.reduceat(part.largest, starts) if len(starts) else part.largest, np.int64),
        y=added(part.total * row),
        yy=added(part.total * row * row),
        xy=added(part.x * row),
    )


def values(sums: Sums, settings: Settings) -> Ints:
    """Features of events, (E, count(C)) int64, each within 32 bits signed."""
    channels = sums.size.shape[1]
    total, x, y = sums.total, sums.x, sums.y
    log_total, dark = _log2(total)
    centers = []
    for moment in (x, y):
        log, none = _log2(moment)
        centers.append(_exp2(log - log_total, CENTER_BITS, dark | none))
    a = _determinant(total, sums.xx, x, x)
    b = _determinant(total, sums.yy, y, y)
    log_c, no_c = _log2(_determinant(total, sums.xy, x, y))
    log_e, no_e = _log2(a - b)
    log_h, point = _log2(a + b)
    log_c = log_c + ONE  # 2 C
    larger = np.where(no_c, log_e, np.where(no_e, log_c, np.maximum(log_e, log_c)))
    apart = np.where(no_c | no_e, SUM_OCTAVES * ONE, 2 * np.abs(log_e - log_c))
    odds = np.maximum((2 * (log_h - larger) - _log2_sum(apart)) >> 1, 0)  # log2 of h / D
    round_ = no_c & no_e
    plus = np.where(round_, 0, _log2_sum(odds))  # log2 of 1 + D / h
    log_radial = log_h - 2 * log_total
    radial = _exp2(log_radial, CENTER_BITS, point)
    long = _exp2(log_radial - ONE + plus, CENTER_BITS, point)
    short = np.maximum(radial - long, 0)
    eccentricity = _exp2((ONE - odds - plus) >> 1, RATIO_BITS, point | round_)

    first, second = (np.asarray([pair[k] for pair in pairs(channels)], np.intp) for k in (0, 1))
    away = np.square(centers[0][:, first] - centers[0][:, second])
    away += np.square(centers[1][:, first] - centers[1][:, second])
    log_away, same = _log2(away)
    delta = _exp2(log_away >> 1, 0, same | dark[:, first] | dark[:, second])
    union = sums.union[:, None]
    log_v, flat = _log2(_determinant(union, sums.square, total, total))
    common = _determinant(union, sums.product, total[:, first], total[:, second])
    log_n, none = _log2(common)
    level = none | flat[:, first] | flat[:, second]
    correlation = _exp2(log_n - ((log_v[:, first] + log_v[:, second]) >> 1), RATIO_BITS, level)
    correlation = np.minimum(correlation, 1 << RATIO_BITS)
    correlation = np.where(common < 0, -correlation, correlation).astype(np.int64)

    columns = [sums.size, _compensate(sums.largest, settings), _compensate(total, settings), *centers]
    columns += [long, short, radial, eccentricity, delta, correlation]
    return np.concatenate(columns, axis=1)


def features(lines: NDArray[np.uint16], first: ArrayLike, last: ArrayLike, settings: Settings) -> Ints:
    """Features of events in a stream of lines, (E, count(C)). Arguments as of `line_sums` and `event_sums`."""
    return values(event_sums(line_sums(lines, settings), first, last), settings)


def image_features(image: NDArray[np.uint16], settings: Settings) -> Ints:
    """Features of one image (lines, LINE_W, C), all of whose lines are the event's: (count(C),)."""
    return np.asarray(features(image, [0], [len(image) - 1], settings)[0])


def _compensate(signal: Ints, settings: Settings) -> Ints:
    """Matrix times signal (E, C), rounded, saturated."""
    mixed = signal @ settings.coefficients.T
    return np.asarray(np.clip((mixed + (1 << (MATRIX_BITS - 1))) >> MATRIX_BITS, -VALUE_MAX - 1, VALUE_MAX), np.int64)


def _determinant(a: Ints, b: Ints, c: Ints, d: Ints) -> NDArray[np.object_]:
    """a * b - c * d in integers without bounds."""
    return np.asarray(a.astype(object) * b.astype(object) - c.astype(object) * d.astype(object))


def _log2(number: NDArray[np.object_] | Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Logarithms of magnitudes, and where there is none, the number being 0. A negative number is inverted bit by bit,
    far behind its point."""
    deep = np.asarray(number.astype(object) << _DEPTH)
    magnitude = np.where(deep < 0, ~deep, deep)
    length = np.asarray(np.frompyfunc(int.bit_length, 1, 1)(magnitude), np.int64)
    mantissa = (magnitude >> np.maximum(length - 1 - LOG_BITS, 0).astype(object)).astype(np.int64)
    fraction = mantissa & (ONE - 1)
    rest_bits = LOG_BITS - SEGMENT_BITS
    segment, rest = fraction >> rest_bits, fraction & ((1 << rest_bits) - 1)
    log = ((length - 1 - _DEPTH) << LOG_BITS) + LOG2[segment] + ((np.diff(LOG2)[segment] * rest) >> rest_bits)
    none = length == 0
    return np.where(none, 0, log), none


def _exp2(exponent: Ints, fraction_bits: int, zero: NDArray[np.bool_]) -> Ints:
    """2**exponent in 1 / 2**fraction_bits, rounded; 0 where `zero`."""
    octave, fraction = exponent >> LOG_BITS, exponent & (ONE - 1)
    rest_bits = LOG_BITS - SEGMENT_BITS
    segment, rest = fraction >> rest_bits, fraction & ((1 << rest_bits) - 1)
    mantissa = ONE + EXP2[segment] + ((np.diff(EXP2)[segment] * rest) >> rest_bits)
    doubled = mantissa << 4 >> np.clip(LOG_BITS + 3 - fraction_bits - octave, 0, 31)  # one more bit, to round by
    return np.where(zero, 0, (doubled + 1) >> 1)


def _log2_sum(octaves: Ints) -> Ints:
    """log2(1 + 2**-octaves), octaves >= 0; 0 from SUM_OCTAVES on."""
    rest_bits = LOG_BITS - SUM_STEP_BITS
    inside = np.minimum(octaves, SUM_OCTAVES * ONE - 1)
    segment, rest = inside >> rest_bits, inside & ((1 << rest_bits) - 1)
    value = LOG2_SUM[segment] - ((-np.diff(LOG2_SUM)[segment] * rest) >> rest_bits)
    return np.where(octaves < SUM_OCTAVES * ONE, value, 0)


def _tables() -> tuple[Ints, Ints, Ints]:
    from_one = np.arange(2**SEGMENT_BITS + 1) / 2**SEGMENT_BITS
    octaves = np.arange(SUM_OCTAVES * 2**SUM_STEP_BITS + 1) / 2**SUM_STEP_BITS
    tables = np.log2(1 + from_one), 2**from_one - 1, np.log2(1 + 2**-octaves)
    log, exp, log_sum = (np.asarray(np.round(table * ONE), np.int64) for table in tables)
    return log, exp, log_sum


LOG2, EXP2, LOG2_SUM = _tables()
"""(513,), (513,), (1025,): log2(1 + k/512), 2**(k/512) - 1, log2(1 + 2**(-k/64)), in 1 / 2**LOG_BITS, rounded."""
