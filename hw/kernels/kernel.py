# SPDX-License-Identifier: Apache-2.0
"""What the tools ask of a kernel: the interface that each module of this folder implements for one of hw/rtl/kernels.

A `Kernel` knows what it costs. A `LayerKernel` does the work of a FINN node besides: it reads the node, says how it may
be folded, in which cycles it does what, and which parameters and memory its instance gets. What follows cycles, counts
resources and puts the netlist together asks through the registry in __init__.py and knows no kernel; the search knows
those that multiply, for which it chooses.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from icsort.hw.kernels.fabric import Use
from icsort.hw.kernels.finn import Integers
from icsort.hw.kernels.streams import Step, Stream, Times

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

Parameters = dict[str, int | str]
Bound = Mapping[str, Any]  # parameters with every default
Unit = Mapping[str, int | str]  # how a layer is folded: its entry in a folding


@dataclass(frozen=True)
class Memory:
    """A file for $readmemh: a word a row of `rows`, address 0 first, elements of `bits` bits; `parameter` of the kernel
    names it. rows: (words, elements) integers."""

    parameter: str
    bits: int
    rows: Integers

    def text(self) -> str:
        """The file's contents, every word with all its hexadecimal digits."""
        digits = (self.bits * self.rows.shape[1] + 3) // 4
        return "".join(f"{word:0{digits}x}\n" for word in pack(self.rows, self.bits))


def pack(rows: Integers, bits: int) -> list[int]:
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


@dataclass(frozen=True)
class Sample:
    """Parameters to synthesize a kernel with, and its memory: the parameter that names it (empty: none), words, bits of
    a word. source: of the module `sample` that is generated around it, where one is."""

    parameters: Parameters
    memory: str = ""
    words: int = 0
    word_bits: int = 0
    source: str = ""


@dataclass(frozen=True)
class Node:
    """A hardware layer of FINN's graph, read once.

    op: FINN's type, or what the kernel calls its share of it. source: the layer of the user's file. inputs, outputs:
    the tensors that stream. height, width: pixels (or windows) at the input; elements: of one of them. in_bits,
    out_bits: of an element of each input and of the outputs. parameters: those of the kernel that folding does not
    change. constants: weights, thresholds or addends, as the kernel stores them.

    What folding asks of some: kernel, stride: of a window generator. rows, columns: MH and MW of an MVAU. taps: of a
    VVAU's or pool's kernel, channels: its channels, and those that a
    concatenation gives. whole: whether a vector of an MVAU arrives as one pixel or window,
    and not pixel by pixel (behind a flatten).
    """

    name: str
    op: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    height: int
    width: int
    elements: int
    in_bits: tuple[int, ...]
    out_bits: int
    parameters: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    constants: Integers | None = field(default=None, repr=False, compare=False)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    rows: int = 0
    columns: int = 0
    channels: int = 0
    taps: int = 1
    whole: bool = True
    depthwise: bool = False


class Kernel(ABC):
    """One module of hw/rtl/kernels.

    name: of the RTL module, its file, its test and its page. parts: modules inside it. shares_costs_of: the module
    whose LUT costs count for it too, where they are not its own. defaults: of parameters that may be left out when
    resources are asked for, as in the RTL. draws: random instances to which its costs are fitted.
    """

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]] = ()
    shares_costs_of: ClassVar[str] = ""
    defaults: ClassVar[Parameters] = {}
    draws: ClassVar[int]

    @abstractmethod
    def use(self, p: Bound, family: str) -> Use:
        """What an instance is made of. family: one of fabric.FAMILIES."""

    @abstractmethod
    def sample(self, draw: random.Random) -> Sample:
        """Random parameters: what layers use, and the corners of it."""

    def samples(self) -> Iterable[Sample]:
        """Instances that the costs are fitted to besides random ones."""
        return ()

    def frame_beats(self, p: Bound) -> int | None:
        """Beats of a frame at the output of a kernel that begins the next frame before it comes; else None."""
        return None


class LayerKernel(Kernel):
    """A kernel that does the work of a FINN node.

    finn_op: the node's type. op: what folding calls it, where that is not FINN's name. gives_logits: whether it may be
    the last one. lines: whether what waits for the next layer waits in its lines, and no FIFO is needed for it.

    Kernels of one op differ in how they are folded (`folds`); they read a node alike.
    """

    finn_op: ClassVar[str]
    op: ClassVar[str] = ""
    gives_logits: ClassVar[bool] = False
    lines: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.op = cls.op or getattr(cls, "finn_op", "")

    # Reading the node

    def implements(self, model: "ModelWrapper", proto: "NodeProto") -> bool:
        """Whether it does this node of its FINN type."""
        return True

    def streams(self, proto: "NodeProto") -> tuple[str, ...]:
        """Inputs that stream; the others are constants."""
        return tuple(proto.input[:1])

    @abstractmethod
    def read(self, model: "ModelWrapper", proto: "NodeProto", node: Node) -> Node:
        """`node`, which has what can be told of any, with what there is to know of this one. Raises NotCoveredError."""

    # Folding

    def folds(self, unit: Unit) -> bool:
        """Whether it does its layers where they are folded like this."""
        return True

    def limits(self, node: Node) -> dict[str, int]:
        """What PE and SIMD must divide."""
        return {"PE": node.elements}

    def refuses(self, node: Node, unit: Unit) -> str:
        """Why it cannot do a layer folded like this although PE and SIMD divide it; empty where it can."""
        return ""

    def in_lanes(self, node: Node, unit: Unit) -> int:
        """Elements in a beat at its input, at the first one of a join."""
        return int(unit["PE"])

    def side_lanes(self, node: Node, unit: Unit) -> tuple[int, ...]:
        """Elements in a beat at each input; a pixel takes as many beats at all of them."""
        return (self.in_lanes(node, unit),) * len(node.inputs)

    def out_lanes(self, node: Node, unit: Unit) -> int:
        """Elements in a beat at its outputs."""
        return int(unit["PE"])

    # Cycles

    @abstractmethod
    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        """What it makes of a stream in which cycles, by what the head of the RTL promises."""

    @abstractmethod
    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        """`step` backwards: cycles left until the logits from when each pixel arrives; `left`: from when it is given.

        The latest of `step(...).out.times + left` is the latest of `arriving.times` plus this. Of one frame.
        """

    def pause(self, node: Node, unit: Unit) -> int:
        """Cycles a frame in which it gives nothing to the next layer although it has work."""
        return 0

    def room(self, node: Node, unit: Unit, arriving: Stream, behind: Stream) -> Times:
        """From when on a kernel with `lines` can take each pixel. behind: when the next layer takes what it gives."""
        raise NotImplementedError

    def ahead(self, node: Node, unit: Unit, lanes: int) -> int:
        """Beats that must wait in front of it where they come from lines, `lanes` elements a cycle."""
        return 0

    # The instance

    @abstractmethod
    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        """Of the instance, in the order of the RTL, without the name of its memory file."""

    def memory(self, node: Node, unit: Unit) -> Memory | None:
        """What is in its memory file, if it has one."""
        return None

    def source(self, node: Node, unit: Unit, name: str) -> str:
        """SystemVerilog of the module `name` that is generated for this layer, around the kernel's own; it has ports
        s_axis_* and m_axis_* and no parameters. Empty: the kernel's own does the work."""
        return ""
