# SPDX-License-Identifier: Apache-2.0
"""Folding for latency: the fewest cycles from the last line to the logits that a board's resources allow.

FINN folds for throughput: each layer just fast enough for a rate. A sorter waits for what is left to do when the last
line has come, and that is mostly the work of the last layers, whose rate is low. `fold`

1. gives every layer the PE and SIMD with which it keeps up with the required rate, such that the fullest
   resource of the board is as little full as can be;
2. spends the rest where it gains most: what each option of each layer alone would save is followed by the cycle model
   of the whole network, those that save most together within the budget are taken, and so on while it helps;
3. gives back what gained next to nothing: of all foldings that wait hardly longer (`knee`), the one whose fullest
   resource is least full, since a full board does not route.

The choices are multiple-choice knapsacks, which SciPy's HiGHS solves to within a gap or up to a number of nodes of its
search tree, never up to a time: the same network gets the same folding on every machine, however busy. Their linear
relaxation says what each option costs at least beyond the best solution; those that cost too much are left out.

Where a network does not fit, the refusal names what does: folding.advice.

Resources are those of every kernel, FIFO and width converter that the generator will place (folding.resources).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import chain, compress, product

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from icsort.errors import IcsortError
from icsort.formats.board import Board
from icsort.formats.fill import RESOURCES, Fill, check_fill, share_of, written
from icsort.formats.netlist import Instance, Netlist
from icsort.hw.folding.advice import fill_that_fits, rate_that_fits
from icsort.hw.folding.cycles import Graph, arrivals, follow, latency
from icsort.hw.folding.folding import (
    FIFO_DEPTH,
    JOIN_FIFOS,
    MULTIPLIERS,
    Folding,
    Unit,
    complete,
    derive,
    divisors,
    fifo_key,
    window_unit,
)
from icsort.hw.folding.resources import family_of, layer_resources
from icsort.hw.folding.trials import Trials
from icsort.hw.kernels import kernel_of
from icsort.hw.kernels.adder_graph import STYLES as ADDER_STYLES
from icsort.hw.kernels.fifo import fifo
from icsort.hw.kernels.kernel import Node
from icsort.hw.kernels.rom import SHALLOW
from icsort.hw.kernels.width_converter import conversions

StepProgress = Callable[[str], None]
Amounts = npt.NDArray[np.float64]  # of RESOURCES, in that order

DSP = RESOURCES.index("DSP")
REST = 0.01  # what a share of any resource costs, beside one of the fullest
CYCLES = 10.0  # of latency that are worth the whole of a resource, where all fits
GAP = 2e-3  # between the solution that is taken and the best one, of the costs
NEAR = 0.25  # of the gap: options that alone lose more than that are left out at first
FINE, FEW = 2e-4, 50  # the gap to which what is left is solved, or nodes: far less work, so far more is asked of it
BLENDS = 1.0, 0.5  # of what each layer may lose where all are as fast as can be: of each start of `spend`
NODES = 2000  # of a solution's search tree, after which the best that was found is taken
OPTIMAL, INFEASIBLE = 0, 2  # states that milp ends in; any other: at the limit
KNEE = 0.05, 20  # of the wait for the logits, or cycles, whichever is more: what the last resources must gain
BESIDE = 0.1  # what a share of any resource counts, beside one of the fullest, where it is given back
ROOM = 0.01  # of what is taken, that giving back must leave at least to go on
ROUNDS = 5  # of solutions, each with what the one before needs between its layers


@dataclass(frozen=True)
class Target:
    """What to fold for. budget: LUT, DSP, BRAM_18K, URAM of `board`, of which the network may take the shares `fill`;
    family: one of fabric.FAMILIES.

    limited: whether the budget is a limit. If not, a network that needs more is folded as cheaply as its rate allows.
    all_in: every resource that gains a cycle is taken; else, where the budget is a limit, up to the knee alone.
    line_cycles: between the first pixels of two lines. frame_cycles: between two cells at the required rate. height,
    width: of a cell, in beats of the network's input. line_rate: lines a second, None where the rate decides.
    """

    board: str
    family: str
    budget: Mapping[str, int]
    limited: bool
    line_cycles: int
    frame_cycles: int
    clock_mhz: float
    height: int
    width: int
    fill: Fill = 1.0
    all_in: bool = False
    line_rate: float | None = None

    @property
    def pixels(self) -> int:
        """Beats of a cell."""
        return self.height * self.width

    def can(self, rate: float) -> bool:
        """Whether the clock can follow so many cells a second."""
        asked = self.at(rate)
        return asked.frame_cycles >= self.pixels and asked.line_cycles >= self.width

    def at(self, rate: float) -> "Target":
        """The same for another rate, cells a second."""
        frame_cycles = int(self.clock_mhz * 1e6 / rate)
        line_cycles = self.line_cycles if self.line_rate else frame_cycles // self.height
        return replace(self, frame_cycles=frame_cycles, line_cycles=line_cycles)

    def with_fill(self, fill: Fill) -> "Target":
        """The same with other shares of the board."""
        return replace(self, fill=fill)

    @property
    def ultra(self) -> bool:
        """Whether there is UltraRAM."""
        return self.budget.get("URAM", 0) > 0

    @cached_property
    def limits(self) -> Amounts:
        return np.floor([share_of(self.fill, key) * self.budget.get(key, 0) for key in RESOURCES])

    @property
    def left(self) -> dict[str, float]:
        """The board's resources, whatever the share."""
        return {key: float(self.budget.get(key, 0)) for key in RESOURCES}

    def has(self, key: str) -> str:
        """In words: how much of a resource there is."""
        share = f" at --fill {written(self.fill)}" if share_of(self.fill, key) < 1 else ""
        return f"board '{self.board}' has {self.limits[RESOURCES.index(key)]:.0f}{share}"


