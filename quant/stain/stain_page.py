# SPDX-License-Identifier: Apache-2.0
"""What a predicted stain is worth, in words and pictures for the biologist who would sort by it."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.stain.image import SHOWN, Drawn
from icsort.quant.stain.number import Predicted
from icsort.quant.stain.stain import STAIN_FILE, Stained
from icsort.report import page as report
from icsort.report.figures import BAR, INK, MARK, PLAIN, png
from icsort.report.page import Page, Section, Tile, percent

WRONG = 8  # cells that are farthest off


def write(folder: Path, found: Stained) -> None:
    """Write report.html and stain.json into the folder. Raises IcsortError where they cannot be written."""
    try:
        report.write(folder, page(found), STAIN_FILE, found.figures)
    except OSError as error:
        raise IcsortError(
            f"{folder}: the report cannot be written ({error.strerror}); make room and repeat the command, which goes "
            "on where it was"
        ) from None


def page(found: Stained) -> Page:
    """The report of icsort.quant.stain.stain as a page."""
    figures, stain = found.figures, found.figures["to"]
    number, plain, image = figures["quantized"], figures["float"], figures["image"]
    seen = " and ".join(figures["from"])
    sections = [
        Section(
            "Predicted and measured, a network a panel",
            "Each dot is a cell that the panel's network was not trained on. On the grey line the prediction is right. "
            f"Predictions are the integers that the FPGA computes, in {figures['unit']}.",
            [png(_scatter(found.quantized, stain))],
            head=["", "cells", "r, in the FPGA's integers", "r, the same network in floating point"],
            rows=[
                ["all", str(number["pearson"]["cells"]), r_text(number["pearson"]), r_text(plain["pearson"])],
                *(
                    [f"fold {index + 1}", str(one["cells"]), r_text(one), r_text(other)]
                    for index, (one, other) in enumerate(zip(number["folds"], plain["folds"], strict=True))
                ),
                *(
                    [f"within {name}", str(one["cells"]), r_text(one), r_text(plain["within"].get(name))]
                    for name, one in number["within"].items()
                ),
            ],
            marked=[0],
        ),
        Section(
            "Can the number be believed?",
            "Cells in tenths by what was predicted of them: what was measured on average (bars: twice the standard "
            "error). On the grey line a predicted total is, on average, the true one. A single cell is off by "
            f"{number['rmse']:,.0f} {figures['unit']} (root mean square), where the cells themselves differ by "
            f"{number['deviation']:,.0f} (standard deviation).",
            [png(_calibration(number["calibration"], stain))],
        ),
        Section(
            "Farthest off",
            "Cells whose prediction is most wrong, the worst first: above what the network sees, at the bottom the "
            "measured stain; below it what was measured and predicted. Look here for doublets, debris and dead cells.",
            [png(_wrong(found))],
        ),
    ]
    if figures["unstained"] is not None:
        sections.append(_unstained_section(figures))
    if found.image is not None:
        sections += _image_sections(image, found.image, figures)
    tiles = [
        Tile(r_text(number["pearson"]), "Pearson's r of predicted and measured totals, in the FPGA's integers"),
        Tile(r_text(plain["pearson"]), "the same network in floating point"),
        Tile(str(number["not_triggered"]), "cells too faint to trigger: no sort can catch them"),
    ]
    if image is not None:
        tiles.append(Tile(r_text(image["unet"]["pixels"]), "r of drawn and measured pixels in the cells' boxes"))
    warning = (
        "A prediction is what stained cells that look like this one had on average. It cannot show what "
        f"{seen} do not: a cell that {stain} would not stain, or a change that leaves them as they were, gets the "
        f"{stain} of a cell that looks alike. Control it with stained cells of each new sample."
    )
    return Page(
        title=f"{stain} of cells without {stain}",
        lead=f"Networks that see {seen} alone predict the total of {stain} of {number['cells']} cells of "
        f"{figures['data']['origin']}; each cell by a network that was not trained on it. {figures['network']}.",
        notices=[warning],
        figures=tiles,
        sections=sections,
    )


def _unstained_section(figures: dict[str, Any]) -> Section:
    told, stain = figures["unstained"], figures["to"]
    median = "–" if told["median"] is None else f"{told['median']:,.0f} {figures['unit']}"
    return Section(
        "Cells without the stain",
        "These cells were not stained, so whatever is predicted of them is invented: it is what they would show if "
        "they were stained. Only a stained control can tell the two apart.",
        head=["cells", "never triggered", f"predicted {stain}, median", "predicted as if stained"],
        rows=[[str(told["cells"]), str(told["not_triggered"]), median, percent(told["as_stained"])]],
    )


def _image_sections(image: dict[str, Any], drawn: Drawn, figures: dict[str, Any]) -> list[Section]:
    stain, rows = figures["to"], []
    for key, name in (("unet", "U-Net"), ("linear", "linear filter")):
        entry = image[key]
        own = "–" if entry["cells"] is None else f"{entry['cells']:.3f}"
        rows.append([name, r_text(entry["pixels"]), own, f"{entry['ssim']:.3f}", r_text(entry["total"])])
    invented = image["invented"]
    return [
        Section(
            f"The image of {stain}",
            f"{image['cells']} cells that no training has seen, a column a cell: what the network sees, the measured "
            "stain, what the U-Net draws, the residual (red: drawn and not there, blue: there and not drawn; as bright "
            "as the stain) and a linear filter beside it. The image is computed in floating point, not in the FPGA.",
            [png(_cells(drawn, figures))],
            head=["", "r over pixels of the cells' boxes", "r in a cell's box, mean", "SSIM, mean", "r of the sums"],
            rows=rows,
        ),
        Section(
            "Does it invent structure?",
            "A network draws what it has learned to expect. Shares of a cell's peak of stain: what it draws of an "
            "image without a cell, and outside of the cells' boxes (99 % of the pixels are below), beside what was "
            "measured there.",
            head=["", f"share of the peak of {stain}"],
            rows=[
                ["drawn of an image without a cell, at most", f"{invented['empty_image']:.3f}"],
                ["drawn of cells without the stain, brightest pixel, median", _share(invented["unstained_cells"])],
                ["drawn outside of cells", _share(invented["outside_the_cell"])],
                ["measured outside of cells", _share(invented["measured_outside"])],
            ],
        ),
    ]


def r_text(entry: dict[str, Any] | None) -> str:
    """A correlation, with its interval where it has one; a dash where there is none."""
    if entry is None or entry["r"] is None:
        return "–"
    if "low" not in entry:
        return f"{entry['r']:.3f}"
    return f"{entry['r']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _scatter(found: Predicted, stain: str) -> Figure:
    folds = int(found.fold.max()) + 1
    figure = Figure(figsize=(2.6 * folds + 0.6, 3.2), layout="constrained")
    panels = figure.subplots(1, folds, sharex=True, sharey=True, squeeze=False)[0]
    ends = [float(found.measured.min()), float(found.measured.max())]
    for fold, axes in enumerate(panels):
        inside = found.fold == fold
        axes.plot(ends, ends, color=PLAIN)
        axes.plot(found.predicted[inside], found.measured[inside], ".", color=BAR, markersize=2)
        axes.set_title(f"fold {fold + 1}", fontsize=9)
        axes.set_xlabel(f"predicted {stain}")
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel(f"measured {stain}")
    return figure


def _calibration(calibration: dict[str, Any], stain: str) -> Figure:
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    entries = calibration["bins"]
    predicted, measured, error = (np.array([one[key] for one in entries]) for key in ("predicted", "measured", "error"))
    ends = [float(min(predicted.min(), measured.min())), float(max(predicted.max(), measured.max()))]
    axes.plot(ends, ends, color=PLAIN)
    axes.errorbar(predicted, measured, 2 * error, fmt="o", color=BAR, capsize=3)
    axes.set(xlabel=f"predicted {stain}, mean", ylabel=f"measured {stain}, mean")
    return figure


def _wrong(found: Stained) -> Figure:
    numbers, figures = found.quantized, found.figures
    worst = np.argsort(-np.abs(numbers.predicted - numbers.measured), kind="stable")[:WRONG]
    channels = [*figures["from"], figures["to"]]
    order = found.dataset.channel_order(channels)
    figure = Figure(figsize=(1.4 * len(worst) + 1, 1.4 * len(channels) + 0.6), layout="constrained")
    panels = figure.subplots(len(channels), len(worst), squeeze=False)
    for column, event in enumerate(worst):
        cell = found.dataset.images[int(numbers.cells[event])]
        for row, channel in enumerate(order):
            _show(panels[row, column], cell[..., channel], "gray")
        panels[-1, column].set_xlabel(
            f"{numbers.measured[event]:,.0f}\n{numbers.predicted[event]:,.0f}", fontsize=7, color=INK
        )
    for row, name in enumerate(channels):
        panels[row, 0].set_ylabel(name, fontsize=8)
    return figure


def _cells(drawn: Drawn, figures: dict[str, Any]) -> Figure:
    # from the dimmest to the brightest stain
    order = np.argsort(drawn.measured.sum(axis=(1, 2)), kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)]
    names = [*figures["from"], f"{figures['to']}, measured", "U-Net", "residual", "linear filter"]
    figure = Figure(figsize=(1.5 * len(shown) + 1, 1.5 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(shown), squeeze=False)
    for column, cell in enumerate(shown):
        top = max(float(drawn.measured[cell].max()), 1.0)
        rows: list[tuple[NDArray[Any], dict[str, Any]]] = [(plane, {"cmap": "gray"}) for plane in drawn.inputs[cell]]
        rows += [(plane[cell], {"cmap": "inferno", "vmin": 0, "vmax": top}) for plane in (drawn.measured, drawn.unet)]
        rows.append((drawn.unet[cell] - drawn.measured[cell], {"cmap": "RdBu_r", "vmin": -top, "vmax": top}))
        rows.append((drawn.linear[cell], {"cmap": "inferno", "vmin": 0, "vmax": top}))
        for row, (plane, how) in enumerate(rows):
            panels[row, column].imshow(plane, **how)
            panels[row, column].set(xticks=[], yticks=[])
    for row, name in enumerate(names):
        panels[row, 0].set_ylabel(name, fontsize=8, color=MARK if name == "residual" else "black")
    return figure


def _show(axes: Any, plane: NDArray[Any], cmap: str) -> None:
    axes.imshow(plane, cmap=cmap)
    axes.set(xticks=[], yticks=[])
