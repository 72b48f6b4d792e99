# SPDX-License-Identifier: Apache-2.0
"""The conversion from QONNX to FINN's hardware layers: an ordered list of passes, FINN's, QONNX's and some of ours."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from finn.transformation.fpgadataflow.convert_to_hw.concat import InferConcatLayer
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
    AbsorbMulIntoMultiThreshold,
    AbsorbTransposeIntoMultiThreshold,
)
from finn.transformation.streamline.collapse_repeated import CollapseRepeatedMul
from finn.transformation.streamline.reorder import (
    MoveMulPastDWConv,
    MoveMulPastFork,
    MoveMulPastJoinAdd,
    MoveMulPastJoinConcat,
    MoveScalarLinearPastInvariants,
    MoveScalarMulPastMatMul,
    MoveTransposePastFork,
    MoveTransposePastJoinAdd,
    MoveTransposePastJoinConcat,
)
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from onnx import NodeProto
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

from icsort.hw.frontend.lint import ACTIVATIONS, ARITHMETIC, QUANTIZERS, attribute, is_join, quantizes_bias
from icsort.hw.frontend.steps import QuantizersToThresholds


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
            if not attribute(node, "keepdims", [1])[0]:
                pooled = model.make_new_valueinfo_name()
                model.set_tensor_shape(pooled, [*shape[:2], 1, 1])
                model.graph.node.insert(index + 1, onnx.helper.make_node("Flatten", [pooled], [result], axis=1))
            pool = onnx.helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=node.name)
            model.graph.node.insert(index, pool)
            model.graph.node.remove(node)
            return model, True
        return model, False


class TruncatedMeanToQuantizer(Transformation):  # type: ignore[misc]
    """AveragePool over the whole map and Trunc to GlobalAveragePool and Quant.

    Of an integer y, floor(y / 2^n) is (y - (2^n - 1) / 2) / 2^n to the nearest integer, and never a tie.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One pair at a time; icsort.hw.frontend.lint has refused all others."""
        for index, node in enumerate(model.graph.node):
            if node.op_type != "Trunc":
                continue
            mean = model.find_producer(node.input[0])
            average, scale, zero, _, out_scale, bits = node.input
            step, out_step = (float(model.get_initializer(name).flat[0]) for name in (scale, out_scale))
            offset, shifted = model.make_new_valueinfo_name(), model.make_new_valueinfo_name()
            model.set_initializer(offset, np.float32((out_step - step) / 2))
            model.set_tensor_shape(shifted, model.get_tensor_shape(average))
            signs = {key: attribute(node, key, [default])[0] for key, default in (("signed", 1), ("narrow", 0))}
            made = (
                onnx.helper.make_node("GlobalAveragePool", [mean.input[0]], [average], name=mean.name),
                onnx.helper.make_node("Sub", [average, offset], [shifted]),
                onnx.helper.make_node(
                    "Quant", [shifted, out_scale, zero, bits], [node.output[0]], name=node.name, domain=node.domain,
                    rounding_mode="ROUND", **signs,
                ),
            )  # fmt: skip
            for new in reversed(made):
                model.graph.node.insert(index, new)
            model.graph.node.remove(node)
            model.graph.node.remove(mean)
            return model, True
        return model, False


class FlattenBehindScalars(Transformation):  # type: ignore[misc]
    """Flatten behind what treats all elements alike, so that it comes to stand where it costs nothing: at a product."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One step of one Flatten or Reshape at a time."""
        for node in model.graph.node:
            consumers = model.find_consumers(node.output[0]) if node.op_type in ("Flatten", "Reshape") else []
            if len(consumers) != 1 or consumers[0].op_type not in (*ARITHMETIC, *QUANTIZERS, *ACTIVATIONS):
                continue
            (other,) = consumers
            constants = [model.get_initializer(tensor) for tensor in other.input[1:]]
            if other.input[0] != node.output[0] or any(value is None or value.size != 1 for value in constants):
                continue
            middle = node.output[0]
            other.input[0], other.output[0], end = node.input[0], middle, other.output[0]
            node.input[0], node.output[0] = middle, end
            model.set_tensor_shape(middle, model.get_tensor_shape(other.input[0]))
            model.graph.node.insert(list(model.graph.node).index(other) + 1, node)
            model.graph.node.remove(node)
            return model, True
        return model, False


