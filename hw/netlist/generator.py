# SPDX-License-Identifier: Apache-2.0
"""From FINN's folded hardware graph to SystemVerilog: a flat top of kernel instances, and their memory files.

Each kernel (icsort.hw.kernels) says what the instance of its layer is; streams, FIFOs and width converters between
instances are put in by `generate`: a FIFO behind every output, as wide as the next layer's beats where these are wider,
and one in front of each input of a join.
"""

from dataclasses import dataclass
from math import lcm

from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.hw.folding.cycles import read
from icsort.hw.folding.folding import JOIN_FIFOS, Folding, fifo_key
from icsort.hw.frontend.convert import HardwareGraph
from icsort.hw.kernels import kernel_of
from icsort.hw.kernels.fifo import fifo
from icsort.hw.kernels.kernel import Memory, Node, Parameters, Unit

LICENSE = "// SPDX-License-Identifier: Apache-2.0\n"
NET = "icsort_net"
BUILD = "icsort_build"
GAIN_BITS = 18


@dataclass(frozen=True)
class Instance:
    """One kernel instance: parameters, memory if it has one, and the bits in a beat that it takes and gives.

    in_bits: of each input stream. out_bits: of each of `outputs` output streams.
    """

    kernel: str
    parameters: Parameters
    in_bits: tuple[int, ...]
    out_bits: int
    memory: Memory | None = None
    outputs: int = 1


@dataclass(frozen=True)
class Layer:
    """A hardware layer of the network: the node, where it came from, its kernel and the FIFOs about it.

    inputs, outputs: tensors of the graph. fifo_depths: behind each output. join_depths: in front of the inputs of a
    join, else empty.
    """

    name: str
    op: str
    source: str
    instance: Instance
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fifo_depths: tuple[int, ...]
    join_depths: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Name of the instance: the kernel's, with the number that FINN gave the node."""
        return f"{self.instance.kernel}_{self.name.rpartition('_')[2]}"

    @property
    def memory_file(self) -> str:
        """Name of the memory file: mvau_0_weights.hex for parameter WEIGHTS_FILE of mvau_0. Empty without a memory."""
        memory = self.instance.memory
        return f"{self.label}_{memory.parameter.removesuffix('_FILE').lower()}.hex" if memory else ""


@dataclass(frozen=True)
class Network:
    """What is generated of a graph: layers in stream order, the text of icsort_net.sv, bits of one logit.

    glue: parameters of every fifo and width_converter between the layers, as (name, kernel, parameters).
    """

    layers: tuple[Layer, ...]
    verilog: str
    logit_bits: int
    glue: tuple[tuple[str, str, Parameters], ...]

    def memory_files(self) -> dict[str, str]:
        """File name -> contents of every memory, in stream order."""
        return {layer.memory_file: layer.instance.memory.text() for layer in self.layers if layer.instance.memory}


def generate(graph: HardwareGraph, folding: Folding, title: str, family: str, ultra: bool = False) -> Network:
    """Generate icsort_net.sv and its memories from a folded graph (`folding.apply` was called with `folding`).

    title: said in the file's header. family: of the FPGA, "xc7" or "xcup". ultra: whether it has UltraRAM. Raises
    IcsortError, by the layer's name, for a layer that no kernel covers.
    """
    layers = []
    used: set[str] = set()
    nodes = read(graph.model, graph.sources)
    for node in nodes.nodes:
        unit = folding[node.name]
        if used & set(node.inputs):
            raise IcsortError(
                f"layer '{node.source}' (FINN's {node.name}): its input goes to another layer as well, without a fork; "
                "compile again"
            )
        used |= set(node.inputs)
        joins = tuple(int(unit[key]) for key in JOIN_FIFOS if key in unit)
        depths = tuple(int(unit[fifo_key(copy)]) for copy in range(len(node.outputs)))
        op = kernel_of(node, unit).finn_op
        layers.append(
            Layer(node.name, op, node.source, place(node, unit, family), node.inputs, node.outputs, depths, joins)
        )
    last = nodes.producer[nodes.logits]
    if not kernel_of(last, folding[last.name]).gives_logits:
        raise IcsortError(f"layer '{last.source}': the logits must come straight from a matrix product or its bias")
    first = nodes.consumer[nodes.image]
    pixels, logits = (nodes.image, nodes.channels * first.in_bits[0]), (nodes.logits, nodes.classes * last.out_bits)
    text, glue = _verilog(layers, title, pixels, logits, ultra)
    return Network(tuple(layers), text, last.out_bits, tuple(glue))


