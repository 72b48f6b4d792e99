# SPDX-License-Identifier: Apache-2.0
"""What a link costs: probabilities that two cells are the same, different, or parent and child.

A learned one is small networks over the features of icsort.quant.tracking.pairs, averaged, and is kept as plain arrays:
reading one runs no code. Motion alone needs no training.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.tracking.cells import Cells
from icsort.quant.tracking.pairs import FEATURES, Pairs, history, pairs, typical_step

FORMAT, VERSION = "icsort-track-cost", 1
BUILT_IN = Path(__file__).with_name("simulated_cost.json")
SAME, DIFFERENT, CHILD = range(3)
MEMBERS = 3
HIDDEN = (32, 16)
CLIP = 6.0  # standard deviations: what lies farther out says no more


class Cost(Protocol):
    """Anything that says of pairs what they are."""

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of pairs (P, F) the probabilities (P, 3) of SAME, DIFFERENT, CHILD."""
        ...


@dataclass(frozen=True)
class Motion:
    """Needs no training: the nearer to where it was going, the likelier the same; two that were born evenly around a
    cell are its children.

    width: diameters at which it is still likelier the same than not.
    """

    width: float = 0.6

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        column = {name: features[:, index] for index, name in enumerate(FEATURES)}
        near = np.exp(-0.5 * (column["distance from where it was going"] / self.width) ** 2)
        sisters = np.exp(-0.5 * (column["sisters' middle"] / 0.4) ** 2) * np.exp(-0.5 * (column["distance"] / 1.2) ** 2)
        child = sisters * (column["sister nearer to another"] < 0) * (column["sisters' angle"] < 0)
        likely = np.column_stack([near, np.full(len(features), 0.2), child])
        return likely / likely.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Learned:
    """An ensemble of networks: mean, scale (F,) of the features; members: of each its layers' weights and biases."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    members: tuple[tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...], ...]

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = np.clip((features - self.mean) / self.scale, -CLIP, CLIP)
        return np.mean([_forward(member, scaled) for member in self.members], axis=0).reshape(-1, 3)


def _forward(
    layers: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    for weights, bias in layers[:-1]:
        values = np.maximum(values @ weights + bias, 0)
    logits = values @ layers[-1][0] + layers[-1][1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def examples(cells: Cells, parent: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Candidate pairs (P, F) between neighbouring frames of cells whose lineage is known, and their classes (P,)."""
    scale = cells.diameter, typical_step(cells)
    children = np.bincount(parent[parent >= 0], minlength=len(cells))
    features, classes = [np.zeros((0, len(FEATURES)))], [np.zeros(0, np.int64)]
    for frame in range(1, cells.frames):
        here, there = cells.at(frame - 1), cells.at(frame)
        found: Pairs = pairs(cells, history(cells, parent, here), here, there, 1, scale)
        linked = parent[found.second] == found.first
        features.append(found.features)
        classes.append(np.where(linked, np.where(children[found.first] > 1, CHILD, SAME), DIFFERENT))
    return np.concatenate(features), np.concatenate(classes)


def fit(features: NDArray[np.float64], classes: NDArray[np.int64], seed: int = 0) -> Learned:
    """Train on pairs (P, F) and their classes (P,), all three of which must occur."""
    from sklearn.neural_network import MLPClassifier

    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = np.clip((features - mean) / scale, -CLIP, CLIP)
    members = []
    for member in range(MEMBERS):
        network = MLPClassifier(
            HIDDEN, alpha=3e-3, batch_size=1024, learning_rate_init=3e-3, max_iter=30, random_state=seed + member, tol=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it ends after so many rounds, as it is meant to
            network.fit(scaled, classes)
        members.append(tuple(zip(network.coefs_, network.intercepts_, strict=True)))
    return Learned(mean, scale, tuple(members))


def cost_named(word: str) -> Cost:
    """`motion`, `simulated` (learned from simulated movies alone), or the path of a cost that was trained.

    Raises IcsortError for a file that is none.
    """
    if word == "motion":
        return Motion()
    return load(BUILT_IN if word == "simulated" else Path(word))


def save(cost: Learned, path: Path) -> None:
    """Write a cost as JSON."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "features": list(FEATURES),
        "mean": _rounded(cost.mean),
        "scale": _rounded(cost.scale),
        "members": [[[_rounded(weights), _rounded(bias)] for weights, bias in member] for member in cost.members],
    }
    path.write_text(json.dumps(document) + "\n", encoding="ascii")


def load(path: Path) -> Learned:
    """Read a cost that `save` wrote. Raises IcsortError for anything else."""
    try:
        document = json.loads(path.read_text(encoding="ascii"))
        if document["format"] != FORMAT or document["version"] != VERSION or document["features"] != list(FEATURES):
            raise ValueError
        members = tuple(
            tuple((np.array(weights, np.float64), np.array(bias, np.float64)) for weights, bias in member)
            for member in document["members"]
        )
        cost = Learned(np.array(document["mean"], np.float64), np.array(document["scale"], np.float64), members)
        finite = np.isfinite(cost.probabilities(np.zeros((1, len(FEATURES))))).all() and (cost.scale > 0).all()
        if not members or not finite:
            raise ValueError
    except OSError:
        raise IcsortError(
            f"{path}: cannot be read; give motion, simulated, or a file of `icsort track --train`"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError):
        raise IcsortError(f"{path}: is no cost of this version; make one with `icsort track --train`") from None
    return cost


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [_rounded(row) if row.ndim else float(f"{row:.6g}") for row in np.asarray(values)]  # type: ignore[misc]
