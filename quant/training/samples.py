# SPDX-License-Identifier: Apache-2.0
"""Labelled cells as a network sees them while it is trained: cut, turned, mirrored, moved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate
from torch import Tensor

from icsort.cli import console
from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition
from icsort.formats.background import Background
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.find import Dataset
from icsort.quant.cells.on_disk import on_disk

CHUNK = 256  # cells that are cut at once


@dataclass(frozen=True)
class Samples:
    """One part of the split: pixels uint8 (V, M, C, H, W) in V orientations, labels (M,), cells that never triggered.

    Where values are learned, labels (M, K) float32 are those.

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
        of_event = batch.amax(dim=(1, 3), keepdim=True) > 0  # the other lines are zero whatever flows there
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
        return batch * of_event


def make_samples(
    part: Dataset,
    acquisition: Acquisition,
    background: Background,
    turns: int = 0,
    folder: Path | None = None,
    progress: str = "",
) -> Samples:
    """Cut one part of a data set, a few cells at a time.

    turns: orientations around the circle, and upside down, made before the cut, as the trigger would see such a cell.
    0: the cells as they are. Images that are not square are not turned, but upside down. folder: where the pixels are
    kept, in a file that goes with this process (None: the system's own), so that only what is used takes memory.
    progress: what the part is called where it is shown how far the cut is; else nothing.

    Raises IcsortError where no cell triggers and where there is no room for the file.
    """
    square = bool((part.heights == part.images[0].shape[1]).all())
    upside_down = bool(turns) and (bool(turns % 2) or not square)  # otherwise half a turn, mirrored, is the same
    angles = [360.0 * step / turns for step in range(1, turns if square else 0)]
    shape = (1 + upside_down + len(angles), len(part.images), acquisition.input.channels)
    whole = (*shape, acquisition.input.height, acquisition.input.width)
    pixels = on_disk(whole, np.uint8, folder, "the cells' pixels")
    triggered: list[NDArray[np.int64]] = []
    done = missed = 0
    begins = range(0, len(part.images), CHUNK)
    with console.progress(f"cut the {progress} cells", bool(progress)) as report:
        for begin in begins:
            report("done", begin, len(part.images))
            images = part.images[begin : begin + CHUNK]
            orientations = [images]
            if upside_down:
                orientations.append([image[::-1] for image in images])
            orientations += [[_turned(image, degrees) for image in images] for degrees in angles]
            cuts = [cut_cells(orientation, acquisition, background) for orientation in orientations]
            cells = reduce(np.intersect1d, (cut.cells for cut in cuts))
            for orientation, cut in zip(pixels, cuts, strict=True):
                windows = acquisition.pixels(cut.windows[np.isin(cut.cells, cells)])
                orientation[done : done + len(cells)] = windows.transpose(0, 3, 1, 2)
            triggered.append(begin + cells)
            done += len(cells)
            missed += len(cuts[0].missed)
    cells = np.concatenate(triggered)
    if len(cells) == 0:
        raise IcsortError("no cell of a part triggers an event; check that the images show cells on a background")
    empty = background.pixel(acquisition)
    return Samples(
        pixels=torch.from_numpy(pixels)[:, : len(cells)],
        labels=torch.from_numpy(
            part.labels[cells] if part.measured is None else part.measured.values[cells].astype(np.float32)
        ),
        missed=missed,
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
    counts = torch.bincount(labels, minlength=len(classes))
    if (counts == 0).any():
        raise IcsortError(
            f"class {classes[int(counts.argmin())]}: none of its training cells triggers; add cells or leave it out"
        )
    weights = (counts.double() / len(labels)) ** -balance
    return (weights / weights.mean()).float()
