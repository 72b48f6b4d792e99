# SPDX-License-Identifier: Apache-2.0
"""max_pool_folded: FINN's Pool, tap by tap, behind a depthwise sliding_window_folded."""

import random

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Node, Parameters, Sample, Unit
from icsort.hw.kernels.pools import MaxPoolKernel, maximum
from icsort.hw.kernels.streams import Step, Stream, Times, after_the_one_before

CYCLES = 1


class MaxPoolFolded(MaxPoolKernel):
    name = "max_pool_folded"
    draws = 5

    def folds(self, unit: Unit) -> bool:
        return not unit["parallel_window"]

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        groups = node.channels // int(unit["PE"])
        taken = arriving.through(node.taps * groups, 0)
        out = Stream(taken.times + CYCLES, int(unit["PE"]), (groups - 1) * node.taps)
        return Step(out, node.taps * groups * arriving.pixels, after_the_one_before(taken.times), taken)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.taps * (node.channels // int(unit["PE"])), left) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"PE": unit["PE"], **node.parameters}

    def use(self, p: Bound, family: str) -> Use:
        beat, counter = p["PE"] * p["BITS"], counter_bits(p["WINDOW"])
        use = Use({"control": 1, "counter": counter}, ff=beat + counter + 1)
        use.term(maximum(p["BITS"]), beat)
        return use

    def sample(self, draw: random.Random) -> Sample:
        return Sample({
            "PE": draw.choice([1, 4, 16, 64]), "BITS": draw.choice([1, 2, 4, 8]), "WINDOW": draw.choice([4, 9])
        })  # fmt: skip
