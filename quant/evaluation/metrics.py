# SPDX-License-Identifier: Apache-2.0
"""Figures of a classifier on labelled cells: scikit-learn counts, `intervals` says how far they can be trusted."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from icsort.quant.evaluation.intervals import CONFIDENCE, DRAWS, balanced_accuracy, share
from icsort.sim.bit_true.gate import POSTERIOR_MAX, POSTERIOR_ONE

BINS = 15  # of Guo et al. 2017, On Calibration of Modern Neural Networks


@dataclass(frozen=True)
class Decisions:
    """What a classifier said of cells that triggered, and how many did not.

    labels, best: (N,) index into `names`, the truth and the decision. posterior: (N, K) of each class, 0..1; of the
    gate, whole multiples of 2**-16. missed: (K,) cells of each class that never triggered: lost to every sort.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    best: NDArray[np.int64]
    posterior: NDArray[np.float64]
    missed: NDArray[np.int64]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) posterior of each cell's decision, 0..1."""
        return self.posterior[np.arange(len(self.best)), self.best]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each decision is the truth."""
        return np.asarray(self.best == self.labels)

    @property
    def present(self) -> NDArray[np.int64]:
        """Classes with at least one cell that triggered."""
        return np.unique(self.labels)


def summary(decisions: Decisions, seed: int = 0) -> dict[str, Any]:
    """Accuracy and balanced accuracy with intervals, and per class: cells, precision, recall, area under the ROC."""
    table = confusion(decisions)
    cells, right = table.sum(axis=1), np.diag(table)
    return {
        "cells": int(cells.sum()),
        "not_triggered": int(decisions.missed.sum()),
        "accuracy": share(int(right.sum()), int(cells.sum())),
        "balanced_accuracy": balanced_accuracy(table, seed),
        "classes": [
            {
                "name": name,
                "cells": int(cells[i]),
                "not_triggered": int(decisions.missed[i]),
                "precision": share(right[i], table[:, i].sum()),
                "recall": share(right[i], cells[i]),
                "roc_auc": roc_area(decisions, i),
            }
            for i, name in enumerate(decisions.names)
        ],
        "confusion": table.tolist(),
    }


def confusion(decisions: Decisions) -> NDArray[np.int64]:
    """(K, K) cells; rows are the truth."""
    return np.asarray(confusion_matrix(decisions.labels, decisions.best, labels=range(len(decisions.names))))


def roc_area(decisions: Decisions, index: int) -> float | None:
    """Area under the ROC of one class against the rest; None where the cells hold only one of the two."""
    truth = decisions.labels == index
    return float(roc_auc_score(truth, decisions.posterior[:, index])) if 0 < truth.sum() < len(truth) else None


def roc(decisions: Decisions, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rate of one class against the rest."""
    false, true, _ = roc_curve(decisions.labels == index, decisions.posterior[:, index])
    return false, true


def purity_and_yield(
    decisions: Decisions, index: int, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What a gate on one class would sort at each least posterior: purity, yield, least posterior, ascending.

    The gate's rule: the class is the cell's best one and its posterior reaches the threshold. Yield counts wanted
    cells that never triggered as lost. Empty where no cell of the class triggered. weights: (N,) of the cells.
    """
    wanted = decisions.labels == index
    if not wanted.any():
        return np.empty(0), np.empty(0), np.empty(0)
    score = np.where(decisions.best == index, decisions.posterior[:, index], -1)
    purity, recall, thresholds = precision_recall_curve(wanted, score, sample_weight=weights)
    sortable = thresholds >= 0
    seen = wanted.sum() / (wanted.sum() + decisions.missed[index])
    return purity[:-1][sortable], recall[:-1][sortable] * seen, thresholds[sortable]


def sorted_cells(decisions: Decisions, index: int | None, posterior: float) -> NDArray[np.bool_]:
    """(N,) whether a gate on one class (None: every cell, whatever its class) at a least posterior sorts the cell."""
    threshold = min(POSTERIOR_MAX, math.ceil(posterior * POSTERIOR_ONE)) / POSTERIOR_ONE
    chosen = decisions.confidence >= threshold
    return chosen if index is None else chosen & (decisions.best == index)


def gate_check(decisions: Decisions, index: int | None, posterior: float) -> dict[str, Any]:
    """A gate on one class (None: every cell, whatever its class) at a least posterior: does it keep its promise?

    The promise: at least `posterior` of the sorted cells belong to the class. `kept` is False only where the exact
    interval of the measured purity lies below it, None where no cell was sorted. `expected` is the mean posterior of
    the sorted cells, the purity that calibrated posteriors give.
    """
    chosen = sorted_cells(decisions, index, posterior)
    wanted, lost = np.ones(len(chosen), bool), decisions.missed.sum()
    if index is not None:
        wanted, lost = decisions.labels == index, decisions.missed[index]
    right = int((chosen & decisions.right).sum())
    purity = share(right, int(chosen.sum()), "exact")
    high = purity["high"]
    expected = float(decisions.confidence[chosen].mean()) if chosen.any() else None
    return {
        "gate": None if index is None else decisions.names[index],
        "posterior": posterior,
        "sorted": int(chosen.sum()),
        "purity": purity,
        "expected": expected,
        "kept": None if high is None else bool(high >= posterior),
        "yield": share(right, int(wanted.sum() + lost)),
    }


def calibration_bins(decisions: Decisions) -> list[dict[str, Any]]:
    """Cells in equal bins of their decision's posterior: mean posterior, share that is right with its interval."""
    confidence, bins = decisions.confidence, _bins(decisions.confidence)
    return [
        {
            "from": i / BINS,
            "to": (i + 1) / BINS,
            "mean_posterior": float(confidence[bins == i].mean()),
            "right": share(int(decisions.right[bins == i].sum()), int((bins == i).sum())),
        }
        for i in np.unique(bins).tolist()
    ]


def calibration_error(decisions: Decisions) -> float:
    """Expected calibration error (Naeini et al. 2015; Guo et al. 2017), 15 equal bins of the decision's posterior."""
    return _error(decisions.confidence, decisions.right)


def chance_calibration_error(decisions: Decisions, seed: int = 0) -> dict[str, float]:
    """Expected calibration error that as many cells show by chance where every posterior is exactly true.

    Mean and 95th percentile over draws of right or wrong with these posteriors: an error within is no sign of a fault.
    """
    draw, confidence = np.random.default_rng(seed), decisions.confidence
    errors = [_error(confidence, draw.random(len(confidence)) < confidence) for _ in range(DRAWS)]
    return {"mean": float(np.mean(errors)), "high": float(np.quantile(errors, CONFIDENCE))}


def _error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    gaps = np.bincount(_bins(confidence), weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def _bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
