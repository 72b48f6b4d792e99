# SPDX-License-Identifier: Apache-2.0
"""A movie whose cells show spots some frames before they divide, as condensing chromosomes are."""

from pathlib import Path

import numpy as np
import tifffile

SIGN = 3  # frames that a cell shows spots before it divides
PLACES, RADIUS = 24, 7  # cells on a grid; pixels


def spotted(seed: int, frames: int = 24, signs: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (T, H, W), masks (T, H, W), tracks (K, 4). Half of the cells divide, at times evenly over the movie."""
    rng = np.random.default_rng(seed)
    columns, pitch = 6, 4 * RADIUS
    images = rng.normal(100, 3, (frames, PLACES // columns * pitch, columns * pitch))
    masks = np.zeros(images.shape, np.uint16)
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    rows = []
    times = np.linspace(3, frames - 2, PLACES // 2).astype(int)
    ends = dict(zip(rng.permutation(PLACES).tolist(), times.tolist(), strict=False))
    spots = rng.normal(size=(PLACES, 6, 2)) * RADIUS / 3

    def draw(number: int, frame: int, centre: np.ndarray, radius: float, light: float) -> np.ndarray:
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
        masks[frame][inside], images[frame][inside] = number, images[frame][inside] + light
        return inside

    number = PLACES
    for place in range(PLACES):
        middle = np.array([place // columns + 0.5, place % columns + 0.5]) * pitch
        light, end = rng.uniform(60, 140), ends.get(place, frames)
        rows.append([place + 1, 0, end - 1, 0])
        for frame in range(end):
            inside = draw(place + 1, frame, middle + rng.normal(0, 0.5, 2), RADIUS, light)
            if signs and frame >= end - SIGN and end < frames:
                for spot in middle + spots[place]:
                    near = (y - spot[0]) ** 2 + (x - spot[1]) ** 2 <= 2.5
                    images[frame][near & inside] += 2 * light
        for side in (-1, 1) if end < frames else ():
            number += 1
            rows.append([number, end, frames - 1, place + 1])
            for frame in range(end, frames):
                draw(number, frame, middle + np.array([0, 1.1 * side * RADIUS]), 0.75 * RADIUS, light)
    return np.clip(images, 0, None).astype(np.uint16), masks, np.array(rows)


def write(folder: Path, images: np.ndarray, masks: np.ndarray, tracks: np.ndarray) -> tuple[Path, Path]:
    """Movie and truth as the challenge has them."""
    for name, frames, kind in (("01", images, "t"), ("TRA", masks, "man_track")):
        (folder / name).mkdir(parents=True)
        for index, frame in enumerate(frames):
            tifffile.imwrite(folder / name / f"{kind}{index:03}.tif", frame)
    np.savetxt(folder / "TRA" / "man_track.txt", tracks, "%d")
    return folder / "01", folder / "TRA"
