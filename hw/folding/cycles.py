# SPDX-License-Identifier: Apache-2.0
"""Cycles of a folded network: when each layer gets, does and gives what, followed pixel by pixel through one frame.

The model knows the kernels by what they say of themselves (icsort.hw.kernels): what the heads of the RTL promise
(latency, interval, order of beats). Lines arrive as the instrument sends them: one each `line_cycles` cycles, a pixel a
cycle within the line. FIFOs are taken never to stop anybody: a layer that is slower than a burst lets it wait in the
window generators' lines and in FIFOs, and that does not change when its own work gets done. `held` says how deep the
FIFOs must be for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from icsort.hw.kernels import kernel_of, read_node
from icsort.hw.kernels.kernel import Node, Unit
from icsort.hw.kernels.streams import FIFO_CYCLES, Step, Stream, Times

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
        wait = kernel_of(before, units[before.name]).pause(before, units[before.name]) if before else 0
        interval = max(interval, flow.layers[node.name][0] + wait)
    last = int(arrivals(graph, line_cycles, 1)[0, -1, -1])
    return Prediction(done, done - last, interval, line_cycles, flow.layers)


def waits(graph: Graph, units: Units) -> bool:
    """Whether no logits come before a frame's last pixel, however late that is: at any pace of the pixels."""
    times = arrivals(graph, graph.width, 1)
    late = int(times[0, -1, -1]) + (1 << 32)
    times[0, -1, -1] = late
    flow = follow(graph, units, graph.width, Flow({graph.image: Stream(times, graph.channels)}, {}, {}, {}))
    return latency(graph, flow) >= late


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
        kernel = kernel_of(node, unit)
        lanes = kernel.in_lanes(node, unit)
        arriving = streams[node.inputs[0]].converted(node.elements, lanes)
        if len(node.inputs) == 2:
            other = kernel.side_lanes(node, unit)[1]
            sides = arriving, streams[node.inputs[1]].converted(other * (node.elements // lanes), other)
            joins[node.name] = sides
            times = np.maximum(*(side.times for side in sides)) + FIFO_CYCLES
            arriving = Stream(times, lanes, max(side.spread for side in sides))
        step = kernel.step(node, unit, arriving)
        out = step.out.later(FIFO_CYCLES)
        layers[node.name] = (step.busy, int(out.times[0, -1, -1]))
        steps[node.name] = step
        for tensor in node.outputs:
            streams[tensor] = out
    return Flow(streams, layers, joins, steps)


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
