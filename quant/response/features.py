# SPDX-License-Identifier: Apache-2.0
"""Masks, distance maps and measured features of cell images, by scikit-image.

The features are those that image cytometry is used to (CellProfiler, Carpenter et al. 2006, Genome Biology 7:R100):
shape, intensity, radial distribution, granularity, texture (Haralick et al. 1973; Ojala et al. 2002), and how two
channels go together.
"""

import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import disk, opening

from icsort.errors import IcsortError
from icsort.jobs import HERE, Pool

SMOOTHING = 1.0  # pixels, of what a threshold is put to
LEAST_AREA = 12  # pixels: less is noise, not a cell
SHAPE = (
    "area",
    "perimeter",
    "eccentricity",
    "solidity",
    "extent",
    "axis_major_length",
    "axis_minor_length",
    "feret_diameter_max",
    "euler_number",
)
PERCENTILES = (5, 25, 50, 75, 95, 99)
GRAINS = (1, 2, 3, 5, 8)  # radii of openings, pixels
SCALES = (1.0, 2.0, 4.0)  # of the Laplacian of Gaussian, pixels
RINGS = 4  # of equal steps of the distance to the cell's edge
LEVELS = 16  # of grey, in the co-occurrence matrix
STEPS = (1, 3)  # pixels apart, in the co-occurrence matrix
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
TEXTURES = ("contrast", "homogeneity", "correlation", "ASM")
CELLS = 64  # that are measured in one job
PATTERNS = 8  # points of the local binary pattern, at radius 1


