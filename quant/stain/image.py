# SPDX-License-Identifier: Apache-2.0
"""The image of a stain by a small U-Net (Ronneberger et al. 2015) in floating point, beside a linear filter.

What a network draws where nothing was measured looks like a stain all the same; so its residuals are shown, and what
it draws of images without a cell and of cells without the stain.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss, pad

from icsort.cli import console
from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.stain.cells import background_level
from icsort.quant.stain.number import correlation
from icsort.quant.training.runs import SPLIT_FILE

Planes = NDArray[np.float32]
FEATURES = 8  # of the first level; twice as many a level deeper
LEVELS = 3
BATCH = 32
RATE = 4e-3
PATCH = 9  # pixels of a side that the linear filter sees
PATCH_PIXELS = 60_000  # to which it is fitted
RIDGE = 1.0
BOX_SHARE = 0.1  # of a cell's brightest pixels, from which on a pixel belongs to it
SHOWN = 6


class UNet(nn.Module):
    """Encoder and decoder of LEVELS levels with shortcuts; any height and width. (N, C, H, W) to (N, 1, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = [FEATURES * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([channels, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(_double(widths[i] + widths[i - 1], widths[i - 1]) for i in range(LEVELS - 1, 0, -1))
        self.head = nn.Conv2d(FEATURES, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        whole = 2 ** (LEVELS - 1)
        x = pad(x, (0, -width % whole, 0, -height % whole), mode="replicate")
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for block, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            x = block(torch.cat([interpolate(x, scale_factor=2.0), beside], dim=1))
        drawn: Tensor = self.head(x)[..., :height, :width]
        return drawn


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first in (inputs, outputs):
        layers += [nn.Conv2d(first, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Drawn:
    """Held-out cells: their index in the data, and planes (N, H, W) in counts: measured, and drawn by each network.

    inputs (N, C, H, W). empty: what the U-Net draws of an image without a cell, (H, W); unstained: of cells that were
    not stained, (M, H, W).
    """

    cells: NDArray[np.int64]
    inputs: Planes
    measured: Planes
    unet: Planes
    linear: Planes
    empty: Planes
    unstained: Planes | None = None


def check_size(dataset: Dataset) -> None:
    """Raise IcsortError for images that differ in height."""
    if len(set(dataset.heights.tolist())) > 1:
        raise IcsortError(
            f"{dataset.origin}: images of {dataset.heights.min()} to {dataset.heights.max()} lines; the image of a "
            "stain needs crops of one size: give such, or leave it out with --no-image"
        )


def stacked(dataset: Dataset, channels: Sequence[str]) -> Planes:
    """Planes (N, C, H, W) of these channels of images of one size, above the background of each."""
    order = dataset.channel_order(channels)
    planes = np.stack([image[..., order].transpose(2, 0, 1) for image in dataset.images]).astype(np.float32)
    levels = [[background_level(plane) for plane in cell] for cell in planes]
    return planes - np.asarray(levels, np.float32)[..., None, None]


def boxes(stain: Planes) -> NDArray[np.bool_]:
    """(N, H, W): the smallest upright box about the pixels of each cell that have BOX_SHARE of its bright stain."""
    bright = np.quantile(stain, 0.99, axis=(1, 2))[:, None, None]
    lit = stain >= BOX_SHARE * np.maximum(bright, 1e-6)
    inside = []
    for axis in (1, 2):
        along = np.asarray(lit.any(axis=3 - axis))
        inside.append(np.maximum.accumulate(along, 1) & np.maximum.accumulate(along[:, ::-1], 1)[:, ::-1])
    return np.asarray(inside[0][:, :, None] & inside[1][:, None, :])


def draw(
    dataset: Dataset,
    inputs: Sequence[str],
    stain: str,
    run: Path,
    *,
    epochs: int,
    seed: int,
    unstained: Dataset | None = None,
    progress: bool = True,
) -> Drawn:
    """Train U-Net and filter on the training part of a run's split, and draw its test part.

    dataset: all channels of the cells that the run was made of, of one size. unstained: cells without the stain, of one
    size as well.
    """
    parts = json.loads((run / SPLIT_FILE).read_text(encoding="utf-8"))
    train, test = (np.asarray(parts[name], np.int64) for name in ("train", "test"))
    shown, measured = stacked(dataset, inputs), stacked(dataset, [stain])[:, 0]
    deviation = np.maximum(shown[train].std(axis=(0, 2, 3), keepdims=True), 1e-6)
    shown /= deviation
    unit = max(float(measured[train].std()), 1e-6)
    network = fit_network(shown[train], measured[train] / unit, epochs, seed, progress)
    kernel = fit_linear(shown[train], measured[train] / unit, seed)
    nothing = np.zeros((1, *shown.shape[1:]), np.float32)  # inputs are above the background
    return Drawn(
        test,
        shown[test],
        measured[test],
        draw_planes(network, shown[test]) * unit,
        filtered(kernel, shown[test]) * unit,
        draw_planes(network, nothing)[0] * unit,
        None if unstained is None else draw_planes(network, stacked(unstained, inputs) / deviation) * unit,
    )


def fit_network(inputs: Planes, stain: Planes, epochs: int, seed: int, progress: bool, batch: int = BATCH) -> UNet:
    """A U-Net that draws stain (N, H, W) of inputs (N, C, H, W), both near 0 with a deviation near 1."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # as in training.train: the same weights on any machine
    network: UNet = UNet(inputs.shape[1]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, y = torch.from_numpy(inputs), torch.from_numpy(stain)
    order, steps = torch.Generator().manual_seed(seed), -(-len(x) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps * epochs + 1)
    with console.progress("train the U-Net", progress) as report:
        for epoch in range(epochs):
            total = 0.0
            network.train()
            for part in torch.randperm(len(x), generator=order).tensor_split(steps):
                turned, wanted = _turned(x[part], y[part], order)
                loss = mse_loss(network(turned)[:, 0], wanted)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(part)
            report("epoch", epoch + 1, epochs, f"loss {total / len(x):.3f}")
    return network.eval()


def _turned(x: Tensor, y: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch mirrored, and turned by quarters where it is square: all of it alike."""
    mirrored, upside_down, swapped = (torch.randint(2, (3,), generator=draw) > 0).tolist()
    axes = [axis for axis, wanted in ((-1, mirrored), (-2, upside_down)) if wanted]
    x, y = x.flip(axes), y.flip(axes)
    if swapped and x.shape[-1] == x.shape[-2]:
        x, y = x.transpose(-1, -2), y.transpose(-1, -2)
    return x.contiguous(memory_format=torch.channels_last), y


def draw_planes(network: UNet, inputs: Planes) -> Planes:
    """What the network draws, (N, H, W), of inputs (N, C, H, W)."""
    with torch.no_grad():
        parts = [network(part)[:, 0] for part in torch.split(torch.from_numpy(inputs), 4 * BATCH)]
    return np.asarray(torch.cat(parts).numpy())


def fit_linear(inputs: Planes, stain: Planes, seed: int) -> NDArray[np.float64]:
    """Weights (C, PATCH, PATCH) of ridge regression from the patch around a pixel to its stain."""
    reach = PATCH // 2
    wide = np.pad(inputs, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    patches = np.lib.stride_tricks.sliding_window_view(wide, (PATCH, PATCH), axis=(2, 3))  # (N, C, H, W, P, P)
    count, _, height, width = inputs.shape
    chosen = np.random.default_rng(seed).choice(
        count * height * width, min(PATCH_PIXELS, count * height * width), False
    )
    cell, row, column = np.unravel_index(chosen, (count, height, width))
    seen = patches[cell, :, row, column].reshape(len(chosen), -1)
    fitted = Ridge(alpha=RIDGE, fit_intercept=False).fit(seen, stain[cell, row, column])
    return np.asarray(fitted.coef_, np.float64).reshape(inputs.shape[1], PATCH, PATCH)


def filtered(kernel: NDArray[np.float64], inputs: Planes) -> Planes:
    """What the filter (C, PATCH, PATCH) draws, (N, H, W), of inputs (N, C, H, W)."""
    return np.stack(
        [
            np.sum([correlate(plane, weights, mode="nearest") for plane, weights in zip(cell, kernel, strict=True)], 0)
            for cell in inputs
        ]
    ).astype(np.float32)


def figures(drawn: Drawn) -> dict[str, Any]:
    """Agreement of the drawn stain with the measured one, of the U-Net and of the linear filter beside it.

    pixels: Pearson's r over the pixels of all cells' boxes, without an interval, as neighbours are not independent;
    cells: the mean of each cell's own r in its box; ssim: structural similarity (Wang et al. 2004), the mean over
    cells; total: r of the sums.
    """
    inside = boxes(drawn.measured)
    reach = float(np.quantile(drawn.measured[inside], 0.999)) if inside.any() else 1.0

    def of(plane: Planes) -> dict[str, Any]:
        own = [
            found["r"]
            for box, one, other in zip(inside, drawn.measured, plane, strict=True)
            if (found := correlation(one[box], other[box]))["r"] is not None
        ]
        alike = [
            structural_similarity(one, other, data_range=reach)  # type: ignore[no-untyped-call]
            for one, other in zip(drawn.measured, plane, strict=True)
        ]
        return {
            "pixels": {"r": correlation(drawn.measured[inside], plane[inside])["r"], "pixels": int(inside.sum())},
            "cells": float(np.mean(own)) if own else None,
            "ssim": float(np.mean(alike)),
            "total": correlation(drawn.measured.sum(axis=(1, 2)), plane.sum(axis=(1, 2))),
        }

    outside = ~inside
    peak = float(np.median(drawn.measured.max(axis=(1, 2))))
    return {
        "cells": len(drawn.cells),
        "unet": of(drawn.unet),
        "linear": of(drawn.linear),
        "invented": {
            "empty_image": float(np.abs(drawn.empty).max()) / peak,
            "unstained_cells": None
            if drawn.unstained is None
            else float(np.median(drawn.unstained.max(axis=(1, 2)))) / peak,
            "outside_the_cell": float(np.quantile(drawn.unet[outside], 0.99)) / peak if outside.any() else None,
            "measured_outside": float(np.quantile(drawn.measured[outside], 0.99)) / peak if outside.any() else None,
        },
    }
