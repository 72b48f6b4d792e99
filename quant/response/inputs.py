# SPDX-License-Identifier: Apache-2.0
"""What a response is read from: of each cell its image, mask, distance map and a row of a table."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.jobs import HERE, Pool
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.arrays import read_array, read_table
from icsort.quant.cells.readers.images import is_image, read_image
from icsort.quant.response.features import LEAST_AREA, distance_map, features, segment

NAME_COLUMNS = ("name", "file_name", "cell", "image")  # of a table, in this order; else the first column of text
MASKS = "masks"
NOWHERE = -1
MARGIN = 4  # pixels about a cell's mask, where the side of the pictures is chosen
COVERED = 95  # percentile of the cells whose mask such a picture holds


@dataclass(frozen=True)
class Inputs:
    """Cells with all that the network is given.

    masks[i]: (height_i, width) of cell i. pictures: "image" (N, C, side, side) raw counts, "mask" and "distance"
    (N, 1, side, side), each float32 about the middle of its cell's mask. table: (N, F), finite. measured: whether the
    table was measured here; left_out: columns of a given table that are not used, each with the reason.
    """

    dataset: Dataset
    masks: tuple[NDArray[np.bool_], ...]
    pictures: dict[str, NDArray[np.float32]]
    table: pd.DataFrame
    measured: bool
    left_out: tuple[str, ...]

    @property
    def areas(self) -> NDArray[np.float64]:
        """Pixels of each cell's mask, (N,)."""
        return np.asarray([mask.sum() for mask in self.masks], np.float64)


def read_inputs(
    dataset: Dataset,
    *,
    table: Path | None = None,
    measure: bool = False,
    without: str | None = None,
    masks: Path | None = None,
    side: int | None = None,
    pool: Pool = HERE,
) -> Inputs:
    """Put together what is known of labelled cells; what is not given is segmented and measured (response.features).

    table: a CSV file whose rows match the cells by name; measure: measure the cells as well. without: regular
    expression of columns to leave out. masks: a .npz with the array `masks` (cell, y, x), or a folder of images
    called as the cells; what is not 0 is the cell. side: of the pictures, pixels; chosen by the masks where
    None. pool: where cells are measured. Raises IcsortError for rows or masks that do not match, an empty mask, and a
    table with missing values.
    """
    shapes = [
        segment(image, dataset.name_of(index)) for index, image in enumerate(dataset.images)
    ] if masks is None else read_masks(dataset, masks)  # fmt: skip
    columns: list[pd.DataFrame] = []
    left_out: tuple[str, ...] = ()
    if table is not None:
        given, left_out = matching_rows(dataset, table, without)
        columns.append(given)
    if table is None or measure:
        columns.append(features(dataset.images, shapes, dataset.channels, pool))
    rows = pd.concat(columns, axis=1)
    side = side or _side(shapes)
    middles = [_middle(mask) for mask in shapes]
    pictures = {
        "image": [
            np.moveaxis(_cut(image, middle, side), 2, 0) for image, middle in zip(dataset.images, middles, strict=True)
        ],
        "mask": [_cut(mask, middle, side)[np.newaxis] for mask, middle in zip(shapes, middles, strict=True)],
        "distance": [
            _cut(distance_map(mask), middle, side)[np.newaxis] for mask, middle in zip(shapes, middles, strict=True)
        ],
    }
    stacked = {name: np.stack(each).astype(np.float32) for name, each in pictures.items()}
    return Inputs(dataset, tuple(shapes), stacked, rows, table is None, left_out)


