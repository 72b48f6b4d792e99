# SPDX-License-Identifier: Apache-2.0
"""Intervals hold the truth as often as they say: recalls are set, and confusion tables drawn from them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.quant.evaluation import intervals

JURKAT_TEST = (72, 72, 72, 49, 6, 1, 2)  # G1, S, G2, Prophase, Metaphase, Anaphase, Telophase of a test part
JURKAT_ALL = (720, 720, 720, 485, 55, 12, 22)
RECALLS = {
    "0.9": (0.9,) * 7,
    "0.99": (0.99,) * 7,
    "0.6": (0.6,) * 7,
    "mixed": (0.95, 0.9, 0.97, 0.85, 0.8, 0.7, 0.75),
    "one is never recognized": (0.95, 0.9, 0.97, 0.85, 0.8, 0.0, 0.75),
}
TABLES = 400


def table(right: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """A confusion table with these cells on its diagonal; the others are taken for the class behind theirs."""
    return np.diag(right) + np.roll(np.diag(cells - right), 1, axis=1)


def tables(random: np.random.Generator, cells: tuple[int, ...], recalls: tuple[float, ...]) -> NDArray[np.int64]:
    sizes = np.asarray(cells)
    return np.stack([table(random.binomial(sizes, recalls), sizes) for _ in range(TABLES)])


@pytest.mark.parametrize("cells", [JURKAT_TEST, JURKAT_ALL], ids=["test part", "all cells"])
@pytest.mark.parametrize("recalls", RECALLS.values(), ids=RECALLS)
def test_balanced_accuracy_covers(cells: tuple[int, ...], recalls: tuple[float, ...], seed: int) -> None:
    drawn = tables(np.random.default_rng(seed), cells, recalls)
    shares = [intervals.balanced_accuracy(drawn[i], seed=i) for i in range(TABLES)]
    covered = np.mean([share["low"] <= np.mean(recalls) <= share["high"] for share in shares])
    assert covered > 0.89, f"95 % covered {covered:.1%}"  # four standard errors of 400 tables below 0.93
    assert all(share["low"] <= share["value"] <= share["high"] for share in shares)


def test_they_are_no_wider_than_needed(seed: int) -> None:
    """Where classes are large every method agrees: the normal interval of the mean of binomial shares."""
    sizes, recalls = np.full(7, 4000), np.linspace(0.7, 0.95, 7)
    share = intervals.balanced_accuracy(table(np.rint(sizes * recalls).astype(int), sizes), seed)
    half = 1.96 * np.sqrt((recalls * (1 - recalls) / sizes).sum()) / 7
    assert share["high"] - share["low"] == pytest.approx(2 * half, rel=0.06)


def test_a_class_that_is_always_recognized_has_a_width() -> None:
    """A bootstrap has none here."""
    share = intervals.balanced_accuracy(np.diag([40, 1]))
    assert share["value"] == share["high"] == 1
    assert share["low"] < 0.8
    assert share["cells"] == 41


def test_difference_covers_and_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    better, worse = RECALLS["mixed"], tuple(recall - 0.05 for recall in RECALLS["mixed"])
    pairs = zip(tables(random, JURKAT_TEST, better), tables(random, JURKAT_TEST, worse), strict=True)
    differences = [intervals.balanced_difference(*pair, seed=i) for i, pair in enumerate(pairs)]
    assert np.mean([found["low"] <= 0.05 <= found["high"] for found in differences]) > 0.9
    large = intervals.balanced_difference(np.diag([900, 900]) + 50, np.diag([700, 700]) + 150)
    assert 0 < large["low"] < large["value"] < large["high"]


def test_shares_are_the_published_ones() -> None:
    """Brown, Cai and DasGupta 2001 and R's binom.confint, for 9 of 10."""
    wilson, exact = intervals.share(9, 10), intervals.share(9, 10, "exact")
    assert (wilson["low"], wilson["high"]) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert (exact["low"], exact["high"]) == pytest.approx((0.5550, 0.9975), abs=1e-4)
    assert intervals.share(0, 0) == {"value": None, "low": None, "high": None, "cells": 0}


def test_classes_without_cells_do_not_count() -> None:
    full, gap = np.array([[5, 1], [2, 8]]), np.zeros((3, 3), int)
    gap[np.ix_([0, 2], [0, 2])] = full
    assert intervals.balanced_accuracy(gap) == intervals.balanced_accuracy(full)
