# SPDX-License-Identifier: Apache-2.0
"""No cell is tested by a network that it has taught, however often it occurs and whatever it is called."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset, concatenate
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.runs import cells_of
from icsort.quant.training.seen import Seen, parts_had, read_seen
from icsort.quant.training.train import Sources, train_run

SHORT = Recipe(epochs=1, batch=16, turns=1)


def pixels(dataset: Dataset, folder: Path, *parts: str) -> set[bytes]:
    """The cells of some parts of a run, as bytes of their pixels."""
    split = json.loads((folder / "split.json").read_text())
    return {dataset.images[i].tobytes() for part in parts for i in split[part]}


def test_copies_of_a_cell_are_in_one_part(dataset: Dataset, tmp_path: Path) -> None:
    once = dataset.limited(12, seed=0)
    twin = dataclasses.replace(once.subset([0]), labels=np.asarray([once.labels[-1]]))  # of another class
    train_run(concatenate([once, once, twin, once]), tmp_path / "run", SHORT, progress=False)
    cells = concatenate([once, once, twin, once])
    parts = [pixels(cells, tmp_path / "run", part) for part in ("train", "validation", "test")]
    assert sum(len(part) for part in parts) == len(once.images)  # each image in one part alone
    assert all(parts)


@pytest.mark.parametrize("option", ["start", "teacher", "weights"])
def test_test_cells_have_not_taught_the_run_it_begins_from(option: str, dataset: Dataset, tmp_path: Path) -> None:
    """Also after merging, limiting, leaving a class out, another order, another seed: none changes a cell."""
    first, second = tmp_path / "first", tmp_path / "second"
    names = dataset.classes
    if option == "teacher":  # must have the same classes
        cells, other = dataset, dataset.subset(np.random.default_rng(0).permutation(len(dataset.images))[:170])
    else:
        cells = dataset
        other = dataset.with_merged_classes({"Round": names[:2]}).limited(30, seed=3)
        other = other.subset(np.flatnonzero(other.labels != len(other.classes) - 1)[::-1])
        other = dataclasses.replace(other, classes=other.classes[:-1], names=tuple(map(str, range(len(other.images)))))
    architecture = None
    train_run(cells, first, SHORT, architecture, seed=1, progress=False)
    sources = {
        "start": Sources(start=first),
        "teacher": Sources(teacher=(first,)),
        "weights": Sources(weights=first / "checkpoint.pt"),
    }[option]
    if option == "teacher":
        with pytest.raises(IcsortError, match="trained with another"):  # constants are those of all training cells
            train_run(other, second, SHORT, architecture, sources, seed=2, progress=False)
        other = cells
    train_run(other, second, SHORT, architecture, sources, seed=2, progress=False)
    taught = pixels(cells, first, "train")
    assert not pixels(other, second, "test") & pixels(cells, first, "train", "validation")
    assert not pixels(other, second, "validation") & taught
    assert pixels(other, second, "train") <= taught


def test_what_taught_an_earlier_run_still_counts(dataset: Dataset, tmp_path: Path) -> None:
    """A chain of trainings, of which the middle one has only some of the cells."""
    few = dataset.limited(30, seed=0)
    train_run(dataset, tmp_path / "a", SHORT, seed=1, progress=False)
    train_run(few, tmp_path / "b", SHORT, sources=Sources(start=tmp_path / "a"), seed=2, progress=False)
    train_run(dataset, tmp_path / "c", SHORT, sources=Sources(start=tmp_path / "b"), seed=3, progress=False)
    assert not pixels(dataset, tmp_path / "c", "test") & pixels(dataset, tmp_path / "a", "train")


def test_new_cells_are_split_beside_known_ones(dataset: Dataset, tmp_path: Path) -> None:
    known = dataset.subset(np.flatnonzero(np.arange(len(dataset.images)) % 2 == 0))
    train_run(known, tmp_path / "a", SHORT, progress=False)
    train_run(dataset, tmp_path / "b", SHORT, sources=Sources(start=tmp_path / "a"), progress=False)
    for part in ("train", "validation", "test"):
        had, has = pixels(known, tmp_path / "a", part), pixels(dataset, tmp_path / "b", part)
        assert had < has
        assert len(has) == pytest.approx(2 * len(had), abs=2)


def test_runs_that_were_split_otherwise_do_not_fit_together(dataset: Dataset, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        train_run(dataset, tmp_path / name, SHORT, seed=seed, progress=False)
    both = Sources(start=tmp_path / "a", teacher=(tmp_path / "b",))
    with pytest.raises(IcsortError, match=r"--start .*/a: \d+ cells are in its .* part, but in another of --teacher"):
        train_run(dataset, tmp_path / "c", SHORT, sources=both, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_parts_that_leak_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    train_run(dataset, tmp_path / "a", SHORT, progress=False)
    split = {name: np.asarray(part) for name, part in json.loads((tmp_path / "a" / "split.json").read_text()).items()}
    for parts, words in (
        (split | {"train": split["test"], "test": split["train"]}, "160 test cells were seen"),
        (split | {"validation": split["test"], "test": split["validation"]}, "20 test cells were seen"),
        (split | {"train": split["validation"], "validation": split["train"]}, "160 validation cells were seen"),
    ):
        with pytest.raises(IcsortError, match=words):
            train_run(
                dataset, tmp_path / "b", SHORT, sources=Sources(start=tmp_path / "a"), parts=parts, progress=False
            )


def test_a_run_that_is_none(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="is not a run"):
        train_run(dataset, tmp_path / "b", SHORT, sources=Sources(start=tmp_path / "a"), progress=False)
    (tmp_path / "cells.npz").write_bytes(b"PK")
    with pytest.raises(IcsortError, match=r"cells\.npz: cannot be read"):
        read_seen(tmp_path / "cells.npz", "")
    np.savez(tmp_path / "cells.npz", train=[1.5], validation=[], test=[], earlier=[])
    with pytest.raises(IcsortError, match="does not hold identities"):
        read_seen(tmp_path / "cells.npz", "")
    Seen(train=np.asarray([7], np.uint64)).write(tmp_path / "cells.npz")
    for other in (Seen(), Seen(validation=np.asarray([7], np.uint64)), Seen(train=np.asarray([8], np.uint64))):
        with pytest.raises(IcsortError, match="was changed"):
            read_seen(tmp_path / "cells.npz", other.sha256())


def test_seen_cells_are_kept(dataset: Dataset, run_folder: Path) -> None:
    seen, split = cells_of(run_folder), json.loads((run_folder / "split.json").read_text())
    for part in ("train", "validation", "test"):
        assert getattr(seen, part).tolist() == dataset.identities[split[part]].tolist()
    assert len(seen.earlier) == 0
    later = Seen(train=np.asarray([7], np.uint64)).with_earlier([seen])
    kept = parts_had(dataset.identities, {"later": later})
    assert set(kept[split["train"] + split["validation"]]) == {0}  # all that a run before has seen has taught this one
    assert set(kept[split["test"]]) == {-1}
