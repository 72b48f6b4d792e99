# SPDX-License-Identifier: Apache-2.0
"""Self-labelling: wrong labels are mended by what the images show, whatever their orientation."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import adjusted_rand_score

from icsort.errors import IcsortError
from icsort.quant.discovery.self_label import orientation_features, self_label
from icsort.quant.networks.architectures import Architecture
from icsort.quant.training.samples import Samples

SIDE = 16


def samples(seed: int, each: int = 40) -> tuple[Samples, np.ndarray]:
    """Small and large discs in four orientations."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    truth = np.repeat([0, 1], each)
    discs = np.stack([np.hypot(rows + random.normal(), columns + random.normal()) < (3, 6)[kind] for kind in truth])
    upright = (discs * 150 + random.integers(0, 40, discs.shape)).astype(np.uint8)[:, None]
    turned = np.stack([np.rot90(upright, turn, (2, 3)) for turn in range(4)])
    return Samples(torch.from_numpy(turned.copy()), torch.zeros(2 * each, dtype=torch.long), 0, torch.zeros(1)), truth


def test_wrong_labels_are_mended(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icsort.quant.discovery.self_label.MOST_EPOCHS", 10)
    cells, truth = samples(seed)
    first = truth.copy()
    wrong = np.random.default_rng(seed).permutation(len(truth))[:16]
    first[wrong] = 1 - first[wrong]
    said: list[str] = []
    found = self_label(cells, first, Architecture(), 2, 0, said.append)
    assert adjusted_rand_score(truth, found.labels) > adjusted_rand_score(truth, first) + 0.2
    assert len(found.rounds) == len(said) <= 2
    assert found.settled == (found.rounds[-1] >= 0.95)
    assert len(found.features) == len(truth)


def test_features_are_those_of_every_orientation(seed: int) -> None:
    cells, _ = samples(seed, 6)
    torch.manual_seed(seed % 1000)
    network = Architecture().as_float().build(1, 2, SIDE, SIDE)
    turned = Samples(cells.pixels[[1, 2, 3, 0]].flip(-1), cells.labels, 0, cells.empty)
    for one, other in zip(orientation_features(network, cells), orientation_features(network, turned), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5)
    features, posteriors = orientation_features(network, cells)
    logits = network.head(torch.from_numpy(features).float()).detach().numpy()
    assert np.allclose(softmax(logits, axis=1), posteriors, atol=1e-4)


def test_a_cluster_that_is_too_small_is_refused(seed: int) -> None:
    cells, truth = samples(seed, 20)
    first = np.zeros_like(truth)
    first[:5] = 1
    with pytest.raises(IcsortError, match="has 5 of the 40 cells"):
        self_label(cells, first, Architecture(), 1, 0)
