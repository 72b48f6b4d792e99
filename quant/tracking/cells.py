# SPDX-License-Identifier: Apache-2.0
"""The cells of a movie as a table: where each is, and what it looks like."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops
from skimage.transform import resize

CROP = 12  # pixels of a side of a cell's appearance
MEASURES = ("area", "contrast", "texture", "eccentricity")


@dataclass(frozen=True)
class Cells:
    """N cells of T frames, ordered by frame.

    frame, label (N,) int64: of the mask. position (N, 2) float64: centroid y, x in pixels. measures (N, 4) float64:
    area (pixels), contrast (mean intensity over the frame's background), texture (standard deviation within the cell),
    eccentricity. crops (N, CROP, CROP) float32: the cell's surroundings, of mean 0 and length 1. border (N,) float64:
    pixels from the centroid to the nearest edge of the frame. frames: T.
    """

    frame: NDArray[np.int64]
    label: NDArray[np.int64]
    position: NDArray[np.float64]
    measures: NDArray[np.float64]
    crops: NDArray[np.float32]
    border: NDArray[np.float64]
    frames: int

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def diameter(self) -> float:
        """Of a disc of the median area, in pixels."""
        return float(2 * np.sqrt(np.median(self.measures[:, 0]) / np.pi))

    def at(self, frame: int) -> NDArray[np.int64]:
        """Indices of the cells of a frame."""
        begin, end = np.searchsorted(self.frame, [frame, frame + 1])
        return np.arange(begin, end)

    def taken(self, step: int, begin: int = 0, end: int | None = None) -> tuple["Cells", NDArray[np.int64]]:
        """The cells of every `step`th frame from `begin` to `end`, and their indices in this table."""
        frames = range(begin, self.frames if end is None else end, step)
        index = np.flatnonzero(np.isin(self.frame, frames))
        return Cells(
            (self.frame[index] - begin) // step,
            self.label[index],
            self.position[index],
            self.measures[index],
            self.crops[index],
            self.border[index],
            len(frames),
        ), index


def measure(images: NDArray[np.generic], masks: NDArray[np.integer]) -> Cells:
    """The cells of images (T, H, W) whose masks (T, H, W) hold a number a cell, 0 elsewhere."""
    rows: list[tuple[int, int, tuple[float, float], list[float], NDArray[np.float32]]] = []
    for frame, (image, mask) in enumerate(zip(images, masks, strict=True)):
        pixels = image.astype(np.float64)
        background = float(np.median(pixels[mask == 0])) if (mask == 0).any() else 0.0
        spread = float(np.std(pixels[mask == 0])) if (mask == 0).any() else 0.0
        for region in regionprops(mask, intensity_image=pixels):
            inside = region.image_intensity[region.image]
            contrast = max(float(inside.mean()) - background, 0.5 * spread, 1e-6)
            rows.append(
                (
                    frame,
                    region.label,
                    region.centroid,
                    [float(region.area), contrast, float(inside.std()) + 1e-6, float(region.eccentricity)],
                    _crop(pixels, region.centroid, float(region.area)),
                )
            )
    height, width = masks.shape[1:]
    position = np.array([row[2] for row in rows], np.float64).reshape(-1, 2)
    return Cells(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        position,
        np.array([row[3] for row in rows], np.float64).reshape(-1, len(MEASURES)),
        np.array([row[4] for row in rows], np.float32).reshape(-1, CROP, CROP),
        np.concatenate([position, np.array([height - 1, width - 1]) - position], axis=1).min(axis=1, initial=np.inf),
        len(masks),
    )


def _crop(pixels: NDArray[np.float64], centroid: tuple[float, float], area: float) -> NDArray[np.float32]:
    half = max(3, round(1.2 * np.sqrt(area / np.pi)))
    top, left = round(centroid[0]) - half, round(centroid[1]) - half
    rows = np.clip(np.arange(top, top + 2 * half + 1), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(left, left + 2 * half + 1), 0, pixels.shape[1] - 1)
    crop = resize(ndimage.uniform_filter(pixels[np.ix_(rows, columns)], 3), (CROP, CROP), order=1)
    crop -= crop.mean()
    return (crop / max(float(np.linalg.norm(crop)), 1e-9)).astype(np.float32)
