# SPDX-License-Identifier: Apache-2.0
"""Populations of FlowJo workspaces: .wsp of FlowJo 10, and the XML of FlowJo 9.

Gates of FlowJo 10 are elements of Gating-ML, but for ellipses, in the parameter's own unit; transformations belong to
parameters and bend the sides of polygons and ellipses. Gates of FlowJo 9 have elements of their own.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from icsort.formats.gate_set import Logicle, Point
from icsort.formats.gating_ml import DATA_TYPE, TRANSFORMS, gating
from icsort.formats.workspace import (
    REDRAW,
    Axis,
    Converted,
    Element,
    GatingMl,
    Population,
    placing,
)

CHANNELS: Final = 4096
"""Of the table that FlowJo's biexponential axes are: channel n of 0..4096 is at n / 4097."""
TOP: Final = CHANNELS / (CHANNELS + 1)
PLOT: Final = 256.0
"""Ellipses of FlowJo 10 are drawn on so many steps of each axis."""
MOST_OFF: Final = 0.001
"""By which a table of FlowJo 9 may miss the logicle scale that it is taken for, of the axis."""
BIEX_OFF: Final = 0.0002
"""By which a logicle scale misses an axis of FlowJo 10 at most, of the axis, for the widths and decades that follow."""
WIDEST: Final = -1000.0
FEWEST_DECADES: Final = 3.0
OPERATIONS: Final = {"AndNode": "and", "OrNode": "or", "NotNode": "not"}


def from_flowjo(where: str, root: Element, sample: str | None, wanted: Sequence[str]) -> Converted:
    """Populations of one sample: those wanted, by their paths, and what they need. Raises IcsortError, which names
    construct and gate, for what is not read, and for a sample or a gate that is not there."""
    version = root.get("flowJoVersion", root.get("version", "")).partition(".")[0]
    if version in ("", *"12345678"):
        raise GatingMl(where).error(f"is a workspace of FlowJo {version or '?'}; save it with FlowJo 10")
    return (_FlowJo9 if version == "9" else _FlowJo10)(where, root, sample).convert(wanted)


class _FlowJo(ABC):
    """What both have: samples, and trees of populations."""

    def __init__(self, where: str, root: Element, sample: str | None) -> None:
        self.gates = GatingMl(where)
        self.root = root
        samples = [
            (node.get("name", ""), node.get("sampleID", ""), element)
            for element in root.iterfind("SampleList/Sample")
            if (node := element.find("SampleNode")) is not None
        ]
        self.sample = self.gates.sample(samples, sample)
        self.axes: dict[str, Axis] = {}
        self.compensated: dict[str, None] = {}

    def convert(self, wanted: Sequence[str]) -> Converted:
        for one in self.gates.needed(list(self.populations()), wanted):
            operation = OPERATIONS.get(one.element.tag)
            if operation is None:
                with self.gates.drawing(f"gate {one.name!r}"):
                    self.add(one)
            elif one.needs:
                self.gates.boolean(one.name, one.parent, operation, one.needs)
            else:
                raise self.gates.error(f"{one.element.tag} {one.name!r} names no gate in Dependents")
        return self.gates.converted(self.compensated)

    def populations(self) -> Iterable[Population]:
        """All of the sample, each behind its parent."""
        left: deque[tuple[Element, str | None]] = deque((node, None) for node in self.sample.iterfind("SampleNode"))
        while left:
            element, parent = left.popleft()
            for child in self.children(element):
                if child.tag == "Population" or child.tag in OPERATIONS:
                    name = child.get("name", "")
                    path = name if parent is None else f"{parent}/{name}"
                    needs = tuple(one.get("name", "").strip("/") for one in child.iterfind("Dependents/Dependent"))
                    yield Population(path, parent, child, needs)
                    left.append((child, path))

    def axis(self, parameter: str) -> Axis:
        """As it is drawn."""
        if parameter not in self.axes:
            with self.gates.drawing(f"the axis of {parameter!r}"):
                self.axes[parameter] = self.make_axis(parameter)
        return self.axes[parameter]

    def uncompensated(self, parameter: str, prefix: str, suffix: str, detectors: Iterable[str | None]) -> str:
        """A detector's name, where a parameter is that one behind a matrix; else the parameter's."""
        plain = parameter.removeprefix(prefix).removesuffix(suffix)
        if plain == parameter or plain not in detectors:
            return parameter
        self.compensated[parameter] = None
        return plain

    def biexponential(self, parameter: str, scale: Logicle, t: float, off: float) -> Axis:
        """An axis that `scale`, with its top at t, misses by `off` of it at most."""
        note = (
            f"{parameter}: its biexponential axis is read as logicle t = {t:.6g}, m = {scale.m:.6g}, "
            f"w = {scale.w:.6g}, a = {scale.a:.6g}, which it is to {off:.2g} of the axis"
        )
        made = self.gates.scale(parameter, "logicle", t=t, m=scale.m, w=scale.w, a=scale.a)
        low, beyond = float(made.from_axis(np.asarray(0.0))), float(made.to_axis(np.asarray(-t)))
        return Axis(parameter, parameter, placing(made), low=low, beyond=beyond, ends=(0.0, TOP), note=note)

    def decades(self, parameter: str, offset: float, decades: float) -> Axis:
        """A logarithmic axis that begins at `offset`."""
        made = self.gates.scale(parameter, "log", t=offset * 10**decades, m=decades)
        return Axis(parameter, parameter, placing(made), low=offset, beyond=-1.0, ends=(0.0, 1.0))

    @abstractmethod
    def children(self, element: Element) -> Iterable[Element]:
        """Where the populations within one are."""

    @abstractmethod
    def add(self, one: Population) -> None:
        """A population that is no Boolean one."""

    @abstractmethod
    def make_axis(self, parameter: str) -> Axis: ...


