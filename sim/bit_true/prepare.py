# SPDX-License-Identifier: Apache-2.0
"""What becomes of an image before its lines are offered to the sorter, in integers: fewer pixels, even light.

The hardware has none of it. Whoever feeds lines reduces images first (a camera may, by binning); the quantiles of an
image are known when its last line has come, which a sorter that decides while lines flow cannot wait for.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.preprocess import SAMPLE_MAX

STEPS = 256  # of a table of quantiles: from the least count to the greatest


def reduce_area(image: NDArray[np.uint16], factor: int) -> NDArray[np.uint16]:
    """The mean count of each `factor` x `factor` pixels, rounded, halves upwards: (H, W, C) to (H // f, W // f, C).

    Rows and columns beyond the last whole square are left out. Raises IcsortError where none is whole.
    """
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    if not rows or not columns:
        raise IcsortError(
            f"an image has {image.shape[1]} x {image.shape[0]} pixels, and none when reduced by {factor}; give a "
            "smaller --reduce"
        )
    whole = image[: rows * factor, : columns * factor].astype(np.int64)
    sums = whole.reshape(rows, factor, columns, factor, -1).sum(axis=(1, 3))
    return np.asarray((2 * sums + factor**2) // (2 * factor**2), np.uint16)


def crop_middle(image: NDArray[np.uint16], size: int) -> NDArray[np.uint16]:
    """The middle `size` x `size` pixels of (H, W, C); of an odd rest, one more is left out behind. Raises IcsortError
    for an image that has not as many."""
    if min(image.shape[:2]) < size:
        raise IcsortError(
            f"an image has {image.shape[1]} x {image.shape[0]} pixels, fewer than {size} x {size}; give a smaller "
            "--crop"
        )
    row, column = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[row : row + size, column : column + size]


def learn_quantiles(images: Iterable[NDArray[np.uint16]]) -> tuple[tuple[int, ...], ...]:
    """Of each channel the counts below which 0, 1/STEPS, .. 1 of all pixels of images (H_i, W, C) lie."""
    counts = sum(np.stack([_histogram(plane) for plane in np.moveaxis(image, -1, 0)]) for image in images)
    cumulated = np.cumsum(np.asarray(counts), axis=1)
    ranks = np.maximum(1, -(-np.arange(STEPS + 1) * cumulated[0, -1] // STEPS))  # of the pixel that is taken
    return tuple(tuple(np.searchsorted(channel, ranks).tolist()) for channel in cumulated)


def match_quantiles(image: NDArray[np.uint16], tables: tuple[tuple[int, ...], ...]) -> NDArray[np.uint16]:
    """An image (H, W, C) whose counts are distributed as the tables say, one a channel of `learn_quantiles`.

    A count that is the c-th of n pixels, counted from the darkest and equal ones together (Bolstad et al. 2003 for the
    principle), becomes the table's count at c / n, linear between its steps, rounded, halves upwards. Raises
    IcsortError for another number of channels.
    """
    if len(tables) != image.shape[-1]:
        raise IcsortError(f"an image of {image.shape[-1]} channels cannot be normalized by {len(tables)} tables")
    pixels = image.shape[0] * image.shape[1]
    matched = np.empty_like(image)
    for channel, table in enumerate(tables):
        plane, levels = image[..., channel], np.asarray(table, np.int64)
        step, rest = np.divmod(np.cumsum(_histogram(plane)) * STEPS, pixels)
        above = levels[np.minimum(step + 1, STEPS)]
        new = (2 * (levels[step] * (pixels - rest) + above * rest) + pixels) // (2 * pixels)
        matched[..., channel] = new[plane]
    return matched


def _histogram(plane: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Pixels of each count, (65536,)."""
    return np.bincount(plane.ravel(), minlength=SAMPLE_MAX + 1)
