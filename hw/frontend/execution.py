# SPDX-License-Identifier: Apache-2.0
"""QONNX's execution of a graph, node by node, that does not execute the same twice.

Each node is executed by QONNX (ONNX Runtime, or the Python of the custom operation). From one pass of the front end
to the next few nodes change, so results are kept: a node of the same operation and attributes with the same inputs
has them already.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.util.basic import get_preferred_qonnx_opset, sanitize_quant_values

Array = npt.NDArray[Any]


class Executor:
    """Executes models that have much in common; keeps what the last `execute` had to compute or look up."""

    def __init__(self) -> None:
        self._kept: dict[bytes, list[Array]] = {}
        self._digests: dict[int, tuple[Array, bytes]] = {}

    def execute(self, model: ModelWrapper, inputs: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Values of inputs and all computed tensors by name, one dictionary for each of `inputs`.

        As qonnx's execute_onnx: values of tensors typed as integers are rounded, and must lie close to integers.
        """
        graph = model.graph
        opsets = model.get_opset_imports()
        constants = {tensor.name: model.get_initializer(tensor.name) for tensor in graph.initializer}
        kept: dict[bytes, list[Array]] = {}
        digests: dict[int, tuple[Array, bytes]] = {}

        def digest(array: Array) -> bytes:
            known = digests.get(id(array)) or self._digests.get(id(array))
            if known is None or known[0] is not array:
                known = array, hashlib.sha256(repr((array.shape, array.dtype)).encode() + array.tobytes()).digest()
            digests[id(array)] = known
            return known[1]

        def outputs(node: NodeProto, context: dict[str, Array], opset: int) -> list[Array]:
            key = _signature(node) + b"".join(digest(context[tensor]) for tensor in node.input if tensor)
            if key not in kept:
                kept[key] = self._kept.get(key) or _execute(model, node, context, opset)
            return kept[key]

        results = []
        for values in inputs:
            context = {**constants, **values}
            for node in graph.node:
                for tensor in node.input:
                    if tensor:
                        context[tensor] = _sanitized(model, tensor, context[tensor])
                made = outputs(node, context, opsets.get(node.domain, get_preferred_qonnx_opset()))
                for tensor, value in zip(node.output, made, strict=True):
                    context[tensor] = _sanitized(model, tensor, value)
            results.append({tensor: value for tensor, value in context.items() if tensor not in constants})
        self._kept, self._digests = kept, digests
        return results


def _signature(node: NodeProto) -> bytes:
    attributes = sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
    return repr((node.domain, node.op_type, len(node.output), attributes)).encode()


def _execute(model: ModelWrapper, node: NodeProto, context: dict[str, Array], opset: int) -> list[Array]:
    scratch: dict[str, Any] = {tensor: context[tensor] for tensor in node.input if tensor} | {"": None}
    for tensor in node.output:
        scratch[tensor] = np.zeros(model.get_tensor_shape(tensor), np.float32)
    execute_node(node, scratch, model.graph, opset)
    return [scratch[tensor] for tensor in node.output]


def _sanitized(model: ModelWrapper, tensor: str, values: Array) -> Array:
    """As QONNX sanitizes; it is slow, and has nothing to do where all are integers."""
    if not model.get_tensor_datatype(tensor).is_integer() or np.array_equal(values, np.rint(values)):
        return values
    rounded: Array = sanitize_quant_values(model, [tensor], {tensor: values})[tensor]
    return rounded
