# SPDX-License-Identifier: Apache-2.0
"""`icsort model`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, Seed, out
from icsort.quant.commands.networks import (
    ActivationBits,
    Depth,
    FirstBits,
    LastBits,
    ListArchs,
    Stem,
    WeightBits,
    Width,
    arch,
)
from icsort.quant.networks.registry import ARCHITECTURES, PUBLISHED


def model(
    out: Annotated[Path, out("Model package to make.")],
    arch: Annotated[str, arch([*ARCHITECTURES, *PUBLISHED])] = "mobilenet_v2",
    width: Width = 1.0,
    depth: Depth = 1.0,
    weight_bits: WeightBits = 4,
    activation_bits: ActivationBits = 4,
    first_bits: FirstBits = None,
    last_bits: LastBits = None,
    stem: Stem = "standard",
    classes: Annotated[
        int | None, typer.Option(min=2, max=64, help="Logits; without it, the data's classes, or 10.")
    ] = None,
    shape: Annotated[
        str | None, typer.Option("--input", help="CHANNELSxHEIGHTxWIDTH; without it, that of the data.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Cells to calibrate on; without it, generated cells.")] = None,
    seed: Seed = 0,
    name: Annotated[str | None, typer.Option(help="Name of the model; without it, the package's.")] = None,
    force: Force = False,
    as_json: Json = False,
    _list_archs: ListArchs = False,
) -> None:
    """Make a model package with random weights, to compile before training.

    Examples: icsort model --arch mobilenet_v2 --classes 36 --input 7x64x64 --out out/package; icsort model --arch
    cnv-1w1a --out out/package
    """
    from icsort.quant.cells.find import find_dataset
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.networks.published import published_named
    from icsort.quant.packaging.untrained import fitted, parse_shape, untrained_package

    options = (width, depth, weight_bits, activation_bits, first_bits, last_bits, stem)
    published = published_named(arch, plain=Architecture("student", *options) == Architecture() and shape is None)
    architecture = published or Architecture(arch, *options)
    dataset = find_dataset(data, generated=data is None, seed=seed)
    if published:
        dataset, classes = fitted(dataset, *published.shape), classes or published.classes
    elif shape is not None:
        dataset = fitted(dataset, *parse_shape(shape))
    package = untrained_package(architecture, dataset, out, classes=classes, name=name, seed=seed, force=force)
    if as_json:
        console.show_json(package.to_json())
        return
    print(f"model {package.model_id}: {architecture.title}, random weights, {len(package.classes)} classes")
    print(f"package: {out}")
