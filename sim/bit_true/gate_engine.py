# SPDX-License-Identifier: Apache-2.0
"""The gate engine: values -> scales -> tests -> gates -> direction, bit-true to hw/rtl/sorter/gate_engine.sv.

An event has up to 256 values, signed integers of 32 bits (`VALUE_*` says which index is what). A test looks at two of
them, x and y:

* RANGE    low <= value <= high for both, and, where a class set is named, the best class is in that set
* POLYGON  the point (x, y) of scaled values is inside up to 16 corners
* ELLIPSE  u^2 + v^2 < 2^26 with u, v linear in the scaled values

A scale turns a value into a coordinate of 14 bits, piece by piece linear (`coordinate`). Pieces are narrow where a
value is small: the octave of the value's magnitude and the bits behind its leading one name the piece.

    m = v, or ~v where v < 0                      31 bits
    shift = min(leading zeros of m, octaves)      below 2**(30 - octaves) pieces are equally wide
    code = {exponent, `mantissa` bits of m}       ~code where v < 0
    piece = clip(code - start, 0, 255)
    coordinate = base[piece] + ((fraction * rise[piece]) >> 17)     fraction: the next 17 bits, ~ where v < 0

A polygon is the even-odd rule over its edges, half open: a point on a left or lower edge is inside, one on a right or
upper edge is not, so that polygons that share an edge share no point. An edge from (x0, y0) to (x1, y1) is held as
slope_x, slope_y and c, of which the sign says on which side of it a point is: multiplied by the sign of y1 - y0,

    slope_x = x1 - x0, slope_y = y1 - y0 >= 0, c = slope_y * x0 - slope_x * y0 - 1
    crossed = (y0 > y) != (y1 > y) and slope_x * y - slope_y * x + c >= 0

Gates are evaluated in their order: `not`, where asked, of the conjunction of tests and earlier gates, each plain or
negated. A gate may ask for a direction. Of those that do and are true the highest priority wins; two with it are
ambiguous and no direction is asked for.

A test of a value that an event does not have is unknown, and so is a gate that names, negated or not, what is unknown.
Both count as false. The direction of an unknown gate is asked for and in doubt: unless one of a higher priority is
asked for, the event is ambiguous.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.gate import MAX_CLASSES, posteriors

VALUES: Final = 256
CLASS_SETS: Final = 8
VALUE_POSTERIOR: Final = 0
"""First of 8: posterior of each class set, unsigned 0.16."""
VALUE_LENGTH: Final = 8
"""Lines of the event."""
VALUE_INTERVAL: Final = 9
"""Cycles since the event before; at most 2**31 - 1, which is also that of the first event."""
VALUE_LOGIT: Final = 16
"""First of 64: logits, accumulator counts."""
VALUE_FEATURE: Final = 80
"""First of 176: features in the order of the build."""
FEATURES: Final = VALUES - VALUE_FEATURE
INTERVAL_MAX: Final = 2**31 - 1

TESTS: Final = 32
GATES: Final = 16
SCALES: Final = 16
CORNERS: Final = 16
DIRECTIONS: Final = 6
PRIORITIES: Final = 8
PIECES: Final = 256
COORDINATE_BITS: Final = 14
COORDINATE_MAX: Final = 2**COORDINATE_BITS - 1
MANTISSA_MAX: Final = 6
OCTAVES_MAX: Final = 30
FRACTION_BITS: Final = 17
RADIUS: Final = 2**13
"""An ellipse's rim in u, v."""
SLOPE_MAX: Final = 2**14 - 1
SHIFT_STEP: Final = 2
SHIFTS: Final = 8
CROSS_LIMIT: Final = 2 ** (2 * COORDINATE_BITS)
"""Edge functions are within -CROSS_LIMIT .. CROSS_LIMIT - 1 for all coordinates: 29 bits."""

# The memories behind the index and data window, one bank of them.
TEST_WORDS: Final = 64
"""Words of a test; of corner i: 4 i + 0, 1, 2; 4 i + 3 of the first corners: `WORD_*`."""
WORD_X, WORD_Y, WORD_FLAGS = 3, 7, 11
WORD_LOW_X, WORD_HIGH_X, WORD_LOW_Y, WORD_HIGH_Y = 19, 23, 27, 31
INDEX_GATE: Final = 0x800
INDEX_CLASS: Final = 0x840
INDEX_COUNTS: Final = 0x880
INDEX_ID: Final = 0x881
INDEX_SCALE: Final = 0x1000
GATE_WORDS: Final = 4

