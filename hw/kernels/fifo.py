# SPDX-License-Identifier: Apache-2.0
"""fifo: behind every layer and in front of joins."""

import random
from typing import ClassVar

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Kernel, Parameters, Sample

IN_LUTS = 256  # beats of the deepest one that "auto" leaves in LUTs
ULTRA_DEPTH = 129  # beats of one that is worth UltraRAM
ULTRA_SAVES = 1.5  # block RAMs of 18 Kibit that an UltraRAM must stand for


class Fifo(Kernel):
    name = "fifo"
    defaults: ClassVar = {"RAM_STYLE": "auto"}
    draws = 14

    def use(self, p: Bound, family: str) -> Use:
        width, depth, style = p["WIDTH"], p["DEPTH"], p["RAM_STYLE"]
        counters = 2 * counter_bits(depth) + depth.bit_length()
        use = Use({"control": 1, "counter": counters}, ff=counters)
        if style == "auto":
            style = "block" if depth > IN_LUTS else "distributed"
        use.ram(depth, width, family, style)
        if use.bram or use.uram:  # what is written and read at once goes around the memory
            use.term("bypass", width)
            use.ff += width
        else:
            use.ff -= width  # the read is not registered
            use.term("multiplexer", width * (-(-depth // 64) - 1))
        return use

    def sample(self, draw: random.Random) -> Sample:
        return Sample({
            "WIDTH": draw.choice([4, 14, 32, 112, 288]), "DEPTH": draw.choice([2, 2, 2, 4, 9, 34, 100, 300])
        })  # fmt: skip


def fifo(width: int, depth: int, ultra: bool) -> Parameters:
    """Parameters of one of `depth` beats of `width` bits. ultra: UltraRAM may hold what would fill much else."""
    blocks, ultras = -(-width // 36) * -(-depth // 512), -(-width // 72) * -(-depth // 4096)
    style = "ultra" if ultra and depth >= ULTRA_DEPTH and blocks >= ULTRA_SAVES * ultras else "auto"
    return {"WIDTH": width, "DEPTH": depth, "RAM_STYLE": style}
