# SPDX-License-Identifier: Apache-2.0
"""A folder of images for each class: PNG, BMP, JPEG or TIFF, an image a cell."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.images import is_image, read_images
from icsort.quant.cells.readers.reading import Reading, entries, passed_over

LAYOUT = "a folder of images for each class"


def accepts(path: Path) -> bool:
    """Whether a folder holds folders with images."""
    return path.is_dir() and any(map(is_class, entries(path)))


def is_class(path: Path) -> bool:
    """Whether a folder holds images that are read."""
    return path.is_dir() and any(map(is_image, path.iterdir()))


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """The folder's name is the class; classes and images in order of name. Images may differ in height.

    Channels: the TIFFs' page names, else channel0, ...
    """
    folders = [entry for entry in entries(path) if is_class(entry)]
    classes = tuple(folder.name for folder in folders)
    images = [image for folder in folders for image in entries(folder) if is_image(image)]
    left: tuple[str, ...] = _left_out(path)
    for begin in range(0, len(images), reading.size or len(images)):
        files = images[begin : begin + (reading.size or len(images))]
        cells = read_images(path, files, reading)
        kept = [files[index] for index in cells.kept]
        yield Dataset(
            source=path.name,
            origin=f"images in {path}",
            images=cells.images,
            labels=np.asarray([classes.index(file.parent.name) for file in kept], dtype=np.int64),
            classes=classes,
            channels=cells.channels,
            names=tuple(file.relative_to(path).as_posix() for file in kept),
            pixel_types=cells.pixel_types,
            skipped=cells.skipped,
            passed_over=left,
        )
        left = ()


def _left_out(path: Path) -> tuple[str, ...]:
    """A line for each entry that is no image in a class."""
    lines = []
    for entry in entries(path):
        if not entry.is_dir():
            lines.append(passed_over(path, entry, "lies beside the class folders"))
        elif not is_class(entry):
            lines.append(passed_over(path, entry, f"a folder of {len(entries(entry))} entries, no image among them"))
        else:
            others = (inner for inner in entries(entry) if not is_image(inner))
            lines += [
                passed_over(path, other, "a folder in a class" if other.is_dir() else "no image that is read")
                for other in others
            ]
    return tuple(lines)
