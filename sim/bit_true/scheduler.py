# SPDX-License-Identifier: Apache-2.0
"""The sort scheduler: what becomes of each event, cycle-true to hw/rtl/sorter/scheduler.

`Scheduler` is the engine of sort_scheduler.sv with its outputs and cell_intake.sv in front of it, job after job
instead of cycle after cycle, so that millions of events take a minute. Times are cycles of the sorter's timestamp.
docs/sorter.md has the rules; in short, an event ends by the first that holds:

* FAULT, STALLED, HARDWARE, OVERLONG, AMBIGUOUS  by how it ended: its parts do not belong together, its lines stopped,
  one was doubtful, it was too long, it has two maxima
* DISARMED   the sorter is not armed
* REJECTED   no gate wishes it
* AMBIGUOUS  several directions wish it, its time is doubtful, or too many cells came since: its neighbours are not
  remembered
* SKIPPED    it is not the n-th wish of its direction
* COMPLETE   its direction has as many as it was to get
* LATE       its pulse is less than LATE_MARGIN cycles away, or not a whole drop
* AMBIGUOUS  it is near the edge of its drop
* COINCIDENCE, AMBIGUOUS  a neighbour comes too near, or might
* CONFLICT   its pulse and the one before do not leave room for each other, or too many wait
* LIMITED    its output would be on more than it may
* SORTED     scheduled; its neighbours are looked at again GUARD cycles (or a drop) before its pulse, and when one
  comes later.

A sort that does not come true is amended: to COINCIDENCE, AMBIGUOUS, DISARMED or LATE. When in doubt it does not sort.
"""

import bisect
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Final

from icsort.errors import IcsortError

DIRECTIONS: Final = 6
NO_DIRECTION: Final = 7
GUARD: Final = 128
"""Cycles before its pulse in which the neighbours of a sort are looked at for the last time."""
LATE_MARGIN: Final = 256
"""Cycles that a decision must be ahead of its pulse, and two pulses of a direction apart from begin to begin."""
CELLS: Final = 256
"""Cells remembered."""
SORTS: Final = 64
"""Sorts that wait for each output."""
LOOKED_AT: Final = 8
"""Cells looked at, each way; one more within reach makes the sort AMBIGUOUS."""
MARGIN: Final = 10
SEARCHED: Final = 12
"""Drops in which the light of a cell is looked for."""
REMEMBERED: Final = 16
LEAST_DROP: Final = 256
"""Cycles a drop at least."""
WORDS: Final = 6
"""Words of a direction in the scheduler's memory of settings; from COMMON on those that all share."""
COMMON: Final = WORDS * DIRECTIONS
NEVER: Final = 2**62


class Outcome(IntEnum):
    """How an event ended: the code in its record, and the counter that counts it."""

    SORTED = 0
    REJECTED = 1
    DISARMED = 2
    LATE = 3
    HARDWARE = 4
    CONFLICT = 5
    COINCIDENCE = 6
    AMBIGUOUS = 7
    OVERLONG = 8
    STALLED = 9
    FAULT = 10
    LIMITED = 11
    SKIPPED = 12
    COMPLETE = 13


class Purity(IntEnum):
    """What a neighbour does to a sort: nothing; aborts it unless it goes the same way; aborts it whatever it is."""

    YIELD = 0
    PURITY = 1
    SINGLE = 2


class Envelope(IntEnum):
    """Drops charged for a cell: its own; with the nearer one where the cell is in an outer quarter; always with it."""

    ONE = 0
    ONE_AND_A_HALF = 1
    TWO = 2


@dataclass(frozen=True)
class Direction:
    """What one output goes by.

    delay: from the light to the pulse, cycles (valve) or sixteenths of a drop. width: of the pulse, cycles, 0 acts as
    1 (valve). dead: cycles or drops that the output stays low behind a pulse at least. every: sort each n-th wish, 0
    acts as 1. target: sorts, 0 for no end. cost, burst: the duty limit: a sort costs that many cycles (or drops),
    which pass by themselves, and is LIMITED where more than `burst` are owed at its begin.
    """

    delay: int = 0
    width: int = 1
    dead: int = 0
    every: int = 1
    target: int = 0
    cost: int = 0
    burst: int = 0


