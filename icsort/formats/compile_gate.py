# SPDX-License-Identifier: Apache-2.0
"""From a gate set in words to what the gate engine holds, and in words what its integers change."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.gate import class_mask, posterior_threshold
from icsort.formats.gate_set import (
    AnyTest,
    Axis,
    Bounds,
    ClassTest,
    Direction,
    EllipseTest,
    GateSet,
    GateSpec,
    Log,
    PolygonTest,
    RangeTest,
    order,
)
from icsort.formats.recording import output_names
from icsort.sim.bit_true import features as of_features
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate import POSTERIOR_ONE

if TYPE_CHECKING:
    from icsort.formats.package import Manifest

LENGTH: Final = "event length"
INTERVAL: Final = "time since the event before"
COORDINATE_LOW: Final = 1
"""Coordinates of an axis's ends; 0 and 16383 are those of values beyond them, which no shape reaches."""
COORDINATE_HIGH: Final = engine.COORDINATE_MAX - 1
MOST_OFF: Final = 0.01
"""By which a scale may miss its axis, of the part that shapes use."""
SAMPLES: Final = 8
MOST_PIECES: Final = engine.PIECES - 2
"""The first and the last piece are for values beyond the axis's ends."""

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """A value of the engine's table: the integer times `unit_value` is in `unit`."""

    index: int
    unit_value: float
    unit: str


@dataclass(frozen=True)
class Board:
    """What gates are compiled for: values by name, classes in their order.

    of_values: the network's outputs are values, named by `classes`; no gate may ask for a class or a posterior.
    """

    values: Mapping[str, Value]
    classes: tuple[str, ...]
    of_values: bool = False


def board_values(
    manifest: "Manifest",
    clock_hz: float,
    features: bool = False,
) -> Board:
    """Values that a board has.

    clock_hz: of the board, so that times are in us. features: whether its build has them.
    """
    values = {
        LENGTH: Value(engine.VALUE_LENGTH, 1.0, "lines"),
        INTERVAL: Value(engine.VALUE_INTERVAL, 1e6 / clock_hz, "us"),
    }
    units = [value.unit for value in manifest.values] or ["natural log"] * len(manifest.classes)
    outputs = zip(output_names(manifest), manifest.unit_values, units, strict=True)
    for index, (name, unit_value, unit) in enumerate(outputs):
        values[name] = Value(engine.VALUE_LOGIT + index, unit_value, unit)
    if features:
        channels = len(manifest.channels)
        factors = of_features.scales(channels).tolist()
        named = zip(of_features.names(manifest.channels), factors, of_features.units(channels), strict=True)
        for index, (name, unit_value, unit) in enumerate(named):
            values[name] = Value(engine.VALUE_FEATURE + index, unit_value, unit)
    return Board(values, manifest.classes, bool(manifest.values))


@dataclass(frozen=True)
class Compiled:
    """A gate set as the engine holds it.

    changes: a line for each axis or test, what its integers select exactly, or by how much a scale misses its axis.
    """

    source: GateSet
    program: engine.Program
    words: dict[int, int]
    changes: tuple[str, ...]

    @property
    def identity(self) -> str:
        """CRC-32 of the words, as the board shows it: 8 hex digits."""
        return f"{self.words[engine.INDEX_ID]:08x}"


@dataclass
class _Table:
    """A scale under way: the axis function of one value's integers, and the part of the axis that shapes reach into."""

    name: str
    value: Value
    to_axis: Callable[[Reals], Reals]
    from_axis: Callable[[Reals], Reals]
    positive: bool
    low: float = math.inf
    high: float = -math.inf
    index: int = 0
    mantissa: int = 0
    octaves: int = 0
    start: int = 0
    last: int = 0
    off: float = 0.0
    bottom: float = 0.0
    step: float = 1.0
    scale: engine.Scale = field(default_factory=lambda: engine.Scale((), ()))

    def place(self, axis: float | Reals) -> Any:
        """Coordinate of a place on the axis, a real number."""
        return (axis - self.bottom) / self.step + COORDINATE_LOW

    def axis(self) -> engine.Axis:
        return engine.Axis(self.value.index, self.index, self.mantissa, self.octaves, self.start)


