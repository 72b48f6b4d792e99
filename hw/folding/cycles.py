# SPDX-License-Identifier: Apache-2.0
"""Cycles of a folded network: when each layer gets, does and gives what, followed pixel by pixel through one frame.

The model knows the kernels by what their headers promise (latency, interval, order of beats) and nothing else of
them. Lines arrive as the instrument sends them: one each `line_cycles` cycles, a pixel a cycle within the line. FIFOs
are taken never to stop anybody: a layer that is slower than a burst lets it wait in the window generators' lines and
at in FIFOs, and that does not change when its own work gets done. `held` says how deep the FIFOs must be for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm

import numpy as np
import numpy.typing as npt
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

Units = Mapping[str, Mapping[str, int | str]]
Times = npt.NDArray[np.int64]

# Latencies that the headers of the RTL state, in cycles; tests/hw/test_networks.py measures them together.
FIFO_CYCLES = 1
CONVERTER_CYCLES = 1
WINDOW_CYCLES = 1
FOLDED_WINDOW_CYCLES = 2
PAD_CYCLES = 1
FORK_CYCLES = 1
ADD_CYCLES = 1
SUM_CYCLES = 1
LONG_AGO = -(1 << 40)
FIFO_BEATS = 2  # of a FIFO where nothing waits
CHANNEL_ADD = "ChannelAdd"  # what an ElementwiseAdd of a constant is called here
FRAMES = 3  # that follow each other without pause until no FIFO holds more than before


@dataclass(frozen=True)
class Node:
    """What cycles and folding need to know of a hardware layer, read from the graph once.

    inputs, outputs: the tensors that stream. height, width: pixels (or windows) at the input; elements: of one of them.
    kernel, stride: of a window generator or pool. pad: top, left, bottom, right. rows, columns: MH and MW of an MVAU.
    taps: of a VVAU's or pool's kernel, channels: its channels. steps: of a Thresholding. whole: whether a vector
    of an MVAU arrives as one pixel or window, and not pixel by pixel (behind a flatten).
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    height: int
    width: int
    elements: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    rows: int = 0
    columns: int = 0
    channels: int = 0
    taps: int = 1
    steps: int = 0
    whole: bool = True
    depthwise: bool = False


@dataclass(frozen=True)
class Graph:
    """The network's hardware layers in stream order. image: tensor that the pixels enter by; logits: the last one."""

    nodes: tuple[Node, ...]
    image: str
    logits: str
    height: int
    width: int
    channels: int
    classes: int

    @cached_property
    def position(self) -> dict[str, int]:
        """Layer -> its number in stream order."""
        return {node.name: number for number, node in enumerate(self.nodes)}

    @cached_property
    def consumer(self) -> dict[str, Node]:
        """Tensor -> the layer that takes it; a tensor that two layers take went through a fork before."""
        return {tensor: node for node in self.nodes for tensor in node.inputs}

    @cached_property
    def producer(self) -> dict[str, Node]:
        """Tensor -> the layer that gives it; the image has none."""
        return {tensor: node for node in self.nodes for tensor in node.outputs}


def read(model: ModelWrapper) -> Graph:
    """FINN's hardware graph as `Graph`."""
    nodes = []
    for node in model.graph.node:
        get = getCustomOp(node).get_nodeattr
        shape = model.get_tensor_shape(node.input[0])
        height, width = (shape[1], shape[2]) if len(shape) == 4 else (1, int(np.prod(shape[:-1])))
        inputs = streams(model, node)
        known: dict[str, object] = {}
        if node.op_type == "FMPadding":
            known = {"pad": tuple(int(side) for side in get("Padding"))}
        elif node.op_type == "ConvolutionInputGenerator":
            known = {"kernel": _pair(get("ConvKernelDim")), "stride": _pair(get("Stride"))}
            known |= {"channels": get("IFMChannels"), "depthwise": bool(get("depthwise"))}
        elif node.op_type == "Pool":
            known = {"taps": int(np.prod(get("KernelSize"))), "channels": get("Channels")}
        elif node.op_type == "MVAU":
            known = {"rows": get("MH"), "columns": get("MW"), "whole": get("MW") == shape[-1]}
        elif node.op_type == "VVAU":
            known = {"taps": int(np.prod(get("Kernel"))), "channels": get("Channels")}
        elif node.op_type == "Thresholding":
            known = {"steps": get("numSteps")}
        op = CHANNEL_ADD if node.op_type == "ElementwiseAdd" and len(inputs) == 1 else node.op_type
        nodes.append(Node(node.name, op, inputs, tuple(node.output), height, width, int(shape[-1]), **known))  # type: ignore[arg-type]
    image, logits = model.graph.input[0].name, model.graph.output[0].name
    _, height, width, channels = model.get_tensor_shape(image)
    return Graph(tuple(nodes), image, logits, height, width, channels, int(model.get_tensor_shape(logits)[-1]))


