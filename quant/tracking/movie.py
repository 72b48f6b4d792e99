# SPDX-License-Identifier: Apache-2.0
"""A movie, its masks and its truth, as they lie on disk: folders of TIFFs, a frame each, or one TIFF."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.readers.tiffs import TIFF_SUFFIXES, read_tiff

TRUTH_TABLE = "man_track.txt"
RESULT_TABLE = "res_track.txt"


def read_frames(path: Path) -> NDArray[np.generic]:
    """Frames (T, H, W), in the order of the numbers in their names.

    Raises IcsortError for a path without TIFFs, a file that cannot be read, frames that differ in size, hold several
    channels or planes, or hold values that are no numbers.
    """
    frames = [frame for file in _files(path) for frame in _read(file)]
    first = frames[0]
    for index, frame in enumerate(frames):
        if frame.shape != first.shape or frame.dtype != first.dtype:
            kind = f"{frame.shape[0]} x {frame.shape[1]} {frame.dtype}"
            raise IcsortError(
                f"{path}: frame {index} is {kind}, the first one {first.shape[0]} x {first.shape[1]} {first.dtype}; "
                "a movie's frames are of one size and type"
            )
    stack = np.stack(frames)
    if stack.dtype.kind == "f" and not np.isfinite(stack).all():
        raise IcsortError(f"{path}: holds pixels that are no numbers (NaN or infinite); store finite intensities")
    return stack


def read_movie(path: Path) -> NDArray[np.generic]:
    """As `read_frames`, of at least two frames."""
    images = read_frames(path)
    if len(images) < 2:
        raise IcsortError(f"{path}: is a movie of one frame, in which nothing can be followed; give at least two")
    return images


def read_masks(path: Path, images: NDArray[np.generic]) -> NDArray[np.int32]:
    """Masks (T, H, W) of a movie's images: a number a cell, 0 elsewhere.

    Raises IcsortError, beside what `read_frames` does, for masks of another shape and for such as hold no cell.
    """
    masks = read_frames(path)
    if masks.dtype.kind not in "ui":
        raise IcsortError(f"{path}: masks are {masks.dtype}; store whole numbers, one a cell")
    if masks.shape != images.shape:
        raise IcsortError(f"{path}: is {_size(masks)}, the movie {_size(images)}; give the masks of this movie")
    if not masks.any():
        raise IcsortError(f"{path}: the masks hold no cell; each cell's pixels hold its number, 0 is ground")
    if int(masks.min()) < 0 or int(masks.max()) > np.iinfo(np.int32).max:
        raise IcsortError(f"{path}: numbers of cells are below 0 or above 2147483647; number them anew")
    return masks.astype(np.int32)


def read_truth(path: Path) -> NDArray[np.int64]:
    """Tracks (K, 4) of the Cell Tracking Challenge's man_track.txt, or of a result's res_track.txt where there is none:
    number, first frame, last frame, parent.

    Raises IcsortError for a table that is missing or is none.
    """
    tables = [path / TRUTH_TABLE, path / RESULT_TABLE]
    file = next((table for table in tables if table.exists()), tables[0])
    try:
        words = [line.split() for line in file.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise IcsortError(f"{file}: cannot be read; give the challenge's TRA folder, masks and {TRUTH_TABLE}") from None
    if not words or any(len(row) != 4 or not all(re.fullmatch(r"\d+", word) for word in row) for row in words):
        raise IcsortError(f"{file}: its lines are not four whole numbers (track, begin, end, parent); repair it")
    table = np.array(words, np.int64)
    if len(np.unique(table[:, 0])) < len(table) or (table[:, 0] < 1).any() or (table[:, 1] > table[:, 2]).any():
        raise IcsortError(f"{file}: a track is there twice, has number 0 or ends before it begins; repair it")
    return table


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise IcsortError(f"{path}: there is no such file or folder; give a folder of TIFFs, a frame each, or one TIFF")
    files = [file for file in path.iterdir() if file.suffix.lower() in TIFF_SUFFIXES and not file.name.startswith(".")]
    if not files:
        raise IcsortError(f"{path}: holds no TIFF; give a folder of TIFFs, a frame each, or one TIFF of all frames")
    return sorted(files, key=lambda file: ([int(number) for number in re.findall(r"\d+", file.stem)], file.name))


def _read(file: Path) -> NDArray[np.generic]:
    """Frames (t, H, W) of one file: whatever its pages are said to be, where there is one axis of them."""
    pixels = read_tiff(file).pixels
    if pixels.shape[0] > 1 and pixels.shape[1] > 1:
        raise IcsortError(f"{file}: has {pixels.shape[1]} channels; store the one to be followed")
    return pixels.reshape(-1, *pixels.shape[2:])


def _size(stack: NDArray[np.generic]) -> str:
    return f"{stack.shape[0]} frames of {stack.shape[1]} x {stack.shape[2]}"
