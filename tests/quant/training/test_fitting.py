# SPDX-License-Identifier: Apache-2.0
"""The loss and what a batch shows, against NumPy's and SciPy's arithmetic; every option reaches the weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from icsort.quant.acquire.choose import choose_setup
from icsort.quant.cells.dataset import Dataset
from icsort.quant.networks.architectures import Architecture
from icsort.quant.training.fitting import Fitting
from icsort.quant.training.processes import Processes
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.samples import Samples, class_weights, make_samples
from icsort.quant.training.tasks import Classification

ALONE = Processes(1, 0, torch.device("cpu"))


@pytest.fixture(scope="module")
def samples(dataset: Dataset) -> Samples:
    few = dataset.subset(np.flatnonzero((dataset.labels > 0) | (np.arange(len(dataset.images)) % 40 < 8)))
    setup = choose_setup(few.images, few.channels)
    return make_samples(few, setup.acquisition, setup.background)


def fitting(samples: Samples, recipe: Recipe, teacher_logits: torch.Tensor | None = None) -> Fitting:
    torch.manual_seed(0)
    model = Architecture().as_float().build(3, 5, 40, 40)
    weights = class_weights(samples.labels, tuple("abcde"), recipe.balance)
    teacher = None if teacher_logits is None else lambda pixels: teacher_logits[: len(pixels)]
    task = Classification(weights, recipe.label_smoothing, recipe.softness)
    return Fitting(model, samples, samples, recipe, task, 0, ALONE, teacher)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("share", [None, 0.0, 0.6])
def test_the_loss_is_weighted_smoothed_and_follows_the_teacher(
    samples: Samples, smoothing: float, share: float | None, seed: int
) -> None:
    recipe = Recipe(balance=1.0, label_smoothing=smoothing, distillation=share or 0.0, softness=3.0)
    teacher = None if share is None else torch.from_numpy(np.random.default_rng(seed).normal(0, 4, (64, 5)))
    training = fitting(samples, recipe, teacher)
    pixels, labels = samples.upright()[-64:].float(), samples.labels[-64:].clone()
    labels[::4] = 0  # the rare class
    found = float(training._loss(pixels, labels))
    with torch.no_grad():
        logits = training.model(pixels).double().numpy()
    truth, frequency = labels.numpy(), np.bincount(samples.labels.numpy()) / len(samples.labels)
    weights = 1 / frequency / (1 / frequency).mean()
    losses = -log_softmax(logits, axis=1) * weights  # each class as if it were the truth
    one = np.eye(5)[truth] * (1 - smoothing) + smoothing / 5
    expected = (losses * one).sum() / weights[truth].sum()
    if teacher is not None:
        wanted, student = softmax(teacher.numpy() / 3, axis=1), softmax(logits / 3, axis=1)
        divergence = rel_entr(wanted, student).sum(axis=1).mean() * 9
        expected = (1 - recipe.distillation) * expected + recipe.distillation * divergence
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_teacher_is_approached(samples: Samples, seed: int) -> None:
    """With nothing but the teacher to learn from, the divergence from its answers falls."""
    teacher = torch.from_numpy(np.random.default_rng(seed).normal(0, 2, (1, 5))).float().repeat(len(samples.labels), 1)
    training = fitting(samples, Recipe(epochs=6, batch=16, distillation=1.0, schedule="constant"), teacher)
    before = float(training._loss(samples.upright().float(), samples.labels))
    training.run(lambda _: None, progress=False)
    assert float(training._loss(samples.upright().float(), samples.labels)) < before / 2


def changed(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    for name, value in {
        "balance": 1.0,
        "label_smoothing": 0.3,
        "weight_decay": 0.5,
        "jitter": 0.3,
        "shift": 5,
        "learning_rate": 1e-3,
        "schedule": "cosine",
    }.items():
        yield name, recipe.with_({name: value})


def test_every_number_of_the_recipe_changes_the_weights(samples: Samples) -> None:
    """After one epoch, so that it is the training itself that differs, not the choice of the epoch."""
    plain = Recipe(epochs=1, batch=16, balance=0.0)

    def weights(recipe: Recipe) -> dict[str, Any]:
        training = fitting(samples, recipe)
        training.run(lambda _: None, progress=False)
        return {name: value.clone() for name, value in training.model.state_dict().items()}

    first, again = weights(plain), weights(plain)
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name, recipe in changed(plain):
        assert not torch.equal(weights(recipe)["head.weight"], first["head.weight"]), name


def test_jitter_scales_each_channel_about_its_background(samples: Samples, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    jitter, cells = 0.2, torch.arange(len(samples.labels)).repeat(8)
    batch = samples.batch(cells, 0, jitter, draw).numpy()
    empty = samples.empty.numpy()[:, None, None]
    plain = samples.upright()[cells].float().numpy()
    # mirrored or not: whichever is nearer, by the correlation of the contrasts
    contrasts = [turned - empty for turned in (plain, plain[..., ::-1])]
    seen = batch - empty
    dots = np.stack([(seen * contrast).sum(axis=(1, 2, 3)) for contrast in contrasts])
    contrast = np.where((dots[0] >= dots[1])[:, None, None, None], *contrasts)
    inside = (batch > 0) & (batch < 255)
    factors = (seen * contrast * inside).sum(axis=(2, 3)) / np.maximum(1, (contrast**2 * inside).sum(axis=(2, 3)))
    assert factors.mean() == pytest.approx(1, abs=0.05)
    assert factors.std() == pytest.approx(jitter, rel=0.2)
    expected = (empty + contrast * factors[..., None, None]).clip(0, 255)
    assert np.abs(batch - expected)[inside].max() < 3  # one factor for all pixels of a channel, and rounding
    dimmest, brightest = np.quantile(factors, [0.05, 0.95])
    assert dimmest < 0.8 < 1.2 < brightest


def test_a_batch_without_change_is_the_cells_or_their_mirror_images(samples: Samples, seed: int) -> None:
    cells = torch.arange(len(samples.labels))
    batch = samples.batch(cells, 0, 0.0, torch.Generator().manual_seed(seed))
    plain = samples.upright().float()
    same = (batch == plain).flatten(1).all(dim=1)
    mirrored = (batch == plain.flip(-1)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 0.3 < float(mirrored.float().mean()) < 0.7
