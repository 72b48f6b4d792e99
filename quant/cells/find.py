# SPDX-License-Identifier: Apache-2.0
"""Where labelled cells come from. Each source gives one kind of `Dataset`:

* the sorter's own output, a TIFF an event with its gate table and parameter table (readers.sorter_events);
* a folder of images for each class (icsort.quant.cells.readers.image_folders);
* class stacks, one TIFF a class (icsort.quant.cells.readers.tiffs);
* shards, for large sets (icsort.quant.cells.readers.shards);
* generated cells (icsort.quant.synthetic.demo_cells), for a machine without data.

The number, order and names of channels are data.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import CHUNK_CELLS, concatenate
from icsort.quant.cells.dataset import Dataset as Dataset  # importers of this module take it from here
from icsort.quant.cells.groups import group_cells
from icsort.quant.cells.readers.image_folders import class_folders, read_image_folders
from icsort.quant.cells.readers.shards import is_shards, read_shards
from icsort.quant.cells.readers.sorter_events import gate_table_in, read_sorter_folder
from icsort.quant.cells.readers.tiffs import Digitization, read_class_stacks
from icsort.quant.cells.readers.unreadable import Unreadable
from icsort.quant.synthetic import demo_cells as cells
from icsort.real_data import DATA_VARIABLE, real_data_folder

JURKAT_FOLDER = "jurkat_cell_cycle"


@dataclass(frozen=True)
class Known:
    """What the files of a published data set do not say of themselves."""

    source: str
    channels: tuple[str, ...]
    group_by: str | None = None


KNOWN_FOLDERS = {
    # Blasi et al., Nature Communications 2016
    JURKAT_FOLDER: Known("jurkat", ("Brightfield", "PI", "Darkfield")),
    # Neumann et al., Nature 2010: HeLa with labelled histone; file names begin with plate ___ well ___
    "mitocheck_nuclei": Known("mitocheck", ("H2B-GFP",), r"([^/]+?___[^/]+?)___"),
}


def read_folder(
    folder: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
) -> Dataset:
    """All labelled cells of a folder, whichever layout it has, in memory unless they are shards; see `read_pieces`."""
    return concatenate(read_pieces(folder, channels, digitization, group_by, unreadable, size=None))


def read_pieces(
    folder: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
    size: int | None = CHUNK_CELLS,
) -> Iterator[Dataset]:
    """Labelled cells of a folder, whichever layout it has, `size` at a time (None: all; of class stacks, one stack).

    channels: names in order; without them those of the files, else those known for the folder's name, else channel0,
    ... group_by: see cells.groups; without it the rule that is known for the folder's name, else no groups; shards
    have names, channels and groups of their own. unreadable: whether an image among many that cannot be read is refused
    or skipped. Raises IcsortError for whatever does not fit.
    """
    if not folder.is_dir():
        raise IcsortError(f"{folder}: there is no such folder; give one with cell images, or --generated")
    known = KNOWN_FOLDERS.get(folder.resolve().name)
    names = channels or (known.channels if known else None)
    rule = group_by or (known.group_by if known else None)
    if is_shards(folder):
        pieces = read_shards(folder, size)
    elif gate_table_in(folder) is not None:
        pieces = read_sorter_folder(folder, digitization, unreadable, size)
    elif class_folders(folder):
        pieces = read_image_folders(folder, names, digitization, unreadable, size)
    else:
        pieces = read_class_stacks(folder, names, digitization)
    for piece in pieces:
        yield replace(
            piece,
            source=known.source if known else piece.source,
            groups=group_cells(piece.names, rule) if rule else piece.groups,
        )


def find_dataset(
    folder: Path | None = None,
    generated: bool = False,
    seed: int = 0,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    group_by: str | None = None,
    unreadable: Unreadable = "refuse",
) -> Dataset:
    """The cells to train on; `origin` says which were taken.

    In this order: `folder`; generated cells where asked for; the folder that ICSORT_DATA names; ../shared/data beside
    the repository; generated cells. In the two last folders the Jurkat stacks are taken where they are.
    """
    if folder is not None and generated:
        raise IcsortError("--data and --generated exclude each other: give one of them")
    if folder is not None:
        return read_folder(folder, channels, digitization, group_by, unreadable)
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


def generated_dataset(per_class: int = cells.CELLS_PER_CLASS, seed: int = 0) -> Dataset:
    """Generated cells (icsort.quant.synthetic.demo_cells) as a Dataset."""
    images, labels = cells.generate(per_class, seed)
    return Dataset(
        source="generated",
        origin=f"generated cells (no real data), {per_class} of each class, seed {seed}",
        images=tuple(images),
        labels=labels,
        classes=cells.CLASSES,
        channels=cells.CHANNELS,
    )
