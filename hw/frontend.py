# SPDX-License-Identifier: Apache-2.0
"""From a QONNX file to FINN's hardware graph, without Vivado.

`PASSES` is the whole conversion: an ordered list of named passes, FINN's and QONNX's own. After each one the graph is
executed on test images and must give the same integer logits as the file it came from, so an error names the pass
that made it. What the passes cannot take away (an uncovered operation, a float left between layers) is refused by the
layer's name, as it stands in the file.
"""

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
    InferElementwiseBinaryOperation,
)
from finn.transformation.fpgadataflow.convert_to_hw.global_acc_pool import InferGlobalAccPoolLayer
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.convert_to_hw.vector_vector_activation import InferVectorVectorActivation
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.streamline import Streamline
from finn.transformation.streamline.absorb import (
    AbsorbConsecutiveTransposes,
    AbsorbScalarBiasIntoMultiThreshold,
    AbsorbTransposeIntoMultiThreshold,
)
from finn.transformation.streamline.collapse_repeated import CollapseRepeatedMul
from finn.transformation.streamline.reorder import (
    MakeMaxPoolNHWC,
    MoveMulPastFork,
    MoveMulPastJoinAdd,
    MoveScalarLinearPastInvariants,
    MoveScalarMulPastMatMul,
    MoveTransposePastFork,
    MoveTransposePastJoinAdd,
)
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from onnx import NodeProto
from onnx.external_data_helper import uses_external_data
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.composed import ComposedTransformation
from qonnx.transformation.fold_constants import FoldConstantsFiltered
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.transformation.make_input_chanlast import MakeInputChannelsLast
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

from hw.execution import Executor
from hw.fast_model import FastModel
from sim.bit_true.errors import IcsortError

HW_DOMAIN = "finn.custom_op.fpgadataflow"
INPUT_TYPE = "UINT8"
MAX_BITS = 8
TOLERANCE = 0.25  # of one integer step of a logit: float32 rounds sums of 10^5 steps to hundredths of one
SCALE_PRECISION = 2.0**-20  # the scale is a product of float32 factors, and not in the same order everywhere
FLOAT32_INTEGERS = 2**24  # every integer up to here is exact in the float32 that thresholds and accumulators live in

# What may stand in the QONNX file. FINN removes the constant arithmetic and the shape operations.
WEIGHTED = ("Conv", "Gemm", "MatMul")
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
SHAPE_ONLY = ("Transpose", "Reshape", "Flatten", "Squeeze")
MEAN = ("GlobalAveragePool", "ReduceMean")
DEFAULT_ATTRIBUTES: dict[str, dict[str, int | list[int]]] = {
    "Conv": {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1},
    "MaxPool": {"strides": [1, 1], "pads": [0, 0, 0, 0]},
}
QUANT_DOMAIN = "qonnx.custom_op.general"
QUANTIZERS = ("Quant", "BipolarQuant")
SOURCE_OPS = (*WEIGHTED, *ARITHMETIC, *SHAPE_ONLY, "BatchNormalization", "Relu", "Quant", "MaxPool", *MEAN)


@dataclass(frozen=True)
class Pass:
    """One step of the conversion: transformations that run in order, checked together."""

    name: str
    transformations: tuple[Transformation, ...]

    def apply(self, model: ModelWrapper) -> ModelWrapper:
        """The transformed graph; FINN's own messages are kept off the terminal."""
        with quiet():
            for transformation in self.transformations:
                model = model.transform(transformation)
        return model


class MeanToGlobalAveragePool(Transformation):  # type: ignore[misc]  # qonnx has no types
    """ReduceMean over rows and columns, which exporters make of `x.mean((2, 3))`, to GlobalAveragePool and Flatten."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One ReduceMean at a time."""
        for index, node in enumerate(model.graph.node):
            if node.op_type != "ReduceMean":
                continue
            result = node.output[0]
            pooled = result
            shape = model.get_tensor_shape(node.input[0])
            if not _attribute(node, "keepdims", [1])[0]:
                pooled = model.make_new_valueinfo_name()
                model.set_tensor_shape(pooled, [*shape[:2], 1, 1])
                model.graph.node.insert(index + 1, onnx.helper.make_node("Flatten", [pooled], [result], axis=1))
            pool = onnx.helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=node.name)
            model.graph.node.insert(index, pool)
            model.graph.node.remove(node)
            return model, True
        return model, False


