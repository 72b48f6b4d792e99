# SPDX-License-Identifier: Apache-2.0
"""Intervals of everything that is counted on cells, 95 % each.

A share that only describes has Wilson's interval; where a promise is checked, Clopper and Pearson's exact one. A figure
made of several shares (balanced accuracy, purity in another class mix, the difference of two networks) draws each share
from its Jeffreys posterior, Beta(k + 1/2, n - k + 1/2) (Brown, Cai and DasGupta 2001, Interval Estimation for a
Binomial Proportion). A bootstrap would not do: it gives no width at all to a class of which every cell, or none, was
recognized, and classes of a few cells are the rule here.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

CONFIDENCE = 0.95
DRAWS = 4000


class Interval(TypedDict):
    """A figure with its interval."""

    value: float
    low: float
    high: float


class Share(TypedDict):
    """A share of `cells` with its interval; None of everything where there was no cell to count."""

    value: float | None
    low: float | None
    high: float | None
    cells: int


def share(successes: int, of: int, method: str = "wilson") -> Share:
    """successes / of with its interval. method: "wilson", or "exact" for Clopper and Pearson's."""
    if of == 0:
        return {"value": None, "low": None, "high": None, "cells": 0}
    interval = binomtest(int(successes), int(of)).proportion_ci(CONFIDENCE, method=method)
    return {"value": successes / of, "low": float(interval.low), "high": float(interval.high), "cells": int(of)}


def share_draws(random: np.random.Generator, part: ArrayLike, of: ArrayLike) -> NDArray[np.float64]:
    """(DRAWS, K) shares part / of, both (K,) counts, from their Jeffreys posteriors."""
    part, of = np.asarray(part, np.float64), np.asarray(of, np.float64)
    return random.beta(part + 0.5, of - part + 0.5, (DRAWS, len(part)))


def of_draws(value: float, low: NDArray[np.float64], high: NDArray[np.float64]) -> Interval:
    """`value` with its interval: lower end from one set of draws (DRAWS,), upper end from another. It holds `value`."""
    least, most = np.quantile(low, (1 - CONFIDENCE) / 2), np.quantile(high, (1 + CONFIDENCE) / 2)
    return {"value": value, "low": min(value, float(least)), "high": max(value, float(most))}


def balanced_accuracy(table: ArrayLike, seed: int = 0) -> Share:
    """Mean recall of the classes that have cells, from a confusion table (K, K) whose rows are the truth."""
    value, low, high = _balanced(table, seed)
    return {**of_draws(value, low, high), "cells": int(np.sum(table))}


def balanced_difference(better: ArrayLike, worse: ArrayLike, seed: int = 0) -> Interval:
    """Difference of the balanced accuracies of two confusion tables, of which the cells are taken to be independent."""
    (more, more_low, more_high), (less, less_low, less_high) = (
        _balanced(better, 2 * seed),
        _balanced(worse, 2 * seed + 1),
    )
    return of_draws(more - less, more_low - less_high, more_high - less_low)


def _balanced(table: ArrayLike, seed: int) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Balanced accuracy, and draws of it for the lower and for the upper end of its interval.

    As Brown, Cai and DasGupta end the interval of one share: where every cell of a class was recognized the upper end
    takes its recall as 1, where none was the lower end takes it as 0. Without that the mean over several small
    classes is drawn toward the middle: of 274 cells in seven classes (72, 72, 72, 49, 6, 1, 2) "95 %" would cover 80 %.
    """
    table = np.asarray(table)
    cells, right = table.sum(axis=1), np.diag(table)
    cells, right = cells[cells > 0], right[cells > 0]
    draws = share_draws(np.random.default_rng(seed), right, cells)
    low, high = np.where(right == 0, 0.0, draws), np.where(right == cells, 1.0, draws)
    return float((right / cells).mean()), low.mean(axis=1), high.mean(axis=1)
