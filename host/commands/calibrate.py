# SPDX-License-Identifier: Apache-2.0
"""`icsort calibrate delay`."""

import contextlib
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.cli.options import out as out_option
from icsort.errors import IcsortError
from icsort.host.commands.connection import (
    Baud,
    ClearFaults,
    Heartbeat,
    Port,
    Timeout,
    line_file,
    open_sorter,
    read_target,
)
from icsort.host.commands.stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from icsort.formats.instrument import Instrument
    from icsort.formats.schedule import Schedule
    from icsort.host.delay_fit import DelayFit
    from icsort.host.sorter import Sorter

POLL_SECONDS = 0.1
SIXTEENTHS = 16

app = typer.Typer(help="Find what the instrument file must say.", add_completion=False, rich_markup_mode=None)


@app.callback()
def _calibrate() -> None:
    """Find what the instrument file must say."""


@app.command("delay")
def calibrate_delay(
    instrument: Annotated[Path, typer.Argument(help="Instrument file, whose delay is found.", show_default=False)],
    output: Annotated[int, typer.Option(min=0, max=5, help="Sort output whose delay it is.")] = 0,
    first: Annotated[
        float | None, typer.Option("--from", min=0.0, help="First delay, in the file's unit: us, or drops.")
    ] = None,
    last: Annotated[float | None, typer.Option("--to", min=0.0, help="Last delay.")] = None,
    steps: Annotated[int, typer.Option(min=5, max=200, help="Delays from the first to the last.")] = 15,
    sorts: Annotated[int, typer.Option(min=1, help="Cells, or beads, that are sorted at each delay.")] = 100,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds in which they must come.")] = 60.0,
    counts: Annotated[
        Path | None,
        typer.Option(help="CSV file with what was counted, columns delay and count; then no board is needed."),
    ] = None,
    out: Annotated[Path | None, out_option("New CSV file to make, a line as each count is typed.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write the delay that is found without asking.")] = False,
    model: Annotated[
        Path | None, typer.Option(help="Model package or build folder of the board, for its trigger.")
    ] = None,
    port: Port = None,
    clear_faults: ClearFaults = False,
    heartbeat: Heartbeat = 2.0,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Find the drop delay: sort some at each of several, count what was collected, fit the optimum.

    In test mode every cell that the trigger accepts is sorted, so that beads do. At each delay the board is armed for
    so many, then disarmed, and the count that you see is asked for. The delay of the best fit, with its 95 % interval,
    is written into the instrument file once you say so.

    Example: icsort calibrate delay instrument.toml --from 780 --to 850 --model out/build --port /dev/ttyUSB0
    """
    from icsort.formats.instrument import load_instrument
    from icsort.host.delay_fit import fit_delay, read_counts

    setting = load_instrument(instrument)
    try:
        before = getattr(setting.output(output), setting.delay_key)
    except IcsortError as error:
        raise IcsortError(f"{instrument}: {error}") from None
    unit = "us" if setting.delay_key == "delay_us" else "drops"
    if counts is not None:
        if first is not None or last is not None or out is not None:
            raise IcsortError("--counts is what was counted already: leave out --from, --to and --out")
        delays, counted = read_counts(counts)
    else:
        if first is None or last is None or model is None:
            raise IcsortError("give --from, --to and --model to step over delays, or --counts with what was counted")
        delays = _delays(first, last, steps, unit)
        schedules = [_schedule(setting, output, delay, sorts) for delay in delays]
        counted = []
        target = read_target(model)
        front = setting.front(target.manifest)
        with contextlib.ExitStack() as stack:
            write = stack.enter_context(line_file(out)) if out else None
            if write:
                write("delay,count")
            sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
            sorter.check_model(target.manifest, target.build_id)
            sorter.listen_only_to()
            sorter.claim(heartbeat)
            sorter.disarm()
            if clear_faults:
                sorter.clear_faults()
            sorter.set_front(front)
            for delay, schedule in zip(delays, schedules, strict=True):
                with console.progress("calibrate") as progress:  # over when the count is asked for
                    told = partial(progress, f"{delay:g} {unit}")
                    came = _sort_some(sorter, schedule, output, sorts, wait, heartbeat, told)
                count = _ask(f"{delay:g} {unit}: {came} sorted; counted", came)
                if write:
                    write(f"{delay},{count}")
                counted.append(count)
    fit = fit_delay(delays, counted, unit)
    found = round(fit.delay * SIXTEENTHS) / SIXTEENTHS if unit == "drops" else round(fit.delay, 3)
    written = False
    if not as_json:
        _show(delays, counted, fit, unit, before, found, output)
    if yes or (not as_json and _agreed(instrument, found, unit)):
        _write(instrument, output, setting, found)
        written = True
    if as_json:
        rows = [{"delay": delay, "count": count} for delay, count in zip(delays, counted, strict=True)]
        document = {"output": output, "unit": unit, "before": before, "delay": found, "written": written}
        console.show_json(document | {"fit": vars(fit), "counts": rows})
    else:
        print(f"{instrument}: output {output} has {found:g} {unit}" if written else f"{instrument}: left as it was")


def _delays(first: float, last: float, steps: int, unit: str) -> list[float]:
    """Even ones; drops in sixteenths, each once. Raises IcsortError where there are too few."""
    if last <= first:
        raise IcsortError(f"--to {last:g} is not behind --from {first:g}; give a range")
    delays = [first + (last - first) * step / (steps - 1) for step in range(steps)]
    if unit == "drops":
        delays = sorted({round(delay * SIXTEENTHS) / SIXTEENTHS for delay in delays})
    return delays


def _schedule(setting: "Instrument", output: int, delay: float, sorts: int) -> "Schedule":
    """Of one output alone, at this delay, for so many. Cells that are near others are left out."""
    from icsort.formats.schedule import Schedule

    return Schedule(
        directions={output: setting.direction(output, target=sorts, **{setting.delay_key: delay})},
        mode="single",
        before_us=setting.before_us,
        after_us=setting.after_us,
        droplets=setting.droplets(),
    )


def _sort_some(
    sorter: "Sorter",
    schedule: "Schedule",
    output: int,
    sorts: int,
    wait: float,
    heartbeat: float,
    told: "Callable[[int, int], None]",
) -> int:
    """Test mode until so many were sorted; returns how many. told: now and then, with how many of all. From then on
    whoever disarms forbids the next one. Raises IcsortError where they do not come in time, or it is disarmed by
    somebody or something else."""
    counter = f"SORTED_{output}"
    with stop_signals() as stopped:
        before = sorter.counters()[counter]
        if not stopped():
            sorter.arm_test(schedule, output, events=True, heartbeat=heartbeat, stopped=stopped)
        limit = polled = time.monotonic()
        limit += wait
        came = 0
        for _ in sorter.events() if not stopped() else ():
            now = time.monotonic()
            if now - polled >= POLL_SECONDS:
                sorter.check_armed()
                came, polled = (sorter.counters()[counter] - before) % 2**32, now
                told(came, sorts)
            if came >= sorts or now > limit or stopped():
                break
        if not stopped():
            sorter.check_armed()  # which says who disarmed, until the claim
            # Anew while it is armed, so that our own disarm leaves it to us. Whoever disarmed before is seen behind
            # it, and whoever does from here on takes it away.
            sorter.claim(heartbeat)
            sorter.check_armed()
        sorter.disarm()
    if stopped():
        raise IcsortError("stopped, and disarmed; the instrument file is as it was")
    if came < sorts:
        raise IcsortError(
            f"{came} of {sorts} were sorted within {wait:g} s; look after the cells and the trigger, or give a longer "
            "--wait"
        )
    return came


def _ask(question: str, most: int) -> int:
    """A count, typed in. Raises IcsortError where no more is typed."""
    from icsort.host.delay_fit import count_of

    while True:
        print(f"{question}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise IcsortError("no count was typed; the instrument file is as it was")
        try:
            count = count_of(line)
        except ValueError as error:
            print(error, file=sys.stderr)
            continue
        if count <= most:
            return count
        print(f"{count} cannot be, only {most} were sorted; count again", file=sys.stderr)


def _show(
    delays: "Sequence[float]",
    counted: "Sequence[int]",
    fit: "DelayFit",
    unit: str,
    before: float,
    found: float,
    output: int,
) -> None:
    import numpy as np

    table = console.table(f"delay, {unit}", "counted", "fit")
    expected = fit.height * np.exp(-(((np.array(delays) - fit.delay) / fit.width) ** 2) / 2) + fit.background
    for delay, count, there in zip(delays, counted, expected, strict=True):
        table.add_row(f"{delay:g}", str(count), f"{there:.1f}")
    console.show(
        table,
        f"output {output}: {fit.delay:.3f} {unit}, 95 % interval {fit.low:.3f} to {fit.high:.3f}; it is {before:g} in "
        f"the file, {found:g} would be written",
    )


def _agreed(instrument: Path, found: float, unit: str) -> bool:
    """Whether somebody says yes; where nobody can, nobody does."""
    print(f"write {found:g} {unit} into {instrument}? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _write(path: Path, output: int, setting: "Instrument", delay: float) -> None:
    """The file with this delay, whole or as it was, if it still says what it did."""
    from icsort.formats.document import parse_toml, replace
    from icsort.formats.instrument import REMEDY, Instrument, load_instrument, with_delay

    if load_instrument(path) != setting:
        raise IcsortError(f"{path}: was changed meanwhile; write {delay:g} into {setting.delay_key} of output {output}")
    text = with_delay(path.read_bytes().decode("utf-8"), path, output, setting.delay_key, delay)
    parse_toml(Instrument, text, str(path), REMEDY)
    real = Path(os.path.realpath(path))
    try:
        replace(real, text, real.stat().st_mode & 0o777)
    except OSError as error:
        raise IcsortError(f"{path}: cannot be written ({error.strerror}); write {delay:g} there") from None
