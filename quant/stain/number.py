# SPDX-License-Identifier: Apache-2.0
"""The total of a stain by networks that do not see it: every cell once, by the fold that has not been trained on it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import linregress, pearsonr, sem

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.heldout import HELDOUT_FILE
from icsort.formats.integer import IntegerNetwork
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.dataset import Dataset
from icsort.quant.training.fitting import predict
from icsort.quant.training.folds import Fold
from icsort.quant.training.runs import SPLIT_FILE, load_run

Reals = NDArray[np.float64]
CHUNK = 1024  # cells that are windows at once
BINS = 10
FEWEST = 20  # cells within which a correlation is told


@dataclass(frozen=True)
class Predicted:
    """E cells that triggered an event. cells: their index in the data; fold: which network has predicted them, from 0;
    measured, predicted: totals in counts. missed: cells that triggered none."""

    cells: NDArray[np.int64]
    fold: NDArray[np.int64]
    measured: Reals
    predicted: Reals
    missed: int


def predict_folds(folds: Sequence[Fold], dataset: Dataset) -> Predicted:
    """Predictions of all folds: of the packages, in the FPGA's integers, where there are any, else of the float runs.

    dataset: the cells that they were trained on in folds, as `stain.cells.stained` gives them. Raises IcsortError for
    folds of other cells.
    """
    assert dataset.measured is not None
    cells, numbers, values, missed = [], [], [], 0
    for number, fold in enumerate(folds):
        test = np.asarray(json.loads((fold.run / SPLIT_FILE).read_text(encoding="utf-8"))["test"], np.int64)
        if test.max(initial=0) >= len(dataset.images):
            raise IcsortError(f"{fold.run}: was trained on other cells; train it again")
        for found, predicted in _predict(fold, dataset.subset(test)):
            cells.append(test[found])
            values.append(predicted)
            numbers.append(np.full(len(found), number))
        missed += len(test)
    every = np.concatenate(cells)
    measured = dataset.measured.values[every, 0]
    return Predicted(every, np.concatenate(numbers), measured, np.concatenate(values), missed - len(every))


def unstained_figures(fold: Fold, unstained: Dataset, found: Predicted) -> dict[str, Any]:
    """What a fold's network says of cells without the stain, which have none to predict.

    as_stained: share of them of which more is predicted than the least-stained twentieth of the cells has.
    """
    predicted = np.concatenate([values for _, values in _predict(fold, unstained)])
    least = np.quantile(found.measured, 0.05)
    return {
        "cells": len(unstained.images),
        "not_triggered": len(unstained.images) - len(predicted),
        "median": float(np.median(predicted)) if len(predicted) else None,
        "as_stained": float((predicted > least).mean()) if len(predicted) else None,
    }


def _predict(fold: Fold, cells: Dataset) -> Iterator[tuple[NDArray[np.int64], Reals]]:
    """Index of the cells that triggered, and what is predicted of them, some at a time."""
    integer = IntegerNetwork(fold.package) if fold.package.is_dir() else None
    run = None if integer is not None else load_run(fold.run)
    background = heldout.load(fold.run / HELDOUT_FILE).background
    for begin in range(0, len(cells.images), CHUNK):
        images = cells.images[begin : begin + CHUNK]
        if integer is not None:
            package = integer.manifest
            cut = cut_cells(images, package, background)
            predicted = integer.logits(package.pixels(cut.windows))[:, 0] * package.unit_values[0]
        else:
            assert run is not None
            cut = cut_cells(images, run.config, background)
            pixels = torch.from_numpy(run.config.pixels(cut.windows)).permute(0, 3, 1, 2)
            predicted = predict(run.model, pixels)[:, 0].double().numpy() * run.config.values[0].scale
        yield begin + cut.cells, np.asarray(predicted, np.float64)


def correlation(measured: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
    """Pearson's r with its 95 % interval (Fisher's), and the cells; r is None where a side does not vary."""
    cells = len(measured)
    if cells < FEWEST or not np.ptp(measured) or not np.ptp(predicted):
        return {"r": None, "low": None, "high": None, "cells": cells}
    found = pearsonr(measured, predicted)
    interval = found.confidence_interval()
    return {"r": float(found.statistic), "low": float(interval.low), "high": float(interval.high), "cells": cells}


def figures(found: Predicted, groups: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """What the report says of a number. groups: cells of the data (N,), by name, within each of which r is told."""
    measured, predicted = found.measured, found.predicted
    error = predicted - measured
    line = linregress(predicted, measured) if np.ptp(predicted) else None
    return {
        "cells": len(measured),
        "not_triggered": found.missed,
        "pearson": correlation(measured, predicted),
        "folds": [
            correlation(measured[found.fold == fold], predicted[found.fold == fold])
            for fold in range(int(found.fold.max()) + 1)
        ],
        "within": {
            name: correlation(measured[inside], predicted[inside])
            for name, members in groups.items()
            if (inside := members[found.cells]).sum() >= FEWEST
        },
        "rmse": float(np.sqrt((error**2).mean())),
        "deviation": float(measured.std()),
        "bias": float(error.mean()),
        "calibration": {
            "slope": None if line is None else float(line.slope),
            "intercept": None if line is None else float(line.intercept),
            "bins": bins(measured, predicted),
        },
    }


def bins(measured: Reals, predicted: Reals) -> list[dict[str, float]]:
    """Tenths of the cells by what is predicted: mean predicted and measured total, and the latter's standard error."""
    order = np.argsort(predicted, kind="stable")
    return [
        {
            "predicted": float(predicted[part].mean()),
            "measured": float(measured[part].mean()),
            "error": float(sem(measured[part])),
            "cells": len(part),
        }
        for part in np.array_split(order, BINS)
        if len(part) > 1
    ]
