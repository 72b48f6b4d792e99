# SPDX-License-Identifier: Apache-2.0
"""The report of a tracked movie: lineage trees, the movie with its tracks drawn in, figures against a truth."""

import colorsys
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from icsort.quant.tracking.cells import Cells
from icsort.quant.tracking.lineage import Tracks
from icsort.report.figures import PLAIN, png
from icsort.report.page import Page, Section, Tile

SIDE = 420  # pixels of the overlay's longer side
FRAMES = 60  # of the overlay, at most
TRAIL = 8  # frames of a cell's way that are drawn behind it
COLOURS = 64  # of the overlay
TREES = 40  # families that are drawn, the largest


def page(report: dict[str, Any], cells: Cells, tracks: Tracks, overlay: str) -> Page:
    """The report of icsort.quant.tracking.track as a page. overlay: base64 of the animated PNG."""
    scores = report["scores"]
    own = scores[0] if scores else None
    figures = [
        Tile(f"{report['cells']:,}", f"cells in {report['frames']} frames"),
        Tile(str(report["tracks"]), "tracks"),
        Tile(str(report["divisions"]), "divisions"),
    ]
    if own is not None:
        figures += [Tile(words(own[name]), name) for name in ("TRA", "LNK", "DET")]
        figures.append(Tile(words(own["division_f1"]), "division F1"))
    sections = [
        Section(
            "The movie",
            "A colour a track, and a line where it came from. The children of a division have new colours.",
            [overlay],
        ),
        Section(
            "Lineage",
            "A line a track, from its first frame to its last; where a line forks, a cell divided. Largest families "
            f"first, at most {TREES}.",
            [png(trees(tracks, report["frames"]))],
        ),
        Section("Cells a frame", "A jump is a frame whose segmentation differs.", [png(_counts(cells))]),
    ]
    if scores:
        sections.insert(
            0,
            Section(
                "Against the truth",
                "By traccuracy: DET for cells, LNK for links, TRA for both, as the Cell Tracking Challenge weighs "
                "them; 1 is right throughout. A division counts where parent and both children are right.",
                head=["tracker", "DET", "LNK", "TRA", "links missed, false, wrong kind", "divisions", "F1"],
                rows=[
                    [
                        entry["tracker"],
                        *(words(entry[name]) for name in ("DET", "LNK", "TRA")),
                        f"{entry['links_missed']}, {entry['links_false']}, {entry['links_of_wrong_kind']}",
                        f"{entry['divisions_found']} of {entry['divisions']}, {entry['divisions_false']} false",
                        words(entry["division_f1"]),
                    ]
                    for entry in scores
                ],
                marked={0},
            ),
        )
    return Page(
        title="Cells followed through a movie",
        lead=f"{report['movie']}: {report['frames']} frames. Cells: {report['masks']}. Cost: {report['cost']}.",
        notices=report["skipped"],
        figures=figures,
        sections=sections,
    )


def movies_page(reports: dict[str, dict[str, Any]]) -> Page:
    """Several movies beside each other, by their folders' names."""
    scored = any(report["scores"] for report in reports.values())
    head = ["movie", "frames", "cells", "tracks", "divisions", *(["DET", "LNK", "TRA"] if scored else [])]
    rows = []
    for name, report in reports.items():
        row = [name, *(f"{report[key]:,}" for key in ("frames", "cells", "tracks", "divisions"))]
        own = report["scores"][0] if report["scores"] else {}
        rows.append([*row, *((words(own.get(key)) for key in ("DET", "LNK", "TRA")) if scored else ())])
    total = sum(report["cells"] for report in reports.values())
    return Page(
        title="Cells followed through movies",
        lead=f"{len(reports)} movies, {total:,} cells in all frames. Each has a folder here, with its own report.",
        sections=[Section("Movies", "", head=head, rows=rows)],
    )


def words(value: float | None) -> str:
    """A score with four digits; a dash where there was nothing to count."""
    return "–" if value is None else f"{value:.4f}"


