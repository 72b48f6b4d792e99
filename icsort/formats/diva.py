# SPDX-License-Identifier: Apache-2.0
"""Populations of a tube of a BD FACSDiva experiment, as its export has them.

Of a parameter that is shown on a biexponential axis Diva writes regions in channels of 0..4095, with the axis's scale
value r: logicle with 262144, 4.5 decades, and a linear part of (4.5 - log10(262144 / r)) / 2 of them. Of one that is
shown on a logarithmic axis it writes decimal logarithms, and of any other its own unit. (CytoML, which reads these
files for R, has the formula from BD; Finak et al. 2018, Cytometry A 93:1189.)
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from icsort.formats.workspace import Axis, Converted, Element, GatingMl, Population, placing

RANGE: Final = 262144.0
CHANNELS: Final = 4096
DECADES: Final = 4.5
ALL: Final = "All Events"
REGIONS: Final = ("POLYGON_REGION", "RECTANGLE_REGION", "INTERVAL_REGION")


def from_diva(where: str, root: Element, sample: str | None, wanted: Sequence[str]) -> Converted:
    """Populations of one tube: those wanted, by their paths without All Events, and what they need. Raises
    IcsortError, which names construct and gate, for what is not read, and for a tube or a gate that is not there."""
    return _Diva(where, root, sample).convert(wanted)


class _Diva:
    def __init__(self, where: str, root: Element, sample: str | None) -> None:
        self.gates = GatingMl(where)
        tubes = [
            (tube.get("name", ""), specimen.get("name", ""), tube)
            for specimen in root.iterfind("experiment/specimen")
            for tube in specimen.iterfind("tube")
        ]
        self.tube = self.gates.sample(tubes, sample)
        self.axes: dict[tuple[str, str, str, str], Axis] = {}
        log_decades = root.findtext("experiment/log_decades", "")
        self.log_decades = self.gates.number(log_decades, "log_decades of the experiment")
        self.compensated: dict[str, None] = {}

    def convert(self, wanted: Sequence[str]) -> Converted:
        for one in self.gates.needed(list(self.populations()), wanted):
            if one.element.get("type") == "RestOf_Classifier":
                self.gates.boolean(one.name, one.parent, "not", one.needs)
            else:
                with self.gates.drawing(f"gate {one.name!r}"):
                    self.add(one)
        return self.gates.converted(self.compensated)

    def populations(self) -> Iterable[Population]:
        """All of the tube but for All Events and the crosses of quadrants, which are no population."""
        for element in self.tube.iterfind("gates/gate"):
            kind = element.get("type", "")
            if kind in ("EventSource_Classifier", "Composite_Classifier"):
                continue
            parent = element.findtext("parent", ALL)
            needs: tuple[str, ...] = ()
            if kind == "RestOf_Classifier":
                needs = tuple(_path(one.text or "") for one in element.iterfind("input"))
            path = _path(element.get("fullname", ""))
            yield Population(path, None if parent == ALL else _path(parent), element, needs)

    def add(self, one: Population) -> None:
        kind = one.element.get("type", "")
        region = one.element.find("region")
        shape = kind if region is None else region.get("type", "")
        if region is None or shape not in REGIONS:
            raise self.gates.error(f"{shape} {one.name!r}: is not read; {', '.join(REGIONS)} and RestOf_Classifier are")
        if one.element.findtext("extended/is_snap_mode", "N") != "N":
            raise self.gates.error(f"{kind} {one.name!r} follows the cells; switch its snap mode off")
        points = [
            (self.coordinate(one.name, point, "x"), self.coordinate(one.name, point, "y"))
            for point in region.iterfind("points/point")
        ]
        if not points:
            raise self.gates.error(f"{shape} {one.name!r} has no points")
        x = self.axis(one, region, "x")
        columns = [sorted(column) for column in zip(*points, strict=True)]
        if shape == "INTERVAL_REGION":
            self.gates.rectangle(one.name, one.parent, [(x, columns[0][0], columns[0][-1])])
            return
        axes = x, self.axis(one, region, "y")
        if shape == "RECTANGLE_REGION":
            sides = [(axis, column[0], column[-1]) for axis, column in zip(axes, columns, strict=True)]
            self.gates.rectangle(one.name, one.parent, sides)
        else:
            self.gates.polygon(one.name, one.parent, axes, points)

    def coordinate(self, name: str, point: Element, key: str) -> float:
        return self.gates.number(point.get(key), f"{key} of a point of {name!r}")

    def axis(self, one: Population, region: Element, key: str) -> Axis:
        """key: x or y."""
        parameter = region.get(f"{key}parm", "")
        if not parameter:
            raise self.gates.error(f"region of {one.name!r} has no {key}parm")
        words = (f"is_{key}_parameter_scaled", f"is_{key}_parameter_log", f"{key}_parameter_scale_value")
        scaled, logarithmic, value = (one.element.findtext(word, "") for word in words)
        self.note(parameter)
        described = parameter, scaled, logarithmic, value
        if described not in self.axes:
            with self.gates.drawing(f"the axis of {parameter!r}"):
                self.axes[described] = self.make_axis(parameter, scaled == "true", logarithmic == "true", value)
        return self.axes[described]

    def make_axis(self, parameter: str, scaled: bool, logarithmic: bool, value: str) -> Axis:
        if not logarithmic:
            if not scaled:
                return Axis(parameter)
            return Axis(parameter, place=_of_channel, value=_of_channel, low=0.0, high=CHANNELS - 1.0, beyond=-RANGE)
        if not scaled:
            name = f"{parameter} log"
            decades = self.log_decades
            self.gates.scale(name, "log", t=RANGE, m=decades)
            return Axis(
                parameter,
                name,
                lambda exponent: (exponent - math.log10(RANGE)) / decades + 1,
                lambda exponent: 10**exponent,
                low=math.log10(RANGE) - decades,
                high=math.log10(RANGE - 1),
                beyond=-1.0,
            )
        r = abs(self.gates.number(value, f"scale value of {parameter!r}"))
        width = max(0.0, (DECADES - math.log10(RANGE / r)) / 2) if r else 0.0
        name = f"{parameter} {value}"
        made = self.gates.scale(name, "logicle", t=RANGE, m=DECADES, w=width, a=0.0)
        return Axis(
            parameter,
            name,
            lambda channel: channel / CHANNELS,
            lambda channel: float(made.from_axis(np.asarray(channel / CHANNELS))),
            low=0.0,
            high=CHANNELS - 1.0,
            beyond=placing(made)(-RANGE),
        )

    def note(self, parameter: str) -> None:
        """Remember a parameter that the tube compensates."""
        settings = self.tube.find("instrument_settings")
        if settings is not None and settings.findtext("compensation_enabled") == "true":
            for one in settings.iterfind("parameter"):
                if one.get("name") == parameter and one.findtext("can_be_compensated") == "true":
                    self.compensated[parameter] = None


def _path(fullname: str) -> str:
    return "/".join(word for word in fullname.split("\\") if word != ALL)


def _of_channel(channel: float) -> float:
    return channel / CHANNELS * RANGE
