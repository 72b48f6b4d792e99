# SPDX-License-Identifier: Apache-2.0
"""Training of a network of several inputs on some cells, and what it says of others."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from icsort.errors import IcsortError
from icsort.quant.networks.pictures import ORIENTATIONS, oriented
from icsort.quant.response.inputs import Inputs
from icsort.quant.response.network import TABLE, ResponseNetwork
from icsort.quant.training.recipe import check_option

BATCH = 64
SCORED = 256  # cells that are scored at once
OUTLIER = 5.0  # standard deviations at which a column is cut off
JITTER = 0.1  # standard deviation of a brightness added to each channel, in standard deviations
WARM_UP = 0.2  # of the steps


@dataclass(frozen=True)
class Plan:
    """How to train. epochs at most; patience: epochs without a lower loss of the validation cells, after which a
    training ends; members: networks of a fold, each with other groups that choose
    its epoch, whose posteriors are averaged; smoothing: share of a label that all
    classes get; balance: class weights are (1 / frequency) ** balance.

    Raises IcsortError for numbers that cannot train.
    """

    epochs: int = 40
    patience: int = 12
    members: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    dropout: float = 0.4
    smoothing: float = 0.1
    balance: float = 0.7
    shift: int = 2

    def __post_init__(self) -> None:
        limits = {"epochs": (1, 10_000), "patience": (1, 10_000), "members": (1, 100), "learning_rate": (1e-7, 1)}
        for name, (low, high) in (limits | {"smoothing": (0, 0.9), "balance": (0, 2), "dropout": (0, 0.95)}).items():
            check_option({"smoothing": "label_smoothing"}.get(name, name), getattr(self, name), low, high)


@dataclass(frozen=True)
class Answer:
    """Of the tested cells: posterior (n, K), weights (n, inputs) of the attention gate, a mean over its features; and
    the epochs that the networks were taken from."""

    posterior: NDArray[np.float64]
    weights: NDArray[np.float64]
    epochs: tuple[int, ...]


def answer(
    inputs: Inputs,
    used: Sequence[str],
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    test: NDArray[np.int64],
    plan: Plan,
    seed: int,
) -> Answer:
    """Train a network for each of `parts` on the inputs `used`, and ask all of them about the tested cells.

    used: "image", "mask", "distance", "table". parts: of each network, the cells that train it and those that choose
    its epoch; test: those to be told; all indices. Intensities and columns are scaled by the cells of the first part;
    pictures are turned and mirrored, and the answers to all eight orientations averaged.
    """
    torch.set_num_threads(1)  # folds run side by side
    tensors = _scaled(inputs, used, np.concatenate(parts[0]))
    labels = torch.from_numpy(inputs.dataset.labels)
    every = [
        _member(tensors, labels, len(inputs.dataset.classes), *part, test, plan, 1000 * seed + member)
        for member, part in enumerate(parts)
    ]
    return Answer(
        np.mean([posterior for posterior, _, _ in every], axis=0),
        np.mean([weights for _, weights, _ in every], axis=0),
        tuple(epoch for _, _, epoch in every),
    )


def _member(
    tensors: Mapping[str, Tensor],
    labels: Tensor,
    classes: int,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    plan: Plan,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pictures = {name: tensor.shape[1] for name, tensor in tensors.items() if name != TABLE}
        columns = tensors[TABLE].shape[1] if TABLE in tensors else 0
        network = ResponseNetwork(pictures, columns, classes, plan.dropout)
        counts = np.bincount(labels[train], minlength=classes)
        weights = torch.from_numpy((counts.sum() / np.maximum(counts, 1)) ** plan.balance).float()
        weights /= weights[counts > 0].mean()
        loss_of = nn.CrossEntropyLoss(weights, label_smoothing=plan.smoothing)
        optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
        batches = max(1, round(len(train) / BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, plan.learning_rate, total_steps=max(10, batches * plan.epochs) + 1, pct_start=WARM_UP
        )
        least, best_epoch, best = np.inf, 0, network.state_dict()
        for epoch in range(1, plan.epochs + 1):
            network.train()
            order = torch.from_numpy(train)[torch.randperm(len(train), generator=generator)]
            for cells in order.tensor_split(batches):
                logits, _ = network(_shown(tensors, cells, plan.shift, generator))
                loss = loss_of(logits, labels[cells])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            logits, _ = _asked(network, tensors, validation, ORIENTATIONS[:1])
            now = float(loss_of(logits, labels[validation]))
            if not np.isfinite(now):
                raise IcsortError(f"training diverged in epoch {epoch}; give a smaller --learning-rate")
            if now < least:
                least, best_epoch, best = now, epoch, copy.deepcopy(network.state_dict())
            elif epoch - best_epoch >= plan.patience:
                break
        network.load_state_dict(best)
        logits_of, gates = [], []
        for orientation in ORIENTATIONS if pictures else ORIENTATIONS[:1]:
            logits, gate = _asked(network, tensors, test, (orientation,))
            logits_of.append(logits.softmax(dim=1))
            gates.append(gate.mean(dim=2))
    posterior = torch.stack(logits_of).mean(dim=0).double().numpy()
    return posterior, torch.stack(gates).mean(dim=0).double().numpy(), best_epoch


def _scaled(inputs: Inputs, used: Sequence[str], train: NDArray[np.int64]) -> dict[str, Tensor]:
    """The inputs as the network takes them: logarithms of counts and columns, by mean and deviation in training."""
    tensors = {}
    for name in used:
        if name == TABLE:
            values = inputs.table.to_numpy(np.float64)
            mean, deviation = values[train].mean(axis=0), values[train].std(axis=0)
            scaled = np.divide(values - mean, deviation, out=np.zeros_like(values), where=deviation > 0)
            tensors[name] = torch.from_numpy(np.clip(scaled, -OUTLIER, OUTLIER)).float()
        elif name == "image":
            values = np.log1p(inputs.pictures[name])
            mean = values[train].mean(axis=(0, 2, 3), keepdims=True)
            deviation = values[train].std(axis=(0, 2, 3), keepdims=True)
            tensors[name] = torch.from_numpy((values - mean) / np.maximum(deviation, 1e-6)).float()
        else:
            tensors[name] = torch.tensor(inputs.pictures[name])
    return tensors


def _shown(tensors: Mapping[str, Tensor], cells: Tensor, shift: int, generator: torch.Generator) -> dict[str, Tensor]:
    """A batch as training shows it: all pictures of a batch alike turned, mirrored and moved, the image's brightness
    changed a little from cell to cell."""
    turn, mirrored = (int(torch.randint(high, (1,), generator=generator)) for high in (4, 2))
    down, right = (int(torch.randint(-shift, shift + 1, (1,), generator=generator)) for _ in range(2))
    batch = {}
    for name, tensor in tensors.items():
        values = tensor[cells]
        if name != TABLE:
            values = torch.roll(oriented(values, turn, bool(mirrored)), (down, right), dims=(2, 3))
        if name == "image":
            values = values + JITTER * torch.randn((len(cells), values.shape[1], 1, 1), generator=generator)
        batch[name] = values
    return batch


def _asked(
    network: ResponseNetwork,
    tensors: Mapping[str, Tensor],
    cells: NDArray[np.int64],
    orientations: Sequence[tuple[int, bool]],
) -> tuple[Tensor, Tensor]:
    """Logits (n, K) and gate (n, inputs, features) of cells in one orientation."""
    network.eval()
    ((turn, mirrored),) = orientations
    with torch.no_grad():
        parts = [
            network(
                {
                    name: tensor[part] if name == TABLE else oriented(tensor[part], turn, mirrored)
                    for name, tensor in tensors.items()
                }
            )
            for part in torch.from_numpy(cells).split(SCORED)
        ]
    return torch.cat([logits for logits, _ in parts]), torch.cat([gate for _, gate in parts])
