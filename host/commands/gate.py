# SPDX-License-Identifier: Apache-2.0
"""`icsort gate set`."""

from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import (
    Baud,
    Model,
    Port,
    Timeout,
    class_names,
    gate_text,
    open_sorter,
    read_target,
)

app = typer.Typer(help="Set the sort gate: classes and minimum posterior.", add_completion=False, rich_markup_mode=None)


@app.callback()
def _gate() -> None:
    """Set the sort gate: classes and minimum posterior."""


@app.command("set")
def gate_set(
    classes: Annotated[list[str], typer.Argument(help="Classes to sort, by name.", show_default=False)],
    port: Port,
    model: Model,
    posterior: Annotated[float, typer.Option(help="Least posterior of these classes together, 0..1.")] = 0.0,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Sort cells of these classes, if they belong to them with at least this posterior.

    Example: icsort gate set Mitotic --posterior 0.8 --port /dev/ttyUSB0 --model out/build
    """
    from icsort.formats.gate import class_mask, posterior_threshold

    target = read_target(model)
    manifest = target.manifest
    class_mask(classes, manifest.classes)  # what is wrong with the request is said before the board is asked
    posterior_threshold(posterior)
    with open_sorter(port, baud, timeout, target) as sorter:
        board = sorter.check_model(manifest, target.build_id)
        gate = sorter.set_gate(classes, posterior, manifest)
    if as_json:
        console.show_json({**vars(gate), "classes": class_names(gate.mask, board.classes, manifest)})
    else:
        print(f"gate {gate.serial}: {gate_text(gate, board.classes, manifest)}")
