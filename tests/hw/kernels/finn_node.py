# SPDX-License-Identifier: Apache-2.0
"""FINN's own Python execution of one hardware node, and FINN's own packing of tensors: what the kernels are held to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from finn.util.data_packing import pack_innermost_dim_as_hex_string
from onnx import TensorProto, helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import calculate_matvec_accumulator_range, qonnx_make_model

DOMAIN = "finn.custom_op.fpgadataflow"
PARAMETERS_ARE_INITIALIZERS = ("VVAU",)


def execute_all(
    op_type: str,
    inputs: Sequence[tuple[npt.NDArray[np.integer], str]],
    output_shapes: Sequence[Sequence[int]],
    **attributes: int | str | Sequence[int],
) -> list[npt.NDArray[np.int64]]:
    """Run one FINN node. `inputs` are (array, FINN data type name), in the order of the node's inputs.

    The second input on are initializers where FINN's node looks for them there (weights, thresholds).
    """
    names = [f"in{index}" for index in range(len(inputs))]
    results = [f"out{index}" for index in range(len(output_shapes))]
    node = helper.make_node(op_type, names, results, domain=DOMAIN, backend="fpgadataflow", **attributes)
    tensors = {name: array.astype(np.float32) for name, (array, _) in zip(names, inputs, strict=True)}
    graph = helper.make_graph(
        [node],
        "node",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, tensor.shape) for name, tensor in tensors.items()],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(results, output_shapes, strict=True)
        ],
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, (_, datatype) in zip(names, inputs, strict=True):
        model.set_tensor_datatype(name, DataType[datatype])
    if op_type in PARAMETERS_ARE_INITIALIZERS:
        for name in names[1:]:
            model.set_initializer(name, tensors.pop(name))
    context = execute_onnx(model, tensors)
    outputs = [context[name] for name in results]
    for output, shape in zip(outputs, output_shapes, strict=True):
        assert output.shape == tuple(shape)
        assert np.array_equal(output, np.round(output))
    return [output.astype(np.int64) for output in outputs]


def execute(
    op_type: str,
    inputs: Sequence[tuple[npt.NDArray[np.integer], str]],
    output_shape: Sequence[int],
    **attributes: int | str | Sequence[int],
) -> npt.NDArray[np.int64]:
    """Run one FINN node with one output; see `execute_all`."""
    return execute_all(op_type, inputs, [output_shape], **attributes)[0]


def matrix_product(
    vectors: npt.NDArray[np.integer],
    act: str,
    weights: npt.NDArray[np.integer],
    weight: str,
    out: str,
    simd: int,
    pe: int,
) -> npt.NDArray[np.int64]:
    """FINN's MVAU without activation: vectors (N, MW) of type `act`, weights (MW, MH), sums (N, MH) of type `out`."""
    (mw, mh), number = weights.shape, len(vectors)
    return execute(
        "MVAU", [(vectors, act), (weights, weight)], (number, mh), MW=mw, MH=mh, SIMD=simd, PE=pe,
        numInputVectors=[number], noActivation=1, inputDataType=act, weightDataType=weight, outputDataType=out,
        accDataType=out, binaryXnorMode=0,
    )  # fmt: skip


def datatype(bits: int, signed: bool) -> str:
    """Name of FINN's integer type."""
    return f"{'INT' if signed else 'UINT'}{bits}"


def random_integers(rng: np.random.Generator, shape: Sequence[int], bits: int, signed: bool) -> npt.NDArray[np.int64]:
    """Uniform over the whole range, and one element in four at one of the two ends of it."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = rng.integers(low, high, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.25, rng.choice([low, high], shape), values)


def random_values(rng: np.random.Generator, shape: Sequence[int], name: str) -> npt.NDArray[np.int64]:
    """As `random_integers`, for any FINN type: BIPOLAR gives -1 and 1, TERNARY -1, 0 and 1."""
    if name == "BIPOLAR":
        return rng.choice([-1, 1], shape)
    if name == "TERNARY":
        return rng.integers(-1, 1, shape, endpoint=True)
    return random_integers(rng, shape, DataType[name].bitwidth(), DataType[name].signed())


def accumulator(weights: npt.NDArray[np.integer], act: BaseDataType, weight: BaseDataType) -> str:
    """Name of the narrowest integer type for every product of an activation vector with a column of `weights`.

    Two bipolar operands give the number of equal pairs, which is what FINN's nodes give.
    """
    if act.name == "BIPOLAR" and weight.name == "BIPOLAR":
        return datatype(int(weights.shape[0]).bit_length(), False)
    low, high = calculate_matvec_accumulator_range(weights, act)
    return datatype(1 + max(int(high).bit_length(), int(-low - 1).bit_length() if low < 0 else 0), True)


def beats(array: npt.NDArray[np.integer], elements: int, name: str) -> list[int]:
    """`array` in C order as stream beats of `elements` elements of FINN type `name`, the first element at the LSB."""
    bits = elements * DataType[name].bitwidth()
    words = pack_innermost_dim_as_hex_string(
        array.reshape(-1, elements).astype(np.float32), DataType[name], -(-bits // 4) * 4, reverse_inner=True
    )
    return [int(word, 16) for word in np.atleast_1d(words)]


def memory_text(words: Sequence[int]) -> str:
    """Text of a $readmemh file, one word a line."""
    return "".join(f"{word:x}\n" for word in words)