def target(
    board: Board, graph: Graph, rate: float | None, line_rate: float | None, fill: Fill = 1.0, all_in: bool = False
) -> Target:
    """What a board is to do. rate: cells a second; line_rate: lines a second; all_in: as Target has it.

    Without a rate, a pixel each cycle without pause, as far as borders allow; without a line rate, lines as far apart
    as the rate leaves them. fill: shares of the board's resources that the network may take, as the sorter around it
    needs its part (docs/sorter.md) and a full device is hard to place and route.

    Raises IcsortError for rates that the clock cannot follow and for a share that is none.
    """
    check_fill(fill)
    clock = board.clock_mhz * 1e6
    pixels = graph.height * graph.width
    if rate is None:  # a border around the pixels takes time as well
        windows = [node for node in graph.nodes if node.op == "ConvolutionInputGenerator"]
        frame_cycles = max(pixels, *(node.height * node.width for node in windows), pixels)
        line_cycles = graph.width
    else:
        frame_cycles = int(clock / rate)
        line_cycles = frame_cycles // graph.height
    if line_rate is not None:
        line_cycles = int(clock / line_rate)
    if frame_cycles < pixels:
        raise IcsortError(
            f"{rate:g} cells/s leave {frame_cycles} cycles for a cell of {pixels} beats, which come one a cycle; "
            f"at most {clock / pixels:.0f} cells/s at {board.clock_mhz:g} MHz"
        )
    if line_cycles < graph.width:
        raise IcsortError(
            f"{line_rate or rate:g} lines/s leave {line_cycles} cycles for a line of {graph.width} beats, which come "
            f"one a cycle; at most {clock / graph.width:.0f} lines/s at {board.clock_mhz:g} MHz"
        )
    limited = board.budget_is == "limit"
    family = family_of(board.part)
    pace, size = (line_cycles, frame_cycles, board.clock_mhz), (graph.height, graph.width)
    return Target(board.name, family, board.budget, limited, *pace, *size, fill, all_in, line_rate)


def resources(netlist: Netlist, family: str) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """RESOURCES of each layer of a netlist, and of all FIFOs and width converters between them."""

    def amounts(part: Instance) -> Amounts:
        return _amounts(*_key(part.module, part.parameters), family)

    glue = sum(map(amounts, netlist.between), np.zeros(len(RESOURCES)))
    return {part.layer: _named(amounts(part)) for part in netlist.layers}, _named(glue)


def check_budget(target: Target, layers: Mapping[str, Mapping[str, int]], glue: Mapping[str, int]) -> None:
    """Raises IcsortError where a network needs more than the board has, naming the largest layer."""
    for key, limit in zip(RESOURCES, target.limits, strict=True) if target.limited else ():
        total = glue[key] + sum(amounts[key] for amounts in layers.values())
        if total > limit:
            largest = max(layers, key=lambda name: layers[name][key])
            raise IcsortError(
                f"the network needs {total} {key}, {target.has(key)}; {largest} takes {layers[largest][key]}: give a "
                "folding file with smaller PE or SIMD there, or another board"
            )


def _named(amounts: Amounts) -> dict[str, int]:
    return {key: round(amount) for key, amount in zip(RESOURCES, amounts, strict=True)}


@dataclass(frozen=True)
class Option:
    """One way to fold a layer that multiplies: its unit and that of its thresholds, cycles a frame, resources with what
    it brings along."""

    units: Folding
    busy: int
    amounts: Amounts


