# SPDX-License-Identifier: Apache-2.0
"""max_pool: FINN's Pool, a whole window a beat."""

import random

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.kernel import Bound, Node, Parameters, Sample, Unit
from icsort.hw.kernels.pools import MaxPoolKernel, maximum
from icsort.hw.kernels.streams import Step, Stream, Times, tree_levels


class MaxPool(MaxPoolKernel):
    name = "max_pool"
    draws = 6

    def folds(self, unit: Unit) -> bool:
        return bool(unit["parallel_window"])

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return node.elements

    def out_lanes(self, node: Node, unit: Unit) -> int:
        return node.channels

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        out = Stream(arriving.times + max(1, tree_levels(node.taps)), node.channels)
        return Step(out, arriving.pixels, arriving.times, arriving)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return left + max(1, tree_levels(node.taps))

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"CHANNELS": node.channels, **node.parameters}

    def use(self, p: Bound, family: str) -> Use:
        pixel, window = p["CHANNELS"] * p["BITS"], p["WINDOW"]
        use = Use({"control": 1, maximum(p["BITS"]): pixel * (window - 1)})
        count = window
        while count > 1:
            count = (count + 1) // 2
            use.ff += count * pixel + 1
        return use

    def sample(self, draw: random.Random) -> Sample:
        return Sample({
            "CHANNELS": draw.choice([1, 4, 16]), "BITS": draw.choice([1, 2, 4, 8]), "SIGNED": draw.choice([0, 1]),
            "WINDOW": draw.choice([4, 9]),
        })  # fmt: skip
