# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks): one number makes posteriors true."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

TEMPERATURES = (0.25, 20.0)  # the lower bound is met where no validation cell is wrong, which proves no certainty

AT_BOUND = 1e-3  # the search ends this near, relatively


def fit_temperature(
    logits: NDArray[np.floating], labels: NDArray[np.int64], weights: NDArray[np.floating] | None = None
) -> float:
    """The temperature within 0.25..20 that minimizes `loss_at`. Arrays as there, of the validation part."""
    bounds = tuple(math.log(limit) for limit in TEMPERATURES)
    optimum = minimize_scalar(
        lambda exponent: loss_at(math.exp(exponent), logits, labels, weights),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(optimum.x)


def remark(temperature: float) -> str | None:
    """What a temperature at its bound means, for people; None for one that was found between the bounds."""
    lowest, highest = TEMPERATURES
    if math.isclose(temperature, lowest, rel_tol=AT_BOUND):
        return (
            f"the temperature is at its lower bound ({lowest:g}): too few validation cells are wrong to calibrate by, "
            "so that posteriors may be too low or too high; add validation cells"
        )
    if math.isclose(temperature, highest, rel_tol=AT_BOUND):
        return (
            f"the temperature is at its upper bound ({highest:g}): the logits hardly tell the validation cells apart, "
            "so that no posterior can be trusted; train longer, or on better cells"
        )
    return None


def loss_at(
    temperature: float,
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Mean of `losses_at`."""
    return float(losses_at(temperature, logits, labels, weights).mean())


def losses_at(
    temperature: float,
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Negative log-likelihood (N,) of each cell under softmax(logits / temperature), nats.

    logits: (N, classes), labels: (N,), weights: (classes,) by which the cells of each class count, all alike where
    None; of whatever scale.
    """
    losses = -log_softmax(logits.astype(np.float64) / temperature, axis=1)[np.arange(len(labels)), labels]
    return np.asarray(losses if weights is None else losses * weights[labels] / weights[labels].mean())
