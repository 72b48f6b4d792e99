# SPDX-License-Identifier: Apache-2.0
"""How parallel each layer is (PE, SIMD), how deep the FIFOs are, and what that predicts in cycles and resources.

A folding is data: `{"MVAU_0": {"PE": 16, "SIMD": 27, "fifo_depth": 2}, ...}`, layers by their names in graph.onnx,
the same in build.json and in a file that a person passes. `choose` makes one for latency: every layer keeps up with
the peak rate of its input while one pixel a cycle enters, so that no work is left over when the last pixel arrives.

Where two branches meet (ElementwiseAdd) the FIFO of the faster one, `lhs_fifo_depth` or `rhs_fifo_depth`, must hold
all that arrives until the slower one delivers. If it is too small, the fork before both stops, the slower branch never
gets the pixels that it waits for, and nothing ever moves again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from finn.analysis.fpgadataflow.res_estimation import res_estimation
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hw.passes import quiet
from sim.bit_true.errors import IcsortError

Folding = dict[str, dict[str, int]]

FIFO_DEPTH = 2  # enough where every layer keeps up; a FIFO hides the handshake of its two neighbours
# Latencies that the headers of the RTL state, in cycles; tests/hw/test_net.py measures them together.
FIFO_CYCLES = 1
CONVERTER_CYCLES = 1
WINDOW_CYCLES = 1
PAD_CYCLES = 1
FORK_CYCLES = 1
ADD_CYCLES = 1
SUM_CYCLES = 1
RESOURCES = ("LUT", "DSP", "BRAM_18K", "URAM")
LIMITS = {
    "MVAU": ("PE", "SIMD"),
    "VVAU": ("PE", "SIMD"),
    "Thresholding": ("PE",),
    "DuplicateStreams": ("PE",),
    "ElementwiseAdd": ("PE",),
    "GlobalAccPool": ("PE",),
}
JOIN_FIFOS = ("lhs_fifo_depth", "rhs_fifo_depth")
JOIN_MARGIN = 2  # beats beyond the model's occupancy: a FIFO's own registers, and room to take one more


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
    start = model.graph.input[0].name
    intervals = {start: 1}  # cycles between two pixels of a tensor at the peak
    lanes = {start: 0}  # elements in a beat, where a layer chose them; 0: the whole pixel
    for node in model.graph.node:
        attributes = getCustomOp(node)
        interval, width = intervals[node.input[0]], lanes[node.input[0]]
        entry: dict[str, int] = {}
        if node.op_type == "ConvolutionInputGenerator":
            interval, width = interval * attributes.get_nodeattr("Stride")[1], 0
        elif node.op_type == "MVAU":
            entry["PE"], entry["SIMD"] = _fold_mvau(model, node, interval, width)
        elif node.op_type == "VVAU":
            entry["PE"], entry["SIMD"] = _fold_vvau(node, interval)
        elif node.op_type in LIMITS:  # element by element: as many at a time as come
            channels = beat_elements(model, node)
            entry["PE"] = width if width and channels % width == 0 else channels
        entry["fifo_depth"] = FIFO_DEPTH
        folding[node.name] = entry
        for tensor in node.output:
            intervals[tensor], lanes[tensor] = interval, entry.get("PE", 0)
    size_joins(model, folding)
    return folding


def _fold_mvau(model: ModelWrapper, node: NodeProto, interval: int, lanes: int) -> tuple[int, int]:
    height = getCustomOp(node).get_nodeattr("MH")
    elements = beat_elements(model, node)
    if _once_a_frame(model, node) and lanes:  # behind a global pool: with the last sum the last product
        return height, lanes
    choices = []
    for simd in divisors(elements):
        for pe in divisors(height) if vector_is_beat(model, node) else [height]:
            if (elements // simd) * (height // pe) <= interval:
                choices.append((pe * simd, -simd, pe))  # the widest SIMD of equal cost needs no partial sums
    _, simd, pe = min(choices)
    return pe, -simd


def _fold_vvau(node: NodeProto, interval: int) -> tuple[int, int]:
    attributes = getCustomOp(node)
    taps, channels = int(np.prod(attributes.get_nodeattr("Kernel"))), attributes.get_nodeattr("Channels")
    choices = [
        (pe * simd, -simd, pe)
        for simd in divisors(taps)
        for pe in divisors(channels)
        if (taps // simd) * (channels // pe) <= interval
    ]
    _, simd, pe = min(choices)
    return pe, -simd


def _once_a_frame(model: ModelWrapper, node: NodeProto) -> bool:
    producer = model.find_producer(node.input[0])
    return producer is not None and producer.op_type == "GlobalAccPool"


def size_joins(model: ModelWrapper, folding: Folding) -> None:
    """Set the depth of the FIFOs in front of each join: the occupancy that the cycle model predicts, and a margin.

    Pixels enter at the pace that the slowest layer keeps up with, so that none waits for lack of rate: what is counted
    is the difference between the branches. Faster input fills these FIFOs, stops the fork and waits, without harm.
    """
    joins = [node for node in model.graph.node if node.op_type == "ElementwiseAdd"]
    if not joins:
        return
    _, height, width, _ = model.get_tensor_shape(model.graph.input[0].name)
    busy = max(busy for busy, _, _ in _flow(model, folding, _steady(height, width, 1)).layers.values())
    pace = -(-max(busy, height * width) // (height * width))
    arrivals = _flow(model, folding, _steady(height, width, pace)).joins
    for node in joins:
        sides = [side.times.reshape(-1) for side in arrivals[node.name]]
        beats = beat_elements(model, node) // folding[node.name]["PE"]
        leaves = np.maximum(*sides)
        for key, arrives in zip(JOIN_FIFOS, sides, strict=True):
            waiting = np.searchsorted(arrives, leaves, side="right") - np.arange(arrives.size)
            folding[node.name][key] = int(waiting.max()) * beats + JOIN_MARGIN


def _steady(height: int, width: int, pace: int) -> npt.NDArray[np.int64]:
    """Cycles in which the pixels of a frame arrive, one each `pace` cycles."""
    return np.arange(height * width, dtype=np.int64).reshape(height, width) * pace


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
    size_joins(model, folding)  # for what the file says of PE and SIMD, unless it says the depths as well
    for name, entry in parsed.items():
        folding[name].update(entry)
    return folding


def check(model: ModelWrapper, folding: Folding, where: str) -> None:
    """Refuse what the kernels cannot do, by the layer's name. Raises IcsortError."""
    for node in model.graph.node:
        entry = folding[node.name]
        attributes = getCustomOp(node)
        sizes = {}
        if node.op_type == "MVAU":
            sizes = {"PE": attributes.get_nodeattr("MH"), "SIMD": beat_elements(model, node)}
        elif node.op_type == "VVAU":
            taps = int(np.prod(attributes.get_nodeattr("Kernel")))
            sizes = {"PE": attributes.get_nodeattr("Channels"), "SIMD": taps}
        elif node.op_type in LIMITS:
            sizes = {"PE": beat_elements(model, node)}
        for key, size in sizes.items():
            if size % entry[key]:
                raise IcsortError(
                    f"{where}: {node.name} {key} {entry[key]} does not divide {size}; use one of {divisors(size)}"
                )
        for key in ("fifo_depth", *JOIN_FIFOS):
            if entry.get(key, FIFO_DEPTH) < FIFO_DEPTH:
                raise IcsortError(f"{where}: {node.name} {key} {entry[key]} is less than 2, which halves the rate")


