# SPDX-License-Identifier: Apache-2.0
"""`icsort gate preview`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Coincidence,
    Mode,
    Model,
    Pulse,
    ScheduleFile,
    SortMode,
    read_schedule,
    read_target,
)


def gate_preview(
    file: Annotated[Path, typer.Argument(help="Gate set, FILE.toml.", show_default=False)],
    events: Annotated[
        list[Path], typer.Option(help="Recording of `icsort record`, or a file of one. May be repeated.")
    ],
    model: Model,
    rate: Annotated[
        float | None,
        typer.Option(min=0.0, help="Cells a second that aborts are told for; without it, those of the recording."),
    ] = None,
    pulse_us: Pulse = 5.0,
    mode: Mode = SortMode.PURITY,
    coincidence_us: Coincidence = None,
    schedule_file: ScheduleFile = None,
    as_json: Json = False,
) -> None:
    """Say what a gate set would have made of recorded events; no board is needed.

    Counts are those of the gate engine, to the bit. Aborts are those that neighbours cause where cells come at random.

    Example: icsort gate preview gates.toml --events monday.fcs --model out/build
    """
    from icsort.formats.fcs import FcsFile
    from icsort.formats.gate_set import load
    from icsort.formats.recording import Recording, segments
    from icsort.host.preview import aborted, preview

    source, target = load(file), read_target(model)
    recordings = [Recording(FcsFile(path), target.manifest) for one in events for path in segments(one)]
    with console.progress("preview") as progress:
        seen = preview(source, recordings, target.manifest, target.features, progress)
    clock_hz = recordings[0].clock_hz
    settings = read_schedule(schedule_file, 500.0, pulse_us, mode, coincidence_us, 0).cycles(clock_hz)
    at = seen.rate if rate is None else rate
    lost = aborted(settings, clock_hz, at, seen.shares)
    if as_json:
        console.show_json(
            {
                "events": seen.events,
                "left_out": seen.left_out,
                "ambiguous": seen.ambiguous,
                "changed": seen.changed,
                "rate": at,
                "gates": {name: vars(counted) for name, counted in seen.gates.items()},
                "directions": {
                    str(output): {"gate": seen.gate_of[output], **vars(counted), "aborted": lost[output]}
                    for output, counted in seen.directions.items()
                },
            }
        )
        return
    share = 1 / seen.events if seen.events else 0.0
    gates = console.table("gate", "events", "of all", "changed by the integers")
    for name, counted in seen.gates.items():
        gates.add_row(name, f"{counted.events:,}", f"{counted.events * share:.3%}", f"{counted.changed:,}")
    outputs = console.table("direction", "gate", "events", "of all", "events/s", "aborted", "changed", text=("gate",))
    for output, counted in seen.directions.items():
        part = counted.events * share
        outputs.add_row(
            *(str(output), seen.gate_of[output], f"{counted.events:,}", f"{part:.3%}", f"{part * at:,.1f}"),
            *(f"{lost[output]:.2%}", f"{counted.changed:,}"),
        )
    left = f", {seen.left_out:,} left out: the event before them was lost" if seen.left_out else ""
    console.show(
        gates,
        outputs,
        f"{seen.events:,} events at {at:,.0f} events/s{left}; {seen.ambiguous:,} ambiguous and not sorted; "
        f"the integers change the decision of {seen.changed:,}",
    )
