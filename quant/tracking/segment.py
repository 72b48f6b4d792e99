# SPDX-License-Identifier: Apache-2.0
"""Bright nuclei on a dark ground, by what classical image analysis has: smoothing, thresholds, watershed."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian
from skimage.measure import label, regionprops
from skimage.segmentation import watershed

from icsort.errors import IcsortError

NOISE = 3.5  # standard deviations of the smoothed ground, above which light is a cell
RIM = 0.3  # of a cell's own brightness, at which its rim is
SMOOTH = 0.08  # of a diameter
APART = 0.45  # of a diameter: between the middles of two cells, at least
SMALL = 0.08  # of a cell's typical area, below which it is none


def segment(images: NDArray[np.generic], diameter: float | None = None) -> NDArray[np.int32]:
    """Masks (T, H, W) of images (T, H, W): a number a cell, from 1 in each frame, 0 elsewhere.

    diameter: of a typical cell, in pixels; found by itself without one. Raises IcsortError where no frame holds a cell.
    """
    size = diameter or _diameter(images)
    masks = np.stack([_frame(image, size) for image in images])
    if not masks.any():
        raise IcsortError("no cell stands out from the ground in any frame; give --masks of another segmentation")
    return masks


def _diameter(images: NDArray[np.generic]) -> float:
    """Of a typical bright object, from its area in a few frames."""
    areas: list[float] = []
    for image in images[:: max(1, len(images) // 8)]:
        light, ground, noise = _light(image, 2.0)
        areas.extend(region.area for region in regionprops(label(light > ground + 2 * NOISE * noise)))
    large = [area for area in areas if area >= 30]
    if not large:
        raise IcsortError("no cell stands out from the ground; give --masks of another segmentation")
    return float(2 * np.sqrt(np.median(large) / np.pi))


def _light(image: NDArray[np.generic], sigma: float) -> tuple[NDArray[np.float64], float, float]:
    """The smoothed square root of an image, in which bright and dim are closer; its ground, and the ground's noise."""
    pixels = image.astype(np.float64)
    light = gaussian(np.sqrt(pixels - min(float(pixels.min()), 0.0)), sigma)
    low = light[light <= np.median(light)]
    ground = float(np.median(light))
    for _ in range(5):  # what lies far above is cells
        low = light[np.abs(light - ground) < 3 * max(1.4826 * float(np.median(np.abs(low - ground))), 1e-9)]
        ground = float(np.median(low))
    return light, ground, max(1.4826 * float(np.median(np.abs(low - ground))), 1e-9)


def _frame(image: NDArray[np.generic], diameter: float) -> NDArray[np.int32]:
    sigma = max(1.0, SMOOTH * diameter)
    light, ground, noise = _light(image, sigma)
    above = ndimage.binary_fill_holes(light > ground + NOISE * noise)
    markers = _markers(above, diameter)
    cells = watershed(-ndimage.distance_transform_edt(above), markers, mask=above)
    # Each by its own brightness: a dim cell keeps its rim, a bright one loses its halo.
    tight = np.zeros_like(above)
    for region in regionprops(cells, intensity_image=light):
        bright = np.percentile(region.image_intensity[region.image], 90)
        inside = region.image & (region.image_intensity > ground + RIM * (bright - ground))
        tight[region.slice] |= inside
    tight = ndimage.binary_opening(ndimage.binary_fill_holes(tight), iterations=max(1, round(0.05 * diameter)))
    cells = watershed(-ndimage.distance_transform_edt(tight), _markers(tight, diameter), mask=tight)
    result = np.zeros(image.shape, np.int32)
    number = 0
    for region in regionprops(cells):
        if region.area >= SMALL * np.pi / 4 * diameter**2:
            number += 1
            result[region.slice][region.image] = number
    return result


def _markers(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.int32]:
    """A number at the middle of each part that is wide enough to be a cell of its own."""
    depth = gaussian(ndimage.distance_transform_edt(mask), max(1.0, 0.06 * diameter))
    markers = np.zeros(mask.shape, np.int32)
    peaks = peak_local_max(
        depth, min_distance=max(2, round(APART * diameter)), labels=label(mask), exclude_border=False
    )
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return markers
