# SPDX-License-Identifier: Apache-2.0
"""`icsort watch`.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Json, out
from icsort.cli.options import count as count_option
from icsort.errors import IcsortError
from icsort.formats.recording import RECORDING_ID
from icsort.host.commands.connection import (
    Baud,
    ClearFaults,
    Coincidence,
    DropDelay,
    Heartbeat,
    Mode,
    OptionalModel,
    Port,
    Pulse,
    Reconnect,
    ScheduleFile,
    SortMode,
    SortTarget,
    Timeout,
    class_name,
    disarmed,
    line_file,
    messages,
    open_sorter,
    optional_target,
    read_schedule,
)
from icsort.host.commands.record import beside, recording_id
from icsort.host.commands.snapshot import ImagesBeside, image_rule, images_text
from icsort.host.commands.stopping import stop_signals
from icsort.host.link.protocol import Amendment, EventRecord, ImagePiece, Statistics
from icsort.host.statistics import LOSSES, StatisticsLog
from icsort.sim.bit_true.scheduler import DIRECTIONS, SORTS, Outcome

if TYPE_CHECKING:
    from rich.table import Table

    from icsort.formats.package import Manifest
    from icsort.host.sorter import Sorter


def watch(
    port: Port = None,
    model: OptionalModel = None,
    count: Annotated[int | None, count_option("End after so many events.")] = None,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End after this many seconds without an event.")] = None,
    statistics: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Seconds of the board's clock between its statistics; 0: none. Left as it is by default: 1 s."
        ),
    ] = None,
    out: Annotated[Path | None, out("New file to make, one JSON line an event and a frame of statistics.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="New FCS file to make, as `icsort record` does. Needs --model.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="New folder to make: images of events, as those of `icsort snapshot`, while the link has time."
        ),
    ] = None,
    image_every: Annotated[
        int | None, typer.Option(min=1, max=2**24 - 1, help="Images of each n-th event.", show_default="1")
    ] = None,
    image_gate: Annotated[
        str | None, typer.Option(help="Images of each event that this gate passes: its number, or its name in --gates.")
    ] = None,
    gates: Annotated[
        Path | None, typer.Option(help="File of the gate set in force, for the names of its gates.")
    ] = None,
    arm_first: Annotated[
        bool, typer.Option("--arm", help="Arm once listening, disarm at the end: no event is missed. Needs --model.")
    ] = False,
    drop_delay_us: DropDelay = 500.0,
    pulse_us: Pulse = 5.0,
    mode: Mode = SortMode.PURITY,
    coincidence_us: Coincidence = None,
    target_sorts: SortTarget = 0,
    schedule_file: ScheduleFile = None,
    clear_faults: ClearFaults = False,
    heartbeat: Heartbeat = 2.0,
    reconnect: Reconnect = False,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    features: Annotated[
        bool | None,
        typer.Option(
            "--features/--no-features",
            help="Events with their features, which take the link's time.",
            show_default="as it is",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show and record the events and statistics that the board reports, until --count, --idle or Ctrl-C.

    Example: icsort watch --arm --record cells.fcs --images images --port /dev/ttyUSB0 --model out/build
    """
    target = optional_target(model)
    manifest = target.manifest if target else None
    if arm_first and not target:
        raise IcsortError("--arm needs --model: the model package or build folder that the board must hold")
    if record and not target:
        raise IcsortError("--record needs --model: the model package or build folder that the board must hold")
    if image_every is not None and image_gate is not None:
        raise IcsortError("give --image-every or --image-gate, not both")
    if images is None and (image_every, image_gate) != (None, None):
        raise IcsortError("--image-every and --image-gate say of which events --images FOLDER keeps the images")
    rule = image_rule(1 if image_gate is None and image_every is None else image_every, image_gate, gates)
    schedule = read_schedule(schedule_file, drop_delay_us, pulse_us, mode, coincidence_us, target_sorts)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
        if target:
            sorter.check_model(target.manifest, target.build_id)
            if not arm_first:
                sorter.check_settings(target.manifest)
        write = stack.enter_context(line_file(out)) if out else None
        if statistics is not None:
            sorter.set_statistics(statistics)
        tally = _Tally(sorter, manifest, StatisticsLog(sorter.read("CLOCK_HZ")))
        show = stack.enter_context(console.live()) if not as_json and sys.stdout.isatty() else None
        if features is not None:
            sorter.set_record(features)
        recording = (record, recording_id()) if record else None
        keep = None
        if target and recording:
            told = {RECORDING_ID: recording[1]}
            keep = stack.enter_context(beside(sorter, target.manifest, recording[0], keywords=told))
        keep_images = ImagesBeside(images, sorter, target, rule, recording) if images else None
        if keep_images:
            stack.callback(keep_images.end)
        longest = 0  # cycles from a cell to the end of its pulse
        if target and arm_first:
            if clear_faults:
                sorter.clear_faults()
            longest = sorter.arm(target.manifest, schedule, target.build_id, heartbeat, stopped=stopped).longest
        shown = 0.0
        last_time = 0
        for event in messages(sorter, count, idle, reconnect, stopped):
            if keep:
                keep(event)
            if keep_images:
                keep_images.add(event)
            if event is not None and not isinstance(event, ImagePiece):
                tally.add(event)
                if isinstance(event, EventRecord):
                    last_time = event.time
                    line = json.dumps(_event_json(event, manifest))
                elif isinstance(event, Statistics):
                    line = json.dumps(_statistics_json(event, tally.statistics))
                else:
                    line = json.dumps(_amendment_json(event))
                if write:
                    write(line)
                if as_json:
                    print(line, flush=True)
            if stopped():
                break
            now = time.monotonic()
            if show and now - shown >= 0.1:
                show(*tally.shown())
                shown = now
        if arm_first:
            # A disarmed board begins no pulse: the last cell's comes first, unless it is to stop at once.
            while not stopped() and sorter.counters()["TIMESTAMP"] <= last_time + longest:
                pass
            sorter.disarm()
        tally.counters = sorter.counters()
        kept = keep_images.close(tally.counters) if keep_images else None
        if show:
            show(*tally.shown())
    if as_json:
        summary = tally.summary() | ({"armed": False} if arm_first else {})
        if kept is not None:
            summary["images"] = {**kept, "images": len(kept["images"])}
        console.show_json({"summary": summary}, lines=False)
    else:
        if not show:
            console.show(*tally.shown())
        if images and kept is not None:
            console.show(images_text(images, kept))
        if arm_first:
            console.show(disarmed(tally.counters))
    stopped.end()


