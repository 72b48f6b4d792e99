# SPDX-License-Identifier: Apache-2.0
"""How well divisions are foreseen: areas under the ROC curve with intervals over cells, and errors of the time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf

from icsort.quant.evaluation.intervals import CONFIDENCE
from icsort.quant.fate.lives import Outcomes

DRAWS = 1000


def weighted_areas(
    values: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Area under the ROC curve (D,) of values (n,) for D weightings (D, n); NaN where a side weighs nothing."""
    order = np.argsort(values, kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(values[order]) > 0])
    for_, against = (np.add.reduceat(weights[:, order] * side[order], begins, axis=1) for side in (positive, ~positive))
    below = np.cumsum(against, axis=1) - against / 2
    both = for_.sum(axis=1) * against.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(both > 0, (for_ * below).sum(axis=1) / np.where(both > 0, both, 1), np.nan)


def horizons(
    values: NDArray[np.float64], outcomes: Outcomes, lives: NDArray[np.int64], seed: int
) -> list[dict[str, Any]]:
    """Of 1, 2, ... frames ahead the area under the ROC curve of values (n, ahead), with its 95 % interval.

    Cells whose outcome is not known are left out and counted. The interval is a bootstrap over lives (n,), as the
    sequences of one cell are alike. None without cells of both kinds; no interval where one cell is all that divides.
    """
    found = []
    for ahead in range(1, values.shape[1] + 1):
        known = outcomes.known(ahead)
        positive = outcomes.within(ahead)[known]
        names, life = np.unique(lives[known], return_inverse=True)
        dividing = len(np.unique(life[positive]))
        entry: dict[str, Any] = {
            "ahead": ahead,
            "sequences": int(known.sum()),
            "dividing": int(positive.sum()),
            "dividing_cells": dividing,
            "unknown": int((~known).sum()),
            "auc": None,
            "low": None,
            "high": None,
        }
        if positive.any() and not positive.all():
            scored = values[known, ahead - 1]
            entry["auc"] = float(weighted_areas(scored, positive, np.ones((1, len(scored))))[0])
            if dividing > 1:
                random = np.random.default_rng(seed)
                counts = random.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
                areas = weighted_areas(scored, positive, counts[:, life].astype(np.float64))
                tail = (1 - CONFIDENCE) / 2
                entry["low"], entry["high"] = (float(v) for v in np.nanquantile(areas, [tail, 1 - tail]))
        found.append(entry)
    return found


def expected_time(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean time (n,) to the division, in frames, cut off at `ahead`, of probabilities (n, ahead) of one within 1, 2,
    ... frames: the area under the survival curve."""
    return 1 + (1 - risk[:, :-1]).sum(axis=1)


def time_errors(risk: NDArray[np.float64], outcomes: Outcomes, alike: float) -> dict[str, Any]:
    """Mean absolute error of `expected_time`, in frames, by what is known of a cell; `alike`: one time for all, beside.

    Cells that divide within `ahead` frames, and those that are seen not to, whose time is `ahead`, have an error. Of
    what is censored earlier only the frames count by which the expected time falls short of what was seen.
    """
    ahead = risk.shape[1]
    expected = expected_time(risk)
    dividing, later = outcomes.within(ahead), outcomes.known(ahead) & ~outcomes.within(ahead)
    censored = ~outcomes.known(ahead)
    truth = np.minimum(outcomes.time, ahead)

    def mean(values: NDArray[np.float64], which: NDArray[np.bool_]) -> float | None:
        return float(values[which].mean()) if which.any() else None

    kinds = {"dividing": dividing, "later": later, "known": dividing | later}
    errors = {name: mean(np.abs(expected - truth), which) for name, which in kinds.items()}
    errors["censored"] = mean(np.maximum(truth - expected, 0), censored)
    errors_alike = {name: mean(np.abs(alike - truth), which) for name, which in kinds.items()}
    errors_alike["censored"] = mean(np.maximum(truth - alike, 0), censored)
    return {
        "cells": {name: int(which.sum()) for name, which in {**kinds, "censored": censored}.items()},
        "error": errors,
        "error_of_one_time": errors_alike,
        "one_time": alike,
    }


def typical_risk(outcomes: Outcomes, ahead: int) -> NDArray[np.float64]:
    """Share (ahead,) of cells that divide within 1, 2, ... frames, by Kaplan and Meier, who take lost cells into
    account."""
    data = CensoredData(uncensored=outcomes.time[outcomes.divided], right=outcomes.time[~outcomes.divided])
    return 1 - np.asarray(ecdf(data).sf.evaluate(np.arange(1, ahead + 1)), np.float64)