def animation(
    images: NDArray[np.generic], masks: NDArray[np.int32], cells: Cells, parent: NDArray[np.int64], tracks: Tracks
) -> bytes:
    """The movie (T, H, W) with outlines and ways of its tracks, as an animated PNG, made smaller where it is large."""
    every = max(1, -(-len(images) // FRAMES))
    shrink = max(1, -(-max(images.shape[1:]) // SIDE))
    low, high = np.percentile(images[:: max(1, len(images) // 8)].astype(np.float64), [1, 99.8])
    frames = []
    for frame in range(0, len(images), every):
        light = np.clip((images[frame][::shrink, ::shrink].astype(np.float64) - low) / max(high - low, 1e-9), 0, 1)
        picture = np.repeat((220 * np.sqrt(light)).astype(np.uint8)[..., np.newaxis], 3, axis=2)
        index = cells.at(frame)
        small = masks[frame][::shrink, ::shrink]
        palette = np.zeros((int(masks[frame].max()) + 1, 3), np.uint8)
        palette[cells.label[index]] = [_colour(int(number)) for number in tracks.number[index]] if len(index) else 0
        rim = np.zeros(small.shape, np.bool_)
        rim[1:] |= small[1:] != small[:-1]
        rim[:, 1:] |= small[:, 1:] != small[:, :-1]
        rim &= small > 0
        picture[rim] = palette[small[rim]]
        drawn = Image.fromarray(picture)
        pen = ImageDraw.Draw(drawn)
        for cell in index:
            way: list[tuple[float, ...]] = []
            at = int(cell)
            while at >= 0 and len(way) <= TRAIL:
                way.append(tuple(float(v) / shrink for v in cells.position[at][::-1]))
                at = int(parent[at])
            if len(way) > 1:
                pen.line(way, fill=_colour(int(tracks.number[cell])))
        frames.append(drawn.quantize(COLOURS))
    buffer = io.BytesIO()
    frames[0].save(buffer, format="PNG", save_all=True, append_images=frames[1:], duration=120, loop=0)
    return buffer.getvalue()


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.85, 1)
    return round(255 * red), round(255 * green), round(255 * blue)


def trees(
    tracks: Tracks, frames: int, shades: Sequence[tuple[int, int, float]] | None = None, said: str = ""
) -> Figure:
    """Families of tracks below each other, time from left to right, a colour each.

    shades: in place of these colours, a value 0 to 1 of tracks in frames: track, frame, value; `said`: what it is.
    """
    rows = {int(row[0]): row for row in tracks.table}
    children: dict[int, list[int]] = {number: [] for number in rows}
    for number, row in rows.items():
        if row[3]:
            children[int(row[3])].append(number)
    roots = [number for number, row in rows.items() if not row[3]]

    def family(number: int) -> list[int]:
        """A track and all that came of it, in the order in which they stand below each other."""
        found, waiting = [], [number]
        while waiting:
            found.append(waiting.pop())
            waiting.extend(children[found[-1]])
        return found

    families = sorted((family(root) for root in roots), key=len, reverse=True)[:TREES]
    order = [number for members in families for number in members]
    height: dict[int, float] = {}
    free = 0.0
    for number in reversed(order):  # children before their parents
        if children[number]:
            height[number] = float(np.mean([height[child] for child in children[number]]))
        else:
            height[number], free = free, free + 1
    figure = Figure(figsize=(8, max(2.0, 0.13 * free + 0.8)), layout="constrained")
    axes = figure.subplots()
    for number in order:
        _, begin, end, before = rows[number]
        colour = np.array(_colour(number)) / 255 if shades is None else PLAIN
        axes.plot([begin, end + 0.5], [height[number]] * 2, color=colour, linewidth=2)
        if before in height:
            axes.plot([rows[before][2] + 0.5, begin], [height[before], height[number]], color="#55606e", linewidth=0.8)
    if shades is not None:
        shown = [(frame, height[number], value) for number, frame, value in shades if number in height]
        x, y, values = zip(*shown, strict=True) if shown else ((), (), ())
        marks = axes.scatter(x, y, 9, values, marker="s", cmap="inferno_r", vmin=0, vmax=1, zorder=3)
        figure.colorbar(marks, ax=axes, label=said, aspect=40)
    axes.set(xlabel="frame", xlim=(-0.5, frames), yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)
    return figure


def _counts(cells: Cells) -> Figure:
    figure = Figure(figsize=(8, 1.8), layout="constrained")
    axes = figure.subplots()
    axes.step(np.arange(cells.frames), np.bincount(cells.frame, minlength=cells.frames), where="mid", color="#3a6ea5")
    axes.set(xlabel="frame", ylabel="cells", ylim=(0, None))
    return figure
