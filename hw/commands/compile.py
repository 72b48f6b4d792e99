# SPDX-License-Identifier: Apache-2.0
"""`icsort compile`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Board, Force, Json, ListBoards, OptionalRate, PackageArgument, out
from icsort.formats.acquisition import AS_TAKEN
from icsort.formats.background import LINES_PER_SECOND
from icsort.formats.build import Build
from icsort.formats.fill import read_fill
from icsort.hw.commands.board import FillOption
from icsort.hw.compile import compile_package


def compile_(
    package: PackageArgument,
    out: Annotated[Path, out("Build folder to make.")],
    board: Board = "virtual",
    folding: Annotated[Path | None, typer.Option(help="Folding file (JSON) instead of the chosen folding.")] = None,
    rate: OptionalRate = None,
    line_rate: Annotated[
        float | None, typer.Option(min=1, help="Lines a second; without it, what the rate leaves between two lines.")
    ] = None,
    pixels_per_beat: Annotated[
        int, typer.Option(min=1, help="Pixels beside each other that the network takes at once.")
    ] = 1,
    line_pixels: Annotated[
        int | None, typer.Option(min=1, help="Pixels of a line a cycle; without it, as few as its lines a second need.")
    ] = None,
    features: Annotated[
        bool | None,
        typer.Option(
            "--features/--no-features",
            help="Features of each event, for gates and records.",
            show_default="where they fit",
        ),
    ] = None,
    fill: FillOption = "1",
    all_in: Annotated[
        bool, typer.Option("--all-in", help="Take what saves a cycle of latency, however little; else up to the knee.")
    ] = False,
    force: Force = False,
    keep_passes: Annotated[
        Path | None, typer.Option(help="Folder for the ONNX graph after each pass of the front end, to find errors.")
    ] = None,
    as_json: Json = False,
    _list_boards: ListBoards = False,
) -> None:
    """Compile a model package into SystemVerilog for a board.

    Example: icsort compile out/package --out out/build --board zcu104 --rate 15000
    """
    with console.progress("compile") as progress:
        build = compile_package(
            package,
            out,
            board=board,
            folding=folding,
            rate=rate,
            line_rate=line_rate,
            pixels_per_beat=pixels_per_beat,
            line_pixels=line_pixels,
            features=features,
            fill=read_fill(fill),
            all_in=all_in,
            force=force,
            checkpoints=keep_passes,
            progress=progress,
        )
    if as_json:
        console.show_json(build.to_json())
    else:
        show(build)


def show(build: Build) -> None:
    """Print the layers and the build's figures."""
    table = console.table(
        *("instance", "from layer", "PE", "SIMD", "cycles", "LUT*", "DSP*", "BRAM*"),
        title=f"{build.name} on board {build.board}",
        text=("instance", "from layer"),
    )
    for layer in build.layers:
        params, resources = layer.params, layer.resources
        cells = [layer.instance, layer.source, params.get("PE", ""), params.get("SIMD", "")]
        cells += [layer.cycles, *(resources[key] for key in ("LUT", "DSP", "BRAM_18K"))]
        table.add_row(*(str(cell) for cell in cells))
    clock, latency = build.clock_mhz, build.net_latency_cycles
    console.show(
        table,
        f"* {build.resources_are}",
        f"predicted: first pixel to logits {latency} cycles ({latency / clock:.2f} us), "
        f"last pixel to logits {build.last_pixel_latency_cycles} cycles, "
        f"an image each {build.interval_cycles} cycles, "
        f"at {build.clock_text}",
    )
    at_line_rate = build.line_rate_latency_cycles
    if at_line_rate is not None:
        console.show(
            f"at the instrument's {LINES_PER_SECOND:,.0f} lines/s: first pixel to logits {at_line_rate} cycles "
            f"({at_line_rate / clock:.2f} us), which the drop delay must cover"
        )
    console.show(f"features of an event: {build.features or 'none'}")
    preparation = build.manifest.preparation
    if preparation != AS_TAKEN:
        console.warn(
            f"the network's images are {preparation.in_words}, which the hardware does not do: the camera or the host "
            f"does, before it offers their lines of {build.manifest.line.width} pixels"
        )
    ties = sum(layer.near_ties for layer in build.layers)
    if ties:
        console.warn(
            f"{ties} thresholds lie within float32 rounding of an integer, where the QONNX model itself is not exact"
        )
    search = build.folding_search
    if search.cut_short:
        console.warn(
            f"{search.cut_short} of {search.programs} steps of the folding search ended at the limit of their "
            f"search trees, {search.largest_gap:.1%} at most from the best cost: see --folding"
        )
    console.show(f"build {build.build_id} of model {build.model_id} in {build.folder}")
