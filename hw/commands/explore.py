# SPDX-License-Identifier: Apache-2.0
"""`icsort explore`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Boards, Force, Json, ListBoards, out
from icsort.formats.background import LINES_PER_SECOND
from icsort.formats.fill import read_fill
from icsort.hw.commands.board import FillOption
from icsort.hw.synthesis.synth_table import SHOWN
from icsort.output import result_folder


def explore(
    packages: Annotated[list[Path], typer.Argument(help="Model packages made by `icsort export` or `icsort model`.")],
    out: Annotated[Path, out("Folder to make, for explore.json and explore.png.")],
    board: Boards = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(min=1, help="Cells a second to keep up with; without it, a pixel each cycle. May be repeated."),
    ] = None,
    fill: FillOption = "1",
    force: Force = False,
    as_json: Json = False,
    _list_boards: ListBoards = False,
) -> None:
    """Predict latency, rate and resources of networks on boards, beside FINN's own folding.

    Example: icsort explore out/package --out out/explored --board zcu104 --board pynq_z2 --rate 15000
    """
    from icsort.hw.folding import explore as hw_explore  # FINN and matplotlib take seconds

    with (
        result_folder(out, hw_explore.RESULT_FILE, force) as folder,
        console.progress("explore") as progress,
    ):
        found = hw_explore.explore(packages, board or ["virtual"], rate or [None], progress, read_fill(fill))
        found.write(folder)
    if as_json:
        print((out / hw_explore.RESULT_FILE).read_text(encoding="utf-8"), end="")
        return
    table = console.table(
        *("network", "board", "folded for", "us after last pixel", "cycles", "us from first line"),
        *("cells/s", "accuracy", *SHOWN),
        title=f"predicted; us from first line: at the instrument's {LINES_PER_SECOND / 1e6:g} million lines/s; "
        f"* takes more than {fill} of the board, - is slower than the rate asked for",
        text=("network", "board", "folded for"),
    )
    for point in found.points:
        cells = [
            point.network,
            point.board,
            point.folding + " *" * (not point.fits) + " -" * (not point.keeps_rate),
            f"{point.wait_us:.2f}",
        ]
        cells += [str(point.wait_cycles), f"{point.line_rate_us:.2f}", f"{point.cells_per_s:.0f}"]
        cells += ["" if point.accuracy is None else f"{point.accuracy:.1%}"]
        table.add_row(*cells, *(str(point.resources[key]) for key in SHOWN))
    console.show(table)
    for network, name, reason in found.refused:
        console.show(f"{network} on {name}: {reason}", style="red")