class _Tally:
    """What a watch has seen: events by class and outcome, losses, the board's counters and statistics."""

    def __init__(self, sorter: "Sorter", manifest: "Manifest | None", statistics: StatisticsLog) -> None:
        self.counters: dict[str, int] = {}
        self.statistics = statistics
        self._losses = sorter.losses
        self._manifest = manifest
        self._seen: Counter[tuple[int, Outcome]] = Counter()
        self._scheduled: dict[int, int] = {}  # class of each of the last sorts, which may still be amended

    def add(self, event: "EventRecord | Amendment | Statistics") -> None:
        if isinstance(event, Statistics):
            self.statistics.see(event)
            self.counters = event.counters
            return
        if isinstance(event, Amendment):
            class_index = self._scheduled.pop(event.event, None)
            if class_index is not None:  # else its record was lost, and counted so
                self._seen[class_index, Outcome.SORTED] -= 1
                self._seen[class_index, event.outcome] += 1
            return
        self._seen[event.class_index, event.outcome] += 1
        if event.outcome is Outcome.SORTED:
            self._scheduled[event.event_id % 2**24] = event.class_index
            if len(self._scheduled) > SORTS * DIRECTIONS + DIRECTIONS:
                del self._scheduled[next(iter(self._scheduled))]

    def summary(self) -> dict[str, Any]:
        classes: Counter[str] = Counter()
        outcomes: Counter[str] = Counter({outcome.name: 0 for outcome in Outcome})
        for (index, outcome), number in self._seen.items():
            if self._manifest is None or not self._manifest.values:
                classes[class_name(index, self._manifest)] += number
            outcomes[outcome.name] += number
        return {
            "events": self._seen.total(),
            "classes": dict(classes),
            "outcomes": dict(outcomes),
            "lost_events": self._losses.events,
            "lost_frames": self._losses.frames,
            "lost_amendments": self._losses.amendments,
            "lost_statistics": self._losses.statistics,
            "bad_frames": self._losses.bad_frames,
            "restarts": self._losses.restarts,
            "statistics": {
                "frames": self.statistics.frames,
                "missing": self.statistics.missing,
                "restarts": self.statistics.restarts,
            },
            "counters": self.counters,
        }

    def shown(self) -> "tuple[Table, str, str]":
        """The events as a table, the rates and what was lost in a line each."""
        table = console.table("class", *(outcome.name.lower() for outcome in Outcome), "all")
        manifest = self._manifest
        known: Sequence[int] = sorted({index for index, _ in self._seen})
        if manifest is not None:
            known = () if manifest.values else range(len(manifest.classes))
        for index in known:
            numbers = [self._seen[index, outcome] for outcome in Outcome]
            table.add_row(class_name(index, self._manifest), *map(str, numbers), str(sum(numbers)))
        totals = [sum(n for (_, o), n in self._seen.items() if o == outcome) for outcome in Outcome]
        table.add_section()
        table.add_row("all", *map(str, totals), str(self._seen.total()))
        losses = self._losses
        lost = (
            f"here: {losses.events} events lost, {losses.frames} of them on the link, {losses.bad_frames} bad frames, "
            f"{losses.restarts} restarts; board: "
            + ", ".join(f"{self.counters.get(name, 0)} {name.lower().replace('_', ' ')}" for name in LOSSES)
        )
        return table, self._rates(), lost

    def _rates(self) -> str:
        log = self.statistics
        latest = log.latest
        if latest is None:
            return "no statistics of the board yet"
        state = "armed" if latest.state["armed"] else "in test mode" if latest.state["testing"] else "not armed"
        faults = f", faults: {', '.join(latest.faults)}" if latest.faults else ""
        rates = log.rates.text() if log.rates else "no rates yet"
        return (
            f"at {latest.time / log.clock_hz:,.3f} s: {state}{faults}; {rates}; statistics: {log.frames} frames, "
            f"{log.missing} missing, {log.restarts} restarts"
        )


