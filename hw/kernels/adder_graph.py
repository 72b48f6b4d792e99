# SPDX-License-Identifier: Apache-2.0
"""The product of a constant matrix and a vector as a graph of adders that rows share: distributed arithmetic.

da4ml finds the graph (Sun et al., "da4ml: Distributed Arithmetic for Real-time Neural Networks on FPGAs", ACM TRETS
2025); here it becomes stages with registers between, counted and written as SystemVerilog. A weight of zero costs
nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version

import numpy as np

from icsort.cache import cache_entry, is_whole, keep
from icsort.hw.kernels.finn import Integers

STYLES = ("adders", "serial")  # what a folding says of layers that these graphs do: mult_style
LARGEST = 4096  # weights of a matrix: up to here da4ml takes a few seconds
ADDERS_A_STAGE = 2  # behind each other between two registers
SWEEPS = 4  # over the adders, each put into the stage where registers are fewest; later ones change next to nothing
ZERO = -1  # instead of a value
_WITHOUT_COST = -1  # da4ml: the depth of adders is no concern, registers cut it


@dataclass(frozen=True)
class Adder:
    """(left << left_shift) + (right << right_shift), or minus. left, right: numbers of values; left may be ZERO."""

    left: int
    left_shift: int
    right: int
    right_shift: int
    minus: bool


@dataclass(frozen=True)
class Output:
    """value << shift, 0 where the value is ZERO."""

    value: int
    shift: int


@dataclass(frozen=True)
class Graph:
    """Values 0 .. inputs - 1 are those of the vector, from `low` to `high` each; adder i makes value inputs + i."""

    inputs: int
    low: int
    high: int
    adders: tuple[Adder, ...]
    outputs: tuple[Output, ...]

    @cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Smallest and largest of each value."""
        ranges = [(self.low, self.high)] * self.inputs
        for adder in self.adders:
            low, high = (bound << adder.left_shift for bound in (ranges[adder.left] if adder.left != ZERO else (0, 0)))
            other = [bound << adder.right_shift for bound in ranges[adder.right]]
            ranges.append((low - other[1], high - other[0]) if adder.minus else (low + other[0], high + other[1]))
        return ranges

    def bits(self, value: int) -> int:
        """Of a value, with its sign if it may be negative."""
        low, high = self.ranges[value]
        return max(1, high.bit_length(), (-low - 1).bit_length()) + 1 if low < 0 else max(1, high.bit_length())

    def adder_bits(self, number: int) -> int:
        """Bits that an adder adds: those below the shifted operand's are the other one's."""
        adder, bits = self.adders[number], self.bits(self.inputs + number)
        if adder.left == ZERO or (adder.minus and adder.left_shift):
            return bits
        shift = max(adder.left_shift, adder.right_shift)
        below = adder.right if adder.left_shift else adder.left
        if shift >= self.bits(below) and self.ranges[below][0] >= 0 and not adder.minus:
            return 0  # the two lie beside each other
        return bits - shift

    @cached_property
    def stages(self) -> "Stages":
        return _scheduled(self)


@dataclass(frozen=True)
class Stages:
    """stage: of each value, that in which it is made, inputs in 0. last: the last one in which it is needed. count:
    registers from the inputs to the outputs, which are behind the last one."""

    stage: tuple[int, ...]
    last: tuple[int, ...]
    count: int


@lru_cache(maxsize=256)
def _solved(weights: bytes, rows: int, low: int, high: int) -> Graph:
    """The graph of weights (rows, columns), int64."""
    matrix = np.frombuffer(weights, dtype=np.int64).reshape(rows, -1)
    key = [version("da4ml").encode(), weights, f"{rows} {low} {high}".encode()]
    with cache_entry("adders", key) as folder:
        kept = folder / "graph.json"
        if not is_whole(kept):
            part = folder / "part.json"
            part.write_text(json.dumps(asdict(_searched(matrix, low, high))), encoding="utf-8")
            keep(part, kept)
        graph = json.loads(kept.read_text(encoding="utf-8"))
    adders = tuple(Adder(**adder) for adder in graph.pop("adders"))
    return Graph(**{**graph, "adders": adders, "outputs": tuple(Output(**output) for output in graph["outputs"])})