@dataclass(frozen=True)
class Settings:
    """What the scheduler goes by, and the words that it has in hardware.

    directions: those that are used, 0 to 5. purity: what a neighbour does. before, after: cycles around a cell's light
    in which a neighbour is too near (valve). margin: sixteenths of a drop around the sorted drops in which one is
    (droplet). first_phase, last_phase: sixteenths of its drop between which a cell may be. doublets, overlong: such
    events are not aborted. increment: 2^32 / cycles of an internal drop. timeout: cycles without a drop that are a
    fault.
    """

    directions: Mapping[int, Direction] = field(default_factory=dict)
    purity: Purity = Purity.PURITY
    before: int = 0
    after: int = 0
    droplet: bool = False
    external: bool = False
    envelope: Envelope = Envelope.ONE
    margin: int = 0
    first_phase: int = 0
    last_phase: int = 15
    doublets: bool = False
    overlong: bool = False
    increment: int = 0
    timeout: int = 2**32 - 1

    @classmethod
    def of_words(cls, words: Mapping[int, int]) -> "Settings":
        """Inverse of `words`; what is missing is 0."""
        mode = words.get(COMMON, 0)
        directions = {}
        for number in range(DIRECTIONS):
            if mode >> 24 + number & 1:
                delay, pulse, *rest = (words.get(WORDS * number + index, 0) for index in range(WORDS))
                directions[number] = Direction(delay, pulse & 0xFFFF, pulse >> 16, *rest)
        before, after, increment, timeout = (words.get(COMMON + index, 0) for index in range(1, 5))
        return cls(
            directions=directions,
            purity=Purity(mode & 3),
            before=before,
            after=after,
            droplet=bool(mode >> 2 & 1),
            external=bool(mode >> 3 & 1),
            envelope=Envelope(mode >> 4 & 3),
            margin=mode >> 16 & 31,
            first_phase=mode >> 8 & 15,
            last_phase=mode >> 12 & 15,
            doublets=bool(mode >> 6 & 1),
            overlong=bool(mode >> 7 & 1),
            increment=increment,
            timeout=timeout,
        )

    @property
    def longest(self) -> int:
        """Cycles from a cell's light to the end of its pulse, at most; in droplet mode by the internal clock's
        drops."""
        if self.droplet:
            drop = 2**32 // max(1, self.increment) + 1
            return max((direction.delay // 16 + 4 for direction in self.directions.values()), default=0) * drop
        return max((direction.delay + direction.width for direction in self.directions.values()), default=0)

    def words(self) -> dict[int, int]:
        """The set of words by index, as schedule_settings.sv takes them. Raises IcsortError where one does not fit."""
        words: dict[int, int] = {}
        for number, direction in self.directions.items():
            _check("schedule", {"direction": (number, 3)})
            _check(f"direction {number}", {"width": (direction.width, 16), "dead": (direction.dead, 16)})
            words |= dict(
                enumerate(
                    (
                        *(direction.delay, direction.dead << 16 | direction.width, direction.every, direction.target),
                        *(direction.cost, direction.burst),
                    ),
                    WORDS * number,
                )
            )
            _check(f"direction {number}", {"every": (direction.every, 16)})
        _check(
            "schedule", {"phase": (self.first_phase, 4), "last phase": (self.last_phase, 4), "margin": (self.margin, 5)}
        )
        mode = (
            self.purity
            | self.droplet << 2
            | self.external << 3
            | self.envelope << 4
            | self.doublets << 6
            | self.overlong << 7
            | self.first_phase << 8
            | self.last_phase << 12
            | self.margin << 16
            | sum(1 << number for number in self.directions) << 24
        )
        words |= dict(enumerate((mode, self.before, self.after, self.increment, self.timeout), COMMON))
        _check("schedule", {f"word {index}": (word, 32) for index, word in words.items()})
        return words


def _check(what: str, values: dict[str, tuple[int, int]]) -> None:
    for name, (value, bits) in values.items():
        if not 0 <= value < 1 << bits:
            raise IcsortError(f"{what}: {name} of {value} is not within 0..{(1 << bits) - 1}; give another")


@dataclass(frozen=True)
class Cell:
    """A cell that the light has seen. seen: cycle in which the trigger tells of it. event: it was accepted, and will
    be decided."""

    seen: int
    time: int
    event: bool = True
    doubtful: bool = False


@dataclass(frozen=True)
class Result:
    """What the gates wish of an event, and how it ended; in the order of the events. ready: cycle from which it is
    there."""

    ready: int
    wish: int | None = None
    several: bool = False
    fault: bool = False
    stalled: bool = False
    hardware: bool = False
    overlong: bool = False
    doublet: bool = False


@dataclass
class Schedule:
    """What became of the events.

    decided: (cycle, outcome, direction) of each decision. amended: (number of the decision, outcome, direction), in
    the order of the amendments. pulses: for each direction (first, last) cycle in which its output is high. sorts:
    (event, direction, cycle of the begin) of each that came true.
    """

    decided: list[tuple[int, Outcome, int]] = field(default_factory=list)
    amended: list[tuple[int, Outcome, int]] = field(default_factory=list)
    pulses: list[list[tuple[int, int]]] = field(default_factory=lambda: [[] for _ in range(DIRECTIONS)])
    sorts: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def final(self) -> list[Outcome]:
        """Outcome of each event as the counters state it."""
        outcomes = [outcome for _, outcome, _ in self.decided]
        for event, outcome, _ in self.amended:
            outcomes[event] = outcome
        return outcomes


class Drops:
    """The drops of a droplet sorter: the cycle in which each began, from number 1 on (drop_clock.sv)."""

    def __init__(self, begins: Sequence[int]) -> None:
        self.begins = list(begins)

    def number(self, cycle: int) -> int:
        """Of the newest drop in that cycle, 0 before the first."""
        return bisect.bisect_right(self.begins, cycle)

    def begin(self, number: int) -> int:
        """Cycle in which a drop begins, NEVER where it does not."""
        return self.begins[number - 1] if 1 <= number <= len(self.begins) else NEVER if number > 0 else -NEVER

    def locate(self, time: int, cycle: int) -> tuple[int, bool, int]:
        """Position of a cell among the drops, asked for in that cycle: (sixteenths, doubtful, cycles that it takes)."""
        newest = self.number(cycle)
        left = min(newest, SEARCHED)
        for back in range(SEARCHED + 1):
            if left - back < 2:
                return 0, True, 2 + 4 * back
            begin = self.begin(newest - back)
            if time >= begin:
                period = begin - self.begin(newest - back - 1)
                phase = 16 * (time - begin) // period
                return 16 * (newest - back) + min(phase, 15), False, 4 * back + (12 if phase < 16 else 9)
        raise AssertionError("a drop is always found or not to be found")


def internal_drops(increment: int, first: int, last: int, timestamp: int = 0) -> list[int]:
    """Cycles in which the drops of the internal clock begin. first: cycle in which its phase is 0; up to cycle
    `last`."""
    begins, number = [], 1
    while increment:
        # The accumulator carries when the number of additions times the increment passes a multiple of 2^32; 2 cycles
        # on it is seen.
        carry = -(-(number << 32) // increment)
        cycle = first + carry + 2 - timestamp
        if cycle > last:
            break
        begins.append(cycle)
        number += 1
    return begins


@dataclass
class _Output:
    """A sort loaded into an output: of which cell, when it was loaded, begins, would be disarmed, is due; how it
    ended."""

    cell: int
    loaded: int
    begin: int
    end: int
    low: int
    high: int
    fire: int
    disarm: int
    due: int
    approved: int = NEVER
    cancelled: tuple[int, Outcome] | None = None

    def ends(self) -> tuple[int, Outcome]:
        """The cycle behind which it is finished, and how."""
        last = min(self.fire, self.disarm)
        if self.cancelled is not None:
            return self.cancelled
        if self.disarm <= self.fire:
            return last, Outcome.DISARMED
        return last, Outcome.SORTED if self.approved < self.fire else Outcome.LATE


@dataclass
class _Lane:
    """What is kept of an output: its queue of (cell, joined), the state of its rules, and the sort loaded."""

    queue: deque[tuple[int, bool, int]] = field(default_factory=deque)
    loaded: _Output | None = None
    fate: Outcome = Outcome.SORTED
    fresh: bool = False
    joinable: bool = False
    near: int = 0
    end: int = 0
    dead: int = 0
    paid: int = 0
    count: int = 0
    turn: int = 0
    low_at: int = -1


class Scheduler:
    """One run of the scheduler from reset on, with one set of settings.

    enabled: disjoint, ascending intervals [first, end) of cycles in which it is armed (or, with testing, test mode
    is). testing: the direction that every event is wished for in test mode; None: the gates' wishes. drops: in droplet
    mode. cells, sorts, looked_at as built.
    """

    def __init__(
        self,
        settings: Settings,
        enabled: Sequence[tuple[int, int]],
        drops: Drops | None = None,
        testing: int | None = None,
        cells: int = CELLS,
        sorts: int = SORTS,
    ) -> None:
        for (_, end), (first, _) in pairwise(enabled):
            if first <= end:
                raise IcsortError(f"armed intervals must ascend with a gap between, not {list(enabled)}")
        if settings.droplet != (drops is not None):
            raise IcsortError("drops belong to droplet mode: give them there, and only there")
        self.settings = settings
        self.drops = drops
        self.result = Schedule()
        self._starts = [first for first, _ in enabled]
        self._ends = [end for _, end in enabled]
        self._testing = testing
        self._cells, self._sorts = cells, sorts
        self._lanes = [_Lane() for _ in range(DIRECTIONS)]
        self._positions: list[int] = []
        self._states: list[tuple[bool, bool, int]] = []  # resolved, doubtful, direction
        self._events: list[int] = []  # cell of each event
        self._event_of: dict[int, int] = {}
        self._undecided: deque[tuple[int, bool, int]] = deque()  # cell, doubtful, cycle from which it is there
        self._lost = 0

    # -------------------------------------------------------------- time

    def _enabled(self, cycle: int) -> bool:
        index = bisect.bisect_right(self._starts, cycle) - 1
        return index >= 0 and cycle < self._ends[index]

    def _disabled_from(self, cycle: int) -> int:
        """First cycle from this one on in which it is not enabled."""
        index = bisect.bisect_right(self._starts, cycle) - 1
        return cycle if index < 0 or cycle >= self._ends[index] else self._ends[index]

    def _base(self, cycle: int) -> int:
        return cycle + 1 if self.drops is None else self.drops.number(cycle - 1)

    def _cycle(self, base: int) -> int:
        """First cycle in which `base` is that."""
        return base - 1 if self.drops is None else self.drops.begin(base) + 1

    # -------------------------------------------------------------- run

    def run(self, cells: Iterable[Cell], results: Iterable[Result]) -> Schedule:
        """What becomes of the events among the cells. Cells in the order in which they are seen, results in that of
        the events."""
        incoming = iter(cells)
        outcomes = iter(results)
        cell = next(incoming, None)
        result = next(outcomes, None)
        lanes = self._lanes
        begins = deque(first + 1 for first in self._starts)
        now = 0
        consumed = -2  # cycle in which the last cell was taken
        decided = -1
        arrival: tuple[int, int, bool] | None = None  # cycle from which it is there, position, doubtful
        while True:
            if cell is not None and arrival is None:
                if self.drops is None:
                    arrival = max(cell.seen, consumed) + 2, cell.time, cell.doubtful
                else:
                    asked = max(cell.seen, consumed) + 1
                    position, doubtful, takes = self.drops.locate(cell.time, asked)
                    arrival = asked + takes + 1, position, doubtful or cell.doubtful
            if begins and begins[0] <= now:
                while begins and begins[0] <= now:
                    begins.popleft()
                for lane in lanes:
                    lane.count = lane.turn = 0
                    lane.joinable = False
                now += 7
                continue
            ready = begins[0] if begins else NEVER
            job = None
            for number, lane in enumerate(lanes):
                if lane.loaded is not None:
                    ended = lane.loaded.ends()[0] + 1
                    if ended <= now:
                        job = number
                        break
                    ready = min(ready, ended)
            if job is not None:
                now = self._finish(job, now)
                continue
            for number, lane in enumerate(lanes):
                if lane.loaded is None and lane.queue:
                    job = number
                    break
            if job is not None:
                now = self._head(job, now)
                continue
            if arrival is not None and cell is not None:
                if arrival[0] <= now:
                    self._insert(now, cell.event, *arrival[1:])
                    consumed = now + 1
                    arrival, cell = None, next(incoming, None)
                    now += 10
                    continue
                ready = min(ready, arrival[0])
            for number, lane in enumerate(lanes):
                sort = lane.loaded
                if sort is not None and sort.approved == NEVER and sort.cancelled is None:
                    if sort.due <= now:
                        job = number
                        break
                    ready = min(ready, sort.due)
            if job is not None:
                now = self._commit(job, now)
                continue
            if result is not None and self._undecided:
                there = max(result.ready, self._undecided[0][2], decided + 1)
                if there <= now:
                    now = self._decide(now, result)
                    decided = self.result.decided[-1][0]
                    result = next(outcomes, None)
                    continue
                ready = min(ready, there)
            if ready >= NEVER // 2:
                break
            now = max(now + 1, ready)
        return self.result

    # -------------------------------------------------------------- jobs: each returns the cycle in which the engine
    # is idle again

    def _finish(self, number: int, now: int) -> int:
        lane = self._lanes[number]
        sort = lane.loaded
        assert sort is not None
        _, fate = sort.ends()
        lane.loaded = None
        if fate is Outcome.SORTED:
            lane.fate = fate
            self._fired(number, sort)
            return now + 2
        self._amend(number, sort.cell, fate)
        return now + 7

    def _fired(self, number: int, sort: _Output) -> None:
        pulses = self.result.pulses[number]
        first, last = sort.fire + 1, self._cycle(sort.end)
        if pulses and pulses[-1][1] >= first - 1:
            first = pulses.pop()[0]
        pulses.append((first, last))
        self.result.sorts.append((self._event_of[sort.cell], number, sort.fire + 1))

    def _amend(self, number: int, cell: int, fate: Outcome) -> None:
        lane = self._lanes[number]
        if fate is not Outcome.DISARMED:
            lane.count -= 1
        lane.fate = fate
        self._states[cell] = True, self._states[cell][1], NO_DIRECTION
        self.result.amended.append((self._event_of[cell], fate, number))

    def _head(self, number: int, now: int) -> int:
        lane = self._lanes[number]
        cell, joined, pushed = lane.queue.popleft()
        if (
            self._disabled_from(pushed) <= now + 2
        ):  # the flush of a cycle is seen in the next one, the front is taken 3 cycles on
            self._amend(number, cell, Outcome.DISARMED)
            return now + 10
        if joined:
            if lane.fate is Outcome.SORTED:
                self.result.sorts.append((self._event_of[cell], number, now + 4))
                return now + 5
            self._amend(number, cell, lane.fate)
            return now + 10
        begin, end, low, high, _ = self._plan(number, cell)
        guard = 1 if self.drops is not None else GUARD + 8
        if self._disabled_from(now) <= now + 15:
            self._amend(number, cell, Outcome.DISARMED)
            return now + 21
        limit = self._base(now + 13) + guard
        if self.drops is not None:
            limit = self._base(now + 13) + 1
        if begin < limit:
            self._amend(number, cell, Outcome.LATE)
            return now + 21
        loaded = now + 15
        fire = self._cycle(begin)
        ahead = 1 if self.drops is not None else GUARD
        due = max(loaded + 1, self._cycle(begin - ahead)) + 1
        lane.loaded = _Output(cell, loaded, begin, end, low, high, fire, self._disabled_from(loaded + 1), due)
        return now + 17

    def _insert(self, now: int, event: bool, position: int, doubtful: bool) -> None:
        old = len(self._positions) + MARGIN - self._cells
        if self._undecided and self._undecided[0][0] == old and self._undecided[0][2] <= now + 1:
            self._lost = len(self._undecided)
        if event:
            self._undecided.append((len(self._positions), doubtful, now + 2))
        self._positions.append(position)
        self._states.append((not event, doubtful, NO_DIRECTION))
        for number, lane in enumerate(self._lanes):
            sort = lane.loaded
            if sort is None or sort.cancelled is not None:
                continue
            cycle = now + 4 + number
            too_near = (
                self.settings.purity is not Purity.YIELD
                and sort.approved < cycle
                and (doubtful or position <= sort.high)
            )
            aged = sort.cell == old
            if (too_near or aged) and cycle < min(sort.fire, sort.disarm):
                cause = Outcome.COINCIDENCE if too_near and not doubtful and not aged else Outcome.AMBIGUOUS
                sort.cancelled = cycle, cause

    def _commit(self, number: int, now: int) -> int:
        sort = self._lanes[number].loaded
        assert sort is not None
        if self.settings.purity is Purity.YIELD:
            cycle, verdict = now + 2, Outcome.SORTED
        else:
            cycles, verdict = self._walk(number, sort.cell, sort.low, sort.high, True)
            cycle = now + 5 + cycles
        if verdict is Outcome.SORTED:
            sort.approved = cycle
        elif cycle < min(sort.fire, sort.disarm):
            sort.cancelled = cycle, verdict
        else:
            sort.approved = NEVER - 1  # looked at, but too late for anything
        return cycle + 1

    def _plan(self, number: int, cell: int) -> tuple[int, int, int, int, bool]:
        """(begin, end, lowest and highest position of a neighbour that is too near, the cell is near the edge of its
        drop)."""
        settings, direction = self.settings, self.settings.directions[number]
        position = self._positions[cell]
        if self.drops is None:
            begin = position + direction.delay
            return begin, begin + max(1, direction.width), position - settings.before, position + settings.after, False
        drop, phase = divmod(position + direction.delay, 16)
        reach = {Envelope.ONE: 0, Envelope.ONE_AND_A_HALF: 4, Envelope.TWO: 8}[settings.envelope]
        begin, end = drop - (phase < reach), drop + 1 + (phase >= 16 - reach)
        low, high = 16 * begin - direction.delay - settings.margin, 16 * end - direction.delay + settings.margin - 1
        return begin, end, low, high, not settings.first_phase <= phase <= settings.last_phase

    def _walk(self, number: int, cell: int, low: int, high: int, committing: bool) -> tuple[int, Outcome]:
        """Look at the neighbours. Returns the cycles that it takes, and SORTED, COINCIDENCE or AMBIGUOUS."""
        single = self.settings.purity is Purity.SINGLE
        inserted = len(self._positions)
        oldest = max(0, inserted - (self._cells - 1))
        cycles = 0
        for step in (1, -1):
            at = cell
            for looked in range(LOOKED_AT):
                if at == (inserted - 1 if step == 1 else oldest):
                    cycles += 1
                    break
                at += step
                cycles += 5
                resolved, doubtful, direction = self._states[at]
                if doubtful:
                    return cycles, Outcome.AMBIGUOUS
                position = self._positions[at]
                if position > high if step == 1 else position < low:
                    break
                if single or (direction != number if resolved else committing):
                    return cycles, Outcome.COINCIDENCE
                if looked == LOOKED_AT - 1:
                    return cycles, Outcome.AMBIGUOUS
        return cycles, Outcome.SORTED

    def _decide(self, now: int, result: Result) -> int:
        cell, doubtful, _ = self._undecided[0]
        outcome = self._first_verdict(result, doubtful, now + 1)
        number = NO_DIRECTION
        cycle = now + 2
        joined = False
        if outcome is Outcome.SORTED:
            wish = result.wish if self._testing is None else self._testing
            assert wish is not None
            number = wish
            cycle, outcome, joined = self._wish(number, cell, now)
        pushed = outcome is Outcome.SORTED
        self._undecided.popleft()
        self._lost = max(0, self._lost - 1)
        self._event_of[cell] = len(self.result.decided)
        in_doubt = doubtful or outcome in (Outcome.HARDWARE, Outcome.FAULT)
        self._states[cell] = True, in_doubt, number if pushed else NO_DIRECTION
        self.result.decided.append((cycle, outcome, number))
        if pushed:
            lane = self._lanes[number]
            lane.count += 1
            lane.queue.append((cell, joined, cycle))
        return cycle + (5 if pushed and not joined else 1)

    def _first_verdict(self, result: Result, doubtful: bool, cycle: int) -> Outcome:
        if result.fault:
            return Outcome.FAULT
        if result.stalled:
            return Outcome.STALLED
        if result.hardware:
            return Outcome.HARDWARE
        if result.overlong and not self.settings.overlong:
            return Outcome.OVERLONG
        if result.doublet and not self.settings.doublets:
            return Outcome.AMBIGUOUS
        if not self._enabled(cycle):
            return Outcome.DISARMED
        wish = result.wish if self._testing is None else self._testing
        if wish not in self.settings.directions and not (result.several and self._testing is None):
            return Outcome.REJECTED
        if (result.several and self._testing is None) or self._lost or doubtful:
            return Outcome.AMBIGUOUS
        return Outcome.SORTED

    def _wish(self, number: int, cell: int, now: int) -> tuple[int, Outcome, bool]:
        """Cycle of the decision, outcome, and whether it is charged with the sort before."""
        settings, direction, lane = self.settings, self.settings.directions[number], self._lanes[number]
        droplet = self.drops is not None
        begin, end, low, high, off_phase = self._plan(number, cell)
        late = begin < self._base(now + 10) + (2 if droplet else LATE_MARGIN)
        single = settings.purity is Purity.SINGLE
        joined = droplet and not single and lane.joinable and begin == lane.near - 1 and end == lane.end
        overlap = begin < lane.end or (begin == lane.end and not droplet)  # drops beside each other are told apart
        conflict = len(lane.queue) >= self._sorts or (
            lane.fresh and not joined and (begin < lane.near or (single if overlap else begin < lane.dead))
        )
        limited = lane.fresh and not joined and lane.paid > begin + direction.burst
        paid = (max(lane.paid, begin) if lane.fresh else begin) + direction.cost
        turn = lane.turn + 1 >= direction.every
        complete = direction.target and lane.count >= direction.target
        lane.turn = 0 if turn else lane.turn + 1
        outcome, cycles = Outcome.SORTED, 0
        if not turn:
            outcome = Outcome.SKIPPED
        elif complete:
            outcome = Outcome.COMPLETE
        elif late:
            outcome = Outcome.LATE
        elif off_phase:
            outcome = Outcome.AMBIGUOUS
        elif settings.purity is not Purity.YIELD:
            cycles, outcome = self._walk(number, cell, low, high, False)
        cycle = now + 20 + cycles
        if outcome is Outcome.SORTED:
            if conflict:
                outcome = Outcome.CONFLICT
            elif limited:
                outcome = Outcome.LIMITED
            if self._disabled_from(now) <= cycle:
                outcome = Outcome.DISARMED
        if outcome is Outcome.SORTED and not joined:
            lane.near = begin + (1 if droplet else LATE_MARGIN)
            lane.end, lane.dead, lane.paid = end, end + direction.dead, paid
            lane.fresh = lane.joinable = True
        return cycle, outcome, joined and outcome is Outcome.SORTED
