# SPDX-License-Identifier: Apache-2.0
"""Explanations of a run and of its package: maps see what decides, figures are those of the decisions."""

import json
from dataclasses import replace
from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.quant.cells.find import Dataset
from icsort.quant.evaluation.evaluate import Wanted
from icsort.quant.evaluation.explain import Subject, choose, confusions, embed, explain, saliency
from icsort.quant.evaluation.metrics import Decisions
from tests.quant.evaluation.test_evaluate import Pictures


def planted(differentiable: bool) -> Subject:
    """A network whose logit of class 1 is one spot of channel 1, seen through a mask."""
    mask = torch.zeros(2, 16, 16)
    mask[1, 4:7, 9:12] = 1.0

    def logits(pixels: torch.Tensor) -> torch.Tensor:
        spot = (pixels * mask).sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(spot), spot], dim=1)

    wanted = Wanted(("A", "B"), ("X", "Y"), None, None, None)  # type: ignore[arg-type]
    return Subject("planted", wanted, lambda _: None, logits, logits, differentiable, 1.0)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("differentiable", [True, False])
def test_saliency_is_where_the_network_looks(differentiable: bool, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(50, 200, (3, 16, 16, 2)).astype(np.uint8)
    maps = saliency(planted(differentiable), pixels, np.array([1, 1, 1]), np.array([0, 0], np.uint8))
    assert maps.shape == (3, 16, 16)
    inside = maps[:, 4:7, 9:12].mean(axis=(1, 2))
    assert (inside > 0).all()
    assert (maps[:, 13:] == 0).all()  # further away than a patch reaches
    assert (inside >= maps.max(axis=(1, 2)) * 0.5).all()


def on_the_grid(maps: np.ndarray, period: int) -> float:
    """Share of the maps' power (N, H, W), less their means, that repeats with the period."""
    power = np.abs(np.fft.fft2(maps - maps.mean(axis=(1, 2), keepdims=True))) ** 2
    step = maps.shape[1] // period
    return float(power[:, ::step, ::step].sum() / power.sum())


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_strides_leave_no_grid_in_a_saliency_map(strides: int, seed: int) -> None:
    torch.manual_seed(seed)
    layers: list[torch.nn.Module] = []
    for index in range(strides):
        layers += [torch.nn.Conv2d(8 if index else 2, 8, 3, stride=2, padding=1), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 2))
    subject = replace(planted(True), logits=network)
    pixels = np.random.default_rng(seed).integers(0, 60, (4, 32, 32, 2)).astype(np.uint8)
    pixels[:, 10:22, 8:20] += 150
    targets = np.array([0, 1, 0, 1])
    inputs = torch.from_numpy(pixels.transpose(0, 3, 1, 2)).float().requires_grad_()
    plain = captum.attr.Saliency(network).attribute(inputs, torch.from_numpy(targets)).amax(dim=1).numpy()
    maps = saliency(subject, pixels, targets, np.array([0, 0], np.uint8))
    assert on_the_grid(plain, 2**strides) > 0.1
    assert on_the_grid(maps, 2**strides) < on_the_grid(plain, 2**strides) / 3


def test_confusions_are_ordered_by_share_and_sureness() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    best = np.array([0, 1, 1, 0, 2, 1, 2, 2])
    posterior = np.full((8, 3), 0.1)
    posterior[np.arange(8), best] = [0.9, 0.5, 0.8, 0.9, 0.6, 0.9, 0.9, 0.9]
    decisions = Decisions(("A", "B", "C"), labels, best, posterior, np.zeros(3, np.int64))
    found = {(true, taken): events.tolist() for true, taken, events in confusions(decisions)}
    assert found == {(0, 1): [2, 1], (1, 2): [4]}
    assert sorted(choose(decisions, 2, 0).tolist()) == [0, 3, 5, 6, 7]


def test_the_map_keeps_apart_what_is_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    label = np.repeat([0, 1], 40)
    places = embed(random.normal(0, 1, (80, 30)) + 20 * label[:, None], seed=0)
    assert places.shape == (80, 2)
    nearest = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(80) * 1e9
    assert (label[nearest.argmin(axis=1)] == label).all()


def test_a_package_and_its_run_agree(package_folder: Path, run_folder: Path, dataset: Dataset) -> None:
    heldout = run_folder / "heldout.npz"
    of_package, found = explain(package_folder, heldout, maps=1)
    of_run, _ = explain(run_folder, heldout, maps=1)
    assert (of_package["method"], of_run["method"]) == ("occlusion", "gradient")
    assert of_package["with_all_channels"] == of_run["with_all_channels"]
    assert [entry["channel"] for entry in of_package["without_channel"]] == list(dataset.channels)
    assert len(of_package["map"]) == len(found.pixels)
    wrong = int((~found.decisions.right).sum())
    assert sum(entry["cells"] for entry in of_package["confused"]) <= wrong


def test_hiding_a_channel_that_decides_costs_accuracy(package_folder: Path, run_folder: Path) -> None:
    report, _ = explain(package_folder, run_folder / "heldout.npz", maps=1, limit=12, seed=3)
    assert report["data"]["cells"] == 12
    hidden = [entry["accuracy"] for entry in report["without_channel"]]
    assert min(hidden) < report["with_all_channels"]["accuracy"]


def test_command(package_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "explanation"
    words = ["explain", package_folder, "--data", run_folder / "heldout.npz", "--out", out, "--maps", 1, "--json"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert json.loads((out / "explanation.json").read_text()) == figures
    page = Pictures()
    page.feed((out / "report.html").read_text())
    assert page.loaded == []
    assert len(page.embedded) == 2 + bool(figures["confused"])