class _Compiler:
    def __init__(self, source: GateSet, board: Board) -> None:
        self.source = source
        self.board = board
        self.sets: list[int] = []
        self.tables: dict[tuple[int, str | None], _Table] = {}
        self.changes: list[str] = []

    def compile(self) -> Compiled:
        # Class sets in the order of the tests: the record's posterior is that of the first one.
        for test in self.source.tests:
            for axis in _axes(test):
                if axis.classes is not None:
                    self.class_set(axis.classes)
            if isinstance(test, ClassTest):
                self.class_set(test.classes)
        for test in self.source.tests:
            self.reach(test)
        if len(self.tables) > engine.SCALES:
            raise IcsortError(
                f"polygons and ellipses see {len(self.tables)} pairs of a value and a scale, more than the "
                f"{engine.SCALES} of the gate engine; use fewer"
            )
        for index, table in enumerate(self.tables.values()):
            table.index = index
            _build(table)
        tests = tuple(self.test(test) for test in self.source.tests)
        program = engine.Program(
            tuple(self.sets),
            tests,
            self.gates(),
            tuple(table.scale for table in self.tables.values()),
            len(self.board.classes),
        )
        return Compiled(self.source, program, program.words(), tuple(self.changes))

    def class_set(self, classes: Sequence[str]) -> int:
        if self.board.of_values:
            raise IcsortError(
                f"the model has no classes, it predicts {', '.join(self.board.classes)}: give a gate set with a range "
                f'of the value, such as x = {{value = "{self.board.classes[0]}", min = ..}}'
            )
        mask = class_mask(classes, self.board.classes)
        if mask not in self.sets:
            if len(self.sets) == engine.CLASS_SETS:
                raise IcsortError(
                    f"tests name more than the {engine.CLASS_SETS} class sets of the gate engine; use fewer"
                )
            self.sets.append(mask)
        return self.sets.index(mask)

    def value(self, test: str, axis: Axis) -> Value:
        if axis.classes is not None:
            return Value(engine.VALUE_POSTERIOR + self.class_set(axis.classes), 1 / POSTERIOR_ONE, "")
        try:
            return self.board.values[axis.value or ""]
        except KeyError:
            raise IcsortError(
                f"test {test!r}: this board has no value {axis.value!r}; it has: {', '.join(self.board.values)}"
            ) from None

    def table(self, test: str, axis: Axis) -> _Table:
        value = self.value(test, axis)
        key = value.index, axis.scale
        if key not in self.tables:
            scale = None if axis.scale is None else self.source.scales[axis.scale]
            unit = value.unit_value
            self.tables[key] = _Table(
                f"{axis}" + (f" through {axis.scale}" if axis.scale else ""),
                value,
                (lambda v: v * unit) if scale is None else (lambda v: scale.to_axis(v * unit)),
                (lambda g: g / unit) if scale is None else (lambda g: scale.from_axis(g) / unit),
                isinstance(scale, Log),
            )
        return self.tables[key]

    def reach(self, test: AnyTest) -> None:
        """Widen the scales of a shape to all of it."""
        if isinstance(test, PolygonTest):
            boxes = [(min(places), max(places)) for places in zip(*test.corners, strict=True)]
        elif isinstance(test, EllipseTest):
            turn = math.radians(test.angle)
            half = (
                math.hypot(test.radii[0] * math.cos(turn), test.radii[1] * math.sin(turn)),
                math.hypot(test.radii[0] * math.sin(turn), test.radii[1] * math.cos(turn)),
            )
            boxes = [(c - h, c + h) for c, h in zip(test.center, half, strict=True)]
        else:
            return
        for axis, (low, high) in zip((test.x, test.y), boxes, strict=True):
            table = self.table(test.name, axis)
            table.low, table.high = min(table.low, low), max(table.high, high)

    def test(self, test: AnyTest) -> engine.Test:
        if isinstance(test, ClassTest):
            number = self.class_set(test.classes)
            threshold = posterior_threshold(test.posterior)
            best = ", and the best class is of them" if test.best else ""
            self.changes.append(
                f"{test.name}: posterior of {', '.join(test.classes)} at least {threshold}/65536 = "
                f"{threshold / 65536:.6g}{best}"
            )
            return engine.Test(
                engine.Kind.RANGE,
                engine.Axis(engine.VALUE_POSTERIOR + number),
                low=(threshold, engine.INT32[0]),
                class_set=number if test.best else None,
            )
        if isinstance(test, RangeTest):
            x_low, x_high = self.bounds(test.name, test.x)
            y_low, y_high = engine.INT32 if test.y is None else self.bounds(test.name, test.y)
            y = 0 if test.y is None else self.value(test.name, test.y).index
            return engine.Test(
                engine.Kind.RANGE,
                engine.Axis(self.value(test.name, test.x).index),
                engine.Axis(y),
                (x_low, y_low),
                (x_high, y_high),
            )
        tables = self.table(test.name, test.x), self.table(test.name, test.y)
        off = ", ".join(
            f"{table.name}: at most {(table.off + 0.5) * table.step:.3g} of the axis, whose steps are {table.step:.3g}"
            for table in tables
        )
        self.changes.append(f"{test.name}: {off}")
        if isinstance(test, PolygonTest):
            corners = [(round(tables[0].place(x)), round(tables[1].place(y))) for x, y in test.corners]
            # What coincides is one corner: edges without a length.
            distinct = [c for i, c in enumerate(corners) if c != corners[i - 1]]
            if len(distinct) > engine.CORNERS:
                raise IcsortError(
                    f"test {test.name!r} has {len(distinct)} corners, more than the {engine.CORNERS} of the gate "
                    "engine; use fewer"
                )
            area = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(distinct, [*distinct[1:], *distinct[:1]], strict=True))
            if len(distinct) < 3 or not area:
                raise IcsortError(
                    f"test {test.name!r}: the polygon has no area in the steps of its scales ({tables[0].step:.3g} by "
                    f"{tables[1].step:.3g}); draw it larger, or give it a value and scale of its own"
                )
            return engine.Test(engine.Kind.POLYGON, tables[0].axis(), tables[1].axis(), edges=engine.polygon(distinct))
        rows, shifts = _ellipse(test, tables)
        return engine.Test(engine.Kind.ELLIPSE, tables[0].axis(), tables[1].axis(), edges=rows, shifts=shifts)

    def bounds(self, test: str, axis: Bounds) -> tuple[int, int]:
        """Least and greatest integer of the value within the bounds: exactly the events that the axis says."""
        value = self.value(test, axis)
        unit = value.unit_value
        scale = None if axis.scale is None else self.source.scales[axis.scale]
        low, high = engine.INT32

        def place(v: int) -> float:
            at = np.asarray([v * unit])
            return float((at if scale is None else scale.to_axis(at))[0])

        if axis.min is not None:
            least = axis.min
            low = _first(lambda v: place(v) >= least)
        if axis.max is not None:
            most = axis.max
            high = _first(lambda v: place(v) > most) - 1
        if low > high:
            raise IcsortError(
                f"test {test!r}: no value of {axis} is within {axis.min} .. {axis.max}; give it other bounds"
            )
        self.changes.append(
            f"{test}: {axis} from {low * unit:.6g} to {high * unit:.6g} {value.unit}".rstrip()
            + f" ({low} to {high} counts), exactly the events within the bounds"
        )
        return low, high

    def gates(self) -> tuple[engine.Gate, ...]:
        tests = {test.name: bit for bit, test in enumerate(self.source.tests)}
        directions = {direction.gate: direction for direction in self.source.directions}
        ordered = order(self.source.gates)
        numbers = {gate.name: bit for bit, gate in enumerate(ordered)}
        return tuple(_gate(gate, tests, numbers, directions.get(gate.name)) for gate in ordered)


