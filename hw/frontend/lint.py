# SPDX-License-Identifier: Apache-2.0
"""What of a QONNX file no pass of the front end can take away, refused by the layer's name and with the remedy."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from icsort.errors import IcsortError

MAX_BITS = 8
MAX_CLASS_WEIGHT_BITS = 16  # of the last layer, whose weights may have been multiplied by whole numbers, one a class
MAP_RANK = 4  # batch, channels, rows, columns
TRUNC_INPUTS = 6  # of QONNX's opset 2: tensor, scale, zero point, bits, scale and bits of the output

# What may stand in the QONNX file. FINN removes the constant arithmetic and the shape operations.
WEIGHTED = ("Conv", "Gemm", "MatMul")
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
SHAPE_ONLY = ("Transpose", "Reshape", "Flatten", "Squeeze")
MEAN = ("GlobalAveragePool", "ReduceMean")
TRUNCATED_MEAN = ("AveragePool", "Trunc")  # only as such a pair
QUANTIZERS = ("Quant", "BipolarQuant")
# Functions that never fall, or never rise: in front of a quantizer they are part of its staircase (frontend.steps).
ACTIVATIONS = ("Relu", "LeakyRelu", "Clip", "HardSigmoid", "Sigmoid", "Tanh", "Elu", "Selu")
ELEMENTWISE = (*ARITHMETIC, "BatchNormalization", *ACTIVATIONS)
SOURCE_OPS = (
    *(*WEIGHTED, *ARITHMETIC, *SHAPE_ONLY, *QUANTIZERS),
    *("Concat", "BatchNormalization", *ACTIVATIONS, "MaxPool", *MEAN, *TRUNCATED_MEAN),
)


def lint(model: ModelWrapper) -> None:
    """Refuse, by the layer's name in the file, what no pass can take away. Raises IcsortError with the remedy."""
    for node in model.graph.node:
        _check_finite(model, node)
        if node.op_type not in SOURCE_OPS:
            raise IcsortError(
                f"layer {title(node)} is not covered: the hardware knows {', '.join(SOURCE_OPS)}; "
                "build the network without it"
            )
        if node.op_type in ("Conv", "MaxPool"):
            if attribute(node, "auto_pad", [b"NOTSET"])[0] not in (b"NOTSET", b"VALID"):
                raise IcsortError(f"layer {title(node)}: auto_pad is not covered; use no padding")
            plain: list[tuple[str, int, str]] = [("dilations", 1, "use dilation 1")]
            if node.op_type == "MaxPool":
                plain.append(("ceil_mode", 0, "let the pool round down"))
                if not _is_unsigned(model, node.input[0]):  # FINN pads with zeros, which must not win
                    plain.append(("pads", 0, "use no padding, or an unsigned quantizer in front"))
            elif not _is_depthwise(model, node):
                plain.append(("group", 1, "use group 1, or as many groups as channels in and out"))
            for name, value, remedy in plain:
                values = attribute(node, name, [value])
                if any(found != value for found in values):
                    raise IcsortError(f"layer {title(node)}: {name} {values} is not covered; {remedy}")
        if node.op_type in ARITHMETIC and all(model.get_initializer(name) is None for name in node.input):
            _check_join(model, node)
        if node.op_type == "Concat":
            _check_concat(model, node)
        if node.op_type == "ReduceMean" and sorted(axis % 4 for axis in _mean_axes(model, node)) != [2, 3]:
            raise IcsortError(f"layer {title(node)}: a mean is covered over rows and columns only; use axes 2 and 3")
        if node.op_type == "AveragePool":
            _check_average(model, node)
        if node.op_type == "Trunc":
            _check_truncation(model, node)
        if node.op_type == "Quant" and not quantizes_bias(model, node):
            bits, zero = _constant(model, node, 3), _constant(model, node, 2)
            most = MAX_CLASS_WEIGHT_BITS if _weighs_classes(model, node) else MAX_BITS
            if np.any(zero) or bits.size != 1 or float(bits.flat[0]) not in range(1, most + 1):
                raise IcsortError(
                    f"layer {title(node)}: the quantizer needs zero point 0 and one width of 1 to {most} bits, not "
                    f"zero point {zero.flat[0]:g} and {bits.flat[0]:g} bits"
                )
            if not np.all(_constant(model, node, 1) > 0):
                raise IcsortError(f"layer {title(node)}: its scale must be positive; train or export it again")
        if node.op_type == "Gemm":
            for name, plain_value in (("alpha", 1.0), ("beta", 1.0), ("transA", 0.0)):
                if attribute(node, name, [plain_value])[0] != plain_value:
                    raise IcsortError(
                        f"layer {title(node)}: {name} other than {plain_value:g} is not covered; use a plain product"
                    )
    for node in model.graph.node:
        if node.op_type in WEIGHTED:
            _check_quantized(model, node)
        if node.op_type == "Quant" and model.get_initializer(node.input[0]) is None:
            _check_scales(model, node)


