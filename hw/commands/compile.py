# SPDX-License-Identifier: Apache-2.0
"""`icsort compile`, `icsort explore` and `icsort synth`."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from icsort.hw.compile import Build, compile_package, load_build
from icsort.hw.synthesis.synth import synthesize_build
from icsort.hw.synthesis.synth_table import SHOWN, show_route, show_synthesis
from icsort.hw.synthesis.vivado import find_vivado, place_and_route
from icsort.output import result_folder

FillOption = Annotated[
    float,
    typer.Option(
        min=0.01, max=1, help="Share of the board that the network may take, such as 0.8: routing needs room."
    ),
]


def compile_(
    package: Annotated[Path, typer.Argument(help="Model package made by `icsort export`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Build folder to make.")],
    board: Annotated[str, typer.Option(help="Board: a folder of boards/, or a path to one.")] = "virtual",
    folding: Annotated[Path | None, typer.Option(help="Folding file (JSON) instead of the chosen folding.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=1, help="Cells a second to keep up with; without it, a pixel each cycle.")
    ] = None,
    line_rate: Annotated[
        float | None, typer.Option(min=1, help="Lines a second; without it, what the rate leaves between two lines.")
    ] = None,
    pixels_per_beat: Annotated[
        int, typer.Option(min=1, help="Pixels beside each other that the network takes at once.")
    ] = 1,
    fill: FillOption = 1.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the build that is there.")] = False,
    keep_passes: Annotated[
        Path | None, typer.Option(help="Folder for the ONNX graph after each pass of the front end, to find errors.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print build.json instead of the table.")] = False,
) -> None:
    """Compile a model package into SystemVerilog for a board."""
    with Console(stderr=True).status("compile") as status:
        build = compile_package(
            package,
            out,
            board=board,
            folding=folding,
            rate=rate,
            line_rate=line_rate,
            pixels_per_beat=pixels_per_beat,
            fill=fill,
            force=force,
            checkpoints=keep_passes,
            progress=lambda step: status.update(f"compile: {step}"),
        )
    if as_json:
        typer.echo(json.dumps(build.data, indent=2))
    else:
        show(build, Console())


def show(build: Build, console: Console) -> None:
    """Print the layers and the build's figures."""
    data = build.data
    table = Table(title=f"{data['name']} on board {data['board']}")
    for heading in ("instance", "from layer", "PE", "SIMD", "cycles", "LUT*", "DSP*", "BRAM*"):
        table.add_column(heading, justify="left" if heading in ("instance", "from layer") else "right")
    for layer in data["layers"]:
        params, resources = layer["params"], layer["resources"]
        cells = [layer["instance"], layer["source"], params.get("PE", ""), params.get("SIMD", "")]
        cells += [layer["cycles"], *(resources[key] for key in ("LUT", "DSP", "BRAM_18K"))]
        table.add_row(*(str(cell) for cell in cells))
    console.print(table)
    console.print(f"* {data['resources_are']}", markup=False)
    clock, latency = data["clock_mhz"], data["net_latency_cycles"]
    console.print(
        f"predicted: first pixel to logits {latency} cycles ({latency / clock:.2f} us), "
        f"last pixel to logits {data['last_pixel_latency_cycles']} cycles, "
        f"an image each {data['interval_cycles']} cycles, "
        f"at {clock:g} MHz ({data['clock_is']})",
        highlight=False,
    )
    ties = sum(layer["near_ties"] for layer in data["layers"])
    if ties:
        console.print(
            f"warning: {ties} thresholds lie within float32 rounding of an integer, "
            "where the QONNX model itself is not exact",
            highlight=False,
        )
    console.print(
        f"build {build.build_id} of model {data['model_id']} in {build.folder}", highlight=False, markup=False
    )


def explore(
    packages: Annotated[list[Path], typer.Argument(help="Model packages made by `icsort export` or `icsort model`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make, for explore.json and explore.png.")],
    board: Annotated[
        list[str] | None, typer.Option(help="Board, may be given several times (default: virtual).")
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(min=1, help="Cells a second, may be given several times; without it, a pixel each cycle."),
    ] = None,
    fill: FillOption = 1.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the result that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print explore.json instead of the table.")] = False,
) -> None:
    """Predict latency, rate and resources of networks on boards, beside FINN's own folding."""
    from icsort.hw.folding import explore as hw_explore  # FINN and matplotlib take seconds

    with (
        result_folder(out, hw_explore.RESULT_FILE, force) as folder,
        Console(stderr=True).status("explore") as status,
    ):
        found = hw_explore.explore(
            packages, board or ["virtual"], rate or [None], lambda step: status.update(f"explore: {step}"), fill
        )
        found.write(folder)
    if as_json:
        typer.echo((out / hw_explore.RESULT_FILE).read_text(encoding="utf-8"), nl=False)
        return
    console = Console()
    table = Table(title=f"predicted; * takes more than {fill:.0%} of the board")
    for heading in ("network", "board", "folded for", "us after last pixel", "cycles", "cells/s", "accuracy"):
        table.add_column(heading, justify="left" if heading in ("network", "board", "folded for") else "right")
    for key in SHOWN:
        table.add_column(key, justify="right")
    for point in found.points:
        cells = [point.network, point.board, point.folding + ("" if point.fits else " *"), f"{point.wait_us:.2f}"]
        cells += [str(point.wait_cycles), f"{point.cells_per_s:.0f}"]
        cells += ["" if point.accuracy is None else f"{point.accuracy:.1%}"]
        table.add_row(*cells, *(str(point.resources[key]) for key in SHOWN))
    console.print(table)
    for network, name, reason in found.refused:
        console.print(f"{network} on {name}: {reason}", style="red", highlight=False, markup=False)


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
    """Synthesize a build: what each layer takes of the FPGA. Ends with 1 where the board's budget is exceeded."""
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
