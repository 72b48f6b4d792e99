# SPDX-License-Identifier: Apache-2.0
"""TIFF files of cells, checked to the last page. Axes that a file states (ImageJ, OME, tifffile) are obeyed or refused.

Cells lie along T (time), I (sequence), R (tile) or V (event); channels along C or S (samples of a pixel). Where a file
states no axes, its pages are channels, as the sorter writes them; of two axes the first is cells, the second channels;
of pages that have samples, pages are cells.
"""

import logging
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from icsort.errors import IcsortError

TIFF_SUFFIXES = (".tif", ".tiff")
PAGE_NAME_TAG = 285
CELL_AXES = "TIRV"
CHANNEL_AXES = "CS"
UNSTATED = "Q"  # tifffile's letter for an axis of which the file says nothing
UNSTATED_PAGES = ("uniform", "generic")  # kinds of series whose first axis, I, is tifffile's word for "pages"
ALL_AXES_NAMED = ("imagej", "ome")  # name T, Z and C of every file: one of length 1 says nothing
PHOTOMETRIC = ("MINISBLACK", "RGB", "YCBCR")  # pixels are intensities; tifffile gives YCBCR as RGB
AXIS_NAMES = {"Z": "depth", "A": "angle", "P": "phase", "H": "lifetime", "E": "wavelength", "L": "exposure"}


@dataclass(frozen=True)
class TiffCells:
    """The cells of one file: pixels (N, C, y, x) in the file's own type.

    names: (C,) of the channels, "" where the file has none. has_cell_axis: whether cells lie along an axis of the file,
    so that it is a stack also if it holds one. pages: 2-D images of which the file says nothing more.
    """

    pixels: NDArray[np.generic]
    names: tuple[str, ...]
    has_cell_axis: bool
    pages: bool


@dataclass(frozen=True)
class _Layout:
    """Axes of a file, a letter each, their lengths, and whether the channels are pages of which nothing is stated."""

    axes: str
    shape: tuple[int, ...]
    pages: bool

    def length(self, letters: str) -> int:
        return math.prod(length for axis, length in zip(self.axes, self.shape, strict=True) if axis in letters)

    @property
    def has_cell_axis(self) -> bool:
        return any(axis in CELL_AXES for axis in self.axes)


def read_tiff(path: Path) -> TiffCells:
    """All cells of one TIFF.

    Raises IcsortError for a file that is missing, truncated or no TIFF, whose pages differ in size or type, whose axes
    cannot be obeyed, or whose pixels are no intensities.
    """
    with _opened(path) as tiff:
        layout = _layout(path, tiff)
        _check_pixels(path, tiff)
        series = tiff.series
        pixels = np.stack([page.asarray() for page in tiff.pages]) if len(series) > 1 else series[0].asarray()
        names = _channel_names(tiff, layout.length(CHANNEL_AXES))
    pixels = pixels.reshape(layout.shape)
    order = [axis for letters in (CELL_AXES, CHANNEL_AXES, "Y", "X") for axis in letters if axis in layout.axes]
    height, width = layout.length("Y"), layout.length("X")
    pixels = pixels.transpose([layout.axes.index(axis) for axis in order])
    pixels = pixels.reshape(-1, layout.length(CHANNEL_AXES), height, width)
    return TiffCells(pixels, names, layout.has_cell_axis, layout.pages)


def is_stack(path: Path) -> bool:
    """Whether a TIFF's axes say that it holds cells, one or many; False for what cannot be read."""
    try:
        with _opened(path) as tiff:
            return _layout(path, tiff).has_cell_axis
    except IcsortError:
        return False


