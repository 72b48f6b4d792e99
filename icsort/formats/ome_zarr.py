# SPDX-License-Identifier: Apache-2.0
"""Recorded images and events as OME-Zarr 0.5 (https://ngff.openmicroscopy.org/0.5): a folder that napari, Fiji and
zarr's libraries read (docs/recording.md).

Needs zarr (icsort[convert]).
"""

from pathlib import Path
from typing import Any, Final

import zarr
from zarr.codecs import ZstdCodec

from icsort import __version__
from icsort.formats.recorded_images import RecordedImages

METADATA_FILE: Final = "zarr.json"
CHUNK: Final = 16
"""Cells of which one channel is read together."""
SHARD: Final = 256
"""Cells of a file, which are written together."""
COLOURS: Final = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def write_ome_zarr(folder: Path, recorded: RecordedImages, progress: Any) -> dict[str, Any]:
    """Write into an empty folder, a shard in memory at a time. Returns what became of every image and event. Raises
    IcsortError; OSError where the disk does."""
    images, match = recorded.images, recorded.match
    height, width, channels = images.shape
    total, names = len(match.matched), match.files[0].names
    root = zarr.open_group(folder, mode="w", zarr_format=3)
    pixels = root.create_array(
        "0",
        shape=(total, channels, height, width),
        chunks=(CHUNK, 1, height, width),
        shards=(SHARD, channels, height, width),
        dtype="uint8",
        compressors=ZstdCodec(level=5),
        dimension_names=("t", "c", "y", "x"),
    )
    events = root.create_array(
        "events",
        shape=(total, len(names)),
        chunks=(CHUNK, len(names)),
        shards=(SHARD, len(names)),
        dtype="float64",
        compressors=ZstdCodec(level=5),
        dimension_names=("t", "parameter"),
        attributes={"parameters": names, "keywords": match.files[0].keywords},
    )
    done = 0
    for cells in recorded.cells(SHARD):
        rows = slice(done, done + len(cells.pixels))
        pixels[rows] = cells.pixels.transpose(0, 3, 1, 2)
        events[rows] = cells.values
        done = rows.stop
        progress("written", done, total)
    pixels.resize((done, channels, height, width))
    events.resize((done, len(names)))
    account = recorded.account()
    root.attrs.update({"ome": _metadata(images.head.channels), "icsort": account})
    return account


def _metadata(channels: tuple[str, ...]) -> dict[str, Any]:
    """One scale. Cells lie along t, for the format knows no other axis for them."""
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space"} for name in "yx"]
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": "cells",
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 4}]}],
            }
        ],
        "omero": {
            "channels": [
                {"label": name, "color": COLOURS[number % len(COLOURS)], "window": window, "active": True}
                for number, name in enumerate(channels)
            ]
        },
        "_creator": {"name": "icsort", "version": __version__},
    }
