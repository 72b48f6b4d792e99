# SPDX-License-Identifier: Apache-2.0
"""What the window generators share: reading FINN's ConvolutionInputGenerator, without padding and dilation."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from icsort.hw.kernels.finn import NotCoveredError, attributes, coding, datatype, pair
from icsort.hw.kernels.kernel import LayerKernel, Node, Parameters

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


class WindowKernel(LayerKernel):
    finn_op = "ConvolutionInputGenerator"
    lines = True
    defaults: ClassVar = {"K_H": 3, "K_W": 3, "STRIDE_H": 1, "STRIDE_W": 1, "RAM_STYLE": "auto"}

    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        get = attributes(proto)
        if any(dilation != 1 for dilation in get("Dilation")):
            raise NotCoveredError(f"dilation {list(get('Dilation'))} is not covered; use dilation 1")
        return replace(
            node,
            kernel=pair(get("ConvKernelDim")),
            stride=pair(get("Stride")),
            channels=get("IFMChannels"),
            depthwise=bool(get("depthwise")),
            out_bits=coding(datatype(model, proto.input[0]))[0],
        )

    def limits(self, node: Node) -> dict[str, int]:
        return {"SIMD": node.elements}

    def in_lanes(self, node: Node, unit: Mapping[str, int | str]) -> int:
        return int(unit["SIMD"])

    def windows(self, node: Node) -> int:
        """Of a frame."""
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        return ((node.height - k_h) // s_h + 1) * ((node.width - k_w) // s_w + 1)


def size(node: Node) -> Parameters:
    """Of image and pixel, in the order of the RTL."""
    return {"IFM_H": node.height, "IFM_W": node.width, "CHANNELS": node.channels}


def kernel_size(node: Node) -> Parameters:
    """Of kernel and stride, in the order of the RTL."""
    (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
    return {"K_H": k_h, "K_W": k_w, "STRIDE_H": s_h, "STRIDE_W": s_w}


def sample(draw: random.Random) -> Parameters:
    """Random parameters that both have."""
    k, stride = draw.choice([2, 3, 3, 3, 5]), draw.choice([1, 1, 2])
    return {
        "IFM_H": draw.choice([8, 12, 34, 66]), "IFM_W": draw.choice([8, 12, 24, 34, 66]),
        "CHANNELS": draw.choice([1, 3, 8, 16]), "BITS": draw.choice([2, 4, 8]),
        "K_H": k, "K_W": k, "STRIDE_H": stride, "STRIDE_W": stride,
    }  # fmt: skip
