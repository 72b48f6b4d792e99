# SPDX-License-Identifier: Apache-2.0
"""What the max pools share: reading FINN's Pool with function MaxPool, which stands behind its own window generator."""

from dataclasses import replace
from typing import TYPE_CHECKING

from icsort.hw.kernels.finn import NotCoveredError, attributes, coding, datatype, pair
from icsort.hw.kernels.kernel import LayerKernel, Node

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


class MaxPoolKernel(LayerKernel):
    finn_op = "Pool"

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        get = attributes(proto)
        if get("Function") != "MaxPool":
            raise NotCoveredError(f"pool function {get('Function')} is not covered; use max pooling")
        k_h, k_w = pair(get("KernelSize"))
        bits, signed, _ = coding(datatype(model, proto.input[0]))
        parameters = {"BITS": bits, "SIGNED": signed, "WINDOW": k_h * k_w}
        return replace(node, taps=k_h * k_w, channels=get("Channels"), out_bits=bits, parameters=parameters)

    def limits(self, node: Node) -> dict[str, int]:
        return {"PE": node.channels}


def maximum(bits: int) -> str:
    """The LUT term of comparing and choosing elements of so many bits."""
    return "maximum" if bits > 2 else "narrow_maximum"
