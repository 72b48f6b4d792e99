# SPDX-License-Identifier: Apache-2.0
"""Where float32 loses nothing, so that a QONNX file has one answer whatever the order of its additions.

A tensor's values are multiples of a step, a power of two, and at most so large: sums of them are exact in float32 as
long as the largest is no more than 2^24 steps. Scales that are powers of two keep it so through a layer, others do not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.intquant import max_int, min_int
from qonnx.custom_op.registry import getCustomOp

from icsort.hw.frontend.lint import MEAN, QUANTIZERS, SHAPE_ONLY, WEIGHTED
from icsort.hw.frontend.steps import chain

MANTISSA = 2**24
PIXEL_MAX = 255.0


@dataclass(frozen=True)
class Grid:
    """Values are multiples of `step`, a power of two, and none is beyond `most`."""

    step: float
    most: float

    @property
    def exact(self) -> bool:
        """Whether float32 holds every multiple up to the largest."""
        return self.most <= MANTISSA * self.step


def exact_quantizers(model: ModelWrapper) -> set[str]:
    """Names of the activation quantizers in front of which every value is exact, whatever its pixels are."""
    known: dict[str, Grid | None] = {}
    names = set()
    for node in model.graph.node:
        if node.op_type in QUANTIZERS and model.get_initializer(node.input[0]) is None:
            grid = _grid(model, chain(model, node)[0], known)
            if grid is not None and grid.exact:
                names.add(node.name)
    return names


def _grid(model: ModelWrapper, tensor: str, known: dict[str, Grid | None]) -> Grid | None:
    """None where nothing is known. known: of the tensors so far."""
    if tensor not in known:
        known[tensor] = _found(model, tensor, known)
    return known[tensor]


def _found(model: ModelWrapper, tensor: str, known: dict[str, Grid | None]) -> Grid | None:
    node = model.find_producer(tensor)
    if node is None:
        constant = model.get_initializer(tensor)
        return Grid(1.0, PIXEL_MAX) if constant is None else _of(constant)
    if node.op_type == "Quant":
        return _quantized(model, node)
    inputs = [_grid(model, name, known) for name in node.input[:1]]
    if node.op_type in ("Add", "Concat"):
        inputs = [_grid(model, name, known) for name in node.input]
    if any(grid is None or not grid.exact for grid in inputs):
        return None
    first = inputs[0]
    assert first is not None
    if node.op_type in (*SHAPE_ONLY, "MaxPool"):
        return first
    if node.op_type == "Add":
        return Grid(min(grid.step for grid in inputs if grid), sum(grid.most for grid in inputs if grid))
    if node.op_type == "Concat":
        return Grid(min(grid.step for grid in inputs if grid), max(grid.most for grid in inputs if grid))
    if node.op_type in WEIGHTED:
        weights = _weights(model, node.input[1])
        bias = model.get_initializer(node.input[2]) if len(node.input) > 2 else None
        return _product(first, weights, bias, node.op_type)
    if node.op_type in MEAN:
        shape = model.get_tensor_shape(node.input[0])
        pixels = int(np.prod(shape[2:])) if shape else 0
        return Grid(first.step / pixels, first.most) if pixels and pixels & (pixels - 1) == 0 else None
    return None


def _quantized(model: ModelWrapper, node: NodeProto) -> Grid | None:
    quantizer = getCustomOp(node)
    scale, _, bits = (model.get_initializer(name) for name in node.input[1:4])
    if scale is None or bits is None:
        return None
    limits = [
        limit(quantizer.get_nodeattr("signed"), quantizer.get_nodeattr("narrow"), float(bits.flat[0]))
        for limit in (min_int, max_int)
    ]
    steps = _of(scale)
    return steps and Grid(steps.step, max(map(abs, limits)) * steps.most)


def _weights(model: ModelWrapper, tensor: str) -> npt.NDArray[np.float32] | None:
    """Of a layer: a constant, or one behind a quantizer, which is taken for settled on its own steps."""
    node = model.find_producer(tensor)
    value = model.get_initializer(tensor if node is None else node.input[0])
    scale = None if node is None else model.get_initializer(node.input[1])
    if node is None and value is not None:
        return np.asarray(value)
    return None if value is None or scale is None else np.asarray(np.rint(value / scale) * scale, np.float32)


def _product(
    values: Grid, weights: npt.NDArray[np.float32] | None, bias: npt.NDArray[np.float32] | None, op: str
) -> Grid | None:
    steps = None if weights is None else _of(weights)
    if weights is None or steps is None:
        return None
    sums = [np.abs(weights).sum(axis) for axis in ([(1, 2, 3)] if op == "Conv" else [0, 1])]  # transposed or not
    grid = Grid(values.step * steps.step, values.most * max(float(total.max()) for total in sums))
    added = None if bias is None else _of(bias)
    return grid if added is None else Grid(min(grid.step, added.step), grid.most + added.most)


def _of(constant: npt.NDArray[np.float32]) -> Grid | None:
    """The largest power of two that all values are multiples of."""
    values = np.abs(np.asarray(constant, np.float64)).ravel()
    values = values[values > 0]
    if not np.isfinite(values).all():
        return None
    if not values.size:
        return Grid(1.0, 0.0)
    fraction, exponent = np.frexp(values)
    whole = np.ldexp(fraction, 24).astype(np.int64)  # float32 has 24 bits
    return Grid(float(np.ldexp((whole & -whole).astype(np.float64), exponent - 24).min()), float(values.max()))
