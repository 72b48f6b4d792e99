# SPDX-License-Identifier: Apache-2.0
"""What the readers of FlowJo's and FACSDiva's files share: their populations as Gating-ML 2.0.

These programs draw on axes that have ends, and put all events below an axis on its lower end: a gate that reaches there
takes them as well. Ranges are free of scales: their bounds are told in the parameter's own unit.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import numpy as np
from pydantic import TypeAdapter

from icsort.errors import IcsortError
from icsort.formats.gate_set import AnyScale, Point
from icsort.formats.gating_ml import DATA_TYPE, SCALES, TRANSFORMS, finite, gating

Element = ElementTree.Element

REDRAW: Final = "draw its gates on a linear, log, logicle or arcsinh axis"
_SCALE: Final[TypeAdapter[AnyScale]] = TypeAdapter(AnyScale)


@dataclass(frozen=True)
class Axis:
    """How a program draws a parameter.

    place: from the program's coordinate to that on `scale`. value: to the parameter's own unit. low, high: coordinates
    at which all events below and above are drawn. beyond: a place below all that the axis shows. ends: places of the
    ends of a plot. note: what `scale` changes.
    """

    parameter: str
    scale: str | None = None
    place: Callable[[float], float] = float
    value: Callable[[float], float] = float
    low: float = -math.inf
    high: float = math.inf
    beyond: float = 0.0
    ends: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Population:
    """name: with those of its parents, "Live/Singlets". needs: other populations of which it is made."""

    name: str
    parent: str | None
    element: Element
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Converted:
    """A sample's populations as Gating-ML. notes: what the gates alone do not do."""

    root: Element
    notes: tuple[str, ...]


def fault(where: str, text: str) -> IcsortError:
    """In one line, whatever names are in it. where: the file."""
    return IcsortError(f"{where}: {_one_line(text)}")


def not_told(where: str, last: Sequence[str]) -> IcsortError:
    """last: the gates that no other one names."""
    names = ", ".join(last)
    return fault(where, f"does not say which gate is sorted; give --direction OUTPUT=GATE, with one of: {names}")