Words = Mapping[int, int]


class Kind(IntEnum):
    """Of a test."""

    RANGE = 0
    POLYGON = 1
    ELLIPSE = 2


@dataclass(frozen=True)
class Axis:
    """A value and the scale that makes it a coordinate; a range needs the value alone.

    value: index. scale: index of its table. mantissa: bits that split an octave, 0..6. octaves: how many leading zeros
    still make an octave of their own, 0..30. start: code of piece 0.
    """

    value: int
    scale: int = 0
    mantissa: int = 0
    octaves: int = 0
    start: int = 0


@dataclass(frozen=True)
class Edge:
    """An edge of a polygon, or a row of an ellipse (of rows, `corner_y` means nothing).

    slope_x: -16383..16383. slope_y: 0..16383. c: 29 bits, signed. corner_y: of the edge's first corner.
    """

    slope_x: int
    slope_y: int
    c: int
    corner_y: int = 0


INT32: Final = (-(2**31), 2**31 - 1)


@dataclass(frozen=True)
class Test:
    """One test. low, high: bounds of x and y, both within. class_set: the best class must be in it (ranges).

    edges: of the polygon, or the two rows of an ellipse, whose sums are shifted by 2 * shifts.
    """

    __test__ = False  # no test class of pytest's

    kind: Kind
    x: Axis
    y: Axis = Axis(0)
    low: tuple[int, int] = (INT32[0], INT32[0])
    high: tuple[int, int] = (INT32[1], INT32[1])
    class_set: int | None = None
    edges: tuple[Edge, ...] = ()
    shifts: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Gate:
    """A conjunction. tests, gates: bit masks of what it names; the same with `not_` of what it names negated.

    negated: the gate is true where the conjunction is not. direction: 0..5, or None. priority: 0..7, the highest wins.
    """

    tests: int = 0
    not_tests: int = 0
    gates: int = 0
    not_gates: int = 0
    negated: bool = False
    direction: int | None = None
    priority: int = 0


@dataclass(frozen=True)
class Scale:
    """The 256 pieces of a scale. base, rise: of each, 0..16383, base + rise at most 16383."""

    base: tuple[int, ...]
    rise: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """What one bank of the engine's memories holds. class_sets: bit c = class c."""

    class_sets: tuple[int, ...]
    tests: tuple[Test, ...]
    gates: tuple[Gate, ...]
    scales: tuple[Scale, ...] = ()
    classes: int = field(default=MAX_CLASSES)

    def words(self) -> dict[int, int]:
        """Index to word, what must be written, in the order in which it is to be written.

        Raises IcsortError for a program that the memories do not hold, or whose gates know a later one.
        """
        check(self)
        words: dict[int, int] = {}
        for number, test in enumerate(self.tests):
            at = number * TEST_WORDS
            words[at + WORD_FLAGS] = _flags(test)
            words[at + WORD_X] = _axis(test.x)
            words[at + WORD_Y] = _axis(test.y)
            if test.kind is Kind.RANGE:
                for word, bound in zip(
                    (WORD_LOW_X, WORD_HIGH_X, WORD_LOW_Y, WORD_HIGH_Y),
                    (test.low[0], test.high[0], test.low[1], test.high[1]),
                    strict=True,
                ):
                    words[at + word] = bound % 2**32
            else:
                # The corners that a polygon does not have are as high as its first one, so no edge there is crossed.
                rest = Edge(0, 0, 0, test.edges[0].corner_y)
                for corner, edge in enumerate((*test.edges, *[rest] * (CORNERS - len(test.edges)))):
                    words |= {at + 4 * corner + slot: word for slot, word in enumerate(_edge(edge))}
        for number, gate in enumerate(self.gates):
            at = INDEX_GATE + number * GATE_WORDS
            words |= {at + word: value for word, value in enumerate(_gate(gate))}
        for c in range(self.classes):
            words[INDEX_CLASS + c] = sum((mask >> c & 1) << number for number, mask in enumerate(self.class_sets))
        for number, scale in enumerate(self.scales):
            at = INDEX_SCALE + number * PIECES
            words |= {at + i: b | r << 16 for i, (b, r) in enumerate(zip(scale.base, scale.rise, strict=True))}
        words[INDEX_COUNTS] = len(self.tests) | len(self.gates) << 8 | len(self.class_sets) << 16
        words[INDEX_ID] = identity(words)
        return words