def solve(weights: Integers, low: int, high: int) -> Graph:
    """The graph that multiplies weights (rows, columns) by a vector of integers from `low` to `high`; the same for the
    same weights, kept by content. At most LARGEST weights, for which da4ml takes seconds."""
    return _solved(np.ascontiguousarray(weights, dtype=np.int64).tobytes(), len(weights), low, high)


def _searched(weights: Integers, low: int, high: int) -> Graph:
    """By da4ml, whose cascade of graphs becomes one."""
    from da4ml.cmvm import solve as search  # only who compiles needs it

    found = search(
        np.ascontiguousarray(weights.T, dtype=np.float32),
        qintervals=[(float(low), float(high), 1.0)] * weights.shape[1],
        adder_size=1,
        decompose_dc=_WITHOUT_COST,
        search_all_decompose_dc=False,
    )
    inputs = weights.shape[1]
    adders: dict[Adder, int] = {}
    # A term is value, shift and sign; a sum of two terms of one sign keeps it.
    terms = [(value, 0, False) for value in range(inputs)]

    def add(left: tuple[int, int, bool], right: tuple[int, int, bool]) -> tuple[int, int, bool]:
        if ZERO in (left[0], right[0]):
            return right if left[0] == ZERO else left
        if left[2] and not right[2]:
            left, right = right, left
        shift = min(left[1], right[1])
        adder = Adder(left[0], left[1] - shift, right[0], right[1] - shift, left[2] != right[2])
        return adders.setdefault(adder, inputs + len(adders)), shift, left[2]

    for cascade in found.solutions:
        buffer: list[tuple[int, int, bool]] = []
        for step in cascade.ops:
            if step.opcode == -1:
                value, shift, negative = terms[step.id0]
                buffer.append((value, shift + cascade.inp_shifts[step.id0], negative))
            else:
                assert step.opcode in (0, 1), step  # a linear graph has no others
                value, shift, negative = buffer[step.id1]
                buffer.append(add(buffer[step.id0], (value, shift + step.data, negative != (step.opcode == 1))))
        terms = [
            (buffer[value][0], buffer[value][1] + shift, buffer[value][2] != negative)
            if value != ZERO
            else (ZERO, 0, False)
            for value, shift, negative in zip(cascade.out_idxs, cascade.out_shifts, cascade.out_negs, strict=True)
        ]
    return _positive(inputs, low, high, list(adders), terms)


def _positive(inputs: int, low: int, high: int, adders: list[Adder], terms: list[tuple[int, int, bool]]) -> Graph:
    """With every output as it is and not its negative: a difference the other way round where nobody else needs it."""
    uses = [0] * (inputs + len(adders))
    for adder in adders:
        for value in {adder.left, adder.right}:
            uses[value] += 1
    for value, _, _ in terms:
        uses[value] += value != ZERO
    outputs = []
    for value, shift, negative in terms:
        if negative and value != ZERO:
            made = adders[value - inputs] if value >= inputs else None
            if made is not None and made.minus and uses[value] == 1:
                adders[value - inputs] = Adder(made.right, made.right_shift, made.left, made.left_shift, True)
            else:
                adders.append(Adder(ZERO, 0, value, 0, True))
                value = inputs + len(adders) - 1
        outputs.append(Output(value, shift))
    return Graph(inputs, low, high, tuple(adders), tuple(outputs))


