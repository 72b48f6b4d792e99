# SPDX-License-Identifier: Apache-2.0
"""A sort as a host records it, events and images together, by the host's own writers: from made-up messages of a board
that loses what it is told to lose.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.formats.package import Manifest
from icsort.formats.recording import RECORDING_ID
from icsort.host.images import ImageFolder, images_head
from icsort.host.link.protocol import EventRecord, ImagePiece, parse
from icsort.host.recorder import Recorder
from icsort.host.sorter import Losses
from tests.host.fake_board import pieces_of
from tests.host.recordings import event, example, layout

Pixels = NDArray[np.uint8]


def picture(number: int, manifest: Manifest) -> Pixels:
    """The image of the event of this number: always the same."""
    return np.random.default_rng(number).integers(0, 256, manifest.input.shape, dtype=np.uint8)


def pieces(number: int, pixels: Pixels) -> list[ImagePiece]:
    parsed = [parse(b"\xe3\x00" + body) for body in pieces_of(number, pixels.tobytes(), 2)]
    return [piece for piece in parsed if isinstance(piece, ImagePiece)]


def record_sort(
    folder: Path,
    events: Iterable[EventRecord],
    pixels: Callable[[EventRecord], Pixels | None] = lambda e: picture(e.event_id, example()),
    lost: Callable[[int], bool] = lambda _: False,
    manifest: Manifest | None = None,
    name: str = "cells",
    **recorder: Any,
) -> tuple[Path, Path]:
    """NAME.fcs and NAME-images in a folder. pixels: of an event, None where the board sends none. lost: whether the
    record of the n-th event is. Returns both paths."""
    manifest = manifest or example()
    recording, images = folder / f"{name}.fcs", folder / f"{name}-images"
    images.mkdir(parents=True)
    losses, number = Losses(), f"{len(list(folder.iterdir())):032x}"
    keep = ImageFolder(images, images_head(manifest.input.shape, manifest, images, (recording, number)))
    laid_out = recorder.pop("layout", None) or layout()
    with Recorder(recording, laid_out, {RECORDING_ID: number}, losses, **recorder) as recording_of:
        for index, record in enumerate(events):
            if not lost(index):
                losses.see(record)
                recording_of.add(record)
                keep.add(record)
            if (image := pixels(record)) is not None:
                for piece in pieces(record.event_id, image):
                    keep.add(piece)
    keep.close(skipped=0)
    return recording, images


def events_of(count: int) -> list[EventRecord]:
    return [event(number) for number in range(count)]


def keep_until_killed(folder: Path) -> None:
    """Image after image, each of the event of its number."""
    manifest = example()
    keep, number = ImageFolder(folder, images_head(manifest.input.shape, manifest, folder)), 0
    print(flush=True)
    while True:
        for piece in pieces(number, picture(number, manifest)):
            keep.add(piece)
        number += 1


if __name__ == "__main__":
    keep_until_killed(Path(sys.argv[1]))
