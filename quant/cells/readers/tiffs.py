# SPDX-License-Identifier: Apache-2.0
"""TIFF files of cells: multi-page events and class stacks, checked to the last page. Floats become counts."""

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.sim.bit_true.preprocess import SAMPLE_MAX

TIFF_SUFFIXES = (".tif", ".tiff")
PAGE_NAME_TAG = 285


@dataclass(frozen=True)
class Digitization:
    """counts = clip(round((value - offset) * counts_per_unit), 0, 65535).

    The sorter stores detector values in arbitrary units, about -0.9 to 1.8 in the images that are known. The default
    covers -1 to 3 with the whole range of 16 bit. Assumed, not the instrument's: its converter is not published.
    """

    offset: float = -1.0
    counts_per_unit: float = 16384.0

    def counts(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Finite floating-point values of any shape to uint16 counts of that shape."""
        scaled = np.rint((values.astype(np.float64) - self.offset) * self.counts_per_unit)
        return np.clip(scaled, 0, SAMPLE_MAX).astype(np.uint16)


def read_pages(path: Path) -> tuple[NDArray[np.generic], tuple[str, ...]]:
    """One multi-page TIFF as (page, y, x) in its own type, and the page names ("" where a page has none).

    All pages, also where the file calls each a series of its own. Raises IcsortError for a file that is missing,
    truncated, no TIFF, whose pages differ in size, or that holds NaN or infinite pixels.
    """
    with _opened(path) as tiff:
        pages = [page.asarray() for page in tiff.pages]
        names = tuple(_page_name(page) for page in tiff.pages)
    if not pages:
        raise IcsortError(f"{path}: holds no image; remove it or copy it again")
    if len({page.shape for page in pages}) != 1 or pages[0].ndim != 2:
        shapes = sorted({page.shape for page in pages})
        raise IcsortError(f"{path}: its pages are not two-dimensional images of one size ({shapes}); remove it")
    stack = np.stack(pages)
    _check_finite(path, stack)
    return stack, names


def read_class_stack(path: Path, digitization: Digitization | None = None) -> NDArray[np.uint16]:
    """One class stack, file axes (cell, channel, y, x), as uint16 (cell, y, x, channel).

    A file of three axes is one cell. Raises IcsortError as read_pages does, and for pixels that do not fit 16 bit.
    """
    with _opened(path) as tiff:
        stack = tiff.series[0].asarray()
    if stack.ndim == 3:
        stack = stack[np.newaxis]
    if stack.ndim != 4:
        raise IcsortError(f"{path}: its axes are {stack.shape}, not (cell, channel, y, x); store one stack a class")
    _check_finite(path, stack)
    return np.ascontiguousarray(to_counts(path, stack, digitization or Digitization()).transpose(0, 2, 3, 1))


def read_class_stacks(
    folder: Path, channels: Sequence[str] | None = None, digitization: Digitization | None = None
) -> Iterator[Dataset]:
    """A folder with one TIFF a class, stack by stack; the file name without its suffix is the class.

    channels: names in the file's order; without them channel0, ... A stack that cannot be read is always refused: with
    it a class would be gone.
    """
    paths = tiff_files(folder)
    first: NDArray[np.uint16] | None = None
    for label, path in enumerate(paths):
        stack = read_class_stack(path, digitization)
        first = stack if first is None else first
        if stack.shape[1:] != first.shape[1:]:
            raise IcsortError(
                f"{folder}: class {path.stem} has cells of {_size(stack)} but {paths[0].stem} of {_size(first)}; "
                "all class stacks need one size and number of channels"
            )
        yield Dataset(
            source=folder.name,
            origin=f"class stacks in {folder}",
            images=tuple(stack),
            labels=np.full(len(stack), label, np.int64),
            classes=tuple(other.stem for other in paths),
            channels=channel_names(folder, channels, stack.shape[-1]),
            names=tuple(f"{path.stem}[{index}]" for index in range(len(stack))),
        )


def tiff_files(folder: Path) -> list[Path]:
    """The TIFF files of a folder in order of name. Raises IcsortError where there are none."""
    if not folder.is_dir():
        raise IcsortError(f"{folder}: there is no such folder; give one with cell images, or --generated")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in TIFF_SUFFIXES and path.is_file())
    if not found:
        raise IcsortError(f"{folder}: holds no images (*.tif, *.tiff); give a folder with cell images, or --generated")
    return found


class _Complaints(logging.Handler):
    """Collects what tifffile only logs: it returns what it could read of a damaged file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """An open TIFF; whatever is wrong with the file, found while it is read, becomes one IcsortError."""
    logger = logging.getLogger("tifffile")
    complaints = _Complaints()
    propagated = logger.propagate
    logger.addHandler(complaints)
    logger.propagate = False
    try:
        with warnings.catch_warnings(), tifffile.TiffFile(path) as tiff:
            warnings.simplefilter("error")
            len(tiff.pages)  # walks to the last page, so that a chain that is cut off is noticed
            yield tiff
    except FileNotFoundError:
        raise IcsortError(f"{path}: there is no such file; copy it there or correct the list that names it") from None
    except PermissionError:
        raise IcsortError(f"{path}: may not be read; change its permissions") from None
    except (
        tifffile.TiffFileError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        struct.error,
        zlib.error,
        RuntimeError,
        UserWarning,
    ) as error:
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: truncated or damaged TIFF ({detail[0] if detail else type(error).__name__}); copy it again"
        ) from None
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagated
    if complaints.messages:
        raise IcsortError(f"{path}: truncated or damaged TIFF ({complaints.messages[0]}); copy it again")


def _page_name(page: tifffile.TiffPage | tifffile.TiffFrame) -> str:
    tag = page.aspage().tags.get(PAGE_NAME_TAG)
    return "" if tag is None else str(tag.value).strip()


def _check_finite(path: Path, stack: NDArray[np.generic]) -> None:
    if np.issubdtype(stack.dtype, np.floating):
        bad = int(np.count_nonzero(~np.isfinite(stack)))
        if bad:
            raise IcsortError(f"{path}: {bad} pixels are NaN or infinite; remove the file or export it again")


def to_counts(path: Path, stack: NDArray[np.generic], digitization: Digitization) -> NDArray[np.uint16]:
    """Pixels of any shape as uint16 counts of that shape: floats digitized, integers as they are.

    Raises IcsortError for other types and for integers that do not fit 16 bit.
    """
    if np.issubdtype(stack.dtype, np.floating):
        return digitization.counts(stack)
    if not np.issubdtype(stack.dtype, np.integer):
        raise IcsortError(f"{path}: pixels are of type {stack.dtype}; store them as unsigned 16-bit or float32")
    if stack.size and (stack.min() < 0 or stack.max() > SAMPLE_MAX):
        raise IcsortError(f"{path}: pixels are outside 0..{SAMPLE_MAX}; store them as unsigned 16-bit")
    return stack.astype(np.uint16)


def channel_names(where: Path, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names, or channel0, ... without any. Raises IcsortError where they are not `count`."""
    if names is None:
        return tuple(f"channel{i}" for i in range(count))
    if len(names) != count:
        raise IcsortError(f"{where}: has {count} channels but {len(names)} names ({', '.join(names)}); name each one")
    return tuple(names)


def _size(stack: NDArray[np.uint16]) -> str:
    return f"{stack.shape[3]} channels x {stack.shape[1]} x {stack.shape[2]} pixels"