def segment(image: NDArray[np.uint16], name: str) -> NDArray[np.bool_]:
    """The mask (H, W) of the one cell that an image (H, W, C) is about: Otsu's threshold, the part nearest the middle.

    Channels count alike, each as a share of its range in this image. An image cut out along the cell, whose rest is
    exactly zero, has the mask it was cut with. Raises IcsortError, with `name`, where nothing stands out.
    """
    inside = image.max(axis=2) > 0
    if inside.mean() < 0.9 and inside.any():
        return _nearest_the_middle(ndimage.binary_fill_holes(inside), name)
    height, width, _ = image.shape
    about_middle = image[height // 4 : height - height // 4, width // 4 : width - width // 4]
    low, high = image.min(axis=(0, 1)), about_middle.max(axis=(0, 1))
    # roots, and nothing brighter than the middle: a bright neighbour does not make the cell a part of the background
    roots = np.sqrt((np.minimum(image, high) - low).astype(np.float64))
    shares = (roots / np.maximum(roots.max(axis=(0, 1)), 1)).mean(axis=2)
    return _nearest_the_middle(ndimage.binary_fill_holes(_otsu(shares)), name)


def distance_map(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of each pixel of a mask (H, W) to what is outside it, as a share of the greatest, 0 outside."""
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return np.asarray(distance / max(distance.max(), 1), np.float32)


def features(
    images: Sequence[NDArray[np.uint16]],
    masks: Sequence[NDArray[np.bool_]],
    channels: Sequence[str],
    pool: Pool = HERE,
) -> pd.DataFrame:
    """A row for each image (H, W, C) with its mask (H, W), finite whatever the image holds. pool: where they are
    measured, CELLS a job."""
    some = [slice(begin, begin + CELLS) for begin in range(0, len(images), CELLS)]
    measured = pool.run(_of_some, ((images[part], masks[part], channels) for part in some))
    return pd.DataFrame([row for rows in measured for row in rows])


def _otsu(pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
    smooth = gaussian(pixels, SMOOTHING, preserve_range=True)
    if smooth.max() - smooth.min() < 1e-9:
        return np.zeros(pixels.shape, bool)
    return np.asarray(smooth > threshold_otsu(smooth))


def _nearest_the_middle(mask: NDArray[np.bool_], name: str) -> NDArray[np.bool_]:
    part = _central_part(mask)
    if part is None:
        raise IcsortError(f"{name}: no cell stands out of the background; leave the image out or give --masks")
    return part


def _central_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The connected part of at least LEAST_AREA pixels that lies nearest the middle; None where there is none."""
    parts = label(mask)
    large = np.flatnonzero(np.bincount(parts.ravel(), minlength=1) >= LEAST_AREA)
    large = large[large > 0]
    if not len(large):
        return None
    middle = np.ones(mask.shape, bool)
    middle[mask.shape[0] // 2, mask.shape[1] // 2] = False
    away = ndimage.distance_transform_edt(middle)
    nearest = large[int(np.argmin([away[parts == part].min() for part in large]))]
    return np.asarray(parts == nearest)


def _shape(mask: NDArray[np.bool_], prefix: str) -> dict[str, float]:
    part = regionprops(mask.astype(np.uint8))[0]
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))
    found = {f"{prefix}_{name}": float(part[name]) for name in SHAPE}
    found[f"{prefix}_form_factor"] = float(4 * np.pi * part["area"] / max(part["perimeter"], 1) ** 2)
    found[f"{prefix}_radius_max"] = float(distance.max())
    found[f"{prefix}_radius_mean"] = float(distance[distance > 0].mean())
    for index, moment in enumerate(part["moments_hu"][:4]):
        found[f"{prefix}_hu{index}"] = float(np.log10(abs(moment) + 1e-12))
    return found


def _of_some(
    images: Sequence[NDArray[np.uint16]], masks: Sequence[NDArray[np.bool_]], channels: Sequence[str]
) -> list[dict[str, float]]:
    return [_of_one(image, mask, channels) for image, mask in zip(images, masks, strict=True)]


def _of_one(image: NDArray[np.uint16], mask: NDArray[np.bool_], channels: Sequence[str]) -> dict[str, float]:
    found = _shape(mask, "cell")
    pixels = image.astype(np.float64)
    distance = distance_map(mask)
    for index, channel in enumerate(channels):
        found |= _of_channel(pixels[..., index], mask, distance, channel)
    for one, other in combinations(range(len(channels)), 2):
        found |= _of_pair(pixels[..., one], pixels[..., other], mask, f"{channels[one]}_{channels[other]}")
    return found


def _of_channel(
    pixels: NDArray[np.float64], mask: NDArray[np.bool_], distance: NDArray[np.float32], name: str
) -> dict[str, float]:
    inside = pixels[mask]
    mean, deviation = float(inside.mean()), float(inside.std())
    found = {
        f"{name}_mean": mean,
        f"{name}_deviation": deviation,
        f"{name}_variation": deviation / max(mean, 1),
        f"{name}_total": float(inside.sum()),
        f"{name}_field_mean": float(pixels.mean()),
        f"{name}_field_deviation": float(pixels.std()),
        f"{name}_field_low": float(np.percentile(pixels, 5)),
    }
    for percentile, value in zip(PERCENTILES, np.percentile(inside, PERCENTILES), strict=True):
        found[f"{name}_p{percentile}"] = float(value)
    ring = np.minimum((distance[mask] * RINGS).astype(int), RINGS - 1)
    count, total = np.bincount(ring, minlength=RINGS), np.bincount(ring, inside, minlength=RINGS)
    for index in range(RINGS):
        found[f"{name}_ring{index}"] = float(total[index] / max(count[index], 1) / max(mean, 1))
    remaining, whole = inside.mean(), max(inside.mean(), 1)
    for radius in GRAINS:
        opened = opening(pixels, disk(radius))[mask].mean()
        found[f"{name}_grain{radius}"] = float((remaining - opened) / whole)
        remaining = opened
    for scale in SCALES:
        edges = ndimage.gaussian_laplace(pixels, scale)[mask] * scale**2 / max(mean, 1)
        found[f"{name}_spots{scale:g}"] = float(edges.std())
        found[f"{name}_spots{scale:g}_skew"] = float(((edges - edges.mean()) ** 3).mean() / max(edges.std(), 1e-9) ** 3)
        slope = ndimage.gaussian_gradient_magnitude(pixels, scale)[mask] * scale / max(mean, 1)
        found[f"{name}_slope{scale:g}"] = float(slope.mean())
    found |= _texture(pixels, mask, name)
    own = _central_part(ndimage.binary_fill_holes(_otsu(pixels)))
    spread = own if own is not None else mask
    found |= _shape(spread, f"{name}_bright")
    found[f"{name}_bright_parts"] = float(label(_otsu(pixels) & mask, return_num=True)[1])
    found[f"{name}_bright_mean"] = float(pixels[spread].mean())
    found[f"{name}_bright_variation"] = float(pixels[spread].std() / max(pixels[spread].mean(), 1))
    return found


def _texture(pixels: NDArray[np.float64], mask: NDArray[np.bool_], name: str) -> dict[str, float]:
    low, high = np.percentile(pixels[mask], (1, 99))
    grey = 1 + np.clip((pixels - low) / max(high - low, 1) * (LEVELS - 1), 0, LEVELS - 1).astype(np.uint8)
    grey[~mask] = 0  # pairs with a pixel outside are left out below
    pairs = graycomatrix(grey, STEPS, ANGLES, LEVELS + 1, symmetric=True)[1:, 1:].astype(np.float64)
    pairs = pairs.sum(axis=3, keepdims=True)
    pairs /= np.maximum(pairs.sum(axis=(0, 1)), 1)
    found = {}
    for texture in TEXTURES:
        for step, value in zip(STEPS, graycoprops(pairs, texture)[:, 0], strict=True):
            found[f"{name}_{texture}{step}"] = float(np.nan_to_num(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of patterns over floats, which are counts here
        codes = local_binary_pattern(pixels, PATTERNS, 1, "uniform")[mask].astype(int)
    for code, share in enumerate(np.bincount(codes, minlength=PATTERNS + 2) / len(codes)):
        found[f"{name}_pattern{code}"] = float(share)
    return found


def _of_pair(
    one: NDArray[np.float64], other: NDArray[np.float64], mask: NDArray[np.bool_], name: str
) -> dict[str, float]:
    first, second = one[mask], other[mask]
    spread = first.std() * second.std()
    correlation = ((first - first.mean()) * (second - second.mean())).mean() / spread if spread > 0 else 0.0
    rows, columns = np.nonzero(mask)
    centres = [
        np.array([(rows * (weights + 1e-9)).sum(), (columns * (weights + 1e-9)).sum()]) / (weights + 1e-9).sum()
        for weights in (first, second)
    ]
    return {
        f"{name}_correlation": float(correlation),
        f"{name}_ratio": float(np.log((first.mean() + 1) / (second.mean() + 1))),
        f"{name}_shift": float(np.hypot(*(centres[0] - centres[1]))),
    }
