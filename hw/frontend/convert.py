# SPDX-License-Identifier: Apache-2.0
"""From a QONNX file to FINN's hardware graph, without Vivado.

`frontend.passes` lists the whole conversion. After each pass the graph is executed on test images and must give the
same integer logits as the file it came from, so an error names the pass that made it. What the passes cannot take away
is refused by the layer's name, as it stands in the file, by `frontend.lint` before them or by `check_hardware` after.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto
from onnx.external_data_helper import uses_external_data
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames

from icsort.errors import IcsortError
from icsort.hw.frontend.exactness import exact_quantizers
from icsort.hw.frontend.execution import Executor
from icsort.hw.frontend.fast_model import FastModel
from icsort.hw.frontend.lint import MEAN, QUANTIZERS, WEIGHTED, is_join, lint, title
from icsort.hw.frontend.normalise import normalise
from icsort.hw.frontend.passes import CLEAN, PASSES, ROUND_THRESHOLDS, Pass, quiet
from icsort.hw.frontend.pixel_groups import group_pixels
from icsort.hw.kernels import streams

HW_DOMAIN = "finn.custom_op.fpgadataflow"
INPUT_TYPE = "UINT8"
TOLERANCE = 0.25  # of one integer step of a logit: float32 rounds sums of 10^5 steps to hundredths of one
SCALE_PRECISION = 2.0**-20  # the scale is a product of float32 factors, and not in the same order everywhere
FLOAT32_INTEGERS = 2**24  # every integer up to here is exact in the float32 that thresholds and accumulators live in


DEFAULT_ATTRIBUTES: dict[str, dict[str, int | list[int]]] = {
    "Conv": {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1},
    "MaxPool": {"strides": [1, 1], "pads": [0, 0, 0, 0]},
}
QUANT_DOMAIN = "qonnx.custom_op.general"


@dataclass(frozen=True)
class HardwareGraph:
    """FINN's hardware graph: uint8 image (1, H, W, C) in, integer logits (1, N) out, only hardware layers between.

    scale: logit = integer * scale, as the file has it. sources: hardware layer -> layer of the QONNX file it came from.
    near_ties: hardware layer -> thresholds so close to an integer that float32 rounding decides the QONNX model's side;
    none where float32 is exact.
    seconds: pass -> run time, its equality check included.
    """

    model: ModelWrapper
    scale: float
    sources: dict[str, str]
    near_ties: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)


def convert(
    path: Path,
    *,
    shape: tuple[int, int, int],
    classes: int,
    scale: float | None,
    images: npt.NDArray[np.uint8],
    group: int = 1,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> HardwareGraph:
    """Convert a QONNX file to FINN's hardware graph and check every pass.

    shape: (H, W, C) of the network's input. classes: logits expected. scale: what the manifest says one integer logit
    is worth; None: whatever the file gives it. images: uint8 (n, H, W, C), n >= 1, executed after every pass. group:
    pixels a beat, see frontend.pixel_groups; the graph's image is then (1, H, W / group, C * group). checkpoints:
    folder for the graph after each pass, also of the one that fails its check, for whoever looks for an error; none by
    default. progress: called with the name of each pass before it runs.

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
    differences: dict[str, float] = {}
    seconds: dict[str, float] = {}

    def check(worth: float) -> None:
        for name, difference in differences.items():
            if not difference <= TOLERANCE * worth:
                raise IcsortError(
                    f"{path.name}: pass '{name}' of the front end changed the logits by {difference:.3g} "
                    f"(one integer step is {worth:.3g}); the network cannot be compiled exactly"
                )

    def step(item: Pass, model: ModelWrapper) -> ModelWrapper:
        progress(item.name)
        start = time.perf_counter()
        try:
            model = item.apply(model)
            if checkpoints is not None:
                model.save(checkpoints / f"{len(seconds):02}_{item.name.replace(' ', '_')}.onnx")
            actual = _float_logits(executor, model, images)
        except Exception as error:  # FINN raises whatever its passes ran into
            raise IcsortError(
                f"{path.name}: pass '{item.name}' of the front end failed: {_first_line(error)}"
            ) from error
        differences[item.name] = float(np.abs(actual - expected).max())
        if scale is not None:
            check(scale)
        seconds[item.name] = time.perf_counter() - start
        return model

    for item in PASSES:
        model = step(item, model)
    near_ties = count_near_ties(model)
    model = step(ROUND_THRESHOLDS, model)
    model, found = _split_scale(model, path)
    check(found)
    if scale is not None and not np.isclose(found, scale, rtol=SCALE_PRECISION, atol=0.0):
        raise IcsortError(
            f"{path.name}: one integer logit is worth {found!r} but the manifest says {scale!r}; export the model again"
        )
    sources = _sources(source, model)
    check_hardware(model, sources)
    integers = _float_logits(executor, model, images)
    model = group_pixels(model, group)
    if not np.array_equal(_float_logits(executor, model, images), integers):
        raise IcsortError(f"{path.name}: {group} pixels a beat change the logits; use 1 pixel a beat")
    exact = exact_quantizers(source)
    near_ties = {name: count for name, count in near_ties.items() if sources[name] not in exact}
    return HardwareGraph(model, found, sources, near_ties, seconds)


