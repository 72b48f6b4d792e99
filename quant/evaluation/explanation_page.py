# SPDX-License-Identifier: Apache-2.0
"""What a network looks at, in pictures and words."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from icsort.quant.evaluation.evaluation_page import colours, legend
from icsort.quant.evaluation.explain import Explanation
from icsort.report.figures import composite, png
from icsort.report.page import Page, Section, Tile, percent

SHOWN_OF_A_PAIR = 8


def page(report: dict[str, Any], explanation: Explanation) -> Page:
    """The report of icsort.quant.evaluation.explain as a page."""
    data, scores = report["data"], report["with_all_channels"]
    how = {
        "gradient": "Bright is where a small change of the pixel changes the network's answer most (its gradient,"
        " the mean over moves of the image).",
        "occlusion": "Bright is where hiding a patch of the cell changes the network's answer most; the network is the "
        "integer one that the FPGA runs.",
    }[report["method"]]
    return Page(
        title=f"What {report['network']} looks at",
        lead=f"{data['cells']} cells of {data['origin']}: {data['part']}. Channels: {', '.join(report['channels'])}.",
        figures=[
            Tile(percent(scores["balanced_accuracy"]), "balanced accuracy on these cells"),
            *(
                Tile(percent(entry["balanced_accuracy"]), f"without {entry['channel']}")
                for entry in report["without_channel"]
            ),
        ],
        sections=[
            Section(
                "What each channel is worth",
                "The same cells with one channel at a time as empty as the space between cells. A network that never "
                "saw such cells may fall further than one that is trained without the channel.",
                head=["hidden channel", "accuracy", "balanced accuracy"],
                rows=[
                    [name, percent(entry["accuracy"]), percent(entry["balanced_accuracy"])]
                    for name, entry in [
                        ("none", scores),
                        *((entry["channel"], entry) for entry in report["without_channel"]),
                    ]
                ],
            ),
            Section(
                "Where the network looks",
                f"Cells that were recognized, a row a class: each cell, and beside it its saliency map. {how} Maps "
                "that light up off the cell mean that the network has learned something else than the cell.",
                [png(_saliency_figure(explanation))],
            ),
            Section(
                "Cells as the last layer sees them",
                "Each dot is a cell; cells that the last layer finds alike lie close together (t-SNE: near is "
                "meaningful, far and the size of groups are not). Crosses are cells taken for another class.",
                [png(_map_figure(explanation))],
            ),
            Section(
                "Most confused",
                "A row a pair, the surest mistakes first, with their posterior."
                if report["confused"]
                else "No cell was taken for one of another class.",
                [png(_pairs_figure(explanation))] if report["confused"] else [],
                head=["true class", "taken for", "cells", "of its class"],
                rows=[
                    [entry["class"], entry["taken_for"], str(entry["cells"]), percent(entry["share"])]
                    for entry in report["confused"]
                ],
            ),
        ],
    )


def _saliency_figure(explanation: Explanation) -> Figure:
    labels = explanation.decisions.labels[explanation.shown]
    rows = {index: np.flatnonzero(labels == index) for index in np.unique(labels)}
    columns = 2 * max(map(len, rows.values()))
    figure = Figure(figsize=(1.2 * columns + 1, 1.25 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (index, members) in zip(axes, rows.items(), strict=True):
        _bare(row)
        row[0].set_ylabel(explanation.decisions.names[index], rotation=0, ha="right", va="center", fontsize=9)
        for place, member in enumerate(members):
            row[2 * place].imshow(composite(explanation.pixels[explanation.shown[member]]))
            row[2 * place + 1].imshow(explanation.maps[member], cmap="inferno")
    return figure


def _map_figure(explanation: Explanation) -> Figure:
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    decisions = explanation.decisions
    for index, colour in zip(decisions.present, colours(len(decisions.present)), strict=True):
        right, wrong = ((decisions.labels == index) & (decisions.right == which) for which in (True, False))
        axes.plot(*explanation.places[right].T, ".", color=colour, markersize=4, label=decisions.names[index])
        axes.plot(*explanation.places[wrong].T, "x", color=colour, markersize=5)
    axes.set(xticks=[], yticks=[])
    legend(axes)
    return figure


def _pairs_figure(explanation: Explanation) -> Figure:
    figure = Figure(figsize=(1.2 * SHOWN_OF_A_PAIR + 1.5, 1.5 * len(explanation.pairs)), layout="constrained")
    axes = figure.subplots(len(explanation.pairs), SHOWN_OF_A_PAIR, squeeze=False)
    names = explanation.decisions.names
    for row, (true, taken, events) in zip(axes, explanation.pairs, strict=True):
        _bare(row)
        row[0].set_ylabel(f"{names[true]}\nas {names[taken]}", rotation=0, ha="right", va="center", fontsize=9)
        for axis, event in zip(row, events, strict=False):
            axis.imshow(composite(explanation.pixels[event]))
            axis.set_title(f"{explanation.decisions.confidence[event]:.2f}", fontsize=8)
    return figure


def _bare(axes: Any) -> None:
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set_visible(False)
