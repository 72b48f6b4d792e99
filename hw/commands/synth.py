# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from icsort.hw.compile import load_build
from icsort.hw.synthesis.synth import synthesize_build
from icsort.hw.synthesis.synth_table import show_route, show_synthesis
from icsort.hw.synthesis.vivado import find_vivado, place_and_route


def synth(
    build: Annotated[Path, typer.Argument(help="Build folder made by `icsort compile`.")],
    family: Annotated[str, typer.Option(help="xc7 or xcup (default: that of the build's part).")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at a time.")] = os.cpu_count() or 1,
    limit: Annotated[float, typer.Option(min=0.01, help="Minutes that one layer may take.")] = 30.0,
    vivado: Annotated[bool, typer.Option(help="Place and route with Vivado where it is on PATH.")] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="For Vivado's results (default: BUILD-vivado).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Synthesize a build: what each layer takes of the FPGA. Ends with 1 where the board's budget is exceeded.

    Example: icsort synth out/build
    """
    loaded = load_build(build)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("synthesize", total=None)

        def progress(done: int, parts: int, name: str) -> None:
            bar.update(task, completed=done, total=parts, description=f"synthesized {name}")

        result = synthesize_build(loaded, family=family, jobs=jobs, timeout=60 * limit, progress=progress)
        route = None
        if vivado and find_vivado():
            bar.update(task, description="place and route", total=None)
            route = place_and_route(loaded, out or build.with_name(f"{build.name}-vivado"))
    if as_json:
        typer.echo(json.dumps(result.data() | ({"vivado": route.data()} if route else {}), indent=2))
    else:
        show_synthesis(result, loaded, Console())
        if route:
            show_route(route, loaded, Console())
    if result.exceeded() and loaded.data["budget_is"] == "limit":
        raise typer.Exit(1)
