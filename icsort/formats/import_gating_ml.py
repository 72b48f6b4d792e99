# SPDX-License-Identifier: Apache-2.0
"""A gate set from Gating-ML 2.0. What the gate engine cannot hold is refused by its name, with what would fit.

Rectangles, polygons, ellipses, quadrants and Boolean gates; a gate with a parent is both of them. Scales flin, flog,
fasinh, logicle.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

from icsort.errors import IcsortError
from icsort.formats.compile_gate import Board
from icsort.formats.document import refusals
from icsort.formats.fcs import parameter_name
from icsort.formats.gate_set import FORMAT, REMEDY, VERSION, GateSet
from icsort.formats.gating_ml import DATA_TYPE, GATING, ICSORT, SCALES, TRANSFORMS, finite, gating
from icsort.formats.recording import CLASS, posterior
from icsort.formats.workspace import fault, not_told
from icsort.sim.bit_true import gate_engine as engine

_KINDS: Final = {tag: (kind, letters) for kind, (tag, letters) in SCALES.items()}
_UNCOMPENSATED: Final = ("uncompensated", "FCS")
"""Recordings have no spillover matrix: what the file says of it is nothing, and features are compensated already."""
_FITS: Final = {
    "hyperlog": "logicle, which is nearly the same for the same T, W, M and A, fits",
    "fratio": "a polygon over its two parameters fits",
}

Element = ElementTree.Element
Plain = dict[str, Any]


def from_gating_ml(
    where: str, root: Element, board: Board, directions: Sequence[tuple[int, str]], renamed: Mapping[str, str]
) -> GateSet:
    """A gate set of a document's outermost element.

    where: what messages begin with. directions, renamed: as `import_gates` has them. Raises IcsortError as it does.
    """
    return _Import(where, root, board, directions, renamed).read()


class _Import:
    def __init__(
        self,
        where: str,
        root: Element,
        board: Board,
        directions: Sequence[tuple[int, str]],
        renamed: Mapping[str, str],
    ) -> None:
        self._where = where
        self._root = root
        self._board = board
        self._renamed = renamed
        self._wanted = list(directions)
        self._axes: dict[str, Plain] = {parameter_name(name): {"value": name} for name in board.values}
        self._axes |= {parameter_name(posterior(name)): {"classes": [name]} for name in board.classes}
        self._axes = {
            name.replace("/", "_"): axis for name, axis in self._axes.items()
        } | self._axes  # as FlowJo has them
        self._names: dict[str, str] = {}  # of gates and quadrants, by identifier
        self._scales: dict[str, str] = {}
        self._tests: list[Plain] = []
        self._gates: list[Plain] = []

    def read(self) -> GateSet:
        root = self._root
        scales = self._read_scales(root)
        gates = [element for element in root if element.tag.startswith(f"{{{GATING}}}")]
        for element in gates:
            for named in (element, *element.iter(gating("Quadrant"))):
                identifier = named.get(gating("id"), "")
                if identifier in self._names:
                    raise self._error(f"two gates have the id {identifier!r}")
                self._names[identifier] = named.get(f"{{{ICSORT}}}name", identifier)
        if len(self._names) > engine.TESTS + engine.GATES:
            raise self._error(
                f"has {len(self._names)} gates, more than the {engine.TESTS} tests and {engine.GATES} gates of the "
                "gate engine; give fewer"
            )
        plain_directions = self._directions(root, gates)
        targets = {direction["gate"] for direction in plain_directions}
        for element in gates:
            self._read_gate(element, targets)
        if not self._tests:
            raise self._error("it has no gates")
        with refusals(self._where, REMEDY):
            return GateSet.model_validate_json(
                json.dumps(
                    {
                        "format": FORMAT,
                        "version": VERSION,
                        "name": next((own.get("name", "") for own in root.iter(_own("gate-set"))), ""),
                        "scales": scales,
                        "tests": self._tests,
                        "gates": self._gates,
                        "directions": plain_directions,
                    }
                )
            )

    def _error(self, text: str) -> IcsortError:
        return fault(self._where, text)

    def _read_scales(self, root: Element) -> Plain:
        """Those that dimensions name, by the names that they get."""
        scales: Plain = {}
        used = {element.get(gating("transformation-ref")) for element in root.iter()}
        for transformation in root.iter(f"{{{TRANSFORMS}}}transformation"):
            identifier = transformation.get(f"{{{TRANSFORMS}}}id", "")
            if identifier not in used:
                continue
            function = next(iter(transformation), transformation)
            tag = function.tag.rpartition("}")[2]
            if tag not in _KINDS:
                fits = _FITS.get(tag, f"{', '.join(_KINDS)} fit")
                raise self._error(f"{tag} {identifier!r}: there is no such scale; {fits}")
            for bound in ("boundMin", "boundMax"):
                if transformation.get(f"{{{TRANSFORMS}}}{bound}") is not None:
                    raise self._error(f"{bound} of {tag} {identifier!r}: scales have no bounds; ranges with them fit")
            kind, letters = _KINDS[tag]
            values = {letter: self._number(function, TRANSFORMS, letter.upper()) for letter in letters}
            self._scales[identifier] = transformation.get(f"{{{ICSORT}}}name", identifier)
            scales[self._scales[identifier]] = {"kind": kind, **values}
        return scales

    def _directions(self, root: Element, gates: Sequence[Element]) -> list[Plain]:
        if self._wanted:
            for _, name in self._wanted:
                if name not in self._names.values():
                    raise self._error(f"has no gate {name!r}; its gates are: {', '.join(self._names.values())}")
            return [{"output": output, "gate": name} for output, name in self._wanted]
        own = [
            {
                "output": int(self._real(element.get("output"), "output of a direction")),
                "gate": self._name(element.get("gate", ""), "a direction"),
                "priority": int(self._real(element.get("priority"), "priority of a direction")),
            }
            for element in root.iter(_own("direction"))
        ]
        if own:
            return own
        named = {element.get(gating("ref")) for element in root.iter(gating("gateReference"))}
        named |= {element.get(gating("parent_id")) for element in gates}
        named |= {element.get(gating("id")) for element in gates if element.tag == gating("QuadrantGate")}
        last = [name for identifier, name in self._names.items() if identifier not in named]
        if len(last) != 1:
            raise not_told(self._where, last)
        return [{"output": 0, "gate": last[0]}]

    # Gates

    def _read_gate(self, element: Element, targets: set[str]) -> None:
        kind = element.tag.rpartition("}")[2]
        name = self._names[element.get(gating("id"), "")]
        parent = element.get(gating("parent_id"))
        above = [] if parent is None else [self._name(parent, f"gate {name!r}")]
        if kind == "BooleanGate":
            self._read_boolean(element, name, above)
        elif kind == "RectangleGate":
            dimensions = [(self._dimension(one, name), *self._bounds(one)) for one in element.iter(gating("dimension"))]
            self._add(name, above, self._ranges(name, dimensions), targets)
        elif kind == "PolygonGate":
            axes, corners = self._shape(element, name, kind), element.iter(gating("vertex"))
            polygon = {"kind": "polygon", **axes, "corners": [self._point(corner) for corner in corners]}
            self._add(name, above, [polygon], targets)
        elif kind == "EllipsoidGate":
            axes = self._shape(element, name, kind)
            self._add(name, above, [{"kind": "ellipse", **axes, **self._ellipse(element, name)}], targets)
        elif kind == "QuadrantGate":
            self._read_quadrants(element, name, above, targets)
        else:
            raise self._error(f"{kind} {name!r}: there is no such gate in Gating-ML 2.0")

    def _add(self, name: str, above: list[str], shapes: list[Plain], targets: set[str]) -> None:
        """A test where that is all; else a gate of its parent and its tests."""
        if len(shapes) == 1 and not above and name not in targets:
            self._tests.append({"name": name, **shapes[0]})
            return
        parts = [f"{name} (shape)"] if len(shapes) == 1 else [f"{name} ({n})" for n in range(1, len(shapes) + 1)]
        self._tests += [{"name": part, **shape} for part, shape in zip(parts, shapes, strict=True)]
        self._gates.append({"name": name, "all": above + parts})

    def _read_boolean(self, element: Element, name: str, above: list[str]) -> None:
        for operation, key in (("and", "all"), ("or", "any"), ("not", "all")):
            within = element.find(gating(operation))
            if within is None:
                continue
            members = []
            for reference in within.iter(gating("gateReference")):
                negated = reference.get(gating("use-as-complement"), "false") in ("true", "1")
                member = self._name(reference.get(gating("ref"), ""), f"gate {name!r}")
                members.append("not " * (negated != (operation == "not")) + member)
            members = list(dict.fromkeys(members))
            if above and key == "any":
                self._gates.append({"name": f"{name} (any)", key: members})
                key, members = "all", [f"{name} (any)"]
            self._gates.append({"name": name, key: above + members})
            return
        raise self._error(f"BooleanGate {name!r} has none of and, or, not")

    def _read_quadrants(self, element: Element, name: str, above: list[str], targets: set[str]) -> None:
        dividers = {}
        for divider in element.iter(gating("divider")):
            places = sorted(self._real(value.text, "value of a divider") for value in divider.iter(gating("value")))
            dividers[divider.get(gating("id"))] = self._dimension(divider, name), places
        for quadrant in element.iter(gating("Quadrant")):
            dimensions = []
            for position in quadrant.iter(gating("position")):
                reference = position.get(gating("divider_ref"))
                if reference not in dividers:
                    raise self._error(f"QuadrantGate {name!r} has no divider {reference!r}")
                axis, places = dividers[reference]
                location = self._number(position, GATING, "location")
                least = max((place for place in places if place <= location), default=None)
                dimensions.append((axis, least, min((place for place in places if place > location), default=None)))
            of = self._names[quadrant.get(gating("id"), "")]
            self._add(of, above, self._ranges(of, dimensions), targets)

    # Parts of gates

    def _ranges(self, name: str, dimensions: list[tuple[Plain, float | None, float | None]]) -> list[Plain]:
        """Tests that together are these intervals, min <= x < max: two dimensions each, one for the best class."""
        tests: list[Plain] = []
        bounds: list[Plain] = []
        for axis, least, most in dimensions:
            if axis == {"value": CLASS}:
                tests.append(self._classes(name, least, most))
            elif least is not None or most is not None:
                end = {} if most is None else {"max": math.nextafter(most, -math.inf)}
                bounds.append(axis | ({} if least is None else {"min": least}) | end)
        if not tests and not bounds:
            raise self._error(f"gate {name!r} has no bounds")
        only = bounds[0] if len(bounds) == 1 else {}
        if tests and tests[0]["classes"] == only.get("classes") and only.keys() == {"classes", "min"}:
            return [tests[0] | {"posterior": only["min"]}]
        for first in range(0, len(bounds), 2):
            tests.append({"kind": "range", **dict(zip("xy", bounds[first : first + 2], strict=False))})
        return tests

    def _classes(self, name: str, least: float | None, most: float | None) -> Plain:
        """The classes whose numbers are in an interval, as a test for the best class."""
        low, high = -math.inf if least is None else least, math.inf if most is None else most
        classes = [of for number, of in enumerate(self._board.classes) if low <= number < high]
        if not classes:
            raise self._error(f"gate {name!r}: no class has a number from {low:g} to {high:g}")
        return {"kind": "class", "classes": classes}

    def _bounds(self, dimension: Element) -> tuple[float | None, float | None]:
        least, most = (
            None if dimension.get(gating(key)) is None else self._number(dimension, GATING, key)
            for key in ("min", "max")
        )
        return least, most

    def _shape(self, element: Element, name: str, kind: str) -> Plain:
        axes = [self._dimension(dimension, name) for dimension in element.iter(gating("dimension"))]
        if len(axes) != 2:
            raise self._error(f"{kind} {name!r} has {len(axes)} dimensions; two, or several gates of two each, fit")
        if {"value": CLASS} in axes:
            raise self._error(f"{kind} {name!r} looks at {CLASS!r}, which has no places between; a RectangleGate fits")
        return dict(zip("xy", axes, strict=True))

    def _dimension(self, element: Element, name: str) -> Plain:
        """The axis: value or classes, and scale."""
        compensation = element.get(gating("compensation-ref"), "uncompensated")
        if compensation not in _UNCOMPENSATED:
            raise self._error(
                f"gate {name!r}: spectrumMatrix {compensation!r}: the board compensates by the package's matrix "
                "(docs/features.md); gates on values as recorded, uncompensated, fit"
            )
        of_file = element.find(f"{{{DATA_TYPE}}}fcs-dimension")
        if of_file is None:
            raise self._error(f"gate {name!r}: new-dimension: there is none; {_FITS['fratio']}")
        parameter = of_file.get(f"{{{DATA_TYPE}}}name", "")
        value = self._renamed.get(parameter, parameter)
        axis = {"value": CLASS} if value == CLASS else self._axes.get(parameter_name(value))
        if axis is None:
            raise self._error(
                f"gate {name!r}: the sorter has no value {value!r}; it has: {', '.join((CLASS, *self._axes))}; "
                f"--rename {parameter!r}=VALUE says which is meant"
            )
        scale = element.get(gating("transformation-ref"))
        if scale is None:
            return axis
        if scale not in self._scales:
            raise self._error(f"gate {name!r} names the transformation {scale!r}, which is not there")
        return axis | {"scale": self._scales[scale]}

    def _ellipse(self, element: Element, name: str) -> Plain:
        """Center, radii and angle: the axes of the covariance matrix, the larger one first."""
        entries = [self._number(entry, DATA_TYPE, "value") for entry in element.iter(gating("entry"))]
        mean, square = element.find(gating("mean")), element.find(gating("distanceSquare"))
        if len(entries) != 4 or mean is None or square is None:
            raise self._error(f"EllipsoidGate {name!r} lacks mean, covarianceMatrix of 2 x 2 or distanceSquare")
        a, b, _, c = entries
        half, apart = (a + c) / 2, math.hypot((a - c) / 2, b)
        large = half + apart
        small = (a * c - b * b) / large if large > 0 else 0.0  # half - apart, without what cancels
        distance = self._number(square, DATA_TYPE, "value")
        if not (small > 0 and distance > 0):
            raise self._error(f"EllipsoidGate {name!r} holds no point: its covariance matrix is not positive")
        return {
            "center": self._point(mean),
            "radii": [math.sqrt(large * distance), math.sqrt(small * distance)],
            "angle": math.degrees(math.atan2(2 * b, a - c) / 2),
        }

    def _point(self, element: Element) -> list[float]:
        places = [self._number(one, DATA_TYPE, "value") for one in element.iter(gating("coordinate"))]
        if len(places) != 2:
            raise self._error(f"a point has {len(places)} coordinates; two fit")
        return places

    def _number(self, element: Element, space: str, key: str) -> float:
        return self._real(element.get(f"{{{space}}}{key}"), f"{key} of {element.tag.rpartition('}')[2]}")

    def _real(self, text: str | None, what: str) -> float:
        return finite(text, what, self._error)

    def _name(self, identifier: str, who: str) -> str:
        if identifier not in self._names:
            raise self._error(f"{who} names the gate {identifier!r}, which is not there")
        return self._names[identifier]


def _own(name: str) -> str:
    return f"{{{ICSORT}}}{name}"
