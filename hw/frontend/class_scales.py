# SPDX-License-Identifier: Apache-2.0
"""What a file has behind its last product, a number a class: a norm, a scale, a bias, taken into that product.

The gate compares integers of one worth. Where the classes' accumulators are worth whole multiples of one step, the
weights of each class are multiplied by its whole number, and nothing is rounded; where they are not, no integers give
the file's order of classes, and the layer is refused.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant
from qonnx.custom_op.registry import getCustomOp

from icsort.errors import IcsortError
from icsort.hw.frontend.fast_model import FastModel
from icsort.hw.frontend.lint import MAX_CLASS_WEIGHT_BITS, QUANTIZERS, SHAPE_ONLY, WEIGHTED, attribute, title
from icsort.hw.frontend.normalise import LINEAR, QUANT_DOMAIN, behind_last

FLOAT32_ERROR = 2.0**-22  # relative, of a scale that is a product or quotient of a few float32 numbers
BATCH_NORM_EPSILON = 1e-5  # where a file leaves it out

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Weights:
    """quantizer: its node. integers: as the layer has them. scale: what one is worth, a class. axis: of the classes."""

    quantizer: NodeProto
    integers: npt.NDArray[np.int64]
    scale: Numbers
    axis: int


def take_off(model: FastModel, classes: int) -> Numbers | None:
    """Norm, scales and bias off the end of a file, in place; scales go into the last layer's weights.

    Returns the bias (classes,) that is to be added to the logits, or None where nothing was taken. Raises IcsortError
    by the layer whose scales have no common step.
    """
    nodes, last = behind_last(model)
    if (
        last is None
        or last.op_type not in WEIGHTED
        or any(node.op_type not in (*LINEAR, *SHAPE_ONLY) for node in nodes)
    ):
        return None
    weights = _weights(model, last, classes)
    if weights is None:
        return None
    tail = [node for node in reversed(nodes) if node.op_type in LINEAR]
    lines = [_line(model, node) for node in tail]
    own = _bias(model, last)
    scale, bias, blamed = weights.scale, np.zeros(classes) if own is None else own, weights.quantizer
    for node, line in zip(tail, lines, strict=True):
        if line is None or any(value.size not in (1, classes) for value in line):
            return None
        factor, offset = line
        scale, bias = scale * factor, bias * factor + offset
        if factor.size > 1 or (factor < 0).any():
            blamed = node
    alike = scale.min() == scale.max() > 0
    if alike and (own is None or _whole_steps(model, last)) and all(not line[1].any() for line in lines if line):
        return None  # one scale for all, which the passes move to the end
    step, multiples = _common_step(scale, int(np.abs(weights.integers).max()), blamed, last)
    for node in tail:
        _remove(model, node)
    quantizer = model.find_producer(last.input[2]) if own is not None else None
    del last.input[2:]
    model.forget()
    if quantizer is not None and not model.find_consumers(quantizer.output[0]):
        model.graph.node.remove(quantizer)
    if (weights.scale != step).any() or (multiples != 1).any():
        _rewrite(model, last, weights, step, multiples)
    model.forget()
    return bias


def add_bias(model: FastModel, bias: Numbers) -> None:
    """An Add of numbers (classes,) behind the logits."""
    product = model.graph.output[0].name
    result, constant = f"{product}_biased", f"{product}_bias"
    model.set_initializer(constant, bias.astype(np.float32))
    model.graph.node.append(helper.make_node("Add", [product, constant], [result], name=constant))
    model.graph.output[0].name = result
    model.forget()


def _weights(model: FastModel, layer: NodeProto, classes: int) -> _Weights | None:
    """None where they are no constants behind a quantizer with one scale a class: `lint` refuses them."""
    quantizer = model.find_producer(layer.input[1])
    if quantizer is None or quantizer.op_type not in QUANTIZERS:
        return None
    values, *constants = (model.get_initializer(name) for name in quantizer.input)
    if values is None or any(constant is None for constant in constants) or not (constants[0] > 0).all():
        return None
    if len(model.find_consumers(quantizer.output[0])) > 1:
        return None
    axis = 0 if layer.op_type == "Conv" or attribute(layer, "transB", [0])[0] else values.ndim - 1
    if values.shape[axis] != classes:
        return None
    if quantizer.op_type == "BipolarQuant":
        quantized = binary_quant(values, constants[0])
    else:
        settings = [getCustomOp(quantizer).get_nodeattr(name) for name in ("signed", "narrow", "rounding_mode")]
        quantized = int_quant(values, *constants, *settings)
    scales = np.moveaxis(np.broadcast_to(constants[0], values.shape), axis, 0).reshape(classes, -1).astype(np.float64)
    if (scales.min(axis=1) != scales.max(axis=1)).any():
        return None
    return _Weights(quantizer, np.rint(quantized / constants[0]).astype(np.int64), scales[:, 0], axis)


def _whole_steps(model: FastModel, layer: NodeProto) -> bool:
    """Whether a bias is behind a quantizer of its own: in steps of the accumulator, or the passes refuse it."""
    return model.get_initializer(layer.input[2]) is None


def _bias(model: FastModel, layer: NodeProto) -> Numbers | None:
    """The values of a layer's bias, float or behind a quantizer of its own; None without one."""
    if len(layer.input) <= 2:
        return None
    value = model.get_initializer(layer.input[2])
    if value is None:
        node = model.find_producer(layer.input[2])
        constants = [] if node is None else [model.get_initializer(name) for name in node.input]
        if node is None or node.op_type != "Quant" or any(constant is None for constant in constants):
            raise IcsortError(f"layer {title(layer)}: its bias is computed; make it a constant of the file")
        settings = [getCustomOp(node).get_nodeattr(name) for name in ("signed", "narrow", "rounding_mode")]
        value = int_quant(*constants, *settings)
    return np.asarray(value, np.float64).reshape(-1)


