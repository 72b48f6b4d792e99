# SPDX-License-Identifier: Apache-2.0
"""mvau: FINN's MVAU without activation, a matrix times a vector."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from icsort.hw.kernels import adder_graph, dot_product
from icsort.hw.kernels.fabric import Use, lut_ram
from icsort.hw.kernels.finn import NotCoveredError, attributes, shape
from icsort.hw.kernels.kernel import Bound, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import (
    LONG_AGO,
    Step,
    Stream,
    Times,
    after_the_one_before,
    at_pixels,
    before_serving,
    serve,
)

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

PRODUCT_BITS = (1, 2, 3, 4, 8)  # widths of operands whose products have a cost of their own


class Mvau(dot_product.DotProductKernel):
    name = "mvau"
    finn_op = "MVAU"
    shares_costs_of = "dot_product"
    gives_logits = True
    draws = 18

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        return read_matrix(model, proto, node)

    def folds(self, unit: Unit) -> bool:
        return unit.get("mult_style") not in adder_graph.STYLES

    def limits(self, node: Node) -> dict[str, int]:
        return {"PE": node.rows, "SIMD": node.elements}

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return int(unit["SIMD"])

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        pe, simd = int(unit["PE"]), int(unit["SIMD"])
        beats, groups = node.columns // simd, node.rows // pe
        latency, again = dot_product.latency(beats, simd), (groups - 1) * beats
        if node.whole:  # beats that came one by one are done by the time the last is there
            ends = serve(arriving.times - min(arriving.spread, beats - 1), beats * groups)
            taken = Stream(ends - again, simd, beats - 1)
            out = Stream(ends + latency, pe, again)
            return Step(out, beats * groups * arriving.pixels, after_the_one_before(ends), taken)
        # One pass as the beats come, then the buffered vector again for each further group of rows.
        pixel_beats = beats // arriving.pixels
        passes, ready, free = [], [], LONG_AGO
        for frame in arriving.times:
            begins = frame - min(arriving.spread, pixel_beats - 1)
            passes.append(serve(np.maximum(begins, free + 1), pixel_beats))
            ready.append(np.maximum(after_the_one_before(passes[-1]), free + 1))
            free = int(passes[-1][-1, -1]) + again
        taken = Stream(np.stack(passes), simd, pixel_beats - 1)
        out = Stream(taken.times[:, -1:, -1:] + again + latency, pe, again)
        return Step(out, beats * groups, np.stack(ready), taken)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        simd = int(unit["SIMD"])
        beats, groups = node.columns // simd, node.rows // int(unit["PE"])
        left = left + dot_product.latency(beats, simd)
        if node.whole:
            return before_serving(left, beats * groups) - min(arriving.spread, beats - 1)
        every = at_pixels(left + (groups - 1) * beats, np.s_[:, -1:, -1:], arriving.times.shape)
        return arriving.left_through(beats // arriving.pixels, every)

    def ahead(self, node: Node, unit: Unit, lanes: int) -> int:
        """Beats of a vector that must be there for the rest to come in time."""
        beats, cycles = node.columns // int(unit["SIMD"]), node.columns // lanes
        return beats - beats * beats // max(beats, cycles)

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {
            "MW": node.columns, "MH": node.rows, "SIMD": unit["SIMD"], "PE": unit["PE"],
            **node.parameters, **dot_product.styles(unit, family),
        }  # fmt: skip

    def memory(self, node: Node, unit: Unit) -> Memory:
        return dot_product.weight_memory(node, unit)

    def use(self, p: Bound, family: str) -> Use:
        beats, groups = p["MW"] // p["SIMD"], p["MH"] // p["PE"]
        use = dot_product.products(p, beats, groups, family, shared_act=True)
        if groups > 1:  # the vector that is replayed
            beat = p["SIMD"] * p["ACT_BITS"]
            use.term("multiplexer", beat)
            if beats > 1:
                use.term("memory", lut_ram(beats, beat, family))
            else:
                use.ff += beat
        return use

    def sample(self, draw: random.Random) -> Sample:
        return dot_product.sample(draw, "MH", "MW")

    def samples(self) -> Iterator[Sample]:
        """One for each pair of widths whose products have a cost of their own, weights as constants and from memory."""
        for weight in PRODUCT_BITS:
            for act in PRODUCT_BITS:
                for words, simd in ((1, 8), (4, 4)):
                    parameters: Parameters = {
                        "MH": 4 * words, "MW": simd, "SIMD": simd, "PE": 4, "ACT_BITS": act, "WEIGHT_BITS": weight,
                        "ACC_BITS": act + weight + 3, "RAM_STYLE": "block", "MULT_STYLE": "lut",
                    }  # fmt: skip
                    yield Sample(parameters, "WEIGHTS_FILE", words, 4 * simd * weight)


def read_matrix(model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
    """`node` with the matrix, for every kernel that multiplies by it. Raises NotCoveredError."""
    get = attributes(proto)
    if not get("noActivation") or get("binaryXnorMode"):
        raise NotCoveredError("thresholds or XNOR inside the matrix unit are not covered")
    weights, weight_bits = dot_product.stored_weights(model, proto)
    parameters = dot_product.operand_parameters(model, proto, weight_bits)
    return replace(
        node,
        rows=get("MH"),
        columns=get("MW"),
        whole=get("MW") == shape(model, proto.input[0])[-1],
        parameters=parameters,
        out_bits=parameters["ACC_BITS"],
        constants=weights.T,
    )
