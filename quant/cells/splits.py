# SPDX-License-Identifier: Apache-2.0
"""Training, validation and test part: 80, 10 and 10 % of each class, and no group on two sides."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from icsort.errors import IcsortError

MIN_CELLS_PER_CLASS = 10
PARTS = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)
TENTHS = 10
SHUFFLES = 10  # of the groups; the evenest is taken
EVEN_ENOUGH = 0.05  # mean logarithm of what a part has of a class over its share: no further shuffle is tried
NONE = 1e-9  # stands for the share of a class that a part lacks

Split = dict[str, NDArray[np.int64]]


def split(
    labels: NDArray[np.int64], classes: Sequence[str], seed: int, groups: NDArray[np.str_] | None = None
) -> Split:
    """Indices of the parts train, validation and test: 80, 10 and 10 % of each class, seeded, each ascending.

    labels (N,), groups (N,) or None. With groups each one falls into one part as a whole, so the shares are as near to
    80/10/10 as the groups allow. Raises IcsortError for a class with fewer than 10 cells, the least that leaves one in
    each part, and for groups that cannot put every class into every part.
    """
    if len(classes) < 2:
        raise IcsortError(f"the data has one class ({classes[0]}): a classifier needs at least two")
    for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True):
        if count < MIN_CELLS_PER_CLASS:
            raise IcsortError(
                f"class {name} has {count} cells: at least {MIN_CELLS_PER_CLASS} are needed to split 80/10/10; "
                "add cells or leave the class out"
            )
    if groups is not None:
        return _split_groups(labels, classes, seed, groups)
    every = np.arange(len(labels))
    held = math.ceil(len(labels) / TENTHS)
    rest, test = train_test_split(every, test_size=held, stratify=labels, random_state=seed)
    train, validation = train_test_split(rest, test_size=held, stratify=labels[rest], random_state=seed)
    parts = {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}
    for part, indices in parts.items():
        empty = np.flatnonzero(np.bincount(labels[indices], minlength=len(classes)) == 0)
        if len(empty):
            raise IcsortError(f"class {classes[empty[0]]} has too few cells: none fell into the {part} part; add cells")
    return parts


def _split_groups(labels: NDArray[np.int64], classes: Sequence[str], seed: int, groups: NDArray[np.str_]) -> Split:
    """Two of ten stratified folds of whole groups are held out, then single groups move while that evens the shares."""
    for label, name in enumerate(classes):
        held_by = len(set(groups[labels == label]))
        if held_by < len(PARTS):
            raise IcsortError(
                f"class {name} lies in {held_by} group{'s' * (held_by != 1)}: at least {len(PARTS)} are needed so that "
                "no group falls on two sides; add data, leave the class out, or give --group-by none"
            )
    names, group_of = np.unique(groups, return_inverse=True)
    cells = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(cells, (group_of, labels), 1)
    best, least = None, math.inf
    for shuffle in np.random.default_rng(seed).integers(2**31, size=SHUFFLES):
        part_of, uneven = _even_out(_folds(labels, group_of, int(shuffle)), cells)
        if uneven < least:
            best, least = part_of, uneven
        if least < EVEN_ENOUGH * len(PARTS) * len(classes):
            break
    if best is None or not all(cells[best == part].any(axis=0).all() for part in range(len(PARTS))):
        raise IcsortError(
            f"the {len(names)} groups cannot be split so that every class is in every part; "
            "leave out the classes that few groups have, or give --group-by none"
        )
    return {name: np.flatnonzero(best[group_of] == part) for part, name in enumerate(PARTS)}


def _folds(labels: NDArray[np.int64], group_of: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The part of each group, (G,): the last of ten folds is the test part, the one before it validation."""
    part_of = np.zeros(group_of.max() + 1, np.int64)
    splitter = StratifiedGroupKFold(min(TENTHS, len(part_of)), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer cells than folds: the caller checks
        *_, (_, validation), (_, test) = splitter.split(labels, labels, group_of)
    part_of[group_of[validation]], part_of[group_of[test]] = 1, 2
    return part_of


def _even_out(part_of: NDArray[np.int64], cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Move the one group that helps most, until none helps. Returns the parts and how uneven they are.

    part_of (G,), cells (G, classes) of each group. Uneven: summed over parts and classes, the logarithm of the ratio
    between the part's cells of the class and its share of them.
    """
    part_of, size = part_of.copy(), cells / cells.sum(axis=0)
    while True:
        mine = part_of[:, None] == np.arange(len(PARTS))  # (G, parts)
        held = mine.T.astype(float) @ size  # (parts, classes)
        now = _unevenness(held)
        # what each part would hold without each of its groups, and with each of the others: (G, parts, classes)
        change = _unevenness(held + np.where(mine[..., None], -size[:, None], size[:, None])) - now
        total = np.where(mine, np.inf, change + change[mine][:, None])
        group, part = np.unravel_index(np.argmin(total), total.shape)
        if total[group, part] > -1e-9:
            return part_of, float(now.sum())
        part_of[group] = part


def _unevenness(held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Summed over the classes; held (..., parts, classes)."""
    share = np.asarray(SHARES)[:, None]
    return np.asarray(np.abs(np.log(np.maximum(held, NONE) / share)).sum(axis=-1))