def is_join(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether an Add takes two computed tensors: a residual connection, not a constant."""
    return node.op_type == "Add" and all(model.get_initializer(name) is None for name in node.input)


TIDY = (GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes(), InferDataLayouts())
TRANSPOSES = (AbsorbTransposeIntoMultiThreshold(), AbsorbConsecutiveTransposes())

# As QONNX's cleanup_model, but all constants folded in one sweep.
CLEAN = (
    InferShapes(),
    FoldConstantsFiltered(lambda _, node: node.op_type not in QUANTIZERS),
    FoldTransposeIntoQuantInit(),
    GiveUniqueNodeNames(),
    GiveReadableTensorNames(),
)

PASSES: tuple[Pass, ...] = (
    Pass("means to global pools", (MeanToGlobalAveragePool(),)),
    Pass(
        "channels-last input",
        (MakeInputChannelsLast(), GiveUniqueNodeNames(), GiveReadableTensorNames(), InferShapes()),
    ),
    Pass("QONNX to FINN", (ConvertQONNXtoFINN(),)),
    Pass("tidy", TIDY),
    # Before any scale moves: a signed quantizer's bias that stays behind would be moved into the thresholds of a
    # quantizer after it, and leave a signed type on a tensor that is not signed any more.
    Pass("signs into thresholds", (AbsorbScalarBiasIntoMultiThreshold(), *TIDY)),
    Pass("scales past forks", (MoveMulPastFork(), *TIDY)),
    Pass("streamline", (Streamline(),)),
    Pass("scales past joins", (ComposedTransformation([MoveMulPastJoinAdd(), MoveMulPastFork()]), *TIDY)),
    Pass("streamline behind joins", (Streamline(),)),
    Pass("convolutions to matrix products", (LowerConvsToMatMul(),)),
    Pass("transposes past thresholds", TRANSPOSES),
    Pass(
        "transposes past forks and joins",
        (
            ComposedTransformation([*TRANSPOSES, MoveTransposePastFork(), MoveTransposePastJoinAdd()]),
            InferDataLayouts(),
        ),
    ),
    Pass("pools to NHWC", (MakeMaxPoolNHWC(), *TRANSPOSES, InferDataLayouts())),
    Pass("thresholds to hardware", (InferThresholdingLayer(),)),
    Pass("global pools to hardware", (InferGlobalAccPoolLayer(), AbsorbConsecutiveTransposes(), InferDataLayouts())),
    # The division by the number of pixels, to the end: what comes behind it is integer then.
    Pass(
        "division past the last product",
        (MoveScalarLinearPastInvariants(), MoveScalarMulPastMatMul(), CollapseRepeatedMul(), *TIDY),
    ),
    Pass("depthwise products to hardware", (InferVectorVectorActivation(),)),
    Pass("matrix products to hardware", (InferQuantizedMatrixVectorActivation(),)),
    Pass("pools to hardware", (InferPool(),)),
    Pass("windows to hardware", (InferConvInpGen(),)),
    Pass("remove flatten", (RemoveCNVtoFCFlatten(),)),
    Pass("joins to hardware", (InferElementwiseBinaryOperation(is_join),)),
    Pass("forks to hardware", (InferDuplicateStreamsLayer(),)),
    Pass("accumulator widths", (MinimizeAccumulatorWidth(), InferDataTypes())),
    Pass("names", (GiveUniqueNodeNames(), GiveReadableTensorNames())),
)
# Alone and last: it clips thresholds to the accumulator, so the accumulator's type must be final.
ROUND_THRESHOLDS = Pass("thresholds to integers", (RoundAndClipThresholds(),))


@dataclass(frozen=True)
class HardwareGraph:
    """FINN's hardware graph: uint8 image (1, H, W, C) in, integer logits (1, N) out, only hardware layers between.

    scale: logit = integer * scale, as the file has it. sources: hardware layer -> layer of the QONNX file it came from.
    near_ties: hardware layer -> thresholds so close to an integer that float32 rounding decides the QONNX model's side.
    seconds: pass -> run time, its equality check included.
    """

    model: ModelWrapper
    scale: float
    sources: dict[str, str]
    near_ties: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """FINN prints, logs and warns about every step; none of it is for the user, who gets one line or none."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def convert(
    path: Path,
    *,
    shape: tuple[int, int, int],
    classes: int,
    scale: float,
    images: npt.NDArray[np.uint8],
    progress: Callable[[str], None] = lambda _: None,
) -> HardwareGraph:
    """Convert a QONNX file to FINN's hardware graph and check every pass.

    shape: (H, W, C) of the network's input. classes: logits expected. scale: what the manifest says one integer logit
    is worth. images: uint8 (n, H, W, C), n >= 1, executed after every pass. progress: called with the name of each
    pass before it runs.

    Raises IcsortError naming the layer or the pass: a file that is not ONNX, a shape that is not the manifest's, an
    operation that is not covered, a float left in the graph, a pass that changes the logits, another scale than the
    manifest's.
    """
    source = load_qonnx(path)
    lint(source)
    model = clean(source)
    _check_interface(model, path, shape, classes)
    executor = Executor()
    try:
        expected = _float_logits(executor, model, images)
    except Exception as error:  # onnxruntime and qonnx each raise their own
        raise IcsortError(f"{path.name}: cannot be executed ({_first_line(error)}); export the model again") from None
    tolerance = TOLERANCE * scale
    seconds: dict[str, float] = {}

    def step(item: Pass, model: ModelWrapper) -> ModelWrapper:
        progress(item.name)
        start = time.perf_counter()
        try:
            model = item.apply(model)
            actual = _float_logits(executor, model, images)
        except Exception as error:  # FINN raises whatever its passes ran into
            raise IcsortError(
                f"{path.name}: pass '{item.name}' of the front end failed: {_first_line(error)}"
            ) from error
        difference = float(np.abs(actual - expected).max())
        if not difference <= tolerance:
            raise IcsortError(
                f"{path.name}: pass '{item.name}' of the front end changed the logits by {difference:.3g} "
                f"(one integer step is {scale:.3g}); the network cannot be compiled exactly"
            )
        seconds[item.name] = time.perf_counter() - start
        return model

    for item in PASSES:
        model = step(item, model)
    near_ties = count_near_ties(model)
    model = step(ROUND_THRESHOLDS, model)
    model, found = _split_scale(model, path)
    if not np.isclose(found, scale, rtol=SCALE_PRECISION, atol=0.0):
        raise IcsortError(
            f"{path.name}: one integer logit is worth {found!r} but the manifest says {scale!r}; export the model again"
        )
    check_hardware(model)
    return HardwareGraph(model, found, _sources(source, model), near_ties, seconds)


