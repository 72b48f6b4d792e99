# SPDX-License-Identifier: Apache-2.0
"""A file of cells, such as the `heldout.npz` of a run: raw images, and the background lines that flow between them.

Arrays: images (N, H, LINE_W, C) uint16, of which the first heights (N,) lines are the cell's; labels (N,) index into
classes (K,), -1 for none; channels (C,); background (B, LINE_W, C) uint16; perhaps identities (N,) uint64;
format and version.
"""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.background import Background

HELDOUT_FILE: Final = "heldout.npz"
FORMAT: Final = "icsort-heldout"
VERSION: Final = 1
ARRAYS: Final = ("images", "heights", "labels", "classes", "channels", "background")


@dataclass(frozen=True)
class HeldOut:
    """Raw cells: images of (height_i, LINE_W, C) uint16 counts, labels (N,) index into classes, -1 for none.

    identities: (N,) uint64, what each cell is known by, where that is known.
    """

    images: tuple[NDArray[np.uint16], ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    background: Background
    identities: NDArray[np.uint64] | None = None

    def first(self, count: int) -> "HeldOut":
        """The first `count` cells."""
        identities = None if self.identities is None else self.identities[:count]
        return replace(self, images=self.images[:count], labels=self.labels[:count], identities=identities)


def save(path: Path, cells: HeldOut) -> None:
    """Write a held-out file. Raises OSError."""
    heights = np.asarray([len(image) for image in cells.images], np.int64)
    stack = np.zeros((len(heights), heights.max(initial=0), *cells.background.lines.shape[1:]), np.uint16)
    for room, image in zip(stack, cells.images, strict=True):
        room[: len(image)] = image
    arrays: dict[str, Any] = {
        "format": np.asarray(FORMAT),
        "version": np.asarray(VERSION),
        "images": stack,
        "heights": heights,
        "labels": np.asarray(cells.labels, np.int64),
        "classes": np.asarray(cells.classes),
        "channels": np.asarray(cells.channels),
        "background": cells.background.lines,
    }
    if cells.identities is not None:
        arrays["identities"] = cells.identities
    np.savez_compressed(path, **arrays)


def load(path: Path) -> HeldOut:
    """Read a held-out file. Raises IcsortError, one line, for one that is missing, none, or holds what disagrees."""
    remedy = f"give the {HELDOUT_FILE} of a training run, or train again"
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, NpzFile):
            raise IcsortError(f"{path}: one array, not the arrays of a held-out file; {remedy}")
        with stored:
            if "format" not in stored or str(stored["format"]) != FORMAT or int(stored["version"]) != VERSION:
                raise IcsortError(f"{path}: is not {FORMAT} version {VERSION}; {remedy}")
            images, heights, labels, classes, channels, background = (stored[name] for name in ARRAYS)
            identities = stored.get("identities")
    except FileNotFoundError:
        raise IcsortError(f"{path}: does not exist; {remedy}") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IcsortError(f"{path}: is not the {HELDOUT_FILE} of a training run ({detail}); {remedy}") from None
    wrong = _wrong(images, heights, labels, classes, channels, background)
    if identities is not None and (identities.dtype != np.uint64 or identities.shape != images.shape[:1]):
        wrong = wrong or f"identities is {identities.dtype} of shape {identities.shape}: it must be uint64, one a cell"
    if wrong:
        raise IcsortError(f"{path}: {wrong}; {remedy}")
    cells = tuple(image[:height] for image, height in zip(images, heights.tolist(), strict=True))
    names = tuple(classes.tolist()), tuple(channels.tolist())
    return HeldOut(cells, labels, *names, Background(background), identities)


def _wrong(
    images: NDArray[np.uint16],
    heights: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: NDArray[np.str_],
    channels: NDArray[np.str_],
    background: NDArray[np.uint16],
) -> str | None:
    """The first thing that disagrees, in words."""
    for name, array, dimensions in (("images", images, 4), ("background", background, 3)):
        if array.dtype != np.uint16 or array.ndim != dimensions:
            return f"{name} is {array.dtype} of shape {array.shape}: it must be uint16 with {dimensions} dimensions"
    for name, names in (("classes", classes), ("channels", channels)):
        if names.dtype.kind != "U" or names.ndim != 1:
            return f"{name} is {names.dtype} of shape {names.shape}: it must be a list of text"
    for name, numbers, least, most in (
        ("heights", heights, 1, images.shape[1]),
        ("labels", labels, -1, len(classes) - 1),
    ):
        if numbers.dtype != np.int64 or numbers.shape != images.shape[:1]:
            return f"{name} is {numbers.dtype} of shape {numbers.shape}: it must be int64, one for each of the images"
        if len(numbers) and not least <= numbers.min() <= numbers.max() <= most:
            return f"{name} has {numbers.min()} to {numbers.max()}: it must be within {least}..{most}"
    if not len(background) or background.shape[1:] != images.shape[2:] or len(channels) != images.shape[3]:
        return f"images {images.shape}, background {background.shape} and {len(channels)} channels do not go together"
    return None
