# SPDX-License-Identifier: Apache-2.0
"""A tiny training, and what its run folder holds."""

import csv
import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from scipy.stats import ttest_rel
from sklearn.metrics import log_loss

from icsort.errors import IcsortError
from icsort.output import RECORD_FILE, result_folder, write_record
from icsort.quant.acquire.choose import choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.find import Dataset, generated_dataset, read_folder
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.training import samples
from icsort.quant.training.fitting import EpochChoice
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.runs import read_config
from icsort.quant.training.train import train_run

RUN_FILES = {
    RECORD_FILE,
    "cells.npz",
    "checkpoint.pt",
    "config.json",
    "heldout.npz",
    "history.csv",
    "history.png",
    "metrics.json",
    "split.json",
    "validation.npz",
}


def test_run_folder(run_folder: Path, dataset: Dataset) -> None:
    assert {path.name for path in run_folder.iterdir()} == RUN_FILES
    assert [path.name for path in run_folder.parent.iterdir() if path.name.startswith(".")] == []
    config = json.loads((run_folder / "config.json").read_text())
    assert config["data"]["hash"] == dataset.sha256()
    assert config["data"]["source"] == "generated"
    split = json.loads((run_folder / "split.json").read_text())
    with np.load(run_folder / "heldout.npz") as heldout:
        assert heldout["images"].dtype == np.uint16
        assert (heldout["images"] == np.stack([dataset.images[i] for i in split["test"]])).all()
        assert (heldout["labels"] == dataset.labels[split["test"]]).all()
        assert tuple(heldout["classes"]) == dataset.classes
        assert tuple(heldout["channels"]) == dataset.channels
        assert heldout["background"].shape[1:] == dataset.images[0].shape[1:]
    with (run_folder / "history.csv").open() as stream:
        history = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in history] == list(range(1, 9))
    with Image.open(run_folder / "history.png") as picture:
        assert min(picture.size) > 200


