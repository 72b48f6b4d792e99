# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import BuildArgument, Force, Json, out
from icsort.formats.build import load_build
from icsort.hw.synthesis.synth import synthesize_build
from icsort.hw.synthesis.synth_table import show_route, show_synthesis
from icsort.hw.synthesis.vivado import check_route, place_and_route


def synth(
    build: BuildArgument,
    family: Annotated[str, typer.Option(help="xc7, xcup or ecp5 (default: that of the build's part).")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at a time.")] = os.cpu_count() or 1,
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes that one layer may take.")] = 30.0,
    vivado: Annotated[bool, typer.Option("--vivado", help="Place and route with Vivado too.")] = False,
    out: Annotated[Path | None, out("Folder for Vivado's results (default: BUILD-vivado).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Synthesize a build: what each layer takes of the FPGA.

    Ends with 1 where the board's budget is exceeded, a part took longer than --minutes, or the clock is not met.

    Example: icsort synth out/build
    """
    loaded, routed = load_build(build), out or build.with_name(f"{build.name}-vivado")
    if vivado:
        check_route(routed, force)
    with console.progress("synthesize") as progress:
        result = synthesize_build(
            loaded,
            family=family,
            jobs=jobs,
            timeout=60 * minutes,
            progress=lambda done, parts, name: progress(name, done, parts),
        )
        route = None
        if vivado:
            progress("place and route")
            route = place_and_route(loaded, routed, force)
    if as_json:
        console.show_json(result.data() | ({"vivado": route.data()} if route else {}))
    else:
        show_synthesis(result, loaded)
        if route:
            show_route(route, loaded)
    too_large = bool(result.exceeded()) and loaded.budget_is == "limit"
    if too_large or not result.complete or (route is not None and route.slack_ns < 0):
        raise typer.Exit(1)
