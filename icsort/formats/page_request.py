# SPDX-License-Identifier: Apache-2.0
"""What the page of `icsort serve --page` asks of its server, as JSON: axes, what is to be shown, a gate set."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from icsort.formats.document import Name, Strict
from icsort.formats.gate_set import AnyScale, GateSet

Number = Annotated[int, Field(ge=0)]


class PlotAxis(Strict):
    """A value of the events, and which part of its scale is shown: from `low` to `high` of the axis."""

    value: Name
    scale: AnyScale
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _part(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class View(Strict):
    """What a page shows now. x, y: of the density plot. single: of the histogram. gate: of whose events alone.

    acts, images, history: how many of these the page has already.
    """

    x: PlotAxis | None = None
    y: PlotAxis | None = None
    single: PlotAxis | None = None
    gate: Annotated[int, Field(ge=0, le=31)] | None = None
    acts: Number = 0
    images: Number = 0
    history: Number = 0


class Fit(Strict):
    """Asks for a scale of this kind that shows all of a value."""

    value: Name
    kind: Annotated[str, Field(pattern="^(linear|log|arcsinh|logicle)$")]


class Drawn(Strict):
    """A gate set as the page has it. revision: of the one that it began with."""

    gates: GateSet
    revision: Number = 0


class Armed(Strict):
    """The second step of arming. ticket: of the first one."""

    ticket: Name
