# SPDX-License-Identifier: Apache-2.0
"""stream_fork: FINN's DuplicateStreams."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.kernel import Bound, LayerKernel, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import Step, Stream, Times, element_by_element

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class StreamFork(LayerKernel):
    name = "stream_fork"
    finn_op = "DuplicateStreams"
    defaults: ClassVar = {"OUTPUTS": 2}
    draws = 3

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        return replace(node, out_bits=node.in_bits[0])

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        return element_by_element(node.elements, arriving, CYCLES)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.elements // arriving.lanes, left) + CYCLES

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {"WIDTH": int(unit["PE"]) * node.in_bits[0], "OUTPUTS": len(node.outputs)}

    def use(self, p: Bound, family: str) -> Use:
        return Use({"control": p["OUTPUTS"]}, ff=p["WIDTH"] + p["OUTPUTS"])

    def sample(self, draw: random.Random) -> Sample:
        return Sample({"WIDTH": draw.choice([4, 32, 128]), "OUTPUTS": draw.choice([2, 2, 3])})
