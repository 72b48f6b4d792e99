# SPDX-License-Identifier: Apache-2.0
"""How to train: the numbers, and presets of them."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icsort.errors import IcsortError

SCHEDULES = ("one-cycle", "cosine", "constant")
NORMALIZATIONS = ("none", "quantile")  # of images, before their lines are offered


@dataclass(frozen=True)
class Recipe:
    """How to train. Epochs, batch, peak learning rate, weight decay, and the rest as named.

    schedule: of the learning rate. balance: class weights in the loss are (1 / frequency) ** balance. turns:
    orientations of a square training cell, evenly around the circle, each seen mirrored as well; shift: pixels that it
    is moved by at most; jitter: standard deviation of a random contrast factor. average: decay a step of the averaged
    weights that are kept (0: the weights themselves). distillation: share of the loss that follows the teacher's
    probabilities, softened by `softness`.

    Raises IcsortError for numbers that cannot train.
    """

    epochs: int = 60
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    schedule: str = "one-cycle"
    balance: float = 0.5
    label_smoothing: float = 0.02
    turns: int = 4
    shift: int = 2
    jitter: float = 0.0
    average: float = 0.0
    distillation: float = 0.7
    softness: float = 2.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, low, high = getattr(self, field.name), *RANGES.get(field.name, (0, math.inf))
            if field.name == "schedule":
                if value not in SCHEDULES:
                    raise IcsortError(f"there is no schedule {value!r}: choose one of {', '.join(SCHEDULES)}")
            else:
                check_option(field.name, value, low, high)

    def with_(self, changes: Mapping[str, Any]) -> "Recipe":
        """A copy in which the values that are not None take the place of the recipe's."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})


def check_option(name: str, value: float, low: float, high: float) -> None:
    """Raise IcsortError where the value of an option of this name is not finite, or not within low..high."""
    if not low <= value <= high or not math.isfinite(value):
        raise IcsortError(f"--{name.replace('_', '-')} is {value}: it must be within {low:g}..{high:g}")


RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch": (2, 65_536),
    "learning_rate": (1e-9, 10.0),
    "label_smoothing": (0, 0.9),
    "turns": (1, 64),
    "shift": (0, 64),
    "average": (0, 0.99999),
    "distillation": (0, 1),
    "softness": (0.1, 100),
}

PRESETS = {
    # a small network in a minute or two
    "quick": Recipe(),
    # the classification study on an image-enabled sorter: cross-entropy, Adam, batch 32, 50 epochs, random flips. It
    # names no schedule; at a constant rate the last epochs differ by several points, more than the networks do
    "study": Recipe(
        epochs=50,
        batch=32,
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule="cosine",
        balance=0.0,
        label_smoothing=0.0,
        turns=1,
        shift=0,
    ),
    # a few thousand cells, as long as it pays
    "thorough": Recipe(
        epochs=60,
        batch=32,
        learning_rate=3e-3,
        weight_decay=5e-2,
        balance=0.3,
        turns=16,
        average=0.99,
    ),
    # quantized, from a float run: --start RUN --teacher RUN
    "fine-tune": Recipe(
        epochs=20,
        batch=32,
        learning_rate=1e-3,
        weight_decay=1e-3,
        balance=0.3,
        turns=16,
        average=0.99,
    ),
}


def preset_named(name: str) -> Recipe:
    """The recipe of that name. Raises IcsortError for another name."""
    if name not in PRESETS:
        raise IcsortError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
