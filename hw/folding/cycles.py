# SPDX-License-Identifier: Apache-2.0
"""Cycles of a folded network: when each layer gets, does and gives what, followed pixel by pixel through one frame.

The model knows the kernels by what they say of themselves (icsort.hw.kernels): what the heads of the RTL promise
(latency, interval, order of beats). Lines arrive as the instrument sends them: one each `line_cycles` cycles, a pixel a
cycle within the line. FIFOs are taken never to stop anybody: a layer that is slower than a burst lets it wait in the
window generators' lines and in FIFOs, and that does not change when its own work gets done. `held` says how deep the
FIFOs must be for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from icsort.formats.background import LINES_PER_SECOND
from icsort.hw.kernels import kernel_of, read_node
from icsort.hw.kernels.kernel import Node, Unit
from icsort.hw.kernels.streams import FIFO_CYCLES, Step, Stream, Times, at_pixels

Units = Mapping[str, Unit]

FRAMES = 3  # that follow each other without pause until no FIFO holds more than before


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


def read(model: ModelWrapper, sources: Mapping[str, str] | None = None) -> Graph:
    """FINN's hardware graph as `Graph`. sources: hardware layer -> layer of the user's file.

    Raises IcsortError, by the layer's name, for one that no kernel covers.
    """
    nodes = tuple(read_node(model, proto, (sources or {}).get(proto.name, "")) for proto in model.graph.node)
    image, logits = model.graph.input[0].name, model.graph.output[0].name
    _, height, width, channels = model.get_tensor_shape(image)
    return Graph(nodes, image, logits, height, width, channels, int(model.get_tensor_shape(logits)[-1]))


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
class Flow:
    """streams: tensor -> as it leaves the FIFO. layers: layer -> (busy cycles a frame, cycle of its last beat).
    joins: layer -> what arrives at its two inputs. steps: layer -> when it takes its input. arrived: layer -> what it
    takes, in its own beats."""

    streams: dict[str, Stream]
    layers: dict[str, tuple[int, int]]
    joins: dict[str, tuple[Stream, Stream]]
    steps: dict[str, Step]
    arrived: dict[str, Stream]

    @classmethod
    def of(cls, graph: Graph, times: Times) -> "Flow":
        """No layer yet, pixels that come at `times`, cycles (frames, H, W)."""
        return cls({graph.image: Stream(times, graph.channels)}, {}, {}, {}, {})


def arrivals(graph: Graph, line_cycles: int, frames: int) -> Times:
    """Cycles (frames, H, W) in which the pixels arrive; frames follow each other without pause."""
    lines, columns = np.indices((frames * graph.height, graph.width), dtype=np.int64)
    return (lines * line_cycles + columns).reshape(frames, graph.height, graph.width)


def predict(graph: Graph, units: Units, line_cycles: int) -> Prediction:
    """Follow one frame through the graph, folded as `units` (a icsort.hw.folding.folding.Folding) says.

    line_cycles: between the first pixels of two lines, at least the width.
    """
    flow = follow(graph, units, line_cycles)
    done = latency(graph, flow.streams)
    interval = graph.height * line_cycles
    for node in graph.nodes:
        before = graph.producer.get(node.inputs[0])
        wait = kernel_of(before, units[before.name]).pause(before, units[before.name]) if before else 0
        interval = max(interval, flow.layers[node.name][0] + wait)
    last = int(arrivals(graph, line_cycles, 1)[0, -1, -1])
    return Prediction(done, done - last, interval, line_cycles, flow.layers)


def at_line_rate(graph: Graph, units: Units, clock_mhz: float) -> int:
    """Cycles from a cell's first pixel to the logits where its lines come as fast as the instrument's, LINES_PER_SECOND
    of them a second, or a beat a cycle where that is slower: what a drop delay must cover beside the sorter's blocks.

    Of a cell that no other one is close behind. Whatever rate the network is folded for.
    """
    return predict(graph, units, max(graph.width, int(clock_mhz * 1e6 / LINES_PER_SECOND))).latency


def waits(graph: Graph, units: Units) -> bool:
    """Whether no logits come before a frame's last pixel, however late that is: at any pace of the pixels."""
    times = arrivals(graph, graph.width, 1)
    late = int(times[0, -1, -1]) + (1 << 32)
    times[0, -1, -1] = late
    flow = follow(graph, units, graph.width, Flow.of(graph, times))
    return latency(graph, flow.streams) >= late


def latency(graph: Graph, streams: Mapping[str, Stream]) -> int:
    """Cycle in which all logits are valid at the output."""
    return int(streams[graph.logits].converted(graph.classes, graph.classes).times[0, -1, -1])