def streams(model: ModelWrapper, node: NodeProto) -> tuple[str, ...]:
    """A hardware layer's inputs that stream: two of a join, else the first one."""
    joins = node.op_type == "ElementwiseAdd" and model.get_initializer(node.input[1]) is None
    return tuple(node.input[: 2 if joins else 1])


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])


@dataclass(frozen=True)
class Prediction:
    """Cycles of one frame whose lines arrive each `line_cycles` cycles, the first pixel in cycle 0.

    latency: first pixel -> logits valid at the output. after_last_pixel: last pixel -> logits valid; negative where
    the network does not need the last rows. interval: cycles between frames that come without pause. layers: layer ->
    (busy cycles a frame, cycle in which its last beat is in the FIFO behind it).
    """

    latency: int
    after_last_pixel: int
    interval: int
    line_cycles: int
    layers: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Stream:
    """A tensor as it flows: when the last beat of each pixel can be taken by the next layer (an array (frames, H, W)
    of cycles), elements in a beat, and cycles between the first and the last beat of a pixel."""

    times: Times
    lanes: int
    spread: int = 0

    @property
    def pixels(self) -> int:
        """Of a frame."""
        return int(self.times[0].size)

    def beats(self, number: int) -> Times:
        """When each of the `number` beats of a pixel comes, in order, of all pixels of all frames."""
        begins = (self.times - self.spread).reshape(-1, 1)
        beats = (begins + np.linspace(0, self.spread, number).round().astype(np.int64)).reshape(-1)
        order = np.arange(beats.size)  # one a cycle, also where a pixel takes less than `spread`
        return np.maximum.accumulate(beats - order) + order

    def later(self, cycles: int) -> "Stream":
        return replace(self, times=self.times + cycles)

    def through(self, beats: int, cycles: int) -> "Stream":
        """Behind a kernel that takes and gives `beats` beats a pixel, one a cycle, each after `cycles` cycles."""
        times = _serve(self.times - min(self.spread, beats - 1), beats)
        return replace(self, times=times + cycles, spread=max(self.spread, beats - 1))

    def converted(self, elements: int, needed: int) -> "Stream":
        """Behind the width converters to beats of `needed` elements; `elements` in a pixel."""
        if self.lanes == needed:
            return self
        common = lcm(self.lanes, needed)
        if common not in (self.lanes, needed):
            return self.converted(elements, common).converted(elements, needed)
        if needed > self.lanes:
            return Stream(self.times + CONVERTER_CYCLES, needed, self.spread if needed < elements else 0)
        ratio, beats = self.lanes // needed, elements // needed
        times = _serve(self.times - min(self.spread, beats - ratio), beats)
        return Stream(times + CONVERTER_CYCLES, needed, max(self.spread, beats - 1))


@dataclass(frozen=True)
class Step:
    """What a layer makes of its input: what it gives, cycles a frame in which it works, and when it takes its input.

    ready: from when on it can take each pixel. taken: when it has, as the input's own times. A window generator's are
    known only with the layer that takes its windows: None.
    """

    out: Stream
    busy: int
    ready: Times | None
    taken: Stream | None


@dataclass(frozen=True)
class Flow:
    """streams: tensor -> as it leaves the FIFO. layers: layer -> (busy cycles a frame, cycle of its last beat).
    joins: layer -> what arrives at its two inputs. steps: layer -> when it takes its input."""

    streams: dict[str, Stream]
    layers: dict[str, tuple[int, int]]
    joins: dict[str, tuple[Stream, Stream]]
    steps: dict[str, Step]


def arrivals(graph: Graph, line_cycles: int, frames: int) -> Times:
    """Cycles (frames, H, W) in which the pixels arrive; frames follow each other without pause."""
    lines, columns = np.indices((frames * graph.height, graph.width), dtype=np.int64)
    return (lines * line_cycles + columns).reshape(frames, graph.height, graph.width)