class GatingMl:
    """A Gating-ML 2.0 document under way. where: the file, with which messages begin. notes: what is told besides."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.root = Element(gating("Gating-ML"))
        self.notes: dict[str, None] = {}

    def error(self, text: str) -> IcsortError:
        return fault(self.where, text)

    def number(self, text: str | None, what: str) -> float:
        """Raises IcsortError for what is none."""
        return finite(text, what, self.error)

    def sample(self, samples: Iterable[tuple[str, str, Element]], wanted: str | None) -> Element:
        """One of the samples, each with name and what tells those of one name apart. Raises IcsortError, with what
        there is."""
        listed = list(samples)
        names = [name for name, _, _ in listed]
        labels = {name if names.count(name) == 1 else f"{name} ({apart})": element for name, apart, element in listed}
        if wanted is None and len(labels) == 1:
            return next(iter(labels.values()))
        if not labels:
            raise self.error("it has no samples")
        if wanted not in labels:
            what = f"has {len(labels)} samples" if wanted is None else f"has no sample {wanted!r}"
            raise self.error(f"{what}; give --sample with one of: {', '.join(labels)}")
        return labels[wanted]

    def needed(self, populations: Sequence[Population], wanted: Sequence[str]) -> list[Population]:
        """Those wanted, by default the only one that no other names, and all that they are made of."""
        named = {one.name: one for one in populations}
        if not named:
            raise self.error("it has no gates")
        if len(named) != len(populations):
            twice = next(one.name for one in populations if named[one.name] is not one)
            raise self.error(f"two gates have the name {twice!r}")
        if not wanted:
            inner = {name for one in populations for name in (one.parent, *one.needs)}
            wanted = [name for name in named if name not in inner]
            if len(wanted) != 1:
                raise not_told(self.where, wanted)
        done: dict[str, Population] = {}
        left = list(wanted)
        while left:
            name = left.pop()
            if name in done:
                continue
            if name not in named:
                raise self.error(f"has no gate {name!r}; its gates are: {', '.join(named)}")
            done[name] = named[name]
            left += [other for other in (named[name].parent, *named[name].needs) if other is not None]
        return [one for one in populations if one.name in done]

    def scale(self, name: str, kind: str, **letters: float) -> AnyScale:
        """One more, under this name. Raises ValueError for constants that make none."""
        scale = _SCALE.validate_python({"kind": kind, **letters})
        tag, order = SCALES[kind]
        identity = {f"{{{TRANSFORMS}}}id": name}
        transformation = ElementTree.SubElement(self.root, f"{{{TRANSFORMS}}}transformation", identity)
        constants = {f"{{{TRANSFORMS}}}{letter.upper()}": repr(letters[letter]) for letter in order}
        ElementTree.SubElement(transformation, f"{{{TRANSFORMS}}}{tag}", constants)
        return scale

    def converted(self, compensated: Iterable[str]) -> Converted:
        """The whole. compensated: parameters that the file compensates."""
        if names := ", ".join(compensated):
            self._note(f"{names}: compensation is not part of the gates; `icsort compensate` gives the board a matrix")
        return Converted(self.root, tuple(self.notes))

    @contextmanager
    def drawing(self, what: str) -> Iterator[None]:
        """Inside, what makes an axis or a gate. Raises IcsortError where its numbers make none."""
        try:
            yield
        except (ArithmeticError, ValueError):
            raise self.error(f"{what} has numbers that no scale can hold; {REDRAW}") from None

    def rectangle(
        self,
        name: str,
        parent: str | None,
        sides: Sequence[tuple[Axis, float | None, float | None]],
        inside: bool = True,
    ) -> None:
        """sides: axis, and the program's coordinates from and to which, of each dimension."""
        gate = self._shape("RectangleGate", name, parent, inside)
        for axis, least, most in sides:
            bounds = {}
            if least is not None and least > axis.low:
                bounds["min"] = axis.value(least)
            elif least is not None:
                self._reaches(name, axis, axis.low)
            if most is not None and most < axis.high:
                bounds["max"] = axis.value(most)
            elif most is not None:
                self._reaches(name, axis, axis.high)
            self._dimension(gate, axis.parameter, None, **bounds)

    def polygon(
        self, name: str, parent: str | None, axes: tuple[Axis, Axis], corners: Iterable[Point], inside: bool = True
    ) -> None:
        """corners: the program's coordinates. What is a rectangle is one here."""
        distinct = _distinct(list(corners))
        if len(distinct) < 3:
            raise self.error(f"polygon {name!r} has {len(distinct)} corners; three or more fit")
        columns = [sorted(set(column)) for column in zip(*distinct, strict=True)]
        if len(set(distinct)) == len(distinct) == 4 and all(
            a[0] == b[0] or a[1] == b[1] for a, b in zip(distinct, distinct[1:] + distinct[:1], strict=True)
        ):
            sides = [(axis, column[0], column[-1]) for axis, column in zip(axes, columns, strict=True)]
            self.rectangle(name, parent, sides, inside)
            return
        gate = self._shape("PolygonGate", name, parent, inside)
        points = [(axes[0].place(max(x, axes[0].low)), axes[1].place(max(y, axes[1].low))) for x, y in distinct]
        for number, axis in enumerate(axes):
            self._drawn(gate, axis)
            if any(corner[number] <= axis.low for corner in distinct):
                inner, points = points, _piled(points, number, axis.place(axis.low), axis.beyond)
                if points != inner:
                    self._reaches(name, axis, axis.low)
        points = _distinct(points)
        if len(points) < 3:
            raise self.error(f"polygon {name!r} is at the end of an axis; draw it within")
        for point in points:
            _coordinates(ElementTree.SubElement(gate, gating("vertex")), point)

    def ellipse(
        self,
        name: str,
        parent: str | None,
        axes: tuple[Axis, Axis],
        center: Point,
        radii: tuple[Point, Point],
        inside: bool = True,
    ) -> None:
        """center + cos t first radius + sin t second radius, places on the axes; a radius is a vector."""
        gate = self._shape("EllipsoidGate", name, parent, inside)
        for axis in axes:
            self._drawn(gate, axis)
        _coordinates(ElementTree.SubElement(gate, gating("mean")), center)
        matrix = ElementTree.SubElement(gate, gating("covarianceMatrix"))
        for one in range(2):
            row = ElementTree.SubElement(matrix, gating("row"))
            for other in range(2):
                entry = sum(radius[one] * radius[other] for radius in radii)
                ElementTree.SubElement(row, gating("entry"), {f"{{{DATA_TYPE}}}value": repr(entry)})
        ElementTree.SubElement(gate, gating("distanceSquare"), {f"{{{DATA_TYPE}}}value": "1.0"})

    def boolean(self, name: str, parent: str | None, operation: str, members: Sequence[str]) -> None:
        """operation: and, or, not; the last of several members is none of them."""
        within = ElementTree.SubElement(self._gate("BooleanGate", name, parent), gating(operation))
        for member in members:
            ElementTree.SubElement(within, gating("gateReference"), {gating("ref"): member})

    def _gate(self, tag: str, name: str, parent: str | None) -> Element:
        above = {} if parent is None else {gating("parent_id"): parent}
        return ElementTree.SubElement(self.root, gating(tag), {gating("id"): name, **above})

    def _shape(self, tag: str, name: str, parent: str | None, inside: bool) -> Element:
        if inside:
            return self._gate(tag, name, parent)
        self.boolean(name, parent, "not", [f"{name} (inside)"])
        return self._gate(tag, f"{name} (inside)", None)

    def _drawn(self, gate: Element, axis: Axis) -> None:
        """A dimension on the axis's scale."""
        if axis.note:
            self._note(axis.note)
        self._dimension(gate, axis.parameter, axis.scale)

    def _reaches(self, name: str, axis: Axis, end: float) -> None:
        place = f"the axis of {axis.parameter}, {axis.value(end):.6g}"
        self._note(f"{name}: reaches the end of {place}: what is beyond it, and so is drawn there, is in the gate")

    def _note(self, text: str) -> None:
        self.notes[_one_line(text)] = None

    def _dimension(self, gate: Element, parameter: str, scale: str | None, **bounds: float) -> None:
        dimension = ElementTree.SubElement(gate, gating("dimension"))
        if scale is not None:
            dimension.set(gating("transformation-ref"), scale)
        for key, value in bounds.items():
            dimension.set(gating(key), repr(value))
        ElementTree.SubElement(dimension, f"{{{DATA_TYPE}}}fcs-dimension", {f"{{{DATA_TYPE}}}name": parameter})


