# SPDX-License-Identifier: Apache-2.0
"""width_converter: between layers whose beats differ in width."""

import random
from collections.abc import Iterator
from itertools import pairwise
from math import lcm

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Kernel, Parameters, Sample


class WidthConverter(Kernel):
    name = "width_converter"
    draws = 8

    def use(self, p: Bound, family: str) -> Use:
        in_width, out_width = p["IN_WIDTH"], p["OUT_WIDTH"]
        ratio = max(in_width, out_width) // min(in_width, out_width)
        if ratio == 1:
            return Use({})
        use = Use({"control": 1, "counter": counter_bits(ratio)})
        use.ff = max(in_width, out_width) + counter_bits(ratio) + 1
        if in_width > out_width:
            use.term("multiplexer", in_width - out_width)
        return use

    def sample(self, draw: random.Random) -> Sample:
        narrow = draw.choice([1, 4, 18, 32])
        widths = [narrow, narrow * draw.choice([2, 3, 9, 16])]
        draw.shuffle(widths)
        return Sample({"IN_WIDTH": widths[0], "OUT_WIDTH": widths[1]})


def conversions(width: int, needed: int) -> Iterator[Parameters]:
    """Parameters of the converters from one width to another: none, one or two, the second from what both divide, so
    that neither slows the other."""
    common = lcm(width, needed)
    steps = [width, needed] if common in (width, needed) else [width, common, needed]
    for before, behind in pairwise(steps):
        if before != behind:
            yield {"IN_WIDTH": before, "OUT_WIDTH": behind}
