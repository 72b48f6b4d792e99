# SPDX-License-Identifier: Apache-2.0
"""Images that the host kept of a sort: windows as the network took them, labelled by what was recorded of their
events, or by a table. They become raw counts again, which the settings of their package cut as they were cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.image_list import LIST_FILE, REMEDY, ImageList, is_listed, read_list
from icsort.formats.recorded_images import Match, match, read_image, recording_of
from icsort.formats.recording import CLASS
from icsort.quant.acquire.restore import restore_lines
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.readers import unlabelled
from icsort.quant.cells.readers.reading import Reading, entries, passed_over, read_each

LAYOUT = "images that `icsort watch`, `sort` or `snapshot` kept"
BY_CLASS = "class"
BY_GATE = "gate "
ROWS = 4096  # recorded events that are in memory together


@dataclass(frozen=True)
class Labels:
    """labels (N,): of each image an index into classes, -1 for none."""

    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def accepts(path: Path) -> bool:
    """Whether a folder has a list of images."""
    return path.is_dir() and is_listed(path)


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """Images in the order in which they came. Those of a list that does not say how they were made are images without
    labels."""
    listed = read_list(path)
    acquisition = listed.head.acquisition
    if acquisition is None:
        if reading.label_by:
            raise IcsortError(
                f"{path / LIST_FILE}: does not say of which package its images are; keep images with --model"
            )
        yield from unlabelled.read(path, reading)
        return
    if reading.channels is not None and reading.channels != acquisition.channels:
        raise IcsortError(
            f"{path}: its channels are {', '.join(acquisition.channels)}, of the package that it was recorded with; "
            "leave --channels out"
        )
    if not listed.files:
        raise IcsortError(f"{path}: its list names no image; {REMEDY}")
    told = label(listed, reading.label_by)
    names = {LIST_FILE, *listed.files}
    left = tuple(
        passed_over(path, entry, "not in the list of images") for entry in entries(path) if entry.name not in names
    )
    size = reading.size or len(listed.files)
    for begin in range(0, len(listed.files), size):
        files = [path / name for name in listed.files[begin : begin + size]]
        windows, skipped = read_each(path, files, lambda file: read_image(file, listed.shape), reading.unreadable)
        kept = begin + np.asarray(list(windows), np.int64)
        yield Dataset(
            source=path.name,
            origin=f"images recorded in {path}",
            images=tuple(restore_lines(np.stack(list(windows.values())), acquisition)),
            labels=told.labels[kept],
            classes=told.classes,
            channels=acquisition.channels,
            names=tuple(listed.files[index] for index in kept.tolist()),
            pixel_types=np.full(len(kept), "uint8"),
            skipped=skipped,
            passed_over=left,
            acquisition=acquisition,
            preparation=acquisition.preparation,
        )
        left = ()


def label(images: ImageList, label_by: Sequence[str]) -> Labels:
    """By the class that the network predicted ("class"), by gates of the recording ("gate NAME"), or by a column of a
    table (TABLE or TABLE:COLUMN). Without any no image has a label. Raises IcsortError for rules that do not go
    together, a gate that was not recorded, and a table that does not fit."""
    if not label_by:
        return Labels(np.full(len(images.files), -1), ())
    gates = [rule.removeprefix(BY_GATE) for rule in label_by if rule.startswith(BY_GATE)]
    if len(gates) == len(label_by):
        return _by_gates(images, gates)
    if len(label_by) > 1:
        raise IcsortError(
            f"--label-by {' and '.join(label_by)}: more than one does not go together, but for gates; give one"
        )
    return _by_class(images) if label_by[0] == BY_CLASS else _by_table(images, label_by[0])


def _by_class(images: ImageList) -> Labels:
    found = match(images, recording_of(images))
    (column,) = _columns(found, [found.files[0].column(CLASS)])
    labels = column.astype(np.int64)
    if labels.max(initial=-1) >= len(images.head.classes):
        raise IcsortError(f"{found.files[0].path}: has a class {labels.max()} that {images.folder} does not name")
    return Labels(labels, images.head.classes)


def _by_gates(images: ImageList, gates: Sequence[str]) -> Labels:
    """Of one gate what it holds, and what not; of several what each of them alone holds."""
    found = match(images, recording_of(images))
    file = found.files[0]
    there = [name.removeprefix(BY_GATE) for name in file.names if name.startswith(BY_GATE) and name != "gate serial"]
    for gate in gates:
        if gate not in there:
            raise IcsortError(f"--label-by 'gate {gate}': {file.path} has the gates {', '.join(there) or '(none)'}")
    columns = np.stack(_columns(found, [file.column(BY_GATE + gate) for gate in gates]))
    if len(gates) == 1:
        return Labels(np.where(columns[0] < 0, -1, 1 - columns[0]).astype(np.int64), (gates[0], f"not {gates[0]}"))
    alone = (columns == 1).sum(axis=0) == 1
    return Labels(np.where(alone, columns.argmax(axis=0), -1).astype(np.int64), tuple(gates))


def _columns(found: Match, places: Sequence[int]) -> list[NDArray[np.float64]]:
    """Parameters of each image's event, (N,) each, -1 of an image without one."""
    columns = np.full((len(places), len(found.rows)), -1.0)
    for begin in range(0, len(found.matched), ROWS):
        some = found.matched[begin : begin + ROWS]
        columns[:, some] = found.values(some)[:, list(places)].T
    return list(columns)


def _by_table(images: ImageList, rule: str) -> Labels:
    path, column = (
        (Path(rule), "label") if Path(rule).is_file() else (Path(rule.rpartition(":")[0]), rule.rpartition(":")[2])
    )
    if not path.is_file():
        raise IcsortError(
            f"--label-by {rule}: is none of {BY_CLASS!r}, 'gate NAME' and a table that is there; give one of these"
        )
    try:
        table = pd.read_csv(path, sep="[,;\t]", engine="python", dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise IcsortError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from None
    key = "name" if "name" in table.columns else "event"
    if not {key, column} <= set(table.columns):
        raise IcsortError(
            f"{path}: needs the columns name or event, and {column}; it has {', '.join(map(str, table.columns))}"
        )
    if table[key].duplicated().any():
        raise IcsortError(f"{path}: has {key} {table[key][table[key].duplicated()].iloc[0]} twice; give each one label")
    if key == "event" and len(set(images.events.tolist())) < len(images.events):
        raise IcsortError(
            f"{path}: the board was reset while {images.folder} was recorded, and events have numbers more than once; "
            "give a table with the column name, the images' files"
        )
    keys = images.files if key == "name" else [str(event) for event in images.events.tolist()]
    label_of = dict(zip(table[key], table[column], strict=True))
    told = [label_of.get(name, "") for name in keys]
    classes = tuple(sorted(set(told) - {""}))
    if not classes:
        raise IcsortError(f"{path}: has no label for any image of {images.folder}; give the table of these images")
    return Labels(np.asarray([classes.index(word) if word else -1 for word in told], np.int64), classes)
