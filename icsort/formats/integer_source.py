# SPDX-License-Identifier: Apache-2.0
"""From the netlist of a build, the one that its RTL is written from, to C++ that computes the same without a clock.

FIFOs and width converters change no element and are gone, a window generator and the thresholds behind a product are
part of that product. `integer_kernels.h` has the arithmetic; what is written here is which kernel takes which stream,
in which shape and in integers of how many bits. Weights, thresholds and addends are not in the source: they are read
from the files that the RTL reads, so that networks of one shape share a program.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.netlist import CONVERTER, FIFO, Instance, Netlist

Integers = NDArray[np.int32]

NARROW_BITS, WIDE_BITS = 16, 32
NARROW_MAX = 2**15 - 1
SHORTEST_CHUNK = 16  # products that must fit into 16 bits together, for 16 bits to be worth it
WINDOWS = ("sliding_window", "sliding_window_folded")


@dataclass(frozen=True)
class Elements:
    """A stream: elements of an image, and bits and sign of one."""

    count: int
    bits: int
    signed: bool

    @property
    def type(self) -> str:
        """What C++ holds one in. Raises ValueError where it holds none so wide."""
        needed = self.bits + (not self.signed)
        if needed > WIDE_BITS:
            raise ValueError(f"has values of {self.bits} bits; at most {WIDE_BITS} with their sign are covered")
        return "int16_t" if needed <= NARROW_BITS else "int32_t"


@dataclass
class Source:
    """text: of the C++ file. constants: what its `integer_open` takes, in order. input, output: elements an image."""

    text: str
    constants: list[Integers]
    input: int
    output: int


def source(netlist: Netlist, memories: Path, image: Elements) -> Source:
    """The program of a netlist. memories: folder of its memory files; image: its input.

    Raises IcsortError, by the instance's name, for one that is not covered, and for a memory file that is missing or
    damaged.
    """
    return _Writer(netlist, memories, image).write()


@dataclass
class _Writer:
    netlist: Netlist
    memories: Path
    image: Elements
    streams: dict[str, str] = field(default_factory=dict)  # stream -> the one whose elements it carries
    elements: dict[str, Elements] = field(default_factory=dict)
    windows: dict[str, tuple[str, Instance]] = field(default_factory=dict)  # stream of windows -> stream of pixels
    members: list[str] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    constants: list[Integers] = field(default_factory=list)
    fused: set[str] = field(default_factory=set)

    def write(self) -> Source:
        self.stream(self.netlist.input, self.image)
        for instance in self.netlist.instances:
            if instance.name in self.fused:
                continue
            try:
                self.add(instance)
            except (KeyError, ValueError) as error:
                what = f"has no {error}" if isinstance(error, KeyError) else str(error)
                raise IcsortError(
                    f"netlist: {instance.name} ({instance.module}) {what}; give the model package in place of the build"
                ) from None
        first, last = self.variable(self.netlist.input), self.variable(self.netlist.output)
        given, taken = self.image.count, self.of(self.netlist.output).count
        lines = [
            "// Generated from a netlist: each kernel by the name of its instance in the RTL.",
            '#include "integer_kernels.h"',
            "using namespace integer;",
            "namespace {",
            "struct Network {",
            *(f"  {member}" for member in self.members),
            "  explicit Network(const int32_t* const* data)" + (" :" if self.starts else " { (void)data; }"),
            ",\n".join(f"      {start}" for start in self.starts) + (" {}" if self.starts else ""),
            "  void run(const int32_t* image, int32_t* logits) {",
            f"    copy({given}, image, {first});",
            *(f"    {call}" for call in self.calls),
            f"    copy({taken}, {last}, logits);",
            "  }",
            "};",
            "}  // namespace",
            'extern "C" {',
            "void* integer_open(const int32_t* const* data) { return new Network(data); }",
            "void integer_close(void* network) { delete static_cast<Network*>(network); }",
            "void integer_run(void* network, int64_t images, const int32_t* in, int32_t* out) {",
            "  for (int64_t image = 0; image < images; ++image)",
            f"    static_cast<Network*>(network)->run(in + image * {given}, out + image * {taken});",
            "}",
            "}",
        ]
        return Source("\n".join(lines) + "\n", self.constants, given, taken)

    # Streams

    def stream(self, name: str, elements: Elements) -> str:
        """A stream with an array of its own; returns the array's name."""
        self.streams[name] = name
        self.elements[name] = elements
        variable = self.variable(name)
        self.members.append(f"alignas(64) {elements.type} {variable}[{elements.count} + SLACK] = {{}};")
        return variable

    def of(self, stream: str) -> Elements:
        return self.elements[self.streams[stream]]

    def variable(self, stream: str) -> str:
        name = self.streams[stream].replace("[", "_").replace("]", "")
        return f"{name}_s"

    def constant(self, values: Integers) -> str:
        self.constants.append(np.ascontiguousarray(values, np.int32))
        return f"data[{len(self.constants) - 1}]"

    # Instances

    def add(self, instance: Instance) -> None:
        if instance.module in (FIFO, CONVERTER, "stream_fork"):
            stream = next(iter(instance.inputs.values()))
            for output in instance.outputs:
                if stream in self.windows:
                    self.windows[output] = self.windows[stream]
                else:
                    self.streams[output] = self.streams[stream]
            return
        if instance.module in WINDOWS:
            self.windows[instance.outputs[0]] = (next(iter(instance.inputs.values())), instance)
            return
        writers: dict[str, Callable[[Instance], None]] = {
            "mvau": self.product,
            "constant_mvau": self.product,
            "vvau": self.product,
            "threshold": self.threshold,
            "fmpad": self.fmpad,
            "max_pool": self.max_pool,
            "max_pool_folded": self.max_pool,
            "global_acc_pool": self.global_acc_pool,
            "stream_add": self.stream_add,
            "stream_concat": self.stream_concat,
            "channel_add": self.channel_add,
        }
        if instance.module not in writers:
            raise ValueError("is no kernel of the model without a clock")
        writers[instance.module](instance)

    def windows_of(self, instance: Instance, length: int) -> tuple[str, str, int]:
        """Stream that an instance's windows lie in, or its vectors of `length` elements; C++ for them; how many."""
        stream = next(iter(instance.inputs.values()))
        if stream not in self.windows:
            count = self.of(stream).count // length
            return stream, f"Windows({count}, {length})", count
        pixels, generator = self.windows[stream]
        p = numbers(generator)
        shape = [p[key] for key in ("IFM_H", "IFM_W", "CHANNELS", "K_H", "K_W", "STRIDE_H", "STRIDE_W")]
        height, width, channels, k_h, k_w, s_h, s_w = shape
        if k_h * k_w * channels != length:
            raise ValueError(f"takes {length} elements of windows of {k_h * k_w * channels}")
        count = ((height - k_h) // s_h + 1) * ((width - k_w) // s_w + 1)
        return pixels, f"Windows({', '.join(map(str, shape))})", count

    def product(self, instance: Instance) -> None:
        """mvau, constant_mvau and vvau, with the thresholds behind them."""
        p = numbers(instance)
        depthwise = instance.module == "vvau"
        rows = p["CHANNELS"] if depthwise else p["MH"]
        columns = p["KERNEL"] if depthwise else p["MW"]
        stream, windows, count = self.windows_of(instance, columns * rows if depthwise else columns)
        weights, offsets, largest = self.weights(instance, rows, columns)
        sums = Elements(count * rows, p["ACC_BITS"], True)
        after, out = "Plain", sums
        output, arguments = instance.outputs[0], "Plain()"
        if behind := self.behind(instance):
            self.fused.update(between.name for between in behind)
            after, output = "Thresholds", behind[-1].outputs[0]
            arguments, out = self.thresholds(behind[-1], sums.count)
        taken = self.of(stream)
        act = (1 << (taken.bits - taken.signed)) - (not taken.signed)
        chunk = NARROW_MAX // (act * largest)
        narrow = sums.type == "int16_t"
        factor = "int16_t" if narrow or (chunk >= SHORTEST_CHUNK and not depthwise) else sums.type
        if taken.type != "int16_t":
            factor = "int32_t"
        chunk = chunk if factor != sums.type else columns
        into = self.stream(output, out)
        data = f"{self.constant(weights)}, {self.constant(offsets)}"
        if depthwise:
            kind = f"Depthwise<{taken.type}, {factor}, {out.type}, {after}>"
            start = f"{windows}, {rows}, {data}, {arguments}"
        else:
            kind = f"Matrix<{taken.type}, {factor}, {sums.type}, {out.type}, {after}, block<{factor}>({rows})>"
            start = f"{windows}, {rows}, {chunk}, {data}, {arguments}"
        self.kernel(instance, kind, start, self.variable(stream), into)

    def kernel(self, instance: Instance, kind: str, arguments: str, *streams: str) -> None:
        """A kernel with constants: a member of the network."""
        self.members.append(f"{kind} {instance.name};")
        self.starts.append(f"{instance.name}({arguments})")
        self.calls.append(f"{instance.name}.run({', '.join(streams)});")

    def behind(self, instance: Instance) -> list[Instance]:
        """The thresholds that alone take what a product gives, last, and what is between; nothing where it goes
        elsewhere."""
        stream, passed = instance.outputs[0], list[Instance]()
        while (taker := self.netlist.consumer.get(stream)) is not None and taker.module in (FIFO, CONVERTER):
            passed.append(taker)
            stream = taker.outputs[0]
        return [*passed, taker] if taker is not None and taker.module == "threshold" else []

    def weights(self, instance: Instance, rows: int, columns: int) -> tuple[Integers, Integers, int]:
        """Weights (rows, columns) for activations as they are stored, what each sum begins with, and the largest that a
        weight can be. A bipolar activation is stored as 0 for -1."""
        p = numbers(instance)
        if instance.module == "constant_mvau":  # as wide as a sum, which is a weight where one activation is 1
            values = self.memory(instance, p["ACC_BITS"], columns, rows * columns, signed=True).reshape(rows, columns)
            return values, np.zeros(rows, np.int32), max(1, int(np.abs(values).max()))
        bits, pe, simd = p["WEIGHT_BITS"], p["PE"], p["SIMD"]
        words = self.memory(instance, bits, pe * simd, rows * columns, signed=bits > 1)
        stored = words.reshape(rows // pe, columns // simd, pe, simd).transpose(0, 2, 1, 3).reshape(rows, columns)
        bipolar, largest = p.get("ACT_BIPOLAR", 0), 1 << (bits - 1)
        weights, offsets = stored, np.zeros(rows, np.int32)
        if bits == 1:  # with bipolar activations the number of equal pairs counts
            weights = 2 * stored - 1
            offsets = (1 - stored).sum(axis=1) if bipolar else offsets
        elif bipolar:
            weights, offsets, largest = 2 * stored, -stored.sum(axis=1), 2 * largest
        return weights, offsets, largest

    def thresholds(self, instance: Instance, elements: int) -> tuple[str, Elements]:
        """C++ of a threshold's constants, and what it gives."""
        p = numbers(instance)
        channels, steps, signed = p["CHANNELS"], p["STEPS"], bool(p.get("IN_SIGNED", 1))
        shared = bool(p.get("PER_TENSOR", 0))
        pe, kinds = (1, 1) if shared else (p["PE"], channels)
        values = self.memory(instance, p["IN_BITS"], pe * steps, kinds * steps, signed=signed).reshape(kinds, steps)
        data = self.constant(np.broadcast_to(values, (channels, steps)))
        bias = p.get("OUT_BIAS", 0)
        return f"Thresholds({data}, {channels}, {steps}, {bias})", Elements(elements, p["OUT_BITS"], bias < 0)

    def threshold(self, instance: Instance) -> None:
        stream, p = next(iter(instance.inputs.values())), numbers(instance)
        taken = self.of(stream)
        arguments, out = self.thresholds(instance, taken.count)
        into = self.stream(instance.outputs[0], out)
        pixels, channels = taken.count // p["CHANNELS"], p["CHANNELS"]
        start = f"{pixels}, {channels}, {taken.bits}, {str(taken.signed).lower()}, {arguments}"
        self.kernel(instance, f"Threshold<{taken.type}, {out.type}>", start, self.variable(stream), into)

    def fmpad(self, instance: Instance) -> None:
        stream, p = next(iter(instance.inputs.values())), numbers(instance)
        taken = self.of(stream)
        top, left, bottom, right = (p.get(f"PAD_{side}", 1) for side in ("TOP", "LEFT", "BOTTOM", "RIGHT"))
        height, width, channels = p["IFM_H"], p["IFM_W"], p["CHANNELS"]
        count = (top + height + bottom) * (left + width + right) * channels
        into = self.stream(instance.outputs[0], Elements(count, taken.bits, taken.signed))
        sizes = f"{height}, {width}, {channels}, {top}, {left}, {right}"
        self.calls.append(f"pad({sizes}, {self.variable(stream)}, {into});")

    def max_pool(self, instance: Instance) -> None:
        p, stream = numbers(instance), next(iter(instance.inputs.values()))
        if stream not in self.windows:
            raise ValueError("takes no windows")
        channels = numbers(self.windows[stream][1])["CHANNELS"]
        pixels, windows, count = self.windows_of(instance, p["WINDOW"] * channels)
        taken = self.of(pixels)
        into = self.stream(instance.outputs[0], Elements(count * channels, taken.bits, taken.signed))
        self.members.append(f"const Windows {instance.name} = {windows};")
        self.calls.append(f"max_pool({instance.name}, {channels}, {self.variable(pixels)}, {into});")

    def global_acc_pool(self, instance: Instance) -> None:
        stream, p = next(iter(instance.inputs.values())), numbers(instance)
        into = self.stream(instance.outputs[0], Elements(p["CHANNELS"], p["OUT_BITS"], bool(p.get("SIGNED", 0))))
        self.calls.append(f"sum_pixels({p['PIXELS']}, {p['CHANNELS']}, {self.variable(stream)}, {into});")

    def stream_add(self, instance: Instance) -> None:
        p = numbers(instance)
        lhs, rhs = (instance.inputs[f"s_axis_{side}"] for side in ("lhs", "rhs"))
        signed = bool(p.get("LHS_SIGNED", 0) or p.get("RHS_SIGNED", 0))
        count = self.of(lhs).count
        into = self.stream(instance.outputs[0], Elements(count, p["OUT_BITS"], signed))
        self.calls.append(f"add({count}, {self.variable(lhs)}, {self.variable(rhs)}, {into});")

    def stream_concat(self, instance: Instance) -> None:
        p = numbers(instance)
        lhs, rhs = (instance.inputs[f"s_axis_{side}"] for side in ("lhs", "rhs"))
        kind = self.of(lhs)
        left, right = p["LHS_WIDTH"] // kind.bits, p["RHS_WIDTH"] // kind.bits
        pixels = kind.count // left
        into = self.stream(instance.outputs[0], Elements(pixels * (left + right), kind.bits, kind.signed))
        streams = f"{self.variable(lhs)}, {self.variable(rhs)}, {into}"
        self.calls.append(f"concatenate({pixels}, {left}, {right}, {streams});")

    def channel_add(self, instance: Instance) -> None:
        stream, p = next(iter(instance.inputs.values())), numbers(instance)
        channels, addend_signed = p["CHANNELS"], bool(p.get("ADDEND_SIGNED", 1))
        addends = self.memory(instance, p["ADDEND_BITS"], p["PE"], channels, signed=addend_signed)
        count = self.of(stream).count
        signed = addend_signed or bool(p.get("IN_SIGNED", 1))
        into = self.stream(instance.outputs[0], Elements(count, p["OUT_BITS"], signed))
        self.members.append(f"const std::vector<int32_t> {instance.name};")
        data = self.constant(addends)
        self.starts.append(f"{instance.name}({data}, {data} + {channels})")
        streams = f"{instance.name}.data(), {self.variable(stream)}, {into}"
        self.calls.append(f"add_channels({count // channels}, {channels}, {streams});")

    def memory(self, instance: Instance, bits: int, lanes: int, count: int, *, signed: bool) -> Integers:
        """All elements of an instance's memory file, word by word. Raises IcsortError for a file that is not whole."""
        if instance.memory is None:
            raise ValueError("has no memory file")
        path = self.memories / instance.memory.file
        digits = -(-bits * lanes // 4)
        try:
            words = path.read_text(encoding="ascii").split()
            if len(words) * lanes != count or any(len(word) != digits for word in words):
                raise ValueError
            raw = bytes.fromhex("".join(word.zfill(digits + digits % 2) for word in words))
        except (OSError, ValueError):
            raise IcsortError(
                f"{path}: is missing, or does not hold {count // lanes} words of {digits} hexadecimal digits; compile "
                "again"
            ) from None
        rows = np.frombuffer(raw, np.uint8).reshape(len(words), -1)[:, ::-1]
        ones = np.unpackbits(rows, axis=1, bitorder="little")[:, : bits * lanes].reshape(-1, bits)
        places = (1 << np.arange(bits, dtype=np.int64)).astype(np.int64)
        if signed:
            places[-1] = -places[-1]
        return (ones @ places).astype(np.int32)


def numbers(instance: Instance) -> dict[str, int]:
    """Parameters that are numbers."""
    return {name: value for name, value in instance.parameters.items() if isinstance(value, int)}
