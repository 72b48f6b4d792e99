# SPDX-License-Identifier: Apache-2.0
"""Cells without labels: an image a cell in one folder, such as the sorter's own TIFFs without a gate table."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.images import is_image, read_images
from icsort.quant.cells.readers.reading import Reading, entries, passed_over

LAYOUT = "images of cells without labels"


def accepts(path: Path) -> bool:
    """Whether a folder holds images."""
    return path.is_dir() and any(map(is_image, path.iterdir()))


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """Images in order of name, without classes; they may differ in height."""
    inside = entries(path)
    images = [entry for entry in inside if is_image(entry)]
    left = tuple(
        passed_over(path, entry, "a folder beside the images" if entry.is_dir() else "no image that is read")
        for entry in inside
        if not is_image(entry)
    )
    for begin in range(0, len(images), reading.size or len(images)):
        files = images[begin : begin + (reading.size or len(images))]
        cells = read_images(path, files, reading)
        yield Dataset(
            source=path.name,
            origin=f"images without labels in {path}",
            images=cells.images,
            labels=np.full(len(cells.images), -1),
            classes=(),
            channels=cells.channels,
            names=tuple(files[index].name for index in cells.kept),
            pixel_types=cells.pixel_types,
            skipped=cells.skipped,
            passed_over=left,
        )
        left = ()
