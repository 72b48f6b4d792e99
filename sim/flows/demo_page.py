# SPDX-License-Identifier: Apache-2.0
"""The demo's report: figures and pictures of one run of the whole path, in one HTML file that needs nothing else."""

import base64
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
import matplotlib.pyplot as plt  # the backend must be chosen first
from matplotlib.figure import Figure

SORTED, REFUSED = "#2e9e5b", "#b8c0cc"
# How the first three channels are laid over each other: grey as in a microscope's transmitted light, then two stains.
CHANNEL_COLOURS = np.array([[0.45, 0.45, 0.45], [0.1, 0.9, 0.1], [0.9, 0.1, 0.9]])


def png(figure: Figure) -> str:
    """A figure as base64 PNG, and closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def cell_grid(
    pixels: NDArray[np.uint8],
    truth: Sequence[str],
    predicted: Sequence[str],
    posterior: NDArray[np.float64],
    was_sorted: NDArray[np.bool_],
    columns: int = 10,
) -> str:
    """Cells (N, H, W, C) side by side, up to three channels laid over each other, with their decisions."""
    rows = -(-len(pixels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * 1.25, rows * 1.55), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for i, axis in enumerate(axes.flat[: len(pixels)]):
        shown = min(len(CHANNEL_COLOURS), pixels.shape[3])
        axis.set_axis_on()
        axis.imshow(np.clip(pixels[i, ..., :shown] / 255 @ CHANNEL_COLOURS[:shown], 0, 1))
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(color=SORTED if was_sorted[i] else REFUSED, linewidth=3)
        axis.set_title(truth[i], fontsize=7, pad=3)
        axis.set_xlabel(f"{predicted[i]} {posterior[i]:.2f}", fontsize=7, labelpad=2)
    return png(figure)


def confusion(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Confusion matrix, rows are the truth; colour is the share of the row, numbers are cells."""
    count = np.zeros((len(classes), len(classes)), int)
    np.add.at(count, (truth, predicted), 1)
    share = count / np.maximum(count.sum(axis=1, keepdims=True), 1)
    size = max(4.0, 0.62 * len(classes))
    figure, axis = plt.subplots(figsize=(size + 1, size))
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted by the RTL", ylabel="true class")
    for (row, column), cells in np.ndenumerate(count):
        if cells:
            axis.text(column, row, str(cells), ha="center", va="center", color="w" if share[row, column] > 0.5 else "k")
    return png(figure)


def latency(first: NDArray[np.int64], last: NDArray[np.int64], clock_mhz: float) -> str:
    """Histograms of the cycles from the first and from the last pixel to the decision."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 3))
    for axis, cycles, name in ((axes[0], first, "first"), (axes[1], last, "last")):
        values, counts = np.unique(cycles, return_counts=True)
        axis.bar(values, counts, width=0.8, color="#3a6ea5")
        axis.set(xlabel=f"cycles from {name} pixel to decision", ylabel="cells")
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, integer=True))
        if values[-1] - values[0] < 6:
            axis.set_xlim(values[0] - 4, values[-1] + 4)
        median = float(np.median(cycles))
        axis.set_title(f"median {median:g} cycles = {median / clock_mhz:.2f} µs at {clock_mhz:g} MHz", fontsize=10)
    figure.tight_layout()
    return png(figure)


def timeline(path: Path, begin: int, end: int, clock_mhz: float) -> str:
    """The monitor signals (CSV: cycle,signal,value) as a logic analyser shows them, from one event's first pixel to
    the end of its sort pulse, both in cycles."""
    changes: dict[str, list[tuple[int, int]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            changes.setdefault(row["signal"], []).append((int(row["cycle"]), int(row["value"])))
    event = begin
    margin = (end - begin) // 20
    begin, end = begin - margin, end + margin
    names = ["line", "event", "network in", "network out", "decision", "sort pulse"]
    figure, axes = plt.subplots(len(names), 1, figsize=(11, 3.6), sharex=True)
    shortest = (end - begin) / 600  # a pulse of one cycle must still be seen
    for axis, name in zip(axes, names, strict=True):
        level, since = 0, begin
        for cycle, value in [*changes.get(name, []), (end, 0)]:
            at = min(max(cycle, begin), end)
            if level and at > since:
                axis.axvspan(
                    (since - event) / clock_mhz,
                    (max(at, since + shortest) - event) / clock_mhz,
                    0.1,
                    0.9,
                    color="#3a6ea5",
                )
            level, since = value, at
        axis.set(yticks=[], ylim=(0, 1), xlim=((begin - event) / clock_mhz, (end - event) / clock_mhz))
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1].set_xlabel(f"µs after the cell's first pixel, at {clock_mhz:g} MHz")
    return png(figure)


def resources(data: dict[str, Any]) -> dict[str, Any]:
    """Head and rows of the resource table, from a build's build.json; the board's budget stands at the end."""
    kinds = ("LUT", "BRAM_18K", "DSP")
    rows = [
        [
            *(layer["instance"], layer["source"], layer["params"].get("PE", ""), layer["params"].get("SIMD", "")),
            *(layer["cycles"], layer["fifo_depths"][0], *(layer["resources"][kind] for kind in kinds)),
        ]
        for layer in data["layers"]
    ]
    rows.append(["sum", *[""] * 5, *(sum(layer["resources"][kind] for layer in data["layers"]) for kind in kinds)])
    rows.append([f"{data['part']}, {data['budget_is']}", *[""] * 5, *(data["budget"][kind] for kind in kinds)])
    return {
        "head": ["kernel", "layer", "PE", "SIMD", "cycles", "FIFO", "LUT", "BRAM 18k", "DSP"],
        "rows": rows,
        "source": data["resources_are"],
    }


def render(template: Path, out: Path, **values: Any) -> None:
    """Write the page, whole or not at all."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(template.read_text(encoding="utf-8")).render(**values)
    partial = out.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(out)
