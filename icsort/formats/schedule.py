# SPDX-License-Identifier: Apache-2.0
"""What a user sets of the scheduler, in microseconds, drops and shares; docs/sorter.md has what each rule does.

A schedule is an object here, a TOML file on disk (`load`) and the scheduler's integers in the board (`cycles`).
"""

import math
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from icsort.errors import IcsortError
from icsort.formats.document import Strict, read_toml, refusals
from icsort.sim.bit_true.scheduler import Direction, Envelope, Purity, Settings

DEFAULT_DROP_DELAY_US: Final = 500.0
"""Assumption: the path from the laser to the sorting point is the instrument's, not ours; set it for yours."""
DEFAULT_PULSE_US: Final = 5.0
"""Assumption, as above: the actuator decides."""
ENVELOPES: Final = {1.0: Envelope.ONE, 1.5: Envelope.ONE_AND_A_HALF, 2.0: Envelope.TWO}
REMEDY: Final = "docs/sorter.md has what may be set"

Microseconds = Annotated[float, Field(ge=0)]


class DirectionSchedule(Strict):
    """One direction. delay_us (valve) or delay_drops (droplet, a multiple of 1/16): from a cell's light to its pulse.
    pulse_us: length of a pulse (valve). dead_us or dead_drops: that the output stays low behind a pulse at least.
    every: sort each n-th wish. target: sorts, counted from ARM, then no more; 0: no end. duty: share of the time that
    the output is high at most, in the long run; burst_us: and the high time that may come at once.
    """

    delay_us: Microseconds | None = None
    delay_drops: float | None = Field(default=None, ge=0)
    pulse_us: Microseconds = DEFAULT_PULSE_US
    dead_us: Microseconds = 0.0
    dead_drops: int = Field(default=0, ge=0)
    every: int = Field(default=1, ge=1)
    target: int = Field(default=0, ge=0)
    duty: float = Field(default=1.0, gt=0, le=1)
    burst_us: Microseconds = 0.0


class Droplets(Strict):
    """Droplet sorting. frequency_hz: of the drops; with an external clock what is expected. envelope: drops charged
    for a cell, 1, 1.5 or 2. first_phase, last_phase: sixteenths of its drop between which a cell may be. margin:
    sixteenths of a drop beside the charged ones in which a neighbour is too near.
    """

    frequency_hz: float = Field(gt=0)
    clock: Literal["internal", "external"] = "external"
    envelope: float = 1.0
    first_phase: int = Field(default=0, ge=0, le=15)
    last_phase: int = Field(default=15, ge=0, le=15)
    margin: int = Field(default=0, ge=0, le=31)

    @field_validator("envelope")
    @classmethod
    def _is_an_envelope(cls, value: float) -> float:
        if value not in ENVELOPES:
            raise ValueError("is not 1, 1.5 or 2")
        return value


