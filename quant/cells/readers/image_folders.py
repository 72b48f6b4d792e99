# SPDX-License-Identifier: Apache-2.0
"""A folder of images for each class: PNG or TIFF, an image a cell."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import CHUNK_CELLS, Dataset
from icsort.quant.cells.readers.tiffs import TIFF_SUFFIXES, Digitization, channel_names, read_pages, to_counts
from icsort.quant.cells.readers.unreadable import Unreadable, read_each

IMAGE_SUFFIXES = (".png", *TIFF_SUFFIXES)
PNG_MODES = ("L", "I;16", "RGB")
PNG_HEAD = struct.Struct(">8s8xIIBB")  # signature; width, height, bits a sample, colour type of the IHDR chunk


def class_folders(folder: Path) -> list[Path]:
    """The folders in `folder` that hold images, by name; hidden ones are left alone."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path for path in inner if any(_is_image(entry) for entry in path.iterdir())]


def read_image(path: Path, digitization: Digitization | None = None) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    """One PNG (grey of 8 or 16 bit, or RGB of 8) or TIFF (a page a channel) as uint16 (y, x, C), and its page names.

    Raises IcsortError for a damaged file and for other kinds of PNG.
    """
    if path.suffix.lower() in TIFF_SUFFIXES:
        stack, names = read_pages(path)
        counts = to_counts(path, stack, digitization or Digitization())
        return np.ascontiguousarray(counts.transpose(1, 2, 0)), names
    try:
        head = path.read_bytes()[: PNG_HEAD.size]
        with Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: truncated or damaged PNG ({detail[0] if detail else type(error).__name__}); copy it again"
        ) from None
    *_, bits, _ = PNG_HEAD.unpack(head)
    if mode not in PNG_MODES or (mode == "RGB" and bits == 16):  # Pillow would cut such pixels to 8 bit
        raise IcsortError(f"{path}: is a PNG of kind {mode}, {bits} bit; store grey (8 or 16 bit) or RGB (8 bit)")
    image = pixels.astype(np.uint16).reshape(*pixels.shape[:2], -1)
    return image, ("",) * image.shape[2]


def read_image_folders(
    folder: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    unreadable: Unreadable = "refuse",
    size: int | None = CHUNK_CELLS,
) -> Iterator[Dataset]:
    """A folder of images for each class, `size` images at a time (None: all): the folder's name is the class.

    Classes and images in order of name; images may differ in height. channels: names in order; without them the TIFF's
    page names, else channel0, ...
    """
    folders = class_folders(folder)
    position = {inner.name: label for label, inner in enumerate(folders)}
    every = [path for inner in folders for path in sorted(inner.iterdir()) if _is_image(path)]
    for begin in range(0, len(every), size or len(every)):
        paths = every[begin : begin + (size or len(every))]
        found, skipped = read_each(folder, paths, lambda path: read_image(path, digitization), unreadable)
        first = next(iter(found))
        first_image, first_names = found[first]
        for index, (image, names) in found.items():
            if image.shape[1:] != first_image.shape[1:]:
                raise IcsortError(
                    f"{paths[index]}: is {image.shape[1]} pixels wide with {image.shape[2]} channels but "
                    f"{paths[first].name} is {first_image.shape[1]} with {first_image.shape[2]}; use one geometry"
                )
            if names != first_names:
                raise IcsortError(
                    f"{paths[index]}: its page names differ from those of {paths[first].name}; do not mix instruments"
                )
        kept = [paths[index] for index in found]
        own_names = first_names if all(first_names) else None
        yield Dataset(
            source=folder.name,
            origin=f"images in {folder}",
            images=tuple(image for image, _ in found.values()),
            labels=np.asarray([position[path.parent.name] for path in kept], dtype=np.int64),
            classes=tuple(position),
            channels=channel_names(folder, channels or own_names, first_image.shape[2]),
            names=tuple(path.relative_to(folder).as_posix() for path in kept),
            skipped=skipped,
        )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
