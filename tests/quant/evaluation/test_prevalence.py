# SPDX-License-Identifier: Apache-2.0
"""Figures for a sample of another class mix: against scikit-learn's weights and against cells drawn in that mix."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.commands.words import parse_prevalence
from icsort.quant.evaluation import metrics
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.evaluation.prevalence import in_sample, prevalences, weights

NAMES = ("A", "B", "C")
POSTERIOR = 39322 / 2**16  # as the hardware has it: no cell lies between this and 0.6


def draw(random: np.random.Generator, shares: tuple[float, ...], count: int) -> Decisions:
    """Cells of three classes whose best class and posterior depend on the class alone; of B, a tenth never trigger."""
    labels = random.choice(3, count, p=shares)
    seen = (labels != 1) | (random.random(count) > 0.1)
    logits = random.normal(0, 1, (count, 3)) + 1.2 * np.eye(3)[labels]
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    missed = np.bincount(labels[~seen], minlength=3)
    return Decisions(NAMES, labels[seen], posterior[seen].argmax(axis=1), posterior[seen], missed)


def test_point_values_are_those_of_weighted_cells(seed: int) -> None:
    found = draw(np.random.default_rng(seed), (0.4, 0.3, 0.3), 600)
    sample = in_sample(found, {"B": 0.02, "C": 0.5}, POSTERIOR)
    weight = weights(found, np.asarray([*sample["prevalence"].values()]))
    assert sample["accuracy"]["value"] == pytest.approx(accuracy_score(found.labels, found.best, sample_weight=weight))
    for index, gate in enumerate(sample["gates"][1:]):
        said = metrics.sorted_cells(found, index, POSTERIOR)
        truth = found.labels == index
        assert gate["purity"]["value"] == pytest.approx(precision_score(truth, said, sample_weight=weight))
        seen = truth.sum() / (truth.sum() + found.missed[index])
        assert gate["yield"]["value"] == pytest.approx(recall_score(truth, said) * seen)
        assert gate["sorted"] == pytest.approx(weight[said].sum())
        curve, _, thresholds = metrics.purity_and_yield(found, index, weight)
        assert curve[np.searchsorted(thresholds, POSTERIOR)] == pytest.approx(gate["purity"]["value"])
    said = metrics.sorted_cells(found, None, POSTERIOR)
    pooled = sample["gates"][0]
    assert pooled["purity"]["value"] == pytest.approx(np.average(found.right[said], weights=weight[said]))
    assert pooled["yield"]["value"] == pytest.approx(weight[said & found.right].sum())


def test_the_data_s_own_mix_changes_nothing(seed: int) -> None:
    found = draw(np.random.default_rng(seed), (0.4, 0.3, 0.3), 600)
    mix = (np.bincount(found.labels) + found.missed) / 600
    sample, plain = in_sample(found, dict(zip(NAMES, mix, strict=True)), POSTERIOR), metrics.summary(found)
    assert sample["accuracy"]["value"] == pytest.approx(plain["accuracy"]["value"])
    for index, gate in zip((None, 0, 1, 2), sample["gates"], strict=True):
        check = metrics.gate_check(found, index, POSTERIOR)
        for key in ("purity", "yield"):
            assert gate[key]["value"] == pytest.approx(check[key]["value"])


def test_intervals_hold_what_a_large_sample_of_that_mix_shows(seed: int) -> None:
    random = np.random.default_rng(seed)
    shares = (0.9, 0.02, 0.08)
    truth = draw(random, shares, 400_000)
    held, checks = 0, 0
    for _ in range(60):
        sample = in_sample(draw(random, (0.4, 0.3, 0.3), 300), dict(zip(NAMES, shares, strict=True)), POSTERIOR)
        for index, gate in zip((None, 0, 1, 2), sample["gates"], strict=True):
            check = metrics.gate_check(truth, index, POSTERIOR)
            for key in ("purity", "yield"):
                held += gate[key]["low"] <= check[key]["value"] <= gate[key]["high"]
                checks += 1
    assert 0.88 < held / checks < 1  # 0.95 is meant; 480 checks of 60 draws, eight of each dependent


def test_no_mistake_seen_is_not_taken_for_none_made() -> None:
    labels = np.repeat([0, 1], [40, 10])
    sure = Decisions(("Common", "Rare"), labels, labels, np.eye(2)[labels], np.zeros(2, np.int64))
    purity = in_sample(sure, {"Rare": 0.001}, 0.9)["gates"][2]["purity"]
    assert purity["value"] == purity["high"] == 1
    assert purity["low"] < 0.1  # one of forty common cells would be 25 times the rare ones


def test_classes_that_are_not_named_share_the_rest_as_in_the_data() -> None:
    labels = np.repeat([0, 1, 2], [30, 10, 40])
    found = Decisions((*NAMES, "D"), labels, labels, np.eye(4)[labels], np.array([0, 0, 0, 0]))
    assert prevalences(found, {"C": 0.2}) == pytest.approx([0.6, 0.2, 0.2, 0])
    assert prevalences(found, {"A": 0.3, "B": 0.3, "C": 0.4}) == pytest.approx([0.3, 0.3, 0.4, 0])
    for wrong, match in (
        ({"E": 0.1}, "the class E; there are A, B, C, D"),
        ({"A": -0.1}, "from 0 to 1"),
        ({"A": float("nan")}, "from 0 to 1"),
        ({"D": 0.1}, "no cell of it"),
        ({"A": 0.9, "B": 0.2}, r"add up to 1\.1"),
        ({"A": 0.3, "B": 0.3, "C": 0.3}, r"add up to 0\.9"),
    ):
        with pytest.raises(IcsortError, match=match):
            prevalences(found, wrong)


def test_words_of_prevalence() -> None:
    assert parse_prevalence(["A=0.1", " B = 1e-3"]) == {"A": 0.1, "B": 0.001}
    for wrong in (["A"], ["A=x"], ["=0.1"], ["A=0.1", "A=0.2"]):
        with pytest.raises(IcsortError, match="--prevalence"):
            parse_prevalence(wrong)


def test_command_shows_the_sample(package_folder: Path, run_folder: Path, tmp_path: Path) -> None:
    words = ["evaluate", str(package_folder), "--data", str(run_folder / "heldout.npz"), "--prevalence", "Mitotic=0.01"]
    out = tmp_path / "evaluation"
    result = CliRunner().invoke(app, [*words, "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "in the sample" in result.stdout
    sample = json.loads((out / "evaluation.json").read_text())["sample"]
    assert sample["prevalence"]["Mitotic"] == 0.01
    assert sum(sample["prevalence"].values()) == pytest.approx(1)
    assert "in your sample" in (out / "report.html").read_text()
