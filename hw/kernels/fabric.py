# SPDX-License-Identifier: Apache-2.0
"""What kernels are made of in an FPGA: terms of LUTs, flip-flops, and memories of the shapes that there are."""

from dataclasses import dataclass

FAMILIES = ("xc7", "xcup", "ecp5")  # 7 series, UltraScale+ and Lattice ECP5, as Yosys names them

_BLOCK_WORDS = {  # bits in a word -> words, in half a block (BRAM_18K) and in a whole one (two of them)
    1: {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384},
    2: {72: 512, 36: 1024, 18: 2048, 9: 4096, 4: 8192, 2: 16384, 1: 32768},
}
_ULTRA_BITS, _ULTRA_WORDS = 72, 4096
_BLOCK_COST = 129  # of a BRAM_18K in Yosys's measure, with which it chooses where "auto" memories go


@dataclass
class Use:
    """What an instance is made of. lut: amounts of terms (bits of adders, multiplexers, ..), each of which costs so
    many LUTs a unit (folding.resources)."""

    lut: dict[str, float]
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    uram: int = 0

    def term(self, name: str, amount: float) -> None:
        """Add an amount of a term."""
        self.lut[name] = self.lut.get(name, 0) + amount

    def ram(self, words: int, width: int, family: str, style: str) -> None:
        """Add a memory with one write and one registered read port. style: its RAM_STYLE."""
        if words == 1:  # a register
            self.ff += width
            return
        luts = lut_ram(words, width, family)
        in_luts = 2.0 * luts + width * (-(-words // 64) - 1)
        if not self.in_blocks(words, width, style, in_luts):
            self.ff += width
            self.term("memory", luts)

    def in_blocks(self, words: int, width: int, style: str, in_luts: float) -> bool:
        """Add UltraRAM or block RAM, where `style` wants it or, for "auto", where Yosys puts it. False: it is for LUTs.

        in_luts: what it costs there, in Yosys's measure.
        """
        blocks = _blocks(words, width)
        if style == "ultra":
            self.uram += -(-words // _ULTRA_WORDS) * -(-width // _ULTRA_BITS)
        elif style == "block" or (style == "auto" and in_luts > blocks * _BLOCK_COST):
            self.bram += blocks
        else:
            return False
        return True


def counter_bits(count: int) -> int:
    """Bits of a counter that goes through `count` values."""
    return max(1, (count - 1).bit_length())


def lut_ram(words: int, width: int, family: str) -> int:
    """LUTs of a LUT memory with one write and one read port (RAM32M and RAM64M, or their UltraScale+ successors; of an
    ECP5 DPR16X4, which fill three slices of two)."""
    if family == "ecp5":
        return 6 * -(-words // 16) * -(-width // 4)
    luts, wide, deep = (4, 6, 3) if family == "xc7" else (8, 14, 7)
    return luts * min(-(-words // 32) * -(-width // wide), -(-words // 64) * -(-width // deep))


def _blocks(words: int, width: int) -> int:
    """BRAM_18K of a memory with one write and one read port, in the shape that needs fewest."""
    return min(
        halves * -(-words // depth) * -(-width // bits)
        for halves, shapes in _BLOCK_WORDS.items()
        for bits, depth in shapes.items()
    )
