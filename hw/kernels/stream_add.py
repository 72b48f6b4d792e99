# SPDX-License-Identifier: Apache-2.0
"""stream_add: FINN's ElementwiseAdd of two streams of one shape."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.finn import NotCoveredError, datatype, refuse_bipolar, shape
from icsort.hw.kernels.kernel import Bound, LayerKernel, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import Step, Stream, Times, element_by_element
from icsort.hw.kernels.sums import result_bits

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class StreamAdd(LayerKernel):
    name = "stream_add"
    finn_op = "ElementwiseAdd"
    defaults: ClassVar = {"LHS_SIGNED": 0, "RHS_SIGNED": 0}
    draws = 6

    def implements(self, model: "ModelWrapper", proto: "NodeProto") -> bool:
        return model.get_initializer(proto.input[1]) is None

    def streams(self, proto: "NodeProto") -> tuple[str, ...]:
        return tuple(proto.input[:2])

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        refuse_bipolar(model, proto)
        if shape(model, proto.input[0]) != shape(model, proto.input[1]):
            raise NotCoveredError("the branches have different shapes; join pixels and channels one to one")
        lhs, rhs = (datatype(model, tensor) for tensor in proto.input)
        out_bits = result_bits(model, proto)
        parameters = {
            "LHS_BITS": int(lhs.bitwidth()), "LHS_SIGNED": int(lhs.signed()),
            "RHS_BITS": int(rhs.bitwidth()), "RHS_SIGNED": int(rhs.signed()), "OUT_BITS": out_bits,
        }  # fmt: skip
        return replace(node, out_bits=out_bits, parameters=parameters)

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        return element_by_element(node.elements, arriving, CYCLES)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.elements // arriving.lanes, left) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"PE": unit["PE"], **node.parameters}

    def use(self, p: Bound, family: str) -> Use:
        signed = p["LHS_SIGNED"] or p["RHS_SIGNED"]
        carried = max(p["LHS_BITS"], p["RHS_BITS"]) if signed else min(p["LHS_BITS"], p["RHS_BITS"])
        return Use({"control": 1, "adder": p["PE"] * carried}, ff=p["PE"] * p["OUT_BITS"] + 1)

    def sample(self, draw: random.Random) -> Sample:
        bits = draw.choice([4, 8, 14])
        return Sample({
            "PE": draw.choice([1, 4, 16]), "LHS_BITS": bits, "RHS_BITS": draw.choice([4, bits]), "OUT_BITS": bits + 1
        })  # fmt: skip
