# SPDX-License-Identifier: Apache-2.0
"""threshold: FINN's Thresholding. One set of thresholds for all channels is written out for each."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.finn import attributes, datatype
from icsort.hw.kernels.kernel import Bound, LayerKernel, Memory, Node, Parameters, Sample, Unit
from icsort.hw.kernels.rom import SHALLOW, add_rom
from icsort.hw.kernels.streams import Step, Stream, Times, element_by_element
from icsort.hw.kernels.sums import reachable, threshold_input

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

ONE_STAGE = 16  # steps that are counted in one cycle


class Threshold(LayerKernel):
    name = "threshold"
    parts: ClassVar = ("rom",)
    finn_op = "Thresholding"
    defaults: ClassVar = {"PER_TENSOR": 0, "RAM_STYLE": "auto"}
    draws = 14

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        get = attributes(proto)
        bits, signed = threshold_input(model, proto)
        thresholds = reachable(model, proto)
        steps, out_bits = thresholds.shape[1], int(datatype(model, proto.output[0]).bitwidth())
        return replace(
            node,
            in_bits=(bits,),
            out_bits=out_bits,
            parameters={
                "IN_BITS": bits, "IN_SIGNED": int(signed), "STEPS": steps,
                "OUT_BITS": out_bits, "OUT_BIAS": int(get("ActVal")),
            },
            constants=np.broadcast_to(thresholds, (get("NumChannels"), steps)),
        )  # fmt: skip

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        return element_by_element(node.elements, arriving, self._cycles(node))

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        return arriving.left_through(node.elements // arriving.lanes, left) + self._cycles(node)

    def _cycles(self, node: Node) -> int:
        return 3 if node.parameters["STEPS"] > ONE_STAGE else 2

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {
            "CHANNELS": node.elements, "PE": unit["PE"], **node.parameters, "RAM_STYLE": unit.get("ram_style", "auto")
        }  # fmt: skip

    def memory(self, node: Node, unit: Unit) -> Memory:
        assert node.constants is not None
        (channels, steps), pe = node.constants.shape, int(unit["PE"])
        rows = node.constants.reshape(channels // pe, pe * steps)
        return Memory("THRESHOLDS_FILE", node.parameters["IN_BITS"], rows)

    def use(self, p: Bound, family: str) -> Use:
        pe, steps, bits, out = p["PE"], p["STEPS"], p["IN_BITS"], p["OUT_BITS"]
        folds = 1 if p["PER_TENSOR"] else p["CHANNELS"] // pe
        rows = 1 if p["PER_TENSOR"] else pe
        use = Use({"control": 1, "counter": counter_bits(folds) if folds > 1 else 0}, ff=3 + pe * steps + pe * out)
        if folds == 1:
            use.term("constant_comparison", pe * steps * bits)
        else:
            add_rom(use, folds, rows * steps * bits, p["RAM_STYLE"])
            use.ff += counter_bits(folds)
            use.term("comparison", pe * steps * bits)
        use.term("count", pe * steps)
        if steps > ONE_STAGE:
            use.ff += pe * 5 * -(-steps // ONE_STAGE)
        return use

    def sample(self, draw: random.Random) -> Sample:
        pe, folds, steps, bits = (
            draw.choice([1, 2, 3, 6]),
            draw.choice([1, 1, 4, 32, 96, 200]),
            draw.choice([1, 3, 7, 15, 15, 40]),
            draw.randint(6, 18),
        )
        styles = ["distributed", "distributed", "block"] if folds >= SHALLOW else ["distributed"]
        parameters: Parameters = {
            "CHANNELS": pe * folds, "PE": pe, "IN_BITS": bits, "IN_SIGNED": 1, "STEPS": steps,
            "OUT_BITS": steps.bit_length(), "RAM_STYLE": draw.choice(styles),
        }  # fmt: skip
        return Sample(parameters, "THRESHOLDS_FILE", folds, pe * steps * bits)
