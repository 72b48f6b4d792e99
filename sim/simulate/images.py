# SPDX-License-Identifier: Apache-2.0
"""Images for a network of any shape, without labels: those of a file, pixels of real cells, or generated ones."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import InputSpec
from icsort.real_data import real_data_folder


def load_images(path: Path, shape: InputSpec, count: int | None = None) -> NDArray[np.uint8]:
    """The first `count` images of a .npy file, (N, H, W, C) uint8 as the network takes them.

    Raises IcsortError for a file that is none, images of another shape, or too few.
    """
    try:
        images = np.load(path)
    except FileNotFoundError:
        raise IcsortError(f"{path} does not exist: give a .npy file of images") from None
    except (OSError, ValueError, EOFError) as error:
        raise IcsortError(f"{path} is not a .npy file of images ({error})") from None
    expected = (shape.height, shape.width, shape.channels)
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1:] != expected
    ):
        what = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else "several arrays"
        raise IcsortError(f"{path} has {what}; the network takes uint8 (N, {', '.join(map(str, expected))})")
    if not len(images) or (count is not None and len(images) < count):
        raise IcsortError(f"{path} has {len(images)} images, {count or 'at least 1'} were asked for")
    return images[:count]


def generated_images(shape: InputSpec, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """(count, H, W, C) uint8: a bright disc with a brighter core on a dim, noisy background; each channel its own."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape.height, 0 : shape.width]
    images = random.poisson(12.0, (count, shape.height, shape.width, shape.channels)).astype(np.float64)
    for image in images:
        centre = random.uniform(0.4, 0.6, 2) * (shape.height, shape.width)
        radius = random.uniform(0.15, 0.45) * min(shape.height, shape.width)
        distance = np.hypot(y - centre[0], x - centre[1])[:, :, None] / radius
        body, core = random.uniform(20, 110, (2, shape.channels))
        image += random.poisson(body * (distance < 1) + core * (distance < random.uniform(0.2, 0.7)))
    return np.clip(images, 0, 255).astype(np.uint8)


def real_images(shape: InputSpec, count: int, seed: int = 0) -> NDArray[np.uint8] | None:
    """(count, H, W, C) uint8 of the Jurkat cells (see `icsort train`), where they are; else None.

    Cells have 40 x 40 pixels and 3 channels: larger images are filled by reflection, further channels repeat the three.
    Real pixels in a made-up shape: they exercise a network, they do not show what it is worth.
    """
    root = real_data_folder()
    stacks = [tifffile.imread(path) for path in sorted((root / "jurkat_cell_cycle").glob("*.tif"))]
    if not stacks:
        return None
    cells = np.concatenate(stacks).transpose(0, 2, 3, 1).astype(np.float64)
    low, high = np.percentile(cells, (1, 99.9), axis=(0, 1, 2))
    chosen = np.random.default_rng(seed).permutation(len(cells))[:count]
    images = np.clip((cells[chosen] - low) / (high - low), 0, 1)
    missing = (max(0, size - have) for size, have in zip((shape.height, shape.width), images.shape[1:3], strict=True))
    images = np.pad(images, [(0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)], "symmetric")
    images = images[:, : shape.height, : shape.width, np.arange(shape.channels) % images.shape[3]]
    return np.ascontiguousarray(np.rint(255 * images)).astype(np.uint8)
