# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of values, against NumPy, SciPy and scikit-learn; that of classes is in test_fitting.py."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import mean_squared_error

from icsort.quant.training.tasks import Regression


@pytest.mark.parametrize("values", [1, 3])
def test_values(values: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(3, 2, (40, values))
    said, other = truth + random.normal(0, 1, truth.shape), random.normal(0, 1, truth.shape)
    task, answers = Regression(), torch.from_numpy(truth)
    outputs, teacher = torch.from_numpy(said), torch.from_numpy(other)
    assert float(task.loss(outputs, answers)) == pytest.approx(mean_squared_error(truth, said))
    assert float(task.follow(outputs, teacher)) == pytest.approx(mean_squared_error(other, said))
    losses = task.losses(outputs, answers)
    assert losses == pytest.approx([mean_squared_error(*pair) for pair in zip(truth, said, strict=True)])
    score = task.score(outputs, answers)
    assert score["loss"] == pytest.approx(mean_squared_error(truth, said))
    assert score["pearson"] == pytest.approx(pearsonr(truth[:, 0], said[:, 0]).statistic)
    assert score["cells"] == 40
    assert task.mean([outputs, teacher]).numpy() == pytest.approx((said + other) / 2)


def test_an_output_that_does_not_vary_correlates_with_nothing() -> None:
    assert Regression().score(torch.ones(5, 1), torch.arange(5.0)[:, None])["pearson"] == 0.0
