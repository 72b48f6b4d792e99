# SPDX-License-Identifier: Apache-2.0
"""Quantizers of activations to thresholds, by the file's own float32 arithmetic.

What stands between a product and a quantizer (batch norm, bias, ReLU, Clip, ..) is a function of one number a channel,
and with the quantizer a staircase. Where it steps is found by bisection over all float32 numbers, on ONNX Runtime's
operations and QONNX's quantizer: rounding of ties, clipping and every rounding error between are those of the file.
FINN would place the thresholds half way between two levels and round ties up.

The thresholds are float64 from here on, so that scales and biases taken into them later add no error to speak of.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation

from icsort.errors import IcsortError
from icsort.hw.frontend.lint import ELEMENTWISE, QUANTIZERS, WEIGHTED, title

FAR = np.float32(1e30)  # beyond all sums, and products with it stay finite
LAYOUTS = {2: "NC", 3: "NCW", 4: "NCHW"}
Levels = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.int64]]


class QuantizersToThresholds(Transformation):  # type: ignore[misc]  # qonnx has no types
    """Quant and BipolarQuant of activations, with the element-wise operations in front, to MultiThreshold and Mul."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One quantizer at a time. Raises IcsortError for a staircase that one threshold a channel cannot give."""
        for node in model.graph.node:
            if node.op_type in QUANTIZERS and model.get_initializer(node.input[0]) is None:
                _replace(model, node)
                return model, True
        return model, False


def chain(model: ModelWrapper, quantizer: NodeProto) -> tuple[str, list[NodeProto]]:
    """The tensor that a quantizer's staircase is a function of, and the nodes from there to the quantizer, in order."""
    tensor = quantizer.input[0]
    nodes: list[NodeProto] = []
    while (node := model.find_producer(tensor)) is not None and node.op_type in ELEMENTWISE:
        computed = [name for name in node.input if name and model.get_initializer(name) is None]
        if len(computed) != 1:
            break
        nodes.insert(0, node)
        tensor = computed[0]
    return tensor, nodes


def _replace(model: ModelWrapper, node: NodeProto) -> None:
    root, nodes = chain(model, node)
    shape = model.get_tensor_shape(root)
    channels = _channels(model, shape, [*nodes, node])
    levels = _levels(model, node, root, nodes, len(shape))
    ends = np.stack([levels(np.full((channels, 1), end)) for end in (-FAR, FAR)])[..., 0]
    signs = np.where(ends[1] < ends[0], np.float32(-1), np.float32(1))[:, np.newaxis]
    low, high = int(ends.min()), max(int(ends.max()), int(ends.min()) + 1)
    thresholds = _bisected(lambda values: levels(signs * values), low, high, channels)
    if (signs < 0).any():
        producer = model.find_producer(root)
        if producer is None or producer.op_type not in WEIGHTED:
            what = "the image" if producer is None else title(producer)
            raise IcsortError(
                f"layer {title(node)}: falls where {what} rises, by a negative factor between them, which is covered "
                f"behind {', '.join(WEIGHTED)} only; make the factor positive"
            )
        root = _negated(model, root, signs, shape, node)
    _insert(model, node, root, thresholds, low, high)
    for used in reversed(nodes):
        if not model.find_consumers(used.output[0]):
            model.graph.node.remove(used)


def _channels(model: ModelWrapper, shape: list[int], nodes: list[NodeProto]) -> int:
    """Rows of thresholds: 1, or one a channel where a constant differs from channel to channel."""
    count = 1
    for node in nodes:
        for tensor in node.input:
            value = model.get_initializer(tensor) if tensor else None
            if value is None or value.size == 1:
                continue
            size = (1,) * (len(shape) - value.ndim) + value.shape
            per_channel = value.shape == (shape[1],) if node.op_type == "BatchNormalization" else size[1] == value.size
            if not per_channel:
                raise IcsortError(
                    f"layer {title(node)}: has constants of shape {list(value.shape)} for values of shape {shape}; "
                    "a number for all or one a channel is covered"
                )
            count = shape[1]
    return count


def _levels(model: ModelWrapper, quantizer: NodeProto, root: str, nodes: list[NodeProto], rank: int) -> Levels:
    """The staircase: float32 values (channels, n) to levels (channels, n), as the file computes them."""
    operations = _session(model, root, nodes, quantizer.input[0])
    constants = [model.get_initializer(tensor) for tensor in quantizer.input[1:]]
    attributes = getCustomOp(quantizer)

    def levels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        # As the tensor is: batch first, channels second.
        tensor = values.T if rank == len("NC") else values.reshape(1, *values.shape, *(1,) * (rank - 3))
        tensor = operations(np.ascontiguousarray(tensor, np.float32))
        with np.errstate(over="ignore"):
            if quantizer.op_type == "BipolarQuant":
                reached = (binary_quant(tensor, constants[0]) / constants[0] + 1) / 2
            else:
                names = ("signed", "narrow", "rounding_mode")
                settings = [attributes.get_nodeattr(name) for name in names]
                reached = int_quant(tensor, *constants, *settings) / constants[0]
        reached = reached.T if rank == len("NC") else reached.reshape(values.shape)
        return np.asarray(np.rint(reached), np.int64)

    return levels


