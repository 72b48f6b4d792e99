# SPDX-License-Identifier: Apache-2.0
"""Splits: shares, strata, seeds, groups that stay whole, and data that cannot be split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from icsort.errors import IcsortError
from icsort.quant.cells.find import Dataset, read_folder
from icsort.quant.cells.splits import PARTS, split
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
