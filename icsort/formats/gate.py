# SPDX-License-Identifier: Apache-2.0
"""A gate in words and as its registers hold it: class set as bits, least posterior as unsigned 0.16."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from icsort.errors import IcsortError

MAX_POSTERIOR: Final = 2**16 - 1


def class_mask(wanted: Sequence[str], classes: Sequence[str]) -> int:
    """Bit set of class names. Raises IcsortError for an unknown one or none at all."""
    unknown = [name for name in wanted if name not in classes]
    if unknown or not wanted:
        what = f"the model has no class {unknown[0]!r}" if unknown else "no class was given"
        raise IcsortError(f"{what}; its classes are: {', '.join(classes)}")
    return index_mask(classes.index(name) for name in wanted)


def index_mask(indices: Iterable[int]) -> int:
    """Bit set of class indices: bit c stands for class c."""
    return sum(1 << int(index) for index in set(indices))


def posterior_threshold(posterior: float) -> int:
    """Least posterior as unsigned 0.16, never below what was asked (1 becomes 65535/65536, the most there is)."""
    if not 0.0 <= posterior <= 1.0:  # NaN is not
        raise IcsortError(f"posterior {posterior} is not within 0..1; give a probability such as 0.9")
    return min(MAX_POSTERIOR, math.ceil(posterior * 2**16))