def follow(graph: Graph, units: Units, line_cycles: int, before: Flow | None = None, frames: int = 1) -> Flow:
    """Frames through all layers. before: pixels that come at other times than `arrivals` says."""
    flow = before or Flow.of(graph, arrivals(graph, line_cycles, frames))
    for node in graph.nodes:
        unit = units[node.name]
        sides = meeting(node, unit, flow.streams)
        arriving = joined(sides)
        step = kernel_of(node, unit).step(node, unit, arriving)
        out = step.out.later(FIFO_CYCLES)
        flow.layers[node.name] = (step.busy, int(out.times[0, -1, -1]))
        flow.steps[node.name], flow.arrived[node.name] = step, arriving
        if len(sides) == 2:
            flow.joins[node.name] = sides[0], sides[1]
        for tensor in node.outputs:
            flow.streams[tensor] = out
    return flow


def meeting(node: Node, unit: Unit, streams: Mapping[str, Stream]) -> list[Stream]:
    """What comes to each input of a layer, in the layer's own beats."""
    return [
        streams[tensor].converted(elements, lanes)
        for tensor, elements, lanes in zip(node.inputs, *_beats(node, unit), strict=True)
    ]


def joined(sides: Sequence[Stream]) -> Stream:
    """What a layer takes of what comes to its inputs: of two, each beat when both have it, behind their FIFOs."""
    if len(sides) == 1:
        return sides[0]
    times = np.maximum(*(side.times for side in sides)) + FIFO_CYCLES
    return Stream(times, sides[0].lanes, max(side.spread for side in sides))


def _beats(node: Node, unit: Unit) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Elements of a pixel and of a beat at each input of a layer."""
    lanes = kernel_of(node, unit).side_lanes(node, unit)
    return tuple(other * (node.elements // lanes[0]) for other in lanes), lanes


def left(graph: Graph, units: Units, flow: Flow) -> dict[str, Times]:
    """Tensor -> cycles that are left until all logits are valid, from when each pixel of it leaves its FIFO.

    flow: one frame through layers folded as `units` says. The latency is the latest of `times + left` over all tensors
    that cross any cut through the network, whatever their times, as every layer only waits and adds: so what another
    folding of a few layers makes of the latency is known behind these layers.
    """
    behind: dict[str, Times] = {}
    last = flow.streams[graph.logits]
    done = at_pixels(np.zeros((1, 1, 1), np.int64), np.s_[:, -1:, -1:], last.times.shape)
    behind[graph.logits] = last.left_converted(graph.classes, graph.classes, done)
    for node in reversed(graph.nodes):
        unit = units[node.name]
        given = np.maximum.reduce([behind[tensor] for tensor in node.outputs]) + FIFO_CYCLES
        taken = kernel_of(node, unit).left(node, unit, flow.arrived[node.name], given)
        if len(node.inputs) == 2:
            taken = taken + FIFO_CYCLES
        for tensor, elements, lanes in zip(node.inputs, *_beats(node, unit), strict=True):
            behind[tensor] = flow.streams[tensor].left_converted(elements, lanes, taken)
    return behind


def held(graph: Graph, units: Units, flow: Flow) -> dict[str, int]:
    """Beats that wait at most in the FIFO behind each layer, for what comes next not to slow it down: tensor -> beats.

    flow: of several frames. Left out are inputs of joins, which have FIFOs of their own. Windows wait in the lines of
    their generator as pixels; where they come more slowly than the next layer takes them at first, some are ahead.
    """
    beats = {}
    for tensor, node in graph.consumer.items():
        before = graph.producer.get(tensor)
        if before is None or len(node.inputs) == 2:
            continue
        unit = units[node.name]
        kernel, giver = kernel_of(node, unit), kernel_of(before, units[before.name])
        if giver.lines:
            beats[tensor] = kernel.ahead(node, unit, giver.out_lanes(before, units[before.name]))
            continue
        stream, ready, lanes = flow.streams[tensor], flow.steps[node.name].ready, kernel.in_lanes(node, unit)
        if ready is None:
            behind = flow.steps[graph.consumer[node.outputs[0]].name].taken
            assert behind is not None
            ready = kernel.room(node, unit, stream, behind)
        stream = stream.converted(node.elements, max(stream.lanes, lanes))
        number = node.elements // stream.lanes
        arrives = stream.beats(number)
        turns = np.arange(number) * (stream.lanes // lanes)
        leaves = np.maximum.accumulate(np.maximum(arrives, (ready.reshape(-1, 1) + turns).reshape(-1)))
        beats[tensor] = _waiting(arrives, leaves)
    return beats


def held_at_join(node: Node, unit: Unit, flow: Flow) -> tuple[int, int]:
    """Beats that wait at most at each input of a join for those at the other one."""
    number = node.elements // kernel_of(node, unit).in_lanes(node, unit)
    lhs, rhs = (side.beats(number) for side in flow.joins[node.name])
    leaves = np.maximum(lhs, rhs)
    return _waiting(lhs, leaves), _waiting(rhs, leaves)


def _waiting(arrives: Times, leaves: Times) -> int:
    """What is taken in the cycle in which it can be was there for that cycle."""
    return int((np.arange(1, arrives.size + 1) - np.searchsorted(leaves, arrives, side="left")).max())
