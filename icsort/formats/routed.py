# SPDX-License-Identifier: Apache-2.0
"""What place and route reached, as builds and projects keep it."""

from typing import Annotated

from pydantic import Field, NonNegativeInt

from icsort.formats.document import Name, Strict


class Routed(Strict):
    """What place and route reached. fmax_mhz: the clock at which the worst path would have no slack, of the best place
    that was tried. others_mhz: those of the other ones. used: cells by their name in the tool. tools: with their
    versions. seconds: that all took."""

    fmax_mhz: Annotated[float, Field(gt=0)]
    others_mhz: list[Annotated[float, Field(gt=0)]] = Field(default_factory=list)
    used: dict[Name, NonNegativeInt]
    tools: dict[Name, Name]
    seconds: Annotated[float, Field(ge=0)]