class Inventory:
    """Every instance that the generator will place for a folding, without generating it."""

    def __init__(self, graph: Graph, family: str, ultra: bool = False) -> None:
        self.graph, self.family, self.ultra = graph, family, ultra
        self._bits = {graph.image: graph.consumer[graph.image].in_bits[0]}  # of an element of each tensor
        self._options: dict[str, list[Option]] = {}
        self._bits |= {tensor: node.out_bits for node in graph.nodes for tensor in node.outputs}

    def options(self, node: Node) -> "list[Option]":
        """`options` of a layer, listed once."""
        if node.name not in self._options:
            self._options[node.name] = options(self, node)
        return self._options[node.name]

    def kernel(self, node: Node, unit: Mapping[str, int | str]) -> tuple[str, dict[str, int | str]]:
        """Kernel and parameters of a layer folded as `unit` says."""
        kernel = kernel_of(node, unit)
        return kernel.name, kernel.parameters(node, unit, self.family)

    def glue(self, folding: Folding) -> Iterator[tuple[str, dict[str, int | str]]]:
        """Kernel and parameters of every FIFO and width converter between the layers."""
        lanes = {self.graph.image: self.graph.channels}
        for node in self.graph.nodes:
            unit = folding[node.name]
            sides = kernel_of(node, unit).side_lanes(node, unit)
            for number, (tensor, needed) in enumerate(zip(node.inputs, sides, strict=True)):
                yield from self.converters(tensor, lanes[tensor], needed)
                if JOIN_FIFOS[number] in unit:
                    yield self.fifo(tensor, needed, int(unit[JOIN_FIFOS[number]]))
            for copy, tensor in enumerate(node.outputs):
                lanes[tensor] = _out_lanes(node, unit)
                taker = self.graph.consumer.get(tensor)
                if taker is not None and len(taker.inputs) == 1:
                    next_unit = folding[taker.name]
                    needed = max(lanes[tensor], kernel_of(taker, next_unit).in_lanes(taker, next_unit))
                    yield from self.converters(tensor, lanes[tensor], needed)
                    lanes[tensor] = needed
                yield self.fifo(tensor, lanes[tensor], int(unit[fifo_key(copy)]))
        yield from self.converters(self.graph.logits, lanes[self.graph.logits], self.graph.classes)

    def converters(self, tensor: str, lanes: int, needed: int) -> Iterator[tuple[str, dict[str, int | str]]]:
        """Kernel and parameters of the width converters between beats of `lanes` and of `needed` elements."""
        bits = self._bits[tensor]
        for parameters in conversions(lanes * bits, needed * bits):
            yield "width_converter", parameters

    def between(
        self, window: Node, window_fold: Unit, node: Node, unit: Unit
    ) -> Iterator[tuple[str, dict[str, int | str]]]:
        """FIFO and width converters between a window generator and the layer that takes its windows."""
        (tensor,), lanes = window.outputs, _out_lanes(window, window_fold)
        needed = int(unit["SIMD"]) if node.op == "MVAU" else lanes
        yield self.fifo(tensor, max(lanes, needed))
        yield from self.converters(tensor, lanes, needed)

    def fifo(self, tensor: str, lanes: int, depth: int = FIFO_DEPTH) -> tuple[str, dict[str, int | str]]:
        """Kernel and parameters of a FIFO of so many beats of `lanes` elements."""
        return "fifo", fifo(lanes * self._bits[tensor], depth, self.ultra)

    def amounts(self, node: Node, unit: Mapping[str, int | str]) -> Amounts:
        """RESOURCES of one layer."""
        return _amounts(*_key(*self.kernel(node, unit)), self.family)

    def sum(self, instances: Iterable[tuple[str, dict[str, int | str]]]) -> Amounts:
        """RESOURCES of several instances."""
        amounts = (_amounts(*_key(kernel, parameters), self.family) for kernel, parameters in instances)
        return sum(amounts, np.zeros(len(RESOURCES)))

    def total(self, folding: Folding) -> Amounts:
        """RESOURCES of the whole network."""
        layers = (self.kernel(node, folding[node.name]) for node in self.graph.nodes)
        return self.sum(chain(layers, self.glue(folding)))


def _key(kernel: str, parameters: Mapping[str, int | str]) -> tuple[str, tuple[tuple[str, int | str], ...]]:
    return kernel, tuple(parameters.items())


@lru_cache(maxsize=1 << 17)
def _amounts(kernel: str, parameters: tuple[tuple[str, int | str], ...], family: str) -> Amounts:
    needed = layer_resources(kernel, dict(parameters), family)
    return np.array([needed[key] for key in RESOURCES], float)


def _out_lanes(node: Node, unit: Mapping[str, int | str]) -> int:
    return kernel_of(node, unit).out_lanes(node, unit)


@dataclass(frozen=True)
class Effort:
    """How far the integer programs of a search were solved. programs: all of them; cut_short: those that ended at
    NODES. largest_gap: of any solution from its bound, as a share of the costs; at most GAP where none was cut short.
    """

    programs: int
    cut_short: int
    largest_gap: float

    @property
    def proven(self) -> bool:
        """Whether every program was solved."""
        return self.cut_short == 0


def fold(graph: Graph, target: Target, progress: StepProgress = lambda _: None) -> tuple[Folding, Effort]:
    """The folding with the lowest latency from the last line that the search finds within the target's budget, or the
    one at its knee.

    Raises IcsortError where the budget does not allow the required rate: which resource is short, by how much, and
    the rate, and the share of the board, that would fit.
    """
    found, effort = foldings(Inventory(graph, target.family, target.ultra), target, progress)
    return found[-1], effort