def compile_gate(source: GateSet, board: Board) -> Compiled:
    """What the engine holds for a gate set.

    Raises IcsortError, which names the test, for a class or value that is not there, a scale that the engine cannot
    hold, a polygon of too many corners or no area, a range without a value, and more of anything than the engine has.
    """
    return _Compiler(source, board).compile()


def _axes(test: AnyTest) -> list[Axis]:
    if isinstance(test, ClassTest):
        return []
    return [axis for axis in (test.x, test.y) if axis is not None]


def _first(holds: Callable[[int], bool]) -> int:
    """The least integer of 32 bits from which on it holds; one above the greatest where it never does."""
    low, high = engine.INT32[0], engine.INT32[1] + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _gate(
    gate: GateSpec, tests: Mapping[str, int], gates: Mapping[str, int], direction: Direction | None
) -> engine.Gate:
    masks = {"tests": 0, "not_tests": 0, "gates": 0, "not_gates": 0}
    alternatives = gate.any is not None  # not all of them false
    for member, negated in gate.members:
        kind, bit = ("tests", tests[member]) if member in tests else ("gates", gates[member])
        masks[kind] |= 1 << bit
        if negated != alternatives:
            masks[f"not_{kind}"] |= 1 << bit
    return engine.Gate(
        **masks,
        negated=alternatives,
        direction=None if direction is None else direction.output,
        priority=0 if direction is None else direction.priority,
    )


