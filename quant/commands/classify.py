# SPDX-License-Identifier: Apache-2.0
"""`icsort classify`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Force, Json, PackageArgument, out
from icsort.quant.commands.words import DigitizeOption, UnreadableOption, digitization, named, names


def classify(
    package: PackageArgument,
    data: Annotated[
        Path,
        typer.Option(help="Cells, with labels or without: a folder or a stack that `icsort data info` reads."),
    ],
    table: Annotated[Path, out("Table to make (CSV), a row a cell.")],
    channels: Channels = None,
    digitize: DigitizeOption = None,
    unreadable: UnreadableOption = "refuse",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give cells without labels their class and posteriors.

    In the integer arithmetic of the FPGA. A build in place of the package gives the same, by its netlist, compiled with
    c++: faster.

    Example: icsort classify out/package --data events/ --out out/classes.csv
    """
    from icsort.quant.cells.readers.reading import unreadable_choice
    from icsort.quant.evaluation.classify import classify as write_table

    with console.progress("classify") as progress:
        summary = write_table(
            package,
            data,
            table,
            channels=names(channels),
            digitization=digitization(digitize),
            unreadable=unreadable_choice(unreadable),
            force=force,
            progress=progress,
        )
    if summary["cells"] and not summary["triggered"]:
        console.warn(f"{summary['origin']}: no cell triggers an event; the package's trigger was set for other cells")
    if as_json:
        console.show_json(summary | {"out": str(table)})
        return
    console.show(f"{summary['cells']} cells: {summary['origin']}", f"not triggered: {summary['not_triggered']}")
    for name, count in summary["classes"].items():
        console.show(f"  {name:<24}{count:>8}")
    for what in ("unreadable", "passed_over"):
        if summary[what]:
            console.show(*named(what.replace("_", " "), summary[what]))
    console.show(f"table: {table}")
