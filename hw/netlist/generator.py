# SPDX-License-Identifier: Apache-2.0
"""From FINN's folded hardware graph to SystemVerilog: a flat top of kernel instances, and their memory files.

`KERNELS` says which kernel does the work of which FINN layer. Each entry turns one node into one instance; streams,
FIFOs and width converters between instances are put in by `generate`: a FIFO behind every output, as wide as the next
layer's beats where these are wider, and one in front of each input of a join. Layouts of words in memory files are
those at the heads of the kernels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import lcm

import numpy as np
import numpy.typing as npt
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.hw.folding.cycles import streams, window_lines
from icsort.hw.folding.folding import JOIN_FIFOS, Folding, Unit, fifo_key
from icsort.hw.frontend.convert import HardwareGraph
from icsort.hw.kernels.dsp_packing import PORT_BITS

LICENSE = "// SPDX-License-Identifier: Apache-2.0\n"
NET = "icsort_net"
BUILD = "icsort_build"
GAIN_BITS = 18
ULTRA_DEPTH = 129  # beats of a FIFO that is worth UltraRAM
ULTRA_SAVES = 1.5  # block RAMs of 18 Kibit that an UltraRAM must stand for
BLOCK_DEPTH = 128
BLOCK_BITS = 4096  # of the 18 Kibit of a block RAM

LOGIT_BITS = {"mvau": "ACC_BITS", "channel_add": "OUT_BITS"}  # kernels that may come last, and what says their bits

Parameters = dict[str, int | str]


@dataclass(frozen=True)
class Memory:
    """A file for $readmemh: a word a row of `rows`, address 0 first, elements of `bits` bits; `parameter` of the kernel
    names it. rows: (words, elements) integers."""

    parameter: str
    bits: int
    rows: npt.NDArray[np.int64]

    def text(self) -> str:
        """The file's contents, every word with all its hexadecimal digits."""
        digits = (self.bits * self.rows.shape[1] + 3) // 4
        return "".join(f"{word:0{digits}x}\n" for word in pack(self.rows, self.bits))


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
    model = graph.model
    layers = []
    used: set[str] = set()
    for node in model.graph.node:
        where = f"layer '{graph.sources.get(node.name, node.name)}' (FINN's {node.name})"
        if node.op_type not in KERNELS:
            raise IcsortError(f"{where}: {node.op_type} is not covered; there are kernels for {', '.join(KERNELS)}")
        try:
            instance = for_family(KERNELS[node.op_type](model, node, folding[node.name]), family)
        except _NotCoveredError as reason:
            raise IcsortError(f"{where}: {reason}") from None
        inputs = tuple(node.input[: len(instance.in_bits)])
        if used & set(inputs):
            raise IcsortError(f"{where}: its input goes to another layer as well, without a fork; compile again")
        used |= set(inputs)
        entry = folding[node.name]
        joins = tuple(int(entry[key]) for key in JOIN_FIFOS if key in entry)
        outputs = tuple(node.output)
        depths = tuple(int(entry[fifo_key(copy)]) for copy in range(len(outputs)))
        layers.append(
            Layer(node.name, node.op_type, graph.sources[node.name], instance, inputs, outputs, depths, joins)
        )
    image, output = model.graph.input[0].name, model.graph.output[0].name
    last = next(layer for layer in layers if output in layer.outputs)
    if last.instance.kernel not in LOGIT_BITS:
        raise IcsortError(f"layer '{last.source}': the logits must come straight from a matrix product or its bias")
    logit_bits = int(last.instance.parameters[LOGIT_BITS[last.instance.kernel]])
    pixel_bits = _shape(model, image)[-1] * _type(model, image).bitwidth()
    text, glue = _verilog(layers, title, (image, pixel_bits), (output, _shape(model, output)[-1] * logit_bits), ultra)
    return Network(tuple(layers), text, logit_bits, tuple(glue))


def for_family(instance: Instance, family: str) -> Instance:
    """An instance with what it must know of the FPGA's family: how wide DSP slices are."""
    if "MULT_STYLE" not in instance.parameters:
        return instance
    return replace(instance, parameters={**instance.parameters, "DSP_A_BITS": PORT_BITS[family]})


