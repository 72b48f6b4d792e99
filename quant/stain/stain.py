# SPDX-License-Identifier: Apache-2.0
"""`icsort stain`: what a stain would show, predicted of channels that need none. Its folder goes on where it was.

A folder holds `stain.json` and `report.html` at its end, and two trainings in folds: `float`, and `quantized` that
begins from it and follows it, with a package a fold, whose output gates use like a feature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from icsort.errors import IcsortError
from icsort.output import check_target, work_folder
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.splits import folds as deal
from icsort.quant.networks.architectures import Architecture
from icsort.quant.stain import image as stain_image
from icsort.quant.stain import number as stain_number
from icsort.quant.stain.cells import UNIT, stained
from icsort.quant.stain.image import Drawn
from icsort.quant.stain.number import Predicted
from icsort.quant.training.folds import train_folds
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import Sources
from icsort.report.page import PAGE_FILE

STAIN_FILE: Final = "stain.json"
FORMAT: Final = "icsort-stain"
VERSION: Final = 1
# of a float network, and of the quantized one that follows it; rotations by other than quarters would blur the texture
FLOAT = Recipe(
    epochs=12, batch=32, learning_rate=3e-3, weight_decay=5e-2, turns=4, average=0.99, balance=0.0, label_smoothing=0.0
)
QUANTIZED = replace(FLOAT, epochs=3, learning_rate=1e-3, weight_decay=1e-3)
IMAGE_EPOCHS = 10


@dataclass(frozen=True)
class Stained:
    """What a report is made of. figures: as JSON. dataset: all channels of the cells. quantized, float_: their totals.
    image: None where none was wanted."""

    figures: dict[str, Any]
    dataset: Dataset
    quantized: Predicted
    float_: Predicted
    image: Drawn | None = field(default=None)


def predict_stain(
    dataset: Dataset,
    inputs: Sequence[str],
    stain: str,
    out: Path,
    *,
    folds: int = 5,
    architecture: Architecture | None = None,
    float_epochs: int = FLOAT.epochs,
    epochs: int = QUANTIZED.epochs,
    image_epochs: int = IMAGE_EPOCHS,
    merged: Mapping[str, Sequence[str]] | None = None,
    window: str = "trigger",
    unstained: Dataset | None = None,
    seed: int = 0,
    jobs: int = 1,
    ray: str | None = None,
    force: bool = False,
    progress: bool = True,
) -> Stained:
    """Train networks that predict the total of a stain, and draw its image; all figures are of cells not trained on.

    dataset: cells with all channels, labelled or not. inputs: channels that the networks see; stain: the one that they
    predict. folds: trainings in each of which other cells are tested. architecture: of the quantized networks, which
    follow the same in floating point. image_epochs: of the U-Net, on the split of the first fold; 0: no image. merged:
    classes that count as one where the correlation within a class is told. window: see acquire.choose. unstained:
    cells that were not stained, in which the networks can only invent. jobs, ray: see `train_folds`.
    force: throw away what `out` holds.

    Raises IcsortError for channels or a stain that do not fit, as `train_folds`, and for an `out` of another command.
    """
    architecture = architecture or Architecture("resnet8")
    if architecture.weight_bits is None:
        raise IcsortError("a float network runs in no FPGA; give the bits of weights and activations")
    cells = stained(dataset, inputs, stain)
    others = (
        None
        if unstained is None
        else unstained.fitted_to(tuple(inputs), dataset.images[0].shape[1], dataset.preparation)
    )
    if image_epochs:
        for one in (dataset, others):
            if one is not None:
                stain_image.check_size(one)
    by_class = dataset.with_merged_classes(merged) if merged else dataset
    labelled = dataset.labels >= 0
    groups = {name: labelled & (by_class.labels == label) for label, name in enumerate(by_class.classes)}
    deal(cells.labels, cells.classes, folds, seed, cells.groups, cells.identities)  # or refuse, before anything is made
    work = [out / "float", out / "quantized"]
    if force or not out.exists():
        work_folder(out, STAIN_FILE, [STAIN_FILE, PAGE_FILE], force)
    else:
        check_target(out, STAIN_FILE, True)  # of this command: what is done is kept
    options: dict[str, Any] = {"window": window, "seed": seed, "jobs": jobs, "ray": ray, "progress": progress}
    plain = train_folds(cells, work[0], folds, replace(FLOAT, epochs=float_epochs), architecture.as_float(), **options)
    sources = Sources(start=work[0], teacher=(work[0],))
    packed = train_folds(cells, work[1], folds, replace(QUANTIZED, epochs=epochs), architecture, sources, **options)
    integers, floats = stain_number.predict_folds(packed, cells), stain_number.predict_folds(plain, cells)
    drawn = (
        stain_image.draw(
            dataset,
            inputs,
            stain,
            packed[0].run,
            epochs=image_epochs,
            seed=seed,
            unstained=others,
            progress=progress,
        )
        if image_epochs
        else None
    )
    figures = {
        "format": FORMAT,
        "version": VERSION,
        "data": {"origin": dataset.origin, "cells": len(dataset.images), "hash": dataset.sha256()},
        "from": list(inputs),
        "to": stain,
        "unit": UNIT,
        "seed": seed,
        "network": architecture.title,
        "packages": [fold.package.relative_to(out).as_posix() for fold in packed],
        "quantized": stain_number.figures(integers, groups),
        "float": stain_number.figures(floats, groups),
        "unstained": None if others is None else stain_number.unstained_figures(packed[0], others, integers),
        "image": None if drawn is None else stain_image.figures(drawn),
    }
    return Stained(figures, dataset, integers, floats, drawn)
