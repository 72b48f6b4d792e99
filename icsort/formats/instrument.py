# SPDX-License-Identifier: Apache-2.0
"""What a job must know of the instrument and nobody may assume: a wrong value sorts the wrong cell.

docs/sorting.md has the file with its keys. `icsort calibrate delay` writes drop delays into it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from icsort.errors import IcsortError
from icsort.formats.document import Document, Name, Strict, read_toml
from icsort.formats.schedule import ENVELOPES, DirectionSchedule, Droplets

if TYPE_CHECKING:
    from icsort.formats.acquisition import Acquisition

A = TypeVar("A", bound="Acquisition")

FORMAT: Final = "icsort-instrument"
VERSION: Final = 1
REMEDY: Final = "docs/sorting.md says what an instrument file must hold"

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Output = Annotated[int, Field(ge=0, le=5)]
DelayKey = Literal["delay_us", "delay_drops"]


class DropClock(Strict):
    """Of a droplet sorter. frequency_hz: of the drops; with an external clock what is expected. source: whether the
    board gets the drops' clock at its pin or makes it. envelope: drops charged for a cell. first_phase, last_phase:
    sixteenths of its drop between which a cell may be. margin: sixteenths of a drop beside the charged ones in which a
    neighbour is too near.
    """

    frequency_hz: Positive
    source: Literal["internal", "external"]
    envelope: float = 1.0
    first_phase: Annotated[int, Field(ge=0, le=15)] = 0
    last_phase: Annotated[int, Field(ge=0, le=15)] = 15
    margin: Annotated[int, Field(ge=0, le=31)] = 0

    @model_validator(mode="after")
    def _is_an_envelope(self) -> Self:
        if self.envelope not in ENVELOPES:
            raise ValueError(f"envelope is {self.envelope}: it must be 1, 1.5 or 2")
        return self


class OutputTiming(Strict):
    """A sort output. delay_us (valve) or delay_drops (droplet, a multiple of 1/16): from a cell's light to its pulse.
    pulse_us: length of a pulse (valve). dead_us or dead_drops: that it stays low behind a pulse at least. duty: share
    of the time that it is high at most, in the long run; burst_us: and the high time that may come at once.
    """

    output: Output
    delay_us: NotNegative | None = None
    delay_drops: NotNegative | None = None
    pulse_us: Positive | None = None
    dead_us: NotNegative = 0.0
    dead_drops: Annotated[int, Field(ge=0)] = 0
    duty: Annotated[float, Field(gt=0, le=1)] = 1.0
    burst_us: NotNegative = 0.0


class TriggerLevels(Strict):
    """Line sums at which an event begins and ends, in place of the package's; its other rules stay."""

    on: Annotated[int, Field(ge=0)]
    off: Annotated[int, Field(ge=0)]


def _kind(table: str) -> Callable[[object], str]:
    """Which of a word and a table a value is meant to be, so that what is wrong with it is told of that one."""
    return lambda value: "word" if isinstance(value, str) else table


