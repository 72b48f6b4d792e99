# SPDX-License-Identifier: Apache-2.0
"""What the export and the import of Gating-ML 2.0 share (Spidlen et al. 2015, Cytometry A 87:683).

A dimension is a parameter of a recording (`icsort.formats.recording`). Ranges hold min <= x < max there, and min <= x
<= max in a gate set: the next floating-point number makes one the other, without a change. What Gating-ML has no place
for, names that are no XML identifiers and directions, is in attributes and elements of icsort's own, which others pass
over.
"""

import math
from collections.abc import Callable
from typing import Final

GATING: Final = "http://www.isac-net.org/std/Gating-ML/v2.0/gating"
TRANSFORMS: Final = "http://www.isac-net.org/std/Gating-ML/v2.0/transformations"
DATA_TYPE: Final = "http://www.isac-net.org/std/Gating-ML/v2.0/datatypes"
ICSORT: Final = "urn:icsort:gates"
HEAD: Final = "<?xml version='1.0' encoding='utf-8'?>\n<gating:Gating-ML"
"""What an exported file begins with."""
SCALES: Final = {
    "linear": ("flin", "ta"),
    "log": ("flog", "tm"),
    "arcsinh": ("fasinh", "tma"),
    "logicle": ("logicle", "twma"),
}
"""Element of each kind of scale, and the letters of its constants."""


def gating(name: str) -> str:
    """Of gating elements and attributes, as ElementTree has them."""
    return f"{{{GATING}}}{name}"


def finite(text: str | None, what: str, error: Callable[[str], Exception]) -> float:
    """The number in a file's words. Raises `error`, of a line that names `what`, for what is none."""
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise error(f"{what} is {text!r}, no number")
    return value
