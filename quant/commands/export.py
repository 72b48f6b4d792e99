# SPDX-License-Identifier: Apache-2.0
"""`icsort export`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out


def export(
    run: Annotated[Path, typer.Argument(help="Run folder made by `icsort train`.")],
    out: Annotated[Path, out("Model package to make.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; without it, the run's.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Export a trained run to a model package: a QONNX file and its manifest.

    Example: icsort export out/run --out out/package
    """
    from icsort.quant.packaging.export import export_package
    from icsort.quant.training.temperature import remark

    package = export_package(run, out, name, force)
    if as_json:
        console.show_json(package.to_json())
        return
    if package.values:
        worth = zip(package.classes, package.unit_values, package.values, strict=True)
        steps = ", ".join(f"{name} in steps of {step:.4g} {value.unit}".rstrip() for name, step, value in worth)
        print(f"model {package.model_id}: {steps}")
    else:
        print(f"model {package.model_id}: {len(package.classes)} classes, temperature {package.logits.temperature:.3f}")
        if (note := remark(package.logits.temperature)) is not None:
            print(f"note: {note}")
    print(f"package: {out}")
