# SPDX-License-Identifier: Apache-2.0
"""Several pixels a beat at the network's input: FIRE delivers a line at once, and a pixel a cycle makes it wait.

G pixels beside each other are taken as one pixel of G times the channels. A convolution of them has a kernel of fewer,
wider columns, and gives the results of several columns at once: the same products, the weights of which stand several
times in a larger matrix between zeros. Its stride, or a max pool behind it, brings the pixels back to one a beat, so
only the first layers change. The memory order of an image (row, column, channel) is that of its groups.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from icsort.errors import IcsortError


def group_pixels(model: ModelWrapper, group: int) -> ModelWrapper:
    """The hardware graph with an image (1, H, W / group, C * group) at its input, in place.

    Raises IcsortError where the width is no multiple, or the first layers do not bring the pixels back to one a beat.
    """
    if group == 1:
        return model
    nodes = list(model.graph.node)
    padding = nodes.pop(0) if nodes[0].op_type == "FMPadding" else None
    windows, product = nodes[0], nodes[1]
    if windows.op_type != "ConvolutionInputGenerator" or product.op_type != "MVAU":
        raise IcsortError(f"{group} pixels a beat: the network must begin with a convolution; use 1 pixel a beat")
    stride = _get(windows, "Stride")[1]
    columns, results = _get(product, "numInputVectors")[2], group // stride
    if group % stride or _width(model) % group or columns % results:
        raise IcsortError(
            f"{group} pixels a beat: does not divide images of width {_width(model)} and a first convolution of stride "
            f"{stride} and {columns} columns; use 1 pixel a beat"
        )
    _convolution(model, padding, windows, product, group, results)
    if results == 1:
        return model
    behind = nodes[2:]
    if behind and behind[0].op_type == "Thresholding":
        _thresholds(model, behind.pop(0), results)
    if len(behind) < 2 or behind[1].op_type != "Pool" or _get(behind[1], "KernelSize")[1] != results:
        raise IcsortError(
            f"{group} pixels a beat: {results} come out of the first convolution, and no max pool of that many columns "
            "makes them one; use 1 pixel a beat"
        )
    _pool(behind[0], results)
    return model


def _convolution(
    model: ModelWrapper, padding: NodeProto | None, windows: NodeProto, product: NodeProto, group: int, results: int
) -> None:
    k_h, k_w = _get(windows, "ConvKernelDim")
    s_h, s_w = _get(windows, "Stride")
    channels = _get(windows, "IFMChannels")
    _, rows, columns = _get(product, "numInputVectors")
    left = _get(padding, "Padding")[1] if padding else 0
    ahead = -(-left // group)  # groups of border
    offset = group * ahead - left  # columns of the first group that the first window leaves out
    taps = -(-(offset + (results - 1) * s_w + k_w) // group)
    width = columns // results + taps - 1  # groups that the windows need
    if padding:
        top, _, bottom, _ = _get(padding, "Padding")
        height, image = _get(padding, "ImgDim")
        behind = width - ahead - image // group
        _set(
            padding, ImgDim=[height, image // group], Padding=[top, ahead, bottom, behind], NumChannels=channels * group
        )
        _reshape(model, padding.input[0], [height, image // group, channels * group])
        _reshape(model, padding.output[0], [top + height + bottom, width, channels * group])
    else:
        height, image = _get(windows, "IFMDim")
        behind = width - image // group
        _reshape(model, windows.input[0], [height, image // group, channels * group])
    if behind < 0 or (behind and not padding):
        raise IcsortError(
            f"{group} pixels a beat: images of width {image} do not end with a window; use 1 pixel a beat"
        )
    _set(
        windows,
        IFMDim=[_get(windows, "IFMDim")[0], width],
        OFMDim=[rows, columns // results],
        ConvKernelDim=[k_h, taps],
        Stride=[s_h, 1],
        IFMChannels=channels * group,
        SIMD=channels * group,
    )
    vector = k_h * taps * group * channels
    _reshape(model, windows.output[0], [rows, columns // results, vector])
    weights = model.get_initializer(product.input[1])  # (kernel rows, kernel columns, channels) x features
    features = weights.shape[1]
    weights = weights.reshape(k_h, k_w, channels, features)
    wide = np.zeros((k_h, taps * group, channels, results, features), weights.dtype)
    for result in range(results):
        first = offset + result * s_w
        wide[:, first : first + k_w, :, result] = weights
    model.set_initializer(product.input[1], wide.reshape(vector, results * features))
    _set(product, MW=vector, MH=results * features, numInputVectors=[1, rows, columns // results])
    _set(product, PE=results * features, SIMD=vector)
    _reshape(model, product.output[0], [rows, columns // results, results * features])


def _thresholds(model: ModelWrapper, node: NodeProto, results: int) -> None:
    _, rows, columns = _get(node, "numInputVectors")
    channels = _get(node, "NumChannels") * results
    thresholds = model.get_initializer(node.input[1])
    if thresholds.shape[0] > 1:
        model.set_initializer(node.input[1], np.tile(thresholds, (results, 1)))
    _set(node, NumChannels=channels, PE=channels, numInputVectors=[1, rows, columns // results])
    _reshape(model, node.output[0], [rows, columns // results, channels])


def _pool(windows: NodeProto, results: int) -> None:
    """The pool itself stays: the columns of its window are channels of the group, in the same order."""
    (height, width), (k_h, _), (s_h, s_w) = (_get(windows, key) for key in ("IFMDim", "ConvKernelDim", "Stride"))
    if s_w != results:
        raise IcsortError(
            f"{results} columns of a max pool of stride {s_w} cannot be taken at once; use 1 pixel a beat"
        )
    channels = _get(windows, "IFMChannels") * results
    _set(windows, IFMDim=[height, width // results], ConvKernelDim=[k_h, 1], Stride=[s_h, 1])
    _set(windows, IFMChannels=channels, SIMD=channels)


def _width(model: ModelWrapper) -> int:
    return int(model.get_tensor_shape(model.graph.input[0].name)[2])


def _get(node: NodeProto, name: str) -> Any:
    value = getCustomOp(node).get_nodeattr(name)
    return [int(item) for item in value] if isinstance(value, Sequence | np.ndarray) else value


def _set(node: NodeProto, **values: int | list[int]) -> None:
    for name, value in values.items():
        getCustomOp(node).set_nodeattr(name, value)


def _reshape(model: ModelWrapper, tensor: str, shape: list[int]) -> None:
    model.set_tensor_shape(tensor, [1, *shape])
