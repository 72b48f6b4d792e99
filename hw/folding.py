# SPDX-License-Identifier: Apache-2.0
"""How parallel each layer is (PE, SIMD), how deep the FIFOs are, and what that predicts in cycles and resources.

A folding is data: `{"MVAU_0": {"PE": 16, "SIMD": 27, "fifo_depth": 2}, ...}`, layers by their names in graph.onnx,
the same in build.json and in a file that a person passes. `choose` makes one for latency: every layer keeps up with
the peak rate of its input while one pixel a cycle enters, so that no work is left over when the last pixel arrives.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from finn.analysis.fpgadataflow.res_estimation import res_estimation
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hw.frontend import quiet
from sim.bit_true.errors import IcsortError

Folding = dict[str, dict[str, int]]

FIFO_DEPTH = 2  # enough where every layer keeps up; a FIFO hides the handshake of its two neighbours
# Latencies that the headers of the RTL state, in cycles; tests/hw/test_net.py measures them together.
FIFO_CYCLES = 1
CONVERTER_CYCLES = 1
WINDOW_CYCLES = 1
RESOURCES = ("LUT", "DSP", "BRAM_18K", "URAM")
LIMITS = {"MVAU": ("PE", "SIMD"), "Thresholding": ("PE",)}


@dataclass(frozen=True)
class Prediction:
    """Cycles of one frame at one pixel a cycle, the first pixel accepted in cycle 0.

    latency: first pixel -> logits valid at the output. after_last_pixel: last pixel -> logits valid; negative where
    the network does not need the last rows. interval: cycles between frames. layers: layer -> (busy cycles a frame,
    cycle in which its last beat is in the FIFO behind it).
    """

    latency: int
    after_last_pixel: int
    interval: int
    layers: dict[str, tuple[int, int]]


def choose(model: ModelWrapper) -> Folding:
    """Fold FINN's hardware graph for latency: the smallest PE * SIMD with which each layer keeps up with its input.

    Peak rates are followed from one pixel a cycle at the input. A layer that takes a whole vector in one beat may
    spend as many cycles as lie between two vectors; one that collects a vector from many beats (behind a flatten)
    computes all its outputs as the beats come (PE = MH), so that only the last beat is left to do.
    """
    folding: Folding = {}
    interval = 1  # cycles between two pixels at the peak
    lanes = 0  # elements a beat of what feeds the next layer
    for node in model.graph.node:
        attributes = getCustomOp(node)
        entry: dict[str, int] = {}
        if node.op_type == "ConvolutionInputGenerator":
            interval *= attributes.get_nodeattr("Stride")[1]
        elif node.op_type == "MVAU":
            entry["PE"], entry["SIMD"] = _fold_mvau(model, node, interval)
            lanes = entry["PE"]
        elif node.op_type == "Thresholding":
            channels = attributes.get_nodeattr("NumChannels")
            entry["PE"] = lanes if lanes and channels % lanes == 0 else channels
        entry["fifo_depth"] = FIFO_DEPTH
        folding[node.name] = entry
    return folding


def _fold_mvau(model: ModelWrapper, node: NodeProto, interval: int) -> tuple[int, int]:
    height = getCustomOp(node).get_nodeattr("MH")
    elements = beat_elements(model, node)
    choices = []
    for simd in _divisors(elements):
        for pe in _divisors(height) if vector_is_beat(model, node) else [height]:
            if (elements // simd) * (height // pe) <= interval:
                choices.append((pe * simd, -simd, pe))  # the widest SIMD of equal cost needs no partial sums
    _, simd, pe = min(choices)
    return pe, -simd


def beat_elements(model: ModelWrapper, node: NodeProto) -> int:
    """Elements that belong together at a layer's input: a window behind a window generator, else a pixel's channels."""
    return int(model.get_tensor_shape(node.input[0])[-1])


def load(path: Path, model: ModelWrapper) -> Folding:
    """Read a folding file (or the folding of a build.json) and check it against the graph.

    Raises IcsortError for a file that is not JSON, a layer that does not exist, a value that does not divide its
    layer, a FIFO below 2.
    """
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise IcsortError(f"{path}: not JSON; a folding is like the key 'folding' of a build.json") from None
    if isinstance(parsed, dict) and "folding" in parsed:
        parsed = parsed["folding"]
    if not isinstance(parsed, dict) or not all(isinstance(entry, dict) for entry in parsed.values()):
        raise IcsortError(f"{path}: a folding is an object of layers, like the key 'folding' of a build.json")
    folding = choose(model)
    for name, entry in parsed.items():
        if name not in folding:
            raise IcsortError(f"{path}: there is no layer {name!r}; the layers are {', '.join(folding)}")
        for key, value in entry.items():
            if key not in folding[name]:
                raise IcsortError(f"{path}: {name} has no {key!r}; it has {', '.join(folding[name])}")
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise IcsortError(f"{path}: {name} {key} is {value!r}; it must be a positive whole number")
        folding[name].update(entry)
    check(model, folding, str(path))
    return folding


def check(model: ModelWrapper, folding: Folding, where: str) -> None:
    """Refuse what the kernels cannot do, by the layer's name. Raises IcsortError."""
    for node in model.graph.node:
        entry = folding[node.name]
        attributes = getCustomOp(node)
        sizes = {}
        if node.op_type == "MVAU":
            sizes = {"PE": attributes.get_nodeattr("MH"), "SIMD": beat_elements(model, node)}
        elif node.op_type == "Thresholding":
            sizes = {"PE": attributes.get_nodeattr("NumChannels")}
        for key, size in sizes.items():
            if size % entry[key]:
                raise IcsortError(
                    f"{where}: {node.name} {key} {entry[key]} does not divide {size}; use one of {_divisors(size)}"
                )
        if entry["fifo_depth"] < 2:
            raise IcsortError(
                f"{where}: {node.name} fifo_depth {entry['fifo_depth']} is less than 2, which halves the rate"
            )


