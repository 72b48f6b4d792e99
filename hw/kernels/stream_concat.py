# SPDX-License-Identifier: Apache-2.0
"""stream_concat: FINN's StreamingConcat of two streams, whole pixels at a time."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.finn import NotCoveredError, datatype, refuse_bipolar, shape
from icsort.hw.kernels.kernel import Bound, LayerKernel, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import Step, Stream, Times, element_by_element

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class StreamConcat(LayerKernel):
    name = "stream_concat"
    finn_op = "StreamingConcat"
    draws = 3

    def implements(self, model: "ModelWrapper", proto: "NodeProto") -> bool:
        return len(proto.input) == 2

    def streams(self, proto: "NodeProto") -> tuple[str, ...]:
        return tuple(proto.input)

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        refuse_bipolar(model, proto)
        (*pixels, left), (*others, right) = (shape(model, tensor) for tensor in proto.input)
        if pixels != others:
            raise NotCoveredError("the branches have different numbers of pixels; join channels pixel by pixel")
        kinds = {datatype(model, tensor).name for tensor in (*proto.input, *proto.output)}
        if len(kinds) > 1:
            raise NotCoveredError(
                f"the branches have different types, {' and '.join(sorted(kinds))}; send both through one quantizer"
            )
        widths = {"LHS_WIDTH": left * node.out_bits, "RHS_WIDTH": right * node.out_bits}
        return replace(node, channels=left + right, parameters=widths)

    def limits(self, node: Node) -> dict[str, int]:
        return {}

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return node.elements

    def side_lanes(self, node: Node, unit: Unit) -> tuple[int, ...]:
        return node.elements, node.channels - node.elements

    def out_lanes(self, node: Node, unit: Unit) -> int:
        return node.channels

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        step = element_by_element(node.elements, arriving, CYCLES)
        return replace(step, out=replace(step.out, lanes=node.channels))

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.elements // arriving.lanes, left) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {**node.parameters}

    def use(self, p: Bound, family: str) -> Use:
        return Use({"control": 1}, ff=p["LHS_WIDTH"] + p["RHS_WIDTH"] + 1)

    def sample(self, draw: random.Random) -> Sample:
        return Sample({"LHS_WIDTH": draw.choice([4, 32, 128]), "RHS_WIDTH": draw.choice([4, 32, 128])})
