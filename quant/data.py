# SPDX-License-Identifier: Apache-2.0
"""Readers of labelled cell images.

Three sources give one kind of `Dataset`:

* class stacks: a folder with one TIFF a class, axes (cell, channel, y, x), unsigned integers up to 16 bit;
* the sorter's own output: one multi-page float32 TIFF an event, a page a channel, the page name is the channel's name;
  `countpath.csv` (columns id;gate;path) gives the gate of each event;
* generated cells (quant.cells), for a machine without data.

The number, order and names of channels are data. Floating-point pixels become counts by `Digitization`.
"""

import hashlib
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from quant import cells
from sim.bit_true.errors import IcsortError
from sim.bit_true.preprocess import SAMPLE_MAX

DATA_VARIABLE = "ICSORT_DATA"
TIFF_SUFFIXES = (".tif", ".tiff")
GATE_TABLE = "countpath.csv"
PAGE_NAME_TAG = 285
JURKAT_FOLDER = "jurkat_cell_cycle"
# The Jurkat stacks carry no channel names; these are the ones of their publication (Blasi et al. 2016).
KNOWN_CHANNELS = {JURKAT_FOLDER: ("Brightfield", "PI", "Darkfield")}


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


@dataclass(frozen=True)
class Dataset:
    """Labelled cells: images[i] is uint16 (height_i, width, C) raw counts, labels (N,) int64 index into `classes`.

    `source` is a short name for the manifest, `origin` a sentence for people.
    """

    source: str
    origin: str
    images: tuple[NDArray[np.uint16], ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.images:
            raise IcsortError(f"{self.origin}: no cells; give a folder with labelled cell images")
        shapes = {image.shape[1:] for image in self.images}
        if shapes != {(self.images[0].shape[1], len(self.channels))}:
            raise IcsortError(f"{self.origin}: images differ in width or channels ({sorted(shapes)}); use one geometry")

    def sha256(self) -> str:
        """Over classes, channels, labels, shapes and pixels; not over file names or the order of folders."""
        digest = hashlib.sha256(repr((self.classes, self.channels)).encode())
        for image, label in zip(self.images, self.labels, strict=True):
            digest.update(struct.pack("<III", int(label), *image.shape[:2]))
            digest.update(image.astype("<u2").tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Cells of each class, by name."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}

    def limited(self, per_class: int, seed: int) -> "Dataset":
        """At most `per_class` cells of each class, drawn with a seed, in their old order."""
        random = np.random.default_rng(seed)
        chosen: list[int] = []
        for label in range(len(self.classes)):
            members = np.flatnonzero(self.labels == label)
            chosen += random.permutation(members)[:per_class].tolist()
        keep = sorted(chosen)
        images = tuple(self.images[i] for i in keep)
        return Dataset(self.source, self.origin, images, self.labels[keep], self.classes, self.channels)


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
    return np.ascontiguousarray(_to_counts(path, stack, digitization or Digitization()).transpose(0, 2, 3, 1))


def read_class_stacks(
    folder: Path, channels: Sequence[str] | None = None, digitization: Digitization | None = None
) -> Dataset:
    """A folder with one TIFF a class; the file name without its suffix is the class, classes in order of name.

    channels: names in the file's order; without them those that are known for the folder's name, else channel0, ...
    """
    stacks = {path.stem: read_class_stack(path, digitization) for path in tiff_files(folder)}
    first_name, first = next(iter(stacks.items()))
    for name, stack in stacks.items():
        if stack.shape[1:] != first.shape[1:]:
            raise IcsortError(
                f"{folder}: class {name} has cells of {_size(stack)} but {first_name} of {_size(first)}; "
                "all class stacks need one size and number of channels"
            )
    names = _channel_names(folder, channels or KNOWN_CHANNELS.get(folder.name), first.shape[-1])
    labels = np.concatenate([np.full(len(stack), i, np.int64) for i, stack in enumerate(stacks.values())])
    return Dataset(
        source="jurkat" if folder.name == JURKAT_FOLDER else folder.name,
        origin=f"class stacks in {folder}",
        images=tuple(image for stack in stacks.values() for image in stack),
        labels=labels,
        classes=tuple(stacks),
        channels=names,
    )


def read_gate_table(path: Path) -> pd.DataFrame:
    """The sorter's countpath.csv: columns id, gate, path (relative to the table), separated by semicolons.

    Returns the three columns, `path` as absolute paths. Raises IcsortError where the table is missing or malformed.
    """
    try:
        table = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise IcsortError(f"{path}: there is no such gate table; give the sorter's output folder") from None
    except (ValueError, OSError) as error:
        raise IcsortError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from None
    missing = {"id", "gate", "path"} - set(table.columns)
    if missing:
        raise IcsortError(f"{path}: has no column {sorted(missing)[0]!r}; it must be separated by ; with id;gate;path")
    if table.empty:
        raise IcsortError(f"{path}: lists no events; export the gates of the sorter's run again")
    table["path"] = [os.path.normpath(path.parent.absolute() / entry.strip()) for entry in table["path"]]
    return table[["id", "gate", "path"]]


def read_sorter_events(
    paths: Sequence[Path], digitization: Digitization | None = None
) -> tuple[tuple[NDArray[np.uint16], ...], tuple[str, ...]]:
    """Multi-page TIFFs of one run as uint16 images (height_i, width, C) and the channel names.

    Raises IcsortError where files differ in the number of pages, their names or the width of a line.
    """
    if not paths:
        raise IcsortError("no sorter images were given; give at least one multi-page TIFF")
    images: list[NDArray[np.uint16]] = []
    first_names: tuple[str, ...] = ()
    for path in paths:
        stack, names = read_pages(path)
        if not images:
            first_names = names
        elif len(names) != len(first_names):
            raise IcsortError(
                f"{path}: has {len(names)} pages but {paths[0].name} has {len(first_names)}; "
                "all images of a run need the same channels"
            )
        elif names != first_names:
            raise IcsortError(f"{path}: its page names differ from those of {paths[0].name}; do not mix instruments")
        elif stack.shape[2] != images[0].shape[1]:
            raise IcsortError(
                f"{path}: is {stack.shape[2]} pixels wide but {paths[0].name} is {images[0].shape[1]}; "
                "all images of a run need the same width"
            )
        counts = _to_counts(path, stack, digitization or Digitization())
        images.append(np.ascontiguousarray(counts.transpose(1, 2, 0)))
    return tuple(images), _channel_names(paths[0], [n for n in first_names if n] or None, len(first_names))


def read_sorter_folder(folder: Path, digitization: Digitization | None = None) -> Dataset:
    """A folder of the sorter: output/countpath.csv (or countpath.csv) and the images that it lists; a class a gate."""
    table = read_gate_table(_gate_table_in(folder) or folder / GATE_TABLE)
    images, channels = read_sorter_events([Path(entry) for entry in table["path"]], digitization)
    classes = tuple(sorted(set(table["gate"])))
    return Dataset(
        source=folder.name,
        origin=f"sorter events in {folder}",
        images=images,
        labels=np.asarray([classes.index(gate) for gate in table["gate"]], dtype=np.int64),
        classes=classes,
        channels=channels,
    )


def read_folder(
    folder: Path, channels: Sequence[str] | None = None, digitization: Digitization | None = None
) -> Dataset:
    """Labelled cells of a folder, whichever of the two layouts it has."""
    if not folder.is_dir():
        raise IcsortError(f"{folder}: there is no such folder; give one with cell images, or --generated")
    if _gate_table_in(folder) is not None:
        return read_sorter_folder(folder, digitization)
    return read_class_stacks(folder, channels, digitization)


def find_dataset(
    folder: Path | None = None,
    generated: bool = False,
    seed: int = 0,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
) -> Dataset:
    """The cells to train on; `origin` says which were taken.

    In this order: `folder`; generated cells where asked for; the folder that ICSORT_DATA names; ../shared/data beside
    the repository; generated cells. In the two last folders the Jurkat stacks are taken where they are.
    """
    if folder is not None and generated:
        raise IcsortError("--data and --generated exclude each other: give one of them")
    if folder is not None:
        return read_folder(folder, channels, digitization)
    if not generated:
        named = os.environ.get(DATA_VARIABLE)
        root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
        if named and not root.is_dir():
            raise IcsortError(f"{DATA_VARIABLE} is {named}: there is no such folder; correct it or unset it")
        if (root / JURKAT_FOLDER).is_dir():
            return read_folder(root / JURKAT_FOLDER, channels, digitization)
        if named:
            return read_folder(root, channels, digitization)
    return generated_dataset(seed=seed)


def generated_dataset(per_class: int = cells.CELLS_PER_CLASS, seed: int = 0) -> Dataset:
    """Generated cells (quant.cells) as a Dataset."""
    images, labels = cells.generate(per_class, seed)
    return Dataset(
        source="generated",
        origin=f"generated cells (no real data), {per_class} of each class, seed {seed}",
        images=tuple(images),
        labels=labels,
        classes=cells.CLASSES,
        channels=cells.CHANNELS,
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


def _to_counts(path: Path, stack: NDArray[np.generic], digitization: Digitization) -> NDArray[np.uint16]:
    if np.issubdtype(stack.dtype, np.floating):
        return digitization.counts(stack)
    if not np.issubdtype(stack.dtype, np.integer):
        raise IcsortError(f"{path}: pixels are of type {stack.dtype}; store them as unsigned 16-bit or float32")
    if stack.size and (stack.min() < 0 or stack.max() > SAMPLE_MAX):
        raise IcsortError(f"{path}: pixels are outside 0..{SAMPLE_MAX}; store them as unsigned 16-bit")
    return stack.astype(np.uint16)


def _channel_names(where: Path, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"channel{i}" for i in range(count))
    if len(names) != count:
        raise IcsortError(f"{where}: has {count} channels but {len(names)} names ({', '.join(names)}); name each one")
    return tuple(names)


def _gate_table_in(folder: Path) -> Path | None:
    for candidate in (folder / "output" / GATE_TABLE, folder / GATE_TABLE):
        if candidate.is_file():
            return candidate
    return None


def _size(stack: NDArray[np.uint16]) -> str:
    return f"{stack.shape[3]} channels x {stack.shape[1]} x {stack.shape[2]} pixels"
