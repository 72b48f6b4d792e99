# SPDX-License-Identifier: Apache-2.0
"""Which cells test a network of responses: whole groups, every cell once; and what else could tell the classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from icsort.errors import IcsortError

FOLDS = 5
FEW_GROUPS = 8  # or fewer: each is held out by itself
VALIDATED = 8  # one in so many groups, or cells of a group, chooses the epoch


def held_out(
    labels: NDArray[np.int64], classes: Sequence[str], groups: NDArray[np.str_], count: int | None, seed: int
) -> list[NDArray[np.int64]]:
    """Cells that test, fold after fold: each cell once, the cells of a group together.

    count: of the folds; None: each group by itself where there are at most FEW_GROUPS, else FOLDS. Raises IcsortError
    for one group, and for a class that would be tested without having been trained on.
    """
    names = np.unique(groups)
    _check(labels, classes, groups)
    if count is None and len(names) <= FEW_GROUPS:
        splits = LeaveOneGroupOut().split(labels, labels, groups)
    else:
        count = count or FOLDS
        if count > len(names):
            raise IcsortError(f"--folds {count}: there are {len(names)} groups; give at most as many folds")
        splits = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, groups)
    folds = [np.asarray(test) for _, test in splits]
    for number, test in enumerate(folds, 1):
        rest = np.setdiff1d(np.arange(len(labels)), test)
        unknown = np.setdiff1d(labels[test], labels[rest])
        if len(unknown):
            name = classes[int(unknown[0])]
            raise IcsortError(
                f"fold {number} would test {name}, of which all cells are in it; give another number of --folds or "
                f"--seed, or leave small classes out with --min-class"
            )
    return folds


def validation_part(
    labels: NDArray[np.int64], groups: NDArray[np.str_], cells: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the cells to train on (n,), indices: those that train, and those that choose the epoch, by whole groups.

    Every class keeps cells that train; cells of a group that would take a class away train as well.
    """
    count = min(VALIDATED, len(np.unique(groups[cells])))
    if count < 2:
        order = np.random.default_rng(seed).permutation(cells)
        return np.sort(order[len(order) // VALIDATED :]), np.sort(order[: len(order) // VALIDATED])
    splits = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(cells, labels[cells], groups[cells])
    train, validation = next(iter(splits))
    lost = np.setdiff1d(labels[cells], labels[cells[train]])
    kept = np.isin(labels[cells[validation]], lost)
    return np.sort(np.concatenate([cells[train], cells[validation[kept]]])), cells[validation[~kept]]


def without_surplus(
    labels: NDArray[np.int64], cells: NDArray[np.int64], controls: Sequence[int], seed: int
) -> NDArray[np.int64]:
    """The cells with at most as many of each control as the largest other class has, drawn with a seed (Zhu 2024)."""
    others = np.bincount(labels[cells][~np.isin(labels[cells], controls)])
    most = int(others.max(initial=0))
    draw = np.random.default_rng(seed)
    dropped = []
    for control in controls:
        members = cells[labels[cells] == control]
        dropped += draw.permutation(members)[most:].tolist()
    return np.setdiff1d(cells, dropped)


def confounds(
    labels: NDArray[np.int64], classes: Sequence[str], columns: dict[str, NDArray[np.str_]]
) -> list[dict[str, Any]]:
    """How far each column (N,), such as plate or well, tells the class by itself.

    share: of the cells whose class is the commonest one of their value; expected: of the commonest class of all.
    coincides: each value, of several, has one class alone, and values hold more than a cell: then a network that
    knows the column knows the class.
    """
    found = []
    for name, values in columns.items():
        index = np.unique(values, return_inverse=True)[1]
        table = np.zeros((index.max() + 1, len(classes)), np.int64)
        np.add.at(table, (index, labels), 1)
        pure = (table > 0).sum(axis=1) == 1
        found.append(
            {
                "column": name,
                "values": len(table),
                "with_one_class": int(pure.sum()),
                "share": float(table.max(axis=1).sum() / len(labels)),
                "expected": float(np.bincount(labels).max() / len(labels)),
                "coincides": bool(pure.all()),
            }
        )
    return found


def _check(labels: NDArray[np.int64], classes: Sequence[str], groups: NDArray[np.str_]) -> None:
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise IcsortError(f"all cells are of one group ({names[0]}); give --group-by something that tells them apart")
    table = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(table, (index, labels), 1)
    alone = np.flatnonzero((table > 0).sum(axis=0) == 1)
    if len(alone):
        name = classes[int(alone[0])]
        where = names[int(np.flatnonzero(table[:, alone[0]])[0])]
        if len(alone) == len(classes):
            raise IcsortError(
                f"--group-by: groups coincide with classes ({name} is in {where} alone, and so on): nothing is left "
                "to learn a class from while its group is held out; group by something that holds several classes"
            )
        raise IcsortError(
            f"--group-by: the class {name} is in the group {where} alone: nothing is left to learn it from while that "
            "is held out; add groups with it, leave it out with --leave-out, or group otherwise"
        )
