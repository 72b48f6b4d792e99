# SPDX-License-Identifier: Apache-2.0
"""What a network looks at: saliency maps, the worth of each channel, the last layer's map of the cells, confusions.

A training run is explained by gradients (Simonyan et al. 2013), a model package by occlusion (Zeiler and Fergus 2014),
which needs no gradient and so explains the very integers that hardware computes. Both are captum's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from icsort.formats.acquisition import Acquisition
from icsort.formats.integer import BATCH, IntegerNetwork
from icsort.formats.run import CONFIG_FILE
from icsort.quant.cells.counts import Digitization
from icsort.quant.evaluation import metrics
from icsort.quant.evaluation.evaluate import (
    Cells,
    Wanted,
    cut_some,
    float_decisions,
    merge_classes,
    read_cells,
)
from icsort.quant.evaluation.metrics import Decisions
from icsort.quant.training.runs import load_run

EXPLANATION_FILE = "explanation.json"
FORMAT = "icsort-explanation"
VERSION = 1
MOVES = range(-4, 4)  # pixels, along lines and columns: all places of a pixel on a grid of strides up to 8
PATCH, STRIDE = 7, 3  # pixels that occlusion hides at once, and between two places
COMPONENTS = 50  # of the principal components that t-SNE starts from, as its authors do
PERPLEXITY = 30.0
PAIRS = 6


@dataclass(frozen=True)
class Subject:
    """A network to explain, from a package or a run.

    logits, features: (N, C, H, W) float pixels to (N, classes) and (N, features). differentiable: whether gradients
    reach the pixels. identity: the package's model id, or the run's name. temperature: of the logits.
    """

    identity: str
    wanted: Wanted
    acquisition: Acquisition
    logits: Callable[[Tensor], Tensor]
    features: Callable[[Tensor], Tensor]
    differentiable: bool
    temperature: float


@dataclass(frozen=True)
class Explanation:
    """What was found, beside the machine-readable report.

    pixels: (E, H, W, C) uint8 of every event. shown: (S,) events with a saliency map, class after class; `maps`
    (S, H, W), not negative. places: (E, 2), the last layer's map of the cells. pairs: true class, decision and events
    of each confusion.
    """

    pixels: NDArray[np.uint8]
    decisions: Decisions
    shown: NDArray[np.int64]
    maps: NDArray[np.float64]
    places: NDArray[np.float64]
    pairs: list[tuple[int, int, NDArray[np.int64]]]


def read_subject(folder: Path) -> Subject:
    """The network of a training run or of a model package. Raises IcsortError for a folder that is neither."""
    if (folder / CONFIG_FILE).is_file():
        run = load_run(folder)
        return Subject(
            run.name,
            Wanted.by_run(run),
            run.config,
            run.model,
            run.model.embed,
            True,
            run.temperature,
        )
    network = IntegerNetwork(folder)
    package = network.manifest

    def integers(pixels: Tensor) -> NDArray[np.uint8]:
        return pixels.permute(0, 2, 3, 1).to(torch.uint8).numpy()

    return Subject(
        package.model_id,
        Wanted.by_package(package, folder),
        package,
        lambda pixels: torch.from_numpy(network.logits(integers(pixels)) * package.logits.scale),
        lambda pixels: torch.from_numpy(network.features(integers(pixels))),
        False,
        package.logits.temperature,
    )


def explain(
    folder: Path,
    data: Path,
    *,
    channels: Sequence[str] | None = None,
    maps: int = 3,
    limit: int = 2000,
    seed: int = 0,
    digitization: Digitization | None = None,
) -> tuple[dict[str, Any], Explanation]:
    """Explain a package or a run on labelled cells.

    channels, digitization: as in cells.find.read_pieces. maps: saliency maps of a class. limit: at most this many
    cells, drawn with the seed. Returns the machine-readable report and what the pictures are made of. Raises
    IcsortError as icsort.quant.evaluation.evaluate.read_cells does.
    """
    subject = read_subject(folder)
    cells = read_cells(data, subject.wanted, channels, digitization=digitization)
    cells = replace(cells, dataset=cells.dataset.some(limit, seed))
    acquisition = subject.acquisition
    cuts = [(begin + cut.cells, cut.windows) for begin, cut in cut_some(cells, acquisition)]
    events = np.concatenate([cells_of for cells_of, _ in cuts])
    pixels = acquisition.pixels(np.concatenate([windows for _, windows in cuts]))
    groups = merge_classes(subject.wanted.classes, {})
    logits = in_batches(subject.logits, pixels)
    decisions = float_decisions(cells, events, logits, subject.temperature, groups)
    empty = cells.background.pixel(acquisition)
    shown = choose(decisions, maps, seed)
    saliency_maps = saliency(subject, pixels[shown], decisions.labels[shown], empty)
    pairs = confusions(decisions)
    features = in_batches(subject.features, pixels)
    explanation = Explanation(pixels, decisions, shown, saliency_maps, embed(features, seed), pairs)
    names = decisions.names
    report = {
        "format": FORMAT,
        "version": VERSION,
        "network": subject.identity,
        "data": {"origin": cells.dataset.origin, "part": cells.part, "cells": len(cells.dataset.images)},
        "channels": list(subject.wanted.channels),
        "classes": list(names),
        "method": "gradient" if subject.differentiable else "occlusion",
        "without_channel": [
            {"channel": name, **_without(subject, cells, events, pixels, index, empty)}
            for index, name in enumerate(subject.wanted.channels)
        ],
        "with_all_channels": _scores(decisions),
        "confused": [
            {
                "class": names[true],
                "taken_for": names[taken],
                "cells": len(where),
                "share": len(where) / int((decisions.labels == true).sum()),
            }
            for true, taken, where in pairs
        ],
        "map": [
            {"class": names[label], "decision": names[best], "x": float(x), "y": float(y)}
            for label, best, (x, y) in zip(decisions.labels, decisions.best, explanation.places, strict=True)
        ],
    }
    return report, explanation


def in_batches(network: Callable[[Tensor], Tensor], pixels: NDArray[np.uint8]) -> NDArray[np.floating]:
    """What a network makes of pixels (N, H, W, C) uint8."""
    with torch.no_grad():
        return np.concatenate([network(part).numpy() for part in torch.split(_tensor(pixels), BATCH)])


def saliency(
    subject: Subject, pixels: NDArray[np.uint8], targets: NDArray[np.int64], empty: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """How much a pixel bears on the logit of its cell's class, at most over channels: (N, H, W), not negative.

    pixels: (N, H, W, C); targets: (N,) classes; empty: (C,) pixel between cells, with which occlusion hides a patch in
    all channels at once.

    Where a convolution strides, some pixels reach more of its windows than their neighbours do, and the gradient of one
    image shows that grid. Noise does not move the grid, so averaging over noise keeps it; here the mean of gradients of
    the image at all MOVES is taken, each moved back.
    """
    inputs, classes = _tensor(pixels), torch.from_numpy(targets)
    if subject.differentiable:
        gradient = captum.attr.Saliency(subject.logits)
        attribution = torch.zeros_like(inputs)
        for move in product(MOVES, MOVES):
            moved = torch.roll(inputs, move, dims=(2, 3)).requires_grad_()
            back = (-move[0], -move[1])
            attribution += torch.roll(gradient.attribute(moved, classes), back, dims=(2, 3)) / len(MOVES) ** 2
    else:
        patch = (inputs.shape[1], *(min(PATCH, side) for side in inputs.shape[2:]))
        hidden = torch.from_numpy(empty).float()[None, :, None, None].expand(1, *inputs.shape[1:])
        attribution = captum.attr.Occlusion(subject.logits).attribute(
            inputs, patch, strides=(patch[0], STRIDE, STRIDE), baselines=hidden, target=classes
        )
    return np.asarray(attribution.detach().abs().amax(dim=1).numpy(), np.float64)


def choose(decisions: Decisions, count: int, seed: int) -> NDArray[np.int64]:
    """Events to show: of each class at most `count` that were recognized, drawn with a seed."""
    draw = np.random.default_rng(seed)
    right = [np.flatnonzero(decisions.right & (decisions.labels == index)) for index in decisions.present]
    return np.concatenate([draw.permutation(where)[:count] for where in right])


def confusions(decisions: Decisions) -> list[tuple[int, int, NDArray[np.int64]]]:
    """The confusions that take the greatest share of their true class, with their events, surest first."""
    table = metrics.confusion(decisions)
    share = np.where(np.eye(len(table), dtype=bool), 0, table / np.maximum(1, table.sum(axis=1, keepdims=True)))
    worst = np.argsort(share, axis=None)[::-1][:PAIRS]
    pairs = [divmod(int(at), len(table)) for at in worst if share.flat[at] > 0]
    confused = []
    for true, taken in pairs:
        where = np.flatnonzero((decisions.labels == true) & (decisions.best == taken))
        confused.append((true, taken, where[np.argsort(-decisions.confidence[where], kind="stable")]))
    return confused


def embed(features: NDArray[np.floating], seed: int) -> NDArray[np.float64]:
    """Places (N, 2) of cells by their features (N, F): t-SNE of the first principal components."""
    if len(features) < 3:
        return np.zeros((len(features), 2))
    components = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(components), np.float64)


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()


def _without(
    subject: Subject,
    cells: Cells,
    events: NDArray[np.int64],
    pixels: NDArray[np.uint8],
    channel: int,
    empty: NDArray[np.uint8],
) -> dict[str, float]:
    """Scores where a channel shows nothing but the space between cells."""
    hidden = pixels.copy()
    hidden[..., channel] = empty[channel]
    groups = merge_classes(subject.wanted.classes, {})
    return _scores(float_decisions(cells, events, in_batches(subject.logits, hidden), subject.temperature, groups))


def _scores(decisions: Decisions) -> dict[str, float]:
    scores = metrics.summary(decisions)
    return {key: scores[key]["value"] for key in ("accuracy", "balanced_accuracy")}
