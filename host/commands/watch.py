# SPDX-License-Identifier: Apache-2.0
"""`icsort watch`.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from icsort.cli import console
from icsort.cli.options import Json, OptionalCount, out
from icsort.errors import IcsortError
from icsort.host.commands.connection import (
    Baud,
    DropDelay,
    Heartbeat,
    OptionalModel,
    Port,
    Pulse,
    Timeout,
    class_name,
    open_sorter,
    optional_target,
)
from icsort.host.commands.stopping import stop_signals
from icsort.sim.bit_true.scheduler import Outcome

if TYPE_CHECKING:
    from rich.table import Table

    from icsort.formats.package import Manifest
    from icsort.host.link.protocol import EventRecord
    from icsort.host.sorter import Sorter

LOSS_COUNTERS = (
    *("MISSED", "DEAD_TIME", "RECORDS_LOST", "LINE_ERRORS", "LINE_GAPS", "LINES_STOPPED"),
    "LINK_BAD_FRAMES",
)
COUNTERS_EVERY_SECONDS = 2.0


def watch(
    port: Port,
    model: OptionalModel = None,
    count: OptionalCount = None,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End after this many seconds without an event.")] = None,
    out: Annotated[Path | None, out("New file to make, one JSON line an event.")] = None,
    arm_first: Annotated[
        bool, typer.Option("--arm", help="Arm once listening, disarm at the end: no event is missed. Needs --model.")
    ] = False,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    heartbeat: Heartbeat = 2.0,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Show and record the events that the board reports, until --count, --idle or Ctrl-C.

    Example: icsort watch --arm --out events.jsonl --port /dev/ttyUSB0 --model out/build
    """
    target = optional_target(model)
    manifest = target.manifest if target else None
    if arm_first and not target:
        raise IcsortError("--arm needs --model: the model package or build folder that the board must hold")
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
        if target:
            sorter.check_model(target.manifest, target.build_id)
        record = stack.enter_context(_event_file(out)) if out else None
        tally = _Tally(sorter, manifest)
        show = stack.enter_context(console.live()) if not as_json and sys.stdout.isatty() else None
        delay = pulse = 0
        if target and arm_first:
            delay, pulse = sorter.arm(target.manifest, drop_delay_us, pulse_us, target.build_id, heartbeat)
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
        if arm_first:
            # A disarmed board begins no pulse: the last cell's comes first, unless it is to stop at once.
            while not stopped() and sorter.counters()["TIMESTAMP"] <= last_time + delay + pulse:
                pass
            sorter.disarm()
        tally.counters = sorter.counters()
        if show:
            show(tally.table())
    if as_json:
        print(json.dumps({"summary": tally.summary()}), flush=True)
    elif not show:
        console.show(tally.table())


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
            classes[class_name(index, self._manifest)] += number
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
        table = console.table("class", *(outcome.name.lower() for outcome in Outcome), "all")
        known = range(len(self._manifest.classes)) if self._manifest else sorted({index for index, _ in self._seen})
        for index in known:
            numbers = [self._seen[index, outcome] for outcome in Outcome]
            table.add_row(class_name(index, self._manifest), *map(str, numbers), str(sum(numbers)))
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


def _event_json(event: "EventRecord", manifest: "Manifest | None") -> dict[str, Any]:
    return {
        "event": event.event_id,
        "seq": event.seq,
        "time_cycles": event.time,
        "outcome": event.outcome.name,
        "class": event.class_index,
        "class_name": class_name(event.class_index, manifest),
        "posterior": event.posterior / 2**16,
        "first_pixel_to_decision_cycles": event.first_pixel_to_decision,
        "last_pixel_to_decision_cycles": event.last_pixel_to_decision,
        "logits": list(event.logits),
    }
