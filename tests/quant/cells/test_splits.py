# SPDX-License-Identifier: Apache-2.0
"""Splits: shares, strata, seeds, groups that stay whole, and data that cannot be split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from icsort.errors import IcsortError
from icsort.quant.cells.find import Dataset, read_folder
from icsort.quant.cells.splits import PARTS, folds, split
from tests.quant.cells.files import real

CLASSES = ("A", "B", "C")


def test_without_groups_it_is_a_stratified_tenth_twice() -> None:
    labels = np.repeat(np.arange(3), (100, 50, 20))
    rest, test = train_test_split(np.arange(170), test_size=17, stratify=labels, random_state=7)
    train, validation = train_test_split(rest, test_size=17, stratify=labels[rest], random_state=7)
    parts = split(labels, CLASSES, seed=7)
    for part, expected in zip(PARTS, (train, validation, test), strict=True):
        assert parts[part].tolist() == sorted(expected)


@settings(max_examples=12)
@given(st.integers(0, 2**16), st.integers(12, 60), st.integers(60, 400))
def test_groups_stay_whole_and_every_class_is_everywhere(seed: int, groups: int, cells: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(3), 10), random.integers(0, 3, cells)])
    group_of = random.integers(0, groups, len(labels)).astype(str)
    try:
        parts = split(labels, CLASSES, seed, group_of)
    except IcsortError as error:
        assert "group" in str(error)  # noqa: PT017 - few groups may be impossible to split
        return
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(labels)))
    found = [set(group_of[parts[part]]) for part in PARTS]
    assert sum(len(part) for part in found) == len(set(group_of))
    assert all(set(labels[parts[part]]) == {0, 1, 2} for part in PARTS)
    assert all((np.diff(parts[part]) > 0).all() for part in PARTS)


def test_groups_of_one_size_give_tenths() -> None:
    labels = np.tile(np.arange(3), 200)
    group_of = np.repeat(np.arange(60), 10).astype(str)
    parts = split(labels, CLASSES, 1, group_of)
    assert {part: len(indices) for part, indices in parts.items()} == {"train": 480, "validation": 60, "test": 60}
    again = split(labels, CLASSES, 1, group_of)
    assert all((parts[part] == again[part]).all() for part in PARTS)
    assert any((parts[part] != split(labels, CLASSES, 2, group_of)[part]).any() for part in PARTS)


def test_real_nuclei_split_by_plate() -> None:
    dataset = read_folder(real("mitocheck_nuclei"))
    assert dataset.groups is not None
    parts = split(dataset.labels, dataset.classes, 0, dataset.groups)
    assert not set(dataset.groups[parts["train"]]) & set(dataset.groups[parts["test"]])
    shares = [len(parts[part]) / len(dataset.labels) for part in PARTS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.06)


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (np.repeat(["p", "q", "r"], (20, 20, 20)), "class A lies in 1 group:"),
        (np.asarray(["p", "q"] * 30), "class A lies in 2 groups"),
        # each class in three groups, but c and d would have to be in one part, and apart
        (np.concatenate([np.resize(list(three), 20) for three in ("abc", "abd", "cde")]), "cannot be split"),
    ],
)
def test_groups_that_cannot_be_split(groups: np.ndarray, reason: str) -> None:
    labels = np.repeat(np.arange(3), 20)
    with pytest.raises(IcsortError, match=reason):
        split(labels, CLASSES, 0, groups)


@pytest.mark.parametrize("few", [1, 9])
def test_a_class_too_small_to_split(few: int) -> None:
    with pytest.raises(IcsortError, match=f"class B has {few} cells"):
        split(np.repeat(np.arange(2), (50, few)), ("A", "B"), 0)


def test_one_class_is_no_task() -> None:
    with pytest.raises(IcsortError, match="one class"):
        split(np.zeros(50, np.int64), ("A",), 0)


def test_small_classes_are_dropped_by_name(dataset: Dataset) -> None:
    keep = np.flatnonzero((dataset.labels != 1) | (np.arange(len(dataset.labels)) % 40 < 7))
    uneven = dataset.subset(keep)
    kept, dropped = uneven.without_small_classes(8)
    assert dropped == {dataset.classes[1]: 7}
    assert kept.classes == tuple(name for name in dataset.classes if name not in dropped)
    assert kept.counts() == {name: count for name, count in uneven.counts().items() if name not in dropped}
    names = [kept.classes[label] for label in kept.labels]
    assert names == [dataset.classes[label] for label in uneven.labels if label != 1]
    assert uneven.without_small_classes(1) == (uneven, {})
    with pytest.raises(IcsortError, match="no class has 41 images"):
        dataset.without_small_classes(41)


def test_cells_with_one_identity_stay_together_without_and_with_groups(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), 120)
    identities = np.repeat(np.arange(120), 3).astype(np.uint64)
    identities[0] = identities[-1]  # of another class
    groups = random.integers(0, 60, len(labels)).astype(str)
    for grouping in (None, groups[np.repeat(np.arange(0, 360, 3), 3)]):
        parts = split(labels, CLASSES, seed, grouping, identities)
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(360))
        for key in (identities, grouping):
            if key is not None:
                assert sum(len(set(key[parts[part]])) for part in PARTS) == len(set(key))


def test_groups_that_share_a_cell_are_one() -> None:
    labels = np.tile(np.arange(2), 60)
    groups = np.repeat(np.arange(40), 3).astype(str)
    identities = np.arange(120).astype(np.uint64)
    identities[0] = identities[119]  # the first group and the last
    for seed in range(8):
        parts = split(labels, CLASSES[:2], seed, groups, identities)
        assert sum({0, 1, 2, 117, 118, 119} <= set(parts[part].tolist()) for part in PARTS) == 1


def test_copies_are_no_cells() -> None:
    labels = np.repeat(np.arange(2), 50)
    identities = np.where(labels == 0, np.arange(100), 100 + np.arange(100) % 4).astype(np.uint64)
    with pytest.raises(IcsortError, match="class B has 4 different cells"):
        split(labels, CLASSES[:2], 0, identities=identities)


def test_kept_parts() -> None:
    labels = np.tile(np.arange(2), 100)
    kept = np.full(200, -1)
    kept[:40] = np.resize([2, 2, 1, 1, 0, 0], 40)
    for groups in (None, np.repeat(np.arange(100), 2).astype(str)):
        parts = split(labels, CLASSES[:2], 3, groups, kept=kept)
        for number, part in enumerate(PARTS):
            assert set(np.flatnonzero(kept == number)) <= set(parts[part])
        assert len(parts["test"]) == pytest.approx((kept == 2).sum() + 16, abs=2)
    few = np.where(np.arange(200) < 190, np.resize([2, 2, 1, 1, 0, 0], 200), -1)
    assert set(range(190, 200)) <= set(split(labels, CLASSES[:2], 3, kept=few)["train"])  # too few to split
    with pytest.raises(IcsortError, match="1 groups of cells that belong together had two parts"):
        split(labels, CLASSES[:2], 3, np.minimum(np.arange(200), 198).astype(str), kept=np.resize([2, 2, 1, 1, 0], 200))


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_test_every_cell_once(grouped: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), (200, 100, 15))
    groups = random.permutation(np.resize(np.arange(90), 315)).astype(str) if grouped else None
    splits = folds(labels, CLASSES, 5, seed, groups)
    assert sorted(np.concatenate([parts["test"] for parts in splits]).tolist()) == list(range(315))
    for parts in splits:
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(315))
        assert all(set(labels[parts[part]]) == {0, 1, 2} for part in ("train", "validation"))
        assert len(parts["validation"]) == pytest.approx(31, abs=12 if grouped else 2)
        if groups is not None:
            assert sum(len(set(groups[parts[part]])) for part in PARTS) == 90
        else:
            assert np.bincount(labels[parts["test"]]).tolist() == [40, 20, 3]
    again = [np.select([np.isin(np.arange(315), parts[part]) for part in PARTS], [0, 1, 2], -1) for parts in splits]
    other = folds(labels, CLASSES, 5, seed + 1, groups, kept=again)
    assert all((mine[part] == theirs[part]).all() for mine, theirs in zip(splits, other, strict=True) for part in PARTS)
    # New cells do not validate: of the rarer classes each validation part might have none.
    half = [np.where((np.arange(315) % 2 == 1) | (labels > 0), parts, -1) for parts in again]
    splits = folds(labels, CLASSES, 5, seed + 1, kept=half)
    assert sorted(np.concatenate([parts["test"] for parts in splits]).tolist()) == list(range(315))
    for parts, had in zip(splits, half, strict=True):
        assert set(np.flatnonzero(had == 2)) <= set(parts["test"])
        assert set(np.flatnonzero(had == 1)) <= set(parts["validation"])


def test_folds_that_were_one_training_are_refused() -> None:
    labels = np.tile(np.arange(2), 100)
    kept = np.resize([2, 1, 0, 0, 0, 0, 0, 0, 0, 0], 200)
    with pytest.raises(IcsortError, match="tested in two folds"):
        folds(labels, CLASSES[:2], 5, 0, kept=[kept] * 5)
