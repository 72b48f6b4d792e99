# SPDX-License-Identifier: Apache-2.0
"""Constants, cutting, and a tiny training."""

import csv
import errno
import json
import os
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
from icsort.quant.acquire.choose import Constants, choose_constants, cut_cells
from icsort.quant.cells.find import Dataset, generated_dataset, read_folder
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.training import samples
from icsort.quant.training.fitting import Progress
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import train_run
from icsort.sim.bit_true.event import Trigger

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


def test_constants_trigger_on_every_training_cell_and_never_on_background(dataset: Dataset) -> None:
    constants = choose_constants(dataset.images)
    assert dataset.channels[constants.trigger.channel] == "DNA"
    cut = cut_cells(dataset.images, constants)
    assert cut.cells.tolist() == list(range(len(dataset.images)))
    assert len(cut.missed) == 0
    empty = np.full((200, 40, 3), constants.background_line, np.uint16)
    assert len(cut_cells([empty], constants).cells) == 0
    noise = np.random.default_rng(0).normal(0, (18.0, 3.0, 3.0), empty.shape)
    noisy = np.clip(empty + noise, 0, None).astype(np.uint16)
    assert len(cut_cells([noisy], constants).cells) == 0


def test_preprocessing_uses_the_range_of_8_bit(dataset: Dataset) -> None:
    constants = choose_constants(dataset.images)
    pixels = constants.pixels(np.stack(dataset.images))
    assert (np.percentile(pixels, 0.05, axis=(0, 1, 2)) <= 1).all()
    assert (np.percentile(pixels, 99.95, axis=(0, 1, 2)) >= 254).all()
    background = constants.pixels(np.asarray([constants.background_line], np.uint16))[0]
    assert 60 < background[0] < 195  # brightfield goes both ways
    assert background[1] < 30


def test_the_brightest_percentile_becomes_255(dataset: Dataset) -> None:
    raw = np.stack(dataset.images)
    for brightest in (99.0, 99.9, 100.0):
        constants = choose_constants(dataset.images, brightest=brightest)
        limits = np.percentile(raw, brightest, axis=(0, 1, 2))
        white = constants.pixels(raw) == 255
        assert white[raw > limits + 1].all()
        below = raw < constants.background + (limits - constants.background) * 0.99
        assert not white[below].any()
    for wrong in (50.0, 100.1, float("nan")):
        with pytest.raises(IcsortError, match="percentile above 50"):
            choose_constants(dataset.images, brightest=wrong)


def test_a_narrow_channel_keeps_its_gain_in_18_bits() -> None:
    images = [np.zeros((12, 12, 2), np.uint16) for _ in range(20)]
    for image in images:
        image[4:8, 4:8] = [3, 60000]
    constants = choose_constants(images)
    assert max(constants.gain) < 2**17
    narrow, wide = constants.pixels(np.asarray([[3, 60000]], np.uint16))[0]
    assert narrow == 255
    assert wide > 225  # both gains have one shift, so that the wide channel's is coarse


def test_dim_cells_lower_the_threshold_but_images_without_cells_are_refused() -> None:
    random = np.random.default_rng(0)
    images = [random.normal(1000, 10, (20, 16, 1)).astype(np.uint16) for _ in range(50)]
    with pytest.raises(IcsortError, match="no channel tells cells"):
        choose_constants([np.full((20, 16, 1), 1000, np.uint16)] * 5)
    for index, image in enumerate(images):
        image[8:12] += 400 if index else 14  # the first cell stays under 6 sigma
    constants = choose_constants(images)
    assert constants.trigger.threshold > 16 * constants.background_line[0]
    assert 0 in cut_cells(images, constants).cells


