# SPDX-License-Identifier: Apache-2.0
"""A gate set as a file: tests, gates, directions, and scales by name, in TOML.

Coordinates of ranges, polygons and ellipses are those of the axis they were drawn on: of the scale that an axis names,
or, without one, the value's own unit. Scales are those of Gating-ML 2.0 (Spidlen et al. 2015, Cytometry A 87:683), with
its T, M, W and A:

* linear     (x + A) / (T + A)
* log        log10(x / T) / M + 1
* arcsinh    (asinh(x * sinh(M ln 10) / T) + A ln 10) / ((M + A) ln 10)
* logicle    of Moore and Parks 2012 (Cytometry A 81:273)
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from icsort.formats.document import Document, Name, Strict, parse_toml, read_toml, refusals
from icsort.formats.gate import posterior_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT: Final = "icsort-gate-set"
VERSION: Final = 1
HEAD: Final = f'format = "{FORMAT}"'
"""What a file that `to_toml` made begins with."""
REMEDY: Final = "docs/gates.md says what a gate set holds"
NEWTON_STEPS: Final = 60

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Decades = Annotated[float, Field(gt=0, le=100)]
"""More would overflow."""
Point = tuple[float, float]


class Linear(Strict):
    """(x + a) / (t + a)."""

    kind: Literal["linear"]
    t: Positive
    a: NotNegative = 0.0

    def to_axis(self, x: "NDArray[Any]") -> "NDArray[Any]":
        return (x + self.a) / (self.t + self.a)

    def from_axis(self, y: "NDArray[Any]") -> "NDArray[Any]":
        return y * (self.t + self.a) - self.a


class Log(Strict):
    """log10(x / t) / m + 1; minus infinity where x is not positive."""

    kind: Literal["log"]
    t: Positive
    m: Decades

    def to_axis(self, x: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        with np.errstate(divide="ignore"):
            return np.asarray(np.log10(np.maximum(x, 0) / self.t) / self.m + 1)

    def from_axis(self, y: "NDArray[Any]") -> "NDArray[Any]":
        return self.t * 10 ** ((y - 1) * self.m)


class Arcsinh(Strict):
    """(asinh(x sinh(m ln 10) / t) + a ln 10) / ((m + a) ln 10)."""

    kind: Literal["arcsinh"]
    t: Positive
    m: Decades
    a: Annotated[float, Field(ge=0, le=100)] = 0.0

    def to_axis(self, x: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        ln10 = math.log(10)
        return (np.arcsinh(x * (math.sinh(self.m * ln10) / self.t)) + self.a * ln10) / ((self.m + self.a) * ln10)

    def from_axis(self, y: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        ln10 = math.log(10)
        return np.sinh(y * ((self.m + self.a) * ln10) - self.a * ln10) * (self.t / math.sinh(self.m * ln10))


class Logicle(Strict):
    """The inverse of x = a e^(b y) - c e^(-d y) - f for x >= 0, and its mirror image below, as in Moore's own program.

    Linear about 0, logarithmic far from it.
    """

    kind: Literal["logicle"]
    t: Positive
    m: Decades
    w: NotNegative
    a: float = 0.0

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.w > self.m / 2 or not -self.w <= self.a <= self.m - 2 * self.w:
            raise ValueError("w must be at most m / 2, and a within -w and m - 2 w")
        return self

    def constants(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c, d, f, and the place of 0."""
        b = (self.m + self.a) * math.log(10)
        w = self.w / (self.m + self.a)
        zero = self.a / (self.m + self.a) + w
        # d solves 2 (ln d - ln b) + w (b + d) = 0; it is at most b, and the left side rises with d.
        low, high = 0.0, b
        while w and low < (middle := (low + high) / 2) < high:
            if 2 * (math.log(middle) - math.log(b)) + w * (b + middle) > 0:
                high = middle
            else:
                low = middle
        d = high
        c_a = math.exp((zero + w) * (b + d))
        f_a = math.exp(b * zero) - c_a / math.exp(d * zero)
        a = self.t / (math.exp(b) - f_a - c_a / math.exp(d))
        return a, b, c_a * a, d, f_a * a, zero

    def from_axis(self, y: "NDArray[Any]") -> "NDArray[Any]":
        import numpy as np

        a, b, c, d, f, zero = self.constants()
        place = zero + np.abs(np.asarray(y) - zero)
        x = a * np.exp(b * place) - c * np.exp(-d * place) - f
        return np.where(np.asarray(y) < zero, -x, x)

    def to_axis(self, x: "NDArray[Any]") -> "NDArray[Any]":
        """Newton's method within a bracket that each step narrows: x rises with y everywhere."""
        import numpy as np

        a, b, c, d, f, zero = self.constants()
        wanted = np.abs(np.asarray(x, np.float64))
        high = np.full(wanted.shape, zero + 1 + float(np.log1p(wanted.max(initial=0) / self.t)) / b)
        low = np.full(wanted.shape, zero)
        y = np.clip(np.log((wanted + f + c) / a) / b, low, high)
        for _ in range(NEWTON_STEPS):
            up, down = a * np.exp(b * y), c * np.exp(-d * y)
            error = up - down - f - wanted
            low, high = np.where(error <= 0, y, low), np.where(error >= 0, y, high)
            step = y - error / (b * up + d * down)
            following = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            if np.array_equal(following, y):
                break
            y = following
        return np.where(np.asarray(x) < 0, 2 * zero - y, y)


