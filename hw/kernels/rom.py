# SPDX-License-Identifier: Apache-2.0
"""rom: constants with a registered read, inside dot_product, threshold and channel_add."""

import math

from icsort.hw.kernels.fabric import Use

SHALLOW = 64  # words that a LUT holds; fewer are constants or LUTs, never block RAM
BIT_COST = 1 / 64  # of a bit in logic, in Yosys's measure, with which it chooses where "auto" memories go


def add_rom(use: Use, words: int, width: int, style: str) -> None:
    """Add a ROM of random contents. style: its RAM_STYLE. One word is constants, which cost nothing."""
    if words > 1 and not use.in_blocks(words, width, style, words * width * BIT_COST):
        use.ff += width
        use.term("rom", _luts(words, width))


def _luts(words: int, width: int) -> float:
    """LUTs of a ROM: one for 64 words of a bit, and multiplexers above four of them.

    Of few words many bits are equal, and equal ones share a LUT: of `kinds` possible ones, so many are there.
    """
    full = -(-words // 64)
    kinds = 2.0 ** min(words, 16)
    different = -kinds * math.expm1(width * math.log1p(-1 / kinds)) if words < 16 else width
    return different * (full + (full - 1) // 4 / 2)
