# SPDX-License-Identifier: Apache-2.0
"""`icsort explore`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from icsort.hw.commands.board import FillOption
from icsort.hw.synthesis.synth_table import SHOWN
from icsort.output import result_folder


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
    """Predict latency, rate and resources of networks on boards, beside FINN's own folding.

    Example: icsort explore out/package --out out/explored --board zcu104 --board pynq_z2 --rate 15000
    """
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
