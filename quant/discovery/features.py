# SPDX-License-Identifier: Apache-2.0
"""What a cell looks like before any network has seen it, alike for all its orientations.

Light is counted in units of the noise that the instrument itself shows beside cells, so that no channel weighs more
because its counts are larger, and one whose cells differ by no more than noise weighs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.on_disk import on_disk

RINGS = 10  # from the cell's centre to half a line
CLEAR = 3.0  # standard deviations from which on light counts as the cell's
BRIGHT = 20.0  # and above which it counts no more, or one bright granule would be the centre
LEAST_NOISE = 0.5  # counts: an empty pixel of a digitized image has no less
DESCRIPTORS = ("light", "maximum", "spread", "elongation", "grain")
Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class CellFeatures:
    """Of N cells: rings (N, C * RINGS), which clusters start from; descriptors (N, F), which people read, and their F
    names; noise (C,) in counts."""

    rings: NDArray[np.float64]
    descriptors: NDArray[np.float64]
    names: tuple[str, ...]
    noise: NDArray[np.float64]


def cell_features(images: Sequence[Pixels], channels: Sequence[str], folder: Path | None = None) -> CellFeatures:
    """Features of images (height_i, width, C), raw counts, of at least one cell, which are gone through twice.

    Rings: the mean of each ring about the cell's centre times the root of its area, so that distances between cells are
    those of their images averaged over all turns. Descriptors of each channel: all light (absolute difference from the
    background beside the cell), the brightest pixel, root mean square radius in pixels, elongation 0 (round) to 1, and
    grain, the mean slope relative to the light. Light in standard deviations of an empty pixel: the image's own edges,
    median over all images. folder: where they are kept, in files (cells.on_disk). Raises IcsortError where all images
    are alike, and where there is no room.
    """
    names = tuple(f"{channel} {name}" for channel in channels for name in DESCRIPTORS)
    cells, kind = len(images), np.float64
    backgrounds, deviations = np.empty((cells, len(channels))), np.empty((cells, len(channels)))
    for cell, border in enumerate(map(_border, images)):
        backgrounds[cell] = np.median(border, axis=0)
        deviations[cell] = np.median(np.abs(border - backgrounds[cell]), axis=0)
    noise = np.maximum(1.4826 * np.median(deviations, axis=0), LEAST_NOISE)
    rings = on_disk((cells, len(channels) * RINGS), kind, folder, "the cells' features")
    descriptors = on_disk((cells, len(names)), kind, folder, "the cells' features")
    for cell, image in enumerate(images):
        light = (image - backgrounds[cell]) / noise
        rows, columns = _from_centre(light)
        rings[cell] = _rings(light, np.hypot(rows, columns))
        descriptors[cell] = _descriptors(light, rows, columns)
    if np.ptp(rings, axis=0).max() == 0:
        raise IcsortError("all images look alike: there is nothing to tell clusters by; give images of cells")
    return CellFeatures(rings, descriptors, names, noise)


def _border(image: Pixels) -> NDArray[np.float64]:
    """First and last lines and columns, (pixels, C)."""
    sides = (image[0], image[-1], image[:, 0], image[:, -1])
    return np.concatenate(sides).astype(np.float64)


def _from_centre(light: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows (H, W) and columns (H, W) of all pixels from the centroid of what is the cell's, or the image's middle."""
    height, width = light.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    weight = np.minimum(np.maximum(np.abs(light) - CLEAR, 0), BRIGHT).sum(axis=2)
    total = weight.sum()
    if total == 0:
        return rows - (height - 1) / 2, columns - (width - 1) / 2
    return rows - (rows * weight).sum() / total, columns - (columns * weight).sum() / total


def _rings(light: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C * RINGS,); what lies further out is in the last ring, one without pixels is 0."""
    step = light.shape[1] / 2 / RINGS
    ring = np.minimum((radius / step).astype(np.int64), RINGS - 1).ravel()
    pixels = np.bincount(ring, minlength=RINGS)
    sums = [np.bincount(ring, channel.ravel(), RINGS) for channel in np.moveaxis(light, 2, 0)]
    return np.concatenate([total / np.sqrt(np.maximum(pixels, 1)) for total in sums])


def _descriptors(
    light: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(C * len(DESCRIPTORS),)."""
    values = []
    for channel in np.moveaxis(np.abs(light), 2, 0):
        total = max(float(channel.sum()), 1e-9)
        share = channel / total
        long, short, tilt = ((share * product).sum() for product in (rows**2, columns**2, rows * columns))
        grain = np.hypot(*np.gradient(channel)).sum() / total
        spread = long + short
        elongation = np.hypot(long - short, 2 * tilt) / spread if spread > 0 else 0.0
        values += [total, channel.max(), np.sqrt(spread), elongation, grain]
    return np.asarray(values)