def identity(words: Words) -> int:
    """CRC-32 (zlib's) over index and word of all but the identity, in the order of the indices."""
    pairs = [value for index in sorted(set(words) - {INDEX_ID}) for value in (index, words[index])]
    return zlib.crc32(np.asarray(pairs, dtype="<u4").tobytes())


def check(program: Program) -> None:
    """Raises IcsortError where a program does not fit the memories or a gate knows itself or a later one."""
    limits = {
        "tests": (len(program.tests), TESTS),
        "gates": (len(program.gates), GATES),
        "scales": (len(program.scales), SCALES),
        "class sets": (len(program.class_sets), CLASS_SETS),
    }
    for what, (number, limit) in limits.items():
        if number > limit:
            raise IcsortError(f"{number} {what} are more than the {limit} of the gate engine; use fewer")
    if not program.tests or not program.gates:
        raise IcsortError("a gate set needs at least one test and one gate")
    for number, gate in enumerate(program.gates):
        if not gate.tests | gate.gates:
            raise IcsortError(f"gate {number} is empty: it names no test and no gate")
        if gate.tests >> len(program.tests) or gate.gates >> number:
            raise IcsortError(f"gate {number} names a test that is not there, itself, or a gate behind it")
        if gate.not_tests & ~gate.tests or gate.not_gates & ~gate.gates:
            raise IcsortError(f"gate {number} negates what it does not name")
        if gate.direction is not None and not 0 <= gate.direction < DIRECTIONS:
            raise IcsortError(f"gate {number}: direction {gate.direction} is not within 0..{DIRECTIONS - 1}")
        if not 0 <= gate.priority < PRIORITIES:
            raise IcsortError(f"gate {number}: priority {gate.priority} is not within 0..{PRIORITIES - 1}")
    for number, test in enumerate(program.tests):
        if not _fits(test, program):
            raise IcsortError(f"test {number} holds a number that the gate engine cannot: {test}")
    for number, scale in enumerate(program.scales):
        tops = [base + rise for base, rise in zip(scale.base, scale.rise, strict=True)]
        if len(tops) != PIECES or min(*scale.base, *scale.rise) < 0 or max(tops) > COORDINATE_MAX:
            raise IcsortError(f"scale {number} must have {PIECES} pieces and coordinates within 0..{COORDINATE_MAX}")


def _fits(test: Test, program: Program) -> bool:
    for axis in (test.x, test.y):
        if not (0 <= axis.value < VALUES and 0 <= axis.scale < SCALES and -(2**11) <= axis.start < 2**11):
            return False
        if axis.value < CLASS_SETS and program.class_sets and axis.value >= len(program.class_sets):
            return False  # a posterior that is not computed
        if not (0 <= axis.mantissa <= MANTISSA_MAX and 0 <= axis.octaves <= OCTAVES_MAX):
            return False
    if not all(INT32[0] <= bound <= INT32[1] for bound in (*test.low, *test.high)):
        return False
    if test.class_set is not None and not 0 <= test.class_set < len(program.class_sets):
        return False
    edges = {Kind.RANGE: (0, 0), Kind.POLYGON: (3, CORNERS), Kind.ELLIPSE: (2, 2)}[test.kind]
    return (
        edges[0] <= len(test.edges) <= edges[1]
        and all(0 <= shift < SHIFTS for shift in test.shifts)
        and all(row_fits(edge) for edge in test.edges)
    )


def row_fits(edge: Edge) -> bool:
    """Whether an edge's numbers fit, and its sum for all coordinates."""
    least = edge.c + min(0, edge.slope_x) * COORDINATE_MAX - edge.slope_y * COORDINATE_MAX
    most = edge.c + max(0, edge.slope_x) * COORDINATE_MAX
    return (
        abs(edge.slope_x) <= SLOPE_MAX
        and 0 <= edge.slope_y <= SLOPE_MAX
        and 0 <= edge.corner_y <= COORDINATE_MAX
        and least >= -CROSS_LIMIT
        and most < CROSS_LIMIT
    )


# Of words and what they hold


def _axis(axis: Axis) -> int:
    return axis.value | axis.scale << 8 | axis.mantissa << 12 | axis.octaves << 15 | axis.start % 2**12 << 20


def _flags(test: Test) -> int:
    named = test.class_set is not None
    return int(test.kind) | test.shifts[0] << 2 | test.shifts[1] << 5 | named << 8 | (test.class_set or 0) << 9