def _build(table: _Table) -> None:
    """Choose the pieces of a scale, those that follow its axis best. Raises IcsortError where none do."""
    least, most = (1 if table.positive else engine.INT32[0]), engine.INT32[1]
    ends = np.asarray([table.low, table.high])
    # All integers of which a shape may have need, and one beyond.
    with np.errstate(over="ignore"):
        wanted = np.clip(np.nan_to_num(table.from_axis(ends), nan=0.0), least, most)
    low, high = max(least, math.floor(wanted[0]) - 1), min(most, math.ceil(wanted[1]) + 1)
    best = math.inf
    for mantissa in range(engine.MANTISSA_MAX + 1):
        # One more octave only splits pieces about 0, so the most that fit are best.
        for octaves in reversed(range(engine.OCTAVES_MAX + 1)):
            first = engine.code_of(low, mantissa, octaves)
            last = engine.code_of(high, mantissa, octaves)
            if last - first < MOST_PIECES:
                break
        else:
            continue
        begins, ends = _knots(mantissa, octaves, first, last)
        with np.errstate(over="ignore"):
            axis = table.to_axis(np.asarray([begins[0], ends[-1]]))
        if not np.isfinite(axis).all():
            continue
        bottom = min(table.low, float(axis[0]))
        step = (max(table.high, float(axis[1])) - bottom) / (COORDINATE_HIGH - COORDINATE_LOW)
        off = _off(table, begins, ends, step)
        if off < best:
            best = off
            table.mantissa, table.octaves, table.start = mantissa, octaves, first - 1
            table.bottom, table.step = bottom, step
            bases, tops = (np.rint(table.place(table.to_axis(places))).astype(int) for places in (begins, ends))
            beyond = engine.PIECES - 1 - len(bases)
            table.scale = engine.Scale(
                (0, *bases.tolist(), *[engine.COORDINATE_MAX] * beyond), (0, *(tops - bases).tolist(), *[0] * beyond)
            )
            table.last = last
    table.off = math.inf if math.isinf(best) else _measure(table, low, high)
    missed = (table.off + 0.5) * table.step
    if not missed <= MOST_OFF * (table.high - table.low):
        raise IcsortError(
            f"the scale of {table.name} cannot be held: between {table.low:g} and {table.high:g} of its axis the gate "
            f"engine's {engine.PIECES} pieces miss it by {missed:.2g}; draw gates on a scale that fits the value"
        )


def _knots(mantissa: int, octaves: int, first: int, last: int) -> tuple[Reals, Reals]:
    """Values where the pieces from code `first` to `last` begin and end."""
    knots = [engine.knot(code, mantissa, octaves) for code in range(first, last + 2)]
    ends = [-1.0 if code == -1 else knots[code + 1 - first] for code in range(first, last + 1)]
    return np.asarray(knots[:-1]), np.asarray(ends)


def _off(table: _Table, begins: Reals, ends: Reals, step: float) -> float:
    """Most by which straight pieces miss the axis, coordinates: at each piece's quarters."""
    shares = np.asarray([0.25, 0.5, 0.75])
    inner = begins[:, None] + (ends - begins)[:, None] * shares
    from_axis, to_axis = table.to_axis(begins), table.to_axis(ends)
    rises = to_axis - from_axis
    straight = from_axis[:, None] + rises[:, None] * shares
    # A piece's fraction has so many bits only.
    coarse = float(rises.max()) * 2.0**-engine.FRACTION_BITS
    return (float(np.abs(table.to_axis(inner) - straight).max()) + coarse) / step


def _measure(table: _Table, low: int, high: int) -> float:
    """Most by which the engine's coordinate misses the axis, over integers of all pieces."""
    begins, ends = _knots(table.mantissa, table.octaves, table.start + 1, table.last)
    inner = np.linspace(begins, ends, SAMPLES, endpoint=False)
    values = np.unique(np.clip(np.rint(inner), low, high).astype(np.int64))
    ideal = np.clip(table.place(table.to_axis(values.astype(np.float64))), 0, engine.COORDINATE_MAX)
    return float(np.abs(engine.coordinate(values, table.axis(), table.scale) - ideal).max())


def _ellipse(test: EllipseTest, tables: tuple[_Table, _Table]) -> tuple[tuple[engine.Edge, ...], tuple[int, int]]:
    """Rows of an ellipse: u, v are along its axes in 1 / 8192 of its radii."""
    turn = math.radians(test.angle)
    center = [table.place(place) for table, place in zip(tables, test.center, strict=True)]
    rows, shifts = [], []
    for along, radius in (
        ((math.cos(turn), math.sin(turn)), test.radii[0]),
        ((-math.sin(turn), math.cos(turn)), test.radii[1]),
    ):
        of_x, of_y = (engine.RADIUS * part * table.step / radius for part, table in zip(along, tables, strict=True))
        if of_x > 0:  # the sign of a row does not matter, and slope_y is not negative
            of_x, of_y = -of_x, -of_y
        for shift in reversed(range(engine.SHIFTS)):
            whole = 2 ** (engine.SHIFT_STEP * shift)
            slope_x, slope_y = round(of_y * whole), round(-of_x * whole)
            c = round(slope_y * center[0] - slope_x * center[1] + whole // 2)
            edge = engine.Edge(slope_x, slope_y, c)
            if engine.row_fits(edge):
                break
        else:
            raise IcsortError(
                f"test {test.name!r}: the ellipse is too small for the steps of its scales ({tables[0].step:.3g} by "
                f"{tables[1].step:.3g}); draw it larger, or give it a value and scale of its own"
            )
        rows.append(edge)
        shifts.append(shift)
    return tuple(rows), (shifts[0], shifts[1])