def predict(graph: Graph, units: Units, line_cycles: int) -> Prediction:
    """Follow one frame through the graph, folded as `units` (a icsort.hw.folding.folding.Folding) says.

    line_cycles: between the first pixels of two lines, at least the width.
    """
    flow = follow(graph, units, line_cycles)
    done = latency(graph, flow)
    interval = graph.height * line_cycles
    for node in graph.nodes:
        before = graph.producer.get(node.inputs[0])
        wait = pause(before, units[before.name]) if before and node.op in ("MVAU", "VVAU", "Pool") else 0
        interval = max(interval, flow.layers[node.name][0] + wait)
    last = int(arrivals(graph, line_cycles, 1)[0, -1, -1])
    return Prediction(done, done - last, interval, line_cycles, flow.layers)


def pause(node: Node, unit: Mapping[str, int | str]) -> int:
    """Cycles a frame in which a layer gives nothing to the next although it has work: whole windows are shifted in, so
    that pixels which complete no window take a cycle each. A folded window generator has lines to spare for them."""
    if node.op != "ConvolutionInputGenerator" or not unit["parallel_window"]:
        return 0
    (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
    windows = ((node.height - k_h) // s_h + 1) * ((node.width - k_w) // s_w + 1)
    return node.height * node.width - windows


def latency(graph: Graph, flow: Flow) -> int:
    """Cycle in which all logits are valid at the output."""
    return int(flow.streams[graph.logits].converted(graph.classes, graph.classes).times[0, -1, -1])


def follow(
    graph: Graph, units: Units, line_cycles: int, before: Flow | None = None, first: int = 0, frames: int = 1
) -> Flow:
    """Frames through the layers from number `first` on; `before` has what the layers ahead of it gave."""
    if before is None:
        before = Flow({graph.image: Stream(arrivals(graph, line_cycles, frames), graph.channels)}, {}, {}, {})
    streams, layers, joins, steps = {**before.streams}, {**before.layers}, {**before.joins}, {**before.steps}
    for node in graph.nodes[first:]:
        unit = units[node.name]
        lanes = beat_lanes(node, unit)
        came = streams[node.inputs[0]].converted(node.elements, lanes)
        if node.op == "ElementwiseAdd":
            sides = came, streams[node.inputs[1]].converted(node.elements, lanes)
            joins[node.name] = sides
            times = np.maximum(*(side.times for side in sides)) + FIFO_CYCLES
            came = Stream(times, lanes, max(side.spread for side in sides))
        step = LAYERS[node.op](node, unit, came)
        out = step.out.later(FIFO_CYCLES)
        layers[node.name] = (step.busy, int(out.times[0, -1, -1]))
        steps[node.name] = step
        for tensor in node.outputs:
            streams[tensor] = out
    return Flow(streams, layers, joins, steps)


def held(graph: Graph, units: Units, flow: Flow) -> dict[str, int]:
    """Beats that wait at most in the FIFO behind each layer, for what comes next not to slow it down: tensor -> beats.

    flow: of several frames. Left out are inputs of joins, which have FIFOs of their own. Windows wait in the lines of
    their generator as pixels; where they come more slowly than the first rows of a matrix take them, some are ahead.
    """
    beats = {}
    for tensor, node in graph.consumer.items():
        before = graph.producer.get(tensor)
        if before is None or node.op == "ElementwiseAdd":
            continue
        if before.op == "ConvolutionInputGenerator":
            if node.op == "MVAU" and not units[before.name]["parallel_window"]:
                beats[tensor] = _ahead(node, int(units[node.name]["SIMD"]), int(units[before.name]["SIMD"]))
            continue
        came, ready, lanes = flow.streams[tensor], flow.steps[node.name].ready, beat_lanes(node, units[node.name])
        if ready is None:
            ready = _room(graph, node, units[node.name], flow)
        came = came.converted(node.elements, max(came.lanes, lanes))
        number = node.elements // came.lanes
        arrives = came.beats(number)
        turns = np.arange(number) * (came.lanes // lanes)
        leaves = np.maximum.accumulate(np.maximum(arrives, (ready.reshape(-1, 1) + turns).reshape(-1)))
        beats[tensor] = _waiting(arrives, leaves)
    return beats


def _ahead(node: Node, simd: int, lanes: int) -> int:
    """Beats of a vector that must be there for the rest to come in time, `lanes` elements a cycle."""
    beats, cycles = node.columns // simd, node.columns // lanes
    return beats - beats * beats // max(beats, cycles)


def held_at_join(node: Node, unit: Mapping[str, int | str], flow: Flow) -> tuple[int, int]:
    """Beats that wait at most at each input of a join for those at the other one."""
    lhs, rhs = (side.beats(node.elements // int(unit["PE"])) for side in flow.joins[node.name])
    leaves = np.maximum(lhs, rhs)
    return _waiting(lhs, leaves), _waiting(rhs, leaves)


def _waiting(arrives: Times, leaves: Times) -> int:
    """What is taken in the cycle in which it can be was there for that cycle."""
    return int((np.arange(1, arrives.size + 1) - np.searchsorted(leaves, arrives, side="left")).max())


def _room(graph: Graph, node: Node, unit: Mapping[str, int | str], flow: Flow) -> Times:
    """From when on a window generator can take each pixel: when there is room, which the layer behind it makes."""
    came = flow.streams[node.inputs[0]]
    behind = flow.steps[graph.consumer[node.outputs[0]].name].taken
    assert behind is not None
    (k_h, _), (s_h, _) = node.kernel, node.stride
    frames, height, width = came.times.shape
    if unit["parallel_window"]:
        complete = np.zeros(came.times.shape, np.int64)
        complete[:, k_h - 1 :: s_h, node.kernel[1] - 1 :: node.stride[1]] = 1
        # The window and the two of the FIFO behind it are there, so the one before these must have gone.
        before = np.cumsum(complete) - complete.reshape(-1) - 1 - FIFO_BEATS
        begins = (behind.times - behind.spread).reshape(-1)
        room = np.where(before >= 0, begins[np.maximum(before, 0)] + 1, LONG_AGO).reshape(came.times.shape)
    else:
        row_done = behind.times[:, :, -1]  # (frames, rows of windows)
        line = np.arange(frames * height) - window_lines(height, k_h, s_h)  # the one that is written over
        row = np.minimum(line % height // s_h, row_done.shape[1] - 1)
        done = np.where(line >= 0, row_done[np.maximum(line, 0) // height, row] + 1, LONG_AGO)
        room = np.broadcast_to(done.reshape(frames, height, 1), (frames, height, width))
    fold = node.elements // int(unit["SIMD"])
    begins = np.maximum(came.times - min(came.spread, fold - 1), room)
    return np.maximum(_next(_serve(begins, fold)), room)


def window_lines(height: int, kernel: int, stride: int) -> int:
    """Lines of a folded window generator that hold the first windows of a frame beside the last of the one before."""
    return kernel + height - (height - kernel) // stride * stride


def beat_lanes(node: Node, unit: Mapping[str, int | str]) -> int:
    """Elements in a beat at a layer's input, as its kernel takes it."""
    if node.op in ("VVAU", "Pool"):
        return int(unit["PE"]) if takes_taps(unit) else node.elements
    return int(unit["SIMD" if node.op in ("MVAU", "FMPadding", "ConvolutionInputGenerator") else "PE"])


def takes_taps(unit: Mapping[str, int | str]) -> bool:
    """Whether a VVAU or pool takes its windows tap by tap, PE channels at a time, and not whole."""
    return not unit["parallel_window"]


def _padding(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    top, left, bottom, right = node.pad
    beats = node.elements // came.lanes
    begins = came.times - min(came.spread, beats - 1)
    # Zeros wait for nothing but their turn; those above the first frame have gone before it comes.
    ends = _serve(np.pad(begins, ((0, 0), (top, bottom), (left, right)), constant_values=LONG_AGO), beats)
    out = Stream(ends + PAD_CYCLES, came.lanes, max(came.spread, beats - 1))
    inside = np.s_[:, top : top + node.height, left : left + node.width]
    return Step(out, out.pixels * beats, _next(ends)[inside], Stream(ends[inside], came.lanes, beats - 1))


def _windows(node: Node, unit: Mapping[str, int | str], came: Stream) -> Step:
    (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
    complete = came.times[:, k_h - 1 :: s_h, k_w - 1 :: s_w]
    if unit["parallel_window"]:
        return Step(Stream(complete + WINDOW_CYCLES, k_h * k_w * node.elements), came.pixels, None, None)
    # What is there of a window leaves before it is complete. Only the beats of its last pixel come behind that pixel;
    # in depthwise order each channel's last tap, that is from the first channels' last tap on.
    taps, fold = k_h * k_w, node.elements // came.lanes
    beats = taps * fold
    complete = complete + FOLDED_WINDOW_CYCLES
    begins = complete - came.spread - (taps - 1) if node.depthwise else complete - (beats - 1)
    out = Stream(np.maximum(_serve(begins, beats), complete), came.lanes, beats - 1)
    return Step(out, max(out.pixels * beats, came.pixels * fold), None, None)


def _pool(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    return Step(Stream(came.times + max(1, _log2(node.taps)), node.channels), came.pixels, came.times, came)


def _matrix(node: Node, unit: Mapping[str, int | str], came: Stream) -> Step:
    pe, simd = int(unit["PE"]), int(unit["SIMD"])
    beats, groups = node.columns // simd, node.rows // pe
    latency, again = 2 + _log2(simd) + (beats > 1), (groups - 1) * beats
    if node.whole:  # beats that came one by one are done by the time the last is there
        ends = _serve(came.times - min(came.spread, beats - 1), beats * groups)
        taken = Stream(ends - again, simd, beats - 1)
        return Step(Stream(ends + latency, pe, again), beats * groups * came.pixels, _next(ends), taken)
    # One pass as the beats come, then the buffered vector again for each further group of rows.
    each = beats // came.pixels
    passes, ready, free = [], [], LONG_AGO
    for frame in came.times:
        passes.append(_serve(np.maximum(frame - min(came.spread, each - 1), free + 1), each))
        ready.append(np.maximum(_next(passes[-1]), free + 1))
        free = int(passes[-1][-1, -1]) + again
    taken = Stream(np.stack(passes), simd, each - 1)
    out = Stream(taken.times[:, -1:, -1:] + again + latency, pe, again)
    return Step(out, beats * groups, np.stack(ready), taken)


def _depthwise(node: Node, unit: Mapping[str, int | str], came: Stream) -> Step:
    pe, simd = int(unit["PE"]), int(unit["SIMD"])
    beats, groups = node.taps // simd, node.channels // pe
    latency = 2 + _log2(simd) + (beats > 1)
    if takes_taps(unit):
        taken = came.through(beats * groups, 0)
    else:  # the window stays until its last channels had their turn
        taken = Stream(_serve(came.times, beats * groups), came.lanes)
    out = Stream(taken.times + latency, pe, (groups - 1) * beats)
    return Step(out, beats * groups * came.pixels, _next(taken.times), taken)


def _thresholds(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    return _element_by_element(node, came, 3 if node.steps > 16 else 2)


def _fork(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    return _element_by_element(node, came, FORK_CYCLES)


def _add(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    return _element_by_element(node, came, ADD_CYCLES)


def _sum(node: Node, _unit: Mapping[str, int | str], came: Stream) -> Step:
    step = _element_by_element(node, came, SUM_CYCLES)
    return replace(step, out=replace(step.out, times=step.out.times[:, -1:, -1:]))


def _element_by_element(node: Node, came: Stream, cycles: int) -> Step:
    beats = node.elements // came.lanes
    taken = came.through(beats, 0)
    return Step(taken.later(cycles), came.pixels * beats, _next(taken.times), taken)


LAYERS = {
    "FMPadding": _padding,
    "ConvolutionInputGenerator": _windows,
    "Pool": _pool,
    "MVAU": _matrix,
    "VVAU": _depthwise,
    "Thresholding": _thresholds,
    "DuplicateStreams": _fork,
    "ElementwiseAdd": _add,
    CHANNEL_ADD: _add,
    "GlobalAccPool": _sum,
}


def _log2(number: int) -> int:
    """Levels of a binary tree over `number` leaves."""
    return (number - 1).bit_length()


def _next(ends: Times) -> Times:
    """From when on a server that is done with each item at `ends` can take it: when it is done with the one before."""
    return np.concatenate([[LONG_AGO], ends.reshape(-1)[:-1] + 1]).reshape(ends.shape)


def _serve(begins: Times, cycles: int) -> Times:
    """When a server that spends `cycles` on each item, in order, is in the last cycle of each."""
    flat = begins.reshape(-1)
    steps = np.arange(flat.size, dtype=np.int64) * cycles
    begun = np.maximum.accumulate(flat - steps) + steps
    return (begun + cycles - 1).reshape(begins.shape)
