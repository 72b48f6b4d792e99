# SPDX-License-Identifier: Apache-2.0
"""What another folding of one layer makes of the latency of the whole network, without following the pixels to its end.

A folded network only waits and adds, so the cycles that are left from every pixel of every tensor (`cycles.left`) are
counted once. Another folding of a layer is then followed only as far as it changes how layers behind it take their
beats: to the next one that takes them in its own.
"""

from collections import ChainMap

from icsort.hw.folding.cycles import Graph, Units, follow, joined, latency, left, meeting
from icsort.hw.folding.folding import Folding, derive, derived_unit
from icsort.hw.kernels import kernel_of
from icsort.hw.kernels.streams import FIFO_CYCLES, Stream


class Trials:
    """Around one folding: latency: what it has. chosen: as `derive` takes it."""

    def __init__(self, graph: Graph, chosen: Units, line_cycles: int) -> None:
        self.graph, self.chosen = graph, chosen
        self.units = derive(graph, chosen)
        self.flow = follow(graph, self.units, line_cycles)
        self.latency = latency(graph, self.flow.streams)
        self.left = left(graph, self.units, self.flow)
        self.crossing = _crossing(graph)
        self.lanes = {graph.image: graph.channels}
        for node in graph.nodes:
            width = derived_unit(graph, node, chosen, self.lanes)[1]
            self.lanes.update(dict.fromkeys(node.outputs, width))

    def latency_with(self, units: Folding, first: int) -> int:
        """The latency where some neighbouring layers are folded as `units` says, the first one that this changes being
        number `first` in stream order. What is ahead of that one is taken to stay as it is."""
        nodes, chosen = self.graph.nodes, ChainMap(units, self.chosen)  # type: ignore[arg-type]
        own = max(self.graph.position[name] for name in units)
        changed: dict[str, Stream] = {}
        streams, lanes = ChainMap(changed, self.flow.streams), ChainMap({}, self.lanes)
        for number in range(first, len(nodes)):
            node = nodes[number]
            if number > own:
                if all(self._as_before(tensor, changed, lanes) for tensor in self.crossing[number]):
                    return self._latest(number, changed)
                if not any(tensor in changed for tensor in node.inputs):
                    continue
            unit, width = derived_unit(self.graph, node, chosen, lanes)
            step = kernel_of(node, unit).step(node, unit, joined(meeting(node, unit, streams)))
            out = step.out.later(FIFO_CYCLES)
            for tensor in node.outputs:
                changed[tensor], lanes[tensor] = out, width
        return latency(self.graph, streams)

    def _as_before(self, tensor: str, changed: dict[str, Stream], lanes: ChainMap[str, int]) -> bool:
        """Whether what takes a tensor takes it as before, only at other times."""
        if tensor not in changed:
            return True
        now, before = changed[tensor], self.flow.streams[tensor]
        return (now.lanes, now.spread, lanes[tensor]) == (before.lanes, before.spread, self.lanes[tensor])

    def _latest(self, number: int, changed: dict[str, Stream]) -> int:
        """The latency, of what crosses the cut in front of layer `number`."""
        streams = ((changed.get(tensor, self.flow.streams[tensor]), tensor) for tensor in self.crossing[number])
        return max(int((stream.times + self.left[tensor]).max()) for stream, tensor in streams)


def _crossing(graph: Graph) -> list[list[str]]:
    """Of each layer, the tensors that are given ahead of it and taken by it or behind it."""
    crossing, alive = [], [graph.image]
    for node in graph.nodes:
        crossing.append(list(alive))
        alive = [tensor for tensor in alive if tensor not in node.inputs] + list(node.outputs)
    return crossing