class _FlowJo10(_FlowJo):
    def children(self, element: Element) -> Iterable[Element]:
        return element.iterfind("Subpopulations/*")

    def add(self, one: Population) -> None:
        shape = one.element.find("Gate/*")
        if shape is None:
            raise self.gates.error(f"population {one.name!r} has no gate")
        kind = shape.tag.rpartition("}")[2]
        inside = shape.get("eventsInside", "1") != "0"
        dimensions = list(shape.iter(gating("dimension")))
        parameters = [self.parameter(one.name, dimension) for dimension in dimensions]
        if kind == "RectangleGate":
            sides = [
                (self.axis(parameter), self.bound(dimension, "min"), self.bound(dimension, "max"))
                for parameter, dimension in zip(parameters, dimensions, strict=True)
            ]
            self.gates.rectangle(one.name, one.parent, sides, inside)
        elif kind not in ("PolygonGate", "EllipsoidGate"):
            raise self.gates.error(f"{kind} {one.name!r}: is not read; polygons, rectangles and ellipses are")
        elif len(parameters) != 2:
            raise self.gates.error(f"{kind} {one.name!r} has {len(parameters)} dimensions; two fit")
        else:
            axes = self.axis(parameters[0]), self.axis(parameters[1])
            if kind == "PolygonGate":
                corners = [self.point(one.name, vertex) for vertex in shape.iter(gating("vertex"))]
                self.gates.polygon(one.name, one.parent, axes, corners, inside)
            else:
                self.ellipse(one, axes, shape, inside)

    def ellipse(self, one: Population, axes: tuple[Axis, Axis], shape: Element, inside: bool) -> None:
        """Foci, and ends of both axes, in steps of the plot: their lengths and the foci are what it is made from."""
        foci, edge = (
            [self.point(one.name, vertex) for vertex in shape.iterfind(f"{gating(part)}/{gating('vertex')}")]
            for part in ("foci", "edge")
        )
        if len(foci) != 2 or len(edge) != 4:
            raise self.gates.error(f"EllipsoidGate {one.name!r} lacks two foci or four points of its edge")
        ends = [axis.ends for axis in axes]
        if ends[0] is None or ends[1] is None:
            raise self.gates.error(f"EllipsoidGate {one.name!r}: an axis of it has no transformation; a polygon fits")
        apart = math.dist(*foci)
        along = ((foci[1][0] - foci[0][0]) / apart, (foci[1][1] - foci[0][1]) / apart) if apart else (1.0, 0.0)
        large = max(math.dist(edge[0], edge[1]), math.dist(edge[2], edge[3])) / 2
        small = math.sqrt(max(large**2 - (apart / 2) ** 2, 0.0))
        step = [(end - begin) / PLOT for begin, end in (ends[0], ends[1])]
        middle = [(foci[0][axis] + foci[1][axis]) / 2 for axis in range(2)]
        self.gates.ellipse(
            one.name,
            one.parent,
            axes,
            (ends[0][0] + middle[0] * step[0], ends[1][0] + middle[1] * step[1]),
            (
                (large * along[0] * step[0], large * along[1] * step[1]),
                (-small * along[1] * step[0], small * along[0] * step[1]),
            ),
            inside,
        )

    def parameter(self, name: str, dimension: Element) -> str:
        of_file = dimension.find(f"{{{DATA_TYPE}}}fcs-dimension")
        parameter = "" if of_file is None else of_file.get(f"{{{DATA_TYPE}}}name", "")
        if not parameter:
            raise self.gates.error(f"gate {name!r} has a dimension without a parameter's name")
        return parameter

    def bound(self, dimension: Element, key: str) -> float | None:
        text = dimension.get(gating(key))
        return None if text is None else self.gates.number(text, f"{key} of a dimension")

    def point(self, name: str, vertex: Element) -> Point:
        places = [
            self.gates.number(coordinate.get(f"{{{DATA_TYPE}}}value"), f"a coordinate of {name!r}")
            for coordinate in vertex.iter(gating("coordinate"))
        ]
        if len(places) != 2:
            raise self.gates.error(f"a point of {name!r} has {len(places)} coordinates; two fit")
        return places[0], places[1]

    def make_axis(self, parameter: str) -> Axis:
        plain = parameter
        for matrix in self.sample.iterfind(f"{{{TRANSFORMS}}}spilloverMatrix"):
            detectors = [one.get(f"{{{DATA_TYPE}}}name") for one in matrix.iter(f"{{{DATA_TYPE}}}parameter")]
            plain = self.uncompensated(parameter, matrix.get("prefix", ""), matrix.get("suffix", ""), detectors)
            if plain != parameter:
                break
        found: dict[str, Element] = {}
        for element in self.sample.iterfind("Transformations/*"):
            of_file = element.find(f"{{{DATA_TYPE}}}parameter")
            if of_file is not None:
                found[of_file.get(f"{{{DATA_TYPE}}}name", "")] = element
        drawn = found.get(parameter, found.get(plain))
        if drawn is None:
            return Axis(parameter)
        kind = drawn.tag.rpartition("}")[2]

        def constant(key: str) -> float:
            return self.gates.number(drawn.get(f"{{{TRANSFORMS}}}{key}"), f"{key} of {kind} of {parameter!r}")

        if kind == "linear":
            return Axis(parameter, ends=(constant("minRange"), constant("maxRange")))
        if kind == "log":
            return self.decades(parameter, constant("offset"), constant("decades"))
        if kind == "biex":
            if (length := drawn.get(f"{{{TRANSFORMS}}}length", "256")) != "256":
                raise self.gates.error(f"biex of {parameter!r} has length {length!r}; 256 is read, or {REDRAW}")
            scale, top = of_biex(constant("neg"), constant("width"), constant("pos"), constant("maxRange"))
            return self.biexponential(parameter, scale, top, BIEX_OFF)
        if kind in ("logicle", "fasinh"):
            letters = "twma" if kind == "logicle" else "tma"
            own = "logicle" if kind == "logicle" else "arcsinh"
            made = self.gates.scale(parameter, own, **{letter: constant(letter.upper()) for letter in letters})
            return Axis(parameter, parameter, placing(made), ends=(0.0, 1.0))
        raise self.gates.error(f"{kind} of {parameter!r}: is no axis that is read; {REDRAW}")