def load_qonnx(path: Path) -> ModelWrapper:
    """Read an ONNX file. Raises IcsortError where it cannot be read or is none."""
    unreadable = f"{path}: not an ONNX file; export the model again with `icsort export`"
    try:
        proto = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); give a QONNX file") from None
    except Exception:  # protobuf's decoder errors share no public base class
        raise IcsortError(unreadable) from None
    if not proto.graph.node:  # a few bytes of anything may parse as an empty message
        raise IcsortError(unreadable)
    if any(uses_external_data(tensor) for tensor in proto.graph.initializer):
        raise IcsortError(
            f"{path}: keeps its weights in another file, which its hash does not cover; save it as one file"
        )
    return FastModel(proto)


def clean(model: ModelWrapper) -> ModelWrapper:
    """A copy of the model with shapes, names and the input's type set, as QONNX's executor and FINN want it.

    Raises IcsortError where shapes or types in the file contradict each other.
    """
    try:
        model = FastModel(onnx.shape_inference.infer_shapes(model.model))
        for node in model.graph.node:
            if node.op_type in QUANTIZERS:
                node.domain = QUANT_DOMAIN  # older exporters gave another
            # ONNX lets a file leave these out; QONNX's passes expect them.
            present = {attribute.name for attribute in node.attribute}
            for name, default in DEFAULT_ATTRIBUTES.get(node.op_type, {}).items():
                if name not in present:
                    node.attribute.append(onnx.helper.make_attribute(name, default))
        with quiet():
            for transformation in CLEAN:
                model = model.transform(transformation)
    except Exception as error:  # onnx, onnxruntime and qonnx each raise their own
        raise IcsortError(f"the ONNX file contradicts itself ({_first_line(error)}); export the model again") from None
    model.set_tensor_datatype(model.graph.input[0].name, DataType[INPUT_TYPE])
    return model


