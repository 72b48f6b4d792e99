# SPDX-License-Identifier: Apache-2.0
"""What a network learns: classes or values. The training loop is the same; loss, score and outputs are the task's."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss, softmax

from icsort.quant.training.temperature import fit_temperature, losses_at

Row = dict[str, float]


class Task(Protocol):
    """A task's arithmetic. outputs: the network's (n, K); answers: what they should be, as `Samples.labels` has it.

    shown: keys of `score` that the history plots, the last of which is told while training.
    """

    shown: tuple[str, ...]

    def loss(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """What training lowers, a mean over the cells."""

    def follow(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """The same where a teacher's outputs (n, K) are followed instead of answers."""

    def losses(self, outputs: Tensor, answers: Tensor) -> NDArray[np.float64]:
        """Of each validation cell, (N,): their mean chooses the epoch."""

    def score(self, outputs: Tensor, answers: Tensor) -> Row:
        """Figures for people, with `loss` and `cells`."""

    def mean(self, outputs: list[Tensor]) -> Tensor:
        """What several teachers (n, K) say together."""


class Classification:
    """Cross-entropy of labels (n,). weights: (K,) of the classes, in the loss and in that which chooses the epoch.
    label_smoothing: share of a label that all classes get. softness: of the teacher's probabilities."""

    shown: tuple[str, ...] = ("accuracy", "balanced_accuracy")

    def __init__(self, weights: Tensor, label_smoothing: float, softness: float) -> None:
        self._weights, self._label_smoothing, self._softness = weights, label_smoothing, softness

    def loss(self, outputs: Tensor, answers: Tensor) -> Tensor:
        return cross_entropy(outputs, answers, self._weights.to(outputs.device), label_smoothing=self._label_smoothing)

    def follow(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        student = log_softmax(outputs / self._softness, dim=1)
        wanted = softmax(teacher / self._softness, dim=1)
        return kl_div(student, wanted, reduction="batchmean") * self._softness**2

    def losses(self, outputs: Tensor, answers: Tensor) -> NDArray[np.float64]:
        """With the training's class weights, at the temperature that fits best: calibrated, since the package will be;
        an epoch that is all too sure is none the worse."""
        values, labels, weights = outputs.numpy(), answers.numpy(), self._weights.double().numpy()
        return losses_at(fit_temperature(values, labels, weights), values, labels, weights)

    def score(self, outputs: Tensor, answers: Tensor) -> Row:
        predicted = outputs.argmax(dim=1)
        return {
            "loss": float(cross_entropy(outputs, answers)),
            "accuracy": float((predicted == answers).double().mean()),
            "balanced_accuracy": float(balanced_accuracy_score(answers.numpy(), predicted.numpy())),
            "cells": len(answers),
        }

    def mean(self, outputs: list[Tensor]) -> Tensor:
        """The mean of their probabilities, as logits."""
        return torch.stack([log_softmax(each, dim=1) for each in outputs]).logsumexp(dim=0)


class Regression:
    """Mean squared error of values (n, K), each over its standard deviation in the training part."""

    shown: tuple[str, ...] = ("pearson",)

    def loss(self, outputs: Tensor, answers: Tensor) -> Tensor:
        return mse_loss(outputs, answers)

    def follow(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        return mse_loss(outputs, teacher)

    def losses(self, outputs: Tensor, answers: Tensor) -> NDArray[np.float64]:
        return np.asarray(((outputs - answers).double() ** 2).mean(dim=1))

    def score(self, outputs: Tensor, answers: Tensor) -> Row:
        """pearson: of the first value."""
        pair = outputs[:, 0].double().numpy(), answers[:, 0].double().numpy()
        constant = len(answers) < 2 or any(np.ptp(values) == 0 for values in pair)
        return {
            "loss": float(mse_loss(outputs, answers)),
            "pearson": 0.0 if constant else float(pearsonr(*pair).statistic),
            "cells": len(answers),
        }

    def mean(self, outputs: list[Tensor]) -> Tensor:
        return torch.stack(outputs).mean(dim=0)