def _edge(edge: Edge) -> tuple[int, int, int]:
    whole = edge.slope_x % 2**15 | -edge.slope_y % 2**14 << 15 | edge.c % 2**29 << 29 | edge.corner_y << 58
    return whole & 0xFFFFFFFF, whole >> 32 & 0xFFFFFFFF, whole >> 64


def _gate(gate: Gate) -> tuple[int, int, int, int]:
    wants = gate.direction is not None
    last = int(gate.negated) | wants << 1 | (gate.direction or 0) << 2 | gate.priority << 5
    return gate.tests, gate.not_tests, gate.gates | gate.not_gates << 16, last


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def unpack(words: Words) -> Program:
    """The program of which these are the words, as read back from a board. Raises IcsortError where a word is missing.

    A polygon's edges behind its last corner, which are never crossed, are left out.
    """
    try:
        return _unpack(words)
    except (KeyError, ValueError) as error:
        raise IcsortError(f"these words are no gate set (index {error}); set the gate again") from None


def of_classes(mask: int, threshold: int, classes: int = MAX_CLASSES) -> Program:
    """The gate set with one gate: best class in the set `mask`, posterior at least `threshold` / 65536: direction 0."""
    test = Test(Kind.RANGE, Axis(VALUE_POSTERIOR), low=(threshold, INT32[0]), class_set=0)
    return Program((mask,), (test,), (Gate(1, direction=0),), classes=classes)


def _unpack(words: Words) -> Program:
    counts = words[INDEX_COUNTS]
    tests, gates, sets = counts & 255, counts >> 8 & 255, counts >> 16 & 255
    masks = [0] * sets
    classes = 0
    for c in range(MAX_CLASSES):
        if INDEX_CLASS + c in words:
            classes = c + 1
            for number in range(sets):
                masks[number] |= (words[INDEX_CLASS + c] >> number & 1) << c
    scales = []
    for number in range(SCALES):
        at = INDEX_SCALE + number * PIECES
        if at in words:
            table = [words[at + piece] for piece in range(PIECES)]
            scales.append(Scale(tuple(word & 0xFFFF for word in table), tuple(word >> 16 for word in table)))
    return Program(
        tuple(masks),
        tuple(_test(words, number * TEST_WORDS) for number in range(tests)),
        tuple(_read_gate(words, INDEX_GATE + number * GATE_WORDS) for number in range(gates)),
        tuple(scales),
        classes,
    )


def _read_axis(word: int) -> Axis:
    return Axis(word & 255, word >> 8 & 15, word >> 12 & 7, word >> 15 & 31, _signed(word >> 20, 12))


def _test(words: Words, at: int) -> Test:
    flags = words[at + WORD_FLAGS]
    kind = Kind(flags & 3)
    class_set = flags >> 9 & 7 if flags >> 8 & 1 else None
    x, y = _read_axis(words[at + WORD_X]), _read_axis(words[at + WORD_Y])
    if kind is Kind.RANGE:
        low_x, high_x, low_y, high_y = (
            _signed(words[at + word], 32) for word in (WORD_LOW_X, WORD_HIGH_X, WORD_LOW_Y, WORD_HIGH_Y)
        )
        return Test(kind, x, y, (low_x, low_y), (high_x, high_y), class_set)
    edges = []
    for corner in range(CORNERS):
        whole = sum(words[at + 4 * corner + slot] << 32 * slot for slot in range(3))
        edges.append(
            Edge(
                _signed(whole & 0x7FFF, 15),
                -(whole >> 15) & SLOPE_MAX,
                _signed(whole >> 29 & 2**29 - 1, 29),
                whole >> 58 & COORDINATE_MAX,
            )
        )
    while len(edges) > (2 if kind is Kind.ELLIPSE else 3) and edges[-1] == Edge(0, 0, 0, edges[0].corner_y):
        edges.pop()
    return Test(kind, x, y, class_set=class_set, edges=tuple(edges), shifts=(flags >> 2 & 7, flags >> 5 & 7))


def _read_gate(words: Words, at: int) -> Gate:
    tests, not_tests, gates, last = (words[at + word] for word in range(GATE_WORDS))
    direction = last >> 2 & 7 if last >> 1 & 1 else None
    return Gate(tests, not_tests, gates & 0xFFFF, gates >> 16, bool(last & 1), direction, last >> 5 & 7)


