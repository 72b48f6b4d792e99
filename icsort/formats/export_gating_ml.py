# SPDX-License-Identifier: Apache-2.0
"""A gate set as Gating-ML 2.0: tests are gates, gates are Boolean gates; its dimensions are those of recordings."""

import io
import math
import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

from icsort.errors import IcsortError
from icsort.formats.fcs import parameter_name
from icsort.formats.gate import class_mask, posterior_threshold
from icsort.formats.gate_set import Axis, Bounds, ClassTest, EllipseTest, GateSet, GateSpec, PolygonTest, RangeTest
from icsort.formats.gating_ml import DATA_TYPE, GATING, ICSORT, SCALES, TRANSFORMS
from icsort.formats.recording import CLASS, posterior
from icsort.sim.bit_true.gate import POSTERIOR_ONE

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)

Element = ElementTree.Element


def to_gating_ml(source: GateSet, classes: Sequence[str] | None) -> str:
    """The file's text.

    classes: of the model, in their order. Raises IcsortError, which names the test, for one that no parameter of a
    recording can stand for, and for one that needs the classes where they are not given.
    """
    return _Export(source, classes).text()


class _Export:
    def __init__(self, source: GateSet, classes: Sequence[str] | None) -> None:
        self._source = source
        self._classes = classes
        self._ids: dict[tuple[str, str], str] = {}
        self._root = Element(
            "gating:Gating-ML",
            {
                "xmlns:gating": GATING,
                "xmlns:transforms": TRANSFORMS,
                "xmlns:data-type": DATA_TYPE,
                "xmlns:icsort": ICSORT,
            },
        )

    def text(self) -> str:
        for name, scale in self._source.scales.items():
            self._add_scale(name, scale.model_dump())
        for test in self._source.tests:
            if isinstance(test, ClassTest):
                self._add_class(test)
            elif isinstance(test, RangeTest):
                gate = self._gate("RectangleGate", test.name)
                for bounds in (test.x, test.y):
                    if bounds is not None:
                        self._dimension(gate, self._parameter(test.name, bounds), bounds)
            elif isinstance(test, PolygonTest):
                self._add_polygon(test)
            else:
                self._add_ellipse(test)
        for spec in self._source.gates:
            self._add_boolean(spec)
        self._add_directions()
        ElementTree.indent(self._root)
        stream = io.BytesIO()
        ElementTree.ElementTree(self._root).write(stream, encoding="utf-8", xml_declaration=True)
        return stream.getvalue().decode("utf-8") + "\n"

    def _identify(self, kind: str, name: str) -> str:
        """An XML identifier of its own for a name."""
        if (kind, name) not in self._ids:
            if _NO_XML.search(name):
                raise IcsortError(f"{kind} {name!r} has a character that XML cannot hold; give it another name")
            plain = name if _IDENTIFIER.fullmatch(name) else "_" + re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
            while plain in self._ids.values():
                plain += "_"
            self._ids[kind, name] = plain
        return self._ids[kind, name]

    def _named(self, parent: Element, tag: str, prefix: str, kind: str, name: str) -> Element:
        identifier = self._identify(kind, name)
        element = ElementTree.SubElement(parent, tag, {f"{prefix}:id": identifier})
        if identifier != name:
            element.set("icsort:name", name)
        return element

    def _gate(self, tag: str, name: str) -> Element:
        return self._named(self._root, f"gating:{tag}", "gating", "gate", name)

    def _add_scale(self, name: str, scale: dict[str, object]) -> None:
        tag, letters = SCALES[str(scale["kind"])]
        transformation = self._named(self._root, "transforms:transformation", "transforms", "scale", name)
        constants = {f"transforms:{letter.upper()}": repr(scale[letter]) for letter in letters}
        ElementTree.SubElement(transformation, f"transforms:{tag}", constants)

    def _dimension(self, gate: Element, parameter: str, axis: Axis | None = None, **bounds: float) -> None:
        """bounds: min, and max, which does not belong to it; by default those of the axis."""
        dimension = ElementTree.SubElement(gate, "gating:dimension", {"gating:compensation-ref": "uncompensated"})
        if axis is not None and axis.scale is not None:
            dimension.set("gating:transformation-ref", self._identify("scale", axis.scale))
        if isinstance(axis, Bounds):
            if axis.min is not None:
                bounds["min"] = axis.min
            if axis.max is not None:
                bounds["max"] = math.nextafter(axis.max, math.inf)
        for name, value in bounds.items():
            dimension.set(f"gating:{name}", repr(value))
        ElementTree.SubElement(dimension, "data-type:fcs-dimension", {"data-type:name": parameter_name(parameter)})

    def _parameter(self, test: str, axis: Axis) -> str:
        if axis.classes is None:
            return axis.value or ""
        if len(axis.classes) > 1:
            raise _no_parameter(test, axis.classes)
        return posterior(axis.classes[0])

    def _add_class(self, test: ClassTest) -> None:
        least = posterior_threshold(test.posterior) / POSTERIOR_ONE
        several = len(set(test.classes)) > 1
        if several and least:
            raise _no_parameter(test.name, test.classes)
        runs = self._runs(test)
        for first, end in runs:
            gate = self._gate("RectangleGate", test.name if len(runs) == 1 else f"{test.name}: class {first}")
            if least:
                self._dimension(gate, posterior(test.classes[0]), min=least)
            if test.best or not least:
                self._dimension(gate, CLASS, min=float(first), max=float(end))
        if len(runs) > 1:
            self._boolean(test.name, "or", [(f"{test.name}: class {first}", False) for first, _ in runs])

    def _runs(self, test: ClassTest) -> list[tuple[int, int]]:
        """Numbers of the classes, those that follow each other together: first one, and one behind the last."""
        if not test.best and test.posterior:
            return [(0, 0)]  # whatever the best class is
        if self._classes is None:
            raise IcsortError(
                f"test {test.name!r} asks for the best class, which a recording has by its number; give --model"
            )
        mask = class_mask(test.classes, self._classes) if test.best else 2 ** len(self._classes) - 1
        numbers = [number for number in range(len(self._classes)) if mask >> number & 1]
        firsts = [number for number in numbers if number - 1 not in numbers]
        return list(zip(firsts, [number + 1 for number in numbers if number + 1 not in numbers], strict=True))

    def _add_polygon(self, test: PolygonTest) -> None:
        gate = self._gate("PolygonGate", test.name)
        for axis in (test.x, test.y):
            self._dimension(gate, self._parameter(test.name, axis), axis)
        for corner in test.corners:
            _coordinates(ElementTree.SubElement(gate, "gating:vertex"), corner)

    def _add_ellipse(self, test: EllipseTest) -> None:
        gate = self._gate("EllipsoidGate", test.name)
        for axis in (test.x, test.y):
            self._dimension(gate, self._parameter(test.name, axis), axis)
        turn = math.radians(test.angle)
        cos, sin = math.cos(turn), math.sin(turn)
        a, b = (radius**2 for radius in test.radii)
        cross = (a - b) * sin * cos
        _coordinates(ElementTree.SubElement(gate, "gating:mean"), test.center)
        matrix = ElementTree.SubElement(gate, "gating:covarianceMatrix")
        for entries in ((a * cos**2 + b * sin**2, cross), (cross, a * sin**2 + b * cos**2)):
            row = ElementTree.SubElement(matrix, "gating:row")
            for entry in entries:
                ElementTree.SubElement(row, "gating:entry", {"data-type:value": repr(entry)})
        ElementTree.SubElement(gate, "gating:distanceSquare", {"data-type:value": "1.0"})

    def _add_boolean(self, spec: GateSpec) -> None:
        members = list(spec.members)
        if spec.all and len(members) == 1 and members[0][1]:
            self._boolean(spec.name, "not", [(members[0][0], False)])
        else:  # the standard wants two: a single one is named twice
            self._boolean(spec.name, "and" if spec.all else "or", members * (2 if len(members) == 1 else 1))

    def _boolean(self, name: str, operation: str, members: list[tuple[str, bool]]) -> None:
        within = ElementTree.SubElement(self._gate("BooleanGate", name), f"gating:{operation}")
        for member, negated in members:
            reference = ElementTree.SubElement(within, "gating:gateReference")
            reference.set("gating:ref", self._identify("gate", member))
            if negated:
                reference.set("gating:use-as-complement", "true")

    def _add_directions(self) -> None:
        custom = ElementTree.SubElement(self._root, "data-type:custom_info")
        own = ElementTree.SubElement(custom, "icsort:gate-set", {"name": self._source.name})
        for direction in self._source.directions:
            ElementTree.SubElement(
                own,
                "icsort:direction",
                {
                    "output": str(direction.output),
                    "gate": self._identify("gate", direction.gate),
                    "priority": str(direction.priority),
                },
            )


def _coordinates(parent: Element, point: tuple[float, float]) -> None:
    for value in point:
        ElementTree.SubElement(parent, "gating:coordinate", {"data-type:value": repr(value)})


def _no_parameter(test: str, classes: Sequence[str]) -> IcsortError:
    return IcsortError(
        f"test {test!r} asks for the posterior of {', '.join(classes)} together, for which recordings have no "
        "parameter; Gating-ML holds a test a class, joined by a gate with `any`, or several classes without a posterior"
    )
