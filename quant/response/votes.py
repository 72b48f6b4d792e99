# SPDX-License-Identifier: Apache-2.0
"""What the cells of one well or image say together: the class that most of them vote for, and their mean posterior."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.quant.evaluation.metrics import Decisions


@dataclass(frozen=True)
class Votes:
    """Of V groups of cells: names (V,), cells (V,), and the decisions by majority and by mean posterior.

    mixed: groups that were left out, since their cells are of several classes.
    """

    names: tuple[str, ...]
    cells: NDArray[np.int64]
    majority: Decisions
    mean: Decisions
    mixed: tuple[str, ...]


def vote(decisions: Decisions, groups: NDArray[np.str_]) -> Votes:
    """The vote of each group's cells (N,). The majority's posterior is its share of votes; a tie goes to the class of
    the greater mean posterior."""
    names, index = np.unique(groups, return_inverse=True)
    classes = len(decisions.names)
    truth = np.zeros((len(names), classes), np.int64)
    votes = np.zeros((len(names), classes))
    posterior = np.zeros((len(names), classes))
    np.add.at(truth, (index, decisions.labels), 1)
    np.add.at(votes, (index, decisions.best), 1)
    np.add.at(posterior, index, decisions.posterior)
    pure = (truth > 0).sum(axis=1) == 1
    cells = truth.sum(axis=1)
    shares, mean = votes / cells[:, np.newaxis], posterior / cells[:, np.newaxis]
    majority = (votes + mean / 2).argmax(axis=1)  # a mean posterior is at most 1: it only parts equal votes
    labels = truth.argmax(axis=1)
    missed = np.zeros(classes, np.int64)
    return Votes(
        tuple(names[pure].tolist()),
        cells[pure],
        Decisions(decisions.names, labels[pure], majority[pure], shares[pure], missed),
        Decisions(decisions.names, labels[pure], mean.argmax(axis=1)[pure], mean[pure], missed),
        tuple(names[~pure].tolist()),
    )