# Geometry in coordinates


def polygon(corners: Sequence[tuple[int, int]]) -> tuple[Edge, ...]:
    """Edges of a polygon with these corners (x, y), each 0..16383, closed behind the last one."""
    edges = []
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        sign = -1 if y1 < y0 else 1
        slope_x, slope_y = sign * (x1 - x0), sign * (y1 - y0)
        edges.append(Edge(slope_x, slope_y, slope_y * x0 - slope_x * y0 - 1, y0))
    return tuple(edges)


def code_of(value: int, mantissa: int, octaves: int) -> int:
    """Code of the piece that a value lies in, before `start` is taken off."""
    return int(_codes(np.asarray([value], dtype=np.int64), mantissa, octaves)[0][0])


def knot(code: int, mantissa: int, octaves: int) -> float:
    """The value at which the piece of a code begins, a real number: its first, or of negative values the one before.

    The piece ends at the next code's knot, that of code -1 at -1.
    """
    magnitude = code if code >= 0 else -1 - code
    exponent, rest = magnitude >> mantissa, magnitude & (1 << mantissa) - 1
    width = 2.0 ** (max(0, exponent - 1) + OCTAVES_MAX - octaves - mantissa)
    first = (rest + (1 << mantissa if exponent else 0)) * width
    return first if code >= 0 else -1 - width - first


