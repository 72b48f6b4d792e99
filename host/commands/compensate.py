# SPDX-License-Identifier: Apache-2.0
"""`icsort compensate`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, PackageArgument, out
from icsort.host.commands.gate_exchange import pair


def compensate(
    package: PackageArgument,
    matrix: Annotated[
        Path,
        typer.Argument(
            help="Spillover matrix: a table with a column a channel and a row a dye, or an FCS file.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, out("Model package to make, with this compensation.")],
    rename: Annotated[
        list[str] | None,
        typer.Option(help="NAME=CHANNEL: what the matrix calls NAME is this channel. May be repeated."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put the compensation of a spillover matrix into a model package, for total and maximum of each channel.

    The package runs on the builds of the one that it was made from.

    Example: icsort compensate out/package spillover.csv --out out/compensated
    """
    import shutil

    from icsort.formats import compensation
    from icsort.formats import package as packages
    from icsort.formats.known import KNOWN_FILE
    from icsort.output import result_folder
    from icsort.sim.bit_true.features import MATRIX_BITS

    before = packages.load(package)
    spec = compensation.compensate(compensation.load(matrix), before, dict(map(pair, rename or ())))
    kept = {name: value for name, value in before if name not in ("features", "model_id")}
    after = packages.Manifest(**kept, features=spec)
    with result_folder(out, packages.MANIFEST_FILE, force) as folder:
        for name in (packages.MODEL_FILE, packages.CELLS_FILE, KNOWN_FILE):
            if (package / name).is_file():
                shutil.copyfile(package / name, folder / name)
        packages.save(after, folder)
    shown = [[value / 2**MATRIX_BITS for value in row] for row in spec.compensation]
    if as_json:
        console.show_json(
            {
                "package": str(out),
                "model_id": after.model_id,
                "network_id": after.network_id,
                "channels": list(after.channels),
                "compensation": shown,
            }
        )
        return
    table = console.table("", *(f"of {name}" for name in after.channels), text=("",))
    for name, row in zip(after.channels, shown, strict=True):
        table.add_row(name, *(f"{value:.4f}" for value in row))
    console.show(table, f"model {after.model_id}, for builds of network {after.network_id}: {out}")
