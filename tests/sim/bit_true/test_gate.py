# SPDX-License-Identifier: Apache-2.0
"""The gate's integers against SciPy's softmax in double precision."""

import numpy as np
import pytest
from scipy.special import softmax

from icsort.errors import IcsortError
from icsort.sim.bit_true.gate import MULTIPLIER_MAX, TABLE, calibrate, decide


def posterior_bound(classes: int) -> float:
    """Error that rounding down can cost, as a probability.

    The log odds lose less than 1 + 1/32 steps of 1/256 octave (flooring; 18 bits of multiplier over 16 octaves), each
    weight less than 2 counts of 65536, the quotient one.
    """
    return 0.25 * (2 ** ((1 + 1 / 32) / 256) - 1) + (2 * classes + 1) / 65536


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
    assert np.abs(posterior / 65536 - expected).max() < posterior_bound(classes)


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


@pytest.mark.parametrize("scale", [1e-9, 3.3e-4, 0.05, 2.0, 700.0])
def test_calibration_is_as_fine_as_18_bits_allow(scale: float) -> None:
    multiplier, shift = calibrate(scale, 1.3)
    ratio = 256 * scale / (1.3 * np.log(2))
    assert multiplier / 2**shift == pytest.approx(ratio, rel=2**-18)


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
