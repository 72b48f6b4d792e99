# SPDX-License-Identifier: Apache-2.0
"""Known cells of a model package: lines as a board's line source can hold them, and the logits that its network gives.

Whoever has the cells writes them beside the package, where ONNX Runtime is; `icsort compile` takes them along, and a
host compares a board with them without any of that.

Arrays: lines (N, L, LINE_W, C) uint16, of which the first heights (N,) int64 are the cell's and the quiet ones about
it; pixels (N, H, W, C) uint8, its window as the network takes it; logits (N, K) int64; network_id; format and version.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.sim.bit_true.event import Events, cut_windows, find_events, line_sums

KNOWN_FILE: Final = "known.npz"
FORMAT: Final = "icsort-known-cells"
VERSION: Final = 1
CELLS: Final = 8
"""That a package keeps, at most."""
LINES: Final = 64
"""That a board's line source holds."""
REMEDY: Final = (
    "export the run again with `icsort export`, or package the network with `icsort package --cells`, and compile it"
)


@dataclass(frozen=True)
class Known:
    """Known cells, N of them. lines: of each, (L_i, LINE_W, C) raw counts, a line of which triggers its one event.
    pixels: (N, H, W, C) uint8, its window; logits: (N, K) integers, the network's."""

    network_id: str
    lines: tuple[NDArray[np.uint16], ...]
    pixels: NDArray[np.uint8]
    logits: NDArray[np.int64]

    def first(self, count: int | None) -> "Known":
        """The first `count` cells; None: all."""
        return Known(self.network_id, self.lines[:count], self.pixels[:count], self.logits[:count])


@dataclass(frozen=True)
class Played:
    """What the bit-true front makes of a cell's lines. lines: corrected; events: the one; pixels: (H, W, C), its
    window."""

    lines: NDArray[np.uint16]
    events: Events
    pixels: NDArray[np.uint8]


def played(lines: NDArray[np.uint16], acquisition: Acquisition) -> Played | None:
    """The event of a cell's lines. None where they do not make one sound event, and nothing else."""
    trigger, constants = acquisition.event_trigger, acquisition.preprocess
    corrected = acquisition.corrected(lines)
    found = find_events(line_sums(corrected, trigger), trigger)
    events = found.events
    sound = len(events) == 1 and events.ended.all() and not events.flags.any()
    if not sound or len(found.debris) or len(found.dead_time):
        return None
    windows = cut_windows(corrected, events, trigger, acquisition.event_window, constants.background)
    return Played(corrected, events, acquisition.pixels(windows)[0])


def write(folder: Path, cells: HeldOut) -> int:
    """Write the known cells of a package that is in this folder, of each class some; none where no cell fits into a
    board's line source. Returns how many. Raises IcsortError as `IntegerNetwork` does, and OSError."""
    from icsort.formats.integer import IntegerNetwork  # takes seconds

    network = IntegerNetwork(folder)
    manifest = network.manifest
    fitting = (
        (lines, front.pixels)
        for lines in _in_turn(cells, manifest)
        if len(lines) <= LINES and (front := played(lines, manifest)) is not None
    )
    chosen = list(islice(fitting, CELLS))
    if not chosen:
        return 0
    heights = [len(lines) for lines, _ in chosen]
    stack = np.zeros((len(chosen), max(heights), *chosen[0][0].shape[1:]), np.uint16)
    for room, (lines, _) in zip(stack, chosen, strict=True):
        room[: len(lines)] = lines
    pixels = np.stack([window for _, window in chosen])
    np.savez_compressed(
        folder / KNOWN_FILE,
        format=np.asarray(FORMAT),
        version=np.asarray(VERSION),
        network_id=np.asarray(manifest.network_id),
        lines=stack,
        heights=np.asarray(heights, np.int64),
        pixels=pixels,
        logits=network.logits(pixels),
    )
    return len(chosen)


def _in_turn(cells: HeldOut, manifest: Manifest) -> Iterator[NDArray[np.uint16]]:
    """Lines of each cell between quiet ones, a cell of each class after the other; none where no line is quiet.

    In front of the cell a line more than its event needs, which may not follow the line before it.
    """
    quiet, trigger = cells.background.quiet(manifest), manifest.event_trigger
    if not len(quiet):
        return
    moved = max(manifest.line.delays, default=0)
    before, behind = (
        quiet[np.arange(count) % len(quiet)] for count in (trigger.pre_lines + moved + 1, trigger.end_lines + moved)
    )
    order = np.argsort(cells.labels, kind="stable")
    labels = cells.labels[order]
    rank = np.arange(len(order)) - np.searchsorted(labels, labels)  # within its class
    for index in order[np.lexsort((labels, rank))].tolist():
        yield np.concatenate([before, cells.images[index], behind])


def load(folder: Path, manifest: Manifest) -> Known:
    """The known cells beside a package or in a build. Raises IcsortError, one line, where there are none, for a file
    that is damaged, and for one of another network or of other settings than the manifest's."""
    path = folder / KNOWN_FILE
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, NpzFile):
            raise ValueError("one array")
        with stored:
            if str(stored["format"]) != FORMAT or int(stored["version"]) != VERSION:
                raise ValueError(f"not {FORMAT} version {VERSION}")
            names = ("lines", "heights", "pixels", "logits")
            lines, heights, pixels, logits = (stored[name] for name in names)
            network_id = str(stored["network_id"])
    except FileNotFoundError:
        raise IcsortError(f"{folder}: has no known cells (no {KNOWN_FILE}); {REMEDY}") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IcsortError(f"{path}: no known cells can be read of it ({detail}); {REMEDY}") from None
    if network_id != manifest.network_id:
        raise IcsortError(
            f"{path}: of network {network_id}, the manifest beside it of network {manifest.network_id}; {REMEDY}"
        )
    count, line = heights.shape[:1], (manifest.line.width, manifest.input.channels)
    for name, array, kind, shape in (
        ("lines", lines, np.uint16, (*count, *lines.shape[1:2], *line)),
        ("heights", heights, np.int64, count),
        ("pixels", pixels, np.uint8, (*count, *manifest.input.shape)),
        ("logits", logits, np.int64, (*count, len(manifest.classes))),
    ):
        if array.dtype != kind or array.shape != shape or not array.size:
            raise IcsortError(f"{path}: {name} is {array.dtype} of shape {array.shape}; {REMEDY}")
    if not 1 <= heights.min() <= heights.max() <= lines.shape[1]:
        raise IcsortError(f"{path}: heights has {heights.min()} to {heights.max()}; {REMEDY}")
    cells = tuple(image[:height] for image, height in zip(lines, heights.tolist(), strict=True))
    for index, (cell, window) in enumerate(zip(cells, pixels, strict=True)):
        front = played(cell, manifest)
        if front is None or not (front.pixels == window).all():
            raise IcsortError(
                f"{path}: cell {index} is another one by the settings of {manifest.model_id}, whose trigger, window or "
                f"preprocessing is not that of the export; {REMEDY}"
            )
    return Known(network_id, cells, pixels, logits)