def lint(model: ModelWrapper) -> None:
    """Refuse, by the layer's name in the file, what no pass can take away. Raises IcsortError with the remedy."""
    for node in model.graph.node:
        if node.op_type not in SOURCE_OPS:
            raise IcsortError(
                f"layer {_title(node)} is not covered: the hardware knows {', '.join(SOURCE_OPS)}; "
                "build the network without it"
            )
        if node.op_type in ("Conv", "MaxPool"):
            if _attribute(node, "auto_pad", [b"NOTSET"])[0] not in (b"NOTSET", b"VALID"):
                raise IcsortError(f"layer {_title(node)}: auto_pad is not covered; use no padding")
            plain: list[tuple[str, int, str]] = [("dilations", 1, "use dilation 1")]
            if node.op_type == "MaxPool":
                plain += [("pads", 0, "use no padding"), ("ceil_mode", 0, "let the pool round down")]
            elif not _is_depthwise(model, node):
                plain.append(("group", 1, "use group 1, or as many groups as channels in and out"))
            for name, value, remedy in plain:
                values = _attribute(node, name, [value])
                if any(found != value for found in values):
                    raise IcsortError(f"layer {_title(node)}: {name} {values} is not covered; {remedy}")
        if node.op_type in ARITHMETIC and all(model.get_initializer(name) is None for name in node.input):
            _check_join(model, node)
        if node.op_type == "ReduceMean" and sorted(axis % 4 for axis in _mean_axes(model, node)) != [2, 3]:
            raise IcsortError(f"layer {_title(node)}: a mean is covered over rows and columns only; use axes 2 and 3")
        if node.op_type == "Quant":
            bits = _constant(model, node, 3)
            if not (np.all(_constant(model, node, 2) == 0) and bits.size == 1 and 1 <= float(bits.flat[0]) <= MAX_BITS):
                raise IcsortError(
                    f"layer {_title(node)}: the quantizer needs zero point 0 and one width of 1 to {MAX_BITS} bits"
                )
    for node in model.graph.node:
        if node.op_type in WEIGHTED:
            _check_quantized(model, node)


def count_near_ties(model: ModelWrapper) -> dict[str, int]:
    """For each Thresholding layer, how many float thresholds lie within float32 rounding of an integer.

    There the QONNX model's own rounding errors decide whether the integer reaches the threshold, and they depend on
    the order of its additions; the hardware has one exact answer. A few units in the last place of the threshold are
    allowed for.
    """
    counts = {}
    for node in model.graph.node:
        if node.op_type == "Thresholding":
            thresholds = model.get_initializer(node.input[1]).astype(np.float64)
            distance = np.abs(thresholds - np.rint(thresholds))
            counts[node.name] = int(np.count_nonzero(distance < np.maximum(np.abs(thresholds), 1.0) * 2.0**-21))
    return counts


