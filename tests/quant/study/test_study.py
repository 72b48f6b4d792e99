# SPDX-License-Identifier: Apache-2.0
"""The study: it trains each network once, goes on where it was, and says what comes out in which order."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.commands.study import weight_files
from icsort.quant.networks.architectures import Architecture
from icsort.quant.study import study
from icsort.quant.study.study import Plan, Training, claims, default_channels, run_study
from icsort.quant.study.timing import WARM_UP, inference_time
from tests.quant.evaluation.test_evaluate import Pictures

NETWORKS = ("resnet8", "student")
TINY = {"width_multiplier": 0.25, "stem": "3x3", "epochs": 1, "timed": 3}


def published(path: Path, channels: int) -> Path:
    """Weights as a torchvision file holds them: by order of convolutions and batch norms, and a head."""
    torch.manual_seed(1)
    trunk = Architecture("resnet8", 0.25, weight_bits=None, activation_bits=None, stem="3x3").build(channels, 9, 40, 40)
    state = {key: value for key, value in trunk.state_dict().items() if "head" not in key}
    torch.save({**state, "fc.weight": torch.zeros(1000, 16)}, path)
    return path


def test_study_trains_once_and_reports(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataset.limited(15, 0)
    sets = (dataset.channels, dataset.channels[:1])
    weights = {"resnet8": str(published(tmp_path / "natural.pth", 3))}
    plan = Plan(sets, NETWORKS, weights, **TINY)
    build = tmp_path / "build"
    build.mkdir()
    figures = {"name": "small", "board": "virtual", "clock_mhz": 100.0, "clock_is": "target", "cycles_are": "predicted"}
    figures |= {"interval_cycles": 1600, "last_pixel_latency_cycles": 34}
    (build / "build.json").write_text(json.dumps(figures))
    found = run_study(few, tmp_path / "study", plan, [build])
    names = [result["name"] for result in found["results"]]
    plain = {f"{network}-{count}ch" for network in NETWORKS for count in (3, 1)}
    assert set(names) == plain | {"resnet8-3ch-pretrained", "resnet8-1ch-pretrained"}
    for result in found["results"]:
        metrics = json.loads((tmp_path / "study" / result["name"] / "metrics.json").read_text())
        assert result["accuracy"]["value"] == pytest.approx(metrics["test"]["accuracy"])
        assert result["balanced_accuracy"]["value"] == pytest.approx(metrics["test"]["balanced_accuracy"])
        assert result["inference"]["inputs"] == 3
    assert [claim["claim"] for claim in found["claims"]].count("weights of other images do not help") == 2
    assert (found["fpga"][0]["cell_us"], found["fpga"][0]["last_pixel_to_logits_us"]) == (16.0, 0.34)

    monkeypatch.setattr(study, "train_run", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(study, "inference_time", lambda *_, **__: pytest.fail("timed again"))
    assert run_study(few, tmp_path / "study", plan, [build]) == found
    for other, cells in ((dataclasses.replace(plan, epochs=2), few), (plan, dataset.limited(14, 0))):
        with pytest.raises(IcsortError, match="another plan"):
            run_study(cells, tmp_path / "study", other)
    with pytest.raises(IcsortError, match="is no study"):
        run_study(few, build, plan)
    with pytest.raises(IcsortError, match="is no build"):
        run_study(few, tmp_path / "study", plan, [tmp_path])


def test_an_unfinished_training_goes_on(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left by a killed training is resumed, and gives what an undisturbed study gives."""
    few = dataset.limited(12, 0)
    plan = Plan((dataset.channels,), ("student",), **{**TINY, "epochs": 2})
    whole = run_study(few, tmp_path / "whole", plan)

    from icsort.quant.training.checkpoint import Checkpoint

    write = Checkpoint.write

    def die(self: Checkpoint, state: dict[str, Any]) -> None:
        write(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", die)
        with pytest.raises(KeyboardInterrupt):
            run_study(few, tmp_path / "killed", plan)
    resumed = run_study(few, tmp_path / "killed", plan)
    assert resumed["results"][0]["confusion"] == whole["results"][0]["confusion"]
    weights = [
        torch.load(tmp_path / name / "student-3ch" / "checkpoint.pt", weights_only=True) for name in ("whole", "killed")
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_claims_are_of_signs_and_of_chance() -> None:
    plan = Plan((("X", "Y"), ("X",)), ("resnet50", "resnet18"))

    def result(training: Training, right: int) -> dict[str, Any]:
        table = np.array([[right, 100 - right], [100 - right, right]])
        return {"name": training.name, "confusion": table.tolist(), "balanced_accuracy": {"value": right / 100}}

    rights = (70, 55, 90, 56)  # resnet18 on two channels and one, then resnet50
    results = [result(training, right) for training, right in zip(plan.trainings(), rights, strict=True)]
    found = {(claim["better"], claim["worse"]): claim for claim in claims(results, plan)}
    assert len(found) == 4
    larger = found["resnet50-2ch", "resnet18-2ch"]
    assert (larger["holds"], larger["clear"]) == (True, True)
    assert larger["difference"]["value"] == pytest.approx(0.2)
    assert larger["difference"]["low"] < 0.2 < larger["difference"]["high"]
    chance = found["resnet50-1ch", "resnet18-1ch"]
    assert (chance["holds"], chance["clear"]) == (True, False)
    assert found["resnet18-2ch", "resnet18-1ch"]["clear"]


@pytest.mark.parametrize(("right", "holds"), [(60, True), (73, True), (95, False)])
def test_other_weights_help_only_beyond_chance(right: int, holds: bool) -> None:
    plan = Plan((("X",),), ("resnet18",), {"resnet18": "weights.pth"})
    results = [
        {"name": training.name, "confusion": [[n, 100 - n], [100 - n, n]], "balanced_accuracy": {"value": n / 100}}
        for training, n in zip(plan.trainings(), (70, right), strict=True)
    ]
    (claim,) = claims(results, plan)
    assert claim["holds"] == holds


def test_channels_of_the_study() -> None:
    with pytest.raises(IcsortError, match="ever fewer"):
        Plan((("a", "b"), ("b", "c")))
    seven = ("light loss", "forward", "side", "a", "b", "c", "d")
    assert default_channels(seven) == (seven, seven[:3], seven[:1])
    assert default_channels(("a", "b")) == (("a", "b"), ("a",))


def test_every_timed_input_is_counted_and_no_other() -> None:
    seen: list[torch.Size] = []

    class Network(torch.nn.Linear):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(pixels.shape)
            return super().forward(pixels.flatten(1))

    found = inference_time(Network(2 * 3 * 4, 5), (2, 3, 4), 20)
    assert seen == [(1, 2, 3, 4)] * (20 + WARM_UP)
    assert found["inputs"] == 20
    assert found["mean_ms"] > 0


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "study"
    words = ["study", "--out", out, "--per-class", 10, "--size", 32, "--epochs", 1, "--arch", "student", "--timed", 2]
    result = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert len(found["data"]["classes"]) == 36
    assert [len(entry["channels"]) for entry in found["results"]] == [7, 3, 1]
    assert json.loads((out / "study.json").read_text()) == found
    page = Pictures()
    page.feed((out / "report.html").read_text())
    assert page.loaded == []
    assert len(page.embedded) == 2


def test_words_of_weights(tmp_path: Path) -> None:
    file = published(tmp_path / "natural.pth", 3)
    assert weight_files([f"resnet18={file}"]) == {"resnet18": str(file)}
    for wrong in ("resnet18", f"={file}", f"resnet18={tmp_path / 'nowhere'}"):
        with pytest.raises(IcsortError, match="weights"):
            weight_files([wrong])