def _layout(path: Path, tiff: tifffile.TiffFile) -> _Layout:
    """What the axes of a file mean, without those of length 1 that say nothing."""
    if not tiff.pages:
        raise IcsortError(_complaint(path, "it holds no image"))
    series = tiff.series[0]
    if len(tiff.series) > 1:
        # each page an image of its own, as some writers have it
        kinds = {(images.axes, images.shape, images.dtype.name) for images in tiff.series}
        if len(kinds) > 1 or series.axes != "YX" or len(tiff.pages) != len(tiff.series):
            images = ", ".join(f"{axes} {shape} {kind}" for axes, shape, kind in sorted(kinds))
            raise IcsortError(f"{path}: its pages differ in axes, size or type ({images}); store all alike")
        return _Layout("CYX", (len(tiff.series), *series.shape), pages=True)
    named = [(axis, length) for axis, length in zip(series.get_axes(False), series.get_shape(False), strict=True)]
    if series.kind in UNSTATED_PAGES:
        named = [(UNSTATED if axis == "I" else axis, length) for axis, length in named]
    samples = any(axis == "S" and length > 1 for axis, length in named)
    meaning = ["", "I", None] if samples else ["", "C", "IC", None]
    unstated = sum(axis == UNSTATED for axis, _ in named)
    meant = meaning[min(unstated, len(meaning) - 1)]
    if meant is None:
        raise IcsortError(f"{path}: has axes {series.shape} and does not say what they are; {_remedy('ICYX')}")
    letters = iter(meant)
    named = [(next(letters) if axis == UNSTATED else axis, length) for axis, length in named]
    kept = [
        (axis, length)
        for axis, length in named
        if axis in "YX" or length > 1 or (axis in CELL_AXES and series.kind not in ALL_AXES_NAMED)
    ]
    axes, shape = "".join(axis for axis, _ in kept), tuple(length for _, length in kept)
    for axis, length in kept:
        if axis not in CELL_AXES + CHANNEL_AXES + "YX":
            raise IcsortError(
                f"{path}: its axes are {axes}, and {axis} ({AXIS_NAMES.get(axis, 'other')}) has {length} entries; a "
                f"cell is one image: {_remedy('TCYX')}"
            )
    if any(axes.count(axis) != 1 for axis in "YX") or sum(axis in axes for axis in CHANNEL_AXES) > 1:
        raise IcsortError(f"{path}: its axes are {axes} {shape}, not cell, channel, y and x; {_remedy('TCYX')}")
    if sum(axes.count(axis) for axis in CELL_AXES) > 1:
        raise IcsortError(f"{path}: cells lie along more than one of its axes {axes} {shape}; {_remedy('TCYX')}")
    return _Layout(axes, shape, pages=meant == "C" and "C" in axes)


def _remedy(axes: str) -> str:
    return f"write it with tifffile.imwrite(..., metadata={{'axes': '{axes}'}})"


def _check_pixels(path: Path, tiff: tifffile.TiffFile) -> None:
    """Raise IcsortError where a pixel is no intensity: an index into colours, darker for more, or transparency."""
    page = tiff.pages.first
    photometric = getattr(page.photometric, "name", str(page.photometric))
    if photometric not in PHOTOMETRIC:
        raise IcsortError(f"{path}: its pixels are {photometric}, not intensities; store grey (0 is black) or RGB")
    if page.extrasamples:
        raise IcsortError(f"{path}: has a channel of transparency; store grey or RGB without it")


def _channel_names(tiff: tifffile.TiffFile, channels: int) -> tuple[str, ...]:
    """Page names where each page is a channel, else those of OME's description; "" for what has none."""
    if len(tiff.pages) == channels:
        names = [_page_name(page) for page in tiff.pages]
        if any(names):
            return tuple(names)
    if tiff.ome_metadata:
        names = [entry.get("Name", "") for entry in ElementTree.fromstring(tiff.ome_metadata).findall(".//{*}Channel")]
        if len(names) == channels:
            return tuple(names)
    return ("",) * channels


def _page_name(page: tifffile.TiffPage | tifffile.TiffFrame) -> str:
    tag = page.aspage().tags.get(PAGE_NAME_TAG)
    return "" if tag is None else str(tag.value).strip()


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
    except (IcsortError, MemoryError):
        raise
    except Exception as error:  # a damaged file brings tifffile and its decoders to raise nearly anything
        raise IcsortError(_complaint(path, str(error) or type(error).__name__)) from None
    finally:
        logger.removeHandler(complaints)
        logger.propagate = propagated
    if complaints.messages:
        raise IcsortError(_complaint(path, complaints.messages[0]))


def _complaint(path: Path, detail: str) -> str:
    if "imagecodecs" in detail:
        codec = re.search(r"COMPRESSION\.(\w+)", detail)
        kind = f"is compressed with {codec[1]}" if codec else "is packed in a way"
        return f"{path}: {kind}, which takes the package imagecodecs to read: pip install imagecodecs"
    return f"{path}: truncated or damaged TIFF ({detail.splitlines()[0]}); copy it again"