def place(node: Node, unit: Unit, family: str) -> Instance:
    """The instance of a layer folded as `unit` says."""
    kernel = kernel_of(node, unit)
    lanes = kernel.in_lanes(node, unit)
    return Instance(
        kernel.name,
        kernel.parameters(node, unit, family),
        tuple(lanes * bits for bits in node.in_bits),
        kernel.out_lanes(node, unit) * node.out_bits,
        kernel.memory(node, unit),
        len(node.outputs),
    )


def build_wrapper(
    manifest: Manifest, network: Network, build_id: str, clock_hz: int, clocks_per_bit: int, pixels_per_beat: int
) -> str:
    """The text of icsort_build.sv: icsort_top with every parameter bound, itself without parameters.

    build_id: 16 hex digits. clock_hz, clocks_per_bit: of the board. pixels_per_beat: at the network's input.
    """
    channels, samples = manifest.input.channels, manifest.line.sample_bits
    preprocess = manifest.preprocess
    background = _concatenation([f"{samples}'d{value}" for value in preprocess.background])
    gain = _concatenation([f"-{GAIN_BITS}'sd{-v}" if v < 0 else f"{GAIN_BITS}'sd{v}" for v in preprocess.gain])
    classes = len(manifest.classes)
    values = {
        "LINE_W": manifest.line.width, "H": manifest.input.height, "W": manifest.input.width,
        "X_OFFSET": manifest.line.x_offset, "C": channels, "SAMPLE_BITS": samples, "NET_PIXELS": pixels_per_beat,
        "N_CLASSES": classes, "LOGIT_BITS": network.logit_bits,
        "BACKGROUND": background, "GAIN": gain, "SHIFT": preprocess.shift,
        "POST_MULT": manifest.posterior.multiplier, "POST_SHIFT": manifest.posterior.shift,
        "BUILD_ID": f"64'h{build_id}", "MODEL_ID": f"64'h{manifest.model_id}",
        "CLOCK_HZ": clock_hz, "CLKS_PER_BIT": clocks_per_bit,
    }  # fmt: skip
    bindings = ",\n".join(f"      .{name:<12} ({value})" for name, value in values.items())
    ports = (
        ("input  wire logic", 1, "clk"),
        ("input  wire logic", 1, "rst"),
        ("input  wire logic", channels * samples, "s_axis_line_tdata"),
        ("input  wire logic", 1, "s_axis_line_tvalid"),
        ("output logic     ", 1, "s_axis_line_tready"),
        ("input  wire logic", 1, "s_axis_line_tlast"),
        ("input  wire logic", 1, "uart_rx"),
        ("output logic     ", 1, "uart_tx"),
        ("output logic     ", 1, "sort_pulse"),
        ("output logic     ", 48, "mon_timestamp"),
        ("output logic     ", 1, "mon_armed"),
        ("output logic     ", 1, "mon_idle"),
        ("output logic     ", 1, "mon_event"),
        ("output logic     ", 1, "mon_decision_valid"),
        ("output logic     ", 8 * (24 + 4 * classes), "mon_record"),
        ("output logic     ", 1, "mon_stream_line"),
        ("output logic     ", 1, "mon_stream_net_in"),
        ("output logic     ", 1, "mon_stream_net_out"),
    )
    declarations = ",\n".join(f"    {kind} {_range(bits):<8} {name}" for kind, bits, name in ports)
    return f"""{LICENSE}//
// {BUILD}: icsort_top for the model '{_printable(manifest.name)}', every parameter bound, itself without any.
// Generated by `icsort compile`; the classes are {", ".join(_printable(name) for name in manifest.classes)}.
// Ports, handshake, latency and reset: see icsort_top.sv.
`default_nettype none

module {BUILD} (
{declarations}
);

  icsort_top #(
{bindings}
  ) u_top (.*);

endmodule

`default_nettype wire
"""


