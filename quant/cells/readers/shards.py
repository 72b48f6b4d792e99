# SPDX-License-Identifier: Apache-2.0
"""Large sets of cells on disk: a folder of Arrow IPC files and a manifest.

Record batches ("blocks") of some dozen cells hold the pixels (uint16 counts, little endian, axes y, x, channel), some
hundred blocks a file ("shard"). Every block can be read by itself, so that any order, split or subset comes from the
same files, and memory holds no more than what is asked for. One more file has a row for each cell: `label`, `height`,
`name`, `group` where the data has groups, and a float64 column `parameter:NAME` for each of the instrument's figures;
its record batches are the blocks' cells.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from icsort.errors import IcsortError
from icsort.formats.acquisition import AS_TAKEN, Acquisition, PreparationSpec
from icsort.formats.document import refusals
from icsort.output import result_folder
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import Dataset, StoredImages, check_alike
from icsort.quant.cells.readers.reading import Reading, channel_names, entries, passed_over

LAYOUT = "shards"

MANIFEST_FILE = "shards.json"
CELLS_FILE = "cells.arrow"
SHARD_FORMAT = "icsort-shards"
SHARD_VERSION = 1
CELLS_PER_BLOCK = 64
BLOCKS_PER_SHARD = 256  # 940 MB of 7 x 64 x 64; another number is another version of the format
PARAMETER = "parameter:"
PIXELS = pa.schema([("pixels", pa.binary())])


@dataclass(frozen=True)
class Shards:
    """An opened folder of shards: all that is known of its N cells but names and pixels, which stay on disk.

    labels (N,) int64 index into `classes`, heights (N,) lines, groups (N,) or None. block_of (N,) is each cell's block,
    block_starts (B,) the first cell of each block; shards (file names) hold BLOCKS_PER_SHARD blocks each.
    """

    folder: Path
    source: str
    origin: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    width: int
    digitization: Digitization | None
    acquisition: Acquisition | None
    preparation: PreparationSpec
    labels: NDArray[np.int64]
    heights: NDArray[np.int64]
    groups: NDArray[np.str_] | None
    block_of: NDArray[np.int64]
    block_starts: NDArray[np.int64]
    shards: tuple[str, ...]

    def images(self, indices: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """The cells at these indices, in their order, each (height_i, width, C). Reads each of their blocks once."""
        images: dict[int, NDArray[np.uint16]] = {}
        by_block = np.sort(indices)
        blocks = self.block_of[by_block]
        for shard, cells in _runs(by_block, blocks // BLOCKS_PER_SHARD):
            with _opened(self.folder / self.shards[shard]) as reader:
                for block, members in _runs(cells, self.block_of[cells]):
                    pixels = reader.get_batch(block % BLOCKS_PER_SHARD)["pixels"]
                    for cell, row in zip(members.tolist(), (members - self.block_starts[block]).tolist(), strict=True):
                        image = np.frombuffer(pixels[row].as_buffer(), "<u2")
                        # a copy, or a few cells would hold their whole blocks in memory
                        images[cell] = image.reshape(self.heights[cell], self.width, len(self.channels)).copy()
        return [images[cell] for cell in indices.tolist()]


def write_shards(out: Path, chunks: Iterable[Dataset], force: bool = False) -> dict[str, Any]:
    """Write cells, chunk after chunk, into the folder `out`, whole or not at all. Returns the manifest.

    chunks: of the same source, classes, channels, width and kinds of columns; only one is held at a time. Raises
    IcsortError for an output that exists or cannot be written and for chunks that do not fit together.
    """
    chunks = iter(chunks)
    with result_folder(out, MANIFEST_FILE, force) as folder:
        first = next(chunks)
        schema = _table(first, slice(0, 1)).schema
        shards: list[dict[str, Any]] = []
        written = 0
        with pa.OSFile(str(folder / CELLS_FILE), "wb") as sink, ipc.new_file(sink, schema) as table:
            blocks = (block for chunk in chain([first], chunks) for block in _blocks(chunk, first))
            for block in blocks:
                path = folder / f"shard-{len(shards):05}.arrow"
                with pa.OSFile(str(path), "wb") as pixels, ipc.new_file(pixels, PIXELS) as writer:
                    for cells, images in chain([block], islice(blocks, BLOCKS_PER_SHARD - 1)):
                        table.write_batch(cells)
                        written += cells.num_rows
                        writer.write_batch(images)
                shards.append({"file": path.name, "bytes": path.stat().st_size})
        manifest: dict[str, Any] = {
            "format": SHARD_FORMAT,
            "version": SHARD_VERSION,
            "source": first.source,
            "origin": first.origin,
            "classes": list(first.classes),
            "channels": list(first.channels),
            "width": first.images[0].shape[1],
            "cells": written,
            "digitization": None if first.digitization is None else asdict(first.digitization),
            "acquisition": None if first.acquisition is None else first.acquisition.model_dump(mode="json"),
            "preparation": first.preparation.model_dump(mode="json"),
            "shards": [{"file": CELLS_FILE, "bytes": (folder / CELLS_FILE).stat().st_size}, *shards],
        }
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def open_shards(folder: Path) -> Shards:
    """Open a folder that `write_shards` wrote; reads everything but names and pixels.

    Raises IcsortError for a folder of another version and for shards that are missing, truncated or damaged.
    """
    manifest = _manifest(folder)
    for shard in manifest["shards"]:
        _check_size(folder / shard["file"], shard["bytes"])
    with _opened(folder / CELLS_FILE) as reader:
        sizes = np.asarray([reader.get_batch(index).num_rows for index in range(reader.num_record_batches)], np.int64)
        table = reader.read_all()
    return Shards(
        folder=folder,
        source=manifest["source"],
        origin=manifest["origin"],
        classes=tuple(manifest["classes"]),
        channels=tuple(manifest["channels"]),
        width=manifest["width"],
        digitization=Digitization(**manifest["digitization"]) if manifest.get("digitization") else None,
        acquisition=_acquisition(folder, manifest.get("acquisition")),
        preparation=_preparation(folder, manifest.get("preparation")),
        labels=table["label"].to_numpy(),
        heights=table["height"].to_numpy(),
        groups=np.asarray(table["group"].to_pylist()) if "group" in table.column_names else None,
        block_of=np.repeat(np.arange(len(sizes)), sizes),
        block_starts=np.cumsum(sizes) - sizes,
        shards=tuple(shard["file"] for shard in manifest["shards"][1:]),
    )


def accepts(path: Path) -> bool:
    """Whether a folder is one of shards, of whatever version."""
    return (path / MANIFEST_FILE).is_file()


def read(path: Path, reading: Reading) -> Iterator[Dataset]:
    """The cells of a folder of shards, whose images stay on disk until they are read.

    Raises IcsortError as `open_shards`.
    """
    shards = open_shards(path)
    with _opened(path / CELLS_FILE) as reader:
        table = reader.read_all()
    figures = [name for name in table.column_names if name.startswith(PARAMETER)]
    channels = channel_names(path, reading.channels or shards.channels, len(shards.channels))
    count = len(shards.labels)
    files = {MANIFEST_FILE, CELLS_FILE, *shards.shards}
    left_out = tuple(
        passed_over(path, entry, "belongs to no shards") for entry in entries(path) if entry.name not in files
    )
    for begin in range(0, count, reading.size or count):
        rows = slice(begin, begin + (reading.size or count))
        part = table.slice(begin, reading.size)
        names = tuple(part["name"].to_pylist())
        parameters = part.select(figures).to_pandas().rename(columns=lambda name: name.removeprefix(PARAMETER))
        yield Dataset(
            source=shards.source,
            origin=shards.origin,
            images=StoredImages(shards.images, np.arange(count)[rows], shards.heights[rows]),
            labels=shards.labels[rows],
            classes=shards.classes,
            channels=channels,
            digitization=shards.digitization,
            acquisition=shards.acquisition if channels == shards.channels else None,
            preparation=shards.preparation,
            known_identities=part["identity"].to_numpy() if "identity" in table.column_names else None,
            names=names if any(names) else (),
            groups=None if shards.groups is None else shards.groups[rows],
            parameters=parameters if figures else None,
            passed_over=left_out,
        )
        left_out = ()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        kind, version = manifest["format"], manifest["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IcsortError(
            f"{path}: is no manifest of shards ({type(error).__name__}); convert the data again"
        ) from None
    if (kind, version) != (SHARD_FORMAT, SHARD_VERSION):
        raise IcsortError(
            f"{path}: is {kind} version {version}, this icsort reads {SHARD_FORMAT} version {SHARD_VERSION}; "
            "convert the data again with this icsort"
        )
    return dict(manifest)


def _acquisition(folder: Path, stated: Any) -> Acquisition | None:
    """That of recorded images."""
    if stated is None:
        return None
    with refusals(str(folder / MANIFEST_FILE), "convert the data again"):
        return Acquisition.model_validate_json(json.dumps(stated))


def _preparation(folder: Path, stated: Any) -> PreparationSpec:
    """That of images that were prepared before they were written."""
    with refusals(str(folder / MANIFEST_FILE), "convert the data again"):
        return PreparationSpec.model_validate_json(json.dumps(stated or {}))


def _blocks(cells: Dataset, first: Dataset) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The cells' rows and their pixels, block after block; `first` is the chunk that the others must fit."""
    check_alike(cells, first)
    for begin in range(0, len(cells.images), CELLS_PER_BLOCK):
        rows = slice(begin, begin + CELLS_PER_BLOCK)
        pixels = [image.astype("<u2", copy=False).tobytes() for image in cells.images[rows]]
        yield _table(cells, rows), pa.record_batch([pa.array(pixels, pa.binary())], PIXELS)


