# SPDX-License-Identifier: Apache-2.0
"""global_acc_pool: FINN's GlobalAccPool, sums; the division went into the scale of the logits."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.finn import coding, datatype, refuse_bipolar
from icsort.hw.kernels.kernel import Bound, LayerKernel, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import Step, Stream, Times, at_pixels, element_by_element

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class GlobalAccPool(LayerKernel):
    name = "global_acc_pool"
    finn_op = "GlobalAccPool"
    defaults: ClassVar = {"RAM_STYLE": "auto"}
    draws = 8

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        refuse_bipolar(model, proto)
        bits, signed, _ = coding(datatype(model, proto.input[0]))
        parameters = {"PIXELS": node.height * node.width, "BITS": bits, "SIGNED": signed, "OUT_BITS": node.out_bits}
        return replace(node, parameters=parameters)

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        step = element_by_element(node.elements, arriving, CYCLES)
        return replace(step, out=replace(step.out, times=step.out.times[:, -1:, -1:]))

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        every = at_pixels(left, np.s_[:, -1:, -1:], arriving.times.shape)
        return arriving.left_through(node.elements // arriving.lanes, every) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"CHANNELS": node.elements, "PE": unit["PE"], **node.parameters}

    def use(self, p: Bound, family: str) -> Use:
        folds, beat = p["CHANNELS"] // p["PE"], p["PE"] * p["OUT_BITS"]
        counters = counter_bits(folds) + counter_bits(p["PIXELS"])
        use = Use({"control": 1, "counter": counters, "adder": beat}, ff=beat + counters + 1)
        use.ram(folds, beat, family, p["RAM_STYLE"])
        return use

    def sample(self, draw: random.Random) -> Sample:
        pe, pixels, bits = draw.choice([1, 2, 4, 16]), draw.choice([4, 16, 64]), draw.choice([4, 8])
        return Sample({
            "CHANNELS": pe * draw.choice([1, 4, 16, 64]), "PE": pe, "PIXELS": pixels, "BITS": bits,
            "OUT_BITS": bits + pixels.bit_length(),
        })  # fmt: skip