class SumTypes(Transformation):  # type: ignore[misc]
    """The smallest type that holds every sum of a join: FINN forgets a bit where one input is signed.

    Its type for UINT4 + INT4 is INT5, but the sums reach 22; thresholds beyond 15 would be clipped to 16.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """All at once."""
        for node in model.get_nodes_by_op_type("ElementwiseAdd"):
            inputs = [model.get_tensor_datatype(tensor) for tensor in node.input]
            low, high = sum(kind.min() for kind in inputs), sum(kind.max() for kind in inputs)
            kind = DataType.get_smallest_possible(high if low >= 0 else min(low, -high - 1))
            getCustomOp(node).set_nodeattr("out_dtype", kind.name)
            model.set_tensor_datatype(node.output[0], kind)
        return model, False


class MoveTransposePastMaxPool(Transformation):  # type: ignore[misc]
    """Transpose to NCHW and MaxPool to MaxPoolNHWC and Transpose.

    FINN's MakeMaxPoolNHWC would rather take the Transpose of one branch behind the pool and break the other.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One MaxPool at a time."""
        for index, node in enumerate(model.graph.node):
            before = model.find_producer(node.input[0]) if node.op_type == "MaxPool" else None
            if before is None or before.op_type != "Transpose" or attribute(before, "perm", []) != [0, 3, 1, 2]:
                continue
            pooled, end = model.make_new_valueinfo_name(), node.output[0]
            channels_first = model.get_tensor_shape(end)
            model.set_tensor_shape(pooled, [channels_first[axis] for axis in (0, 2, 3, 1)])
            window: dict[str, Any] = {key: attribute(node, key, value) for key, value in WINDOW_DEFAULTS.items()}
            domain = "qonnx.custom_op.general"
            made = (
                onnx.helper.make_node(
                    "MaxPoolNHWC", [before.input[0]], [pooled], name=node.name, domain=domain, ceil_mode=0, **window
                ),
                onnx.helper.make_node("Transpose", [pooled], [end], perm=[0, 3, 1, 2]),
            )
            for offset, new in enumerate(made):
                model.graph.node.insert(index + offset, new)
            model.graph.node.remove(node)
            if not model.find_consumers(before.output[0]):
                model.graph.node.remove(before)
            return model, True
        return model, False


class PoolsOfAnyStride(Transformation):  # type: ignore[misc]
    """InferPool, also of pools whose stride is larger than their kernel, which FINN leaves out."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """All at once."""
        strides = {}
        for node in model.get_nodes_by_op_type("MaxPoolNHWC"):
            pool = getCustomOp(node)
            kernel, stride = (list(pool.get_nodeattr(name)) for name in ("kernel_shape", "strides"))
            if any(step > size for step, size in zip(stride, kernel, strict=True)):
                strides[f"Im2Col_{node.name}"] = stride
                pool.set_nodeattr("strides", kernel)
        model, changed = InferPool().apply(model)
        for node in model.graph.node:
            if node.name in strides:
                getCustomOp(node).set_nodeattr("stride", strides[node.name])
        return model, changed


class TransposeIntoProduct(Transformation):  # type: ignore[misc]
    """Transpose to NCHW, Flatten and MatMul to Flatten and MatMul: the weights' rows are put in the order of NHWC."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One at a time."""
        for node in model.get_nodes_by_op_type("MatMul"):
            flatten = model.find_producer(node.input[0])
            before = model.find_producer(flatten.input[0]) if flatten is not None else None
            weights = model.get_initializer(node.input[1])
            if weights is None or before is None or flatten.op_type not in ("Flatten", "Reshape"):
                continue
            if before.op_type != "Transpose" or attribute(before, "perm", []) != [0, 3, 1, 2]:
                continue
            if len(model.find_consumers(flatten.output[0])) > 1 or model.get_tensor_shape(flatten.output[0])[0] != 1:
                continue
            height, width, channels = model.get_tensor_shape(before.input[0])[1:]
            ordered = weights.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(weights.shape)
            model.set_initializer(node.input[1], np.ascontiguousarray(ordered))
            flatten.input[0] = before.input[0]
            if not model.find_consumers(before.output[0]):
                model.graph.node.remove(before)
            return model, True
        return model, False


