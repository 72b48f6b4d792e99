# SPDX-License-Identifier: Apache-2.0
"""Class stacks: one TIFF a class, axes (cell, channel, y, x) or as the file states them; or one stack by itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.counts import Digitization, to_counts
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.reading import Reading, channel_names, entries, passed_over
from icsort.quant.cells.readers.tiffs import TIFF_SUFFIXES, is_stack, read_tiff

LAYOUT = "TIFF stacks of cells, one a class"
LOOKED_AT = 20  # files of a folder, at most, of which one has to be a stack


def accepts(path: Path) -> bool:
    """Whether the axes of a TIFF, or of one of the first in a folder, say that it holds cells."""
    return any(map(is_stack, _tiff_files(path)[:LOOKED_AT]))


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """A folder stack by stack, the file name without its suffix is the class; a single file is cells without labels.

    A stack that cannot be read is always refused: with it a class would be gone.
    """
    stacks = _tiff_files(path)
    classes = tuple(stack.stem for stack in stacks) if path.is_dir() else ()
    doubled = next((name for name in classes if classes.count(name) > 1), None)
    if doubled is not None:
        raise IcsortError(f"{path}: holds two stacks of the class {doubled}; merge or rename them")
    left = tuple(
        passed_over(path, entry, "lies beside the class stacks")
        for entry in (entries(path) if path.is_dir() else ())
        if entry not in stacks
    )
    sizes: list[str] = []
    for label, stack in enumerate(stacks):
        cells, names, pixel_type = read_class_stack(stack, reading.digitization)
        sizes.append(f"{cells.shape[3]} channels x {cells.shape[1]} x {cells.shape[2]} pixels")
        if sizes[-1] != sizes[0]:
            raise IcsortError(
                f"{path}: {stack.name} has cells of {sizes[-1]} but {stacks[0].name} of {sizes[0]}; "
                "all class stacks need one size and number of channels"
            )
        for begin in range(0, len(cells), reading.size or len(cells)):
            some = cells[begin : begin + (reading.size or len(cells))]
            yield Dataset(
                source=path.name,
                origin=f"class stacks in {path}" if classes else f"cells in {path}",
                images=tuple(some),
                labels=np.full(len(some), label if classes else -1, np.int64),
                classes=classes,
                channels=channel_names(path, reading.channels or (names if all(names) else None), cells.shape[-1]),
                names=tuple(f"{stack.stem}[{begin + index}]" for index in range(len(some))),
                pixel_types=np.full(len(some), pixel_type),
                passed_over=left,
            )
            left = ()


def read_class_stack(
    path: Path, digitization: Digitization | None = None
) -> tuple[NDArray[np.uint16], tuple[str, ...], str]:
    """One stack as uint16 (cell, y, x, channel), the names of its channels ("" for none), its type of pixels.

    Raises IcsortError as tiffs.read_tiff does, and for pages that may be cells or channels.
    """
    tiff = read_tiff(path)
    if tiff.pages:
        raise IcsortError(
            f"{path}: does not say whether its {tiff.pixels.shape[1]} pages are cells or channels; write it with "
            "tifffile.imwrite(..., metadata={'axes': 'TYX'}) for cells, 'TCYX' for both"
        )
    counts = to_counts(path, tiff.pixels, digitization or Digitization())
    return np.ascontiguousarray(counts.transpose(0, 2, 3, 1)), tiff.names, tiff.pixels.dtype.name


def _tiff_files(path: Path) -> list[Path]:
    files = entries(path) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() in TIFF_SUFFIXES and file.is_file()]
