# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import BuildArgument, Force, Json, out
from icsort.formats.build import load_build
from icsort.hw.synthesis.route import check_route, route_build
from icsort.hw.synthesis.synth import synthesize_build
from icsort.hw.synthesis.synth_table import show_route, show_synthesis


def synth(
    build: BuildArgument,
    family: Annotated[str, typer.Option(help="xc7, xcup or ecp5 (default: that of the build's part).")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at a time.")] = os.cpu_count() or 1,
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes for a layer, or for a run of nextpnr.")] = 60.0,
    route: Annotated[
        bool, typer.Option("--route", help="Place and route too: with nextpnr for an ECP5, with Vivado for Xilinx.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Places that nextpnr tries, of which the fastest counts.")] = 3,
    out: Annotated[Path | None, out("Folder for the reports of --route (default: BUILD-route).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Synthesize a build: what each layer takes of the FPGA.

    --route tells which clock it reaches; that of its own part is kept in the build. Ends with 1 where the board's
    budget is exceeded, a part took longer than --minutes, or the clock is not met.

    Example: icsort synth out/build
    """
    loaded, folder = load_build(build), out or build.with_name(f"{build.name}-route")
    if route:
        check_route(loaded, family, folder, force)
    with console.progress("synthesize") as progress:
        result = synthesize_build(
            loaded,
            family=family,
            jobs=jobs,
            timeout=60 * minutes,
            progress=lambda done, parts, name: progress(name, done, parts),
        )
        routed = None
        if route:
            routed = route_build(
                loaded, family, folder, seeds=seeds, timeout=60 * minutes, force=force, progress=progress
            )
    if routed and routed.part == loaded.part:
        loaded = loaded.keep_route(routed.routed)
    if as_json:
        console.show_json(result.data() | ({"routed": routed.routed.model_dump(mode="json")} if routed else {}))
    else:
        show_synthesis(result, loaded)
        if routed:
            show_route(routed, loaded)
    too_large = bool(result.exceeded()) and loaded.budget_is == "limit"
    if too_large or not result.complete or (routed and routed.routed.fmax_mhz < loaded.clock_mhz):
        raise typer.Exit(1)
