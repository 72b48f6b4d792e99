# SPDX-License-Identifier: Apache-2.0
"""`icsort sort`.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.errors import IcsortError
from icsort.host.commands.connection import (
    Baud,
    ClearFaults,
    Port,
    Target,
    Timeout,
    open_sorter,
    read_target,
    schedule_json,
    schedule_text,
)
from icsort.host.commands.stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from icsort.formats.job import LoadedJob
    from icsort.formats.journal import JobState
    from icsort.host.job import Checked
    from icsort.host.link.protocol import Message
    from icsort.host.sorter import Sorter

SHOWN_SECONDS = 1.0


def sort(
    job: Annotated[Path, typer.Argument(help="Job, FILE.toml.", show_default=False)],
    port: Port = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all that can be checked, say what would be done, and send nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a job that was cut short: counts and targets go on.")
    ] = False,
    clear_faults: ClearFaults = False,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Run a whole sort from a file: gates, directions, targets, timing, when it stops, what is kept.

    The job's folder gets a journal, which a crash does not tear, the recording, and copies of the files. Ctrl-C
    disarms and ends the run; --resume goes on with what is left of the targets.

    Example: icsort sort job.toml --port /dev/ttyUSB0

    \b
    A job:
      format = "icsort-job"
      version = 1
      name = "mitotic cells"
      folder = "monday"                # to make, for journal and recording
      model = "out/build"              # paths are relative to this file
      instrument = "instrument.toml"   # drop clock, drop delays, pulses, trigger
      gates = "gates.toml"
      mode = "purity"                  # or yield, single
      record = {events = true}
      stop = {minutes = 30}            # and, or events = 1000000
      \b
      [[directions]]
      output = 0
      name = "tube A"
      target = 5000
    """
    from icsort.formats.job import load_job
    from icsort.formats.journal import JournalWriter
    from icsort.host.job import JobRun, check, make_folder, take

    loaded = load_job(job)
    target = read_target(loaded.model)
    checked = check(loaded, target.manifest, target.features, target.clock_hz, resume)
    if dry_run:
        _show_plan(checked, target, as_json)
        return
    totals = _Totals(loaded, as_json)
    with contextlib.ExitStack() as stack:
        begun = stack.enter_context(_hint(loaded))
        stopped = stack.enter_context(stop_signals())
        sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
        take(sorter, checked, target.build_id, clear_faults)
        if not resume:
            make_folder(checked)
        journal = stack.enter_context(JournalWriter(loaded.folder))
        run = JobRun(sorter, checked, journal, target.build_id, totals.told)
        run.begin()
        begun.append(True)
        if rule := run.over():
            _show_end(checked, rule, True, as_json)
            return
        sorter.set_gates(loaded.gates, target.manifest)
        keep = stack.enter_context(_kept(sorter, checked, target))
        totals.report = stack.enter_context(console.progress("sort"))
        totals.begin(sorter.port)
        ended = run.sort(keep.add, keep.name, stopped)
    _show_end(checked, ended.why, ended.done, as_json)
    stopped.end()


@contextlib.contextmanager
def _hint(loaded: "LoadedJob") -> "Iterator[list[bool]]":
    """Errors of a job that was begun, which is when the list has an entry, say how it goes on."""
    begun: list[bool] = []
    try:
        yield begun
    except IcsortError as error:
        if not begun:
            raise
        raise type(error)(f"{error}; `icsort sort {loaded.path} --resume` goes on") from None


class _Totals:
    """Says how far the job is, once a second."""

    def __init__(self, loaded: "LoadedJob", as_json: bool) -> None:
        self.report: console.Progress | None = None
        self._loaded = loaded
        self._as_json = as_json
        self._shown = 0.0

    def begin(self, port: str) -> None:
        name, folder = self._loaded.job.name, str(self._loaded.folder)
        if self._as_json:
            console.show_json({"job": name, "folder": folder, "port": port}, lines=False)
        else:
            print(f"{name}: sorting to {folder}; Ctrl-C disarms", flush=True)

    def told(self, counts: dict[str, int], seconds: float) -> None:
        now = time.monotonic()
        if now - self._shown < SHOWN_SECONDS:
            return
        self._shown = now
        document = totals_json(self._loaded, counts, seconds)
        if self._as_json:
            console.show_json(document, lines=False)
        elif self.report is not None:
            parts = [
                f"{row['sorted']:,}" + (f" of {row['target']:,}" if row["target"] else "") + f" to {row['name']}"
                for row in document["directions"]
            ]
            self.report(f"{document['events']:,} events, {', '.join(parts)}")


def totals_json(loaded: "LoadedJob", counts: dict[str, int], seconds: float) -> dict[str, Any]:
    """Of all runs of a job: time, events, sorts by direction, aborts by cause."""
    from icsort.formats.journal import events, sorts
    from icsort.host.statistics import causes

    done = sorts(counts)
    return {
        "seconds": round(seconds, 3),
        "events": events(counts),
        "directions": [
            {"output": d.output, "name": d.name, "sorted": done[d.output], "target": d.target}
            for d in loaded.job.directions
        ],
        **causes(counts),
    }


class _Kept:
    """Where messages go. name: of the first file of this run."""

    def __init__(self, add: Any, name: str | None) -> None:
        self.add = add
        self.name = name