class FlattenOfTheImage(Transformation):  # type: ignore[misc]
    """Off the graph's beginning: an image is a stream of numbers as well as a vector is."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One at most."""
        image = model.graph.input[0].name
        for node in model.find_consumers(image):
            if node.op_type in ("Flatten", "Reshape") and len(model.find_consumers(image)) == 1:
                for user in model.find_consumers(node.output[0]):
                    user.input[0] = image
                model.graph.node.remove(node)
                return model, True
        return model, False


class BipolarThresholds(Transformation):  # type: ignore[misc]
    """Scale and bias off the thresholds that give -1 or 1: FINN's hardware layer takes both from the type BIPOLAR."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """All at once."""
        for node in model.get_nodes_by_op_type("MultiThreshold"):
            thresholds = getCustomOp(node)
            if thresholds.get_nodeattr("out_dtype") == "BIPOLAR":
                thresholds.set_nodeattr("out_scale", 1.0)
                thresholds.set_nodeattr("out_bias", 0.0)
        return model, False


class BipolarProducts(Transformation):  # type: ignore[misc]
    """Products of weights and activations that are both -1 or 1, for FINN's matrix unit.

    It counts the equal pairs where both types are BIPOLAR: of n pairs c are equal if the products add up to 2 c - n.
    Thresholds behind a product are moved to where the count passes them; without thresholds (the logits) the weights
    are typed as numbers of two bits, and FINN adds the products.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """All at once."""
        bipolar = DataType["BIPOLAR"]
        for node in model.get_nodes_by_op_type("MVAU"):
            if any(model.get_tensor_datatype(tensor) != bipolar for tensor in node.input):
                continue
            consumers = model.find_consumers(node.output[0])
            if [consumer.op_type for consumer in consumers] == ["Thresholding"]:
                thresholds = consumers[0].input[1]
                pairs = getCustomOp(node).get_nodeattr("MW")
                model.set_initializer(thresholds, (model.get_initializer(thresholds) + np.float32(pairs)) / 2)
            else:
                model.set_tensor_datatype(node.input[1], DataType["INT2"])
                getCustomOp(node).set_nodeattr("weightDataType", "INT2")
        return model, False


class ClassBias(Transformation):  # type: ignore[misc]
    """The bias of the last product in front of its scale, in whole steps of its accumulator; else it stays behind."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """One at most."""
        last = model.find_producer(model.graph.output[0].name)
        scale = model.find_producer(last.input[0])
        if last.op_type != "Add" or scale is None or scale.op_type != "Mul":
            return model, False
        factor, bias = (model.get_initializer(node.input[1]) for node in (scale, last))
        if factor is None or bias is None or factor.size != 1:
            return model, False
        steps = bias.astype(np.float64) / float(factor.flat[0])
        if (np.abs(steps - np.rint(steps)) > np.maximum(BIAS_TOLERANCE, np.abs(steps) * FLOAT32_ERROR)).any():
            return model, False
        model.set_initializer(last.input[1], np.rint(steps).astype(np.float32))
        last.op_type, scale.op_type = "Mul", "Add"
        last.input[1], scale.input[1] = scale.input[1], last.input[1]
        return model, False


def adds_integers(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether an Add's constant is whole numbers: a bias in steps of the accumulator that it is added to."""
    bias = model.get_initializer(node.input[1]) if node.op_type == "Add" else None
    return bias is not None and np.array_equal(bias, np.rint(bias))


BIAS_TOLERANCE = 0.01  # of an accumulator step: scales are products of float32 factors
FLOAT32_ERROR = 2.0**-22  # of such products, relative
WINDOW_DEFAULTS = {"kernel_shape": [], "strides": [1, 1], "pads": [0, 0, 0, 0]}
TIDY = (GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes(), InferDataLayouts())
TRANSPOSES = (AbsorbTransposeIntoMultiThreshold(), AbsorbConsecutiveTransposes())