class _NotCoveredError(Exception):
    """Why a kernel cannot do a node's work; the caller adds the layer's name."""


def sliding_window(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's ConvolutionInputGenerator: whole windows or SIMD channels of a tap, no padding, no dilation."""
    get = getCustomOp(node).get_nodeattr
    if any(d != 1 for d in get("Dilation")):
        raise _NotCoveredError(f"dilation {list(get('Dilation'))} is not covered; use dilation 1")
    (ifm_h, ifm_w), (k_h, k_w), (s_h, s_w) = get("IFMDim"), get("ConvKernelDim"), get("Stride")
    channels, bits = get("IFMChannels"), _type(model, node.input[0]).bitwidth()
    parameters: Parameters = {
        "IFM_H": int(ifm_h), "IFM_W": int(ifm_w), "CHANNELS": channels, "BITS": bits,
        "K_H": int(k_h), "K_W": int(k_w), "STRIDE_H": int(s_h), "STRIDE_W": int(s_w),
    }  # fmt: skip
    if not unit["parallel_window"]:
        simd = int(unit["SIMD"])
        lines = window_lines(int(ifm_h), int(k_h), int(s_h))
        style = line_style(unit, lines * int(ifm_w) * (channels // simd), simd * bits)
        parameters |= {"SIMD": simd, "LINES": lines, "DEPTHWISE": get("depthwise"), "RAM_STYLE": style}
        return Instance("sliding_window_folded", parameters, (simd * bits,), simd * bits)
    parameters["RAM_STYLE"] = unit.get("ram_style", "auto")
    return Instance("sliding_window", parameters, (channels * bits,), int(k_h * k_w) * channels * bits)


def fmpad(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's FMPadding."""
    _refuse_bipolar(model, node)
    get = getCustomOp(node).get_nodeattr
    (ifm_h, ifm_w), (top, left, bottom, right) = get("ImgDim"), get("Padding")
    channels, simd, bits = get("NumChannels"), int(unit["SIMD"]), _type(model, node.input[0]).bitwidth()
    parameters: Parameters = {
        "IFM_H": int(ifm_h), "IFM_W": int(ifm_w), "CHANNELS": channels, "SIMD": simd, "BITS": bits,
        "PAD_TOP": int(top), "PAD_LEFT": int(left), "PAD_BOTTOM": int(bottom), "PAD_RIGHT": int(right),
    }  # fmt: skip
    return Instance("fmpad", parameters, (simd * bits,), simd * bits)


def mvau(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's MVAU without activation. Weights and accumulators are signed, as wide as the weights at hand need."""
    get = getCustomOp(node).get_nodeattr
    if not get("noActivation") or get("binaryXnorMode"):
        raise _NotCoveredError("thresholds or XNOR inside the matrix unit are not covered")
    mw, mh, simd, pe = get("MW"), get("MH"), int(unit["SIMD"]), int(unit["PE"])
    bits, signed, bipolar = _coding(_type(model, node.input[0]))
    weights, weight_bits = _weights(model, node)
    weights = weights.T  # (MH, MW)
    acc_bits = _result_bits(model, node)
    rows = weights.reshape(mh // pe, pe, mw // simd, simd).transpose(0, 2, 1, 3).reshape(-1, pe * simd)
    memory = Memory("WEIGHTS_FILE", weight_bits, rows)
    parameters: Parameters = {
        "MW": mw, "MH": mh, "SIMD": simd, "PE": pe, "ACT_BITS": bits, "ACT_SIGNED": signed, "ACT_BIPOLAR": bipolar,
        "WEIGHT_BITS": weight_bits, "ACC_BITS": acc_bits, "RAM_STYLE": unit.get("ram_style", "auto"),
        "MULT_STYLE": unit.get("mult_style", "auto"),
    }  # fmt: skip
    return Instance("mvau", parameters, (simd * bits,), pe * acc_bits, memory)


def vvau(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's VVAU without activation, behind a window generator in the same mode."""
    get = getCustomOp(node).get_nodeattr
    if not get("noActivation"):
        raise _NotCoveredError("thresholds inside the depthwise unit are not covered")
    channels, taps = get("Channels"), int(np.prod(get("Kernel")))
    simd, pe = int(unit["SIMD"]), int(unit["PE"])
    bits, signed, bipolar = _coding(_type(model, node.input[0]))
    weights, weight_bits = _weights(model, node)
    weights = weights.reshape(channels, taps)
    acc_bits = _result_bits(model, node)
    rows = weights.reshape(channels // pe, pe, taps // simd, simd).transpose(0, 2, 1, 3).reshape(-1, pe * simd)
    memory = Memory("WEIGHTS_FILE", weight_bits, rows)
    parameters: Parameters = {
        "CHANNELS": channels, "KERNEL": taps, "SIMD": simd, "PE": pe, "ACT_BITS": bits, "ACT_SIGNED": signed,
        "ACT_BIPOLAR": bipolar, "WEIGHT_BITS": weight_bits, "ACC_BITS": acc_bits,
        "WHOLE_WINDOW": unit["parallel_window"], "RAM_STYLE": unit.get("ram_style", "auto"),
        "MULT_STYLE": unit.get("mult_style", "auto"),
    }  # fmt: skip
    in_elements = taps * channels if unit["parallel_window"] else pe
    return Instance("vvau", parameters, (in_elements * bits,), pe * acc_bits, memory)


def stream_fork(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's DuplicateStreams."""
    pe, copies = int(unit["PE"]), len(node.output)
    bits = pe * _type(model, node.input[0]).bitwidth()
    return Instance("stream_fork", {"WIDTH": bits, "OUTPUTS": copies}, (bits,), bits, outputs=copies)


def stream_add(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's ElementwiseAdd of two streams of one shape."""
    _refuse_bipolar(model, node)
    if _shape(model, node.input[0]) != _shape(model, node.input[1]):
        raise _NotCoveredError("the branches have different shapes; join pixels and channels one to one")
    pe, out_bits = int(unit["PE"]), _result_bits(model, node)
    lhs, rhs = (_type(model, tensor) for tensor in node.input)
    parameters: Parameters = {
        "PE": pe, "LHS_BITS": lhs.bitwidth(), "LHS_SIGNED": int(lhs.signed()),
        "RHS_BITS": rhs.bitwidth(), "RHS_SIGNED": int(rhs.signed()), "OUT_BITS": out_bits,
    }  # fmt: skip
    return Instance("stream_add", parameters, (pe * lhs.bitwidth(), pe * rhs.bitwidth()), pe * out_bits)


def channel_add(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's ElementwiseAdd of a stream and a constant: one addend for each channel."""
    _refuse_bipolar(model, node)
    channels, pe, out_bits = _shape(model, node.input[0])[-1], int(unit["PE"]), _result_bits(model, node)
    addends = _integers(model, node.input[1])
    if addends.shape[-1] != channels or addends.size != channels:
        raise _NotCoveredError("a constant is added to each channel; give it one value a channel")
    (in_bits, signed), bits = _operand(model, node.input[0]), _signed_bits(addends)
    memory = Memory("ADDENDS_FILE", bits, addends.reshape(channels // pe, pe))
    parameters: Parameters = {
        "CHANNELS": channels, "PE": pe, "IN_BITS": in_bits, "IN_SIGNED": int(signed),
        "ADDEND_BITS": bits, "ADDEND_SIGNED": 1, "OUT_BITS": out_bits, "RAM_STYLE": "auto",
    }  # fmt: skip
    return Instance("channel_add", parameters, (pe * in_bits,), pe * out_bits, memory)


def global_acc_pool(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's GlobalAccPool: sums; the division went into the scale of the logits."""
    _refuse_bipolar(model, node)
    get = getCustomOp(node).get_nodeattr
    pe, data, out_bits = int(unit["PE"]), _type(model, node.input[0]), _type(model, node.output[0]).bitwidth()
    parameters: Parameters = {
        "CHANNELS": get("NumChannels"), "PE": pe, "PIXELS": int(np.prod(_shape(model, node.input[0])[:-1])),
        "BITS": data.bitwidth(), "SIGNED": int(data.signed()), "OUT_BITS": out_bits,
    }  # fmt: skip
    return Instance("global_acc_pool", parameters, (pe * data.bitwidth(),), pe * out_bits)


def threshold(model: ModelWrapper, node: NodeProto, unit: Unit) -> Instance:
    """FINN's Thresholding. One set of thresholds for all channels is written out for each."""
    get = getCustomOp(node).get_nodeattr
    channels, pe, bias = get("NumChannels"), int(unit["PE"]), get("ActVal")
    output = _type(model, node.output[0])
    bits, signed = _threshold_input(model, node)
    thresholds = _reachable(model, node)
    steps = thresholds.shape[1]
    thresholds = np.broadcast_to(thresholds, (channels, steps))
    memory = Memory("THRESHOLDS_FILE", bits, thresholds.reshape(channels // pe, pe * steps))
    parameters: Parameters = {
        "CHANNELS": channels, "PE": pe, "IN_BITS": bits, "IN_SIGNED": int(signed), "STEPS": steps,
        "OUT_BITS": output.bitwidth(), "OUT_BIAS": int(bias), "RAM_STYLE": unit.get("ram_style", "auto"),
    }  # fmt: skip
    return Instance("threshold", parameters, (pe * bits,), pe * output.bitwidth(), memory)


def max_pool(model: ModelWrapper, node: NodeProto, _unit: Unit) -> Instance:
    """FINN's Pool with function MaxPool, behind its own window generator."""
    get = getCustomOp(node).get_nodeattr
    if get("Function") != "MaxPool":
        raise _NotCoveredError(f"pool function {get('Function')} is not covered; use max pooling")
    k_h, k_w = get("KernelSize")
    channels, (bits, signed, _) = get("Channels"), _coding(_type(model, node.input[0]))
    parameters: Parameters = {"CHANNELS": channels, "BITS": bits, "SIGNED": signed, "WINDOW": int(k_h * k_w)}
    return Instance("max_pool", parameters, (int(k_h * k_w) * channels * bits,), channels * bits)


KERNELS: Mapping[str, Callable[[ModelWrapper, NodeProto, Unit], Instance]] = {
    "FMPadding": fmpad,
    "ConvolutionInputGenerator": sliding_window,
    "MVAU": mvau,
    "VVAU": vvau,
    "Thresholding": threshold,
    "Pool": max_pool,
    "DuplicateStreams": stream_fork,
    "ElementwiseAdd": lambda model, node, unit: (stream_add if len(streams(model, node)) == 2 else channel_add)(
        model, node, unit
    ),
    "GlobalAccPool": global_acc_pool,
}


def fifo(width: int, depth: int, ultra: bool) -> Parameters:
    """Parameters of a FIFO of `depth` beats of `width` bits. ultra: UltraRAM may hold what would fill much else."""
    blocks, ultras = -(-width // 36) * -(-depth // 512), -(-width // 72) * -(-depth // 4096)
    style = "ultra" if ultra and depth >= ULTRA_DEPTH and blocks >= ULTRA_SAVES * ultras else "auto"
    return {"WIDTH": width, "DEPTH": depth, "RAM_STYLE": style}


def line_style(unit: Mapping[str, int | str], depth: int, bits: int) -> int | str:
    """Where the lines of a folded window generator go, `depth` words of `bits` bits.

    "auto" puts into LUTs what would leave a block RAM nearly empty.
    """
    if unit.get("ram_style", "auto") != "auto":
        return unit["ram_style"]
    return "block" if depth >= BLOCK_DEPTH and depth * bits >= BLOCK_BITS else "distributed"


def pack(rows: npt.NDArray[np.int64], bits: int) -> list[int]:
    """Words of memory: row by row, element i of a row at bit i * bits, two's complement. rows: (words, elements)."""
    low, high = int(rows.min()), int(rows.max())
    if low < -(1 << (bits - 1)) or high >= 1 << (bits if low >= 0 else bits - 1):
        raise ValueError(f"{low}..{high} does not fit in {bits} bits")
    mask = (1 << bits) - 1
    words = []
    for row in rows:
        word = 0
        for i, value in enumerate(row):
            word |= (int(value) & mask) << (i * bits)
        words.append(word)
    return words


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


def _shape(model: ModelWrapper, tensor: str) -> list[int]:
    return [int(size) for size in model.get_tensor_shape(tensor)]


def _type(model: ModelWrapper, tensor: str) -> BaseDataType:
    return model.get_tensor_datatype(tensor)


def _coding(data: BaseDataType) -> tuple[int, int, int]:
    """Bits of an element of a stream, and whether it is signed or bipolar (one bit, 1 is +1 and 0 is -1)."""
    bipolar = data == DataType["BIPOLAR"]
    return int(data.bitwidth()), int(data.signed() and not bipolar), int(bipolar)


def _weights(model: ModelWrapper, node: NodeProto) -> tuple[npt.NDArray[np.int64], int]:
    """Weights as they are stored, and the bits of one: a single bit for bipolar ones, else two's complement."""
    weights = _integers(model, node.input[1])
    if _type(model, node.input[1]) == DataType["BIPOLAR"]:
        return (weights + 1) // 2, 1
    return weights, max(2, _signed_bits(weights))


def _refuse_bipolar(model: ModelWrapper, node: NodeProto) -> None:
    if any(_coding(_type(model, tensor))[2] for tensor in node.input if model.get_initializer(tensor) is None):
        raise _NotCoveredError("values of -1 and 1 in one bit have no zero and no sum; use at least 2 bits")


def _integers(model: ModelWrapper, tensor: str) -> npt.NDArray[np.int64]:
    return np.asarray(np.rint(model.get_initializer(tensor)), dtype=np.int64)


def _signed_bits(values: npt.NDArray[np.int64]) -> int:
    """Bits of two's complement that hold every value."""
    return max(int(values.max()).bit_length(), int(-values.min() - 1).bit_length() if values.min() < 0 else 0) + 1


# Kernels whose results can be made wider than FINN typed them.
WIDENED = ("MVAU", "VVAU", "ElementwiseAdd")


def _result(model: ModelWrapper, node: NodeProto) -> tuple[int, bool]:
    """Bits and sign of the sums that a layer of WIDENED gives, before a threshold asks for more."""
    data = _type(model, node.output[0])
    if node.op_type == "ElementwiseAdd":
        return int(data.bitwidth()), bool(data.signed())
    return int(data.bitwidth()) + (0 if data.signed() else 1), True


def _result_bits(model: ModelWrapper, node: NodeProto) -> int:
    """Bits of the sums that a layer of WIDENED gives: as the Thresholding behind it wants them, if one is there."""
    consumer = model.find_consumers(node.output[0])
    if len(consumer) == 1 and consumer[0].op_type == "Thresholding":
        return _threshold_input(model, consumer[0])[0]
    return _result(model, node)[0]


def _operand(model: ModelWrapper, tensor: str) -> tuple[int, bool]:
    """Bits and sign of a stream's elements, before a threshold asks for more."""
    producer = model.find_producer(tensor)
    if producer is not None and producer.op_type in WIDENED:
        return _result(model, producer)
    data = _type(model, tensor)
    return int(data.bitwidth()), bool(data.signed())


def _threshold_input(model: ModelWrapper, node: NodeProto) -> tuple[int, bool]:
    """Bits and sign of a Thresholding's input: its own, and one bit more if a threshold lies above all its values."""
    bits, signed = _operand(model, node.input[0])
    if _reachable(model, node).max() < 1 << (bits - signed):
        return bits, signed
    producer = model.find_producer(node.input[0])
    if producer is None or producer.op_type not in WIDENED:
        raise _NotCoveredError("a threshold above the range of the input is covered behind sums only")
    return bits + 1, signed


def _reachable(model: ModelWrapper, node: NodeProto) -> npt.NDArray[np.int64]:
    """Thresholds (channels or 1, steps), those at the end left out that no value reaches in any channel.

    Behind sums they stay, one bit wider: that many steps are what the activation's type has.
    """
    thresholds = _integers(model, node.input[1])
    producer = model.find_producer(node.input[0])
    if producer is not None and producer.op_type in WIDENED:
        return thresholds
    reached = (thresholds <= _type(model, node.input[0]).max()).any(axis=0)
    steps = int(np.flatnonzero(reached).max(initial=-1)) + 1
    if not steps:
        raise _NotCoveredError("gives one value only, whatever comes")
    return thresholds[:, :steps]
