# SPDX-License-Identifier: Apache-2.0
"""What a kernel instance costs in an FPGA: LUT, FF, DSP, BRAM_18K, URAM, from its parameters alone.

Each kernel says what it is made of (`Kernel.use`): registers, block memories and DSP slices are counted from its
structure. LUTs are a sum of terms (bits of multipliers, adders, multiplexers, memories) times what one unit of each
costs; `python -m icsort.hw.synthesis.fit_resources` fits these to Yosys and writes resources.json. Weights are taken as
random numbers of their width: where many are zero, tools need less. A layer takes microseconds, so that a search may
ask thousands of times.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from icsort.errors import IcsortError
from icsort.hw.kernels import KERNELS
from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.mvau import PRODUCT_BITS

Resources = dict[str, int]
Parameters = Mapping[str, int | str]

RESOURCES = ("LUT", "FF", "DSP", "BRAM_18K", "URAM")
SMALL_LUTS = 2.0  # LUT4s of an ECP5 for a LUT6, roughly: Yosys takes 1.2 for sums, 2 to 4 for tables and multiplexers
SMALL_SUMS = {"adder": 1.06, "accumulator": 1.79}
"""LUT4s of an ECP5 for a bit of a dot product's sums: a least-squares fit to 24 of them in Yosys 0.70."""
COEFFICIENTS = Path(__file__).parent / "resources.json"

_LUT_COST: dict[str, dict[str, float]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["lut"]
_PRODUCT = re.compile(r"(constant_|)product_(\d+)x(\d+)")


def family_of(part: str) -> str:
    """The family of a part number: one of fabric.FAMILIES. Raises IcsortError for any other."""
    prefixes = {"xc7": "xc7", "xczu": "xcup", "xcku": "xcup", "xcvu": "xcup", "lfe5u": "ecp5"}
    for prefix, family in prefixes.items():
        if part.lower().startswith(prefix):
            return family
    raise IcsortError(f"part {part!r}: only the 7 series, UltraScale+ and ECP5 are modelled; use a part of these")


def layer_resources(kernel: str, parameters: Parameters, family: str) -> Resources:
    """LUT, FF, DSP, BRAM_18K and URAM of one instance of a kernel of icsort.hw.kernels.KERNELS.

    parameters: as in the RTL; for one that is missing the RTL's default counts. family: one of fabric.FAMILIES. A LUT
    is a LUT6 or smaller, as logic, memory or shift register; carry chains and wide multiplexers are not counted. An
    ECP5 has LUT4s, carry chains among them: _small_cost says of how many.
    """
    use = kernel_use(kernel, parameters, family)
    cost = _small_cost if family == "ecp5" else _cost
    lut = sum(cost(kernel, term) * amount for term, amount in use.lut.items())
    return {"LUT": round(lut), "FF": use.ff, "DSP": use.dsp, "BRAM_18K": use.bram, "URAM": use.uram}


def kernel_use(kernel: str, parameters: Parameters, family: str) -> Use:
    """What an instance is made of, missing parameters by their defaults."""
    return KERNELS[kernel].use({**KERNELS[kernel].defaults, **parameters}, family)


def cost_group(kernel: str) -> str:
    """The key of resources.json that has a kernel's LUT costs."""
    return KERNELS[kernel].shares_costs_of or kernel


def _cost(kernel: str, term: str) -> float:
    """LUTs of one unit of a term."""
    costs = _LUT_COST[cost_group(kernel)]
    if term in costs:
        return costs[term]
    match = _PRODUCT.fullmatch(term)
    assert match is not None, (kernel, term)  # a term without a cost: run icsort.hw.synthesis.fit_resources
    weight, act = int(match[2]), int(match[3])
    # Other widths in proportion to the bits of both, from the next wider ones, or the widest.
    like = [min((bits for bits in PRODUCT_BITS if bits >= width), default=PRODUCT_BITS[-1]) for width in (weight, act)]
    return costs[f"{match[1]}product_{like[0]}x{like[1]}"] * weight * act / (like[0] * like[1])


def _small_cost(kernel: str, term: str) -> float:
    """LUT4s of one unit of a term in an ECP5. Products are those of hw/synthesis/ecp5_products.v, counted."""
    if term == "memory":
        return _cost(kernel, term)
    if cost_group(kernel) in ("dot_product", "constant_mvau"):
        if term in SMALL_SUMS:
            return SMALL_SUMS[term]
        match = _PRODUCT.fullmatch(term)
        if match and not match[1] and min(int(match[2]), int(match[3])) > 1:
            weight, act = int(match[2]), int(match[3])
            rows, bits = (act, weight) if act <= weight else (weight, act + 1)  # the other operand is signed
            return bits + (rows - 1) * 2 * ((bits + 2) // 2)
    return SMALL_LUTS * _cost(kernel, term)
