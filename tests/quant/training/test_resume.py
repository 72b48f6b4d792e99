# SPDX-License-Identifier: Apache-2.0
"""Trainings that are killed, diverge or meet a full disk."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from icsort.errors import IcsortError
from icsort.output import RECORD_FILE
from icsort.quant.cells.find import Dataset
from icsort.quant.networks.architectures import Architecture
from icsort.quant.training import fitting
from icsort.quant.training.checkpoint import STATE_FILE, Checkpoint
from icsort.quant.training.fitting import EpochChoice
from icsort.quant.training.recipe import SCHEDULES, Recipe
from icsort.quant.training.tasks import Classification
from icsort.quant.training.train import train_run

REPOSITORY = Path(__file__).parents[3]
OPTIONS = ("--generated", "--limit", "40", "--min-class", "10", "--epochs", "6", "--batch", "16", "--average", "0.9")


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "icsort", "train", "--out", str(out), "--arch", "resnet8", *OPTIONS, *more]


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    subprocess.run(command(tmp_path / "whole"), cwd=REPOSITORY, check=True, capture_output=True)
    with subprocess.Popen(
        command(tmp_path / "cut"), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        state = Checkpoint(tmp_path / "cut").folder / STATE_FILE
        seen: set[int] = set()
        while len(seen) < 2 and process.poll() is None:  # two epochs are saved: kill it in the third
            if state.is_file():
                seen.add(state.stat().st_mtime_ns)
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()
    done = len(torch.load(state, weights_only=True)["fitting"]["progress"]["history"])
    assert 2 <= done < 6
    refused = subprocess.run(command(tmp_path / "cut"), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    subprocess.run(command(tmp_path / "cut", "--resume"), cwd=REPOSITORY, check=True, capture_output=True)
    weights = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "cut")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("whole", "cut")]
    assert histories[0] == histories[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]


def test_a_full_disk_leaves_the_epoch_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.write({"epoch": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(IcsortError, match="disk is full"):
            checkpoint.write({"epoch": 2})
    assert checkpoint.begin(resume=True, force=False) == {"epoch": 1}
    assert {path.name for path in checkpoint.folder.iterdir()} == {RECORD_FILE, STATE_FILE}


def test_a_training_of_an_earlier_version_is_not_resumed(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("icsort.quant.training.train.write_heldout", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_run(dataset.limited(12, seed=0), out, Recipe(epochs=1), progress=False)
    checkpoint = Checkpoint(out)
    state = checkpoint.begin(resume=True, force=False)
    assert state is not None
    state["fitting"]["history"] = state["fitting"].pop("progress")["history"]
    checkpoint.write(state)
    with pytest.raises(IcsortError, match="earlier version"):
        train_run(dataset.limited(12, seed=0), out, Recipe(epochs=1), resume=True, progress=False)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_states_that_cannot_be_resumed(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(IcsortError, match="no unfinished training"):
        train_run(dataset, out, Recipe(epochs=1), resume=True, progress=False)
    Checkpoint(out).write({"configuration": {"seed": 5}})
    with pytest.raises(IcsortError, match="other cells or options"):
        train_run(dataset, out, Recipe(epochs=1), resume=True, progress=False)
    (Checkpoint(out).folder / STATE_FILE).write_text("half")
    with pytest.raises(IcsortError, match="cannot be read"):
        train_run(dataset, out, Recipe(epochs=1), resume=True, progress=False)


def test_a_loss_that_is_no_number_ends_the_training(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_number(_: Classification, logits: torch.Tensor, __: torch.Tensor) -> torch.Tensor:
        return (logits * float("nan")).sum()

    monkeypatch.setattr(Classification, "loss", no_number)
    with pytest.raises(IcsortError, match=r"diverged in epoch 1.*learning-rate"):
        train_run(dataset, tmp_path / "run", Recipe(epochs=3), Architecture("resnet8").as_float(), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_state_holds_nothing_that_runs(schedule: str, dataset: Dataset, tmp_path: Path) -> None:
    """Every state can be read without running code, and one that would run code is refused."""
    out, few = tmp_path / "run", dataset.limited(12, seed=0)
    recipe = Recipe(epochs=2, batch=16, schedule=schedule, average=0.9, turns=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("icsort.quant.training.train.write_heldout", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_run(few, out, recipe, progress=False)
    state = torch.load(Checkpoint(out).folder / STATE_FILE, weights_only=True)
    assert len(state["fitting"]["progress"]["history"]) == 2
    train_run(few, out, recipe, resume=True, progress=False)


def test_a_state_that_would_run_code_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run")
    checkpoint.write({"configuration": Opens(tmp_path / "opened")})
    with pytest.raises(IcsortError, match=r"cannot be read.*--force") as caught:
        checkpoint.begin(resume=True, force=False)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "opened").exists()


class Opens:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_an_epoch_whose_validation_loss_is_no_number_is_never_chosen(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = EpochChoice()
    assert progress.add({"epoch": 1}, np.asarray([1.0, 2.0]))
    for wrong in (np.nan, np.inf):
        with pytest.raises(IcsortError, match=r"diverged in epoch 2 \(the validation loss is"):
            progress.add({"epoch": 2}, np.asarray([1.0, wrong]))
    assert (progress.best_epoch, len(progress.history)) == (1, 1)
    monkeypatch.setattr(fitting, "predict", lambda *_: torch.full((5, 5), float("nan")))
    with pytest.raises(IcsortError, match=r"diverged in epoch 1.*learning-rate"):
        train_run(dataset.limited(10, seed=0), tmp_path / "run", Recipe(epochs=1, turns=1), progress=False)
    assert list(tmp_path.iterdir()) == []