def _amendment_json(amendment: Amendment) -> dict[str, Any]:
    return {"amended": amendment.event, "outcome": amendment.outcome.name, "direction": amendment.direction}


def _statistics_json(statistics: Statistics, log: StatisticsLog) -> dict[str, Any]:
    """rates: over the time since the frame before; None where there was none, or the board was reset."""
    return {
        "statistics": statistics.number,
        "seq": statistics.seq,
        "time_cycles": statistics.time,
        "status": statistics.state,
        "faults": list(statistics.faults),
        "missing": log.missing,
        "restarts": log.restarts,
        "rates": log.rates.to_json() if log.rates else None,
        "counters": statistics.counters,
    }


def _event_json(event: EventRecord, manifest: "Manifest | None") -> dict[str, Any]:
    """Without what the board leaves out of its records. Features by name, in their units, where the model is known; so
    are the values of a model that predicts some, which has no class."""
    from icsort.sim.bit_true.features import named

    entry: dict[str, Any] = {
        "event": event.event_id,
        "seq": event.seq,
        "time_cycles": event.time,
        "tag": event.tag,
        "outcome": event.outcome.name,
        "direction": event.direction,
        "flags": [flag.name for flag in event.flags],
        "length_lines": event.length,
        "gates": [gate for gate in range(32) if event.gates >> gate & 1],
    }
    if manifest is None or not manifest.values:
        entry |= {
            "class": event.class_index,
            "class_name": class_name(event.class_index, manifest),
            "posterior": event.posterior / 2**16,
        }
    if event.timing is not None:
        entry |= {
            "first_pixel_to_decision_cycles": event.timing.first_pixel_to_decision,
            "last_pixel_to_decision_cycles": event.timing.last_pixel_to_decision,
            "gate_serial": event.timing.gate_serial,
        }
    if event.features is not None:
        entry["features"] = list(event.features) if manifest is None else named(event.features, manifest.channels)
    if event.logits is not None:
        entry["logits"] = list(event.logits)
        if manifest is not None and manifest.values:
            values = zip(manifest.classes, event.logits, manifest.unit_values, strict=True)
            entry["values"] = {name: integer * unit for name, integer, unit in values}
    return entry
