# SPDX-License-Identifier: Apache-2.0
"""Recorded cells as the line stream that would flow past the sorter, and what the bit-true models make of it."""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.package import Manifest
from icsort.sim.bit_true.event import Trigger, cut_events
from icsort.sim.bit_true.preprocess import preprocess

CELLS_PER_SECOND = 15_000  # what the published imaging sorter reaches


@dataclass(frozen=True)
class Cells:
    """Labelled raw cells.

    images: (N, height, width, C) uint16 counts; labels: (N,) index into classes; background: (C,) counts of an empty
    pixel.
    """

    images: NDArray[np.uint16]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    background: NDArray[np.uint16]


@dataclass(frozen=True)
class Flow:
    """A line stream and the events that the bit-true trigger finds in it.

    lines: (L, LINE_W, C) uint16; starts: (E,) first line of each event; cells: (E,) which cell each event shows;
    pixels: (E, H, W, C) uint8, what the network is given.
    """

    lines: NDArray[np.uint16]
    starts: NDArray[np.int64]
    cells: NDArray[np.int64]
    pixels: NDArray[np.uint8]


def load_cells(path: Path, manifest: Manifest, count: int | None = None) -> Cells:
    """The first `count` cells of a held-out file (`heldout.npz` of a run), checked against the model they are for.

    Raises IcsortError for a file that is none, other channels or classes, a line width that differs, or too few cells.
    """
    try:
        with np.load(path) as stored:
            fields = {name: stored[name] for name in ("images", "labels", "classes", "channels", "background")}
    except FileNotFoundError:
        raise IcsortError(f"{path} does not exist: give the heldout.npz of a training run") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise IcsortError(f"{path} is not the heldout.npz of a training run ({error}): train again") from None
    cells = Cells(
        images=fields["images"][:count],
        labels=fields["labels"][:count],
        classes=tuple(map(str, fields["classes"])),
        channels=tuple(map(str, fields["channels"])),
        background=fields["background"],
    )
    for what, of_cells, of_model in (
        ("channels", cells.channels, manifest.channels),
        ("classes", cells.classes, manifest.classes),
    ):
        if of_cells != of_model:
            raise IcsortError(f"{path} has the {what} {', '.join(of_cells)}; the model wants {', '.join(of_model)}")
    if cells.images.ndim != 4 or cells.images.dtype != np.uint16 or cells.images.shape[2] != manifest.line.width:
        raise IcsortError(
            f"{path} has images {cells.images.dtype} {cells.images.shape[1:]}; the model wants uint16 lines of "
            f"{manifest.line.width} pixels and {len(manifest.channels)} channels"
        )
    if count is not None and len(cells.images) < count:
        raise IcsortError(
            f"{path} has {len(cells.images)} cells, {count} were asked for: give --count {len(cells.images)}"
        )
    return cells


def trigger_of(manifest: Manifest) -> Trigger:
    """The trigger and window that the model package asks for."""
    return Trigger(
        channel=manifest.trigger.channel,
        threshold=manifest.trigger.threshold,
        height=manifest.input.height,
        width=manifest.input.width,
        x_offset=manifest.line.x_offset,
    )


def flow(cells: Cells, manifest: Manifest, cycles_per_cell: float = 0) -> Flow:
    """Every cell's lines, each cell followed by empty lines: at least a window's height of them, so that no event shows
    two cells, and so many that a cell comes every `cycles_per_cell` cycles at one pixel a cycle."""
    trigger = trigger_of(manifest)
    count, height, width, _ = cells.images.shape
    gap = max(trigger.height, math.ceil(cycles_per_cell / width) - height)
    empty = np.broadcast_to(cells.background, (count, gap, *cells.images.shape[2:]))
    return cut(np.concatenate([cells.images, empty], axis=1), manifest)


def dense_flow(cells: Cells, manifest: Manifest) -> Flow:
    """The same cells as densely as the trigger can take them: windows that begin with a line that triggers, one empty
    line between them."""
    found = flow(cells, manifest)
    trigger = trigger_of(manifest)
    rows = found.starts[:, None] + np.arange(trigger.height)
    empty = np.broadcast_to(cells.background, (len(rows), 1, *found.lines.shape[1:]))
    return cut(np.concatenate([found.lines[rows], empty], axis=1), manifest)


def cut(images: NDArray[np.uint16], manifest: Manifest) -> Flow:
    """One stream of (N, height, LINE_W, C) images, and its events by icsort.sim.bit_true."""
    trigger = trigger_of(manifest)
    lines = np.ascontiguousarray(images.reshape(-1, *images.shape[2:]))
    starts = cut_events(lines, trigger)
    rows = starts[:, None] + np.arange(trigger.height)
    windows = lines[rows, trigger.x_offset : trigger.x_offset + trigger.width]
    constants = manifest.preprocess
    pixels = preprocess(windows, constants.background, constants.gain, constants.shift)
    return Flow(lines, starts, starts // images.shape[1], pixels)