AnyScale = Annotated[Linear | Log | Arcsinh | Logicle, Field(discriminator="kind")]


class Axis(Strict):
    """A value, by its name or as the posterior of some classes, and the scale it is seen through."""

    value: Name | None = None
    classes: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    scale: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.classes is None):
            raise ValueError("an axis has either `value`, a value's name, or `classes`, whose posterior is meant")
        return self

    def __str__(self) -> str:
        return self.value or "posterior of " + ", ".join(self.classes or ())


class Bounds(Axis):
    """An axis of a range: at least `min` and at most `max`, either may be left out."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no event would pass")
        return self


class ClassTest(Strict):
    """The posterior of these classes together is at least `posterior`.

    best: the best class must be of them as well.
    """

    name: Name
    kind: Literal["class"]
    classes: Annotated[tuple[Name, ...], Field(min_length=1)]
    posterior: Annotated[float, Field(ge=0, le=1)] = 0.0
    best: bool = True


class RangeTest(Strict):
    """x, and y where it is given, within their bounds, which belong to the range."""

    name: Name
    kind: Literal["range"]
    x: Bounds
    y: Bounds | None = None


class PolygonTest(Strict):
    """The point (x, y) is inside the corners, even-odd, closed behind the last one."""

    name: Name
    kind: Literal["polygon"]
    x: Axis
    y: Axis
    corners: Annotated[tuple[Point, ...], Field(min_length=3)]

    @model_validator(mode="after")
    def _simple(self) -> Self:
        corners = self.corners
        if len(set(corners)) != len(corners):
            raise ValueError("a corner is there twice; a polygon closes by itself, behind the last corner")
        crossing = _crossing(corners)
        if crossing:
            raise ValueError(
                f"the edges from corners {crossing[0]} and {crossing[1]} cross; give the corners in their order"
            )
        return self


class EllipseTest(Strict):
    """The point (x, y) is inside the ellipse.

    radii: along its axes. angle: of the first one to x, degrees, counterclockwise.
    """

    name: Name
    kind: Literal["ellipse"]
    x: Axis
    y: Axis
    center: Point
    radii: tuple[Positive, Positive]
    angle: float = 0.0


AnyTest = Annotated[ClassTest | RangeTest | PolygonTest | EllipseTest, Field(discriminator="kind")]


class GateSpec(Strict):
    """All, or any, of tests and other gates by their names; "not " in front of a name negates it."""

    name: Name
    all: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    any: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.all is None) == (self.any is None):
            raise ValueError("a gate has either `all` or `any`, with the names of at least one test or gate")
        return self

    @property
    def members(self) -> tuple[tuple[str, bool], ...]:
        """Name and whether it is negated, of each."""
        words = self.all or self.any or ()
        return tuple((word.removeprefix("not ").strip(), word.startswith("not ")) for word in words)


class Direction(Strict):
    """Events of a gate go to an output, 0..5. priority: where several gates hold, the highest one, 0..7, decides."""

    output: Annotated[int, Field(ge=0, le=5)]
    gate: Name
    priority: Annotated[int, Field(ge=0, le=7)] = 0


class GateSet(Document):
    """A gate set. Names of tests and gates are one set of names; each gate drives at most one direction."""

    format: Literal["icsort-gate-set"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    name: str = ""
    scales: dict[Name, AnyScale] = Field(default_factory=dict)
    tests: Annotated[tuple[AnyTest, ...], Field(min_length=1)]
    gates: Annotated[tuple[GateSpec, ...], Field(min_length=1)]
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        names = [test.name for test in self.tests] + [gate.name for gate in self.gates]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name {name!r} is there twice; tests and gates share one set of names")
            if name.startswith("not "):
                raise ValueError(f"a name must not begin with 'not ': {name!r}")
        for gate in self.gates:
            for member, _ in gate.members:
                if member not in names:
                    raise ValueError(f"gate {gate.name!r} names {member!r}, which is no test and no gate of this set")
        order(self.gates)
        for test in self.tests:
            for axis in (getattr(test, "x", None), getattr(test, "y", None)):
                if axis is not None and axis.scale is not None and axis.scale not in self.scales:
                    raise ValueError(f"test {test.name!r} names the scale {axis.scale!r}, which is not there")
        known = [gate.name for gate in self.gates]
        for direction in self.directions:
            if direction.gate not in known:
                raise ValueError(f"direction {direction.output} names {direction.gate!r}, which is no gate of this set")
        used = [f"output {direction.output}" for direction in self.directions]
        used += [f"gate {direction.gate!r}" for direction in self.directions]
        for one in used:
            if used.count(one) > 1:
                raise ValueError(f"{one} has two directions; one gate drives one output")
        return self


def of_classes(classes: list[str] | tuple[str, ...], posterior: float) -> GateSet:
    """The gate of `icsort gate set CLASS... --posterior P`: output 0, if the best class is of these and sure enough.

    Raises IcsortError for a posterior that is none.
    """
    posterior_threshold(posterior)
    with refusals("gate", "give classes of the model and a posterior within 0..1"):
        return GateSet(
            name=", ".join(classes),
            tests=(
                ClassTest(name="classes", kind="class", classes=tuple(dict.fromkeys(classes)), posterior=posterior),
            ),
            gates=(GateSpec(name="sort", all=("classes",)),),
            directions=(Direction(output=0, gate="sort"),),
        )


def gate_names(path: Path) -> tuple[str, ...]:
    """Of a file's gates, in the order of the records' bits. Raises IcsortError as `load`."""
    return tuple(gate.name for gate in order(load(path).gates))


def order(gates: tuple[GateSpec, ...]) -> list[GateSpec]:
    """Gates so that each comes behind those it names. Raises ValueError for a circle."""
    named = {gate.name: gate for gate in gates}
    ordered: list[GateSpec] = []
    done: set[str] = set()

    def visit(gate: GateSpec, path: tuple[str, ...]) -> None:
        if gate.name in path:
            circle = [*path[path.index(gate.name) :], gate.name]
            raise ValueError(f"gates name each other in a circle: {' -> '.join(circle)}")
        if gate.name in done:
            return
        for member, _ in gate.members:
            if member in named:
                visit(named[member], (*path, gate.name))
        done.add(gate.name)
        ordered.append(gate)

    for gate in gates:
        visit(gate, ())
    return ordered


def load(path: Path) -> GateSet:
    """Read a gate set. Raises IcsortError, one line with file, key and remedy, for a file that is none."""
    return read_toml(GateSet, path, REMEDY)


def parse(text: str, where: str) -> GateSet:
    """A gate set from TOML. where: what messages begin with. Raises IcsortError."""
    return parse_toml(GateSet, text, where, REMEDY)


def to_toml(document: GateSet) -> str:
    """As a file: `parse` gives the same gate set."""
    plain = document.to_json()
    tables = {key: plain.pop(key) for key in ("scales", "tests", "gates", "directions")}
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for name, scale in tables.pop("scales").items():
        lines += ["", f"[scales.{_toml(name)}]", *_fields(scale)]
    for key, entries in tables.items():
        for entry in entries:
            lines += ["", f"[[{key}]]", *_fields(entry)]
    return "\n".join(lines) + "\n"


def _fields(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(_fields(value))}}}"
    return repr(value)


def _crossing(corners: tuple[Point, ...]) -> tuple[int, int] | None:
    """Two edges, by their first corners, that meet elsewhere than at a corner they share, or lie on each other."""
    count = len(corners)

    def side(p: Point, q: Point, r: Point) -> int:
        cross = (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])
        return (cross > 0) - (cross < 0)

    def between(p: Point, q: Point, r: Point) -> bool:
        return min(p[0], q[0]) <= r[0] <= max(p[0], q[0]) and min(p[1], q[1]) <= r[1] <= max(p[1], q[1])

    for i in range(count):
        a, b = corners[i], corners[(i + 1) % count]
        for j in range(i + 1, count):
            c, d = corners[j], corners[(j + 1) % count]
            if j == i + 1 or (i == 0 and j == count - 1):  # they share a corner: the others must not lie on the edges
                shared, one, other = (b, a, d) if j == i + 1 else (a, b, c)
                if side(shared, one, other) == 0 and (between(shared, one, other) or between(shared, other, one)):
                    return i, j
                continue
            sides = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
            if sides[0] != sides[1] and sides[2] != sides[3]:
                return i, j
            if any(
                s == 0 and between(p, q, r)
                for s, (p, q, r) in zip(sides, ((a, b, c), (a, b, d), (c, d, a), (c, d, b)), strict=True)
            ):
                return i, j
    return None