class _FlowJo9(_FlowJo):
    def children(self, element: Element) -> Iterable[Element]:
        return element

    def add(self, one: Population) -> None:
        gate = next((child for child in one.element if child.tag.endswith("Gate")), None)
        if gate is None:
            raise self.gates.error(f"population {one.name!r} has no gate")
        if gate.tag != "PolygonGate":
            raise self.gates.error(
                f"{gate.tag} {one.name!r} of FlowJo 9: is not read; save the workspace with FlowJo 10"
            )
        shape = next((child for child in gate if child.tag not in ("ParameterNames", "Graph")), None)
        kind = "PolygonGate" if shape is None else shape.tag
        if shape is None or kind not in ("Polygon", "PolyRect", "Range", "Ellipse"):
            raise self.gates.error(f"{kind} {one.name!r}: is not read; Polygon, PolyRect, Range and Ellipse are")
        inside = shape.get("negated", "0") in ("", "0")
        parameters = [text for each in gate.iterfind("ParameterNames/StringArray/String") if (text := each.text)]
        points = [
            (self.gates.number(vertex.get("x"), f"x of {one.name!r}"), self.gates.number(vertex.get("y"), "y"))
            for vertex in shape.iter("Vertex")
        ]
        if kind == "Range":
            if len(parameters) != 1 or len(points) != 2:
                raise self.gates.error(
                    f"Range {one.name!r} has {len(parameters)} parameters and {len(points)} ends; one and two fit"
                )
            ends = sorted(point[points[0][0] == points[1][0]] for point in points)  # a range may stand upright
            self.gates.rectangle(one.name, one.parent, [(self.axis(parameters[0]), ends[0], ends[1])], inside)
            return
        if len(parameters) != 2:
            raise self.gates.error(f"{kind} {one.name!r} has {len(parameters)} parameters; two fit")
        axes = self.axis(parameters[0]), self.axis(parameters[1])
        if kind == "Ellipse":
            self.ellipse(one, axes, points, inside)
        else:
            self.gates.polygon(one.name, one.parent, axes, points, inside)

    def ellipse(self, one: Population, axes: tuple[Axis, Axis], points: Sequence[Point], inside: bool) -> None:
        """points: ends of one axis of the ellipse, then of the other."""
        if len(points) != 4:
            raise self.gates.error(f"Ellipse {one.name!r} has {len(points)} points; four fit")
        places = [(axes[0].place(x), axes[1].place(y)) for x, y in points]
        center = tuple(sum(place[axis] for place in places) / 4 for axis in range(2))
        radii = tuple(
            ((end[0] - begin[0]) / 2, (end[1] - begin[1]) / 2)
            for begin, end in ((places[0], places[1]), (places[2], places[3]))
        )
        self.gates.ellipse(one.name, one.parent, axes, (center[0], center[1]), (radii[0], radii[1]), inside)

    def make_axis(self, parameter: str) -> Axis:
        plain, table = parameter, None
        tables = {str(n): one for n, one in enumerate(self.root.iterfind("CalibrationTables/Table"), 1)}
        for matrix in self.root.iterfind("CompensationMatrices/CompensationMatrix"):
            detectors = [channel.get("name") for channel in matrix.iterfind("Channel")]
            plain = self.uncompensated(parameter, matrix.get("prefix", ""), matrix.get("suffix", ""), detectors)
            if plain != parameter:
                own = f"{matrix.get('name')} {parameter}"
                table = next((one for one in tables.values() if one.get("name") == own), None)
                break
        drawn = next((one for one in self.sample.iter("Parameter") if one.get("name") == plain), None)
        if drawn is None or drawn.get("log", "0") != "1":
            return Axis(parameter)
        table = tables.get(drawn.get("calibrationIndex", "")) if table is None else table
        if table is not None:
            return self.of_table(parameter, table)
        low, decades = (self.gates.number(drawn.get(key), f"{key} of {parameter!r}") for key in ("lowValue", "decades"))
        return self.decades(parameter, low, decades)

    def of_table(self, parameter: str, table: Element) -> Axis:
        """The table tells the value at each channel; the number of decades is the workspace's."""
        preferences = self.root.find("Preferences")
        told = None if preferences is None else preferences.get("DT_32BitCustomDecades")
        total = self.gates.number(told, "DT_32BitCustomDecades of Preferences")
        words = (table.text or "").split(",")
        numbers = [self.gates.number(word, f"an entry of Table {table.get('name')!r}") for word in words]
        channels, values = np.asarray(numbers[0::2]), np.asarray(numbers[1::2])
        off = math.inf
        if len(numbers) == 2 * (CHANNELS + 1) and np.all(np.diff(values) > 0) and values[0] < 0 < values[-1]:
            zero = round(float(np.interp(0.0, values, channels)))
            scale = biexponential((zero + 0.5) / CHANNELS * total, 0.0, total)
            t = float(values[-1]) / float(scale.from_axis(np.asarray(TOP)))
            places = scale.to_axis(values / t)
            off = float(np.abs(places - channels / (CHANNELS + 1)).max())
        if not off <= MOST_OFF:
            raise self.gates.error(
                f"Table {table.get('name')!r} of CalibrationTables: is no biexponential axis of {CHANNELS} channels "
                f"and {total:g} decades; {REDRAW}"
            )
        return self.biexponential(parameter, scale, t, off)


def biexponential(width: float, below: float, decades: float) -> Logicle:
    """The logicle scale, for a top of 1, that FlowJo's axis is.

    width: decades that are about linear, on one side of 0. below, decades: those below and above 0. FlowJo rounds the
    channel of 0 down and stretches the decades so that it is theirs.
    """
    total = below + decades
    zero = min(int((below + width) * CHANNELS / total), CHANNELS // 2)
    if zero > 0:
        total = (below + width) * CHANNELS / zero
    a = zero / (CHANNELS + 1) * total - width
    return Logicle(kind="logicle", t=1.0, m=total - a, w=width, a=a)


def of_biex(below: float, width: float, decades: float, top: float) -> tuple[Logicle, float]:
    """The scale for a top of 1, and the top, of an axis of FlowJo 10. width: FlowJo's, negative. top: FlowJo's as well,
    which the exponential reaches alone. Raises ValueError, ArithmeticError for constants that make none."""
    if not WIDEST <= width <= -1 or decades < FEWEST_DECADES:
        raise ValueError(f"an axis of width {width:g} and {decades:g} decades")
    scale = biexponential(math.log10(-width) / 2, max(below, 0.0), decades)
    return scale, top / (scale.constants()[0] * 10 ** (scale.m + scale.a))