def _line(model: FastModel, node: NodeProto) -> tuple[Numbers, Numbers] | None:
    """Factor and offset, one or one a class, of an operation on what is computed; None for one that is no line."""
    constants = {
        index: np.asarray(value, np.float64).reshape(-1)
        for index, name in enumerate(node.input)
        if (value := model.get_initializer(name)) is not None
    }
    one, zero = np.ones(1), np.zeros(1)
    if node.op_type == "BatchNormalization":
        gamma, beta, mean, variance = (constants[index] for index in range(1, 5))
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon", [BATCH_NORM_EPSILON])[0])
        return factor, beta - mean * factor
    ((index, value),) = constants.items()
    match node.op_type, index:
        case "Add", _:
            return one, value
        case "Sub", 1:
            return one, -value
        case "Sub", 0:
            return -one, value
        case "Mul", _:
            return value, zero
        case "Div", 1:
            return 1 / value, zero
    return None


def _common_step(
    scale: Numbers, largest: int, blamed: NodeProto, last: NodeProto
) -> tuple[float, npt.NDArray[np.int64]]:
    """A step, and how many of it one accumulator of each class is worth. Raises IcsortError where there is none."""
    sizes = np.abs(scale)
    most = (2 ** (MAX_CLASS_WEIGHT_BITS - 1) - 1) // max(largest, 1)
    if np.isfinite(sizes).all() and sizes.max() > 0:
        smallest = sizes[sizes > 0].min()
        for parts in range(1, most + 1):
            step = float(np.float32(smallest / parts))
            multiples = np.rint(scale / step)
            if np.abs(multiples).max() > most:
                break
            if (np.abs(scale - multiples * step) <= FLOAT32_ERROR * sizes).all():
                return step, multiples.astype(np.int64)
    shown = ", ".join(f"{value:.4g}" for value in scale[:4]) + (", .." if scale.size > 4 else "")
    raise IcsortError(
        f"layer {title(blamed)}: makes a step of the classes' accumulators worth {shown}: no whole multiples of one "
        f"number within {MAX_CLASS_WEIGHT_BITS} bits; take it into the weights of layer {title(last)} before they are "
        "quantized, per tensor (weight *= norm.weight / sqrt(norm.running_var + norm.eps), a row each)"
    )


def _remove(model: FastModel, node: NodeProto) -> None:
    """A node off the graph; what it is computed from in its output's place."""
    source = next(name for name in node.input if model.get_initializer(name) is None)
    result = node.output[0]
    for user in model.find_consumers(result):
        for i, name in enumerate(user.input):
            if name == result:
                user.input[i] = source
    if model.graph.output[0].name == result:
        model.graph.output[0].name = source
        for info in [info for info in model.graph.value_info if info.name == source]:
            model.graph.value_info.remove(info)
    model.graph.node.remove(node)
    model.forget()


def _rewrite(
    model: FastModel, layer: NodeProto, weights: _Weights, step: float, multiples: npt.NDArray[np.int64]
) -> None:
    """Weights of whole numbers of one step, behind a quantizer that is as wide as they need."""
    shape = [1] * weights.integers.ndim
    shape[weights.axis] = -1
    integers = weights.integers * multiples.reshape(shape)
    bits = max(2, int(np.abs(integers).max()).bit_length() + 1)
    name = f"{weights.quantizer.name or layer.name}_classes"
    constants = {"weights": integers * step, "step": step, "zero": 0.0, "bits": float(bits)}
    for key, value in constants.items():
        model.set_initializer(f"{name}_{key}", np.asarray(value, np.float32))
    quantizer = helper.make_node(
        "Quant", [f"{name}_{key}" for key in constants], [weights.quantizer.output[0]], name=weights.quantizer.name,
        domain=QUANT_DOMAIN, signed=1, narrow=1, rounding_mode="ROUND",
    )  # fmt: skip
    at = list(model.graph.node).index(weights.quantizer)
    model.graph.node.remove(weights.quantizer)
    model.graph.node.insert(at, quantizer)
