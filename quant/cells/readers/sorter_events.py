# SPDX-License-Identifier: Apache-2.0
"""The sorter's own output: a TIFF an event, a gate table, a parameter table."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers.images import is_image, read_images
from icsort.quant.cells.readers.reading import Reading, entries

LAYOUT = "a sorter's folder with its gate table"
GATE_TABLE = "countpath.csv"
PARAMETER_TABLE = "allparameters.csv"
NO_IMAGE = ("", "NA")
NO_GATE = ""
TABLE_FOLDERS = ("output", ".")


def read_gate_table(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The sorter's countpath.csv: columns id, gate, path (relative to the table), separated by semicolons.

    Returns the three columns, `path` as absolute paths and the gate "" for an event outside all gates, and a line for
    each row that was left out: without an image, or given twice. Raises IcsortError where the table is missing or
    malformed, or puts one image into two gates.
    """
    table = _read_table(path, "gate table")
    missing = {"id", "gate", "path"} - set(table.columns)
    if missing:
        raise IcsortError(f"{path}: has no column {sorted(missing)[0]!r}; it must be separated by ; with id;gate;path")
    table = table[["id", "gate", "path"]].apply(lambda column: column.str.strip())
    without = table["path"].isin(NO_IMAGE)
    left_out = [f"{path.name}: event {event} has no image" for event in table["id"][without]]
    table = table[~without]
    if table.empty:
        raise IcsortError(f"{path}: lists no events; export the gates of the sorter's run again")
    table["path"] = [os.path.normpath(path.parent.absolute() / entry.replace("\\", "/")) for entry in table["path"]]
    twice = table.duplicated(["path", "gate"])
    left_out += [f"{path.name}: names {Path(image).name} twice" for image in table["path"][twice]]
    table = table[~twice]
    if table["path"].duplicated().any():
        image = table["path"][table["path"].duplicated()].iloc[0]
        gates = ", ".join(table["gate"][table["path"] == image])
        raise IcsortError(f"{path}: {Path(image).name} is in more than one gate ({gates}); give each event one class")
    return table, tuple(left_out)


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


def accepts(path: Path) -> bool:
    """Whether a folder of the sorter has a gate table."""
    return gate_table_in(path) is not None


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """A class a gate; an event outside all gates has no label.

    The folder holds output/countpath.csv (or countpath.csv) and the images that this lists. Where allparameters.csv
    lies beside it, its figures come along. Channels: the page names.
    """
    gates = gate_table_in(path) or path / GATE_TABLE
    table, left_out = read_gate_table(gates)
    left_out += _unlisted(path, table["path"].tolist())
    figures = gates.parent / PARAMETER_TABLE
    parameters = read_parameter_table(figures) if figures.is_file() else None
    classes = tuple(sorted(set(table["gate"]) - {NO_GATE}))
    label_of = {NO_GATE: -1} | {gate: label for label, gate in enumerate(classes)}
    for begin in range(0, len(table), reading.size or len(table)):
        part = table.iloc[begin : begin + (reading.size or len(table))]
        events = read_images(path, [Path(entry) for entry in part["path"]], reading)
        part = part.iloc[list(events.kept)]
        images = [Path(entry) for entry in part["path"]]
        yield Dataset(
            source=path.name,
            origin=f"sorter events in {path}",
            images=events.images,
            labels=np.asarray([label_of[gate] for gate in part["gate"]], dtype=np.int64),
            classes=classes,
            channels=events.channels,
            names=tuple(_relative(image, path) for image in images),
            parameters=None if parameters is None else _rows(parameters, images, figures),
            pixel_types=events.pixel_types,
            skipped=events.skipped,
            passed_over=left_out,
        )
        left_out = ()


def gate_table_in(folder: Path) -> Path | None:
    """Where a folder of the sorter has its gate table; None where it has none."""
    places = (folder / inner / GATE_TABLE for inner in TABLE_FOLDERS)
    return next((place for place in places if place.is_file()), None)


def _unlisted(folder: Path, listed: Sequence[str]) -> tuple[str, ...]:
    """A line for each image that lies beside those of the gate table and is not in it."""
    images = set(listed)
    beside = (
        entry
        for place in sorted({Path(image).parent for image in images})
        if place.is_dir()
        for entry in entries(place)
    )
    return tuple(
        f"{_relative(image, folder)}: not in the gate table"
        for image in beside
        if is_image(image) and str(image) not in images
    )


def _relative(image: Path, folder: Path) -> str:
    return Path(os.path.relpath(image, folder.absolute())).as_posix()


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
