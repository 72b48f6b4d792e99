# SPDX-License-Identifier: Apache-2.0
"""Files of one cell each: PNG, BMP, JPEG or TIFF, and many of them as pieces of one set."""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from icsort.errors import IcsortError
from icsort.quant.cells.counts import Digitization, to_counts
from icsort.quant.cells.readers.reading import Reading, channel_names, read_each
from icsort.quant.cells.readers.tiffs import TIFF_SUFFIXES, read_tiff

PICTURE_SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg")
IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, *TIFF_SUFFIXES)
PICTURE_MODES = ("L", "I;16", "RGB")
PNG_HEAD = struct.Struct(">8s8xIIBB")  # signature; width, height, bits a sample, colour type of the IHDR chunk


@dataclass(frozen=True)
class CellImage:
    """One cell: counts (y, x, C), names of the channels ("" for none), and the type in which pixels were stored."""

    counts: NDArray[np.uint16]
    names: tuple[str, ...]
    pixel_type: str


@dataclass(frozen=True)
class CellImages:
    """Many files of one geometry: images[i], uint16 (height_i, width, C), is file kept[i] of those asked for.

    pixel_types: (N,) as CellImage has it. skipped: a line for each file that could not be read.
    """

    images: tuple[NDArray[np.uint16], ...]
    channels: tuple[str, ...]
    pixel_types: NDArray[np.str_]
    kept: tuple[int, ...]
    skipped: tuple[str, ...]


def is_image(path: Path) -> bool:
    """Whether a file's name says that `read_image` reads it."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_image(path: Path, digitization: Digitization | None = None) -> CellImage:
    """One cell: grey of 8 or 16 bit or RGB of 8 (PNG, BMP, JPEG), or a TIFF whose pages or axis C are the channels.

    Raises IcsortError for a damaged file, for other kinds of picture, and for a TIFF of several cells.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        try:
            return read_picture(path, path.read_bytes())
        except PermissionError:
            raise IcsortError(f"{path}: may not be read; change its permissions") from None
        except OSError as error:
            raise IcsortError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    tiff = read_tiff(path)
    cells, _, height, width = tiff.pixels.shape
    if cells != 1:
        raise IcsortError(
            f"{path}: holds {cells} images of {width} x {height} pixels along an axis of cells, where a file is one "
            "cell; give such stacks in a folder of class stacks"
        )
    counts = to_counts(path, tiff.pixels[0], digitization or Digitization())
    return CellImage(np.ascontiguousarray(counts.transpose(1, 2, 0)), tiff.names, tiff.pixels.dtype.name)


def read_images(folder: Path, paths: Sequence[Path], reading: Reading) -> CellImages:
    """One cell a file. Raises IcsortError where files differ in channels, their names or the width of a line.

    Unreadable files are refused or skipped as `reading` says.
    """
    cells, skipped = read_each(folder, paths, lambda path: read_image(path, reading.digitization), reading.unreadable)
    first = next(iter(cells))
    names, (_, width, channels) = cells[first].names, cells[first].counts.shape
    for index, cell in cells.items():
        if cell.counts.shape[1:] != (width, channels):
            raise IcsortError(
                f"{paths[index]}: is {cell.counts.shape[1]} pixels wide with {cell.counts.shape[2]} channels but "
                f"{paths[first].name} is {width} with {channels}; use one geometry"
            )
        if cell.names != names:
            raise IcsortError(
                f"{paths[index]}: its page names differ from those of {paths[first].name}; do not mix instruments"
            )
    return CellImages(
        images=tuple(cell.counts for cell in cells.values()),
        channels=channel_names(folder, reading.channels or (names if all(names) else None), channels),
        pixel_types=np.asarray([cell.pixel_type for cell in cells.values()]),
        kept=tuple(cells),
        skipped=skipped,
    )


@contextmanager
def _damage_is_told() -> Iterator[None]:
    """Also where another library has told Pillow to fill what is missing, for all of the process: WeasyPrint does."""
    filled, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = filled


def read_picture(path: Path | str, content: bytes) -> CellImage:
    """One cell of the content of a PNG, BMP or JPEG. path: for messages. Raises IcsortError as `read_image`."""
    head = content[: PNG_HEAD.size]
    try:
        with _damage_is_told(), Image.open(io.BytesIO(content)) as picture:
            mode, kind, frames = picture.mode, picture.format, getattr(picture, "n_frames", 1)
            pixels = np.asarray(picture)
    except UnidentifiedImageError:
        raise IcsortError(f"{path}: truncated or damaged image (no picture that is known); copy it again") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: truncated or damaged image ({detail[0] if detail else type(error).__name__}); copy it again"
        ) from None
    bits = PNG_HEAD.unpack(head)[3] if kind == "PNG" else 8 * pixels.dtype.itemsize
    if mode not in PICTURE_MODES or bits != (16 if mode == "I;16" else 8):  # Pillow would scale other PNGs to 8 bit
        raise IcsortError(f"{path}: is a {kind} of kind {mode}, {bits} bit; store grey (8 or 16 bit) or RGB (8 bit)")
    if frames != 1:
        raise IcsortError(f"{path}: holds {frames} pictures; store one a file")
    counts = pixels.astype(np.uint16).reshape(*pixels.shape[:2], -1)
    return CellImage(counts, ("",) * counts.shape[2], pixels.dtype.name)