class Schedule(Strict):
    """All of it. directions: by number, 0 to 5; one that is not there is not used. mode: what a neighbour does to a
    sort: nothing (yield); aborts it unless it goes the same way (purity); aborts it whatever it is (single).
    before_us, after_us: around a cell's light in which a neighbour is too near (valve); None: the longest pulse.
    doublets, overlong: such events are not aborted.
    """

    directions: dict[Annotated[int, Field(ge=0, le=5)], DirectionSchedule] = Field(default={0: DirectionSchedule()})
    mode: Literal["yield", "purity", "single"] = "purity"
    before_us: Microseconds | None = None
    after_us: Microseconds | None = None
    droplets: Droplets | None = None
    doublets: bool = False
    overlong: bool = False

    def cycles(self, clock_hz: int) -> Settings:
        """The scheduler's integers at a clock. Raises IcsortError where one does not fit its register."""
        drop = clock_hz / self.droplets.frequency_hz if self.droplets else 1.0
        longest = max((direction.pulse_us for direction in self.directions.values()), default=0.0)
        common: dict[str, object] = {}
        if self.droplets:
            if drop < 256:
                raise IcsortError(
                    f"drops of {drop:.0f} cycles are too short for a clock of {clock_hz / 1e6:g} MHz; at least "
                    "256 are needed: give a lower frequency_hz, or build for a faster clock"
                )
            common = {
                "droplet": True,
                "external": self.droplets.clock == "external",
                "envelope": ENVELOPES[self.droplets.envelope],
                "margin": self.droplets.margin,
                "first_phase": self.droplets.first_phase,
                "last_phase": self.droplets.last_phase,
                "increment": round(2**32 / drop),
                "timeout": cycles("two drops", 2e6 / self.droplets.frequency_hz, clock_hz, 32),
            }
        settings = Settings(
            directions={number: self._direction(number, clock_hz) for number in sorted(self.directions)},
            purity=Purity[self.mode.upper()],
            before=cycles("before_us", longest if self.before_us is None else self.before_us, clock_hz, 32),
            after=cycles("after_us", longest if self.after_us is None else self.after_us, clock_hz, 32),
            doublets=self.doublets,
            overlong=self.overlong,
            **common,  # type: ignore[arg-type]
        )
        settings.words()
        return settings

    def _direction(self, number: int, clock_hz: int) -> Direction:
        direction, what = self.directions[number], f"direction {number}"
        if self.droplets:
            if direction.delay_drops is None or (direction.delay_drops * 16) % 1:
                raise IcsortError(
                    f"{what}: give delay_drops, a multiple of 1/16; with droplets a delay is told in drops"
                )
            drops_a_sort = math.ceil(self.droplets.envelope)
            return Direction(
                delay=round(direction.delay_drops * 16),
                dead=direction.dead_drops,
                every=direction.every,
                target=direction.target,
                cost=math.ceil(drops_a_sort / direction.duty) if direction.duty < 1 else 0,
                burst=round(direction.burst_us * self.droplets.frequency_hz / 1e6 / direction.duty),
            )
        if direction.delay_drops is not None:
            raise IcsortError(f"{what}: delay_drops belongs to droplets; give delay_us")
        delay = DEFAULT_DROP_DELAY_US if direction.delay_us is None else direction.delay_us
        width = cycles(f"{what}: pulse", direction.pulse_us, clock_hz, 16, least=1)
        return Direction(
            delay=cycles(f"{what}: drop delay", delay, clock_hz, 32, least=1),
            width=width,
            dead=cycles(f"{what}: dead time", direction.dead_us, clock_hz, 16),
            every=direction.every,
            target=direction.target,
            cost=math.ceil(width / direction.duty) if direction.duty < 1 else 0,
            burst=cycles(f"{what}: burst", direction.burst_us / direction.duty, clock_hz, 32),
        )


def simple(
    delay_us: float = DEFAULT_DROP_DELAY_US,
    pulse_us: float = DEFAULT_PULSE_US,
    mode: Literal["yield", "purity", "single"] = "purity",
    coincidence_us: float | None = None,
    target: int = 0,
) -> Schedule:
    """A schedule of one direction, 0. Raises IcsortError for what cannot be."""
    with refusals("schedule", REMEDY):
        direction = DirectionSchedule(delay_us=delay_us, pulse_us=pulse_us, target=target)
        return Schedule(directions={0: direction}, mode=mode, before_us=coincidence_us, after_us=coincidence_us)


def load(path: Path) -> Schedule:
    """The schedule in a TOML file, the fields of `Schedule` by name. Raises IcsortError, one line with file, key and
    remedy, for a file that is none."""
    return read_toml(Schedule, path, REMEDY)


def cycles(what: str, microseconds: float, clock_hz: int, bits: int, least: int = 0) -> int:
    """Of a clock, for a register of so many bits. Raises IcsortError, with what to give, where it is not within least
    .. 2^bits - 1."""
    limit = (1 << bits) - 1
    if math.isfinite(microseconds):
        cycles = round(microseconds * clock_hz / 1e6)
        if least <= cycles <= limit:
            return cycles
    raise IcsortError(
        f"{what} of {microseconds} us is not within {least}..{limit} cycles of the board's {clock_hz / 1e6:g} MHz "
        f"clock; give at most {limit / clock_hz * 1e6:.0f} us"
    )
