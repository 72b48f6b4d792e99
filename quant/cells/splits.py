# SPDX-License-Identifier: Apache-2.0
"""Training, validation and test part: 80, 10 and 10 % of each class, or folds that test every cell once.

What belongs together falls into one part as a whole: cells of one group, and cells with identical pixels.
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from icsort.errors import IcsortError

MIN_CELLS_PER_CLASS = 10
PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(len(PARTS))
SHARES = (0.8, 0.1, 0.1)
TENTHS = 10
SHUFFLES = 10  # of the groups; the evenest is taken
EVEN_ENOUGH = 0.05  # mean logarithm of what a part has of a class over its share: no further shuffle is tried
NONE = 1e-9  # stands for the share of a class that a part lacks

Split = dict[str, NDArray[np.int64]]
Groups = NDArray[np.str_] | None
Identities = NDArray[np.uint64] | None


def split(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    seed: int,
    groups: Groups = None,
    identities: Identities = None,
    kept: NDArray[np.int64] | None = None,
) -> Split:
    """Indices of the parts train, validation and test: 80, 10 and 10 % of each class, seeded, each ascending.

    labels (N,), groups (N,) or None, identities (N,): see Dataset. Cells of one group, and cells with one identity,
    fall into one part as a whole, so the shares are as near to 80/10/10 as these allow. kept (N,): index into PARTS of
    the part that a cell had in an earlier training, -1 where it was not there; it has that part again, and so has what
    belongs together with it.

    Raises IcsortError for a class with fewer than 10 (different) cells, the least that leaves one in each part, for
    groups that cannot put every class into every part, and for groups or twins that had two parts.
    """
    _check_counts(labels, classes, "to split 80/10/10")
    unit_of = _units(len(labels), groups, identities)
    part_of = np.full(unit_of.max() + 1, -1) if kept is None else _kept(unit_of, kept)
    new = np.flatnonzero(part_of[unit_of] < 0)
    if len(new):
        _, new_unit_of = np.unique(unit_of[new], return_inverse=True)
        divide = _stratified if groups is None else _split_groups
        try:
            part_of[np.unique(unit_of[new])] = divide(labels[new], classes, seed, new_unit_of)
        except IcsortError:
            if len(new) == len(labels):
                raise
            part_of[part_of < 0] = TRAIN  # too few beside those that have a part
    parts = {name: np.flatnonzero(part_of[unit_of] == part) for part, name in enumerate(PARTS)}
    for part, indices in parts.items():
        _check_complete(labels[indices], classes, f"{part} part")
    return parts


def folds(
    labels: NDArray[np.int64],
    classes: Sequence[str],
    count: int,
    seed: int,
    groups: Groups = None,
    identities: Identities = None,
    kept: Sequence[NDArray[np.int64]] | None = None,
) -> list[Split]:
    """`count` splits whose test parts hold every cell exactly once; about a tenth of all cells validates in each.

    Stratified, with groups and identical cells as a whole. kept: of each fold, as in `split`, the parts of an earlier
    training in as many folds; other cells are dealt out to the test parts, and train in the other folds. Raises
    IcsortError where a class is missing in a training or validation part, and as `split` does.
    """
    _check_counts(labels, classes, f"for {count} folds")
    unit_of = _units(len(labels), groups, identities)
    fold_of = np.full(unit_of.max() + 1, -1)
    if kept is not None:
        tested = np.stack([_kept(unit_of, parts) == TEST for parts in kept])
        if (tested.sum(axis=0) > 1).any():
            raise IcsortError("cells that belong together were tested in two folds of that training; train it again")
        fold_of = np.where(tested.any(axis=0), tested.argmax(axis=0), -1)
    if groups is not None and kept is None:
        _check_groups(labels, classes, unit_of)
    new = np.flatnonzero(fold_of[unit_of] < 0)
    if len(new):
        fold_of[np.unique(unit_of[new])] = _deal(labels[new], unit_of[new], count, seed, grouped=groups is not None)
    splits = []
    for fold in range(count):
        part_of = np.where(fold_of == fold, TEST, TRAIN)
        if kept is None:
            rest = np.flatnonzero(fold_of[unit_of] != fold)
            share = max(2, round(len(rest) / len(labels) * TENTHS))
            share = min(share, len(np.unique(unit_of[rest])))  # of few groups, one validates
            chosen = _a_pile(labels[rest], unit_of[rest], share, seed + fold, grouped=groups is not None)
            part_of[np.unique(unit_of[rest])[chosen]] = VALIDATION
        else:
            part_of[_kept(unit_of, kept[fold]) == VALIDATION] = VALIDATION
        parts = {name: np.flatnonzero(part_of[unit_of] == part) for part, name in enumerate(PARTS)}
        for part in (TRAIN, VALIDATION):
            _check_complete(labels[parts[PARTS[part]]], classes, f"{PARTS[part]} part of fold {fold + 1}")
        splits.append(parts)
    return splits


def _units(cells: int, groups: Groups, identities: Identities) -> NDArray[np.int64]:
    """The unit of each cell, (N,): cells that share a group or an identity are one. Numbered by group, else by cell."""
    order = np.arange(cells) if groups is None else np.unique(groups, return_inverse=True)[1]
    unit_of: NDArray[np.int64] = order
    if identities is not None:
        _, first, same = np.unique(identities, return_index=True, return_inverse=True)
        count = order.max() + 1
        links = coo_array((np.ones(cells), (order, order[first[same]])), (count, count))
        unit_of = connected_components(links, directed=False)[1][order]
    least = np.full(unit_of.max() + 1, cells)
    np.minimum.at(least, unit_of, order)
    rank = np.argsort(np.argsort(least))
    return np.asarray(rank[unit_of], np.int64)


def _kept(unit_of: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of each unit, -1 for none. Raises IcsortError where the cells of one had two parts."""
    most = np.full(unit_of.max() + 1, -1)
    least = most.copy()
    known = kept >= 0
    np.maximum.at(most, unit_of[known], kept[known])
    np.maximum.at(least, unit_of[known], TEST - kept[known])
    two = (most >= 0) & (TEST - least != most)
    if two.any():
        raise IcsortError(
            f"{two.sum()} groups of cells that belong together had two parts in that training; split by the same "
            "--group-by, or train it again"
        )
    return most


