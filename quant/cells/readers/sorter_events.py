# SPDX-License-Identifier: Apache-2.0
"""The sorter's own output: a TIFF an event, a gate table, a parameter table."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import CHUNK_CELLS, Dataset
from icsort.quant.cells.readers.tiffs import Digitization, channel_names, read_pages, to_counts
from icsort.quant.cells.readers.unreadable import Unreadable, read_each

GATE_TABLE = "countpath.csv"
PARAMETER_TABLE = "allparameters.csv"
NO_IMAGE = ("", "NA")
TABLE_FOLDERS = ("output", ".")


@dataclass(frozen=True)
class Events:
    """images[i], uint16 (height_i, width, C), is file `read[i]` of those asked for; `skipped` says why not the rest."""

    images: tuple[NDArray[np.uint16], ...]
    channels: tuple[str, ...]
    read: tuple[int, ...]
    skipped: tuple[str, ...]


def read_gate_table(path: Path) -> pd.DataFrame:
    """The sorter's countpath.csv: columns id, gate, path (relative to the table), separated by semicolons.

    Returns the three columns, `path` as absolute paths. Raises IcsortError where the table is missing or malformed.
    """
    table = _read_table(path, "gate table")
    missing = {"id", "gate", "path"} - set(table.columns)
    if missing:
        raise IcsortError(f"{path}: has no column {sorted(missing)[0]!r}; it must be separated by ; with id;gate;path")
    if table.empty:
        raise IcsortError(f"{path}: lists no events; export the gates of the sorter's run again")
    table["path"] = [os.path.normpath(path.parent.absolute() / entry.strip()) for entry in table["path"]]
    return table[["id", "gate", "path"]]


def read_parameter_table(path: Path) -> pd.DataFrame:
    """The sorter's allparameters.csv, separated by semicolons: the instrument's own figures of each event.

    Returns float64 columns, the index is the file name of the event's image (from the column `path`); rows of events
    without an image are left out, so are columns without a name and those that are not numbers. Raises IcsortError for
    a table without that column or with two rows for one image.
    """
    table = _read_table(path, "parameter table")
    if "path" not in table.columns:
        raise IcsortError(f"{path}: has no column 'path'; it must be separated by ; and name each event's image")
    table.index = pd.Index([PurePosixPath(entry.strip().replace("\\", "/")).name for entry in table["path"]])
    table = table[[name not in NO_IMAGE for name in table.index]]
    if table.index.has_duplicates:
        raise IcsortError(f"{path}: has two rows for {table.index[table.index.duplicated()][0]}; export it again")
    numbers = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    named = [name for name in numbers.columns if not name.startswith("Unnamed:") and numbers[name].notna().all()]
    parameters: pd.DataFrame = numbers[named]
    return parameters


def read_sorter_events(
    paths: Sequence[Path], digitization: Digitization | None = None, unreadable: Unreadable = "refuse"
) -> Events:
    """Multi-page TIFFs of one run.

    Raises IcsortError where files differ in the number of pages, their names or the width of a line, and for unreadable
    ones unless they are to be skipped.
    """
    if not paths:
        raise IcsortError("no sorter images were given; give at least one multi-page TIFF")

    def read(path: Path) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
        stack, names = read_pages(path)
        counts = to_counts(path, stack, digitization or Digitization())
        return np.ascontiguousarray(counts.transpose(1, 2, 0)), names

    found, skipped = read_each(paths[0].parent, paths, read, unreadable)
    first = next(iter(found))
    first_image, first_names = found[first]
    for index, (image, names) in found.items():
        path = paths[index]
        if len(names) != len(first_names):
            raise IcsortError(
                f"{path}: has {len(names)} pages but {paths[first].name} has {len(first_names)}; "
                "all images of a run need the same channels"
            )
        if names != first_names:
            raise IcsortError(
                f"{path}: its page names differ from those of {paths[first].name}; do not mix instruments"
            )
        if image.shape[1] != first_image.shape[1]:
            raise IcsortError(
                f"{path}: is {image.shape[1]} pixels wide but {paths[first].name} is {first_image.shape[1]}; "
                "all images of a run need the same width"
            )
    return Events(
        images=tuple(image for image, _ in found.values()),
        channels=channel_names(paths[first], [n for n in first_names if n] or None, len(first_names)),
        read=tuple(found),
        skipped=skipped,
    )


def read_sorter_folder(
    folder: Path,
    digitization: Digitization | None = None,
    unreadable: Unreadable = "refuse",
    size: int | None = CHUNK_CELLS,
) -> Iterator[Dataset]:
    """A folder of the sorter, `size` events at a time (None: all); a class a gate.

    It holds output/countpath.csv (or countpath.csv) and the images that this lists. Where allparameters.csv lies beside
    it, its figures come along.
    """
    gates = gate_table_in(folder) or folder / GATE_TABLE
    table = read_gate_table(gates)
    figures = gates.parent / PARAMETER_TABLE
    parameters = read_parameter_table(figures) if figures.is_file() else None
    classes = tuple(sorted(set(table["gate"])))
    for begin in range(0, len(table), size or len(table)):
        part = table.iloc[begin : begin + (size or len(table))]
        events = read_sorter_events([Path(entry) for entry in part["path"]], digitization, unreadable)
        part = part.iloc[list(events.read)]
        paths = [Path(entry) for entry in part["path"]]
        yield Dataset(
            source=folder.name,
            origin=f"sorter events in {folder}",
            images=events.images,
            labels=np.asarray([classes.index(gate) for gate in part["gate"]], dtype=np.int64),
            classes=classes,
            channels=events.channels,
            names=tuple(Path(os.path.relpath(path, folder.absolute())).as_posix() for path in paths),
            parameters=None if parameters is None else _rows(parameters, paths, figures),
            skipped=events.skipped,
        )


def gate_table_in(folder: Path) -> Path | None:
    """Where a folder of the sorter has its gate table; None where it has none."""
    places = (folder / inner / GATE_TABLE for inner in TABLE_FOLDERS)
    return next((place for place in places if place.is_file()), None)


def _rows(parameters: pd.DataFrame, images: Sequence[Path], where: Path) -> pd.DataFrame:
    names = [image.name for image in images]
    lacking = [name for name in names if name not in parameters.index]
    if lacking:
        raise IcsortError(f"{where}: has no row for {len(lacking)} images (first {lacking[0]}); export it again")
    return parameters.loc[names].reset_index(drop=True)


def _read_table(path: Path, kind: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise IcsortError(f"{path}: there is no such {kind}; give the sorter's output folder") from None
    except (ValueError, OSError) as error:
        raise IcsortError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from None
