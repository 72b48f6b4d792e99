# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling: against labels drawn at a known temperature, and scikit-learn's loss."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from icsort.quant.training.temperature import fit_temperature, loss_at, remark


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_temperature_finds_the_one_that_made_the_labels(true_temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (20_000, 5))
    noisy = logits / true_temperature + random.gumbel(size=logits.shape)  # a sample of softmax(logits / T)
    assert fit_temperature(logits, noisy.argmax(axis=1)) == pytest.approx(true_temperature, rel=0.05)


def test_loss_is_that_of_sklearn_and_least_at_the_fitted_temperature(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, 2, (300, 4)), random.integers(0, 4, 300)
    labels[:150] = logits[:150].argmax(axis=1)
    for weights in (None, random.uniform(0.1, 3, 4)):
        each = None if weights is None else weights[labels]
        for temperature in (0.5, 1.0, 4.0):
            expected = log_loss(labels, softmax(logits / temperature, axis=1), sample_weight=each)
            assert loss_at(temperature, logits, labels, weights) == pytest.approx(expected)
        fitted = fit_temperature(logits, labels, weights)
        least = min(loss_at(temperature, logits, labels, weights) for temperature in np.geomspace(0.25, 20, 200))
        assert loss_at(fitted, logits, labels, weights) <= least + 1e-9


def test_a_temperature_at_its_bound_is_said(seed: int) -> None:
    """The bounds are 0.25 and 20; what lies between is found, however near to them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (500, 3))
    all_right = fit_temperature(logits, logits.argmax(axis=1))
    all_wrong = fit_temperature(logits, logits.argmin(axis=1))
    assert (all_right, all_wrong) == pytest.approx((0.25, 20), rel=1e-4)
    assert "lower bound (0.25)" in str(remark(all_right))
    assert "upper bound (20)" in str(remark(all_wrong))
    for true_temperature in (0.3, 1.0, 17.0):
        sharp = random.normal(0, 4 * true_temperature, (20_000, 3))
        labels = (sharp / true_temperature + random.gumbel(size=sharp.shape)).argmax(axis=1)
        found = fit_temperature(sharp, labels)
        assert found == pytest.approx(true_temperature, rel=0.1)
        assert remark(found) is None
