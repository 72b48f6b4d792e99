# SPDX-License-Identifier: Apache-2.0
"""Figures of decisions: against scikit-learn's calibration curve, the bit-true gate, and cases that are known."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score

from icsort.quant.evaluation import metrics
from icsort.quant.evaluation.metrics import Decisions
from icsort.sim.bit_true import gate

CLASSES = ("A", "B", "C")


def decided(logits: np.ndarray, labels: np.ndarray, missed: tuple[int, ...] = (0, 0, 0)) -> Decisions:
    """What a gate with a step of 1/256 octave a logit makes of integer logits (N, 3)."""
    posterior = np.stack([gate.decide(logits, 1 << c, 0, 1, 0)[2] for c in range(3)], axis=1) / 2**16
    return Decisions(CLASSES, labels, gate.decide(logits, 0, 0, 1, 0)[1], posterior, np.array(missed))


@pytest.fixture
def cells(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose posteriors are true: the label is drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 500, (3000, 3)).astype(np.int64)
    return logits, (logits + 256 / np.log(2) * random.gumbel(size=logits.shape)).argmax(axis=1)


def test_true_posteriors_are_calibrated_and_doubled_logits_are_not(cells: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = cells
    good, bold = decided(logits, labels), decided(logits * 3, labels)
    assert metrics.calibration_error(good) < metrics.chance_calibration_error(good)["high"] * 1.5
    assert metrics.calibration_error(bold) > metrics.chance_calibration_error(bold)["high"] * 2
    assert metrics.gate_check(good, None, 0.9)["kept"] is True
    assert metrics.gate_check(bold, None, 0.9)["kept"] is False


def test_calibration_error_is_that_of_sklearn_curve(cells: tuple[np.ndarray, np.ndarray]) -> None:
    found = decided(*cells)
    right, posterior = calibration_curve(found.right, found.confidence, n_bins=metrics.BINS)
    counts = np.histogram(found.confidence, np.linspace(0, 1, metrics.BINS + 1))[0]
    expected = (np.abs(right - posterior) * counts[counts > 0]).sum() / counts.sum()
    assert metrics.calibration_error(found) == pytest.approx(expected, abs=1e-12)
    bins = metrics.calibration_bins(found)
    assert [entry["right"]["value"] for entry in bins] == pytest.approx(right.tolist())
    assert [entry["mean_posterior"] for entry in bins] == pytest.approx(posterior.tolist())


def test_purity_and_yield_are_what_the_gate_sorts(cells: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = cells
    found = decided(logits, labels, missed=(0, 50, 0))
    purity, found_share, thresholds = metrics.purity_and_yield(found, 1)
    wanted = (labels == 1).sum() + 50
    for at in np.linspace(0, len(thresholds) - 1, 20).astype(int):
        passes, _, _ = gate.decide(logits, 0b010, int(thresholds[at] * 2**16), 1, 0)
        assert purity[at] == pytest.approx((labels[passes] == 1).mean())
        assert found_share[at] == pytest.approx((labels[passes] == 1).sum() / wanted)
    passes, _, _ = gate.decide(logits, 0b010, round(0.75 * 2**16), 1, 0)
    check = metrics.gate_check(found, 1, 0.75)
    assert check["sorted"] == passes.sum()
    assert check["purity"]["value"] == pytest.approx((labels[passes] == 1).mean())
    assert check["yield"]["value"] == pytest.approx((labels[passes] == 1).sum() / wanted)


def test_summary(cells: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = cells
    found = metrics.summary(decided(logits, labels))
    best = logits.argmax(axis=1)
    assert found["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(labels, best))
    assert found["accuracy"]["value"] == pytest.approx((best == labels).mean())
    for share in (found["accuracy"], found["balanced_accuracy"], found["classes"][2]["precision"]):
        assert share["low"] < share["value"] < share["high"]
    assert found["classes"][0]["recall"]["value"] == pytest.approx((best[labels == 0] == 0).mean())
    assert np.sum(found["confusion"]) == 3000


def test_classes_without_cells_have_no_figures() -> None:
    logits = np.array([[900, 0, 0], [0, 900, 0], [0, 900, 0]])
    found = metrics.summary(decided(logits, np.array([0, 1, 1]), missed=(0, 0, 4)))
    empty = found["classes"][2]
    assert (empty["cells"], empty["not_triggered"], empty["roc_auc"]) == (0, 4, None)
    assert empty["recall"]["value"] is None
    assert empty["precision"]["value"] is None
    assert found["balanced_accuracy"]["value"] == 1.0
    assert metrics.gate_check(decided(logits, np.array([0, 1, 1])), 2, 0.9)["kept"] is None
    assert [len(part) for part in metrics.purity_and_yield(decided(logits, np.array([0, 1, 1])), 2)] == [0, 0, 0]
