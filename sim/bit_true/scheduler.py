# SPDX-License-Identifier: Apache-2.0
"""The sort scheduler: what becomes of each decided event, bit-true and cycle-true to hw/rtl/sorter/sort_scheduler.sv.

Times are cycles of the sorter's timestamp. An event decided in cycle `decision` ends by the first rule that holds:

* ABORTED    one of its lines was malformed
* DISARMED   the sorter is not armed in that cycle
* REJECTED   the gate does not want it
* LATE       its sort time, event time + drop delay, is less than LATE_MARGIN cycles away
* CONFLICT   its pulse would begin before the one scheduled before has ended and the output was low for a cycle, or the
             queue of pending sorts is full
* SORTED     scheduled. The pulse is high in the `pulse_cycles` cycles from the sort time on.

A disarmed sorter begins no pulse: whatever is scheduled and has not begun when the sorter is disarmed ends as DISARMED.
A pulse that has begun is completed. When in doubt it does not sort.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from icsort.errors import IcsortError

LATE_MARGIN: Final = 4
QUEUE_DEPTH: Final = 64


class Outcome(IntEnum):
    """How an event ended: the code in its record, and the counter that counts it."""

    SORTED = 0
    REJECTED = 1
    DISARMED = 2
    LATE = 3
    ABORTED = 4
    CONFLICT = 5


@dataclass(frozen=True)
class Decision:
    """A decided event. time: the one that its line 0 brought; decision: the cycle of its decision; both timestamps."""

    time: int
    decision: int
    passes: bool
    aborted: bool = False


@dataclass(frozen=True)
class Schedule:
    """What became of the events.

    decided: outcome of each as its record states it. final: outcome of each as the counters state it (differs where a
    scheduled sort was cancelled). pulses: (first, last) cycle in which the output is high.
    """

    decided: tuple[Outcome, ...]
    final: tuple[Outcome, ...]
    pulses: tuple[tuple[int, int], ...]


def schedule(
    events: Iterable[Decision],
    drop_delay: int,
    pulse_cycles: int,
    armed: Sequence[tuple[int, int]],
    queue_depth: int = QUEUE_DEPTH,
) -> Schedule:
    """Outcome of each event, in the order of their decisions.

    drop_delay, pulse_cycles: registers, cycles (pulse_cycles 0 acts as 1). armed: disjoint, ascending intervals [first,
    end) of cycles in which the sorter is armed. queue_depth: sorts that may be pending.
    Raises IcsortError where decisions or intervals do not ascend.
    """
    width = max(1, pulse_cycles)
    for (_, end), (first, _) in pairwise(armed):
        if first <= end:
            raise IcsortError(f"armed intervals must ascend with a gap between, not {list(armed)}")
    decided: list[Outcome] = []
    final: list[Outcome] = []
    pending: list[int] = []  # sort times scheduled in this armed interval
    fired: list[int] = []  # and those of earlier intervals that came true
    interval: tuple[int, int] | None = None
    previous = -1
    for event in events:
        now = event.decision
        if now <= previous:
            raise IcsortError(f"decisions must ascend, but cycle {now} follows {previous}")
        previous = now
        current = next(((first, end) for first, end in armed if first <= now < end), None)
        if current is not None and current != interval:
            fired += [start for start in pending if _fires(start, interval)]
            pending = []
            interval = current
        start = event.time + drop_delay
        before = (fired + pending)[-1:]
        if event.aborted:
            outcome = Outcome.ABORTED
        elif current is None:
            outcome = Outcome.DISARMED
        elif not event.passes:
            outcome = Outcome.REJECTED
        elif start - now < LATE_MARGIN:
            outcome = Outcome.LATE
        elif (before and start <= before[0] + width) or sum(waiting > now for waiting in pending) >= queue_depth:
            outcome = Outcome.CONFLICT
        else:
            outcome = Outcome.SORTED
            pending.append(start)
        decided.append(outcome)
        final.append(Outcome.DISARMED if outcome is Outcome.SORTED and not _fires(start, current) else outcome)
    fired += [start for start in pending if _fires(start, interval)]
    return Schedule(tuple(decided), tuple(final), tuple((start, start + width - 1) for start in fired))


def _fires(start: int, interval: tuple[int, int] | None) -> bool:
    """Whether a sort scheduled in an armed interval fires: the output register is loaded in the cycle before it."""
    return interval is not None and start - 1 < interval[1]
