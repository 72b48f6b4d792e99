# SPDX-License-Identifier: Apache-2.0
"""From FINN's folded hardware graph to a netlist of kernel instances, and their memory files.

Each kernel (icsort.hw.kernels) says what the instance of its layer is; streams, FIFOs and width converters between
instances are put in here: a FIFO behind every output, as wide as the next layer's beats where these are wider, and one
in front of each input of a join.
"""

from dataclasses import dataclass, field

from icsort.errors import IcsortError
from icsort.formats.netlist import CONVERTER, FIFO, Instance, MemoryFile, Netlist
from icsort.hw.folding.cycles import Graph, read
from icsort.hw.folding.folding import JOIN_FIFOS, Folding, fifo_key
from icsort.hw.frontend.convert import HardwareGraph
from icsort.hw.kernels import kernel_of
from icsort.hw.kernels.fifo import fifo
from icsort.hw.kernels.kernel import Node, Parameters, Unit
from icsort.hw.kernels.width_converter import conversions

IMAGE = "s_axis"  # the stream that enters
LOGITS = "logits"


@dataclass(frozen=True)
class Generated:
    """What is generated of a graph. memories: file name -> contents. sources: module of a layer's own -> SystemVerilog.
    logit_bits: of one logit."""

    netlist: Netlist
    memories: dict[str, str]
    sources: dict[str, str]
    logit_bits: int


def generate(graph: HardwareGraph, folding: Folding, family: str, ultra: bool = False) -> Generated:
    """The netlist and its memories, of a folded graph (`folding.apply` was called with `folding`).

    family: one of fabric.FAMILIES. ultra: whether there is UltraRAM. Raises IcsortError, by the layer's name,
    for a layer that no kernel covers.
    """
    layers = read(graph.model, graph.sources)
    last = layers.producer[layers.logits]
    if not kernel_of(last, folding[last.name]).gives_logits:
        raise IcsortError(f"layer '{last.source}': the logits must come straight from a matrix product or its bias")
    assembly = _Assembly(layers, folding, family, ultra)
    for node in layers.nodes:
        assembly.add(node)
    return Generated(assembly.finish(), assembly.memories, assembly.sources, last.out_bits)


@dataclass
class _Assembly:
    """A netlist in the making. carriers: tensor of the graph -> the stream that carries it."""

    graph: Graph
    folding: Folding
    family: str
    ultra: bool
    carriers: dict[str, str] = field(default_factory=dict)
    streams: dict[str, int] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    memories: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.graph.consumer[self.graph.image]
        self.carriers[self.graph.image] = IMAGE
        self.streams[IMAGE] = self.graph.channels * first.in_bits[0]

    def add(self, node: Node) -> None:
        """A layer with what stands in front of it and behind it."""
        unit, name = self.folding[node.name], self.label(node)
        kernel, inputs = kernel_of(node, unit), {}
        for side, (tensor, width) in enumerate(zip(node.inputs, self.in_widths(node), strict=True)):
            if tensor not in self.carriers:
                raise IcsortError(
                    f"layer '{node.source}' (FINN's {node.name}): its input goes to another layer as well, without a "
                    "fork; compile again"
                )
            suffix = "" if len(node.inputs) == 1 else ("_lhs", "_rhs")[side]
            stream = self.converted(self.carriers.pop(tensor), f"{name}{suffix}_in", width)
            if JOIN_FIFOS[side] in unit:
                stream = self.buffered(stream, f"{name}{suffix}_fifo", int(unit[JOIN_FIFOS[side]]))
            inputs[f"s_axis{suffix}"] = stream
        outputs = tuple(name if len(node.outputs) == 1 else f"{name}[{copy}]" for copy in range(len(node.outputs)))
        width = kernel.out_lanes(node, unit) * node.out_bits
        self.streams |= dict.fromkeys(outputs, width)
        source = kernel.source(node, unit, name)
        if source:
            self.sources[name] = source
        self.instances.append(
            Instance(
                name=name,
                module=kernel.name,
                parameters=kernel.parameters(node, unit, self.family),
                memory=self.memory_file(node, unit),
                generated=bool(source),
                inputs=inputs,
                outputs=outputs,
                layer=node.name,
                source=node.source,
            )
        )
        for copy, (tensor, stream) in enumerate(zip(node.outputs, outputs, strict=True)):
            taker = self.graph.consumer.get(tensor)
            if taker is not None and len(taker.inputs) == 1 and self.in_widths(taker)[0] > width:
                # What waits can be taken in whole beats then. Joins have FIFOs of their own.
                stream = self.converted(stream, f"{self.label(taker)}_in", self.in_widths(taker)[0])
            number = "" if len(outputs) == 1 else f"{copy}"
            self.carriers[tensor] = self.buffered(stream, f"{name}_fifo{number}", int(unit[fifo_key(copy)]))

    def finish(self) -> Netlist:
        """The whole, its last stream all logits in a beat."""
        last = self.graph.producer[self.graph.logits]
        output = self.converted(self.carriers[self.graph.logits], LOGITS, self.graph.classes * last.out_bits)
        return Netlist(input=IMAGE, output=output, streams=self.streams, instances=tuple(self.instances))

    def label(self, node: Node) -> str:
        """Name of an instance: the kernel's, with the number that FINN gave the node."""
        return f"{kernel_of(node, self.folding[node.name]).name}_{node.name.rpartition('_')[2]}"

    def in_widths(self, node: Node) -> list[int]:
        """Bits in a beat at each input."""
        unit = self.folding[node.name]
        sides = kernel_of(node, unit).side_lanes(node, unit)
        return [lanes * bits for lanes, bits in zip(sides, node.in_bits, strict=True)]

    def memory_file(self, node: Node, unit: Unit) -> MemoryFile | None:
        """mvau_0_weights.hex for parameter WEIGHTS_FILE of mvau_0; its contents go to `memories`."""
        memory = kernel_of(node, unit).memory(node, unit)
        if memory is None:
            return None
        file = f"{self.label(node)}_{memory.parameter.removesuffix('_FILE').lower()}.hex"
        self.memories[file] = memory.text()
        return MemoryFile(parameter=memory.parameter, file=file)

    def converted(self, stream: str, name: str, width: int) -> str:
        """Behind the converters to beats of so many bits; the last one is called `name`."""
        steps = list(conversions(self.streams[stream], width))
        for parameters in steps:
            label = name if parameters is steps[-1] else f"{name}_joined"
            stream = self.behind(stream, label, CONVERTER, parameters, int(parameters["OUT_WIDTH"]))
        return stream

    def buffered(self, stream: str, name: str, depth: int) -> str:
        width = self.streams[stream]
        return self.behind(stream, name, FIFO, fifo(width, depth, self.ultra), width)

    def behind(self, stream: str, name: str, module: str, parameters: Parameters, width: int) -> str:
        """An instance between layers; its output is called like it."""
        self.streams[name] = width
        self.instances.append(
            Instance(name=name, module=module, parameters=parameters, inputs={"s_axis": stream}, outputs=(name,))
        )
        return name
