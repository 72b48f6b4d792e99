# SPDX-License-Identifier: Apache-2.0
"""Gates as registers hold them."""

import math
from fractions import Fraction

import pytest

from icsort.errors import IcsortError
from icsort.formats.gate import class_mask, index_mask, posterior_threshold


def test_high_classes_go_to_the_high_word() -> None:
    classes = [f"c{i}" for i in range(64)]
    assert class_mask(["c63", "c0", "c0"], classes) == 1 << 63 | 1


@pytest.mark.parametrize("wanted", [["G2"], ["G1", "g1"], []])
def test_unknown_class(wanted: list[str]) -> None:
    with pytest.raises(IcsortError, match=r"its classes are: G1, S$"):
        class_mask(wanted, ("G1", "S"))


@pytest.mark.parametrize(("posterior", "threshold"), [(0.0, 0), (0.5, 32768), (0.9, 58983), (1.0, 65535), (1e-9, 1)])
def test_posterior(posterior: float, threshold: int) -> None:
    assert posterior_threshold(posterior) == threshold


@pytest.mark.parametrize("posterior", [-0.1, 1.1, math.nan, math.inf])
def test_posterior_out_of_range(posterior: float) -> None:
    with pytest.raises(IcsortError, match=r"not within 0\.\.1"):
        posterior_threshold(posterior)


@pytest.mark.parametrize("posterior", [0.1, 0.3, 1 / 3, 0.7, 0.99999])
def test_a_threshold_is_the_least_that_is_not_below_what_was_asked(posterior: float) -> None:
    threshold = posterior_threshold(posterior)
    assert Fraction(threshold - 1, 2**16) < Fraction(posterior) <= Fraction(threshold, 2**16) or threshold == 65535


def test_indices_may_come_twice() -> None:
    assert index_mask([0, 2, 2, 63]) == 1 << 63 | 0b101
    assert index_mask([]) == 0
