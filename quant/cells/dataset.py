# SPDX-License-Identifier: Apache-2.0
"""Cells, in memory or on disk: what every reader gives and training takes."""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import AS_TAKEN, Acquisition, PreparationSpec
from icsort.quant.cells.counts import Digitization

CHUNK_CELLS = 4096  # held in memory at a time where a set is read piece by piece
READ_CELLS = 512  # read at a time from images that stay on disk
MIN_CLASS = 100  # smaller classes were left out in the study that this project follows


Image = NDArray[np.uint16]


@dataclass(frozen=True)
class StoredImages(Sequence[Image]):
    """Images that stay on disk: one or a slice is read when it is asked for, all in turn a few at a time.

    read: from cells (n,) to their images, (height_i, width, C) each. cells (N,): the ones that are meant. heights (N,):
    their lines. channels: those to give, in this order; all where None.
    """

    read: Callable[[NDArray[np.int64]], list[Image]]
    cells: NDArray[np.int64]
    heights: NDArray[np.int64]
    channels: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | list[Image]:
        images = self.read(self.cells[index if isinstance(index, slice) else [index]])
        if self.channels is not None:
            images = [np.ascontiguousarray(image[..., list(self.channels)]) for image in images]
        return images if isinstance(index, slice) else images[0]

    def __iter__(self) -> Iterator[Image]:
        for begin in range(0, len(self), READ_CELLS):
            yield from self[begin : begin + READ_CELLS]

    def taken(self, keep: NDArray[np.int64]) -> "StoredImages":
        """These of the images, in this order."""
        return replace(self, cells=self.cells[keep], heights=self.heights[keep])

    def with_channels(self, order: Sequence[int]) -> "StoredImages":
        """The images with these of their channels, in this order."""
        return replace(self, channels=tuple(order if self.channels is None else (self.channels[i] for i in order)))

    def changed(self, change: Callable[[Image], Image], heights: NDArray[np.int64]) -> "StoredImages":
        """The images, each changed when it is read. heights (N,): the lines that they then have."""

        def read(cells: NDArray[np.int64]) -> list[Image]:
            return [change(image) for image in replace(self, cells=cells)[:]]

        return StoredImages(read, self.cells, heights)

    def with_all_channels(self) -> "StoredImages":
        """The images as they were stored."""
        return replace(self, channels=None)