@contextlib.contextmanager
def _kept(sorter: "Sorter", checked: "Checked", target: Target) -> "Iterator[_Kept]":
    """A recording and images of this run, where the job wants them."""
    from icsort.formats.gate_set import order
    from icsort.formats.recording import RECORDING_ID, segment
    from icsort.host.commands.record import beside, record_fields, recording_id
    from icsort.host.commands.snapshot import ImagesBeside
    from icsort.host.job import IMAGES, RECORDING, next_segment
    from icsort.host.link.protocol import ImageReason

    loaded = checked.loaded
    record = loaded.job.record
    first, gates = next_segment(loaded.folder), [gate.name for gate in order(loaded.gates.gates)]
    adds, name, recording = [], None, None
    with contextlib.ExitStack() as stack:
        if record.events:
            features = target.features if record.features is None else record.features
            stack.enter_context(record_fields(sorter, features))
            name = segment(loaded.folder / RECORDING, first).name
            recording = loaded.folder / name, recording_id()
            keywords = {"ICSORT JOB": loaded.job.name, RECORDING_ID: recording[1]}
            file = loaded.folder / RECORDING
            adds.append(stack.enter_context(beside(sorter, target.manifest, file, gates, keywords, first)))
        if (images := record.images) is not None:
            if images.gate is not None:
                rule = ImageReason.GATE, gates.index(images.gate)
            else:
                rule = ImageReason.EVERY, images.every or 1
            folder = segment(loaded.folder / IMAGES, first)
            beside_images = ImagesBeside(folder, sorter, target, rule, recording)
            stack.callback(beside_images.end)
            adds.append(beside_images.add)

        def add(message: "Message | None") -> None:
            for each in adds:
                each(message)

        yield _Kept(add, name)
        if record.images is not None:
            beside_images.close(sorter.counters())


def _show_plan(checked: "Checked", target: Target, as_json: bool) -> None:
    loaded, manifest = checked.loaded, target.manifest
    job, done = loaded.job, checked.sorted_before
    if as_json:
        console.show_json(
            {
                "job": job.name,
                "folder": str(loaded.folder),
                "model_id": manifest.model_id,
                "build_id": target.build_id,
                "gate_set": checked.compiled.identity,
                "changes": list(checked.compiled.changes),
                "schedule": schedule_json(checked.settings),
                "trigger": "package" if loaded.instrument.trigger == "package" else vars(loaded.instrument.trigger),
                "directions": [
                    direction.model_dump() | {"sorted": done.get(direction.output, 0)} for direction in job.directions
                ],
                "stop": job.stop.model_dump(),
                "record": job.record.model_dump(),
                "resumed": checked.state is not None,
            }
        )
        return
    table = console.table("", "", text=("", ""))
    rows = {
        "job": job.name,
        "folder": f"{loaded.folder}" + (", goes on" if checked.state else ", to be made"),
        "model": f"{manifest.name}, {manifest.model_id}" + (f", build {target.build_id}" if target.build_id else ""),
        "instrument": loaded.instrument.name,
        "gate set": f"{job.gates}, {checked.compiled.identity}",
        "schedule": schedule_text(checked.settings, target.clock_hz),
        "trigger": "that of the package"
        if loaded.instrument.trigger == "package"
        else f"on {loaded.instrument.trigger.on}, off {loaded.instrument.trigger.off}",
        "ends": _rules(loaded),
        "keeps": _keeps(loaded, target),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for direction in job.directions:
        before = f", {done[direction.output]:,} of them sorted before" if done.get(direction.output) else ""
        aim = f"{direction.target:,} cells{before}" if direction.target else f"no target{before}"
        table.add_row(f"output {direction.output}", f"{direction.name}: {aim}")
    console.show(table, "all checks passed; nothing was sent")


def _rules(loaded: "LoadedJob") -> str:
    stop = loaded.job.stop
    rules = []
    if stop.minutes:
        rules.append(f"after {stop.minutes:g} minutes")
    if stop.events:
        rules.append(f"after {stop.events:,} events")
    if stop.targets and loaded.job.targets:
        rules.append("when the targets are reached")
    return ", or ".join(rules)


def _keeps(loaded: "LoadedJob", target: Target) -> str:
    record, kept = loaded.job.record, ["journal"]
    if record.events:
        features = target.features if record.features is None else record.features
        kept.append("events " + ("with" if features else "without") + " features")
    if (images := record.images) is not None:
        kept.append(f"images of gate {images.gate}" if images.gate else f"images of each {images.every}. event")
    return ", ".join(kept)


def _show_end(checked: "Checked", why: str, done: bool, as_json: bool) -> None:
    from icsort.formats.journal import read_journal
    from icsort.host.job import recordings

    loaded = checked.loaded
    state: JobState = read_journal(loaded.folder)
    document = totals_json(loaded, state.counts, state.seconds)
    files = [str(path) for path in recordings(loaded.folder)]
    if as_json:
        console.show_json(
            document | {"ended": why, "done": done, "exact": state.exact, "runs": len(state.runs), "files": files},
            lines=False,
        )
        return
    table = console.table("direction", "output", "sorted", "target", "a second", text=("direction",))
    for row in document["directions"]:
        rate = row["sorted"] / state.seconds if state.seconds else 0.0
        table.add_row(
            row["name"],
            str(row["output"]),
            f"{row['sorted']:,}",
            f"{row['target']:,}" if row["target"] else "",
            f"{rate:.1f}",
        )
    aborts = ", ".join(f"{count:,} {name.lower()}" for name, count in document["aborts"].items()) or "none"
    runs = f", in {len(state.runs)} runs" if len(state.runs) > 1 else ""
    more = "" if state.exact else " A run was cut short: more may have been sorted than is counted."
    console.show(
        table,
        f"disarmed: {why}; {document['events']:,} events in {state.seconds:.1f} s{runs}; aborts: {aborts}.{more}",
        f"kept in {loaded.folder}",
    )