def foldings(
    inventory: "Inventory", target: Target, progress: StepProgress = lambda _: None
) -> tuple[list[Folding], Effort]:
    """As `fold`, of an inventory that several searches may share: the folding with all that gains a cycle and, where
    the target wants it, the one at its knee behind it."""
    search = _Search(inventory, target)
    found = []
    if search.keep_up():
        search.spend(progress)
        if target.limited and not target.all_in:
            found.append(search.whole())
            search.give_back(progress)
    return [*found, search.whole()], search.effort()


def knee(cycles: int) -> int:
    """The longest wait for the logits that counts as good as one of so many cycles."""
    share, least = KNEE
    return cycles + max(int(share * cycles), least)


def fullness(shares: Amounts) -> float:
    """How full a board is with these shares of its resources: the largest, and a little of all."""
    return float(shares.max() + BESIDE * shares.sum())


class _Search:
    def __init__(self, inventory: Inventory, target: Target) -> None:
        self.inventory, self.target, self.graph = inventory, target, inventory.graph
        self.sites = {node.name: self._options(node) for node in self.graph.nodes if node.op in MULTIPLIERS}
        self.at: dict[str, Option] = {}
        self.solutions: list[_Solution] = []
        self.totals: dict[tuple[int, ...], Amounts] = {}
        self.latencies: dict[tuple[int, ...], int] = {}

    def effort(self) -> Effort:
        gaps = [solution.gap for solution in self.solutions]
        return Effort(len(gaps), sum(solution.cut_short for solution in self.solutions), max(gaps, default=0.0))

    def _options(self, node: Node) -> list[Option]:
        """Without those that use what the board has none of, unless all do."""
        everything, none = self.inventory.options(node), self.target.limits == 0
        return [option for option in everything if not option.amounts[none].any()] or everything

    def whole(self) -> Folding:
        """The folding that the options taken make."""
        return complete(self.graph, self.chosen(), self.target.line_cycles)

    def chosen(self) -> Folding:
        return {name: unit for option in self.at.values() for name, unit in option.units.items()}

    def keep_up(self) -> bool:
        """The folding that leaves most room, of those that do a frame in `frame_cycles`. Returns whether it fits."""
        slow = self._too_slow()
        if slow is None and self._cheapest():
            return True
        if slow is None and not self.target.limited:
            self._settle(partial(self._knapsack().emptiest, limit=np.inf))
            if self.at:
                return False
        slowest = sum(max(option.busy for option in options) for options in self.sites.values())
        rate = rate_that_fits(self.target, slowest, self._fits)
        if rate is not None and self.target.at(rate).frame_cycles <= self.target.frame_cycles and self._adopt(rate):
            return True
        asked = self.target.clock_mhz * 1e6 / self.target.frame_cycles
        if rate is not None and rate >= asked:
            rate = rate_that_fits(self.target, slowest, self._fits, below=asked)
        short, fill = (slow, None) if slow else self._short()
        remedy = "it does not fit at any rate" if rate is None else f"what fits is --rate {rate:g}"
        if fill is not None:
            remedy += f", or --fill {written(fill)} at this rate"
        raise IcsortError(f"{short}; {remedy}")

    def _too_slow(self) -> str | None:
        """The layer that no folding makes fast enough."""
        for name, options in self.sites.items():
            fastest = min(option.busy for option in options)
            if fastest > self.target.frame_cycles:
                allowed = self.target.frame_cycles
                return f"{name} takes {fastest} cycles a cell however it is folded; the rate allows {allowed}"
        return None

    def _knapsack(self) -> "_Knapsack":
        return _Knapsack(self._able(self.target.frame_cycles), self.target.limits)

    def _cheapest(self) -> bool:
        """Sets `at` to what fills the fullest resource least. Returns whether it fits."""
        knapsack = self._knapsack()
        return any(self._settle(partial(knapsack.emptiest, limit=limit)) for limit in (1.0, np.inf))

    def _fits(self, target: Target) -> bool:
        """Whether the network fits another target."""
        probe = _Search(self.inventory, target)
        fits = probe._too_slow() is None and (not target.limited or probe._cheapest())
        self.solutions += probe.solutions
        return fits

    def _adopt(self, rate: float) -> bool:
        """Take what fits at a higher rate. Returns whether it fits at the target's as well."""
        probe = _Search(self.inventory, self.target.at(rate))
        probe._cheapest()
        self.at = probe.at
        return bool((self._total() <= self.target.limits).all())

    def _short(self) -> tuple[str, Fill | None]:
        """What is short: of the resource that lacks least, as little as lets the network fit beside what there is of
        the others, tried; or all that is exceeded, where no resource alone is short. And the share that would fit."""
        limits = self.target.limits
        lacks = {number: found for number in range(len(RESOURCES)) if (found := self._needed(number)) is not None}
        cells = f"for a cell each {self.target.frame_cycles} cycles"
        if lacks:
            shares = {number: amount / max(float(limits[number]), 1.0) for number, (amount, _) in lacks.items()}
            worst = min(shares, key=lambda number: shares[number])
            enough, at = lacks[worst]
            key, needed = RESOURCES[worst], self._least(worst, enough)
            sizes = {name: option.amounts[worst] for name, option in at.items()}
            largest = max(sizes, key=lambda name: sizes[name])
            beside = ", ".join(
                f"{limit:.0f} {other}" for other, limit in zip(RESOURCES, limits, strict=True) if other != key
            )
            text = (
                f"the network needs {needed} {key} {cells}, {self.target.has(key)}; {largest} takes "
                f"{sizes[largest]:.0f}, and there are {beside} beside"
            )
        else:
            self._settle(partial(self._knapsack().emptiest, limit=np.inf))
            total = self._total()
            over = [number for number in range(len(RESOURCES)) if total[number] > limits[number]]
            worst = max(over, key=lambda number: float(total[number]) / max(float(limits[number]), 1.0))
            key, needed = RESOURCES[worst], round(float(total[worst]))
            text = f"{cells[4:]} the network takes " + ", ".join(
                f"{total[number]:.0f} {RESOURCES[number]} ({self.target.has(RESOURCES[number])})" for number in over
            )
        return text, fill_that_fits(self.target, key, needed, self._fits)

    def _needed(self, number: int) -> tuple[float, dict[str, Option]] | None:
        """So much of a resource that the network fits beside what there is of the others, about as little as can be,
        and the options then; None where it does not."""
        limits = self.target.limits.copy()
        limits[number] = np.inf
        probe = _Search(self.inventory, self.target)
        if not probe._settle(partial(self._knapsack().least, number=number), limits):
            return None
        needed, at = float(probe._total()[number]), probe.at
        for _ in range(ROUNDS):
            if self._fits(self._given(number, needed)):
                return needed, at
            needed = float(np.ceil(1.01 * needed))
        return None

    def _given(self, number: int, amount: float) -> Target:
        """The target with so much of a resource, whatever the board has of it."""
        budget = {key: int(limit) for key, limit in zip(RESOURCES, self.target.limits, strict=True)}
        return replace(self.target, budget={**budget, RESOURCES[number]: int(amount)}, fill=1.0)

    def _least(self, number: int, enough: float) -> int:
        """The least of a resource with which the network fits, as `enough` of it does."""
        low, high = int(self.target.limits[number]), int(enough)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._fits(self._given(number, middle)) else (middle, high)
        return high

    def _able(self, frame_cycles: int) -> dict[str, list[Option]]:
        return {name: [o for o in options if o.busy <= frame_cycles] for name, options in self.sites.items()}

    def _settle(self, solve: "Callable[[Amounts], _Solution]", limits: Amounts | None = None) -> bool:
        """Sets `at` to a solution for what the layers and the FIFOs and converters between them need. Returns whether
        all fits within the target's limits, or others.

        What is between them depends on how the layers are folded, so it is counted after each solution.
        """
        between = np.zeros(len(RESOURCES))
        for _ in range(ROUNDS):
            solution = solve(between)
            self.solutions.append(solution)
            if solution.chosen is None:
                return False
            self.at = solution.chosen
            total = self._total()
            if (total <= (self.target.limits if limits is None else limits)).all():
                return True
            between = total - self._layers()
        return False

    def _layers(self) -> Amounts:
        return sum((option.amounts for option in self.at.values()), np.zeros(len(RESOURCES)))

    def _total(self) -> Amounts:
        if self._now() not in self.totals:
            self.totals[self._now()] = self.inventory.total(self.whole())
        return self.totals[self._now()]

    def spend(self, progress: StepProgress) -> None:
        """Take the options that save most cycles between the last line and the logits, as long as they do.

        What two layers save together is not what each saves alone: where a solution does not help, the next one changes
        half as many layers.
        """
        able = self._able(self.target.frame_cycles)
        knapsack = self._knapsack()
        best, least = self.at, self._cost()
        # What each layer may lose where all are as fast as can be, then what each may gain where they are.
        self.at = {name: min(options, key=lambda option: option.busy) for name, options in able.items()}
        fastest, (about, gains) = self.at, self._gains(able)
        for blend in BLENDS:
            now, beyond, (reached, mixed) = fastest, gains, (about, gains)
            changes, self.at = len(able), best
            if blend < 1:
                now, reached, mixed = best, *self._gains(able)
                mixed = (1 - blend) * mixed + blend * beyond
            while changes:
                solve = partial(knapsack.fastest, reached=reached, gains=mixed, now=now, changes=changes)
                if self._settle(solve) and self._cost() < least:
                    best, least = self.at, self._cost()
                    progress(f"{self._latency()} cycles")
                else:
                    changes //= 2
                self.at = best
                if now is not best:
                    now, (reached, mixed) = best, self._gains(able)

    def give_back(self, progress: StepProgress) -> None:
        """Of all foldings that wait at most to the knee, take the one that fills the board least.

        As in `spend`, several layers together may lose more than each alone: where a solution waits too long, the next
        one may lose a quarter less.
        """
        able = self._able(self.target.frame_cycles)
        knapsack = self._knapsack()
        last = int(arrivals(self.graph, self.target.line_cycles, 1)[0, -1, -1])
        reached = self._latency()
        longest = last + knee(reached - last)
        best, least, slack = self.at, fullness(self._shares()), longest - reached
        measured, gains = None, np.empty(0)
        while slack > 0:
            if measured is not best:
                measured, (_, gains) = best, self._gains(able)
            fits = self._settle(partial(knapsack.leanest, gains=gains, slack=slack))
            if fits and self._latency() <= longest and fullness(self._shares()) < (1 - ROOM) * least:
                best, least, slack = self.at, fullness(self._shares()), longest - self._latency()
                progress(f"{self._latency()} cycles")
            else:
                slack = slack * 3 // 4
            self.at = best

    def _shares(self) -> Amounts:
        """Of each resource."""
        return self._total() / np.maximum(self.target.limits, 1.0)

    def _cost(self) -> float:
        """What is minimized: the latency, and CYCLES for the whole of each resource."""
        return self._latency() + CYCLES * float(self._shares().sum())

    def _latency(self) -> int:
        if self._now() not in self.latencies:
            units = derive(self.graph, self.chosen())
            flow = follow(self.graph, units, self.target.line_cycles)
            self.latencies[self._now()] = latency(self.graph, flow.streams)
        return self.latencies[self._now()]

    def _now(self) -> tuple[int, ...]:
        """Which options are taken; they live as long as the search."""
        return tuple(map(id, self.at.values()))

    def _gains(self, able: Mapping[str, Sequence[Option]]) -> tuple[int, Amounts]:
        """The latency, and the cycles that each option of each layer would save if nothing else changes."""
        trials = Trials(self.graph, self.chosen(), self.target.line_cycles)
        gains = []
        for name, options in able.items():
            first = self._first(name)
            known = {_pace(self.at[name]): 0}
            for option in options:
                if _pace(option) not in known:
                    known[_pace(option)] = trials.latency - trials.latency_with(option.units, first)
                gains.append(known[_pace(option)])
        return trials.latency, np.array(gains, float)

    def _first(self, name: str) -> int:
        """Number of the first layer that another folding of `name` changes: its padding or windows."""
        node = self.graph.nodes[self.graph.position[name]]
        parts = _windows_before(self.graph, node, self.at[name].units[name])
        return min(self.graph.position[layer.name] for layer in (node, *(part for part, _ in parts)))