def float_input(model: ModelWrapper, image: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
    """The execution input for one uint8 image (H, W, C): NCHW or NHWC, whichever the graph is marked with."""
    name = model.graph.input[0].name
    nhwc = model.get_tensor_layout(name) == ["N", "H", "W", "C"]
    array = image if nhwc else image.transpose(2, 0, 1)
    return {name: np.ascontiguousarray(array[np.newaxis], dtype=np.float32)}


def _float_logits(executor: Executor, model: ModelWrapper, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    output = model.graph.output[0].name
    with quiet():
        runs = executor.execute(model, [float_input(model, image) for image in images])
    return np.concatenate([run[output] for run in runs]).astype(np.float64)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _title(node: NodeProto) -> str:
    return f"'{node.name}' ({node.op_type})"


def _attribute(node: NodeProto, name: str, default: list[Any]) -> list[Any]:
    for attribute in node.attribute:
        if attribute.name == name:
            value = onnx.helper.get_attribute_value(attribute)
            return list(value) if isinstance(value, list | tuple) else [value]
    return default


def _constant(model: ModelWrapper, node: NodeProto, index: int) -> npt.NDArray[np.float32]:
    value = model.get_initializer(node.input[index])
    if value is None:
        raise IcsortError(f"layer {_title(node)}: '{node.input[index]}' is computed; it must be a constant of the file")
    return np.asarray(value)


def _is_depthwise(model: ModelWrapper, node: NodeProto) -> bool:
    weight = _weight_source(model, node.input[1])
    group = _attribute(node, "group", [1])[0]
    return bool(weight is not None and weight.ndim == 4 and weight.shape[:2] == (group, 1))


def _weight_source(model: ModelWrapper, tensor: str) -> npt.NDArray[np.float32] | None:
    producer = model.find_producer(tensor)
    if producer is not None and producer.op_type == "Quant":
        tensor = producer.input[0]
    value = model.get_initializer(tensor)
    return None if value is None else np.asarray(value)


def _mean_axes(model: ModelWrapper, node: NodeProto) -> list[int]:
    if len(node.input) > 1:  # an input since opset 18
        return [int(axis) for axis in _constant(model, node, 1)]
    return [int(axis) for axis in _attribute(node, "axes", [])]


def _check_join(model: ModelWrapper, node: NodeProto) -> None:
    """Both branches of a residual Add must be integers of one scale, or their sum is no integer."""
    if node.op_type != "Add":
        raise IcsortError(f"layer {_title(node)}: two branches can be joined by Add only; build the network without it")
    scales = [_scale(model, node, tensor) for tensor in node.input]
    if scales[0] != scales[1]:
        raise IcsortError(
            f"layer {_title(node)}: its branches are quantized with different scales, {scales[0]:.6g} and "
            f"{scales[1]:.6g}; send both through one shared quantizer"
        )


def _scale(model: ModelWrapper, join: NodeProto, tensor: str) -> float:
    """What one integer of a branch is worth, from the quantizer that it came from."""
    producer = model.find_producer(tensor)
    while producer is not None and producer.op_type in (*SHAPE_ONLY, "MaxPool"):
        producer = model.find_producer(producer.input[0])
    if producer is not None and is_join(model, producer):
        return _scale(model, join, producer.input[0])
    if producer is None or producer.op_type != "Quant":
        source = "the image" if producer is None else _title(producer)
        raise IcsortError(
            f"layer {_title(join)}: a branch comes from {source} without a quantizer; "
            "send both branches through one shared quantizer"
        )
    scale = _constant(model, producer, 1)
    if scale.size != 1:
        raise IcsortError(
            f"layer {_title(join)}: quantizer {_title(producer)} in front of it has a scale for each channel; "
            "send both branches through one shared quantizer with one scale"
        )
    return float(scale.flat[0])


def _check_quantized(model: ModelWrapper, node: NodeProto) -> None:
    weight = model.find_producer(node.input[1])
    if weight is None or weight.op_type != "Quant":
        raise IcsortError(f"layer {_title(node)}: its weights are float; give the layer a weight quantizer")
    producer = model.find_producer(node.input[0])
    while producer is not None and (producer.op_type in (*SHAPE_ONLY, *MEAN, "MaxPool") or is_join(model, producer)):
        producer = model.find_producer(producer.input[0])
    if producer is not None and producer.op_type != "Quant":
        raise IcsortError(
            f"layer {_title(node)}: float values reach it from {_title(producer)}; "
            "put an activation quantizer between them"
        )


def _check_interface(model: ModelWrapper, path: Path, shape: tuple[int, int, int], classes: int) -> None:
    if len(model.graph.input) != 1 or len(model.graph.output) != 1:
        raise IcsortError(
            f"{path.name}: {len(model.graph.input)} inputs, {len(model.graph.output)} outputs; one of each is covered"
        )
    height, width, channels = shape
    found_in = model.get_tensor_shape(model.graph.input[0].name)
    found_out = model.get_tensor_shape(model.graph.output[0].name)
    if found_in != [1, channels, height, width] or found_out != [1, classes]:
        raise IcsortError(
            f"{path.name}: input {found_in} and output {found_out}, but the manifest says "
            f"{[1, channels, height, width]} and {[1, classes]}; export the model again"
        )


def _split_scale(model: ModelWrapper, path: Path) -> tuple[ModelWrapper, float]:
    """Take the scalar Mul off the end, so that the graph ends with integers. Returns the graph and the factor."""
    last = model.graph.node[-1]
    factor = model.get_initializer(last.input[1]) if last.op_type == "Mul" else None
    if factor is None or factor.size != 1:
        raise IcsortError(
            f"{path.name}: the logits do not end in one scale for all classes (layer {_title(last)}); "
            "quantize the last layer's weights per tensor and give it no bias"
        )
    integer = last.input[0]
    integer_info = model.get_tensor_valueinfo(integer)
    model.graph.node.remove(last)
    model.graph.output.remove(model.graph.output[0])
    model.graph.value_info.remove(integer_info)
    model.graph.output.append(integer_info)
    return model.cleanup().transform(GiveReadableTensorNames()), float(factor.flat[0])


def check_hardware(model: ModelWrapper) -> None:
    """Refuse, by the layer's name, a graph that is not all integer hardware layers with constant integer parameters.

    Raises IcsortError.
    """
    for node in model.graph.node:
        if node.domain != HW_DOMAIN:
            raise IcsortError(
                f"layer {_title(node)}: FINN's passes left it as a float operation; "
                "quantize what feeds it or build the network without it"
            )
        streams = 2 if node.op_type == "ElementwiseAdd" else 1
        for tensor in (*node.input[:streams], *node.output):
            if not model.get_tensor_datatype(tensor).is_integer():
                raise IcsortError(f"layer {_title(node)}: '{tensor}' is still float; quantize it")
        if node.op_type == "Thresholding":  # FINN may move a bias away and leave the signed type behind
            output, attributes = model.get_tensor_datatype(node.output[0]), getCustomOp(node)
            low = attributes.get_nodeattr("ActVal")
            high = low + attributes.get_nodeattr("numSteps")
            if low < output.min() or high > output.max():
                raise IcsortError(f"layer {_title(node)}: gives {low} to {high} but FINN typed it {output.name}")
        for tensor in node.input[streams:]:
            values = model.get_initializer(tensor)
            if values is None or not np.array_equal(values, np.rint(values)):
                raise IcsortError(f"layer {_title(node)}: '{tensor}' must hold constant integers")
            if np.abs(values).max() >= FLOAT32_INTEGERS:
                raise IcsortError(f"layer {_title(node)}: '{tensor}' holds integers beyond 2^24, not exact in float32")


# What hardware layers do, in the file's operations: the layers that `_sources` pairs.
ORIGINS = {
    "MVAU": WEIGHTED,
    "VVAU": ("Conv",),
    "Thresholding": ("Quant",),
    "Pool": ("MaxPool",),
    "GlobalAccPool": MEAN,
    "ElementwiseAdd": ("Add",),
}


def _sources(source: ModelWrapper, model: ModelWrapper) -> dict[str, str]:
    """Hardware layer -> layer of the file, by walking both graphs from the logits to the image, branch by branch."""
    names: dict[str, str] = {}

    def original(tensor: str) -> NodeProto | None:
        """The layer that made a tensor of the file, past what FINN folds into others."""
        node: NodeProto | None = source.find_producer(tensor)
        while node is not None and not (
            is_join(source, node) if node.op_type == "Add" else any(node.op_type in kinds for kinds in ORIGINS.values())
        ):
            node = source.find_producer(node.input[0])
        return node

    pairs = [(source.graph.output[0].name, model.graph.output[0].name)]
    while pairs:
        theirs, ours = pairs.pop()
        node = model.find_producer(ours)
        passed = []  # windows, borders and forks belong to the layer that they serve
        while node is not None and node.op_type not in ORIGINS:
            passed.append(node)
            node = model.find_producer(node.input[0])
        found = original(theirs)
        if node is None or found is None or found.op_type not in ORIGINS[node.op_type]:
            if node is None and found is None:
                for extra in passed:
                    names.setdefault(extra.name, "the image")
                continue
            raise IcsortError(
                f"FINN made {'nothing' if node is None else node.op_type} of "
                f"{'the image' if found is None else 'layer ' + _title(found)}; build the network without it"
            )
        for extra in passed:
            if extra.op_type == "DuplicateStreams":
                names[extra.name] = found.name
        if node.name not in names:
            names[node.name] = found.name
            inputs = found.input if node.op_type == "ElementwiseAdd" else found.input[:1]
            pairs += zip(inputs, node.input, strict=False)
    for node in reversed(model.graph.node):
        if node.op_type in ("FMPadding", "ConvolutionInputGenerator"):
            names[node.name] = names[model.find_direct_successors(node)[0].name]
    return names
