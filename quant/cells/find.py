# SPDX-License-Identifier: Apache-2.0
"""Where cells come from: a folder that one of the readers accepts, or cells generated for a machine without data."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from icsort.errors import IcsortError
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import CHUNK_CELLS, concatenate
from icsort.quant.cells.dataset import Dataset as Dataset  # importers of this module take it from here
from icsort.quant.cells.groups import group_cells
from icsort.quant.cells.readers import arrays, recorded
from icsort.quant.cells.readers.reading import Reading, Unreadable
from icsort.quant.cells.readers.registry import reader_of
from icsort.quant.synthetic import demo_cells
from icsort.real_data import DATA_VARIABLE, real_data_folder

JURKAT_FOLDER = "jurkat_cell_cycle"


@dataclass(frozen=True)
class PublishedSet:
    """What the files of a published data set do not say of themselves."""

    source: str
    channels: tuple[str, ...]
    group_by: str | None = None


PUBLISHED_SETS = {
    # Blasi et al., Nature Communications 2016
    JURKAT_FOLDER: PublishedSet("jurkat", ("Brightfield", "PI", "Darkfield")),
    # Neumann et al., Nature 2010: HeLa with labelled histone; file names begin with plate ___ well ___
    "mitocheck_nuclei": PublishedSet("mitocheck", ("H2B-GFP",), r"([^/]+?___[^/]+?)___"),
    # Yao, Rochman and Sun, Scientific Reports 2019; LINE-IMAGE-CELL-NUMBER: a group is a field of a flask
    "hek293a_ht1080": PublishedSet("hek293a_ht1080", ("Brightfield",), r"([^/-]+-[0-9]+)[^/]*$"),
}


def read_folder(
    folder: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
    label_by: Sequence[str] = (),
) -> Dataset:
    """All labelled cells of a folder, whichever layout it has, in memory unless they are shards; see `read_pieces`."""
    return concatenate(read_pieces(folder, channels, digitization, group_by, unreadable, size=None, label_by=label_by))


def read_pieces(
    folder: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
    size: int | None = CHUNK_CELLS,
    *,
    labelled: bool = True,
    one_type: bool = True,
    label_by: Sequence[str] = (),
) -> Iterator[Dataset]:
    """Cells of a folder, whichever layout it has, at most `size` at a time (None: no limit).

    channels: names in order; without them those of the files, else those known for the folder's name, else channel0,
    ... digitization: of floating-point pixels. group_by: see cells.groups; without it the rule that is known for the
    folder's name, else no groups; shards have groups of their own. unreadable: whether an image among many that cannot
    be read is refused or skipped. labelled: leave out cells without a label and name them; else their label is -1.
    one_type: refuse images whose pixels are stored in differing types. label_by: of recorded images and of
    arrays, see readers.recorded and readers.arrays. Raises IcsortError for whatever does not fit.
    """
    reader = reader_of(folder)
    if label_by and reader not in (recorded, arrays):
        raise IcsortError(
            f"--label-by is of {recorded.LAYOUT}, or {arrays.LAYOUT}, and {folder} has labels of its own or none; "
            "leave it out"
        )
    published = PUBLISHED_SETS.get(folder.resolve().name)
    names = channels or (published.channels if published else None)
    rule = group_by or (published.group_by if published else None)
    reading = Reading(
        tuple(names) if names else None, digitization or Digitization(), unreadable, size, tuple(label_by)
    )
    pieces = reader.read(folder, reading)
    if one_type:
        pieces = _of_one_type(folder, pieces)
    if labelled:
        pieces = _with_labels(folder, pieces)
    for piece in pieces:
        kinds = () if piece.pixel_types is None else np.unique(piece.pixel_types)
        digitized = any(np.issubdtype(np.dtype(str(kind)), np.floating) for kind in kinds)
        yield replace(
            piece,
            digitization=reading.digitization if digitized else piece.digitization,
            source=published.source if published else piece.source,
            groups=group_cells(piece.names, rule, piece.parameters) if rule else piece.groups,
        )


def _of_one_type(folder: Path, pieces: Iterable[Dataset]) -> Iterator[Dataset]:
    """The pieces, refused where pixels are stored in differing types: the same light would give other counts."""
    first_of_type: dict[str, str] = {}
    for piece in pieces:
        if piece.pixel_types is not None:
            for kind, index in zip(*np.unique(piece.pixel_types, return_index=True), strict=True):
                first_of_type.setdefault(str(kind), piece.names[index])
        if len(first_of_type) > 1:
            named = ", ".join(f"{kind} ({name})" for kind, name in first_of_type.items())
            raise IcsortError(f"{folder}: pixels are stored in differing types: {named}; store all images in one type")
        yield piece


def _with_labels(folder: Path, pieces: Iterable[Dataset]) -> Iterator[Dataset]:
    """The pieces without the cells that have no label, which are named."""
    labelled, cells_seen = False, 0
    lines: tuple[str, ...] = ()  # of pieces without any label, for the next one
    for piece in pieces:
        cells_seen += len(piece.labels)
        missing = np.flatnonzero(piece.labels < 0)
        lines += piece.passed_over + tuple(f"{piece.name_of(cell)}: no label" for cell in missing.tolist())
        if len(missing) < len(piece.labels):
            labelled = True
            cells = piece.subset(np.flatnonzero(piece.labels >= 0)) if len(missing) else piece
            yield replace(cells, passed_over=lines)
            lines = ()
    if not labelled:
        raise IcsortError(
            f"{folder}: its {cells_seen} cells have no labels; give a folder or a stack a class, a gate table, or for "
            "recorded images --label-by, as for arrays (`icsort data info` and `icsort classify` take cells without "
            "labels)"
        )


def find_dataset(
    folder: Path | None = None,
    generated: bool = False,
    seed: int = 0,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
    label_by: Sequence[str] = (),
) -> Dataset:
    """The cells to train on; `origin` says which were taken.

    In this order: `folder`; generated cells where asked for; the folder that ICSORT_DATA names; ../shared/data beside
    the repository; generated cells. In the two last folders the Jurkat stacks are taken where they are.
    """
    if folder is not None and generated:
        raise IcsortError("--data and --generated exclude each other: give one of them")
    if folder is not None:
        return read_folder(folder, channels, digitization, group_by, unreadable, label_by)
    if label_by:
        raise IcsortError("--label-by is of the recorded images that --data names; give both")
    if not generated:
        named = os.environ.get(DATA_VARIABLE)
        root = real_data_folder()
        if named and not root.is_dir():
            raise IcsortError(f"{DATA_VARIABLE} is {named}: there is no such folder; correct it or unset it")
        if (root / JURKAT_FOLDER).is_dir():
            return read_folder(root / JURKAT_FOLDER, channels, digitization, group_by, unreadable)
        if named:
            return read_folder(root, channels, digitization, group_by, unreadable)
    return generated_dataset(seed=seed)


def generated_dataset(per_class: int = demo_cells.CELLS_PER_CLASS, seed: int = 0) -> Dataset:
    """Generated cells (icsort.quant.synthetic.demo_cells) as a Dataset."""
    images, labels = demo_cells.generate(per_class, seed)
    return Dataset(
        source="generated",
        origin=f"generated cells (no real data), {per_class} of each class, seed {seed}",
        images=tuple(images),
        labels=labels,
        classes=demo_cells.CLASSES,
        channels=demo_cells.CHANNELS,
    )