def _check_finite(model: ModelWrapper, node: NodeProto) -> None:
    for tensor in node.input:
        value = model.get_initializer(tensor) if tensor else None
        if value is not None and value.dtype.kind == "f" and not np.isfinite(value).all() and node.op_type != "Clip":
            bad = int(np.count_nonzero(~np.isfinite(value)))
            raise IcsortError(
                f"layer {title(node)}: {bad} of the {value.size} numbers of '{tensor}' are NaN or infinite; "
                "the training diverged: train again"
            )


def is_join(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether branches meet: a Concat, or an Add of two computed tensors, as in a residual connection."""
    computed = all(model.get_initializer(name) is None for name in node.input)
    return node.op_type == "Concat" or (node.op_type == "Add" and computed)


def quantizes_bias(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a quantizer's values are added to a product: of any width, on the grid of the product's accumulator."""
    consumers = model.find_consumers(node.output[0])
    return all(user.op_type in WEIGHTED and list(user.input[2:]) == list(node.output) for user in consumers)


def _weighs_classes(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a quantizer is that of the weights of the layer that gives the logits."""
    users = model.find_consumers(node.output[0])
    if model.get_initializer(node.input[0]) is None or any(user.op_type not in WEIGHTED for user in users):
        return False
    while users and all(user.op_type in (*WEIGHTED, *SHAPE_ONLY, *ARITHMETIC) for user in users):
        if users[0].output[0] == model.graph.output[0].name:
            return True
        users = model.find_consumers(users[0].output[0])
        if any(user.op_type in WEIGHTED for user in users):
            return False
    return False


def title(node: NodeProto) -> str:
    """Name and operation, as messages give them."""
    return f"'{node.name}' ({node.op_type})"


def attribute(node: NodeProto, name: str, default: list[Any]) -> list[Any]:
    """An attribute as a list; `default` where the file leaves it out."""
    for found in node.attribute:
        if found.name == name:
            value = onnx.helper.get_attribute_value(found)
            return list(value) if isinstance(value, list | tuple) else [value]
    return default


def _constant(model: ModelWrapper, node: NodeProto, index: int) -> npt.NDArray[np.float32]:
    value = model.get_initializer(node.input[index])
    if value is None:
        raise IcsortError(f"layer {title(node)}: '{node.input[index]}' is computed; it must be a constant of the file")
    return np.asarray(value)


def _is_depthwise(model: ModelWrapper, node: NodeProto) -> bool:
    weight = _weight_source(model, node.input[1])
    group = attribute(node, "group", [1])[0]
    return bool(weight is not None and weight.ndim == 4 and weight.shape[:2] == (group, 1))


def _is_unsigned(model: ModelWrapper, tensor: str) -> bool:
    producer = model.find_producer(tensor)
    while producer is not None and producer.op_type in (*SHAPE_ONLY, "MaxPool", "Concat"):
        producer = model.find_producer(producer.input[0])
    return producer is not None and producer.op_type == "Quant" and not attribute(producer, "signed", [1])[0]


def _weight_source(model: ModelWrapper, tensor: str) -> npt.NDArray[np.float32] | None:
    producer = model.find_producer(tensor)
    if producer is not None and producer.op_type in QUANTIZERS:
        tensor = producer.input[0]
    value = model.get_initializer(tensor)
    return None if value is None else np.asarray(value)


def _mean_axes(model: ModelWrapper, node: NodeProto) -> list[int]:
    if len(node.input) > 1:  # an input since opset 18
        return [int(axis) for axis in _constant(model, node, 1)]
    return [int(axis) for axis in attribute(node, "axes", [])]


def _check_average(model: ModelWrapper, node: NodeProto) -> None:
    """Over the whole map, and truncated: a sum of integers and a shift."""
    shape, kernel = model.get_tensor_shape(node.input[0]), attribute(node, "kernel_shape", [])
    if not shape or shape[2:] != kernel or any(attribute(node, "pads", [0])):
        size = f"{shape[2]} x {shape[3]} here" if shape else "whose size the file does not say"
        raise IcsortError(
            f"layer {title(node)}: an average is covered over the whole map only, {size}; use such a pool"
        )
    if [user.op_type for user in model.find_consumers(node.output[0])] != ["Trunc"]:
        raise IcsortError(
            f"layer {title(node)}: an AveragePool is covered in front of a Trunc only; use a global average pool"
        )


def _check_truncation(model: ModelWrapper, node: NodeProto) -> None:
    producer = model.find_producer(node.input[0])
    if producer is None or producer.op_type != "AveragePool" or len(node.input) != TRUNC_INPUTS:
        raise IcsortError(
            f"layer {title(node)}: is covered behind an AveragePool only, with a scale of its output (QONNX opset 2)"
        )
    scale, zero, _, out_scale, bits = (_constant(model, node, index) for index in range(1, TRUNC_INPUTS))
    sizes = {value.size for value in (scale, zero, out_scale, bits)}
    rounds = attribute(node, "rounding_mode", [b"FLOOR"])[0]
    if sizes != {1} or float(zero.flat[0]) or rounds != b"FLOOR" or not 1 <= float(bits.flat[0]) <= MAX_BITS:
        raise IcsortError(
            f"layer {title(node)}: a truncation needs rounding_mode FLOOR, zero point 0, one scale and 1 to {MAX_BITS} "
            "bits"
        )


def _check_join(model: ModelWrapper, node: NodeProto) -> None:
    """Both branches of a residual Add must be integers of one scale, or their sum is no integer."""
    if node.op_type != "Add":
        raise IcsortError(
            f"layer {title(node)}: two branches can be joined by Add or Concat only; build the network without it"
        )
    _check_shared_scale(model, node)


def _check_shared_scale(model: ModelWrapper, join: NodeProto) -> None:
    if len(set(join.input)) < len(join.input):  # FINN's passes would look for two ways to it without end
        raise IcsortError(
            f"layer {title(join)}: takes '{join.input[0]}' twice; give the layer behind it other weights instead"
        )
    first, *others = (_scale(model, join, tensor) for tensor in join.input)
    for scale in others:
        if scale != first:
            raise IcsortError(
                f"layer {title(join)}: its branches are quantized with different scales, {first:.6g} and "
                f"{scale:.6g}; send both through one shared quantizer"
            )


def _check_concat(model: ModelWrapper, node: NodeProto) -> None:
    """Channels of maps, whose integers are of one scale and one type."""
    shape, axis = model.get_tensor_shape(node.input[0]), attribute(node, "axis", [0])[0]
    if shape is None or len(shape) != MAP_RANK or axis % MAP_RANK != 1:
        raise IcsortError(
            f"layer {title(node)}: branches are concatenated along the channels of maps only, axis 1 of 4, not axis "
            f"{axis} of {len(shape or [])}; concatenate in front of the flatten"
        )
    _check_shared_scale(model, node)
    first, *others = (_levels(model, node, tensor) for tensor in node.input)
    for levels in others:
        if levels != first:
            raise IcsortError(
                f"layer {title(node)}: its branches are quantized to different types, {first} and {levels}; "
                "send both through one shared quantizer"
            )


def _levels(model: ModelWrapper, join: NodeProto, tensor: str) -> str:
    """Bits and sign of a branch's integers, from the quantizer that it came from (`_scale` found one)."""
    producer = model.find_producer(tensor)
    while producer.op_type in (*SHAPE_ONLY, "MaxPool", "Concat"):
        producer = model.find_producer(producer.input[0])
    if producer.op_type == "Add":
        raise IcsortError(
            f"layer {title(join)}: a branch is the sum {title(producer)}, which has more bits than its parts; "
            "send both branches through one shared quantizer"
        )
    if producer.op_type == "BipolarQuant":
        return "-1 and 1"
    sign = "signed" if attribute(producer, "signed", [1])[0] else "unsigned"
    return f"{float(_constant(model, producer, 3).flat[0]):g} bits {sign}"


def _scale(model: ModelWrapper, join: NodeProto, tensor: str) -> float:
    """What one integer of a branch is worth, from the quantizer that it came from."""
    producer = model.find_producer(tensor)
    while producer is not None and producer.op_type in (*SHAPE_ONLY, "MaxPool"):
        producer = model.find_producer(producer.input[0])
    if producer is not None and is_join(model, producer):
        return _scale(model, join, producer.input[0])
    if producer is None or producer.op_type not in QUANTIZERS:
        source = "a constant" if model.get_initializer(tensor) is not None else "the image"
        source = source if producer is None else title(producer)
        raise IcsortError(
            f"layer {title(join)}: a branch comes from {source} without a quantizer; "
            "send both branches through one shared quantizer"
        )
    scale = _constant(model, producer, 1)
    if scale.size != 1:
        raise IcsortError(
            f"layer {title(join)}: quantizer {title(producer)} in front of it has a scale for each channel; "
            "send both branches through one shared quantizer with one scale"
        )
    return float(scale.flat[0])


def _check_scales(model: ModelWrapper, node: NodeProto) -> None:
    """Of an activation: FINN takes a scale a channel past depthwise convolutions, and past nothing else that adds."""
    if _constant(model, node, 1).size == 1:
        return
    behind = model.find_consumers(node.output[0])
    while behind:
        user = behind.pop()
        if user.op_type == "MaxPool":
            behind += model.find_consumers(user.output[0])
        elif user.op_type != "Conv" or not _is_depthwise(model, user):
            raise IcsortError(
                f"layer {title(node)}: has a scale for each channel, which is covered in front of a depthwise Conv "
                f"only, not of {title(user)}; give it one scale"
            )


def _check_quantized(model: ModelWrapper, node: NodeProto) -> None:
    weight = model.find_producer(node.input[1])
    if weight is None or weight.op_type not in QUANTIZERS:
        raise IcsortError(f"layer {title(node)}: its weights are float; give the layer a weight quantizer")
    producer = model.find_producer(node.input[0])
    while producer is not None and (producer.op_type in (*SHAPE_ONLY, *MEAN, "MaxPool") or is_join(model, producer)):
        producer = model.find_producer(producer.input[0])
    if producer is not None and producer.op_type not in (*QUANTIZERS, "Trunc") and not _scales_image(model, producer):
        raise IcsortError(
            f"layer {title(node)}: float values reach it from {title(producer)}; "
            "put an activation quantizer between them"
        )


def _scales_image(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a node gives the image's integers another unit, one for all."""
    factor = model.get_initializer(node.input[1]) if node.op_type in ("Mul", "Div") else None
    return factor is not None and factor.size == 1 and node.input[0] == model.graph.input[0].name
