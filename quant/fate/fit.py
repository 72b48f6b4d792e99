# SPDX-License-Identifier: Apache-2.0
"""Training of networks on the lives of some frames, and the risks that they see in others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize
from torch import Tensor

from icsort.errors import IcsortError
from icsort.quant.fate.lives import Lives, Outcomes, windows
from icsort.quant.fate.network import FateNetwork, risks, survival_loss
from icsort.quant.networks.pictures import ORIENTATIONS, oriented
from icsort.quant.tracking.cells import Cells
from icsort.quant.training.recipe import check_option

SIDE = 32  # pixels of a picture
FIELD = 1.6  # diameters that a picture shows
BATCH = 128
SCORED = 512  # sequences that are scored at once
BRIGHTNESS = 0.1  # standard deviation of the logarithm of a factor on a sequence's light
WARM_UP = 0.2  # of the steps


@dataclass(frozen=True)
class Plan:
    """How to train. ahead: frames that are looked ahead, at most; history: frames of a sequence; members: networks
    whose risks are averaged.

    Raises IcsortError for numbers that cannot train.
    """

    ahead: int = 10
    history: int = 4
    epochs: int = 60
    members: int = 3
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    dropout: float = 0.3

    def __post_init__(self) -> None:
        limits = {"ahead": (1, 1000), "history": (1, 1000), "epochs": (1, 10_000), "members": (1, 100)}
        for name, (low, high) in limits.items():
            check_option(name, getattr(self, name), low, high)


def pictures(
    images: NDArray[np.generic], masks: NDArray[np.integer], cells: Cells, diameter: float
) -> NDArray[np.float32]:
    """Light over the frame's ground within each cell, and its mask, (N, 2, SIDE, SIDE), at one scale: FIELD diameters.

    images, masks: (T, H, W). diameter: pixels. What lies outside of the frame is no cell.
    """
    half = max(3, round(FIELD * diameter / 2))
    shown = np.zeros((len(cells), 2, SIDE, SIDE), np.float32)
    for frame, (image, mask) in enumerate(zip(images, masks, strict=True)):
        light = image.astype(np.float64)
        light -= np.median(light[mask == 0]) if (mask == 0).any() else 0.0
        light, numbers = np.pad(light, half), np.pad(mask, half)
        for cell in cells.at(frame):
            top, left = np.round(cells.position[cell]).astype(int)
            part = np.s_[top : top + 2 * half + 1, left : left + 2 * half + 1]
            own = (numbers[part] == cells.label[cell]).astype(np.float64)
            for channel, picture in enumerate((light[part] * own, own)):  # its neighbours say nothing of it
                shown[cell, channel] = resize(picture, (SIDE, SIDE), order=1, anti_aliasing=True)
    return shown


def train(
    shown: NDArray[np.float32],
    known: Lives,
    taught: Outcomes,
    plan: Plan,
    seed: int,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[FateNetwork]:
    """Networks that learned the outcomes of cells from sequences of their pictures (N, 2, SIDE, SIDE), which
    `scaled` made.

    Each epoch shows every cell whose next frame is known once, its sequence turned, mirrored and of another brightness.
    """
    of_use = np.flatnonzero(taught.time > 0)
    rate = float(taught.divided.sum()) / max(float(np.minimum(taught.time, plan.ahead).sum()), 1.0)
    sequences = torch.from_numpy(windows(known, taught.cells, plan.history)[of_use])
    time, divided = torch.from_numpy(taught.time[of_use]), torch.from_numpy(taught.divided[of_use])
    tensor = torch.from_numpy(shown)
    networks = []
    for member in range(plan.members):
        generator = torch.Generator().manual_seed(1000 * seed + member)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * seed + member)
            network = FateNetwork(shown.shape[1], plan.ahead, plan.dropout, min(max(rate, 1e-4), 0.5))
            optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
            batches = max(1, round(len(of_use) / BATCH))
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, plan.learning_rate, total_steps=max(10, batches * plan.epochs) + 1, pct_start=WARM_UP
            )
            for epoch in range(plan.epochs):
                progress("train", member * plan.epochs + epoch, plan.members * plan.epochs)
                network.train()
                for part in torch.randperm(len(of_use), generator=generator).tensor_split(batches):
                    turn, mirrored = (int(torch.randint(high, (1,), generator=generator)) for high in (4, 2))
                    light = torch.exp(BRIGHTNESS * torch.randn(1, generator=generator))
                    chosen, places = _compact(tensor, sequences[part])
                    batch = oriented(chosen, turn, bool(mirrored)) * torch.stack([light, torch.ones(1)])[:, None]
                    loss = survival_loss(network(batch, places), time[part], divided[part])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                if not np.isfinite(float(loss.detach())):
                    raise IcsortError(f"training diverged in epoch {epoch + 1}; give another --seed")
        networks.append(network.eval())
    return networks


def scaled(shown: NDArray[np.float32], taught: NDArray[np.int64]) -> NDArray[np.float32]:
    """The pictures with their light in units of the mean light within the cells (n,) that teach."""
    light, inside = shown[taught, 0], shown[taught, 1] > 0.5
    unit = float(np.mean(light[inside])) if inside.any() else 1.0
    result = shown.copy()
    result[:, 0] = np.arcsinh(result[:, 0] / max(unit, 1e-6))  # a bright spot does not drown the rest
    return result


def ask(networks: list[FateNetwork], shown: NDArray[np.float32], sequences: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities (n, ahead) of a division within 1, 2, ... frames, mean over networks and eight orientations.

    shown: pictures as the networks were taught with. sequences: of `windows`.
    """
    tensor = torch.from_numpy(shown)
    found = []
    with torch.no_grad():
        for part in torch.from_numpy(sequences).split(SCORED):
            chosen, places = _compact(tensor, part)
            every = [
                risks(network(oriented(chosen, turn, mirrored), places))
                for network in networks
                for turn, mirrored in ORIENTATIONS
            ]
            found.append(torch.stack(every).mean(dim=0))
    return torch.cat(found).numpy()


def _compact(tensor: Tensor, sequences: Tensor) -> tuple[Tensor, Tensor]:
    """The pictures that the sequences show, each once, and the sequences as indices of these."""
    numbers, places = torch.unique(sequences, return_inverse=True)
    if numbers[0] < 0:
        numbers, places = numbers[1:], places - 1
    return tensor[numbers], places
