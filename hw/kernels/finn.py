# SPDX-License-Identifier: Apache-2.0
"""Reading FINN's hardware nodes: attributes, shapes, types, and the integers in their initializers.

FINN and QONNX take seconds to import, and whoever only counts resources should not wait for them: they are imported
where a node is read.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.datatype import BaseDataType
    from qonnx.core.modelwrapper import ModelWrapper

Integers = npt.NDArray[np.int64]


class NotCoveredError(Exception):
    """Why a kernel cannot do a node's work; who reads the graph adds the layer's name."""


def attributes(proto: "NodeProto") -> Callable[[str], Any]:
    """From an attribute's name to its value, FINN's default where the node has none."""
    from qonnx.custom_op.registry import getCustomOp

    get: Callable[[str], Any] = getCustomOp(proto).get_nodeattr
    return get


def pair(values: Any) -> tuple[int, int]:
    """Height and width, of FINN's arrays."""
    return int(values[0]), int(values[1])


def shape(model: "ModelWrapper", tensor: str) -> list[int]:
    """Of a tensor."""
    return [int(size) for size in model.get_tensor_shape(tensor)]


def datatype(model: "ModelWrapper", tensor: str) -> "BaseDataType":
    """Of a tensor."""
    return model.get_tensor_datatype(tensor)


def coding(data: "BaseDataType") -> tuple[int, int, int]:
    """Bits of an element of a stream, and whether it is signed or bipolar (one bit, 1 is +1 and 0 is -1)."""
    bipolar = data.name == "BIPOLAR"
    return int(data.bitwidth()), int(data.signed() and not bipolar), int(bipolar)


def refuse_bipolar(model: "ModelWrapper", proto: "NodeProto") -> None:
    """Raises NotCoveredError where a stream that comes in is bipolar."""
    if any(coding(datatype(model, tensor))[2] for tensor in proto.input if model.get_initializer(tensor) is None):
        raise NotCoveredError("values of -1 and 1 in one bit have no zero and no sum; use at least 2 bits")


def integers(model: "ModelWrapper", tensor: str) -> Integers:
    """Of an initializer, in its shape."""
    return np.asarray(np.rint(model.get_initializer(tensor)), dtype=np.int64)


def signed_bits(values: Integers) -> int:
    """Bits of two's complement that hold every value."""
    return max(int(values.max()).bit_length(), int(-values.min() - 1).bit_length() if values.min() < 0 else 0) + 1