def _table(cells: Dataset, rows: slice) -> pa.RecordBatch:
    heights = cells.heights[rows]
    columns: dict[str, Any] = {
        "label": pa.array(cells.labels[rows], pa.int64()),
        "height": pa.array(heights, pa.int64()),
        "name": pa.array(cells.names[rows] or [""] * len(heights), pa.string()),
    }
    if cells.preparation != AS_TAKEN:  # the pixels no longer tell which cell it is
        columns["identity"] = pa.array(cells.identities[rows], pa.uint64())
    if cells.groups is not None:
        columns["group"] = pa.array(cells.groups[rows].tolist(), pa.string())
    if cells.parameters is not None:
        for name, figures in cells.parameters.select_dtypes("number").iloc[rows].items():
            columns[PARAMETER + str(name)] = pa.array(figures, pa.float64())
    return pa.record_batch(columns)


def _runs(cells: NDArray[np.int64], keys: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each key, ascending, with its cells; the keys are sorted."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return zip(keys[starts].tolist(), np.split(cells, starts[1:]), strict=True)


def _check_size(path: Path, size: int) -> None:
    present = path.stat().st_size if path.is_file() else None
    if present != size:
        what = "there is no such shard" if present is None else f"truncated, it has {present} of {size} bytes"
        raise IcsortError(f"{path}: {what}; copy it again or convert the data again")


@contextmanager
def _opened(path: Path) -> Iterator[ipc.RecordBatchFileReader]:
    """A file of the folder as Arrow's reader; what is wrong with it, found while it is read, becomes one IcsortError.

    It is read, not mapped: mapped pages would count as this process's memory for as long as the system keeps them.
    """
    try:
        with pa.OSFile(str(path)) as source:
            yield ipc.open_file(source, options=ipc.IpcReadOptions(use_threads=False))
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        detail = str(error).splitlines()
        raise IcsortError(
            f"{path}: damaged shard ({detail[0] if detail else type(error).__name__}); "
            "copy it again or convert the data again"
        ) from None