def _scheduled(graph: Graph) -> Stages:
    """As early as can be, then each adder where it and what it adds need fewest registers."""
    operands = [tuple({adder.left, adder.right} - {ZERO}) for adder in graph.adders]
    users: list[list[int]] = [[] for _ in graph.ranges]
    time = [0] * graph.inputs  # adders behind each other, from the inputs on
    for number, values in enumerate(operands):
        time.append(1 + max(time[value] for value in values))
        for value in values:
            users[value].append(graph.inputs + number)
    count = -(-max(time) // ADDERS_A_STAGE)
    at_end = {output.value for output in graph.outputs}

    def stage(value: int) -> int:
        return max(0, time[value] - 1) // ADDERS_A_STAGE

    def last(value: int) -> int:
        return count if value in at_end else max((stage(user) for user in users[value]), default=stage(value))

    bits = [graph.bits(value) for value in range(len(time))]
    for _ in range(SWEEPS):
        for number in reversed(range(len(operands))):
            value = graph.inputs + number
            earliest = 1 + max(time[operand] for operand in operands[number])
            latest = min((time[user] - 1 for user in users[value]), default=count * ADDERS_A_STAGE)
            best = None
            for tried in range(earliest, latest + 1):
                time[value] = tried
                needed = bits[value] * (last(value) - stage(value))
                needed += sum(bits[operand] * (last(operand) - stage(operand)) for operand in operands[number])
                if best is None or needed <= best[0]:
                    best = needed, tried
            assert best is not None
            time[value] = best[1]
    every = range(len(time))
    return Stages(tuple(map(stage, every)), tuple(map(last, every)), count)


def counts(graph: Graph) -> Mapping[str, int]:
    """ADDER_BITS and REGISTER_BITS of a graph, and its DELAY."""
    stages = graph.stages
    kept = sum(
        graph.bits(value) * (last - first)
        for value, (first, last) in enumerate(zip(stages.stage, stages.last, strict=True))
    )
    return {
        "DELAY": stages.count,
        "ADDER_BITS": sum(map(graph.adder_bits, range(len(graph.adders)))),
        "REGISTER_BITS": kept,
    }


def statements(graph: Graph, in_bits: int, out_bits: int) -> Iterator[str]:
    """Lines of SystemVerilog from `operands`, in_bits an input, to `sums`, out_bits an output, modulo 2^out_bits.

    v7 is value 7, v7_2 what it was two registers ago.
    """
    stages = graph.stages
    for value, (first, last) in enumerate(zip(stages.stage, stages.last, strict=True)):
        kind = f"logic {'signed ' if graph.ranges[value][0] < 0 else ''}[{graph.bits(value) - 1}:0]"
        yield f"  {kind} {', '.join(_name(value, age) for age in range(last - first + 1))};"
    for value in range(graph.inputs):
        yield f"  assign {_name(value)} = operands[{value * in_bits} +: {in_bits}];"
    for number in range(len(graph.adders)):
        yield f"  assign {_name(graph.inputs + number)} = {_sum(graph, number)};"
    yield "  always_ff @(posedge clk) begin"
    for value, (first, last) in enumerate(zip(stages.stage, stages.last, strict=True)):
        for age in range(1, last - first + 1):
            yield f"    {_name(value, age)} <= {_name(value, age - 1)};"
    yield "  end"
    for row, output in enumerate(graph.outputs):
        text = f"{out_bits}'d0"
        if output.value != ZERO:
            text = f"{out_bits}'({_name(output.value, stages.count - stages.stage[output.value])})"
            text = f"{text} << {output.shift}" if output.shift else text
        yield f"  assign sums[{row * out_bits} +: {out_bits}] = {text};"


def _name(value: int, age: int = 0) -> str:
    return f"v{value}_{age}" if age else f"v{value}"


def _sum(graph: Graph, number: int) -> str:
    """An adder; it adds no bits below those of the operand that is shifted."""
    adder, value = graph.adders[number], graph.inputs + number
    bits, stages = graph.bits(value), graph.stages

    def operand(of: int) -> str:
        return _name(of, stages.stage[value] - stages.stage[of])

    sign = "-" if adder.minus else "+"
    if adder.left == ZERO:
        return f"-{bits}'({operand(adder.right)})"
    left, right = operand(adder.left), operand(adder.right)
    shift = max(adder.left_shift, adder.right_shift)
    if not shift:
        return f"{bits}'({left}) {sign} {bits}'({right})"
    if adder.left_shift and adder.minus:
        return f"({bits}'({left}) << {shift}) - {bits}'({right})"
    above = bits - shift  # of the operands; what one has below the other one's passes
    if adder.left_shift:
        return f"{{{above}'({left}) {sign} {above}'({right} >>> {shift}), {shift}'({right})}}"
    return f"{{{above}'({left} >>> {shift}) {sign} {above}'({right}), {shift}'({left})}}"