def test_images_are_windows_where_few_begin_with_an_empty_line() -> None:
    images = [np.full((12, 12, 1), 4 + index, np.uint16) for index in range(60)]
    images[7][:2] = 0
    constants = choose_constants(images, window="image")
    cut = cut_cells(images, constants)
    assert cut.cells.tolist() == list(range(60))
    assert all((window == image).all() for window, image in zip(cut.windows[8:], images[8:], strict=True))
    assert cut.windows[7, :, 0, 0].tolist() == [11] * 10 + [0, 0]
    for image in images[:9]:
        image[0] = 0
    with pytest.raises(IcsortError, match="begin with an empty line"):
        choose_constants(images, window="image")


def test_cells_are_cut_where_the_trigger_sees_them() -> None:
    constants = Constants(Trigger(0, 30, height=6, width=4, x_offset=0), 4, (1,), (0,), (65536,), 16)
    short = np.full((4, 4, 1), 2, np.uint16)
    short[2:] = 50
    tall = np.full((15, 4, 1), 2, np.uint16)
    tall[[1, 12]] = 60
    dim = np.full((5, 4, 1), 3, np.uint16)
    cut = cut_cells([short, tall, dim], constants)
    assert cut.cells.tolist() == [0, 1]
    assert cut.missed.tolist() == [2]
    assert cut.windows[0, :, 0, 0].tolist() == [50, 50, 1, 1, 1, 1]  # filled with background lines
    assert cut.windows[1, :, 0, 0].tolist() == [60, 2, 2, 2, 2, 2]  # its first event only


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
        assert heldout["background"].tolist() == config["background_line"]
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
    write_shards(tmp_path / "shards", [dataset])
    again = tmp_path / "folder that is not there yet" / "run"
    train_run(read_folder(tmp_path / "shards"), again, Recipe(epochs=8, batch=16), seed=1, progress=False)
    ours, theirs = (torch.load(folder / "checkpoint.pt") for folder in (again, run_folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    for name in ("heldout.npz", "validation.npz"):
        with np.load(again / name) as our, np.load(run_folder / name) as their:
            assert all((our[key] == their[key]).all() for key in their.files)


@pytest.mark.parametrize("turns", [0, 3, 4])
def test_samples_are_what_the_trigger_cuts(dataset: Dataset, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = choose_constants(dataset.images)
    cut = cut_cells(dataset.images, constants)
    monkeypatch.setattr(samples, "CHUNK", 13)
    made = samples.make_samples(dataset, constants, turns)
    assert made.pixels.shape[0] == {0: 1, 3: 4, 4: 4}[turns]
    assert (made.upright().numpy() == constants.pixels(cut.windows).transpose(0, 3, 1, 2)).all()
    assert (made.labels.numpy() == dataset.labels).all()
    if turns == 4:
        turned = cut_cells([np.rot90(image) for image in dataset.images], constants)
        assert (made.pixels[1].numpy() == constants.pixels(turned.windows).transpose(0, 3, 1, 2)).all()


def test_no_room_for_the_pixels(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(IcsortError, match=r"MB for the cells' pixels cannot be written \(No space"):
        samples.make_samples(dataset, choose_constants(dataset.images))


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
    progress, chosen = Progress(), []
    for epoch, each in enumerate(losses, start=1):
        if progress.add({"epoch": epoch}, each):
            chosen.append(epoch)
    least = losses[losses.mean(axis=1).argmin()]
    within = [epoch for epoch, each in enumerate(losses, start=1) if not ttest_rel(each, least).statistic > 1]
    assert progress.best_epoch == chosen[-1] == within[-1]  # of the least itself the statistic is not a number
    assert 1 < progress.best_epoch < 30


def test_one_validation_cell_is_enough_to_choose_an_epoch() -> None:
    progress = Progress()
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
        train_run(small, tmp_path / "run", Recipe(epochs=1), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [{"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}])
def test_recipes_that_cannot_train(values: dict[str, Any]) -> None:
    (option,) = values
    with pytest.raises(IcsortError, match=f"--{option.replace('_', '-')} is"):
        Recipe(**values)