# As QONNX's cleanup_model, but all constants folded in one sweep.
CLEAN = (
    InferShapes(),
    FoldConstantsFiltered(lambda model, node: node.op_type not in QUANTIZERS or quantizes_bias(model, node)),
    FoldTransposeIntoQuantInit(),
    GiveUniqueNodeNames(),
    GiveReadableTensorNames(),
)

PASSES: tuple[Pass, ...] = (
    Pass("means to global pools", (MeanToGlobalAveragePool(), TruncatedMeanToQuantizer())),
    Pass("flatten last", (FlattenBehindScalars(),)),
    Pass(
        "channels-last input",
        (MakeInputChannelsLast(), GiveUniqueNodeNames(), GiveReadableTensorNames(), InferShapes()),
    ),
    Pass("quantizers to thresholds", (InferDataLayouts(), QuantizersToThresholds())),
    Pass("QONNX to FINN", (ConvertQONNXtoFINN(),)),
    Pass("tidy", TIDY),
    Pass("scales past forks and depthwise convolutions", (MoveMulPastFork(), MoveMulPastDWConv(), *TIDY)),
    Pass("streamline", (Streamline(),)),
    Pass(
        "scales past joins",
        (ComposedTransformation([MoveMulPastJoinAdd(), MoveMulPastJoinConcat(), MoveMulPastFork()]), *TIDY),
    ),
    Pass("streamline behind joins", (Streamline(),)),
    Pass("convolutions to matrix products", (LowerConvsToMatMul(),)),
    Pass("transposes past thresholds", TRANSPOSES),
    Pass(
        "transposes past forks, joins and pools",
        (
            ComposedTransformation(
                [
                    *(*TRANSPOSES, MoveTransposePastFork()),
                    *(MoveTransposePastJoinAdd(), MoveTransposePastJoinConcat(), MoveTransposePastMaxPool()),
                ]
            ),
            *TIDY,
        ),
    ),
    Pass("transposes into products", (TransposeIntoProduct(),)),
    Pass(
        "global pools to hardware",
        (
            *(InferGlobalAccPoolLayer(), *TRANSPOSES),
            # The division by the number of pixels, to the next quantizer.
            *(MoveScalarLinearPastInvariants(), MoveScalarMulPastMatMul(), CollapseRepeatedMul()),
            *(AbsorbMulIntoMultiThreshold(), *TIDY),
        ),
    ),
    Pass("thresholds to hardware", (BipolarThresholds(), InferThresholdingLayer())),
    # The division by the number of pixels, to the end: what comes behind it is integer then.
    Pass(
        "division past the last product",
        (MoveScalarLinearPastInvariants(), MoveScalarMulPastMatMul(), CollapseRepeatedMul(), ClassBias(), *TIDY),
    ),
    Pass("depthwise products to hardware", (InferVectorVectorActivation(),)),
    Pass(
        "matrix products to hardware",
        (
            InferQuantizedMatrixVectorActivation(),
            BipolarProducts(),
        ),
    ),
    Pass("pools to hardware", (PoolsOfAnyStride(),)),
    Pass("windows to hardware", (InferConvInpGen(),)),
    Pass("joins to hardware", (InferElementwiseBinaryOperation(is_join), InferConcatLayer())),
    Pass("remove flatten", (RemoveCNVtoFCFlatten(), FlattenOfTheImage())),
    Pass("class bias to hardware", (InferElementwiseBinaryOperation(adds_integers),)),
    Pass("forks to hardware", (InferDuplicateStreamsLayer(),)),
    Pass("accumulator widths", (MinimizeAccumulatorWidth(), SumTypes(), InferDataTypes())),
    Pass("names", (GiveUniqueNodeNames(), GiveReadableTensorNames())),
)
# Alone and last: it clips thresholds to the accumulator, so the accumulator's type must be final.
ROUND_THRESHOLDS = Pass("thresholds to integers", (RoundAndClipThresholds(),))
