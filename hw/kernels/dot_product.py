# SPDX-License-Identifier: Apache-2.0
"""What mvau and vvau share: reading weights, and products, adder trees, accumulators and weights of dot_product.sv."""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from icsort.hw.kernels.dsp_packing import PORT_BITS, dsp_slices
from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.finn import Integers, coding, datatype, integers, signed_bits
from icsort.hw.kernels.kernel import Bound, LayerKernel, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.rom import SHALLOW, add_rom
from icsort.hw.kernels.streams import tree_levels
from icsort.hw.kernels.sums import result_bits

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


class DotProductKernel(LayerKernel):
    """A kernel around dot_product.sv, PE rows and SIMD columns at a time."""

    parts: ClassVar = ("dot_product", "rom")
    defaults: ClassVar = {"ACT_SIGNED": 0, "RAM_STYLE": "auto", "MULT_STYLE": "auto", "DSP_A_BITS": 25}


def operand_parameters(model: "ModelWrapper", proto: "NodeProto", weight_bits: int) -> Mapping[str, int]:
    """Of activations, weights and accumulators: signed ones, as wide as the weights at hand need."""
    bits, signed, bipolar = coding(datatype(model, proto.input[0]))
    return {
        "ACT_BITS": bits, "ACT_SIGNED": signed, "ACT_BIPOLAR": bipolar,
        "WEIGHT_BITS": weight_bits, "ACC_BITS": result_bits(model, proto),
    }  # fmt: skip


def stored_weights(model: "ModelWrapper", proto: "NodeProto") -> tuple[Integers, int]:
    """Weights as they are stored, and the bits of one: a single bit for bipolar ones, else two's complement."""
    weights = integers(model, proto.input[1])
    if datatype(model, proto.input[1]).name == "BIPOLAR":
        return (weights + 1) // 2, 1
    return weights, max(2, signed_bits(weights))


def weight_memory(node: Node, unit: Unit) -> Memory:
    """Words of `node.constants` (rows, columns) in the order in which they are used."""
    assert node.constants is not None
    rows, columns = node.constants.shape
    pe, simd = int(unit["PE"]), int(unit["SIMD"])
    words = node.constants.reshape(rows // pe, pe, columns // simd, simd).transpose(0, 2, 1, 3)
    return Memory("WEIGHTS_FILE", node.parameters["WEIGHT_BITS"], words.reshape(-1, pe * simd))


def styles(unit: Unit, family: str) -> Parameters:
    """Where weights lie and what multiplies."""
    return {
        "RAM_STYLE": unit.get("ram_style", "auto"), "MULT_STYLE": unit.get("mult_style", "auto"),
        "DSP_A_BITS": PORT_BITS[family],
    }  # fmt: skip


def latency(beats: int, simd: int) -> int:
    """Cycles from the last beat of a vector of `beats` beats to its first result."""
    return 2 + tree_levels(simd) + (beats > 1)


def products(p: Bound, beats: int, groups: int, family: str, *, shared_act: bool) -> Use:
    """What dot_product.sv is made of. beats: of a vector (SF); groups: of rows (NF). shared_act: see dsp_packing."""
    simd, pe, act, weight, acc = p["SIMD"], p["PE"], p["ACT_BITS"], p["WEIGHT_BITS"], p["ACC_BITS"]
    words, count, width = beats * groups, simd * pe, weight + act
    counters = counter_bits(beats) + counter_bits(words)
    use = Use({"control": 1, "counter": counters}, ff=counters + simd * act * (1 if shared_act else pe))
    add_rom(use, words, count * weight, p["RAM_STYLE"])
    use.dsp = dsp_slices(pe, simd, weight, act, p["MULT_STYLE"], shared_act=shared_act, port_bits=p["DSP_A_BITS"])
    constant = "constant_" if words == 1 else ""
    if use.dsp:
        use.term("packed_product", count)
    else:
        use.ff += count * min(width, acc)
        use.term(f"{constant}product_{weight}x{act}", count)
    level, terms = 0, simd
    while terms > 1:
        level, below, terms = level + 1, terms, (terms + 1) // 2
        bits = min(acc, width + level)
        # A slice that holds a single product adds another one to it: in DSP48E1, as Yosys maps them.
        if not (level == 1 and use.dsp == count and family == "xc7"):
            use.term("adder" if use.dsp else f"{constant}adder", pe * (below // 2) * bits)
        use.ff += pe * terms * bits
    if beats > 1:
        use.term("accumulator", pe * acc)
        use.ff += pe * acc
    use.ff += 3 * (2 + level)
    return use


def sample(draw: random.Random, channels: str, vector: str) -> Sample:
    """channels, vector: the parameters that say how many rows and columns there are."""
    beats, groups = draw.choice([(1, 1), (1, 2), (2, 1), (1, 4), (3, 2), (2, 8), (4, 32), (9, 16)])
    simd = draw.choice([1, 3, 9] if vector == "KERNEL" else [1, 2, 4, 8, 9, 16, 18])
    pe = draw.choice([1, 2, 3, 4, 6, 8])
    while simd * pe > 40 and pe > 1:
        pe //= 2
    act, weight, style = draw.choice([2, 3, 4, 4, 8]), draw.choice([2, 3, 4, 4, 8]), draw.choice(["lut", "dsp", "dsp"])
    words = groups * beats
    style = style if words > 1 else "lut"  # of a product with a constant, tools may make shifts
    ram = draw.choice(["distributed", "block"]) if words >= SHALLOW else "distributed"
    acc = act + weight + max(1, (simd * beats - 1).bit_length()) - draw.choice([0, 0, 1])
    parameters: Parameters = {
        channels: groups * pe, vector: beats * simd, "SIMD": simd, "PE": pe, "ACT_BITS": act,
        "ACT_SIGNED": draw.choice([0, 0, 1]), "WEIGHT_BITS": weight, "ACC_BITS": acc,
        "RAM_STYLE": ram, "MULT_STYLE": style,
    }  # fmt: skip
    return Sample(parameters, "WEIGHTS_FILE", words, pe * simd * weight)
