# SPDX-License-Identifier: Apache-2.0
"""channel_add: FINN's ElementwiseAdd of a stream and a constant, one addend for each channel."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.finn import NotCoveredError, integers, refuse_bipolar, signed_bits
from icsort.hw.kernels.kernel import Bound, LayerKernel, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.rom import add_rom
from icsort.hw.kernels.streams import Step, Stream, Times, element_by_element
from icsort.hw.kernels.sums import operand, result_bits

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class ChannelAdd(LayerKernel):
    name = "channel_add"
    parts: ClassVar = ("rom", "stream_add")
    finn_op = "ElementwiseAdd"
    op = "ChannelAdd"
    gives_logits = True
    defaults: ClassVar = {"RAM_STYLE": "auto"}
    draws = 8

    def implements(self, model: "ModelWrapper", proto: "NodeProto") -> bool:
        return model.get_initializer(proto.input[1]) is not None

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        refuse_bipolar(model, proto)
        addends = integers(model, proto.input[1])
        if addends.shape[-1] != node.elements or addends.size != node.elements:
            raise NotCoveredError("a constant is added to each channel; give it one value a channel")
        (in_bits, signed), out_bits = operand(model, proto.input[0]), result_bits(model, proto)
        parameters = {
            "IN_BITS": in_bits, "IN_SIGNED": int(signed),
            "ADDEND_BITS": signed_bits(addends), "ADDEND_SIGNED": 1, "OUT_BITS": out_bits,
        }  # fmt: skip
        return replace(node, in_bits=(in_bits,), out_bits=out_bits, parameters=parameters, constants=addends)

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        return element_by_element(node.elements, arriving, CYCLES)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.elements // arriving.lanes, left) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"CHANNELS": node.elements, "PE": unit["PE"], **node.parameters, "RAM_STYLE": "auto"}

    def memory(self, node: Node, unit: Unit) -> Memory:
        assert node.constants is not None
        return Memory("ADDENDS_FILE", node.parameters["ADDEND_BITS"], node.constants.reshape(-1, int(unit["PE"])))

    def use(self, p: Bound, family: str) -> Use:
        folds, addends = p["CHANNELS"] // p["PE"], p["PE"] * p["ADDEND_BITS"]
        counter = counter_bits(folds) if folds > 1 else 0
        use = Use({"control": 1, "counter": counter}, ff=p["PE"] * p["OUT_BITS"] + counter + 1)
        use.term("constant_adder" if folds == 1 else "adder", p["PE"] * p["OUT_BITS"])
        add_rom(use, folds, addends, p["RAM_STYLE"])
        return use

    def sample(self, draw: random.Random) -> Sample:
        pe, folds = draw.choice([1, 2, 5, 10]), draw.choice([1, 1, 4, 10])
        bits, addend_bits = draw.randint(8, 18), draw.randint(4, 12)
        parameters: Parameters = {
            "CHANNELS": pe * folds, "PE": pe, "IN_BITS": bits, "ADDEND_BITS": addend_bits,
            "OUT_BITS": max(bits, addend_bits) + 1, "RAM_STYLE": "distributed",
        }  # fmt: skip
        return Sample(parameters, "ADDENDS_FILE", folds, pe * addend_bits)
