# SPDX-License-Identifier: Apache-2.0
"""A zip archive of images, an image a cell; the folder that holds it is its class."""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.images import PICTURE_SUFFIXES, CellImage, read_picture
from icsort.quant.cells.readers.reading import Reading, channel_names, read_each

LAYOUT = "a zip archive of images in a folder a class"


def accepts(path: Path) -> bool:
    """Whether a file is a zip archive, by its name."""
    return path.is_file() and path.suffix.lower() == ".zip"


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """PNG, BMP and JPEG, in order of name; the innermost folder is the class, names are those in the archive.

    Cells cut out of a microscope's field may differ in width as well: they are put in the middle of lines as wide as
    the widest, whose other pixels are the darkest of the image's edge. Refused where channels differ.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = sorted(name for name in archive.namelist() if not name.endswith("/"))
            images = [name for name in files if _is_picture(name)]
            if not images:
                raise IcsortError(f"{path}: holds no image that is read; give {LAYOUT}")
            cells, skipped = read_each(
                path,
                [Path(name) for name in images],
                lambda name: read_picture(f"{path}/{name.as_posix()}", archive.read(name.as_posix())),
                reading.unreadable,
            )
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise IcsortError(f"{path}: truncated or damaged archive ({error}); copy it again") from None
    depths = {cell.counts.shape[2] for cell in cells.values()}
    if len(depths) > 1:
        raise IcsortError(f"{path}: holds images of {sorted(depths)} channels; store all with one number")
    folders = {index: PurePosixPath(images[index]).parent.name for index in cells}
    classes = tuple(sorted(set(folders.values()) - {""}))
    width = max(cell.counts.shape[1] for cell in cells.values())
    names = channel_names(path, reading.channels, depths.pop())
    left = tuple(f"{name}: no image that is read" for name in files if not _is_picture(name))
    kept = list(cells)
    for begin in range(0, len(kept), reading.size or len(kept)):
        some = kept[begin : begin + (reading.size or len(kept))]
        yield Dataset(
            source=path.stem,
            origin=f"images in {path}",
            images=tuple(widened(cells[index], width) for index in some),
            labels=np.asarray([classes.index(folders[index]) if folders[index] else -1 for index in some], np.int64),
            classes=classes,
            channels=names,
            names=tuple(images[index] for index in some),
            pixel_types=np.asarray([cells[index].pixel_type for index in some]),
            skipped=skipped,
            passed_over=left,
        )
        skipped, left = (), ()


def widened(cell: CellImage, width: int) -> NDArray[np.uint16]:
    """The image (H, W, C) in the middle of lines of `width` pixels, the others as the darkest of its edge."""
    counts = cell.counts
    edge = np.concatenate([counts[0], counts[-1], counts[:, 0], counts[:, -1]]).min(axis=0)
    left = (width - counts.shape[1]) // 2
    wide = np.broadcast_to(edge, (len(counts), width, counts.shape[2])).copy()
    wide[:, left : left + counts.shape[1]] = counts
    return wide


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in PICTURE_SUFFIXES and not hidden