@dataclass(frozen=True)
class Measured:
    """Numbers that are known of each cell, which a network learns in place of its class: names and units (V,), values
    (N, V) float64."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Dataset:
    """Cells: images[i] is uint16 (height_i, width, C) raw counts, labels (N,) int64 index into `classes`, -1 for none.

    Images are a tuple in memory, or stay on disk (StoredImages): then read them in turn or in slices, not one by one.
    `source` is a short name for the manifest, `origin` a sentence for people. Optional, of each cell: `names` (where it
    was read, relative to the folder), `groups` (N,) (plate, well, donor, day: what must not fall on both sides of a
    split), `pixel_types` (N,) (in which type its pixels were stored) and `parameters`, a table of N rows with the
    instrument's own figures. `digitization`: of pixels that were floating-point numbers, here or before they were made
    shards; None where they were counts. `skipped`: a line for each image that could not be read and was left out.
    `passed_over`: a line for each entry of the folder that was not tried, and for each cell left out for want of a
    label.
    `known_identities` (N,): where the images are no longer those that were read. `acquisition`: the settings with which
    recorded images were cut, which stay; None where they are chosen. `measured`: what is learned in place of the
    classes, which then only say which cells are alike where the set is split; None: the classes are. `preparation`:
    what has been done to the images since they were taken, its quantiles in the order of `channels`.
    """

    source: str
    origin: str
    images: Sequence[Image]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    names: tuple[str, ...] = ()
    groups: NDArray[np.str_] | None = None
    parameters: pd.DataFrame | None = None
    pixel_types: NDArray[np.str_] | None = None
    digitization: Digitization | None = None
    skipped: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    known_identities: NDArray[np.uint64] | None = None
    acquisition: Acquisition | None = None
    measured: Measured | None = None
    preparation: PreparationSpec = AS_TAKEN

    def __post_init__(self) -> None:
        if not self.images:
            raise IcsortError(f"{self.origin}: no cells; give a folder with cell images")
        if isinstance(self.images, StoredImages):
            return  # whoever stored them has looked at each
        shapes = {image.shape[1:] for image in self.images}
        if shapes != {(self.images[0].shape[1], len(self.channels))}:
            raise IcsortError(f"{self.origin}: images differ in width or channels ({sorted(shapes)}); use one geometry")

    @cached_property
    def heights(self) -> NDArray[np.int64]:
        """Lines of each image, (N,)."""
        if isinstance(self.images, StoredImages):
            return self.images.heights
        return np.asarray([len(image) for image in self.images], np.int64)

    @cached_property
    def identities(self) -> NDArray[np.uint64]:
        """What each cell is known by, (N,): 64 bits over its pixels in all channels that were read, type and shape.

        Not over file names, labels, the order of channels or the choice of them.
        """
        if self.known_identities is not None:
            return self.known_identities
        images = self.images.with_all_channels() if isinstance(self.images, StoredImages) else self.images
        return np.asarray([_identity(image) for image in images], np.uint64)

    def copies(self) -> list[NDArray[np.int64]]:
        """Cells with one identity: their indices, for each identity that occurs more than once."""
        order = np.argsort(self.identities, kind="stable")
        begins = np.flatnonzero(np.diff(self.identities[order])) + 1
        return sorted((alike for alike in np.split(order, begins) if len(alike) > 1), key=lambda alike: alike[0])

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what a network learns of these cells."""
        return self.classes if self.measured is None else self.measured.names

    def sha256(self) -> str:
        """Over classes, channels, labels, shapes, pixels, groups and measured values; not over file names or the order
        of folders."""
        digest = hashlib.sha256(repr((self.classes, self.channels)).encode())
        for image, label in zip(self.images, self.labels, strict=True):
            digest.update(struct.pack("<iII", int(label), *image.shape[:2]))
            digest.update(image.astype("<u2").tobytes())
        if self.groups is not None:
            digest.update(repr(self.groups.tolist()).encode())
        if self.measured is not None:
            digest.update(repr((self.measured.names, self.measured.units)).encode())
            digest.update(self.measured.values.astype("<f8").tobytes())
        return digest.hexdigest()

    def name_of(self, cell: int) -> str:
        """What the cell is called where it was read, or its number."""
        return self.names[cell] if self.names else f"cell {cell}"

    def counts(self) -> dict[str, int]:
        """Cells of each class, by name; those without a label are in none."""
        cells = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, cells, strict=True)}

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "Dataset":
        """These cells, in this order, with all that is known of them; the classes stay."""
        keep = np.asarray(indices, dtype=np.int64)
        images: Sequence[Image] = (
            self.images.taken(keep) if isinstance(self.images, StoredImages) else tuple(self.images[i] for i in keep)
        )
        return replace(
            self,
            images=images,
            labels=self.labels[keep],
            names=tuple(self.names[i] for i in keep) if self.names else (),
            groups=None if self.groups is None else self.groups[keep],
            pixel_types=None if self.pixel_types is None else self.pixel_types[keep],
            parameters=None if self.parameters is None else self.parameters.iloc[keep].reset_index(drop=True),
            known_identities=None if self.known_identities is None else self.known_identities[keep],
            measured=None if self.measured is None else replace(self.measured, values=self.measured.values[keep]),
        )

    def some(self, count: int, seed: int) -> "Dataset":
        """At most `count` cells, drawn with a seed, in their old order."""
        if len(self.images) <= count:
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self.images))[:count]))

    def limited(self, per_class: int, seed: int) -> "Dataset":
        """At most `per_class` cells of each class, drawn with a seed, in their old order."""
        random = np.random.default_rng(seed)
        chosen: list[int] = []
        for label in range(len(self.classes)):
            members = np.flatnonzero(self.labels == label)
            chosen += random.permutation(members)[:per_class].tolist()
        return self.subset(sorted(chosen))

    def channel_order(self, wanted: Sequence[str]) -> list[int]:
        """Where each wanted channel stands. Raises IcsortError, with both lists, where one is missing."""
        missing = [name for name in wanted if name not in self.channels]
        if missing:
            raise IcsortError(
                f"{self.origin}: no channel {', '.join(missing)} (there are {', '.join(self.channels)}); wanted are "
                f"{', '.join(wanted)}: name the data's channels with --channels, or give data that has them"
            )
        return [self.channels.index(name) for name in wanted]

    def with_channels(self, wanted: tuple[str, ...]) -> "Dataset":
        """The data with these channels, by name, in this order. Raises IcsortError where one is missing."""
        if self.channels == wanted:
            return self
        order = self.channel_order(wanted)
        preparation = self.preparation.with_channels(order)
        if isinstance(self.images, StoredImages):
            stored = self.images.with_channels(order)
            return replace(self, images=stored, channels=wanted, acquisition=None, preparation=preparation)
        images = tuple(np.ascontiguousarray(image[..., order]) for image in self.images)
        return replace(
            self,
            images=images,
            channels=wanted,
            known_identities=self.identities,
            acquisition=None,
            preparation=preparation,
        )

    def prepared(self, preparation: PreparationSpec) -> "Dataset":
        """The images as they are to be, whatever of it has been done. The cells are known by the pixels that were read.

        Raises IcsortError for recorded images and others that were made otherwise, and where nothing is left of one.
        """
        try:
            left = preparation.after(self.preparation)
        except IcsortError as error:
            raise IcsortError(f"{self.origin}: {error}") from None
        if left == AS_TAKEN:
            return self
        if self.acquisition is not None:
            raise IcsortError(
                f"{self.origin}: are lines that a sorter was given; leave out --reduce, --crop and --normalize"
            )
        identities = self.identities
        if isinstance(self.images, StoredImages):
            images: Sequence[Image] = self.images.changed(left.applied, left.lines(self.heights))
        else:
            try:
                images = tuple(left.applied(image) for image in self.images)
            except IcsortError as error:
                raise IcsortError(f"{self.origin}: {error}") from None
        return replace(self, images=images, known_identities=identities, preparation=preparation)

    def reduced(self, factor: int, crop: int = 0) -> "Dataset":
        """The middle `crop` x `crop` pixels of the area means over `factor` x `factor` pixels of each image; at 1 and 0
        as they are. Raises IcsortError as `prepared`."""
        asked = {"reduce": factor} if factor > 1 else {}
        return self.prepared(self.preparation.model_copy(update=asked | ({"crop": crop} if crop else {})))

    def fitted_to(self, channels: tuple[str, ...], line_width: int, preparation: PreparationSpec) -> "Dataset":
        """The channels that a network takes, by name, prepared as its images were. Raises IcsortError where a channel
        is missing or lines differ, and as `prepared`."""
        fitted = self.with_channels(channels).prepared(preparation)
        width = fitted.images[0].shape[1]
        if width != line_width:
            how = "" if preparation == AS_TAKEN else f" ({preparation.in_words})"
            raise IcsortError(
                f"{self.origin}: {width} pixels wide{how}, the network's lines have {line_width}; "
                "give images of the sorter that it was trained for"
            )
        return fitted

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

    def without_classes(self, left_out: Sequence[str]) -> "Dataset":
        """The data without these classes, whose names it has; labels are numbered anew. Raises IcsortError for others,
        and where no class is left."""
        if not left_out:
            return self
        unknown = [name for name in left_out if name not in self.classes]
        kept = tuple(name for name in self.classes if name not in left_out)
        if unknown or not kept:
            problem = f"there is no class {unknown[0]} to leave out" if unknown else "no class is left"
            raise IcsortError(f"{self.origin}: {problem}; there are {', '.join(self.classes)}")
        position = np.asarray([kept.index(name) if name in kept else -1 for name in self.classes])
        chosen = self.subset(np.flatnonzero((self.labels >= 0) & (position[self.labels] >= 0)))
        return replace(chosen, labels=position[chosen.labels], classes=kept)

    def without_small_classes(self, minimum: int = MIN_CLASS) -> tuple["Dataset", dict[str, int]]:
        """The data without the classes of fewer than `minimum` cells, and those classes with their cells.

        Labels are numbered anew. Raises IcsortError where no class is left.
        """
        counts = self.counts()
        dropped = {name: count for name, count in counts.items() if count < minimum}
        if not dropped:
            return self, {}
        if len(dropped) == len(self.classes):
            name, count = max(counts.items(), key=lambda item: item[1])
            raise IcsortError(
                f"{self.origin}: no class has {minimum} images (the largest, {name}, has {count}); "
                f"add cells or give a smaller --min-class"
            )
        return self.without_classes(tuple(dropped)), dropped


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
        pixel_types=None if first.pixel_types is None else np.concatenate([cells.pixel_types for cells in every]),
        skipped=tuple(line for cells in every for line in cells.skipped),
        passed_over=tuple(line for cells in every for line in cells.passed_over),
        known_identities=None
        if all(cells.known_identities is None for cells in every)
        else np.concatenate([cells.identities for cells in every]),
    )


def _identity(image: Image) -> int:
    kind = repr((image.dtype.name, image.shape)).encode()
    planes = (np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).data for plane in np.moveaxis(image, -1, 0))
    digests = sorted(hashlib.blake2b(plane).digest() for plane in planes)
    return int.from_bytes(hashlib.blake2b(kind + b"".join(digests), digest_size=8).digest(), "little")


def _kind(cells: Dataset) -> tuple[object, ...]:
    columns = () if cells.parameters is None else tuple(cells.parameters.columns)
    return (
        *(cells.classes, cells.channels, cells.images[0].shape[1], bool(cells.names), cells.groups is None, columns),
        cells.digitization,
        cells.acquisition,
        cells.preparation,
    )
