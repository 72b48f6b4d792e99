# SPDX-License-Identifier: Apache-2.0
"""vvau: FINN's VVAU without activation, depthwise products, behind a window generator in the same mode."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from icsort.hw.kernels import adder_graph, dot_product
from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.finn import NotCoveredError, attributes
from icsort.hw.kernels.kernel import Bound, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import Step, Stream, Times, after_the_one_before, before_serving, serve

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


class Vvau(dot_product.DotProductKernel):
    name = "vvau"
    finn_op = "VVAU"
    shares_costs_of = "dot_product"
    defaults: ClassVar = {**dot_product.DotProductKernel.defaults, "WHOLE_WINDOW": 0}
    draws = 14

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        get = attributes(proto)
        if not get("noActivation"):
            raise NotCoveredError("thresholds inside the depthwise unit are not covered")
        channels, taps = get("Channels"), int(np.prod(get("Kernel")))
        weights, weight_bits = dot_product.stored_weights(model, proto)
        parameters = dot_product.operand_parameters(model, proto, weight_bits)
        return replace(
            node,
            taps=taps,
            channels=channels,
            parameters=parameters,
            out_bits=parameters["ACC_BITS"],
            constants=weights.reshape(channels, taps),
        )

    def refuses(self, node: Node, unit: Unit) -> str:
        return "depthwise layers have multipliers only" if unit.get("mult_style") in adder_graph.STYLES else ""

    def limits(self, node: Node) -> dict[str, int]:
        return {"PE": node.channels, "SIMD": node.taps}

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return node.elements if unit["parallel_window"] else int(unit["PE"])

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        pe, simd = int(unit["PE"]), int(unit["SIMD"])
        beats, groups = node.taps // simd, node.channels // pe
        if unit["parallel_window"]:  # the window stays until its last channels had their turn
            taken = Stream(serve(arriving.times, beats * groups), arriving.lanes)
        else:
            taken = arriving.through(beats * groups, 0)
        out = Stream(taken.times + dot_product.latency(beats, simd), pe, (groups - 1) * beats)
        return Step(out, beats * groups * arriving.pixels, after_the_one_before(taken.times), taken)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        beats, groups = node.taps // int(unit["SIMD"]), node.channels // int(unit["PE"])
        left = left + dot_product.latency(beats, int(unit["SIMD"]))
        whole = bool(unit["parallel_window"])
        return before_serving(left, beats * groups) if whole else arriving.left_through(beats * groups, left)

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {
            "CHANNELS": node.channels, "KERNEL": node.taps, "SIMD": unit["SIMD"], "PE": unit["PE"],
            **node.parameters, "WHOLE_WINDOW": unit["parallel_window"], **dot_product.styles(unit, family),
        }  # fmt: skip

    def memory(self, node: Node, unit: Unit) -> Memory:
        return dot_product.weight_memory(node, unit)

    def use(self, p: Bound, family: str) -> Use:
        beats, groups = p["KERNEL"] // p["SIMD"], p["CHANNELS"] // p["PE"]
        use = dot_product.products(p, beats, groups, family, shared_act=False)
        if p["WHOLE_WINDOW"] and beats * groups > 1:
            use.term("window_multiplexer", p["SIMD"] * p["PE"] * p["ACT_BITS"] * (beats * groups - 1))
        return use

    def sample(self, draw: random.Random) -> Sample:
        sample = dot_product.sample(draw, "CHANNELS", "KERNEL")
        return replace(sample, parameters=sample.parameters | {"WHOLE_WINDOW": draw.choice([0, 1])})
