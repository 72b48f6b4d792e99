# SPDX-License-Identifier: Apache-2.0
"""`icsort demo`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out
from icsort.errors import IcsortError


def demo(
    out: Annotated[Path, out("Folder to make, for all that the demo makes.")] = Path("out/demo"),
    generated: Annotated[
        bool, typer.Option("--generated", help="Use generated cells even where real ones are.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train for this many epochs.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole path on held-out cells: train, export, compile, simulate, then a virtual board and its host.

    Writes report.html and report.json. Example: icsort demo --out out/demo
    """
    from icsort.sim.flows.demo import run

    report = run(out, generated=generated, epochs=epochs, force=force, quiet=as_json)
    if as_json:
        console.show_json(report)
    if report["logits_equal"] != report["logits_compared"]:
        raise IcsortError(f"the RTL differs from the references: see {out / 'report.html'}")
