# SPDX-License-Identifier: Apache-2.0
"""The gate's integers against SciPy's softmax in double precision."""

import math
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.sim.bit_true.gate import (
    MULTIPLIER_MAX,
    SHIFT_MAX,
    TABLE,
    _table,
    calibrate,
    decide,
    posterior_error,
    weights,
)


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
    for scale, temperature in 10.0 ** random.uniform((-9, -1), (0, 1), (500, 2)):
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
    assert (_table() == TABLE).all()
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


def by_the_book(logits: list[int], mask: int, threshold: int, multiplier: int, shift: int) -> tuple[bool, int, int]:
    """The head of bit_true/gate.py, one Python integer at a time."""
    best = max(logits)
    weights = []
    for logit in logits:
        odds = ((best - logit) * multiplier) >> shift
        octave, fraction = odds >> 8, odds & 255
        entry = round(65536 * Fraction(2.0 ** (-fraction / 256)))
        weights.append(0 if octave > 16 else entry >> octave)
    inside = sum(weight for c, weight in enumerate(weights) if mask >> c & 1)
    first = logits.index(best)
    passes = bool(mask >> first & 1) and inside * 65536 >= threshold * sum(weights)
    return passes, first, min(65535, inside * 65536 // sum(weights))


def test_decisions_are_those_of_single_integers(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(200):
        classes, shift = int(random.integers(1, 65)), int(random.integers(0, 48))
        multiplier = int(random.choice([1, 2**17, MULTIPLIER_MAX, int(random.integers(1, 2**18))]))
        # differences around the ends of octaves, up to the one where a weight becomes 0
        odds = random.integers(0, 18, (20, classes)) * 256 + random.integers(-1, 2, (20, classes))
        steps = np.minimum(np.abs(odds) * 2.0**shift / multiplier, 2.0**31)
        logits = (int(random.integers(-(2**31), 2**31 - 1)) - np.rint(steps)).clip(-(2**31), 2**31 - 1).astype(np.int64)
        mask, threshold = int(random.integers(0, 2**64, dtype=np.uint64)), int(random.integers(0, 65536))
        decided = decide(logits, mask, threshold, multiplier, shift)
        assert [array.dtype for array in decided] == [np.bool_, np.int64, np.int64]
        expected = [by_the_book(row, mask, threshold, multiplier, shift) for row in logits.tolist()]
        assert list(zip(*(array.tolist() for array in decided), strict=True)) == expected
        # a threshold that the posterior reaches by equality passes
        half = decide(np.asarray([[7, 7]]), 1, 32768, multiplier, shift)
        assert [array.tolist() for array in half] == [[True], [0], [32768]]


def test_a_weight_ends_behind_the_sixteenth_octave() -> None:
    odds = np.asarray([16 * 256 - 1, 16 * 256, 16 * 256 + 255, 17 * 256])
    assert weights(np.stack([np.zeros(4, int), -odds], axis=1), 1, 0)[:, 1].tolist() == [1, 1, 0, 0]
    assert weights(np.asarray([[0, -1]]), 1, SHIFT_MAX).tolist() == [[65536, 65536]]
    assert weights(np.asarray([[-5]]), 1, 0).tolist() == [[65536]]


@pytest.mark.parametrize("classes", [2, 7, 64])
def test_the_bound_of_the_posterior_is_reached_nearly(classes: int) -> None:
    """By the worst calibration of 18 bits, and differences of which the most is lost: no class lies at a whole step."""
    rounding = (Fraction(33, 32) / 256) * LN2 / 4  # a quarter is the steepest slope of a logistic function
    exact = float(rounding) + (2 * classes + 1) / 65536
    assert exact < posterior_error(classes) < exact * 1.01
    step = (1 - 1e-3) * math.log(2) / 256
    logits = np.asarray([[1000 * 256, *[1000 * 256 - k] * (classes - 1)] for k in range(1, 3000)])
    expected = softmax(logits * step, axis=-1)[:, 0]
    error = np.abs(decide(logits, 1, 0, *calibrate(step, 1.0))[2] / 65536 - expected).max()
    assert 0.3 * posterior_error(classes) < error <= posterior_error(classes) or classes > 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate(0.0, 1.0), "logits.scale 0.0 and logits.temperature 1.0 must be positive"),
        (lambda: calibrate(1.0, 0.0), "logits.scale 1.0 and logits.temperature 0.0 must be positive"),
        (lambda: calibrate(math.inf, 1.0), "must be positive: calibrate the model again$"),
        (lambda: calibrate(1.0, math.inf), "must be positive: calibrate the model again$"),
        (lambda: calibrate(5e-324, 1e10), "out of range of the gate's 18-bit multiplier: calibrate the model again$"),
        (lambda: weights(np.asarray([1.5]), 1, 0), r"integer logits of 1 to 64 classes, not float64 of shape \(1,\)"),
        (lambda: weights(np.zeros(65, int), 1, 0), r"integer logits of 1 to 64 classes, not int64 of shape \(65,\)"),
        (lambda: weights(np.zeros(2, int), 0, 0), r"multiplier 0 and shift 0 must be within 1\.\.262143 and 0\.\.47"),
        (lambda: weights(np.zeros(2, int), 1, -1), "multiplier 1 and shift -1 must be"),
        (lambda: weights(np.asarray([1, 2**31]), 1, 0), "^the gate takes logits of at most 32 bits$"),
        (lambda: decide(np.zeros(2, int), 2**64, 0, 1, 0), "class set 0x10000000000000000 and posterior 0 must fit 64"),
        (lambda: decide(np.zeros(2, int), -1, 0, 1, 0), "class set -0x1 and"),
        (lambda: decide(np.zeros(2, int), 1, -1, 1, 0), "posterior -1 must fit"),
    ],
)
def test_refusals_say_what_is_wrong(call, message: str) -> None:
    with pytest.raises(IcsortError, match=message):
        call()


def test_the_largest_multiplier_is_taken_as_it_is() -> None:
    multiplier, shift = calibrate(float(Fraction(MULTIPLIER_MAX, 2**20) / FACTOR), 1.0)
    assert (multiplier, shift) == (MULTIPLIER_MAX, 20)
    halved = calibrate(float(Fraction(2**18 - Fraction(1, 8)) / 2**20 / FACTOR), 1.0)
    assert [type(value) for value in halved] == [int, int]
