# SPDX-License-Identifier: Apache-2.0
"""The layouts that are read. The first reader that accepts a folder reads it."""

from collections import Counter
from pathlib import Path

from icsort.errors import IcsortError
from icsort.quant.cells.readers import (
    archives,
    arrays,
    class_folders,
    class_stacks,
    recorded,
    shards,
    sorter_events,
    unlabelled,
)
from icsort.quant.cells.readers.reading import Reader, entries

READERS: tuple[Reader, ...] = (
    shards,
    recorded,
    sorter_events,
    class_folders,
    class_stacks,
    arrays,
    archives,
    unlabelled,
)


def reader_of(path: Path) -> Reader:
    """The reader for a folder (or file). Raises IcsortError where there is no such folder, or none accepts it."""
    if not path.exists():
        raise IcsortError(f"{path}: there is no such folder; give one with cell images")
    for reader in READERS:
        if reader.accepts(path):
            return reader
    kinds = Counter(entry.suffix.lower() or "no suffix" for entry in (entries(path) if path.is_dir() else [path]))
    inside = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(5)) or "nothing"
    layouts = ", or ".join(reader.LAYOUT for reader in READERS)
    raise IcsortError(f"{path}: no images that are read ({inside}); give {layouts}")
