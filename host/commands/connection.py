# SPDX-License-Identifier: Apache-2.0
"""What the commands that talk to a board share: options, the model that it must hold, how its gate reads.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

import contextlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.errors import IcsortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from icsort.formats.package import Manifest
    from icsort.formats.schedule import Schedule
    from icsort.host.link.protocol import Message
    from icsort.host.sorter import Gate, Sorter
    from icsort.sim.bit_true.scheduler import Settings


class SortMode(StrEnum):
    """As `icsort.formats.schedule` names them."""

    YIELD = "yield"
    PURITY = "purity"
    SINGLE = "single"


Port = Annotated[
    str | None,
    typer.Option(
        envvar="ICSORT_PORT",
        help="Port of the board, such as /dev/ttyUSB0, COM3 or socket://HOST:PORT, or on its own processor "
        "pynq://sorter.bit; without it that of icsort.toml, or the only one with a board.",
    ),
]
Baud = Annotated[
    int | None,
    typer.Option(min=1, help="Baud rate of the board; without it that of the build at --model, then the usual ones."),
]
Timeout = Annotated[float, typer.Option(min=0.01, help="Seconds of silence after which a request is repeated.")]
Model = Annotated[Path, typer.Option(help="Model package or build folder that the board was built from.")]
OptionalModel = Annotated[
    Path | None, typer.Option(help="Model package or build folder: checks the board, names the classes.")
]
DropDelay = Annotated[
    float, typer.Option(help="First beat of a cell to its sort pulse, us. The default is an assumption.")
]
Pulse = Annotated[float, typer.Option(help="Length of a sort pulse, us. The default is an assumption.")]
Mode = Annotated[
    SortMode,
    typer.Option(help="What a neighbour does to a sort: nothing; aborts it unless it is sorted as well; aborts it."),
]
Coincidence = Annotated[
    float | None,
    typer.Option(min=0.0, help="Microseconds around a cell in which a neighbour is too near; without it --pulse-us."),
]
SortTarget = Annotated[int, typer.Option("--target", min=0, help="Stop after so many sorts; 0: never.")]
ScheduleFile = Annotated[
    Path | None,
    typer.Option(
        "--schedule", help="TOML file with several directions, droplets, limits; in place of the options above."
    ),
]
ClearFaults = Annotated[
    bool, typer.Option("--clear-faults", help="Clear what faults the board has; you have looked after them.")
]
Reconnect = Annotated[
    bool,
    typer.Option(
        "--reconnect", help="Wait for the port where it is lost, and go on. What was armed is not armed again."
    ),
]
Heartbeat = Annotated[
    float, typer.Option(min=0.001, help="Seconds of silence from here after which the board disarms itself.")
]


CHECK_CLOCK_HZ = 100_000_000
"""Where no build says its clock: times in a gate set are microseconds, and a board counts cycles."""
UNITS = (("us", 1e-6), ("ms", 1e-3), ("s", 1.0))


@dataclass(frozen=True)
class Target:
    """What the board must hold: a model, and where a build folder was given that build, at its baud rate. features:
    whether the build has them; of a model alone, whether a build of it can. clock_hz: the build's; of a model alone one
    to check with."""

    manifest: "Manifest"
    build_id: str | None
    baud: int | None
    features: bool
    clock_hz: int


def open_sorter(
    port: str | None, baud: int | None, timeout: float, target: Target | None = None, share: bool = True
) -> "Sorter":
    """The board, through the program that has its port, or else as that one. share: as `icsort.host.session.connect`
    has it; commands that only ask something do not."""
    from icsort.host.session import connect

    sorter = connect(port, bauds=rates(baud, target), timeout=timeout, share=share)
    warn_of_takeover(sorter)
    return sorter


def warn_of_takeover(sorter: "Sorter") -> None:
    """Behind each opening of the port: the board may have been armed by a program that was killed."""
    from icsort.cli import console

    if sorter.found_armed:
        console.warn(f"{sorter.port}: the board was armed by no program that has the port; it is disarmed now")


def messages(
    sorter: "Sorter", count: int | None, idle: float | None, reconnect: bool, stopped: "Callable[[], bool]"
) -> "Iterator[Message | None]":
    """As `Sorter.events`; with `reconnect` also behind a port that was lost and came back, which is a warning."""
    from icsort.cli import console
    from icsort.host.link.protocol import EventRecord
    from icsort.host.link.transport import PortGoneError

    left = count
    if reconnect:
        sorter.counters()  # from here on the gap of a lost port is counted
    while True:
        try:
            for message in sorter.events(left, idle):
                if left is not None and isinstance(message, EventRecord):
                    left -= 1
                yield message
            return
        except PortGoneError as error:
            if not reconnect:
                raise
            console.warn(f"{error}; waiting for it")
        gap = sorter.reconnect(stopped=stopped)
        if gap is None:
            return
        console.warn(f"{sorter.port}: back; {gap.text()}")
        warn_of_takeover(sorter)


@contextlib.contextmanager
def line_file(path: Path) -> "Iterator[Callable[[str], None]]":
    """A new file of lines, each flushed as it is written; a pipe or a device may be there. IcsortError where there is
    a file already, or the disk is full."""
    there = path.exists() and not path.is_file()
    try:
        stream = path.open("w" if there else "x", encoding="utf-8")
    except FileExistsError:
        raise IcsortError(f"{path}: exists already; give another name, or remove it first") from None
    except OSError as error:
        raise IcsortError(f"{path}: cannot be written ({error.strerror}); give another path with --out") from None
    lines = 0

    def write(line: str) -> None:
        nonlocal lines
        try:
            stream.write(line + "\n")
            stream.flush()
        except OSError as error:
            raise IcsortError(
                f"{path}: {error.strerror} after {lines} lines; free space or choose another disk with --out"
            ) from None
        lines += 1

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):  # what could not be flushed was reported by write
            stream.close()


def rates(baud: int | None, target: Target | None = None) -> tuple[int, ...] | None:
    """Baud rates to try; None for the usual ones."""
    from icsort.host.link.transport import BAUDS

    if baud:
        return (baud,)
    return (target.baud, *BAUDS) if target and target.baud else None


def read_target(folder: Path) -> Target:
    """A model package or build folder. Raises IcsortError."""
    from icsort.formats import package
    from icsort.host.sorter import build_key
    from icsort.sim.bit_true import features

    key = build_key(folder)
    manifest = package.load(folder)
    possible = features.possible(manifest.line.width, manifest.input.channels)
    return Target(manifest, *(key or (None, None, possible, CHECK_CLOCK_HZ)))


def read_schedule(
    file: Path | None, delay_us: float, pulse_us: float, mode: SortMode, coincidence_us: float | None, target: int
) -> "Schedule":
    """That of the file, or else of the options. Raises IcsortError."""
    from icsort.formats import schedule

    return schedule.load(file) if file else schedule.simple(delay_us, pulse_us, mode.value, coincidence_us, target)


def schedule_json(settings: "Settings") -> dict[str, Any]:
    """The schedule in force, in cycles, as `--json` shows it."""
    document = asdict(settings)
    return document | {"purity": settings.purity.name, "envelope": settings.envelope.name}


def schedule_text(settings: "Settings", clock_hz: int) -> str:
    """The schedule in force in a line."""
    if settings.droplet:
        delays = (f"{number} in {direction.delay / 16:g} drops" for number, direction in settings.directions.items())
    else:
        delays = (
            f"{number} in {duration(direction.delay, clock_hz)} for {duration(direction.width, clock_hz)}"
            for number, direction in settings.directions.items()
        )
    return f"{settings.purity.name.lower()}; direction " + ", ".join(delays)


def optional_target(folder: Path | None) -> Target | None:
    return None if folder is None else read_target(folder)


def class_name(index: int, manifest: "Manifest | None") -> str:
    return manifest.classes[index] if manifest and index < len(manifest.classes) else f"class {index}"


def gate_text(gate: "Gate", classes: int, manifest: "Manifest | None") -> str:
    """A gate set in words: its classes where it asks for nothing else."""
    names = gate_classes(gate, classes, manifest)
    if names is None or gate.posterior is None:
        return f"set {gate.identity}: {gate.tests} tests, {gate.gates} gates"
    return f"{', '.join(names) or 'no class'} at posterior {gate.posterior / 2**16:.4g} or more"


def gate_json(gate: "Gate", classes: int, manifest: "Manifest | None") -> dict[str, object]:
    return {**vars(gate), "classes": gate_classes(gate, classes, manifest)}


def gate_classes(gate: "Gate", classes: int, manifest: "Manifest | None") -> list[str] | None:
    """Classes of a gate set that asks for them alone; None of any other."""
    if gate.mask is None:
        return None
    return [class_name(index, manifest) for index in range(classes) if gate.mask >> index & 1]


def duration(cycles: int, clock_hz: int) -> str:
    """Clock cycles in the unit that gives them at most three digits before the point: us, ms or s."""
    if not clock_hz:
        return f"{cycles:,} cycles"
    unit, worth = next(((unit, worth) for unit, worth in UNITS if cycles < 1000 * clock_hz * worth), UNITS[-1])
    return f"{cycles / clock_hz / worth:,.6g} {unit} ({cycles:,} cycles)"


def disarmed(counters: dict[str, int]) -> str:
    """What a command that armed a board says last."""
    return f"disarmed: {counters['ACCEPTED']} events, {counters['SORTED']} sorted since the board was reset"
