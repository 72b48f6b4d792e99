# SPDX-License-Identifier: Apache-2.0
"""The gate's integers against SciPy's softmax in double precision."""

from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.sim.bit_true.gate import MULTIPLIER_MAX, SHIFT_MAX, TABLE, calibrate, decide, posterior_error


@pytest.mark.parametrize(("classes", "scale", "temperature"), [(2, 0.01, 1.0), (7, 0.0037, 1.6), (64, 0.00011, 0.8)])
def test_posterior_is_the_softmax(seed: int, classes: int, scale: float, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.1, 1.0, 4.0, 20.0], size=(4000, 1)) / scale
    logits = np.round(rng.normal(size=(4000, classes)) * spread).astype(np.int64)
    mask = int(rng.integers(1, 2**classes, dtype=np.uint64))
    wanted = np.asarray([bool(mask >> c & 1) for c in range(classes)])
    _, best, posterior = decide(logits, mask, 0, *calibrate(scale, temperature))
    expected = softmax(logits * scale / temperature, axis=-1)[:, wanted].sum(axis=-1)
    assert np.array_equal(best, logits.argmax(axis=-1))
    assert np.abs(posterior / 65536 - expected).max() < posterior_error(classes)


def test_threshold_agrees_with_the_reported_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.integers(-900, 900, size=(500, 5))
    constants = calibrate(0.004, 1.1)
    for threshold in [0, 1, 20000, 65535, 60000, 50000]:
        passes, best, posterior = decide(logits, 0b01011, threshold, *constants)
        inside = np.isin(best, [0, 1, 3])
        assert np.array_equal(passes, inside & (posterior >= threshold))
    assert 0 < passes.sum() < inside.sum()


def test_sets_and_ties() -> None:
    constants = calibrate(0.01, 1.0)
    everything = (1 << 64) - 1
    assert [int(value) for value in decide(np.asarray([5, 5, 5]), everything, 65535, *constants)] == [1, 0, 65535]
    assert [int(value) for value in decide(np.asarray([5, 5, 5]), 0, 0, *constants)] == [0, 0, 0]
    # Class 1 is not the lowest of the tied, so a gate on it alone does not pass although its posterior is 1/3.
    assert [int(value) for value in decide(np.asarray([5, 5, 5]), 0b010, 0, *constants)] == [0, 0, 21845]
    extreme = np.asarray([-(2**31), 2**31 - 1])
    assert [int(value) for value in decide(extreme, 0b10, 65535, MULTIPLIER_MAX, 0)] == [1, 1, 65535]


LN2 = Fraction(Context(prec=60).ln(Decimal(2)))
FACTOR = 256 / LN2
"""Of scale / temperature: exact to 60 digits."""


def nearest(scale: float, temperature: float) -> tuple[int, int] | None:
    """The constants by exact arithmetic: of all shifts, those with 18 significant bits and the least difference."""
    ratio = Fraction(scale) / Fraction(temperature) * FACTOR
    pairs = [(round(ratio * 2**shift), shift) for shift in range(SHIFT_MAX + 1)]
    pairs = [(multiplier, shift) for multiplier, shift in pairs if 2**17 <= multiplier < 2**18]
    return min(pairs, key=lambda pair: abs(Fraction(pair[0], 2 ** pair[1]) - ratio), default=None)


SMALLEST = float(2**17 / (2**SHIFT_MAX * FACTOR))  # 2.5e-12
LARGEST = float((2**18 - 1) / FACTOR)


@pytest.mark.parametrize("temperature", [1.0, 0.05, 1.3, 20.0])
@pytest.mark.parametrize("relative", [1e-3, 0.999, 1.001, 3e3, 7.7e9])
@pytest.mark.parametrize("limit", [SMALLEST, 1e-6, LARGEST])
def test_calibration_is_the_nearest_or_refused(limit: float, relative: float, temperature: float) -> None:
    scale = limit * relative * temperature
    expected = nearest(scale, temperature)
    if expected is None:
        with pytest.raises(IcsortError, match="out of range"):
            calibrate(scale, temperature)
    else:
        assert calibrate(scale, temperature) == expected


def test_a_random_calibration_is_the_nearest(seed: int) -> None:
    random = np.random.default_rng(seed)
    for scale, temperature in 10.0 ** random.uniform((-9, -1), (2, 1), (500, 2)):
        multiplier, shift = calibrate(float(scale), float(temperature))
        assert (multiplier, shift) == nearest(float(scale), float(temperature))
        ratio = Fraction(float(scale)) / Fraction(float(temperature)) * FACTOR
        assert abs(multiplier - ratio * 2**shift) * 2**18 <= multiplier + 1


def test_a_ratio_just_under_a_power_of_two_keeps_18_bits() -> None:
    scale = float(Fraction(2**18 - Fraction(1, 8)) / 2**20 / FACTOR)
    assert calibrate(scale, 1.0) == (2**17, 19)


def test_table_is_the_power_of_two() -> None:
    assert TABLE.shape == (256,)
    assert TABLE[0] == 65536
    assert np.abs(TABLE - 65536 * np.exp2(-np.arange(256) / 256)).max() <= 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: calibrate(0.0, 1.0),
        lambda: calibrate(float("nan"), 1.0),
        lambda: calibrate(1.0, -1.0),
        lambda: calibrate(1e9, 1.0),
        lambda: calibrate(1e-30, 1.0),
        lambda: calibrate(1e300, 1e-300),
        lambda: decide(np.asarray([1.0, 2.0]), 1, 0, 1, 0),
        lambda: decide(np.asarray([1, 2]), 1, 65536, 1, 0),
        lambda: decide(np.asarray([1, 2]), 1 << 64, 0, 1, 0),
        lambda: decide(np.asarray([1, 2]), 1, 0, 2**18, 0),
        lambda: decide(np.asarray([1, 2]), 1, 0, 1, 48),
        lambda: decide(np.asarray([1, 2**32]), 1, 0, 1, 0),
        lambda: decide(np.asarray(3), 1, 0, 1, 0),
    ],
)
def test_refuses_what_the_hardware_cannot_hold(call) -> None:
    with pytest.raises(IcsortError):
        call()
