# SPDX-License-Identifier: Apache-2.0
"""One NumPy archive of cells with a table of the same name beside it, a row a cell: X.npz and X.csv."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.counts import to_counts
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.reading import Reading, channel_names

LAYOUT = "a NumPy archive (.npz) of images with a table (.csv) of the same name"
IMAGES = "images"
CLASS, NAME = "class", "name"  # columns that are known without being told


def accepts(path: Path) -> bool:
    """Whether a file is an archive with its table beside it."""
    return path.is_file() and path.suffix == ".npz" and path.with_suffix(".csv").is_file()


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """The array `images`, axes (cell, y, x) or (cell, y, x, channel); row k of the table is of images[k].

    The class is the column that `label_by` names, else `class` where there is one; an empty cell is no label. The name
    is the column `name`, else X[k]. All columns are the cells' parameters, by which they may be grouped.
    """
    pixels = read_array(path, IMAGES)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or not pixels.size:
        raise IcsortError(f"{path}: {IMAGES} is of the shape {pixels.shape}; store it as (cell, y, x, channel)")
    table = read_table(path.with_suffix(".csv"))
    if len(table) != len(pixels):
        raise IcsortError(
            f"{path.with_suffix('.csv')}: has {len(table)} rows but {path.name} {len(pixels)} images; give one row each"
        )
    classes, labels = _labels(path, table, reading.label_by)
    names = table[NAME].astype(str) if NAME in table else [f"{path.stem}[{index}]" for index in range(len(table))]
    channels = channel_names(path, reading.channels, pixels.shape[-1])
    for begin in range(0, len(pixels), reading.size or len(pixels)):
        rows = slice(begin, begin + (reading.size or len(pixels)))
        some = to_counts(path, pixels[rows], reading.digitization)
        yield Dataset(
            source=path.stem,
            origin=f"arrays in {path}",
            images=tuple(some),
            labels=labels[rows],
            classes=classes,
            channels=channels,
            names=tuple(names[rows]),
            parameters=table.iloc[rows].reset_index(drop=True),
            pixel_types=np.full(len(some), pixels.dtype.name),
        )


def read_array(path: Path, key: str) -> NDArray[np.generic]:
    """The array `key` of a NumPy archive. Raises IcsortError for a damaged file and where there is no such array."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if key not in archive:
                raise IcsortError(f"{path}: has no array {key} (there are {', '.join(archive)}); name it so")
            return np.asarray(archive[key])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: truncated or damaged archive ({detail[0] if detail else type(error).__name__}); copy it again"
        ) from None


def read_table(path: Path) -> pd.DataFrame:
    """A table with a head, separated by comma, semicolon or tab. Raises IcsortError where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            head = stream.readline()
        table = pd.read_csv(path, sep=max(",;\t", key=head.count), encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        raise IcsortError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from None
    if not len(table):
        raise IcsortError(f"{path}: has no rows; give one for each image")
    return table


def _labels(path: Path, table: pd.DataFrame, label_by: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Classes in order, and of each row its index or -1."""
    if len(label_by) > 1:
        raise IcsortError(f"--label-by: name one column of {path.with_suffix('.csv')}")
    column = label_by[0] if label_by else CLASS
    if column not in table:
        if not label_by:
            return (), np.full(len(table), -1, np.int64)
        raise IcsortError(
            f"--label-by {column}: {path.with_suffix('.csv')} has no such column; it has {', '.join(table.columns)}"
        )
    values = table[column].astype(object).where(table[column].notna())
    classes = tuple(sorted({str(value) for value in values.dropna()}))
    position = {name: index for index, name in enumerate(classes)}
    return classes, np.asarray([position.get(str(value), -1) for value in values], np.int64)
