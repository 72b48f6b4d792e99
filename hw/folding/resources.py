# SPDX-License-Identifier: Apache-2.0
"""What a kernel instance costs in an AMD FPGA: LUT, FF, DSP, BRAM_18K, URAM, from its parameters alone.

Registers, block memories and DSP slices are counted from the kernel's structure. LUTs are a sum of terms (bits of
multipliers, adders, multiplexers, memories) times what one unit of each costs; `python -m
icsort.hw.synthesis.fit_resources` fits these to Yosys and writes resources.json. Weights are taken as random numbers
of their width: where many are zero, tools need less. A layer takes microseconds, so that a search may ask thousands of
times.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icsort.errors import IcsortError
from icsort.hw.kernels.dsp_packing import dsp_slices

Resources = dict[str, int]
Parameters = Mapping[str, int | str]
_Bound = dict[str, Any]  # parameters with every default

RESOURCES = ("LUT", "FF", "DSP", "BRAM_18K", "URAM")
FAMILIES = ("xc7", "xcup")  # 7 series and UltraScale+, as Yosys names them
COEFFICIENTS = Path(__file__).parent / "resources.json"

_LUT_COST: dict[str, dict[str, float]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["lut"]
_BLOCK_WORDS = {  # bits in a word -> words, in half a block (BRAM_18K) and in a whole one (two of them)
    1: {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384},
    2: {72: 512, 36: 1024, 18: 2048, 9: 4096, 4: 8192, 2: 16384, 1: 32768},
}
_ULTRA_BITS, _ULTRA_WORDS = 72, 4096
# Yosys's measure, with which it chooses where "auto" memories go: a BRAM_18K, a bit of a ROM in logic, and LUT memory.
_BLOCK_COST, _ROM_BIT_COST, _LUT_MEMORY_COST = 129, 1 / 64, 8
_DEFAULTS = {
    "ACT_SIGNED": 0, "LHS_SIGNED": 0, "RHS_SIGNED": 0, "K_H": 3, "K_W": 3, "STRIDE_H": 1, "STRIDE_W": 1, "DEPTHWISE": 0,
    "WHOLE_WINDOW": 0, "PAD_TOP": 1, "PAD_LEFT": 1, "PAD_BOTTOM": 1, "PAD_RIGHT": 1, "PER_TENSOR": 0, "OUTPUTS": 2,
    "RAM_STYLE": "auto", "MULT_STYLE": "auto", "DSP_A_BITS": 25,
}  # fmt: skip
COST_GROUPS = {"mvau": "dot_product", "vvau": "dot_product"}  # kernels that share their costs
_FIFO_IN_LUTS = 256  # beats of the deepest FIFO that "auto" leaves in LUTs
PRODUCT_BITS = (1, 2, 3, 4, 8)  # widths of operands whose products have a cost of their own
_PRODUCT = re.compile(r"(constant_|)product_(\d+)x(\d+)")


@dataclass
class _Use:
    """What an instance is made of. lut: terms, see the head of this file."""

    lut: dict[str, float]
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    uram: int = 0

    def term(self, name: str, amount: float) -> None:
        self.lut[name] = self.lut.get(name, 0) + amount


def family_of(part: str) -> str:
    """The family of a part number: "xc7" or "xcup". Raises IcsortError for any other."""
    for prefix, family in (("xc7", "xc7"), ("xczu", "xcup"), ("xcku", "xcup"), ("xcvu", "xcup")):
        if part.lower().startswith(prefix):
            return family
    raise IcsortError(f"part {part!r}: only the 7 series and UltraScale+ are modelled; use a part of these")


def layer_resources(kernel: str, parameters: Parameters, family: str) -> Resources:
    """LUT, FF, DSP, BRAM_18K and URAM of one instance of a kernel, a fifo or a width_converter.

    parameters: as in the RTL; for one that is missing the RTL's default counts. family: one of FAMILIES. A LUT is a
    LUT6 or smaller, as logic, memory or shift register; carry chains and wide multiplexers are not counted.
    """
    use = _KERNELS[kernel]({**_DEFAULTS, **parameters}, family)
    lut = sum(_cost(kernel, term) * amount for term, amount in use.lut.items())
    return {"LUT": round(lut), "FF": use.ff, "DSP": use.dsp, "BRAM_18K": use.bram, "URAM": use.uram}


def _cost(kernel: str, term: str) -> float:
    """LUTs of one unit of a term."""
    costs = _LUT_COST[COST_GROUPS.get(kernel, kernel)]
    if term in costs:
        return costs[term]
    match = _PRODUCT.fullmatch(term)
    assert match is not None, (kernel, term)  # a term without a cost: run icsort.hw.synthesis.fit_resources
    weight, act = int(match[2]), int(match[3])
    # Other widths in proportion to the bits of both, from the next wider ones, or the widest.
    like = [min((bits for bits in PRODUCT_BITS if bits >= width), default=PRODUCT_BITS[-1]) for width in (weight, act)]
    return costs[f"{match[1]}product_{like[0]}x{like[1]}"] * weight * act / (like[0] * like[1])


def lut_terms(kernel: str, parameters: Parameters, family: str) -> dict[str, float]:
    """The terms of the LUT count, by name, as amounts: what fit_resources fits a cost to."""
    return _KERNELS[kernel]({**_DEFAULTS, **parameters}, family).lut


def _bits(count: int) -> int:
    """Bits of a counter that goes through `count` values."""
    return max(1, (count - 1).bit_length())


def _blocks(words: int, width: int) -> int:
    """BRAM_18K of a memory with one write and one read port, in the shape that needs fewest."""
    return min(
        halves * -(-words // depth) * -(-width // bits)
        for halves, shapes in _BLOCK_WORDS.items()
        for bits, depth in shapes.items()
    )


def _memory(use: _Use, words: int, width: int, family: str, style: str, *, rom: bool) -> None:
    """A memory with a registered read, where `style` wants it or, for "auto", where Yosys puts it."""
    if words == 1:  # constants, or one register
        use.ff += 0 if rom else width
        return
    blocks = _blocks(words, width)
    if rom:
        in_luts = words * width * _ROM_BIT_COST
    else:
        in_luts = 2.0 * _lut_memory(words, width, family) + width * (-(-words // 64) - 1)
    if style == "ultra":
        use.uram += -(-words // _ULTRA_WORDS) * -(-width // _ULTRA_BITS)
    elif style == "block" or (style == "auto" and in_luts > blocks * _BLOCK_COST):
        use.bram += blocks
    else:
        use.ff += width
        if rom:
            use.term("rom", _rom_luts(words, width))
        else:
            use.term("memory", _lut_memory(words, width, family))


def _rom_luts(words: int, width: int) -> float:
    """LUTs of a ROM of random contents: one for 64 words of a bit, and multiplexers above four of them.

    Of few words many bits are equal, and equal ones share a LUT: of `kinds` possible ones, so many are there.
    """
    full = -(-words // 64)
    kinds = 2.0 ** min(words, 16)
    different = -kinds * math.expm1(width * math.log1p(-1 / kinds)) if words < 16 else width
    return different * (full + (full - 1) // 4 / 2)


def _lut_memory(words: int, width: int, family: str) -> int:
    """LUTs of a LUT memory with one write and one read port (RAM32M and RAM64M, or their UltraScale+ successors)."""
    luts, wide, deep = (4, 6, 3) if family == "xc7" else (8, 14, 7)
    return luts * min(-(-words // 32) * -(-width // wide), -(-words // 64) * -(-width // deep))


def _dot_product(p: _Bound, sf: int, nf: int, family: str, *, shared_act: bool) -> _Use:
    """Products, adder tree, accumulators and weights: dot_product.sv."""
    simd, pe, act, weight, acc = p["SIMD"], p["PE"], p["ACT_BITS"], p["WEIGHT_BITS"], p["ACC_BITS"]
    words, products, width = sf * nf, simd * pe, weight + act
    beat = simd * act * (1 if shared_act else pe)
    use = _Use({"control": 1, "counter": _bits(sf) + _bits(words)}, ff=_bits(sf) + _bits(words) + beat)
    _memory(use, words, products * weight, family, p["RAM_STYLE"], rom=True)
    use.dsp = dsp_slices(pe, simd, weight, act, p["MULT_STYLE"], shared_act=shared_act, port_bits=p["DSP_A_BITS"])
    constant = "constant_" if words == 1 else ""
    if use.dsp:
        use.term("packed_product", products)
    else:
        use.ff += products * min(width, acc)
        use.term(f"{constant}product_{weight}x{act}", products)
    level, count = 0, simd
    while count > 1:
        level, below, count = level + 1, count, (count + 1) // 2
        bits = min(acc, width + level)
        # A slice that holds a single product adds another one to it: in DSP48E1, as Yosys maps them.
        if not (level == 1 and use.dsp == products and family == "xc7"):
            use.term("adder" if use.dsp else f"{constant}adder", pe * (below // 2) * bits)
        use.ff += pe * count * bits
    if sf > 1:
        use.term("accumulator", pe * acc)
        use.ff += pe * acc
    use.ff += 3 * (2 + level)
    return use


def _mvau(p: _Bound, family: str) -> _Use:
    sf, nf = p["MW"] // p["SIMD"], p["MH"] // p["PE"]
    use = _dot_product(p, sf, nf, family, shared_act=True)
    if nf > 1:  # the vector that is replayed
        beat = p["SIMD"] * p["ACT_BITS"]
        use.term("multiplexer", beat)
        if sf > 1:
            use.term("memory", _lut_memory(sf, beat, family))
        else:
            use.ff += beat
    return use


def _vvau(p: _Bound, family: str) -> _Use:
    sf, nf = p["KERNEL"] // p["SIMD"], p["CHANNELS"] // p["PE"]
    use = _dot_product(p, sf, nf, family, shared_act=False)
    if p["WHOLE_WINDOW"] and sf * nf > 1:
        use.term("window_multiplexer", p["SIMD"] * p["PE"] * p["ACT_BITS"] * (sf * nf - 1))
    return use


def _threshold(p: _Bound, family: str) -> _Use:
    pe, steps, bits, out = p["PE"], p["STEPS"], p["IN_BITS"], p["OUT_BITS"]
    folds = 1 if p["PER_TENSOR"] else p["CHANNELS"] // pe
    rows = 1 if p["PER_TENSOR"] else pe
    use = _Use({"control": 1, "counter": _bits(folds) if folds > 1 else 0}, ff=3 + pe * steps + pe * out)
    if folds == 1:
        use.term("constant_comparison", pe * steps * bits)
    else:
        _memory(use, folds, rows * steps * bits, family, p["RAM_STYLE"], rom=True)
        use.ff += _bits(folds)
        use.term("comparison", pe * steps * bits)
    use.term("count", pe * steps)
    if steps > 16:
        use.ff += pe * 5 * -(-steps // 16)
    return use


def _sliding_window(p: _Bound, family: str) -> _Use:
    pixel, lines = p["CHANNELS"] * p["BITS"], p["K_H"] - 1
    counters = _bits(p["IFM_W"]) + _bits(p["IFM_H"])
    use = _Use({"control": 1, "counter": counters}, ff=p["K_H"] * p["K_W"] * pixel + counters + 5)
    if lines:
        _memory(use, p["IFM_W"], lines * pixel, family, p["RAM_STYLE"], rom=False)
    return use


def _sliding_window_folded(p: _Bound, family: str) -> _Use:
    line = p["IFM_W"] * (p["CHANNELS"] // p["SIMD"])
    words = p.get("LINES", p["K_H"] + p["STRIDE_H"]) * line
    use = _Use({"control": 1, "counter": _bits(words) + _bits(line)}, ff=4 * _bits(words) + 4 * _bits(line) + 16)
    _memory(use, words, p["SIMD"] * p["BITS"], family, p["RAM_STYLE"], rom=False)
    return use


def _fmpad(p: _Bound, family: str) -> _Use:
    del family
    fold = p["CHANNELS"] // p["SIMD"]
    width = (p["IFM_W"] + p["PAD_LEFT"] + p["PAD_RIGHT"]) * fold
    counters = (width + 1).bit_length() + (p["IFM_H"] + p["PAD_TOP"] + p["PAD_BOTTOM"] + 1).bit_length()
    beat = p["SIMD"] * p["BITS"]
    return _Use({"control": 1, "counter": counters, "multiplexer": beat}, ff=beat + counters + 1)


def _global_acc_pool(p: _Bound, family: str) -> _Use:
    folds, beat = p["CHANNELS"] // p["PE"], p["PE"] * p["OUT_BITS"]
    counters = _bits(folds) + _bits(p["PIXELS"])
    use = _Use({"control": 1, "counter": counters, "adder": beat}, ff=beat + counters + 1)
    _memory(use, folds, beat, family, p["RAM_STYLE"], rom=False)
    return use


def _max_pool(p: _Bound, family: str) -> _Use:
    del family
    pixel, window = p["CHANNELS"] * p["BITS"], p["WINDOW"]
    use = _Use({"control": 1, "maximum" if p["BITS"] > 2 else "narrow_maximum": pixel * (window - 1)})
    count = window
    while count > 1:
        count = (count + 1) // 2
        use.ff += count * pixel + 1
    return use


def _max_pool_folded(p: _Bound, family: str) -> _Use:
    del family
    beat, counter = p["PE"] * p["BITS"], _bits(p["WINDOW"])
    use = _Use({"control": 1, "counter": counter}, ff=beat + counter + 1)
    use.term("maximum" if p["BITS"] > 2 else "narrow_maximum", beat)
    return use


def _label_select(p: _Bound, family: str) -> _Use:
    del family
    pe, bits = p["PE"], p["BITS"] + p["OUT_BITS"]
    return _Use({"control": 1, "counter": _bits(p["LABELS"] // pe), "maximum": pe * bits}, ff=pe * bits + 8)


def _stream_add(p: _Bound, family: str) -> _Use:
    del family
    signed = p["LHS_SIGNED"] or p["RHS_SIGNED"]
    carried = max(p["LHS_BITS"], p["RHS_BITS"]) if signed else min(p["LHS_BITS"], p["RHS_BITS"])
    return _Use({"control": 1, "adder": p["PE"] * carried}, ff=p["PE"] * p["OUT_BITS"] + 1)


def _channel_add(p: _Bound, family: str) -> _Use:
    folds, addends = p["CHANNELS"] // p["PE"], p["PE"] * p["ADDEND_BITS"]
    counter = _bits(folds) if folds > 1 else 0
    use = _Use({"control": 1, "counter": counter}, ff=p["PE"] * p["OUT_BITS"] + counter + 1)
    use.term("constant_adder" if folds == 1 else "adder", p["PE"] * p["OUT_BITS"])
    _memory(use, folds, addends, family, p["RAM_STYLE"], rom=True)
    return use


def _stream_fork(p: _Bound, family: str) -> _Use:
    del family
    width, outputs = p["WIDTH"], p["OUTPUTS"]
    return _Use({"control": outputs}, ff=width + outputs)


def _width_converter(p: _Bound, family: str) -> _Use:
    del family
    in_width, out_width = p["IN_WIDTH"], p["OUT_WIDTH"]
    ratio = max(in_width, out_width) // min(in_width, out_width)
    if ratio == 1:
        return _Use({})
    use = _Use({"control": 1, "counter": _bits(ratio)}, ff=max(in_width, out_width) + _bits(ratio) + 1)
    if in_width > out_width:
        use.term("multiplexer", in_width - out_width)
    return use


def _fifo(p: _Bound, family: str) -> _Use:
    width, depth = p["WIDTH"], p["DEPTH"]
    counters = 2 * _bits(depth) + depth.bit_length()
    use = _Use({"control": 1, "counter": counters}, ff=counters)
    style = p["RAM_STYLE"]
    if style == "auto":
        style = "block" if depth > _FIFO_IN_LUTS else "distributed"
    _memory(use, depth, width, family, style, rom=False)
    if use.bram or use.uram:  # what is written and read at once goes around the memory
        use.term("bypass", width)
        use.ff += width
    else:
        use.ff -= width  # the read is not registered
        use.term("multiplexer", width * (-(-depth // 64) - 1))
    return use


_KERNELS: dict[str, Callable[[_Bound, str], _Use]] = {
    "mvau": _mvau,
    "vvau": _vvau,
    "threshold": _threshold,
    "sliding_window": _sliding_window,
    "sliding_window_folded": _sliding_window_folded,
    "fmpad": _fmpad,
    "max_pool": _max_pool,
    "max_pool_folded": _max_pool_folded,
    "global_acc_pool": _global_acc_pool,
    "label_select": _label_select,
    "stream_fork": _stream_fork,
    "stream_add": _stream_add,
    "channel_add": _channel_add,
    "width_converter": _width_converter,
    "fifo": _fifo,
}