def _pace(option: Option) -> tuple[tuple[int | str | bool | None, ...], ...]:
    """What the time that a layer takes depends on."""
    return tuple(
        (
            *(unit.get(key) for key in ("PE", "SIMD", "parallel_window")),
            unit.get("mult_style") in ADDER_STYLES and unit["mult_style"],
        )
        for unit in option.units.values()
    )


@dataclass(frozen=True)
class _Solution:
    """chosen: an option of each layer, None where none was found. gap: from the bound, as a share of the costs."""

    chosen: dict[str, Option] | None
    gap: float
    cut_short: bool


@dataclass(frozen=True)
class _Solved:
    """taken: (options,) which ones, None where none was found. cost: of them, infinite then. bound: of any solution's
    cost, of the options that it was looked for among."""

    taken: npt.NDArray[np.bool_] | None
    cost: float
    bound: float
    cut_short: bool


class _Program:
    """One option of each layer, and a number of at most `limit` behind them: least `costs` where `rows` come to at most
    `most`. owned: (layers, options) whose each option is."""

    def __init__(
        self, costs: Amounts, owned: npt.NDArray[np.bool_], rows: Amounts, most: Amounts, limit: float
    ) -> None:
        self.costs, self.rows, self.most, self.limit = costs, csr_array(rows), most, limit
        self.owned = csr_array(np.pad(owned, ((0, 0), (0, 1))).astype(float))

    def relaxed(self) -> tuple[float, Amounts] | None:
        """Bound of the costs where options may be taken in part, and how far above it a solution is at least that has
        each option, (options,). None where there is none."""
        ones = np.ones(self.owned.shape[0])
        bounds = np.stack([np.zeros_like(self.costs), np.append(np.ones(self.costs.size - 1), self.limit)], axis=1)
        result = linprog(self.costs, self.rows, self.most, self.owned, ones, bounds, method="highs-ds")
        if result.x is None:
            return None
        prices = self.rows.T @ result.ineqlin.marginals + self.owned.T @ result.eqlin.marginals
        return float(result.fun), (self.costs - prices)[:-1]

    def solved(self, among: npt.NDArray[np.bool_], gap: float, nodes: int) -> _Solved:
        """The best solution with options `among` alone, to within a gap or the best of so many nodes."""
        kept = np.append(among, True)
        result = milp(
            self.costs[kept],
            integrality=np.append(np.ones(int(among.sum())), 0),
            bounds=Bounds(0, np.append(np.ones(int(among.sum())), self.limit)),
            constraints=[
                LinearConstraint(self.owned[:, kept], 1, 1),
                LinearConstraint(self.rows[:, kept], ub=self.most),
            ],
            # HiGHS prints a line to standard output where it repairs what presolving left a little outside.
            options={"mip_rel_gap": gap, "node_limit": nodes, "presolve": False},
        )
        if result.x is None:
            return _Solved(None, np.inf, -np.inf, result.status != INFEASIBLE)
        taken = np.zeros(among.size, bool)
        taken[among] = result.x[:-1] > 0.5
        return _Solved(taken, float(result.fun), float(result.mip_dual_bound), result.status != OPTIMAL)


