# SPDX-License-Identifier: Apache-2.0
"""`icsort stain --field`: the stain of a whole field, and what it is worth, in words and pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.output import result_folder
from icsort.quant.stain.field import (
    EPOCHS,
    RANGE,
    TEST_SHARE,
    TILE,
    DrawnField,
    Field,
    draw_field,
    read_field,
    report_figures,
    write_planes,
)
from icsort.quant.stain.stain import STAIN_FILE
from icsort.report import page as report
from icsort.report.figures import BAR, MARK, PLAIN, png
from icsort.report.page import Page, Section, Tile


def stain_field(
    data: Path,
    inputs: Sequence[str],
    stain: str,
    out: Path,
    *,
    tile: int = TILE,
    epochs: int = EPOCHS,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    force: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Draw the stain of a field; planes and report are the folder `out`. Returns what its JSON says.

    data: a folder of pictures, one a channel, as `read_field` takes it; the rest as for `draw_field`. Raises
    IcsortError as these, and for an `out` that exists or cannot be written.
    """
    with result_folder(out, STAIN_FILE, force) as folder:
        field = read_field(data)
        drawn = draw_field(
            field, inputs, stain, tile=tile, epochs=epochs, test_share=test_share, seed=seed, progress=progress
        )
        figures = report_figures(field, inputs, stain, drawn, tile=tile, epochs=epochs, seed=seed)
        write_planes(folder, drawn)
        report.write(folder, page(field, drawn, figures), STAIN_FILE, figures)
    return figures


def page(field: Field, drawn: DrawnField, figures: dict[str, Any]) -> Page:
    """The report of icsort.quant.stain.field as a page."""
    stain, test = figures["to"], figures["test"]
    (_, trained), (tested, width) = figures["trained_columns"], figures["tested_columns"]
    seen = ", ".join(figures["from"])
    rows = [
        [name, _r(test[key]["r"]), f"{test[key]['ssim']:.3f}", f"{test[key]['rmse']:,.0f}"]
        for key, name in (("unet", "U-Net"), ("linear", "linear filter"))
    ]
    return Page(
        title=f"{stain} of a field without {stain}",
        lead=f"A U-Net that sees {seen} draws {stain} of {figures['data']['origin']}, {width} x "
        f"{figures['data']['height']} pixels. It was trained on the columns up to {trained} and is tested on those "
        f"from {tested} on; no pixel of the training reaches into the test.",
        notices=[
            (
                f"A drawn stain is what stained fields that look like this one had on average. It cannot show what "
                f"{seen} do not. One field tells nothing of other plates, days or microscopes: stain one of each and "
                "compare."
            )
        ],
        figures=[
            Tile(_r(test["unet"]["r"]), "Pearson's r over the tested pixels, U-Net"),
            Tile(f"{test['unet']['ssim']:.3f}", "structural similarity, U-Net"),
            Tile(_r(test["linear"]["r"]), "Pearson's r of a linear filter"),
        ],
        sections=[
            Section(
                "The whole field",
                f"Left of the first line the network was trained, right of the second one it is tested: measured "
                f"{stain}, drawn by the U-Net, the residual (red: drawn and not there, blue: there and not drawn; as "
                "bright as the stain), a linear filter beside it. The image is computed in floating point, not in the "
                "FPGA. The same planes, in counts, are TIFFs of this folder.",
                [png(_planes(drawn, stain))],
                head=["tested part", "r over pixels", "SSIM", "root mean square error, counts"],
                rows=rows,
                marked=[0],
            ),
            Section(
                "What it sees",
                "The tested part in the channels that the network gets, and what it makes of them.",
                [png(_close(field, drawn, figures))],
            ),
            Section(
                "Drawn and measured",
                "Pixels of the tested part by what was drawn: what was measured on average, and where nine of ten of "
                "them lie. On the grey line a drawn pixel is, on average, right.",
                [png(_calibration(drawn, stain))],
            ),
        ],
    )


def _r(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _planes(drawn: DrawnField, stain: str) -> Figure:
    low, high = np.quantile(drawn.measured, RANGE)
    figure = Figure(figsize=(10, 10 * len(drawn.measured) / drawn.measured.shape[1] + 0.5), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    residual = drawn.unet - drawn.measured
    shown = [
        (f"{stain}, measured", drawn.measured, {"cmap": "inferno", "vmin": low, "vmax": high}),
        ("U-Net", drawn.unet, {"cmap": "inferno", "vmin": low, "vmax": high}),
        ("residual", residual, {"cmap": "RdBu_r", "vmin": low - high, "vmax": high - low}),
        ("linear filter", drawn.linear, {"cmap": "inferno", "vmin": low, "vmax": high}),
    ]
    for axes, (title, plane, how) in zip(panels, shown, strict=True):
        axes.imshow(plane, **how)
        for column in (drawn.trained, drawn.tested):
            axes.axvline(column, color=MARK, linewidth=0.8)
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])
    return figure


def _close(field: Field, drawn: DrawnField, figures: dict[str, Any]) -> Figure:
    """A square of the tested part, where most stain is."""
    height, width = drawn.measured.shape
    side = min(width - drawn.tested, height)
    sums = np.convolve(drawn.measured[:, drawn.tested :].sum(axis=1), np.ones(side), "valid")
    top = int(sums.argmax())
    place = np.s_[top : top + side, drawn.tested : drawn.tested + side]
    low, high = np.quantile(drawn.measured, RANGE)
    light: list[tuple[str, NDArray[Any], dict[str, Any]]]
    light = [(name, field.plane(name), {"cmap": "gray"}) for name in figures["from"]]
    bright = {"cmap": "inferno", "vmin": low, "vmax": high}
    panels = [*light, (f"{figures['to']}, measured", drawn.measured, bright), ("U-Net", drawn.unet, bright)]
    figure = Figure(figsize=(2.2 * len(panels), 2.5), layout="constrained")
    for axes, (title, plane, how) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.imshow(plane[place], **how)
        axes.set_title(title, fontsize=8)
        axes.set(xticks=[], yticks=[])
    return figure


def _calibration(drawn: DrawnField, stain: str) -> Figure:
    measured, predicted = (plane[:, drawn.tested :].ravel() for plane in (drawn.measured, drawn.unet))
    parts = np.array_split(np.argsort(predicted, kind="stable"), 20)
    across = [float(predicted[part].mean()) for part in parts]
    middle = [float(measured[part].mean()) for part in parts]
    ends = np.array([np.quantile(measured[part], (0.05, 0.95)) for part in parts])
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([across[0], across[-1]], [across[0], across[-1]], color=PLAIN)
    axes.vlines(across, ends[:, 0], ends[:, 1], color=BAR, alpha=0.4)
    axes.plot(across, middle, "o", color=BAR)
    axes.set(xlabel=f"drawn {stain}, mean", ylabel=f"measured {stain}, mean")
    return figure
