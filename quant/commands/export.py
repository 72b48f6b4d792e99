# SPDX-License-Identifier: Apache-2.0
"""`icsort export`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Run folder made by `icsort train`.")],
    out: Annotated[Path, typer.Option(help="Model package to make.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; without it, the run's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier package at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export a trained run to a model package: a QONNX file and its manifest.

    Example: icsort export out/run --out out/package
    """
    from icsort.quant.packaging.export import export_package

    package = export_package(run, out, name, force)
    if as_json:
        typer.echo(json.dumps(package.to_json()))
        return
    typer.echo(
        f"model {package.model_id}: {len(package.classes)} classes, temperature {package.logits.temperature:.3f}"
    )
    typer.echo(f"package: {out}")
