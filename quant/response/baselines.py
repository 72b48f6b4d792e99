# SPDX-License-Identifier: Apache-2.0
"""What simpler means reach in the same folds, by scikit-learn; and whether controls differ from treated cells."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from icsort.quant.evaluation.intervals import share
from icsort.quant.evaluation.metrics import Decisions

TREES = 300
STEADY = 0.03  # inverse strength of the penalty, for a few hundred correlated features


def trees(seed: int) -> Pipeline:
    """Extremely randomized trees (Geurts et al. 2006) on the table."""
    return make_pipeline(
        ExtraTreesClassifier(TREES, class_weight="balanced", min_samples_leaf=3, random_state=seed, n_jobs=1)
    )


def logistic(seed: int) -> Pipeline:
    """Logistic regression on the table, or on one figure of a cell."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=STEADY, class_weight="balanced", max_iter=500, random_state=seed)
    )


def by_folds(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    folds: Sequence[NDArray[np.int64]],
    make: Callable[[int], Pipeline],
    seed: int,
) -> Decisions:
    """What a classifier of values (N, F) says of every cell, having learnt from the other folds."""
    posterior = np.zeros((len(labels), len(classes)))
    for test in folds:
        rest = np.setdiff1d(np.arange(len(labels)), test)
        model = make(seed).fit(values[rest], labels[rest])
        posterior[np.ix_(test, model[-1].classes_)] = model.predict_proba(values[test])
    missed = np.zeros(len(classes), np.int64)
    return Decisions(tuple(classes), labels, posterior.argmax(axis=1), posterior, missed)


def counts_alone(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    groups: NDArray[np.str_],
    folds: Sequence[NDArray[np.int64]],
    seed: int,
) -> Decisions:
    """What the number of cells in its voting group (N,) says of each cell: a drug that kills leaves fewer."""
    _, index, size = np.unique(groups, return_inverse=True, return_counts=True)
    return by_folds(np.log(size[index])[:, np.newaxis], labels, classes, folds, logistic, seed)


def control_check(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    control: int,
    folds: Sequence[NDArray[np.int64]],
    seed: int,
) -> dict[str, Any]:
    """Whether a control differs from the treated cells: logistic regression on the table, over folds (Zhu 2024).

    Areas under the ROC: of all treated cells against the control, and of each class.
    """
    treated = (labels != control).astype(np.int64)
    decisions = by_folds(values, treated, ("control", "treated"), folds, logistic, seed)
    score = decisions.posterior[:, 1]
    right = int((decisions.best == treated).sum())
    return {
        "control": classes[control],
        "control_cells": int((treated == 0).sum()),
        "treated_cells": int(treated.sum()),
        "accuracy": share(right, len(treated)),
        "balanced_accuracy": float(balanced_accuracy_score(treated, decisions.best)),
        "roc_auc": float(roc_auc_score(treated, score)),
        "classes": [
            {
                "name": name,
                "roc_auc": float(roc_auc_score(treated[either], score[either])),
            }
            for index, name in enumerate(classes)
            if index != control
            and (either := (labels == index) | (labels == control)).any()
            and (labels == index).any()
        ],
    }
