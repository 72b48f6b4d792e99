# SPDX-License-Identifier: Apache-2.0
"""fmpad: FINN's FMPadding, a border of zeros."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.finn import attributes, refuse_bipolar
from icsort.hw.kernels.kernel import Bound, LayerKernel, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import LONG_AGO, Step, Stream, Times, after_the_one_before, before_serving, serve

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

CYCLES = 1


class Fmpad(LayerKernel):
    name = "fmpad"
    finn_op = "FMPadding"
    defaults: ClassVar = {"PAD_TOP": 1, "PAD_LEFT": 1, "PAD_BOTTOM": 1, "PAD_RIGHT": 1}
    draws = 6

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        refuse_bipolar(model, proto)
        top, left, bottom, right = (int(side) for side in attributes(proto)("Padding"))
        return replace(node, parameters={"PAD_TOP": top, "PAD_LEFT": left, "PAD_BOTTOM": bottom, "PAD_RIGHT": right})

    def limits(self, node: Node) -> dict[str, int]:
        return {"SIMD": node.elements}

    def in_lanes(self, node: Node, unit: Unit) -> int:
        return int(unit["SIMD"])

    def out_lanes(self, node: Node, unit: Unit) -> int:
        return int(unit["SIMD"])

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        top, left, bottom, right = (node.parameters[f"PAD_{side}"] for side in ("TOP", "LEFT", "BOTTOM", "RIGHT"))
        beats = node.elements // arriving.lanes
        begins = arriving.times - min(arriving.spread, beats - 1)
        # Zeros wait for nothing but their turn; those above the first frame have gone before it comes.
        ends = serve(np.pad(begins, ((0, 0), (top, bottom), (left, right)), constant_values=LONG_AGO), beats)
        out = Stream(ends + CYCLES, arriving.lanes, max(arriving.spread, beats - 1))
        inside = np.s_[:, top : top + node.height, left : left + node.width]
        ready, taken = after_the_one_before(ends)[inside], Stream(ends[inside], arriving.lanes, beats - 1)
        return Step(out, out.pixels * beats, ready, taken)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        top, before = node.parameters["PAD_TOP"], node.parameters["PAD_LEFT"]
        beats = node.elements // arriving.lanes
        inside = np.s_[:, top : top + node.height, before : before + node.width]
        return before_serving(left + CYCLES, beats)[inside] - min(arriving.spread, beats - 1)

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {
            "IFM_H": node.height, "IFM_W": node.width, "CHANNELS": node.elements, "SIMD": unit["SIMD"],
            "BITS": node.out_bits, **node.parameters,
        }  # fmt: skip

    def frame_beats(self, p: Bound) -> int:
        rows, columns = p["IFM_H"] + p["PAD_TOP"] + p["PAD_BOTTOM"], p["IFM_W"] + p["PAD_LEFT"] + p["PAD_RIGHT"]
        beats: int = rows * columns * p["CHANNELS"] // p["SIMD"]
        return beats

    def use(self, p: Bound, family: str) -> Use:
        fold = p["CHANNELS"] // p["SIMD"]
        width = (p["IFM_W"] + p["PAD_LEFT"] + p["PAD_RIGHT"]) * fold
        counters = (width + 1).bit_length() + (p["IFM_H"] + p["PAD_TOP"] + p["PAD_BOTTOM"] + 1).bit_length()
        beat = p["SIMD"] * p["BITS"]
        return Use({"control": 1, "counter": counters, "multiplexer": beat}, ff=beat + counters + 1)

    def sample(self, draw: random.Random) -> Sample:
        simd, pad = draw.choice([1, 3, 8, 32]), draw.choice([1, 1, 2])
        return Sample({
            "IFM_H": draw.choice([8, 32, 64]), "IFM_W": draw.choice([8, 32, 64]),
            "CHANNELS": simd * draw.choice([1, 1, 2, 8]), "SIMD": simd, "BITS": draw.choice([2, 4, 8]),
            "PAD_TOP": pad, "PAD_LEFT": pad, "PAD_BOTTOM": pad, "PAD_RIGHT": pad,
        })  # fmt: skip
