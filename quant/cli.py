# SPDX-License-Identifier: Apache-2.0
"""The commands `icsort model`, `icsort train` and `icsort export`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def train(
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with one TIFF stack a class, or a sorter's folder with output/countpath.csv. "
            "Without it: the folder in ICSORT_DATA, else ../shared/data, else generated cells."
        ),
    ] = None,
    generated: Annotated[bool, typer.Option("--generated", help="Train on generated cells.")] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training cells.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, the weights and the order of cells.")] = 0,
    limit: Annotated[int | None, typer.Option(min=10, help="At most this many cells of each class.")] = None,
    channels: Annotated[
        str | None, typer.Option(help="Channel names of class stacks, in order, separated by commas.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=10, max=255, help="Lines of the window; without it, the tallest training cell.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON, without a progress bar.")] = False,
) -> None:
    """Train a quantized cell classifier on labelled images.

    Example: icsort train --data images/ --out out/run --epochs 60
    """
    from quant.data import find_dataset
    from quant.train import Recipe, train_run

    names = None if channels is None else [name.strip() for name in channels.split(",")]
    dataset = find_dataset(data, generated, seed, names)
    if limit is not None:
        dataset = dataset.limited(limit, seed)
    typer.echo(f"{len(dataset.images)} cells: {dataset.origin}", err=as_json)
    for name, count in dataset.counts().items():
        typer.echo(f"  {name:<16}{count:>6}", err=as_json)
    recipe = Recipe(epochs=epochs) if learning_rate is None else Recipe(epochs=epochs, learning_rate=learning_rate)
    metrics = train_run(dataset, out, recipe, seed, height, force, progress=not as_json)
    if as_json:
        typer.echo(json.dumps(metrics))
        return
    test = metrics["test"]
    typer.echo(
        f"test part: accuracy {test['accuracy']:.1%}, balanced {test['balanced_accuracy']:.1%}, {test['cells']} cells, "
        f"{test['not_triggered']} never triggered (epoch {metrics['best_epoch']}, {metrics['seconds']:.0f} s)"
    )
    typer.echo(f"run: {out}")


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
    from quant.export import export_package

    package = export_package(run, out, name, force)
    if as_json:
        typer.echo(json.dumps(package.to_json()))
        return
    typer.echo(
        f"model {package.model_id}: {len(package.classes)} classes, temperature {package.logits.temperature:.3f}"
    )
    typer.echo(f"package: {out}")


def model(
    out: Annotated[Path, typer.Option(help="Model package to make.")],
    arch: Annotated[str, typer.Option(help="student, resnet8, resnet18, resnet50 or mobilenet_v2.")] = "mobilenet_v2",
    width: Annotated[float, typer.Option(help="Factor of the number of features of every layer.")] = 1.0,
    depth: Annotated[float, typer.Option(help="Factor of the number of blocks of every stage.")] = 1.0,
    weight_bits: Annotated[int, typer.Option(help="Bits of weights, 2 to 8.")] = 4,
    activation_bits: Annotated[int, typer.Option(help="Bits of activations, 2 to 8.")] = 4,
    first_bits: Annotated[int | None, typer.Option(help="Bits of the first layer's weights, if others.")] = None,
    last_bits: Annotated[int | None, typer.Option(help="Bits of the last layer's weights, if others.")] = None,
    stem: Annotated[str, typer.Option(help="First layers: standard, 3x3 (stride 2) or pool (3x3, max pool).")] = (
        "standard"
    ),
    classes: Annotated[int | None, typer.Option(min=2, max=64, help="Logits; without it, the data's classes.")] = None,
    shape: Annotated[
        str | None, typer.Option("--input", help="CHANNELSxHEIGHTxWIDTH; without it, that of the data.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Cells to calibrate on; without it, generated cells.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weights.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the model; without it, the package's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier package at --out.")] = False,
) -> None:
    """Make a model package with random weights, to compile a network before anything is trained.

    Example: icsort model --arch mobilenet_v2 --classes 36 --input 7x64x64 --out out/package
    """
    from quant.data import find_dataset
    from quant.models import Architecture
    from quant.untrained import fitted, parse_shape, untrained_package

    architecture = Architecture(arch, width, depth, weight_bits, activation_bits, first_bits, last_bits, stem)
    dataset = find_dataset(data, generated=data is None, seed=seed)
    if shape is not None:
        dataset = fitted(dataset, *parse_shape(shape))
    package = untrained_package(architecture, dataset, out, classes=classes, name=name, seed=seed, force=force)
    typer.echo(f"model {package.model_id}: {architecture.title}, random weights, {len(package.classes)} classes")
    typer.echo(f"package: {out}")