def load_qonnx(path: Path, external: bool = False) -> ModelWrapper:
    """Read an ONNX file, without what needs no hardware (frontend.normalise).

    external: take weights that are kept in another file. Raises IcsortError where it cannot be read or is none.
    """
    unreadable = f"{path}: not an ONNX file; export the model again with `icsort export`"
    try:
        proto = onnx.load(path, load_external_data=external)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); give a QONNX file") from None
    except Exception:  # protobuf's decoder errors share no public base class
        raise IcsortError(unreadable) from None
    if not proto.graph.node:  # a few bytes of anything may parse as an empty message
        raise IcsortError(unreadable)
    if any(uses_external_data(tensor) for tensor in proto.graph.initializer):
        raise IcsortError(
            f"{path}: keeps its weights in another file, which its hash does not cover; make a model package of it "
            "with `icsort package`"
        )
    return normalise(FastModel(proto))


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
            thresholds = thresholds[np.isfinite(thresholds)]
            distance = np.abs(thresholds - np.rint(thresholds))
            counts[node.name] = int(np.count_nonzero(distance < np.maximum(np.abs(thresholds), 1.0) * 2.0**-21))
    return counts


def float_input(model: ModelWrapper, image: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
    """The execution input for one uint8 image (H, W, C): NCHW or NHWC, whichever the graph is marked with."""
    name = model.graph.input[0].name
    nhwc = model.get_tensor_layout(name) == ["N", "H", "W", "C"]
    array = image.reshape(model.get_tensor_shape(name)) if nhwc else image.transpose(2, 0, 1)[np.newaxis]
    return {name: np.ascontiguousarray(array, dtype=np.float32)}


def logits(model: onnx.ModelProto, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(n, classes): what QONNX's execution of a file gives for uint8 images (n, H, W, C)."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return _float_logits(Executor(), clean(FastModel(copy)), images)


def _float_logits(executor: Executor, model: ModelWrapper, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    output = model.graph.output[0].name
    with quiet():
        runs = executor.execute(model, [float_input(model, image) for image in images])
    return np.concatenate([run[output] for run in runs]).astype(np.float64)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
            f"{path.name}: the logits do not end in one scale for all classes (layer {title(last)}); "
            "quantize the last layer's weights per tensor, and its bias in whole steps of their scale times its input's"
        )
    integer = last.input[0]
    integer_info = model.get_tensor_valueinfo(integer)
    model.graph.node.remove(last)
    model.graph.output.remove(model.graph.output[0])
    model.graph.value_info.remove(integer_info)
    model.graph.output.append(integer_info)
    return model.cleanup().transform(GiveReadableTensorNames()), float(factor.flat[0])


def check_hardware(model: ModelWrapper, sources: dict[str, str]) -> None:
    """Refuse, by the layer of the file, a graph that is not all integer hardware layers with constant integers.

    sources: layer of the graph -> layer of the file. Raises IcsortError.
    """

    def layer(node: NodeProto) -> str:
        return f"layer '{sources[node.name]}' ({node.op_type})" if node.name in sources else f"layer {title(node)}"

    for node in model.graph.node:
        if node.domain != HW_DOMAIN:
            behind = [user for user in model.find_direct_successors(node) or [] if user.name in sources]
            where = f"in front of layer '{sources[behind[0].name]}'" if behind else "behind the last layer"
            what = layer(node) if node.name in sources else f"{where}: {node.op_type}"
            raise IcsortError(
                f"{what}: is left as a float operation by FINN's passes; "
                "quantize what feeds it or build the network without it"
            )
        flowing = streams(model, node)
        for tensor in (*flowing, *node.output):
            if not model.get_tensor_datatype(tensor).is_integer():
                raise IcsortError(f"{layer(node)}: '{tensor}' is still float; quantize it")
        if node.op_type == "Thresholding":  # FINN may move a bias away and leave the signed type behind
            output, attributes = model.get_tensor_datatype(node.output[0]), getCustomOp(node)
            low = attributes.get_nodeattr("ActVal")
            high = low + attributes.get_nodeattr("numSteps")
            if output == DataType["BIPOLAR"]:
                low, high = 2 * low - 1, 2 * high - 1
            if low < output.min() or high > output.max():
                raise IcsortError(f"{layer(node)}: gives {low} to {high} but FINN typed it {output.name}")
        for tensor in node.input[len(flowing) :]:
            values = model.get_initializer(tensor)
            if values is None or not np.array_equal(values, np.rint(values)):
                raise IcsortError(f"{layer(node)}: '{tensor}' must hold constant integers")
            if np.abs(values).max() >= FLOAT32_INTEGERS:
                raise IcsortError(f"{layer(node)}: '{tensor}' holds integers beyond 2^24, not exact in float32")


# What hardware layers do, in the file's operations: the layers that `_sources` pairs.
ORIGINS = {
    "MVAU": WEIGHTED,
    "VVAU": ("Conv",),
    "Thresholding": (*QUANTIZERS, "Trunc"),
    "Pool": ("MaxPool",),
    "GlobalAccPool": (*MEAN, "AveragePool"),
    "ElementwiseAdd": ("Add",),
    "StreamingConcat": ("Concat",),
    # Where FINN's passes stopped.
    "MatMul": WEIGHTED,
    "Conv": ("Conv",),
    "MultiThreshold": (*QUANTIZERS, "Trunc"),
    "MaxPoolNHWC": ("MaxPool",),
    "Concat": ("Concat",),
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

    def adds_bias(node: NodeProto) -> bool:
        return node.op_type == "ElementwiseAdd" and len(streams(model, node)) == 1

    pairs = [(source.graph.output[0].name, model.graph.output[0].name)]
    while pairs:
        theirs, ours = pairs.pop()
        node = model.find_producer(ours)
        passed = []  # windows, borders, forks and biases belong to the layer that they serve
        while node is not None and (node.op_type not in ORIGINS or adds_bias(node)):
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
                f"{'the image' if found is None else 'layer ' + title(found)}; build the network without it"
            )
        for extra in passed:
            if extra.op_type == "DuplicateStreams" or adds_bias(extra):
                names[extra.name] = found.name
        if node.name not in names:
            names[node.name] = found.name
            inputs = found.input if is_join(source, found) else found.input[:1]
            pairs += zip(inputs, node.input, strict=False)
    for node in reversed(model.graph.node):
        if node.op_type in ("FMPadding", "ConvolutionInputGenerator"):
            names[node.name] = names[model.find_direct_successors(node)[0].name]
    return names
