# SPDX-License-Identifier: Apache-2.0
"""What consecutive frames of statistics say of the time between them: rates, gaps, restarts of the board."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from icsort.host.link.protocol import Statistics
from icsort.sim.bit_true.scheduler import DIRECTIONS, Outcome

ABORTS: Final = tuple(
    outcome.name for outcome in Outcome if outcome not in (Outcome.SORTED, Outcome.REJECTED, Outcome.DISARMED)
)
"""Counters of events that might have been sorted and were not, by cause."""
LOSSES: Final = (
    *("MISSED", "DEAD_TIME", "WINDOWS_LOST", "FEATURES_LOST", "RECORDS_LOST", "STATISTICS_LOST", "IMAGES_SKIPPED"),
    *("LINE_ERRORS", "LINE_GAPS", "LINES_STOPPED", "LINK_BAD_FRAMES", "HEARTBEATS_LOST"),
)
"""Counters of what did not become an event, did not reach the host, or did not come from it, by kind."""
_TIME_WRAP: Final = 2**48
_COUNTER_WRAP: Final = 2**32


def causes(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Aborts and losses among counts by the counters' names, those that are none left out."""
    return {
        "aborts": {name: counts[name] for name in ABORTS if counts.get(name)},
        "losses": {name: counts[name] for name in LOSSES if counts.get(name)},
    }


@dataclass(frozen=True)
class Rates:
    """What happened between two moments. seconds: of the board's clock. counts: of each counter."""

    seconds: float
    counts: dict[str, int]

    def per_second(self, name: str) -> float:
        return self.counts[name] / self.seconds

    def by_name(self, names: tuple[str, ...]) -> dict[str, float]:
        """Rates of these counters, those that did not move left out."""
        return {name: self.per_second(name) for name in names if self.counts[name]}

    def to_json(self) -> dict[str, object]:
        """Rates a second, by what they are about."""
        return {
            "seconds": self.seconds,
            "events": self.per_second("ACCEPTED"),
            "sorted": self.per_second("SORTED"),
            "sorted_by_direction": [self.per_second(f"SORTED_{direction}") for direction in range(DIRECTIONS)],
            "aborts": self.by_name(ABORTS),
            "losses": self.by_name(LOSSES),
        }

    def text(self) -> str:
        """One line for people."""

        def words(rates: dict[str, float]) -> str:
            return ", ".join(f"{rate:,.4g} {name.lower().replace('_', ' ')}" for name, rate in rates.items()) or "none"

        return (
            f"{self.per_second('ACCEPTED'):,.4g} events/s, {self.per_second('SORTED'):,.4g} sorted/s; "
            f"aborts/s: {words(self.by_name(ABORTS))}; losses/s: {words(self.by_name(LOSSES))}"
        )


class StatisticsLog:
    """Takes the frames of one board as they come.

    clock_hz: of the board. frames: taken. missing: moments between them of which no frame came, because the board had
    no room (its STATISTICS_LOST) or the line damaged it. restarts: times that number or time went back, so that the
    board was reset. latest, rates: the last frame, and what it says with the one before; None until there is one, rates
    also behind a restart.
    """

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.frames = 0
        self.missing = 0
        self.restarts = 0
        self.latest: Statistics | None = None
        self.rates: Rates | None = None

    def see(self, statistics: Statistics) -> None:
        """Take note of the next frame received."""
        before, self.latest = self.latest, statistics
        self.frames += 1
        self.rates = None
        if before is None:
            return
        moments = (statistics.number - before.number) % _COUNTER_WRAP
        cycles = (statistics.time - before.time) % _TIME_WRAP
        if not 0 < moments < _COUNTER_WRAP // 2 or not 0 < cycles < _TIME_WRAP // 2:
            self.restarts += 1
            return
        self.missing += moments - 1
        counts = {name: (value - before.counters[name]) % _COUNTER_WRAP for name, value in statistics.counters.items()}
        self.rates = Rates(cycles / self.clock_hz, counts)
