# SPDX-License-Identifier: Apache-2.0
"""Cells of which one channel is a stain: what is measured in it, and the channels that it is predicted of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset, Measured

UNIT = "counts"
STRATA = 5  # of the stain, that parts and folds have alike
MIN_CELLS = 50


def background_level(plane: NDArray[np.uint16]) -> float:
    """The median of an image's outermost pixels (H, W): what is there without a cell, counts a pixel."""
    edges = np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
    return float(np.median(edges))


def stain_totals(dataset: Dataset, channel: str) -> NDArray[np.float64]:
    """Counts of a channel above its background, summed over each cell's image, (N,). Raises IcsortError for a channel
    that is not there."""
    (index,) = dataset.channel_order([channel])
    planes = (image[..., index] for image in dataset.images)
    return np.asarray([plane.sum(dtype=np.float64) - plane.size * background_level(plane) for plane in planes])


def check_channels(dataset: Dataset, inputs: Sequence[str], stain: str) -> None:
    """Raise IcsortError for channels that are not there, named twice, or on both sides."""
    if not inputs or not all(inputs) or len(set(inputs)) != len(inputs):
        raise IcsortError(f"--from {','.join(inputs)}: name each channel once, such as --from Brightfield,Darkfield")
    if stain in inputs:
        raise IcsortError(f"--to {stain} is in --from as well: a stain that is measured need not be predicted")
    dataset.channel_order([*inputs, stain])


def stained(dataset: Dataset, inputs: Sequence[str], stain: str) -> Dataset:
    """The cells in the channels `inputs`, with the total of `stain` as what is learned.

    Their classes become fifths of that total, by which parts and folds are alike; cells need no label. Raises
    IcsortError for channels that do not fit, fewer than MIN_CELLS cells, and a stain that is the same in all of them.
    """
    check_channels(dataset, inputs, stain)
    if len(dataset.images) < MIN_CELLS:
        raise IcsortError(
            f"{dataset.origin}: {len(dataset.images)} cells; at least {MIN_CELLS} are needed to learn a stain"
        )
    totals = stain_totals(dataset, stain)
    bounds = np.unique(np.quantile(totals, np.arange(1, STRATA) / STRATA))
    labels = np.searchsorted(bounds, totals, "right")
    if np.bincount(labels, minlength=len(bounds) + 1).min() < len(totals) / STRATA / 2:
        raise IcsortError(
            f"{dataset.origin}: the channel {stain} has the same total in most cells (median {np.median(totals):g} "
            f"{UNIT}), so there is no stain to learn; give another --to"
        )
    shown = dataset.with_channels(tuple(inputs))
    names = tuple(f"{stain} {number + 1} of {len(bounds) + 1}" for number in range(len(bounds) + 1))
    return replace(
        shown, labels=labels.astype(np.int64), classes=names, measured=Measured((stain,), (UNIT,), totals[:, None])
    )