def _codes(values: NDArray[np.int64], mantissa: int, octaves: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code and 17 bits of fraction of each value."""
    negative = values < 0
    m = np.where(negative, ~values, values)
    zeros = 31 - np.frexp(m.astype(np.float64))[1].astype(np.int64)
    shift = np.minimum(zeros, octaves)
    normalised = m << shift
    exponent = octaves - shift + (zeros <= octaves)
    code = (exponent << MANTISSA_MAX | normalised >> 24 & 63) >> MANTISSA_MAX - mantissa
    fraction = (normalised << mantissa & 2**30 - 1) >> 30 - FRACTION_BITS
    ones = 2**FRACTION_BITS - 1
    return np.where(negative, ~code, code), np.where(negative, fraction ^ ones, fraction)


def coordinate(values: ArrayLike, axis: Axis, scale: Scale) -> NDArray[np.int64]:
    """Coordinates of values, (E,) signed integers of 32 bits, on a scale that `check` accepts: 0..16383."""
    code, fraction = _codes(np.asarray(values, dtype=np.int64), axis.mantissa, axis.octaves)
    piece = np.clip(code - axis.start, 0, PIECES - 1)
    return np.asarray(scale.base, np.int64)[piece] + (
        fraction * np.asarray(scale.rise, np.int64)[piece] >> FRACTION_BITS
    )


# Evaluation


@dataclass(frozen=True)
class Result:
    """What the engine makes of E events. tests: (E, T) bool; gates: (E, G) bool.

    direction: (E,) 0..5, or -1 where none is asked for; ambiguous: (E,) two gates of the highest priority are true, or
    one of it is unknown.
    """

    tests: NDArray[np.bool_]
    gates: NDArray[np.bool_]
    direction: NDArray[np.int64]
    ambiguous: NDArray[np.bool_]


def values_of(
    logits: ArrayLike,
    program: Program,
    multiplier: int,
    shift: int,
    *,
    features: ArrayLike | None = None,
    length: ArrayLike = 0,
    interval: ArrayLike = INTERVAL_MAX,
) -> NDArray[np.int32]:
    """All values of E events, (E, 256) int32.

    logits: (E, N) integers. multiplier, shift: of `gate.calibrate`. features: (E, F) integers of 32 bits. length: (E,)
    lines. interval: (E,) cycles since the event before, limited to 2**31 - 1.
    """
    table = np.asarray(logits)
    values = np.zeros((len(table), VALUES), np.int32)
    if program.class_sets:
        of_sets = posteriors(table, program.class_sets, multiplier, shift)
        values[:, VALUE_POSTERIOR : VALUE_POSTERIOR + len(program.class_sets)] = of_sets
    values[:, VALUE_LENGTH] = length
    values[:, VALUE_INTERVAL] = np.minimum(interval, INTERVAL_MAX)
    values[:, VALUE_LOGIT : VALUE_LOGIT + table.shape[1]] = table
    if features is not None:
        columns = np.asarray(features)
        values[:, VALUE_FEATURE : VALUE_FEATURE + columns.shape[1]] = columns
    return values


def intervals(times: ArrayLike) -> NDArray[np.int64]:
    """(E,) cycles since the event before, of events at these times, as the engine takes them; the most there is of the
    first."""
    apart = np.diff(np.asarray(times, np.int64))
    return np.concatenate([[INTERVAL_MAX], np.minimum(apart, INTERVAL_MAX)])[: np.size(times)]


def evaluate(program: Program, values: ArrayLike, best: ArrayLike, known: ArrayLike = VALUES) -> Result:
    """Tests, gates and direction of E events.

    values: (E, 256), as `values_of` gives them. best: (E,) index of the best class, the lowest at ties. known: from
    which index on an event, or each of them, (E,), has no values: VALUE_FEATURE where it has no features. Raises
    IcsortError for a program that the engine cannot hold.
    """
    check(program)
    table, classes = np.asarray(values), np.asarray(best)
    doubts = unknown_tests(program, known, len(table))
    tests = np.stack([_evaluate_test(program, test, table, classes) for test in program.tests], axis=1)
    return combine(program, tests, doubts)


def unknown_tests(program: Program, known: ArrayLike, events: int) -> NDArray[np.bool_]:
    """Which tests look at a value that an event does not have, (E, T). known: as in `evaluate`."""
    limit = np.broadcast_to(np.asarray(known), events)
    return np.stack([limit <= max(test.x.value, test.y.value) for test in program.tests], axis=1)


def combine(program: Program, tests: NDArray[np.bool_], doubts: NDArray[np.bool_]) -> Result:
    """Gates and direction of E events from what tests say, (E, T), and whether that is unknown, (E, T)."""
    tests = tests & ~doubts
    gates = np.zeros((len(tests), len(program.gates)), np.bool_)
    unknown = np.zeros_like(gates)
    highest = np.full(len(tests), -1)
    direction = np.full(len(tests), -1)
    ambiguous = np.zeros(len(tests), np.bool_)
    for number, gate in enumerate(program.gates):
        true, doubt = np.ones(len(tests), np.bool_), np.zeros(len(tests), np.bool_)
        members = (gate.tests, gate.not_tests, tests, doubts), (gate.gates, gate.not_gates, gates, unknown)
        for named, negated, of, of_doubt in members:
            for bit in range(named.bit_length()):
                if named >> bit & 1:
                    true &= of[:, bit] ^ bool(negated >> bit & 1)
                    doubt |= of_doubt[:, bit]
        gates[:, number] = (true ^ gate.negated) & ~doubt
        unknown[:, number] = doubt
        if gate.direction is not None:
            hit = gates[:, number] | doubt
            ambiguous = np.where(hit & (highest <= gate.priority), doubt | (highest == gate.priority), ambiguous)
            direction = np.where(hit & (highest < gate.priority), gate.direction, direction)
            highest = np.where(hit, np.maximum(highest, gate.priority), highest)
    return Result(tests, gates, np.where(ambiguous, -1, direction), ambiguous)


def _evaluate_test(
    program: Program, test: Test, values: NDArray[np.int32], best: NDArray[np.int64]
) -> NDArray[np.bool_]:
    x, y = (values[:, axis.value].astype(np.int64) for axis in (test.x, test.y))
    if test.kind is Kind.RANGE:
        inside = (test.low[0] <= x) & (x <= test.high[0]) & (test.low[1] <= y) & (y <= test.high[1])
        if test.class_set is not None:
            mask = program.class_sets[test.class_set]
            inside &= np.asarray([bool(mask >> c & 1) for c in range(MAX_CLASSES)])[best]
        return inside
    x, y = (coordinate(v, axis, program.scales[axis.scale]) for v, axis in ((x, test.x), (y, test.y)))
    sums = [edge.slope_x * y - edge.slope_y * x + edge.c for edge in test.edges]
    if test.kind is Kind.ELLIPSE:
        u, v = (total >> SHIFT_STEP * shift for total, shift in zip(sums, test.shifts, strict=True))
        within = (np.abs(u + 0.5) < 2 * RADIUS) & (np.abs(v + 0.5) < 2 * RADIUS)  # 15 bits, signed
        return np.asarray(within & (u * u + v * v < RADIUS**2))
    above = [edge.corner_y > y for edge in test.edges]
    inside = np.zeros(len(values), np.bool_)
    for number, total in enumerate(sums):
        inside ^= (above[number] != above[(number + 1) % len(above)]) & (total >= 0)
    return inside