def _session(
    model: ModelWrapper, root: str, nodes: list[NodeProto], end: str
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """ONNX Runtime's execution of a chain of nodes, without any rewriting of it."""
    if not nodes:
        return lambda values: values
    names = {name for node in nodes for name in node.input if name}
    constants = [(name, model.get_initializer(name)) for name in sorted(names)]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info(root, TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants if value is not None],
    )
    proto = helper.make_model(graph, opset_imports=model.model.opset_import, ir_version=model.model.ir_version)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda values: session.run([end], {root: values})[0]


def _bisected(levels: Levels, low: int, high: int, channels: int) -> npt.NDArray[np.float64]:
    """The smallest float32 numbers whose level is at least low + 1, .., high: (channels, high - low).

    -inf where all numbers have it, inf where none has.
    """
    wanted = np.arange(low + 1, high + 1)
    shape = (channels, len(wanted))
    below, reached = np.full(shape, _ordered(-FAR)), np.full(shape, _ordered(FAR))
    always = levels(_floats(below)) >= wanted
    never = levels(_floats(reached)) < wanted
    while (reached - below > 1).any():
        middle = (below + reached) >> 1
        over = levels(_floats(middle)) >= wanted
        reached, below = np.where(over, middle, reached), np.where(over, below, middle)
    thresholds = _floats(reached).astype(np.float64)
    thresholds[always], thresholds[never] = -np.inf, np.inf
    return np.sort(thresholds, axis=1)  # float32 functions may waver by a unit in the last place


def _ordered(value: np.float32) -> int:
    """A float32 as an integer, in the order of the numbers."""
    bits = int(np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _floats(ordered: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    magnitude = np.abs(ordered).astype(np.int32).view(np.float32)
    return np.where(ordered < 0, -magnitude, magnitude)


def _negated(
    model: ModelWrapper, root: str, signs: npt.NDArray[np.float32], shape: list[int], quantizer: NodeProto
) -> str:
    """The root times 1 or -1 a channel, which FINN takes into the weights. Returns the product's name."""
    factors = model.make_new_valueinfo_name()
    product: str = model.make_new_valueinfo_name()
    model.set_initializer(factors, signs.reshape(1, -1, *(1,) * (len(shape) - 2)))
    model.set_tensor_datatype(factors, DataType["BIPOLAR"])
    model.set_tensor_shape(product, shape)
    _before(model, quantizer, helper.make_node("Mul", [root, factors], [product]))
    return product


def _insert(
    model: ModelWrapper, node: NodeProto, root: str, thresholds: npt.NDArray[np.float64], low: int, high: int
) -> None:
    """MultiThreshold and, unless it is 1, the quantizer's scale in the quantizer's place."""
    shape = model.get_tensor_shape(root)
    scale = model.get_initializer(node.input[1])
    name, counted, factor = (model.make_new_valueinfo_name() for _ in range(3))
    model.set_initializer(name, thresholds)
    model.set_tensor_shape(counted, shape)
    layout = model.get_tensor_layout(root)
    attributes: dict[str, Any] = {"data_layout": "".join(layout) if layout else LAYOUTS.get(len(shape), "")}
    if node.op_type == "BipolarQuant":
        attributes |= {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
    else:
        kind = DataType.get_smallest_possible(high if low >= 0 else min(low, -high - 1))
        attributes |= {"out_dtype": kind.name, "out_bias": float(low)}
    domain = "qonnx.custom_op.general"
    new = [helper.make_node("MultiThreshold", [root, name], [counted], domain=domain, **attributes)]
    if scale.size == 1 and scale.flat[0] == 1:
        new[0].output[0] = node.output[0]
    else:
        model.set_initializer(factor, scale)
        new.append(helper.make_node("Mul", [counted, factor], list(node.output)))
    _before(model, node, *new)
    model.graph.node.remove(node)


def _before(model: ModelWrapper, node: NodeProto, *new: onnx.NodeProto) -> None:
    at = list(model.graph.node).index(node)
    for offset, one in enumerate(new):
        model.graph.node.insert(at + offset, one)