def _check_counts(labels: NDArray[np.int64], classes: Sequence[str], purpose: str) -> None:
    if len(classes) < 2:
        raise IcsortError(f"the data has one class ({classes[0]}): a classifier needs at least two")
    for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True):
        if count < MIN_CELLS_PER_CLASS:
            raise IcsortError(
                f"class {name} has {count} cells: at least {MIN_CELLS_PER_CLASS} are needed {purpose}; "
                "add cells or leave the class out"
            )


def _check_groups(labels: NDArray[np.int64], classes: Sequence[str], unit_of: NDArray[np.int64]) -> None:
    """Raise IcsortError for a class of too few groups for training, validation and test; groups may be the classes."""
    for label, name in enumerate(classes):
        held_by = len(set(unit_of[labels == label]))
        if held_by < len(PARTS):
            raise IcsortError(
                f"class {name} lies in {held_by} group{'s' * (held_by != 1)}: at least {len(PARTS)} are needed so that "
                "no group falls on two sides; add data, leave the class out, or give a --group-by that tells more "
                "groups within a class, or none"
            )


def _check_complete(labels: NDArray[np.int64], classes: Sequence[str], where: str) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        raise IcsortError(f"class {classes[empty[0]]} has too few cells: none fell into the {where}; add cells")


def _stratified(
    labels: NDArray[np.int64], classes: Sequence[str], seed: int, unit_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The part of each unit, (U,): tenths of the units of each class."""
    _, first = np.unique(unit_of, return_index=True)
    of_unit = labels[first]
    for name, count in zip(classes, np.bincount(of_unit, minlength=len(classes)), strict=True):
        if count < MIN_CELLS_PER_CLASS:
            raise IcsortError(
                f"class {name} has {count} different cells, the others are copies: at least {MIN_CELLS_PER_CLASS} are "
                "needed to split 80/10/10; add cells or leave the class out"
            )
    held = math.ceil(len(of_unit) / TENTHS)
    rest, test = train_test_split(np.arange(len(of_unit)), test_size=held, stratify=of_unit, random_state=seed)
    _, validation = train_test_split(rest, test_size=held, stratify=of_unit[rest], random_state=seed)
    part_of = np.full(len(of_unit), TRAIN)
    part_of[validation], part_of[test] = VALIDATION, TEST
    return part_of


def _a_pile(
    labels: NDArray[np.int64], unit_of: NDArray[np.int64], count: int, seed: int, *, grouped: bool
) -> NDArray[np.bool_]:
    """Which units, (U,), lie in one of `count` piles: the first of some shuffles that has all classes, as the rest has.

    Whoever calls checks whether there was one.
    """
    _, number_of = np.unique(unit_of, return_inverse=True)
    present = len(np.unique(labels))
    for shuffle in range(SHUFFLES):
        pile_of = _deal(labels, unit_of, count, seed + shuffle * count, grouped=grouped)
        for pile in range(count):
            inside = pile_of[number_of] == pile
            if len(np.unique(labels[inside])) == len(np.unique(labels[~inside])) == present:
                return np.asarray(pile_of == pile)
    return np.asarray(pile_of == 0)


def _deal(
    labels: NDArray[np.int64], unit_of: NDArray[np.int64], count: int, seed: int, *, grouped: bool
) -> NDArray[np.int64]:
    """One of `count` stratified piles for each unit, (U,) in ascending order of their numbers."""
    _, first, unit_of = np.unique(unit_of, return_index=True, return_inverse=True)
    if len(first) < count:
        raise IcsortError(f"there are {len(first)} groups, too few for {count} folds; give fewer --folds")
    if grouped and len(first) == count:  # a group a pile, which the splitter does not promise
        return np.arange(count)
    pile_of = np.zeros(len(first), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer cells than piles: the caller checks
        if grouped:  # groups hold several classes; identical cells alone count as one cell of their class
            splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            piles = [unit_of[pile] for _, pile in splitter.split(labels, labels, unit_of)]
        else:
            splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
            piles = [pile for _, pile in splitter.split(first, labels[first])]
    for number, pile in enumerate(piles):
        pile_of[pile] = number
    return pile_of


def _split_groups(
    labels: NDArray[np.int64], classes: Sequence[str], seed: int, unit_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The part of each unit: two of ten stratified folds are held out, then single units move while that helps."""
    _check_groups(labels, classes, unit_of)
    cells = np.zeros((unit_of.max() + 1, len(classes)), np.int64)
    np.add.at(cells, (unit_of, labels), 1)
    best, least = None, math.inf
    for shuffle in np.random.default_rng(seed).integers(2**31, size=SHUFFLES):
        part_of, uneven = _even_out(_folds(labels, unit_of, int(shuffle)), cells)
        if uneven < least:
            best, least = part_of, uneven
        if least < EVEN_ENOUGH * len(PARTS) * len(classes):
            break
    if best is None or not all(cells[best == part].any(axis=0).all() for part in range(len(PARTS))):
        raise IcsortError(
            f"the {len(cells)} groups cannot be split so that every class is in every part; "
            "leave out the classes that few groups have, or give --group-by none"
        )
    return best


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