def matching_rows(dataset: Dataset, path: Path, without: str | None = None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The row of each cell, in the cells' order, and a line for each column that is left out.

    A row is called as its cell, or as its file, with or without folder and suffix. Rows without a cell are left alone.
    Raises IcsortError for cells without a row, or with two, and for values that are missing or not finite.
    """
    table = read_table(path)
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    column = next((name for name in NAME_COLUMNS if name in table), texts[0] if texts else None)
    if column is None:
        raise IcsortError(f"{path}: has no column of names; add one called name, with the cells' names")
    names = table[column].astype(str).str.replace("\\", "/", regex=False)
    if names.duplicated().any():
        raise IcsortError(f"{path}: names {names[names.duplicated()].iloc[0]} twice; give each cell one row")
    rows = _rows_of(dataset, names.tolist(), path, "row")
    left_out = [f"{name}: no numbers" for name in texts if name != column]
    numbers = table.drop(columns=[column, *(name for name in texts if name != column)])
    if without is not None:
        dropped = [name for name in numbers if _pattern(without).search(str(name))]
        left_out += [f"{name}: --without" for name in dropped]
        numbers = numbers.drop(columns=dropped)
    if numbers.shape[1] == 0:
        raise IcsortError(f"{path}: has no column of numbers; give features")
    chosen = numbers.astype(np.float64).iloc[rows].reset_index(drop=True)
    bad = ~np.isfinite(chosen.to_numpy())
    if bad.any():
        row, place = (int(index) for index in np.argwhere(bad)[0])
        raise IcsortError(
            f"{path}: {int(bad.sum())} values of {int(bad.any(axis=0).sum())} columns are missing or not finite (first "
            f"{chosen.columns[place]} of {dataset.name_of(row)}); fill them in, or leave the columns out with --without"
        )
    return chosen, tuple(left_out)


def read_masks(dataset: Dataset, path: Path) -> list[NDArray[np.bool_]]:
    """The mask of each cell, (height_i, width). Raises IcsortError for a mask of another size, or without a cell."""
    if path.suffix == ".npz":
        stack = read_array(path, MASKS)
        if len(stack) != len(dataset.images) or stack.ndim != 3:
            raise IcsortError(f"{path}: masks are of the shape {stack.shape}; give one (y, x) for each of the images")
        found = [mask != 0 for mask in stack]
    else:
        files = sorted(file for file in path.rglob("*") if is_image(file))
        names = [file.relative_to(path).as_posix() for file in files]
        found = [read_image(files[row]).counts.max(axis=2) > 0 for row in _rows_of(dataset, names, path, "mask")]
    for index, (mask, image) in enumerate(zip(found, dataset.images, strict=True)):
        if mask.shape != image.shape[:2]:
            raise IcsortError(
                f"{path}: the mask of {dataset.name_of(index)} is {mask.shape}, its image {image.shape[:2]} pixels; "
                "give masks of the images' size"
            )
        if mask.sum() < LEAST_AREA:
            raise IcsortError(
                f"{path}: the mask of {dataset.name_of(index)} holds no cell ({int(mask.sum())} pixels); leave the "
                "image out, or leave --masks away to have cells found"
            )
    return [np.asarray(mask, bool) for mask in found]


def _rows_of(dataset: Dataset, names: Sequence[str], where: Path, what: str) -> list[int]:
    """The place in `names` of each cell, by its name: by the whole of it, else by its file, else without a suffix.

    Raises IcsortError, with what is missing, for cells that have none, and where two cells would have one.
    """
    keys: tuple[Callable[[str], str], ...] = (str, _file, _stem)
    tables: list[dict[str, int]] = []
    for key in keys:
        places: dict[str, int] = {}
        for index, name in enumerate(map(key, names)):
            places[name] = NOWHERE if name in places else index  # two of one name: none of them is meant
        tables.append(places)
    cells = [dataset.name_of(index) for index in range(len(dataset.images))]
    rows = []
    for name in cells:
        found = (places.get(key(name), NOWHERE) for key, places in zip(keys, tables, strict=True))
        rows.append(next((place for place in found if place != NOWHERE), NOWHERE))
    lacking = [name for name, row in zip(cells, rows, strict=True) if row == NOWHERE]
    if lacking:
        raise IcsortError(
            f"{where}: has no {what} for {len(lacking)} of {len(rows)} cells (first {lacking[0]}; its own are called "
            f"as {names[0] if names else 'nothing'}); give a {what} for each cell, called as its image"
        )
    if len(set(rows)) < len(rows):
        raise IcsortError(f"{where}: two cells would have one {what}; give the names that `icsort data info` knows")
    return rows


def _file(name: str) -> str:
    return PurePosixPath(name).name


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _pattern(words: str) -> re.Pattern[str]:
    try:
        return re.compile(words)
    except re.error as error:
        raise IcsortError(f"--without {words}: is no regular expression ({error})") from None


def _side(masks: Sequence[NDArray[np.bool_]]) -> int:
    """Of square pictures that hold nearly every mask, a multiple of 4."""
    spans = [max(np.ptp(places) + 1 for places in np.nonzero(mask)) for mask in masks]
    return 4 * math.ceil((np.percentile(spans, COVERED) + 2 * MARGIN) / 4)


def _middle(mask: NDArray[np.bool_]) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    return round((rows.min() + rows.max()) / 2), round((columns.min() + columns.max()) / 2)


def _cut(pixels: NDArray[Any], middle: tuple[int, int], side: int) -> NDArray[Any]:
    """A square of `side` pixels about the middle, of (H, W) or (H, W, C); beyond the image its darkest value."""
    square = np.broadcast_to(pixels.min(axis=(0, 1)), (side, side, *pixels.shape[2:])).copy()
    top, left = middle[0] - side // 2, middle[1] - side // 2
    rows, columns = (slice(max(begin, 0), max(begin, 0) + side) for begin in (top, left))
    part = pixels[rows, columns][: side + min(top, 0), : side + min(left, 0)]
    down, right = max(-top, 0), max(-left, 0)
    square[down : down + part.shape[0], right : right + part.shape[1]] = part
    return square
