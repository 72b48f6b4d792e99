# SPDX-License-Identifier: Apache-2.0
"""`icsort info`, `gate set`, `arm`, `disarm`, `watch`: a board on a serial port, from the command line.

pyserial, rich and numpy are imported by the commands that need them, so that `icsort --help` answers at once.
"""

import contextlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from icsort.errors import IcsortError
from icsort.sim.bit_true.scheduler import Outcome

if TYPE_CHECKING:
    from rich.table import Table

    from icsort.formats.package import Manifest
    from icsort.host.link.protocol import EventRecord
    from icsort.host.sorter import Gate, Sorter

LOSS_COUNTERS = ("MISSED", "RECORDS_LOST", "LINE_ERRORS", "LINK_BAD_FRAMES")
COUNTERS_EVERY_SECONDS = 2.0

Port = Annotated[
    str, typer.Option(envvar="ICSORT_PORT", help="Serial port of the board, such as /dev/ttyUSB0 or COM3.")
]
Baud = Annotated[int, typer.Option(min=1, help="Baud rate that the board was built with (build.json, board.json).")]
Timeout = Annotated[float, typer.Option(min=0.01, help="Seconds of silence after which a request is repeated.")]
Model = Annotated[Path, typer.Option(help="Model package or build folder that the board was built from.")]
OptionalModel = Annotated[
    Path | None, typer.Option(help="Model package or build folder: checks the board, names the classes.")
]
DropDelay = Annotated[
    float, typer.Option(help="First beat of a cell to its sort pulse, us. The default is an assumption.")
]
Pulse = Annotated[float, typer.Option(help="Length of a sort pulse, us. The default is an assumption.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

gate_app = typer.Typer(help="Set the sort gate: classes and minimum posterior.", add_completion=False)


@gate_app.callback()
def _gate() -> None:
    """Set the sort gate: classes and minimum posterior."""


def info(
    port: Port,
    model: OptionalModel = None,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Ask a board who it is: build, model, geometry, state, gate, counters."""
    manifest, build_id = _folder(model)
    with _open(port, baud, timeout) as sorter:
        board = sorter.check_model(manifest, build_id) if manifest else sorter.identify()
        status, gate, counters = sorter.status(), sorter.gate(), sorter.counters()
        delay, pulse = sorter.read("DROP_DELAY"), sorter.read("PULSE_CYCLES")
    if as_json:
        document = {
            "port": port,
            **vars(board),
            **vars(status),
            "gate": {**vars(gate), "classes": _names(gate.mask, board.classes, manifest)},
            "drop_delay_cycles": delay,
            "pulse_cycles": pulse,
            "counters": counters,
        }
        print(json.dumps(document, indent=2))
        return
    from rich.console import Console

    table = _table("", "")
    table.add_row("port", port)
    table.add_row("build id", board.build_id)
    table.add_row("model id", board.model_id + (f" ({manifest.name})" if manifest else ""))
    table.add_row("classes, channels", f"{board.classes}, {board.channels}")
    table.add_row("window", f"{board.height} x {board.width}")
    table.add_row("clock", f"{board.clock_hz / 1e6:g} MHz")
    table.add_row("state", f"{'armed' if status.armed else 'disarmed'}{', idle' if status.idle else ''}")
    table.add_row("gate", _gate_text(gate, board.classes, manifest) if status.gate_valid else "none set")
    table.add_row("drop delay, pulse", f"{_us(delay, board.clock_hz)}, {_us(pulse, board.clock_hz)}")
    for name, value in counters.items():
        table.add_row(name, str(value))
    Console().print(table)


@gate_app.command("set")
def gate_set(
    classes: Annotated[list[str], typer.Argument(help="Classes to sort, by name.", show_default=False)],
    port: Port,
    model: Model,
    posterior: Annotated[float, typer.Option(help="Least posterior of these classes together, 0..1.")] = 0.0,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Sort cells of these classes, if they belong to them with at least this posterior."""
    from icsort.host.sorter import class_mask, posterior_threshold

    manifest, build_id = _required(model)
    class_mask(classes, manifest.classes)  # what is wrong with the request is said before the board is asked
    posterior_threshold(posterior)
    with _open(port, baud, timeout) as sorter:
        board = sorter.check_model(manifest, build_id)
        gate = sorter.set_gate(classes, posterior, manifest)
    if as_json:
        print(json.dumps({**vars(gate), "classes": _names(gate.mask, board.classes, manifest)}))
    else:
        print(f"gate {gate.serial}: {_gate_text(gate, board.classes, manifest)}")


def arm(
    port: Port,
    model: Model,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Check that the board runs this model, set trigger and timing, then let it sort."""
    manifest, build_id = _required(model)
    with _open(port, baud, timeout) as sorter:
        delay, pulse = sorter.arm(manifest, drop_delay_us, pulse_us, build_id)
        board, gate = sorter.identify(), sorter.gate()
    if as_json:
        names = _names(gate.mask, board.classes, manifest)
        document = {
            "armed": True,
            "drop_delay_cycles": delay,
            "pulse_cycles": pulse,
            "gate": {**vars(gate), "classes": names},
        }
        print(json.dumps(document))
        return
    print(
        f"armed: {manifest.name}, gate {_gate_text(gate, board.classes, manifest)}, "
        f"drop delay {_us(delay, board.clock_hz)}, pulse {_us(pulse, board.clock_hz)}"
    )


def disarm(port: Port, baud: Baud = 1_000_000, timeout: Timeout = 1.0) -> None:
    """Stop sorting at once."""
    with _open(port, baud, timeout) as sorter:
        sorter.disarm()
    print("disarmed")


def watch(
    port: Port,
    model: OptionalModel = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after this many events.")] = None,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End after this many seconds without an event.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write every event to this new file, one JSON line each.")] = None,
    arm_first: Annotated[
        bool, typer.Option("--arm", help="Arm once listening, disarm at the end: no event is missed. Needs --model.")
    ] = False,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    baud: Baud = 1_000_000,
    timeout: Timeout = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print events and summary as JSON lines.")] = False,
) -> None:
    """Show and record the events that the board reports, until --count, --idle or Ctrl-C."""
    manifest, build_id = _folder(model)
    if arm_first and not manifest:
        raise IcsortError("--arm needs --model: the model package or build folder that the board must hold")
    with contextlib.ExitStack() as stack:
        sorter = stack.enter_context(_open(port, baud, timeout))
        if manifest:
            sorter.check_model(manifest, build_id)
        record = stack.enter_context(_event_file(out)) if out else None
        tally = _Tally(sorter, manifest)
        show = stack.enter_context(_live()) if not as_json and sys.stdout.isatty() else None
        stopped = stack.enter_context(_stop_signals())
        delay = pulse = 0
        if manifest and arm_first:
            delay, pulse = sorter.arm(manifest, drop_delay_us, pulse_us, build_id)
            stack.callback(sorter.disarm)
        shown = counted = 0.0
        last_time = 0
        for event in sorter.events(count, idle):
            if event is not None:
                tally.add(event)
                last_time = event.time
                line = json.dumps(_event_json(event, manifest))
                if record:
                    record(line)
                if as_json:
                    print(line, flush=True)
            if stopped():
                break
            now = time.monotonic()
            if show and now - counted >= COUNTERS_EVERY_SECONDS:
                tally.counters, counted = sorter.counters(), now
            if show and now - shown >= 0.1:
                show(tally.table())
                shown = now
        tally.counters = sorter.counters()
        # A disarmed board begins no pulse: the last cell's comes first, unless it is to stop at once.
        while arm_first and not stopped() and tally.counters["TIMESTAMP"] <= last_time + delay + pulse:
            tally.counters = sorter.counters()
        if show:
            show(tally.table())
    if as_json:
        print(json.dumps({"summary": tally.summary()}), flush=True)
    elif not show:
        from rich.console import Console

        Console().print(tally.table())


class _Tally:
    """What a watch has seen: events by class and outcome, losses, the board's counters."""

    def __init__(self, sorter: "Sorter", manifest: "Manifest | None") -> None:
        self.counters: dict[str, int] = {}
        self._losses = sorter.losses
        self._manifest = manifest
        self._seen: Counter[tuple[int, Outcome]] = Counter()

    def add(self, event: "EventRecord") -> None:
        self._seen[event.class_index, event.outcome] += 1

    def summary(self) -> dict[str, Any]:
        classes: Counter[str] = Counter()
        outcomes: Counter[str] = Counter({outcome.name: 0 for outcome in Outcome})
        for (index, outcome), number in self._seen.items():
            classes[_class_name(index, self._manifest)] += number
            outcomes[outcome.name] += number
        return {
            "events": self._seen.total(),
            "classes": dict(classes),
            "outcomes": dict(outcomes),
            "lost_events": self._losses.events,
            "lost_frames": self._losses.frames,
            "bad_frames": self._losses.bad_frames,
            "restarts": self._losses.restarts,
            "counters": self.counters,
        }

    def table(self) -> "Table":
        table = _table("class", *(outcome.name.lower() for outcome in Outcome), "all")
        known = range(len(self._manifest.classes)) if self._manifest else sorted({index for index, _ in self._seen})
        for index in known:
            numbers = [self._seen[index, outcome] for outcome in Outcome]
            table.add_row(_class_name(index, self._manifest), *map(str, numbers), str(sum(numbers)))
        totals = [sum(n for (_, o), n in self._seen.items() if o == outcome) for outcome in Outcome]
        table.add_section()
        table.add_row("all", *map(str, totals), str(self._seen.total()))
        losses = self._losses
        table.caption = (
            f"here: {losses.events} events lost, {losses.frames} of them on the link, {losses.bad_frames} bad frames, "
            f"{losses.restarts} restarts; board: "
            + ", ".join(f"{self.counters.get(name, 0)} {name.lower().replace('_', ' ')}" for name in LOSS_COUNTERS)
        )
        return table


@contextlib.contextmanager
def _live() -> Iterator[Callable[["Table"], None]]:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        yield lambda table: live.update(table, refresh=True)


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a termination signal came: a watch ends between two events, never in the middle of one."""
    came: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda received, _: came.append(received)) for number in signals]
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _event_file(path: Path) -> Iterator[Callable[[str], None]]:
    """A new file of JSON lines, each flushed as it is written. IcsortError where it exists or the disk is full."""
    if path.is_file():
        raise IcsortError(f"{path}: exists already; give another name, or remove it first")
    try:
        stream: TextIO = path.open("w", encoding="utf-8")
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
                f"{path}: {error.strerror} after {lines} events; free space or choose another disk with --out"
            ) from None
        lines += 1

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):  # what could not be flushed was reported by write
            stream.close()


def _open(port: str, baud: int, timeout: float) -> "Sorter":
    from icsort.host.sorter import Sorter

    return Sorter.open(port, baud, timeout)


def _required(folder: Path) -> "tuple[Manifest, str | None]":
    """Manifest of a model package or build folder, and the build id where it is a build."""
    from icsort.formats import package as manifest
    from icsort.host.sorter import build_id_of

    return manifest.load(folder), build_id_of(folder)


def _folder(folder: Path | None) -> "tuple[Manifest | None, str | None]":
    return (None, None) if folder is None else _required(folder)


def _class_name(index: int, manifest: "Manifest | None") -> str:
    return manifest.classes[index] if manifest and index < len(manifest.classes) else f"class {index}"


def _names(mask: int, classes: int, manifest: "Manifest | None") -> list[str]:
    return [_class_name(index, manifest) for index in range(classes) if mask >> index & 1]


def _gate_text(gate: "Gate", classes: int, manifest: "Manifest | None") -> str:
    names = ", ".join(_names(gate.mask, classes, manifest)) or "no class"
    return f"{names} at posterior {gate.posterior / 2**16:.4g} or more"


def _us(cycles: int, clock_hz: int) -> str:
    return f"{cycles / clock_hz * 1e6:g} us ({cycles} cycles)" if clock_hz else f"{cycles} cycles"


def _event_json(event: "EventRecord", manifest: "Manifest | None") -> dict[str, Any]:
    return {
        "event": event.event_id,
        "seq": event.seq,
        "time_cycles": event.time,
        "outcome": event.outcome.name,
        "class": event.class_index,
        "class_name": _class_name(event.class_index, manifest),
        "posterior": event.posterior / 2**16,
        "first_pixel_to_decision_cycles": event.first_pixel_to_decision,
        "last_pixel_to_decision_cycles": event.last_pixel_to_decision,
        "logits": list(event.logits),
    }


def _table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(show_header=any(columns))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or not column else "right")
    return table
