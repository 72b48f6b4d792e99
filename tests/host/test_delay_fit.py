# SPDX-License-Identifier: Apache-2.0
"""The drop delay's fit, against SciPy's and against simulated counts; and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from icsort.errors import IcsortError
from icsort.host.delay_fit import count_of, fit_delay, read_counts


def bell(x: NDArray[np.float64], centre: float, width: float, height: float, floor: float) -> NDArray[np.float64]:
    return np.asarray(height * np.exp(-(((x - centre) / width) ** 2) / 2) + floor)


def test_the_peak_is_scipys(seed: int) -> None:
    """With many counts, where Poisson's are normal ones."""
    draw = np.random.default_rng(seed)
    x = np.linspace(780, 850, 15)
    for _ in range(20):
        truth = (draw.uniform(800, 830), draw.uniform(6, 12), 20_000, draw.uniform(50, 500))
        y = draw.poisson(bell(x, *truth))
        fit = fit_delay(x.tolist(), y.tolist(), "us")
        theirs, covariance = curve_fit(bell, x, y, p0=(815, 9, 20_000, 100), sigma=np.sqrt(y + 1))
        assert abs(fit.delay - theirs[0]) < 0.3 * np.sqrt(covariance[0, 0]) + 1e-3
        assert fit.low < fit.delay < fit.high
        assert fit.width == pytest.approx(abs(theirs[1]), rel=0.02)  # a bell has the width of either sign


@pytest.mark.parametrize("sorts", [30, 100, 1000])
@pytest.mark.parametrize(("tries", "least"), [(40, 0.8), pytest.param(500, 0.92, marks=pytest.mark.full)])
def test_the_interval_covers_the_truth(seed: int, sorts: int, tries: int, least: float) -> None:
    """95 of 100 times or so, for counts of beads as people make them; hardly any is refused."""
    draw = np.random.default_rng(seed)
    x = np.linspace(780, 850, 15)
    covered = refused = 0
    for _ in range(tries):
        centre = draw.uniform(800, 830)
        y = draw.poisson(bell(x, centre, draw.uniform(5, 12), 0.9 * sorts, 0.02 * sorts))
        try:
            fit = fit_delay(x.tolist(), y.tolist(), "us")
        except IcsortError:
            refused += 1
            continue
        covered += fit.low <= centre <= fit.high
    assert refused <= 0.05 * tries
    assert covered / (tries - refused) > least


def test_counts_that_scatter_more_widen_the_interval() -> None:
    x = np.linspace(0, 100, 21)
    y = bell(x, 52, 15, 400, 10)
    even = fit_delay(x.tolist(), np.rint(y).astype(int).tolist(), "us")
    uneven = fit_delay(x.tolist(), np.rint(y * (1 + 0.15 * np.cos(np.arange(21) * 2))).astype(int).tolist(), "us")
    assert even.scatter == 1
    assert uneven.scatter > 1.5
    assert uneven.high - uneven.low > 1.4 * (even.high - even.low)
    assert even.delay == pytest.approx(52, abs=0.1)


STEPS = [780 + 5 * step for step in range(15)]


@pytest.mark.parametrize(
    ("delays", "counts", "problem"),
    [
        (STEPS[:4], [1, 50, 3, 1], r"4 different delays tell no optimum; step over 5 at least"),
        ([800] * 9, [5] * 9, r"1 different delays tell no optimum"),
        (STEPS, [0] * 15, r"nothing was collected at any delay from 780 to 850 us; step over another range"),
        (STEPS, [11, 9, 10, 12, 8, 10, 11, 9, 12, 10, 9, 11, 10, 8, 10], r"do not depend on the delay .* flat"),
        (STEPS, [100 - 7 * i for i in range(15)], r"at the edge, 780 us, so the optimum .*; step from 710 to 790 us"),
        (STEPS, [3 * i for i in range(15)], r"at the edge, 850 us, so the optimum .*; step from 840 to 920 us"),
        (STEPS, [0] * 7 + [90] + [0] * 7, r"only 1 delay about 815 us collect.*step finer, from 810 to 820 us"),
        (STEPS, [0] * 7 + [90, 60] + [0] * 6, r"only 2 delays about 815 us collect.*step finer, from 810 to 820 us"),
        (STEPS, [1, 5, 60, 95, 55, 4, 0, 1, 0, 5, 52, 97, 66, 6, 2], r"the counts are no single peak; count again"),
    ],
)  # fmt: skip
def test_counts_that_tell_no_optimum(delays: list[float], counts: list[int], problem: str) -> None:
    with pytest.raises(IcsortError, match=problem) as refusal:
        fit_delay(delays, counts, "us")
    assert "\n" not in str(refusal.value)


def test_a_table_of_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("﻿Delay, Count, who\n812.5, 30, me\n\n815,31,\n")
    assert read_counts(path) == ([812.5, 815.0], [30, 31])
    for text, problem in (
        ("", r"its first line must name the columns delay and count, not nothing"),
        ("delay,number\n1,2\n", r"not delay, number"),
        ("delay,count\n1,2\n3\n", r"line 3: a column is missing"),
        ("delay,count\n1,many\n", r"line 2: 'many' is no count; give a whole number"),
        ("delay,count\n1,2.5\n", r"line 2: '2.5' is no count"),
        ("delay,count\n1,-2\n", r"line 2: -2 is no count; give 0 or more"),
        ("delay,count\nnan,2\n", r"line 2: 'nan' is no delay; give a number, 0 or more"),
        ("delay,count\n-1,2\n", r"line 2: '-1' is no delay"),
    ):
        path.write_text(text)
        with pytest.raises(IcsortError, match=problem):
            read_counts(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IcsortError, match="it is no CSV file"):
        read_counts(path)
    with pytest.raises(IcsortError, match="No such file"):
        read_counts(tmp_path / "none.csv")
    assert count_of(" 7 ") == 7
