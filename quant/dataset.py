# SPDX-License-Identifier: Apache-2.0
"""Labelled cells in memory: what every reader gives and training takes."""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.bit_true.errors import IcsortError

CHUNK_CELLS = 4096  # held in memory at a time where a set is read piece by piece
MIN_CLASS = 100  # smaller classes were left out in the study that this project follows


@dataclass(frozen=True)
class Dataset:
    """Labelled cells: images[i] is uint16 (height_i, width, C) raw counts, labels (N,) int64 index into `classes`.

    `source` is a short name for the manifest, `origin` a sentence for people. Optional, of each cell: `names` (where it
    was read, relative to the folder), `groups` (N,) (plate, well, donor, day: what must not fall on both sides of a
    split) and `parameters`, a table of N rows with the instrument's own figures. `skipped`: a line for each image that
    could not be read and was left out.
    """

    source: str
    origin: str
    images: tuple[NDArray[np.uint16], ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    names: tuple[str, ...] = ()
    groups: NDArray[np.str_] | None = None
    parameters: pd.DataFrame | None = None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.images:
            raise IcsortError(f"{self.origin}: no cells; give a folder with labelled cell images")
        shapes = {image.shape[1:] for image in self.images}
        if shapes != {(self.images[0].shape[1], len(self.channels))}:
            raise IcsortError(f"{self.origin}: images differ in width or channels ({sorted(shapes)}); use one geometry")

    def sha256(self) -> str:
        """Over classes, channels, labels, shapes, pixels and groups; not over file names or the order of folders."""
        digest = hashlib.sha256(repr((self.classes, self.channels)).encode())
        for image, label in zip(self.images, self.labels, strict=True):
            digest.update(struct.pack("<III", int(label), *image.shape[:2]))
            digest.update(image.astype("<u2").tobytes())
        if self.groups is not None:
            digest.update(repr(self.groups.tolist()).encode())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Cells of each class, by name."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, found, strict=True)}

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "Dataset":
        """These cells, in this order, with all that is known of them; the classes stay."""
        keep = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            images=tuple(self.images[i] for i in keep),
            labels=self.labels[keep],
            names=tuple(self.names[i] for i in keep) if self.names else (),
            groups=None if self.groups is None else self.groups[keep],
            parameters=None if self.parameters is None else self.parameters.iloc[keep].reset_index(drop=True),
        )

    def limited(self, per_class: int, seed: int) -> "Dataset":
        """At most `per_class` cells of each class, drawn with a seed, in their old order."""
        random = np.random.default_rng(seed)
        chosen: list[int] = []
        for label in range(len(self.classes)):
            members = np.flatnonzero(self.labels == label)
            chosen += random.permutation(members)[:per_class].tolist()
        return self.subset(sorted(chosen))

    def with_merged_classes(self, merged: Mapping[str, Sequence[str]]) -> "Dataset":
        """The data with some classes counted as one (name -> classes), in the order of their first class."""
        unknown = [member for members in merged.values() for member in members if member not in self.classes]
        if unknown:
            raise IcsortError(f"--merge names the class {unknown[0]}; the data has {', '.join(self.classes)}")
        name_of = {member: name for name, members in merged.items() for member in members}
        new = [name_of.get(name, name) for name in self.classes]
        classes = tuple(dict.fromkeys(new))
        index = np.asarray([classes.index(name) for name in new])
        return replace(self, labels=index[self.labels], classes=classes)

    def without_small_classes(self, minimum: int = MIN_CLASS) -> tuple["Dataset", dict[str, int]]:
        """The data without the classes of fewer than `minimum` cells, and those classes with their cells.

        Labels are numbered anew. Raises IcsortError where no class is left.
        """
        counts = self.counts()
        dropped = {name: count for name, count in counts.items() if count < minimum}
        if not dropped:
            return self, {}
        classes = tuple(name for name in self.classes if name not in dropped)
        if not classes:
            name, count = max(counts.items(), key=lambda item: item[1])
            raise IcsortError(
                f"{self.origin}: no class has {minimum} images (the largest, {name}, has {count}); "
                f"add cells or give a smaller --min-class"
            )
        position = np.asarray([classes.index(name) if name in classes else -1 for name in self.classes])
        kept = self.subset(np.flatnonzero(position[self.labels] >= 0))
        return replace(kept, labels=position[kept.labels], classes=classes), dropped


def check_alike(cells: Dataset, first: Dataset) -> None:
    """Raise IcsortError where two pieces of one set differ in classes, channels, width or what is known of a cell."""
    if _kind(cells) != _kind(first):
        channels = f"{', '.join(first.channels)}; {', '.join(cells.channels)}"
        widths = f"{first.images[0].shape[1]}; {cells.images[0].shape[1]}"
        raise IcsortError(
            f"{cells.origin}: cells differ in channels ({channels}), width ({widths}) or columns; use one geometry"
        )


def concatenate(pieces: Iterable[Dataset]) -> Dataset:
    """The cells of all pieces of one set, in order. Raises IcsortError where they differ in kind."""
    first, *others = pieces
    if not others:
        return first
    for cells in others:
        check_alike(cells, first)
    every = [first, *others]
    return replace(
        first,
        images=tuple(image for cells in every for image in cells.images),
        labels=np.concatenate([cells.labels for cells in every]),
        names=tuple(name for cells in every for name in cells.names),
        groups=None if first.groups is None else np.concatenate([cells.groups for cells in every]),
        parameters=None
        if first.parameters is None
        else pd.concat([cells.parameters for cells in every], ignore_index=True),
        skipped=tuple(line for cells in every for line in cells.skipped),
    )


def _kind(cells: Dataset) -> tuple[object, ...]:
    columns = () if cells.parameters is None else tuple(cells.parameters.columns)
    return cells.classes, cells.channels, cells.images[0].shape[1], bool(cells.names), cells.groups is None, columns