def placing(scale: AnyScale) -> Callable[[float], float]:
    """From one value to its place, which is not finite for values that no scale can hold."""

    def place(value: float) -> float:
        with np.errstate(all="ignore"):
            return float(scale.to_axis(np.asarray(value)))

    return place


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _distinct(points: Sequence[Point]) -> list[Point]:
    """Without those that are where the one before is."""
    return [point for number, point in enumerate(points) if point != points[number - 1]]


def _piled(points: Sequence[Point], axis: int, end: float, beyond: float) -> list[Point]:
    """Corners of the polygon that reaches from its sides on the end of an axis, 0 or 1, on to `beyond`."""
    at_end = [point[axis] <= end for point in points]
    reaching: list[Point] = []
    for number, point in enumerate(points):
        before, after = at_end[number - 1], at_end[(number + 1) % len(points)]
        far = (beyond, point[1]) if axis == 0 else (point[0], beyond)
        if not at_end[number] or not (before or after):
            reaching.append(point)
        elif not before:
            reaching += [point, far]
        elif not after:
            reaching += [far, point]
    return reaching


def _coordinates(parent: Element, point: Point) -> None:
    for value in point:
        ElementTree.SubElement(parent, gating("coordinate"), {f"{{{DATA_TYPE}}}value": repr(value)})
