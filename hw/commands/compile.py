# SPDX-License-Identifier: Apache-2.0
"""`icsort compile`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from icsort.hw.commands.board import FillOption
from icsort.hw.compile import Build, compile_package


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
    """Compile a model package into SystemVerilog for a board.

    Example: icsort compile out/package --out out/build --board zcu104 --rate 15000
    """
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