class _Knapsack:
    """One option of each layer within a budget, by integer programming. `between` is what else must fit in."""

    def __init__(self, able: Mapping[str, Sequence[Option]], limits: Amounts) -> None:
        self.able = able
        self.scale = np.maximum(limits, 1.0)
        self.options = [(name, option) for name, options in able.items() for option in options]
        self.shares = np.stack([option.amounts for _, option in self.options]) / self.scale
        self.owned = np.array([[name == owner for owner, _ in self.options] for name in able])

    def emptiest(self, between: Amounts, limit: float) -> _Solution:
        """Fills the fullest resource least, and no more than the share `limit` of it."""
        return self._solved(REST * self.shares.sum(axis=1), 1.0, limit, between)

    def least(self, between: Amounts, number: int) -> _Solution:
        """Takes as little of resource `number` as can be, however much, within the limits of the others."""
        costs = self.shares[:, number] + REST * self.shares.sum(axis=1)
        return self._solved(costs, 0.0, 1.0, np.where(np.arange(len(RESOURCES)) == number, -np.inf, between))

    def fastest(
        self, between: Amounts, reached: int, gains: Amounts, now: Mapping[str, Option], changes: int
    ) -> _Solution:
        """Gains most cycles of `reached`, with other options than `now` for so many layers; None where nothing fits."""
        kept = np.array([option is now[name] for name, option in self.options], float)
        costs = reached / len(self.able) - gains + CYCLES * self.shares.sum(axis=1)
        return self._solved(costs, 0.0, 1.0, between, [(-np.append(kept, 0), changes - len(self.able))])

    def leanest(self, between: Amounts, gains: Amounts, slack: int) -> _Solution:
        """Fills the board least, and loses `slack` cycles at most."""
        return self._solved(BESIDE * self.shares.sum(axis=1), 1.0, 1.0, between, [(np.append(-gains, 0), slack)])

    def _solved(
        self, costs: Amounts, fullest: float, limit: float, between: Amounts, more: Sequence[tuple[Amounts, float]] = ()
    ) -> _Solution:
        """Least sum of the costs of the options, and `fullest` times the largest share, which is at most `limit`.

        more: rows over the options and that share, and what each may come to at most.
        """
        rows = np.vstack([np.pad(self.shares.T, ((0, 0), (0, 1)), constant_values=-1), *(row for row, _ in more)])
        most = np.append(-between / self.scale, [bound for _, bound in more])
        rows, most = rows[np.isfinite(most)], most[np.isfinite(most)]
        program = _Program(np.append(costs, fullest), self.owned, rows, most, limit)
        relaxed = program.relaxed()
        if relaxed is None:
            return _Solution(None, 0.0, cut_short=False)
        # Options that no good solution has are left out: first by a guess, then by proof.
        bound, lose = relaxed
        near = program.solved(lose <= NEAR * GAP * abs(bound), FINE, FEW)
        if near.taken is None or near.cost - bound > GAP * abs(near.cost):
            whole = program.solved(lose <= near.cost - bound, GAP, NODES)
            bound, near = max(bound, whole.bound), min(near, whole, key=lambda solution: solution.cost)
            if near.taken is None:
                return _Solution(None, 0.0, whole.cut_short)
        assert near.taken is not None
        gap = max(near.cost - bound, 0.0) / max(abs(near.cost), 1e-9)
        return _Solution(dict(compress(self.options, near.taken)), min(gap, 1.0), gap > GAP)