def test_cells_on_disk_give_the_same_run(
    run_folder: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also cut in other portions."""
    monkeypatch.setattr(samples, "CHUNK", 7)
    write_shards(tmp_path / "shards", [replace(dataset, digitization=Digitization(0.5, 2.0))])
    again = tmp_path / "folder that is not there yet" / "run"
    train_run(read_folder(tmp_path / "shards"), again, Recipe(epochs=8, batch=16), seed=1, progress=False)
    ours, theirs = (torch.load(folder / "checkpoint.pt") for folder in (again, run_folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for name in ("heldout.npz", "validation.npz"):
        with np.load(again / name) as our, np.load(run_folder / name) as their:
            assert all((our[key] == their[key]).all() for key in their.files)
    assert Digitization.of(read_config(again).data.digitization) == Digitization(0.5, 2.0)
    assert read_config(run_folder).data.digitization is None


@pytest.mark.parametrize("turns", [0, 3, 4])
def test_samples_are_what_the_trigger_cuts(dataset: Dataset, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = choose_setup(dataset.images, dataset.channels)
    acquisition, background = setup.acquisition, setup.background
    cut = cut_cells(dataset.images, acquisition, background)
    monkeypatch.setattr(samples, "CHUNK", 13)
    made = samples.make_samples(dataset, acquisition, background, turns)
    assert made.pixels.shape[0] == {0: 1, 3: 4, 4: 4}[turns]
    assert (made.upright().numpy() == acquisition.pixels(cut.windows).transpose(0, 3, 1, 2)).all()
    assert (made.labels.numpy() == dataset.labels).all()
    if turns == 4:
        turned = cut_cells([np.rot90(image) for image in dataset.images], acquisition, background)
        assert (made.pixels[1].numpy() == acquisition.pixels(turned.windows).transpose(0, 3, 1, 2)).all()


def test_no_room_for_the_pixels(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    setup = choose_setup(dataset.images, dataset.channels)
    with pytest.raises(IcsortError, match=r"MB for the cells' pixels cannot be written \(No space"):
        samples.make_samples(dataset, setup.acquisition, setup.background)


def test_metrics(run_folder: Path, dataset: Dataset) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    confusion = np.asarray(metrics["confusion_test"])
    assert confusion.sum() == metrics["test"]["cells"] == 20
    assert metrics["test"]["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    recall = np.diag(confusion) / confusion.sum(axis=1)
    assert metrics["test"]["balanced_accuracy"] == pytest.approx(recall.mean())
    assert metrics["test"]["balanced_accuracy"] > 2 / len(dataset.classes)
    assert metrics["test"]["not_triggered"] == 0
    with (run_folder / "history.csv").open() as stream:
        rows = {int(row["epoch"]): row for row in csv.DictReader(stream)}
    losses = {epoch: float(row["validation_calibrated_loss"]) for epoch, row in rows.items()}
    assert metrics["best_epoch"] >= min(losses, key=lambda epoch: losses[epoch])
    for kind in ("accuracy", "balanced_accuracy"):  # the weights in the run are those of that epoch
        assert metrics["validation"][kind] == pytest.approx(float(rows[metrics["best_epoch"]][f"validation_{kind}"]))
    with np.load(run_folder / "validation.npz") as stored:
        logits, labels = stored["logits"], stored["labels"]
    frequency = np.asarray(list(dataset.counts().values())) / len(dataset.images)
    each = frequency[labels] ** -0.5  # the balance of the preset
    least = min(log_loss(labels, softmax(logits / t, axis=1), sample_weight=each) for t in np.geomspace(0.25, 20, 400))
    assert losses[metrics["best_epoch"]] == pytest.approx(least, rel=0.05)


def test_the_last_epoch_within_a_standard_error_is_chosen(seed: int) -> None:
    random = np.random.default_rng(seed)
    losses = random.gamma(0.2, 0.5, (30, 200)) + np.geomspace(1, 0.01, 30)[:, None]
    losses[20:] += np.linspace(0, 0.2, 10)[:, None]  # and at last the training learns its cells by heart
    progress, chosen = EpochChoice(), []
    for epoch, each in enumerate(losses, start=1):
        if progress.add({"epoch": epoch}, each):
            chosen.append(epoch)
    least = losses[losses.mean(axis=1).argmin()]
    within = [epoch for epoch, each in enumerate(losses, start=1) if not ttest_rel(each, least).statistic > 1]
    assert progress.best_epoch == chosen[-1] == within[-1]  # of the least itself the statistic is not a number
    assert 1 < progress.best_epoch < 30


def test_one_validation_cell_is_enough_to_choose_an_epoch() -> None:
    progress = EpochChoice()
    assert [progress.add({"epoch": epoch}, np.asarray([loss])) for epoch, loss in enumerate((2.0, 1.0, 1.5, 1.0))] == [
        *(True, True, False, True)
    ]


def test_the_seed_decides_the_weights(dataset: Dataset, tmp_path: Path) -> None:
    few = dataset.limited(12, seed=0)
    weights = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_run(few, tmp_path / name, Recipe(epochs=2, batch=16), seed=seed, progress=False)
        weights[name] = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
    assert all(torch.equal(weights["a"][key], weights["b"][key]) for key in weights["a"])
    assert not torch.equal(weights["a"]["head.weight"], weights["c"]["head.weight"])
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()


def test_gammas_stay_positive(run_folder: Path) -> None:
    weights = torch.load(run_folder / "checkpoint.pt", weights_only=True)
    assert all(float(weight.min()) > 0 for name, weight in weights.items() if name.endswith("norm.weight"))


def test_an_existing_output_is_refused_or_replaced(tmp_path: Path) -> None:
    cells = generated_dataset(per_class=10)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    for force in (False, True):
        with pytest.raises(IcsortError, match="not an earlier result"):
            train_run(cells, tmp_path / "mine", Recipe(epochs=1), force=force, progress=False)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "keep"
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    write_record(run, "config.json", ["config.json"])
    with pytest.raises(IcsortError, match="--force"):
        train_run(cells, run, Recipe(epochs=1), progress=False)
    train_run(cells, run, Recipe(epochs=1), force=True, progress=False)
    assert {path.name for path in run.iterdir()} == RUN_FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "run"]


def test_nothing_is_left_of_a_result_that_failed(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with result_folder(tmp_path / "run", "config.json") as folder:
            (folder / "half.txt").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(IcsortError, match="disk is full"):
        fill_the_disk()
    with pytest.raises(KeyboardInterrupt), result_folder(tmp_path / "run", "config.json"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(IcsortError, match="cannot be written"), result_folder(tmp_path / "file" / "run", "x"):
        pass


def test_images_too_small_for_the_network(tmp_path: Path) -> None:
    images, labels = generated_dataset(per_class=10).images, generated_dataset(per_class=10).labels
    small = Dataset("x", "x", tuple(image[14:22] for image in images), labels, tuple("abcde"), tuple("xyz"))
    with pytest.raises(IcsortError, match="too small"):
        train_run(small, tmp_path / "run", Recipe(epochs=1), window="image", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [{"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}])
def test_recipes_that_cannot_train(values: dict[str, Any]) -> None:
    (option,) = values
    with pytest.raises(IcsortError, match=f"--{option.replace('_', '-')} is"):
        Recipe(**values)