class Instrument(Document):
    """drop_clock: "none" of a valve or pulse sorter. trigger: "package" for the levels that the model package has.
    before_us, after_us: around a cell's light in which a neighbour is too near (valve); without them the longest pulse.
    """

    format: Literal["icsort-instrument"] = FORMAT
    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = VERSION
    name: Name
    drop_clock: Annotated[
        Annotated[Literal["none"], Tag("word")] | Annotated[DropClock, Tag("clock")], Discriminator(_kind("clock"))
    ]
    trigger: Annotated[
        Annotated[Literal["package"], Tag("word")] | Annotated[TriggerLevels, Tag("levels")],
        Discriminator(_kind("levels")),
    ]
    before_us: NotNegative | None = None
    after_us: NotNegative | None = None
    outputs: Annotated[tuple[OutputTiming, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        numbers = [timing.output for timing in self.outputs]
        for number in numbers:
            if numbers.count(number) > 1:
                raise ValueError(f"output {number} is there twice")
        for timing in self.outputs:
            where = f"output {timing.output}"
            needed = ("delay_us", "pulse_us") if self.drop_clock == "none" else ("delay_drops",)
            other = ("delay_drops",) if self.drop_clock == "none" else ("delay_us", "pulse_us")
            for key in needed:
                if getattr(timing, key) is None:
                    raise ValueError(f"{where}: {key} is missing; nobody can assume it")
            for key in other:
                if getattr(timing, key) is not None:
                    kind = 'drop_clock = "none"' if self.drop_clock == "none" else "a drop clock"
                    raise ValueError(f"{where}: {key} does not go with {kind}")
            unused = "dead_drops" if self.drop_clock == "none" else "dead_us"
            if getattr(timing, unused):
                kind = 'drop_clock = "none"' if self.drop_clock == "none" else "a drop clock"
                used = "dead_us" if self.drop_clock == "none" else "dead_drops"
                raise ValueError(f"{where}: {unused} does not go with {kind}, which takes {used}")
            if timing.delay_drops is not None and (timing.delay_drops * 16) % 1:
                raise ValueError(f"{where}: delay_drops is {timing.delay_drops}: it must be a multiple of 1/16")
        if self.drop_clock != "none":
            for key in ("before_us", "after_us"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} does not go with a drop clock, which takes drop_clock.margin")
        return self

    @property
    def delay_key(self) -> DelayKey:
        """In which key of an output its delay is."""
        return "delay_us" if self.drop_clock == "none" else "delay_drops"

    def output(self, number: int) -> OutputTiming:
        """Raises IcsortError for one that the file does not have."""
        for timing in self.outputs:
            if timing.output == number:
                return timing
        known = ", ".join(str(timing.output) for timing in self.outputs)
        raise IcsortError(f"the instrument file has no output {number}, only {known}; add its delay to it")

    def direction(self, output: int, **changes: Any) -> DirectionSchedule:
        """What a schedule says of an output. changes: that are not the instrument's, or in place of its own. Raises
        IcsortError as `output`."""
        timing = self.output(output).model_dump(exclude={"output"}, exclude_none=True)
        return DirectionSchedule(**timing | changes)

    def droplets(self) -> Droplets | None:
        """What a schedule says of the drops; None of a valve or pulse sorter."""
        if self.drop_clock == "none":
            return None
        values = self.drop_clock.model_dump()
        return Droplets(clock=values.pop("source"), **values)

    def front(self, package: "A") -> "A":
        """What a package sets in front of the network, with this instrument's trigger. Raises IcsortError for levels
        that do not go with the package's other rules."""
        if self.trigger == "package":
            return package
        levels = {"on": self.trigger.on, "off": self.trigger.off}
        changed = package.model_copy(update={"trigger": package.trigger.model_copy(update=levels)})
        changed.event_trigger  # noqa: B018  # refuses what does not go together
        return changed


def load_instrument(path: Path) -> Instrument:
    """Raises IcsortError, one line with file, key and remedy, for a file that is none."""
    return read_toml(Instrument, path, REMEDY)


def with_delay(text: str, where: Path, output: int, key: DelayKey, value: float) -> str:
    """The text of an instrument file with another drop delay, and else as it is, comments too. Raises IcsortError
    where the delay does not stand in a line of its own."""
    parts = re.split(r"^(?=[ \t]*\[\[?)", text, flags=re.MULTILINE)
    places = [
        index
        for index, part in enumerate(parts)
        if re.match(r"[ \t]*\[\[\s*outputs\s*\]\]", part)
        and re.search(rf"^[ \t]*output[ \t]*=[ \t]*{output}[ \t]*(#.*)?\r?$", part, flags=re.MULTILINE)
    ]
    line = re.compile(rf"^([ \t]*{key}[ \t]*=[ \t]*)[^\s#]+", flags=re.MULTILINE)
    if len(places) != 1 or len(line.findall(parts[places[0]])) != 1:
        raise IcsortError(
            f"{where}: {key} of output {output} does not stand in a line of its own; write {value:g} there"
        )
    parts[places[0]] = line.sub(rf"\g<1>{value:.10g}", parts[places[0]])
    return "".join(parts)