def apply(model: ModelWrapper, folding: Mapping[str, Mapping[str, int]]) -> None:
    """Write PE and SIMD into the graph's nodes, and make every window generator emit whole windows."""
    for node in model.graph.node:
        attributes = getCustomOp(node)
        for key in LIMITS.get(node.op_type, ()):
            attributes.set_nodeattr(key, folding[node.name][key])
        if node.op_type == "ConvolutionInputGenerator":
            attributes.set_nodeattr("parallel_window", 1)


@dataclass(frozen=True)
class _Stream:
    """A tensor as it flows: when the last beat of each pixel can be taken by the next layer (an array (H, W) of
    cycles), elements in a beat, and cycles between the first and the last beat of a pixel."""

    times: npt.NDArray[np.int64]
    lanes: int
    spread: int = 0

    def later(self, cycles: int) -> "_Stream":
        return replace(self, times=self.times + cycles)

    def converted(self, elements: int, needed: int) -> "_Stream":
        """Behind the width converter to beats of `needed` elements, if one is needed; `elements` in a pixel."""
        if self.lanes == needed:
            return self
        spread = max(self.spread, elements // needed - 1) if needed < self.lanes else 0
        return _Stream(self.times + CONVERTER_CYCLES, needed, spread)


@dataclass(frozen=True)
class _Flow:
    """layers: layer -> (busy cycles a frame, cycle in which its last beat is out, cycle in which it took the last
    pixel of the image). joins: layer -> what arrives at its two inputs. output: the logits."""

    layers: dict[str, tuple[int, int, int]]
    joins: dict[str, tuple[_Stream, _Stream]]
    output: _Stream


def predict(model: ModelWrapper) -> Prediction:
    """Follow every pixel of one frame through the folded graph.

    FIFOs are taken never to fill, so for a folding with backlog the latency is a lower bound.
    """
    units = {
        node.name: {key: int(getCustomOp(node).get_nodeattr(key)) for key in LIMITS.get(node.op_type, ())}
        for node in model.graph.node
    }
    _, height, width, _ = model.get_tensor_shape(model.graph.input[0].name)
    flow = _flow(model, units, _steady(height, width, 1))
    outputs = model.get_tensor_shape(model.graph.output[0].name)[-1]
    latency = int(flow.output.converted(outputs, outputs).times[-1, -1])
    interval = max(height * width, *(busy for busy, _, _ in flow.layers.values()))
    accepted = flow.layers[model.graph.node[0].name][2]
    layers = {name: (busy, done) for name, (busy, done, _) in flow.layers.items()}
    return Prediction(latency, latency - accepted, interval, layers)


def _flow(model: ModelWrapper, units: Mapping[str, Mapping[str, int]], arrivals: npt.NDArray[np.int64]) -> _Flow:
    """Follow one frame, whose pixels arrive in these cycles (H, W), through layers with the PE and SIMD of `units`."""
    start = model.graph.input[0].name
    streams = {start: _Stream(arrivals, int(model.get_tensor_shape(start)[-1]))}
    layers: dict[str, tuple[int, int, int]] = {}
    joins: dict[str, tuple[_Stream, _Stream]] = {}
    for node in model.graph.node:
        attributes, unit = getCustomOp(node), units[node.name]
        elements, needed = beat_elements(model, node), beat_lanes(model, node, unit)
        came = streams[node.input[0]]
        flow = came.converted(elements, needed)
        times, taken = flow.times, int(flow.times[-1, -1])
        busy = times.size
        if node.op_type == "FMPadding":
            top, left, bottom, right = attributes.get_nodeattr("Padding")
            # Zeros wait for nothing but their turn; those above the frame have gone before it comes.
            padded = np.pad(times, ((0, bottom), (left, right)), constant_values=times[0, 0] - left)
            served = _serve(padded, 1)
            taken = int(served[times.shape[0] - 1, left + times.shape[1] - 1])
            border = np.broadcast_to(served[0, 0] - 1, (top, served.shape[1]))
            times = np.concatenate([border, served]) + PAD_CYCLES
            busy = times.size
            out = _Stream(times, needed)
        elif node.op_type == "ConvolutionInputGenerator":
            (k_h, k_w), (s_h, s_w) = attributes.get_nodeattr("ConvKernelDim"), attributes.get_nodeattr("Stride")
            out = _Stream(times[k_h - 1 :: s_h, k_w - 1 :: s_w] + WINDOW_CYCLES, k_h * k_w * needed)
        elif node.op_type == "Pool":
            k_h, k_w = attributes.get_nodeattr("KernelSize")
            out = _Stream(times + max(1, _log2(k_h * k_w)), attributes.get_nodeattr("Channels"))
        elif node.op_type == "MVAU":
            beats, groups = attributes.get_nodeattr("MW") // needed, attributes.get_nodeattr("MH") // unit["PE"]
            busy = beats * groups * (times.size if vector_is_beat(model, node) else 1)
            if vector_is_beat(model, node):  # beats that came one by one are done by the time the last is there
                times = _serve(times - min(flow.spread, beats - 1), beats * groups)
            else:  # one pass as the beats come, then the buffered vector again for each further group of rows
                times = _serve(times, beats // times.size)[-1:, -1:] + (groups - 1) * beats
            out = _Stream(times + 2 + _log2(needed) + (beats > 1), unit["PE"], (groups - 1) * beats)
        elif node.op_type == "VVAU":
            taps, channels = elements // attributes.get_nodeattr("Channels"), attributes.get_nodeattr("Channels")
            beats, groups = taps // unit["SIMD"], channels // unit["PE"]
            busy = beats * groups * times.size
            times = _serve(times, beats * groups) + 2 + _log2(unit["SIMD"]) + (beats > 1)
            out = _Stream(times, unit["PE"], (groups - 1) * beats)
        else:  # element by element
            if node.op_type == "ElementwiseAdd":
                joins[node.name] = (flow, streams[node.input[1]].converted(elements, needed))
                times = np.maximum(*(side.times for side in joins[node.name])) + FIFO_CYCLES
                flow = replace(flow, spread=max(side.spread for side in joins[node.name]))
            folds = elements // needed
            busy = times.size * folds
            if node.op_type == "Thresholding":
                times = _serve(times, max(1, came.lanes // needed))
                times = times + (3 if attributes.get_nodeattr("numSteps") > 16 else 2)
            elif node.op_type == "GlobalAccPool":
                times = _serve(times, max(1, came.lanes // needed))[-1:, -1:] + SUM_CYCLES
            else:
                times = _serve(times, max(1, came.lanes // needed))
                times = times + (FORK_CYCLES if node.op_type == "DuplicateStreams" else ADD_CYCLES)
            out = _Stream(times, needed, max(flow.spread, folds - 1))
        out = out.later(FIFO_CYCLES)
        layers[node.name] = (int(busy), int(out.times[-1, -1]), taken)
        for tensor in node.output:
            streams[tensor] = out
    return _Flow(layers, joins, streams[model.graph.output[0].name])


def vector_is_beat(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a vector of an MVAU arrives whole (from a window generator), not pixel by pixel (behind a flatten)."""
    return bool(beat_elements(model, node) == getCustomOp(node).get_nodeattr("MW"))


def beat_lanes(model: ModelWrapper, node: NodeProto, unit: Mapping[str, int]) -> int:
    """Elements in a beat at a layer's input, as its kernel takes it: PE or SIMD of `unit`, or all that belong."""
    if node.op_type == "MVAU":
        return unit["SIMD"]
    return beat_elements(model, node) if node.op_type == "VVAU" else unit.get("PE", beat_elements(model, node))


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
        if node.op_type in ("MVAU", "VVAU"):
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


def divisors(number: int) -> list[int]:
    """All of them, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]