def _verilog(
    layers: list[Layer], title: str, image: tuple[str, int], output: tuple[str, int], ultra: bool
) -> tuple[str, list[tuple[str, str, Parameters]]]:
    """The text of the module, and the FIFOs and converters that stand in it besides the layers.

    image, output: tensor and bits in a beat of the network's input and output.
    """
    body: list[str] = []
    glue: list[tuple[str, str, Parameters]] = []
    wires: list[tuple[str, int, int]] = []  # name, bits, copies
    # Tensor of the graph -> the stream that carries it: signals of its handshake, and bits in a beat.
    streams = {image[0]: (_signals("s_axis"), image[1])}

    # Tensor -> the layer that takes it, and bits in a beat there. Joins have FIFOs of their own.
    takers = {layer.inputs[0]: (layer.label, layer.instance.in_bits[0]) for layer in layers if len(layer.inputs) == 1}

    def place(kernel: str, name: str, bindings: list[str], pins: list[tuple[str, dict[str, str]]], note: str) -> None:
        parameters = ",\n".join(f"      {binding}" for binding in bindings)
        connections = [".clk, .rst"]
        for prefix, signals in pins:
            connections += [f".{f'{prefix}_{pin}':<14} ({signal})" for pin, signal in signals.items()]
        text = ",\n".join(f"      {pin}" for pin in connections)
        if kernel == "fifo":  # occupancy is for FIFO sizing, which looks at it from outside
            text += (
                ",\n      /* verilator lint_off PINCONNECTEMPTY */\n      .count          ()\n"
                "      /* verilator lint_on PINCONNECTEMPTY */"
            )
        body.append(f"{note}  {kernel} #(\n{parameters}\n  ) u_{name} (\n{text}\n  );\n")

    def behind(kernel: str, name: str, signals: dict[str, str], bits: int, parameters: Parameters) -> dict[str, str]:
        """An instance between layers, behind a stream; its output is called like it."""
        wires.append((name, bits, 1))
        glue.append((name, kernel, parameters))
        bindings = [f".{key:<14} ({_literal(value)})" for key, value in parameters.items()]
        place(kernel, name, bindings, [("s_axis", signals), ("m_axis", _signals(name))], "")
        return _signals(name)

    def converted(stream: tuple[dict[str, str], int], name: str, needed: int) -> dict[str, str]:
        signals, bits = stream
        if bits == needed:
            return signals
        common = lcm(bits, needed)
        if common not in (bits, needed):  # as wide as both divide, so that neither slows the other
            signals = converted(stream, f"{name}_joined", common)
            return converted((signals, common), name, needed)
        return behind("width_converter", name, signals, needed, {"IN_WIDTH": bits, "OUT_WIDTH": needed})

    def buffered(signals: dict[str, str], name: str, bits: int, depth: int) -> dict[str, str]:
        return behind("fifo", name, signals, bits, fifo(bits, depth, ultra))

    for layer in layers:
        name, instance = layer.label, layer.instance
        sides = ("s_axis",) if len(layer.inputs) == 1 else ("s_axis_lhs", "s_axis_rhs")
        pins = []
        for side, tensor, bits in zip(sides, layer.inputs, instance.in_bits, strict=True):
            label = f"{name}{side.removeprefix('s_axis')}"
            signals = converted(streams[tensor], f"{label}_in", bits)
            if layer.join_depths:
                signals = buffered(signals, f"{label}_fifo", bits, layer.join_depths[sides.index(side)])
            pins.append((side, signals))
        pins.append(("m_axis", _signals(name)))
        wires.append((name, instance.out_bits, instance.outputs))
        bindings = [f".{key:<15} ({_literal(value)})" for key, value in instance.parameters.items()]
        if instance.memory:
            bindings.append(f'.{instance.memory.parameter:<15} ({{MEM_DIR, "{layer.memory_file}"}})')
        place(instance.kernel, name, bindings, pins, f"  // {layer.name}, from layer '{_printable(layer.source)}'\n")
        for copy, tensor in enumerate(layer.outputs):
            signals, number, bits = _signals(name), "", instance.out_bits
            if len(layer.outputs) > 1:
                signals, number = _copy(signals, copy, bits), f"{copy}"
            label, needed = takers.get(tensor, ("", 0))
            if needed > bits:  # what waits can be taken in whole beats then
                signals, bits = converted((signals, bits), f"{label}_in", needed), needed
            streams[tensor] = (buffered(signals, f"{name}_fifo{number}", bits, layer.fifo_depths[copy]), bits)
    logits = converted(streams[output[0]], "logits", output[1])
    in_bits, out_bits = image[1], output[1]
    declarations = "".join(
        f"  logic {_range(width * copies):<10} {name}_tdata;\n"
        f"  logic {_range(copies):<10} {name}_tvalid, {name}_tready;\n"
        for name, width, copies in wires
    )
    instances = "\n".join(body)
    text = f"""{LICENSE}//
// {NET}: the network as a stream, from pixels to logits: {_printable(title)}.
// Generated by `icsort compile` from FINN's hardware graph (graph.onnx); parallelism and FIFO depths are in build.json.
//
//   Input       one pixel a beat, row by row, unsigned 8 bit, channel 0 at the LSB.
//   Output      all logits in one beat, signed, class 0 at the LSB; one beat an image.
//   Handshake   AXI4-Stream on both sides, elastic throughout.
//   Latency     build.json predicts it in cycles, as it does the interval between images.
//   Reset       what is in flight is lost; the next pixel is the first of an image.
//   Overflow    none: accumulators hold every sum that the weights allow.
//   MEM_DIR     prefix of the memory files' names.
`default_nettype none

module {NET} #(
    parameter MEM_DIR = "mem/"
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic {_range(in_bits):<10} s_axis_tdata,
    input  wire logic            s_axis_tvalid,
    output logic                 s_axis_tready,
    output logic {_range(out_bits):<10}      m_axis_tdata,
    output logic                 m_axis_tvalid,
    input  wire logic            m_axis_tready
);
{declarations}
{instances}
  assign m_axis_tdata  = {logits["tdata"]};
  assign m_axis_tvalid = {logits["tvalid"]};
  assign {logits["tready"]} = m_axis_tready;

endmodule

`default_nettype wire
"""
    return text, glue


def _signals(name: str) -> dict[str, str]:
    return {pin: f"{name}_{pin}" for pin in ("tdata", "tvalid", "tready")}


def _copy(signals: dict[str, str], index: int, bits: int) -> dict[str, str]:
    """One stream of a fork's outputs, which lie beside each other."""
    return {
        pin: f"{signal}[{f'{index * bits} +: {bits}' if pin == 'tdata' else index}]" for pin, signal in signals.items()
    }


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _range(bits: int) -> str:
    return f"[{bits - 1}:0]" if bits > 1 else ""


def _concatenation(items: list[str]) -> str:
    """SystemVerilog concatenation with item 0 at the LSB."""
    return "{" + ", ".join(reversed(items)) + "}"


def _printable(text: str) -> str:
    """Names come from files that others wrote: keep them inside their comment."""
    return "".join(c if c.isprintable() else "?" for c in text)
