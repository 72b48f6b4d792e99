# SPDX-License-Identifier: Apache-2.0
"""Labelled cells as a network sees them while it is trained: cut, turned, mirrored, moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate
from torch import Tensor

from quant.constants import Constants, cut_cells
from quant.data import Dataset
from sim.bit_true.errors import IcsortError


@dataclass(frozen=True)
class Samples:
    """One part of the split: pixels uint8 (V, M, C, H, W) in V orientations, labels (M,), cells that never triggered.

    empty: (C,) pixel values of the background between cells.
    """

    pixels: Tensor
    labels: Tensor
    missed: int
    empty: Tensor

    def upright(self) -> Tensor:
        """The cells as they are: (M, C, H, W), uint8."""
        return self.pixels[0]

    def batch(self, indices: Tensor, shift: int, jitter: float, draw: torch.Generator) -> Tensor:
        """Cells (n,) as float (n, C, H, W): in a random orientation, mirrored, moved sideways, brighter or dimmer."""
        turn = torch.randint(self.pixels.shape[0], (len(indices),), generator=draw)
        batch = self.pixels[turn, indices].float()
        mirrored = torch.rand(len(indices), generator=draw) < 0.5
        batch[mirrored] = batch[mirrored].flip(-1)
        background = self.empty[None, :, None, None]
        if shift:
            width = batch.shape[-1]
            wide = background.expand(*batch.shape[:3], width + 2 * shift).clone()
            wide[..., shift : shift + width] = batch
            moves = torch.randint(2 * shift + 1, (len(indices),), generator=draw)
            at = moves[:, None] + torch.arange(width)
            batch = wide.gather(3, at[:, None, None, :].expand(*batch.shape))
        if jitter:
            factors = 1 + jitter * torch.randn(len(indices), batch.shape[1], 1, 1, generator=draw)
            batch = (background + (batch - background) * factors).round().clamp(0, 255)
        return batch


def make_samples(dataset: Dataset, indices: NDArray[np.int64], constants: Constants, turns: int = 0) -> Samples:
    """Cut one part of a data set.

    turns: orientations around the circle, and upside down, made before the cut, as the trigger would see such a cell.
    0: the cells as they are. Images that are not square are not turned, but upside down.
    """
    images = [dataset.images[i] for i in indices]
    square = all(image.shape[0] == image.shape[1] for image in images)
    orientations = [images]
    if turns and (turns % 2 or not square):  # otherwise half a turn, mirrored, is the same
        orientations.append([image[::-1] for image in images])
    for step in range(1, turns if square else 0):
        orientations.append([_turned(image, 360.0 * step / turns) for image in images])
    cuts = [cut_cells(orientation, constants) for orientation in orientations]
    cells = cuts[0].cells
    for cut in cuts[1:]:
        cells = np.intersect1d(cells, cut.cells)
    if len(cells) == 0:
        raise IcsortError("no cell of a part triggers an event; check that the images show cells on a background")
    pixels = np.stack([constants.pixels(cut.windows[np.isin(cut.cells, cells)]) for cut in cuts])
    empty = constants.pixels(np.asarray([constants.background_line], np.uint16))[0]
    return Samples(
        pixels=torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 1, 4, 2, 3))),
        labels=torch.from_numpy(dataset.labels[indices[cells]]),
        missed=len(cuts[0].missed),
        empty=torch.from_numpy(empty).float(),
    )


def _turned(image: NDArray[np.uint16], degrees: float) -> NDArray[np.uint16]:
    """A square image turned about its centre; corners that come from outside repeat the nearest edge."""
    quarters = degrees / 90
    if quarters == math.floor(quarters):
        return np.rot90(image, int(quarters))
    turned = rotate(image.astype(np.float32), degrees, reshape=False, order=3, mode="nearest")  # linear would blur
    return np.asarray(np.rint(turned).clip(0, np.iinfo(np.uint16).max), dtype=np.uint16)


def class_weights(labels: Tensor, classes: Sequence[str], balance: float) -> Tensor:
    """(1 / frequency) ** balance of each class, mean 1. Raises IcsortError for a class without cells."""
    found = torch.bincount(labels, minlength=len(classes))
    if (found == 0).any():
        raise IcsortError(
            f"class {classes[int(found.argmin())]}: none of its training cells triggers; add cells or leave it out"
        )
    weights = (found.double() / len(labels)) ** -balance
    return (weights / weights.mean()).float()