def options(inventory: Inventory, node: Node) -> list[Option]:
    """Every way to fold a layer that can be best: PE and SIMD, products in LUTs or DSP slices, adders of the constant
    weights in place of products, thresholds for all of its results at once or just as many as it gives a cycle, each
    memory in LUTs, block RAM or, for lines, UltraRAM.

    Resources are those of the layer, its windows and its thresholds.
    """
    rows, columns = (node.rows, node.columns) if node.op == "MVAU" else (node.channels, node.taps)
    simds = divisors(node.elements if node.op == "MVAU" else node.taps)
    vectors = node.height * node.width if node.op == "VVAU" or node.whole else 1
    options = []
    for pe in divisors(rows):
        for simd in simds:
            words = (columns // simd) * (rows // pe)
            shape: Unit = {"PE": pe, "SIMD": simd, "parallel_window": int(simd != 1)}
            before, waits = _before(inventory, node, shape)
            parts = (_products(inventory, node, pe, simd, words), before, _behind(inventory, node, pe, columns // simd))
            for chosen in product(*parts):
                units = {name: unit for choice, _ in chosen for name, unit in choice.items()}
                amounts = np.sum([amounts for _, amounts in chosen], axis=0)
                options.append(Option(units, words * vectors + waits, amounts))
    for style in ADDER_STYLES:
        unit: Unit = {"PE": rows, "SIMD": columns, "mult_style": style, "parallel_window": 1}
        if kernel_of(node, unit).refuses(node, unit):
            continue
        cycles = node.parameters["ACT_BITS"] if style == "serial" else 1
        before, waits = _before(inventory, node, unit)
        for chosen in product(_adders(inventory, node, style), before, _behind(inventory, node, rows, cycles)):
            units = {name: part for choice, _ in chosen for name, part in choice.items()}
            amounts = np.sum([amounts for _, amounts in chosen], axis=0)
            options.append(Option(units, cycles * vectors + waits, amounts))
    return _undominated(options)


_Choice = tuple[Folding, Amounts]


def _products(inventory: Inventory, node: Node, pe: int, simd: int, words: int) -> Iterator[_Choice]:
    """The layer itself and the FIFO behind it."""
    buffered = inventory.sum([inventory.fifo(node.outputs[0], pe)])
    for ram in ("distributed", "block") if words >= SHALLOW else ("distributed",):
        for mult in ("lut", "dsp"):
            unit: Unit = {"PE": pe, "SIMD": simd, "ram_style": ram, "mult_style": mult}
            if node.op == "VVAU":
                unit["parallel_window"] = int(simd != 1)
            amounts = inventory.amounts(node, unit)
            if mult == "lut" or amounts[DSP] > 0:
                yield {node.name: unit}, amounts + buffered


def _adders(inventory: Inventory, node: Node, style: str) -> list[_Choice]:
    """The layer itself by adders of its constant weights, and the FIFO behind it."""
    unit: Unit = {"PE": node.rows, "SIMD": node.columns, "ram_style": "auto", "mult_style": style}
    buffered = inventory.sum([inventory.fifo(node.outputs[0], node.rows)])
    return [({node.name: unit}, inventory.amounts(node, unit) + buffered)]


def _behind(inventory: Inventory, node: Node, pe: int, beats: int) -> list[_Choice]:
    """Thresholds of a layer that gives PE results each `beats` cycles, the converter in front and the FIFO behind."""
    thresholds = inventory.graph.consumer.get(node.outputs[0])
    if thresholds is None or thresholds.op != "Thresholding":
        return [({}, np.zeros(len(RESOURCES)))]
    choices: list[_Choice] = []
    for lanes in {pe, next(lanes for lanes in divisors(pe) if pe <= lanes * beats)}:
        converters = inventory.converters(node.outputs[0], pe, lanes)
        glue = inventory.sum([*converters, inventory.fifo(thresholds.outputs[0], lanes)])
        for ram in ("distributed", "block") if thresholds.elements // lanes >= SHALLOW else ("distributed",):
            unit: Unit = {"PE": lanes, "ram_style": ram}
            choices.append(({thresholds.name: unit}, glue + inventory.amounts(thresholds, unit)))
    return choices


def _before(inventory: Inventory, node: Node, unit: Unit) -> tuple[list[_Choice], int]:
    """Padding and windows in front of a layer, FIFOs and converters between; cycles a frame for which they pause."""
    parts = _windows_before(inventory.graph, node, unit)
    if not parts:
        return [({}, np.zeros(len(RESOURCES)))], 0
    (window, window_fold), *padding = parts
    around = inventory.sum(
        chain(
            (inventory.kernel(*part) for part in padding),
            (inventory.fifo(part.outputs[0], _out_lanes(part, part_fold)) for part, part_fold in padding),
            inventory.between(window, window_fold, node, unit),
        )
    )
    choices: list[_Choice] = []
    for ram in ("auto", "ultra") if inventory.family == "xcup" and not window_fold["parallel_window"] else ("auto",):
        amounts = inventory.amounts(window, {**window_fold, "ram_style": ram})
        choices.append(({window.name: {"ram_style": ram}}, amounts + around))
    return choices, kernel_of(window, window_fold).pause(window, window_fold)


def _undominated(options: list[Option]) -> list[Option]:
    """Those that no other one equals or beats in cycles and in every resource; of equal ones the first."""
    sizes = np.array([[option.busy, *option.amounts] for option in options])
    kept: list[int] = []
    for index in np.lexsort(sizes.T[::-1]):  # what beats another one comes before it
        if not (sizes[kept] <= sizes[index]).all(axis=1).any():
            kept.append(int(index))
    return [options[index] for index in sorted(kept)]


def _windows_before(graph: Graph, node: Node, unit: Unit) -> list[tuple[Node, Unit]]:
    """The layers that are folded as one that multiplies is: its padding and windows."""
    before = graph.producer.get(node.inputs[0])
    if before is None or before.op != "ConvolutionInputGenerator":
        return []
    window = window_unit(graph, before, {node.name: unit})
    parts = [(before, window)]
    padding = graph.producer.get(before.inputs[0])
    if padding is not None and padding.op == "FMPadding":
        parts.append((padding, {"SIMD": window["SIMD"]}))
    return parts
