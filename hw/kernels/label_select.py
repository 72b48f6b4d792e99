# SPDX-License-Identifier: Apache-2.0
"""label_select: the number of the largest logit. The sorter takes all logits, so that no layer becomes one."""

import random

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Kernel, Sample


class LabelSelect(Kernel):
    name = "label_select"
    draws = 5

    def use(self, p: Bound, family: str) -> Use:
        pe, bits = p["PE"], p["BITS"] + p["OUT_BITS"]
        terms = {"control": 1, "counter": counter_bits(p["LABELS"] // pe), "maximum": pe * bits}
        return Use(terms, ff=pe * bits + 8)

    def sample(self, draw: random.Random) -> Sample:
        labels = draw.choice([7, 10, 16, 36])
        pe = draw.choice([1, labels])
        return Sample({
            "LABELS": labels, "PE": pe, "BITS": draw.choice([12, 16, 20]), "OUT_BITS": (labels - 1).bit_length()
        })  # fmt: skip