def apply(model: ModelWrapper, folding: Mapping[str, Mapping[str, int]]) -> None:
    """Write PE and SIMD into the graph's nodes, and make every window generator emit whole windows."""
    for node in model.graph.node:
        attributes = getCustomOp(node)
        for key in LIMITS.get(node.op_type, ()):
            attributes.set_nodeattr(key, folding[node.name][key])
        if node.op_type == "ConvolutionInputGenerator":
            attributes.set_nodeattr("parallel_window", 1)


def predict(model: ModelWrapper) -> Prediction:
    """Follow every pixel of one frame through the folded graph.

    FIFOs are taken never to fill, so for a folding with backlog the latency is a lower bound.
    """
    _, height, width, channels = model.get_tensor_shape(model.graph.input[0].name)
    # When the last beat of each pixel can be taken by the next layer.
    times: npt.NDArray[np.int64] = np.arange(height * width, dtype=np.int64).reshape(height, width)
    lanes = channels  # elements in a beat
    layers: dict[str, tuple[int, int]] = {}
    for node in model.graph.node:
        attributes = getCustomOp(node)
        needed = beat_lanes(model, node)
        if lanes != needed:
            times = times + CONVERTER_CYCLES
        busy = times.size
        lanes = needed
        if node.op_type == "ConvolutionInputGenerator":
            (k_h, k_w), (s_h, s_w) = attributes.get_nodeattr("ConvKernelDim"), attributes.get_nodeattr("Stride")
            times = times[k_h - 1 :: s_h, k_w - 1 :: s_w] + WINDOW_CYCLES
            lanes = k_h * k_w * needed
        elif node.op_type == "Pool":
            k_h, k_w = attributes.get_nodeattr("KernelSize")
            times = times + max(1, _log2(k_h * k_w))
            lanes = attributes.get_nodeattr("Channels")
        elif node.op_type == "MVAU":
            lanes = attributes.get_nodeattr("PE")
            beats, groups = attributes.get_nodeattr("MW") // needed, attributes.get_nodeattr("MH") // lanes
            busy = beats * groups * (times.size if vector_is_beat(model, node) else 1)
            if vector_is_beat(model, node):
                times = _serve(times, beats * groups)
            else:  # one pass as the beats come, then the buffered vector again for each further group of rows
                times = _serve(times, beats // times.size)[-1:, -1:] + (groups - 1) * beats
            times = times + 2 + _log2(needed) + (beats > 1)
        elif node.op_type == "Thresholding":
            busy = times.size * attributes.get_nodeattr("NumChannels") // needed
            times = _serve(times, max(1, lanes // needed)) + (3 if attributes.get_nodeattr("numSteps") > 16 else 2)
        times = times + FIFO_CYCLES
        layers[node.name] = (int(busy), int(times[-1, -1]))
    outputs = model.get_tensor_shape(model.graph.output[0].name)[-1]
    latency = int(times[-1, -1]) + (CONVERTER_CYCLES if lanes != outputs else 0)
    interval = max(height * width, *(busy for busy, _ in layers.values()))
    return Prediction(latency, latency - (height * width - 1), interval, layers)


def vector_is_beat(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a vector of an MVAU arrives whole (from a window generator), not pixel by pixel (behind a flatten)."""
    return bool(beat_elements(model, node) == getCustomOp(node).get_nodeattr("MW"))


def beat_lanes(model: ModelWrapper, node: NodeProto) -> int:
    """Elements in a beat at a layer's input, as its kernel takes it."""
    attributes = getCustomOp(node)
    if node.op_type in ("MVAU", "Thresholding"):
        return int(attributes.get_nodeattr("SIMD" if node.op_type == "MVAU" else "PE"))
    return beat_elements(model, node)


def _log2(number: int) -> int:
    """Levels of a binary tree over `number` leaves."""
    return (number - 1).bit_length()


def _serve(arrivals: npt.NDArray[np.int64], cycles: int) -> npt.NDArray[np.int64]:
    """When a server that spends `cycles` on each item, in order, is in the last cycle of each."""
    flat = arrivals.reshape(-1)
    steps = np.arange(flat.size, dtype=np.int64) * cycles
    begun = np.maximum.accumulate(flat - steps) + steps
    return (begun + cycles - 1).reshape(arrivals.shape)


def estimate(model: ModelWrapper, part: str) -> dict[str, dict[str, int]]:
    """FINN's own resource estimate of each layer of the folded graph: layer -> LUT, DSP, BRAM_18K, URAM.

    FINN estimates its own kernels, not ours: the multipliers in LUTs, the weights in distributed RAM, as ours are
    written.
    """
    estimated = ModelWrapper(model.model, make_deepcopy=True)
    for node in estimated.graph.node:
        if node.op_type == "MVAU":
            attributes = getCustomOp(node)
            attributes.set_nodeattr("preferred_impl_style", "hls")
            attributes.set_nodeattr("resType", "lut")
            attributes.set_nodeattr("ram_style", "distributed")
    with quiet():
        results = res_estimation(estimated.transform(SpecializeLayers(part)), part)
    # FINN names a specialized node by its new type and the old position; the order is that of the graph.
    return {
        node.name: {key: round(result[key]) for key in RESOURCES}
        for node, result in zip(model.graph.node, results.values(), strict=True)
    }


def check_budget(estimate: Mapping[str, Mapping[str, int]], budget: Mapping[str, int], board: str) -> None:
    """Raises IcsortError where the layers together need more than the board has, naming the largest."""
    for key, available in budget.items():
        used = {name: resources.get(key, 0) for name, resources in estimate.items()}
        total, largest = sum(used.values()), max(used, key=lambda name: used[name])
        if total > available:
            raise IcsortError(
                f"the network needs {total} {key} by FINN's estimate, board '{board}' has {available}; {largest} takes "
                f"{used[largest]}: give a folding file with smaller PE or SIMD there, or another board"
            )


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
