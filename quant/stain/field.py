# SPDX-License-Identifier: Apache-2.0
"""The image of a stain over a whole field of view, by the U-Net of stain.image on overlapping tiles.

A field is a folder of pictures, one a channel. The network learns from the left part of it and is tested on the right
one; between them lies a gap wider than the network's reach, so that no pixel that it was trained on, as input or as
stain, has a part in what is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from icsort.errors import IcsortError
from icsort.quant.cells.readers.images import is_image, read_image
from icsort.quant.cells.readers.reading import entries, passed_over
from icsort.quant.stain.image import Planes, UNet, draw_planes, filtered, fit_linear, fit_network
from icsort.quant.stain.number import correlation
from icsort.report.figures import save_plane

FIELD_FORMAT = "icsort-stain-field"
VERSION = 1
TILE = 128  # pixels of a side
EPOCHS = 15
BATCH = 8  # tiles
GAP = 32  # columns between training and test, more than REACH
REACH = 24  # pixels from which the U-Net sees, at most
TEST_SHARE = 0.25
RANGE = (0.001, 0.999)  # of the measured stain's pixels: what counts as its range
PREDICTED_FILE, RESIDUAL_FILE, LINEAR_FILE = "predicted.tif", "residual.tif", "linear.tif"


@dataclass(frozen=True)
class Field:
    """Channels of one field: planes (C, H, W) uint16 counts, by name. passed_over: a line for each entry of the folder
    that is no picture."""

    origin: str
    channels: tuple[str, ...]
    planes: NDArray[np.uint16]
    passed_over: tuple[str, ...] = ()

    def plane(self, name: str) -> NDArray[np.uint16]:
        """The plane (H, W) of a channel. Raises IcsortError for one that is not there."""
        if name not in self.channels:
            raise IcsortError(f"{self.origin}: no plane {name}; there are {', '.join(self.channels)}")
        plane: NDArray[np.uint16] = self.planes[self.channels.index(name)]
        return plane


@dataclass(frozen=True)
class DrawnField:
    """A field (H, W) in counts: measured, drawn by the U-Net and by the linear filter. Columns before `trained` were
    trained on, those from `tested` on are tested."""

    measured: Planes
    unet: Planes
    linear: Planes
    trained: int
    tested: int


def read_field(folder: Path) -> Field:
    """The pictures of a folder, each a channel by its file's name. Raises IcsortError for a folder without any, for one
    of several channels, and for pictures of several sizes."""
    if not folder.is_dir():
        raise IcsortError(f"{folder}: there is no such folder; --field takes a folder of pictures, one a channel")
    paths = [path for path in entries(folder) if is_image(path)]
    if len(paths) < 2:
        raise IcsortError(f"{folder}: holds {len(paths)} pictures; a field has one a channel, two at least")
    planes = []
    for path in paths:
        counts = read_image(path).counts
        if counts.shape[2] != 1:
            raise IcsortError(f"{path}: has {counts.shape[2]} channels; of a field each picture is one channel")
        planes.append(counts[..., 0])
    first = planes[0].shape
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape != first:
            raise IcsortError(
                f"{path}: {plane.shape[1]} x {plane.shape[0]} pixels, and {paths[0].name} has {first[1]} x {first[0]}; "
                "give pictures of one field"
            )
    names = tuple(path.stem for path in paths)
    if len(set(names)) < len(names):
        raise IcsortError(f"{folder}: two pictures are called {max(names, key=names.count)}; a channel has one")
    left = tuple(passed_over(folder, path, "no picture") for path in entries(folder) if path not in paths)
    return Field(f"field in {folder}", names, np.stack(planes), left)


def draw_field(
    field: Field,
    inputs: Sequence[str],
    stain: str,
    *,
    tile: int = TILE,
    epochs: int = EPOCHS,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    progress: bool = True,
) -> DrawnField:
    """Train U-Net and linear filter on the left part of a field, and draw all of it.

    inputs: channels that the networks see; stain: the one that they draw. tile: pixels of a side of what is trained on
    and drawn at once. test_share: of the columns, on the right. Raises IcsortError for channels that do not fit, a tile
    or a share for which the field is too small, and a plane that is the same everywhere in the training part.
    """
    if not inputs or len(set(inputs)) != len(inputs):
        raise IcsortError(f"--from {','.join(inputs)}: name each plane once, such as --from phase1,phase2")
    if stain in inputs:
        raise IcsortError(f"--to {stain} is in --from as well: a stain that is measured need not be predicted")
    measured = field.plane(stain).astype(np.float32)
    shown = np.stack([field.plane(name) for name in inputs]).astype(np.float32)
    trained, tested = regions(measured.shape, tile, test_share)
    for name, plane in zip((*inputs, stain), (*shown, measured), strict=True):
        if not np.ptp(plane[:, :trained]):
            raise IcsortError(
                f"{field.origin}: {name} is {plane[0, 0]:g} in all pixels of the training part, so there is nothing to "
                "learn; give another plane"
            )
    level = shown[:, :, :trained].mean(axis=(1, 2), keepdims=True)
    shown = (shown - level) / shown[:, :, :trained].std(axis=(1, 2), keepdims=True)
    base, unit = float(measured[:, :trained].mean()), float(measured[:, :trained].std())
    wanted = (measured - base) / unit
    corners = [
        (top, left) for top in starts(len(measured), tile, tile // 2) for left in starts(trained, tile, tile // 2)
    ]
    tiles = np.stack([shown[:, top : top + tile, left : left + tile] for top, left in corners])
    answers = np.stack([wanted[top : top + tile, left : left + tile] for top, left in corners])
    network = fit_network(tiles, answers, epochs, seed, progress, BATCH)
    kernel = fit_linear(shown[None, :, :, :trained], wanted[None, :, :trained], seed)
    return DrawnField(
        measured,
        draw_in_tiles(network, shown, tile) * unit + base,
        filtered(kernel, shown[None])[0] * unit + base,
        trained,
        tested,
    )


def regions(shape: tuple[int, ...], tile: int, test_share: float) -> tuple[int, int]:
    """End of the training columns, and begin of the tested ones, of a field (H, W). Raises IcsortError where a tile or
    a share leaves one of them too small."""
    height, width = shape
    if not 0 < test_share < 1:
        raise IcsortError(f"--test-share {test_share:g}: give a share of the field between 0 and 1, such as 0.25")
    if tile <= 2 * REACH:
        raise IcsortError(f"--tile {tile}: the network sees {REACH} pixels around each; give at least {2 * REACH + 1}")
    tested = width - round(test_share * width)
    trained = tested - GAP
    if tile > min(height, trained):
        raise IcsortError(
            f"--tile {tile}: is larger than the part of the field that is trained on, {max(trained, 0)} x {height} of "
            f"{width} x {height} pixels; give a smaller --tile"
        )
    if width - tested < 7:  # a window of the structural similarity
        raise IcsortError(f"--test-share {test_share:g}: tests {width - tested} of {width} columns; give a larger one")
    return trained, tested


def starts(length: int, tile: int, step: int) -> list[int]:
    """Where tiles begin that cover a length, `step` apart at most, the last at its end."""
    last = length - tile
    return [*range(0, last, step), last]


def draw_in_tiles(network: UNet, shown: Planes, tile: int) -> Planes:
    """What the network draws of a field (C, H, W), (H, W), tile after tile.

    Tiles overlap by half. Each counts most in its middle and nothing at REACH from its edges, where the network sees
    the padding, unless the edge is the field's: so there is no seam.
    """
    _, height, width = shown.shape
    step = (tile - 2 * REACH + 1) // 2
    total, weight = np.zeros((height, width)), np.zeros((height, width))
    for top in starts(height, tile, step):
        for left in starts(width, tile, step):
            place = np.s_[top : top + tile, left : left + tile]
            drawn = draw_planes(network, shown[None, :, place[0], place[1]])[0]
            rows = ramp(tile, top == 0, top + tile == height)
            counted = rows[:, None] * ramp(tile, left == 0, left + tile == width)
            total[place] += counted * drawn
            weight[place] += counted
    return np.asarray(total / weight, np.float32)


def ramp(tile: int, first: bool, last: bool) -> NDArray[np.float64]:
    """How much each line of a tile counts, (tile,): from 0 at REACH inside an edge to 1 in the middle; at the field's
    own edges (first, last) 1."""
    middle = (tile - 1) / 2
    at = np.arange(tile)
    falls = np.minimum(at, tile - 1 - at) - REACH
    weight = np.clip((falls + 1) / (middle - REACH + 1), 0, 1)
    if first:
        weight[at <= middle] = 1
    if last:
        weight[at >= middle] = 1
    return weight


def field_figures(drawn: DrawnField) -> dict[str, Any]:
    """Agreement of drawn and measured stain over the tested part: Pearson's r over its pixels, without an interval, as
    neighbours are not independent; structural similarity (Wang et al. 2004), its mean; root mean square error."""
    tested = np.s_[:, drawn.tested :]
    measured = drawn.measured[tested]
    low, high = np.quantile(measured, RANGE)

    def of(plane: Planes) -> dict[str, Any]:
        alike = structural_similarity(measured, plane[tested], data_range=max(float(high - low), 1.0))  # type: ignore[no-untyped-call]
        return {
            "r": correlation(measured.ravel(), plane[tested].ravel())["r"],
            "ssim": float(alike),
            "rmse": float(np.sqrt(((plane[tested] - measured) ** 2).mean())),
        }

    return {
        "pixels": int(measured.size),
        "deviation": float(measured.std()),
        "unet": of(drawn.unet),
        "linear": of(drawn.linear),
    }


def report_figures(
    field: Field, inputs: Sequence[str], stain: str, drawn: DrawnField, *, tile: int, epochs: int, seed: int
) -> dict[str, Any]:
    """The machine-readable report of a field."""
    height, width = drawn.measured.shape
    return {
        "format": FIELD_FORMAT,
        "version": VERSION,
        "data": {"origin": field.origin, "height": height, "width": width, "passed_over": list(field.passed_over)},
        "from": list(inputs),
        "to": stain,
        "seed": seed,
        "tile": tile,
        "epochs": epochs,
        "trained_columns": [0, drawn.trained],
        "tested_columns": [drawn.tested, width],
        "test": field_figures(drawn),
    }


def write_planes(folder: Path, drawn: DrawnField) -> None:
    """The whole field as TIFFs (float32, counts): predicted, the residual (predicted - measured), the linear filter;
    and the first two as PNGs to look at."""
    residual = drawn.unet - drawn.measured
    for name, plane in ((PREDICTED_FILE, drawn.unet), (RESIDUAL_FILE, residual), (LINEAR_FILE, drawn.linear)):
        tifffile.imwrite(folder / name, plane, compression="zlib")
    low, high = (float(value) for value in np.quantile(drawn.measured, RANGE))
    save_plane((folder / PREDICTED_FILE).with_suffix(".png"), drawn.unet, "inferno", low, high)
    save_plane((folder / RESIDUAL_FILE).with_suffix(".png"), residual, "RdBu_r", low - high, high - low)
