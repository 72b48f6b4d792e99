# SPDX-License-Identifier: Apache-2.0
"""Cross-validation: every cell tested once, by a network that has not seen it; interruptions; what it begins from."""

import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.evaluation.evaluate import evaluate
from icsort.quant.evaluation.folds import evaluate_folds, lay_beside
from icsort.quant.networks.architectures import Architecture
from icsort.quant.training import folds
from icsort.quant.training.folds import folds_in, train_folds
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import Sources, train_run

pytestmark = pytest.mark.xdist_group("folds")  # one training for all of them
SHORT = Recipe(epochs=2, batch=16, turns=1)
FLOAT = Architecture().as_float()  # nothing to export, which takes longer than such a training
COUNT = 3


@pytest.fixture(scope="module")
def cells(dataset: Dataset) -> Dataset:
    return dataset.limited(20, seed=0)


@pytest.fixture(scope="module")
def folder(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "folds"
    train_folds(cells, out, COUNT, SHORT, progress=False)
    return out


@pytest.fixture(scope="module")
def float_folder(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "float"
    train_folds(cells, out, COUNT, SHORT, FLOAT, progress=False)
    return out


@pytest.fixture(scope="module")
def stacks(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cells as one TIFF stack a class."""
    out = tmp_path_factory.mktemp("cells")
    for label, name in enumerate(cells.classes):
        stack = np.stack([cells.images[i].transpose(2, 0, 1) for i in np.flatnonzero(cells.labels == label)])
        tifffile.imwrite(out / f"{name}.tif", stack, photometric="minisblack")
    return out


def splits_of(folder: Path) -> list[dict[str, list[int]]]:
    return [json.loads((folder / f"fold-{number}" / "split.json").read_text()) for number in range(1, COUNT + 1)]


def test_every_cell_is_tested_once(folder: Path, cells: Dataset) -> None:
    splits = splits_of(folder)
    assert sorted(index for split in splits for index in split["test"]) == list(range(len(cells.images)))
    for split in splits:
        assert sorted(index for part in split.values() for index in part) == list(range(len(cells.images)))


def test_pooled_figures_are_those_of_the_packages(folder: Path, cells: Dataset, stacks: Path) -> None:
    """Each package, evaluated on all cells, leaves out what it has seen; the tables sum up to the pooled one."""
    pooled, decisions = evaluate_folds(folds_in(folder), cells)
    table = np.zeros((5, 5), np.int64)
    for fold in folds_in(folder):
        report, _ = evaluate(fold.package, stacks, channels=list(cells.channels))
        split = json.loads((fold.run / "split.json").read_text())
        assert report["data"]["left_out"] == {"trained_on": len(split["train"]), "validation": len(split["validation"])}
        assert report["data"]["cells"] == len(split["test"])
        table += np.asarray(report["confusion"])
    assert pooled["confusion"] == table.tolist()
    assert np.asarray(pooled["confusion"]).sum(axis=1).tolist() == [20] * 5
    assert pooled["accuracy"]["value"] == pytest.approx(np.trace(table) / 100)
    assert len(decisions.labels) == 100
    merged, _ = evaluate_folds(folds_in(folder), cells, merged={"Big": ["Large", "Mitotic"]})
    assert np.asarray(merged["confusion"]).sum(axis=1).tolist() == [20, 40, 20, 20]
    assert merged["accuracy"]["value"] >= pooled["accuracy"]["value"]


def test_other_cells_are_not_pooled(folder: Path, dataset: Dataset) -> None:
    with pytest.raises(IcsortError, match=r"100 cells were in no fold's training; evaluate one package .*package-1"):
        evaluate_folds(folds_in(folder), dataset)


def test_an_interrupted_training_in_folds_keeps_what_is_done(
    float_folder: Path, cells: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "folds"
    real = folds.train_run

    def stop_at_the_second(*arguments: object, **options: object) -> None:
        if arguments[1] == out / "fold-2":
            raise KeyboardInterrupt
        real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folds, "train_run", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train_folds(cells, out, COUNT, SHORT, FLOAT, progress=False)
    with pytest.raises(IcsortError, match="fold-2: is not finished"):
        folds_in(out)
    done = (out / "fold-1" / "checkpoint.pt").stat().st_mtime_ns
    monkeypatch.setattr(folds, "train_run", real)
    train_folds(cells, out, COUNT, SHORT, FLOAT, progress=False, jobs=2)
    assert (out / "fold-1" / "checkpoint.pt").stat().st_mtime_ns == done
    for number in range(1, COUNT + 1):  # and processes side by side give the same networks
        name = f"fold-{number}/checkpoint.pt"
        weights = [torch.load(each / name, weights_only=True) for each in (out, float_folder)]
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])


def test_another_plan_is_refused_or_replaced(float_folder: Path, cells: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    shutil.copytree(float_folder, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(IcsortError, match="another plan"):
        train_folds(cells, out, COUNT, Recipe(epochs=1, batch=16, turns=1), FLOAT, progress=False)
    with pytest.raises(IcsortError, match=r"notes\.txt"):
        train_folds(cells, out, COUNT, Recipe(epochs=1, batch=16, turns=1), FLOAT, progress=False, force=True)
    assert (out / "fold-1" / "config.json").is_file()
    (out / "notes.txt").unlink()
    train_folds(cells, out, COUNT, Recipe(epochs=1, batch=16, turns=1), FLOAT, progress=False, force=True)
    assert len((out / "fold-1" / "history.csv").read_text().splitlines()) == 2


def test_each_fold_begins_from_its_own(float_folder: Path, cells: Dataset, tmp_path: Path) -> None:
    """In another order, merged and with another seed: a cell is tested in the fold that it was tested in."""
    turned = cells.subset(np.arange(len(cells.images))[::-1]).with_merged_classes({"Big": ["Large", "Mitotic"]})
    sources = Sources(start=float_folder)
    train_folds(turned, tmp_path / "next", COUNT, SHORT, FLOAT, sources=sources, seed=5, progress=False)
    for first, second in zip(splits_of(float_folder), splits_of(tmp_path / "next"), strict=True):
        for part in first:
            assert {cells.images[i].tobytes() for i in first[part]} == {
                turned.images[i].tobytes() for i in second[part]
            }
    with pytest.raises(IcsortError, match="holds 3 folds, not 4"):
        train_folds(cells, tmp_path / "four", 4, SHORT, FLOAT, sources=sources, progress=False)
    with pytest.raises(IcsortError, match="tested in two folds"):
        train_folds(
            cells, tmp_path / "one", COUNT, SHORT, FLOAT, sources=Sources(start=float_folder / "fold-1"), progress=False
        )
    with pytest.raises(IcsortError, match="--folds"):
        train_run(cells, tmp_path / "run", SHORT, sources=sources, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["next"]


def test_float_folds_have_no_packages(float_folder: Path, cells: Dataset) -> None:
    every = folds_in(float_folder)
    report, decisions = evaluate_folds(every, cells)
    assert [row["arithmetic"] for row in report["comparison"]] == ["float"] * 4
    assert len(decisions.labels) == 100
    right = sum(int(np.trace(json.loads((fold.run / "metrics.json").read_text())["confusion_test"])) for fold in every)
    assert report["accuracy"]["value"] == pytest.approx(right / 100)
    assert not list(float_folder.glob("package-*"))


def test_the_commands(stacks: Path, tmp_path: Path, cells: Dataset) -> None:
    out = tmp_path / "folds"
    train = ["train", "--data", stacks, "--channels", ",".join(cells.channels), "--min-class", "10", "--epochs", "1"]
    words = [*train, "--turns", "1", "--float", "--folds", "3", "--out", out, "--json"]
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert json.loads((out / "evaluation.json").read_text()) == report
    assert "every cell once" in (out / "report.html").read_text()
    again = ["evaluate", out, "--data", stacks, "--channels", ",".join(cells.channels), "--json"]
    result = CliRunner().invoke(app, [*map(str, again)], catch_exceptions=False)
    assert json.loads(result.stdout)["confusion"] == report["confusion"]


def test_a_cluster_that_is_not_there_leaves_nothing(stacks: Path, tmp_path: Path) -> None:
    words = ["train", "--data", str(stacks), "--min-class", "10", "--float", "--out", str(tmp_path / "folds")]
    for more, said in (
        (["--folds", "3", "--ray", "head"], "give HOST:PORT"),
        (["--folds", "3", "--ray", "auto", "--jobs", "2"], "give one of them"),
        (["--ray", "auto"], "give --folds too"),
        (["--jobs", "2"], "give --folds too"),
    ):
        with pytest.raises(IcsortError, match=said):
            CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
        assert not list(tmp_path.iterdir())


def test_the_drop_on_new_groups(float_folder: Path, cells: Dataset, stacks: Path, tmp_path: Path) -> None:
    """One fold a group beside folds that know no groups: the drop is the difference of the two, told as such."""
    names = np.array(["day 1", "day 2", "day 3"])
    days = replace(cells, groups=names[np.random.default_rng(1).integers(0, 3, len(cells.labels))])
    grouped = tmp_path / "grouped"
    made = train_folds(days, grouped, COUNT, SHORT, FLOAT, progress=False)
    tested = [json.loads((fold.run / "split.json").read_text())["test"] for fold in made]
    assert days.groups is not None
    assert sorted(set(days.groups[indices].tolist()).pop() for indices in tested) == names.tolist()
    assert all(len(set(days.groups[indices].tolist())) == 1 for indices in tested)
    words = ["evaluate", grouped, "--data", stacks, "--channels", ",".join(cells.channels), "--beside", float_folder]
    said = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    figures, other = json.loads(said.stdout), evaluate_folds(folds_in(float_folder), cells)[0]
    beside = figures["beside"]
    assert beside["balanced_accuracy"] == other["balanced_accuracy"]
    difference = other["balanced_accuracy"]["value"] - figures["balanced_accuracy"]["value"]
    assert beside["drop"]["value"] == pytest.approx(difference)
    assert beside["drop"]["low"] < difference < beside["drop"]["high"]
    with pytest.raises(IcsortError, match="other classes"):
        lay_beside(figures, {**other, "classes": other["classes"][1:]})
    with pytest.raises(IcsortError, match="other cells"):
        lay_beside(figures, {**other, "cells": other["cells"] + 1})
    with pytest.raises(IcsortError, match="--beside compares folds"):
        CliRunner().invoke(
            app, ["evaluate", "none", "--data", str(stacks), "--beside", str(grouped)], catch_exceptions=False
        )


@pytest.mark.full
@pytest.mark.xdist_group("ray")
def test_eight_folds_on_a_cluster_one_worker_of_which_is_killed(
    cells: Dataset, tmp_path: Path, ray_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight jobs, two workers, one of which is killed in the middle of a training: the networks of one process."""
    local = train_folds(cells, tmp_path / "local", 8, SHORT, FLOAT, progress=False)
    real, killed = folds.train_run, tmp_path / "killed"

    def train(*arguments: Any, **options: Any) -> None:
        if arguments[1].name == "fold-3" and not killed.exists():
            killed.touch()
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
        real(*arguments, **options)

    monkeypatch.setattr(folds, "train_run", train)
    monkeypatch.chdir(tmp_path)
    far = train_folds(cells, Path("cluster"), 8, SHORT, FLOAT, ray=ray_cluster, progress=False)
    assert killed.exists()
    for here, there in zip(local, far, strict=True):
        weights = [torch.load(fold.run / "checkpoint.pt", weights_only=True) for fold in (here, there)]
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
        metrics = [json.loads((fold.run / "metrics.json").read_text()) for fold in (here, there)]
        assert [each.pop("seconds") > 0 for each in metrics] == [True, True]
        assert metrics[0] == metrics[1]
