# SPDX-License-Identifier: Apache-2.0
"""The page of a response: how well cells and votes are told, what the network went by, what simpler means reach."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.quant.evaluation.metrics import confusion
from icsort.quant.response.respond import NETWORK, RESPONSE_FILE, Response, cells_table
from icsort.report import figures as draw
from icsort.report import page as report
from icsort.report.figures import BAR, PLAIN, png
from icsort.report.page import Captioned, Page, Section, Tile, percent, with_interval

CELLS_FILE = "cells.csv"
FEATURES_FILE = "features.csv"
EXAMPLES = 3  # cells of a class


def write(folder: Path, figures: dict[str, Any], response: Response) -> None:
    """Write the page, the JSON file, and tables of the cells: what was said of them, and what they were told by."""
    report.write(folder, page(figures, response), RESPONSE_FILE, figures)
    cells_table(response).to_csv(folder / CELLS_FILE, index=False)
    features = response.inputs.table.copy()
    features.insert(0, "name", list(cells_table(response)["cell"]))
    features.to_csv(folder / FEATURES_FILE, index=False)


def page(figures: Mapping[str, Any], response: Response) -> Page:
    """The report of icsort.quant.response.respond as a page."""
    data, plan = figures["data"], figures["plan"]
    network = next(each for each in figures["deciders"] if each["name"] == NETWORK)
    groups = "single cells, for no groups were named" if data["groups"] is None else f"{data['groups']} groups"
    tiles = [
        Tile(percent(network["balanced_accuracy"]["value"]), "balanced accuracy a cell"),
        Tile(percent(1 / len(data["classes"])), "by chance"),
    ]
    if "vote" in network:
        vote = network["vote"]
        tiles.append(Tile(percent(vote["majority"]["accuracy"]["value"]), "of votes right, by majority"))
        tiles.append(Tile(percent(vote["mean_posterior"]["accuracy"]["value"]), "of votes right, by mean posterior"))
    return Page(
        title="Response of cells",
        lead=f"{data['cells']} cells of {len(data['classes'])} classes: {data['origin']}. Tested in {plan['folds']} "
        f"folds over {groups}: every cell by networks that saw no cell of its group.",
        notices=_notices(figures, response),
        figures=tiles,
        sections=[section for section in _sections(figures, response) if section is not None],
    )


def _notices(figures: Mapping[str, Any], response: Response) -> list[str]:
    notices = []
    for confound in figures["confounds"]:
        if confound["coincides"]:
            notices.append(
                f"{confound['column']} and class coincide: each of the {confound['values']} values of "
                f"{confound['column']} has cells of one class alone. Whatever differs between them (place on "
                "the plate, time, light) tells the classes as well as the treatment does; these figures cannot part "
                "the two."
            )
    if figures["data"]["groups"] is None:
        notices.append(
            "No groups were named (--group-by): cells of one plate or donor are on both sides, which inflates all "
            "figures."
        )
    votes = response.votes.get(NETWORK)
    if votes is not None and votes.mixed:
        notices.append(f"{len(votes.mixed)} voting groups hold cells of several classes and do not vote.")
    return notices


def _sections(figures: Mapping[str, Any], response: Response) -> list[Section | None]:
    return [
        _comparison(figures),
        Section(
            "Cells",
            "Rows are the true class, columns what the network said; the number is of cells, the colour the share of "
            "the row.",
            [png(draw.confusion(confusion(response.decisions[NETWORK]), figures["data"]["classes"], "network"))],
            ["class", "cells", "recalled", "of those called so, right", "area under the ROC"],
            [
                [
                    each["name"],
                    str(each["cells"]),
                    with_interval(each["recall"]),
                    percent(each["precision"]["value"]),
                    "–" if each["roc_auc"] is None else f"{each['roc_auc']:.3f}",
                ]
                for each in next(each for each in figures["deciders"] if each["name"] == NETWORK)["classes"]
            ],
        ),
        _votes(figures, response),
        Section(
            "What the network went by",
            "The attention gate weighs every joined feature between 0 and 1; shown is the mean weight of each input's "
            "features over the tested cells of a class. An input with a low weight is used less; a weight says nothing "
            "of whether that input alone would do.",
            [png(_attention(figures))] if len(response.used) > 1 else [],
            ["class", *response.used],
            [
                [name, *(f"{weights[part]:.3f}" for part in response.used)]
                for name, weights in figures["attention"]["classes"].items()
            ],
        ),
        _control(figures),
        _confounds(figures),
        Section(
            "Folds",
            "What each fold's networks reached on the groups held out.",
            head=["fold", "groups", "cells", "balanced accuracy", "epochs"],
            rows=[
                [
                    str(number),
                    _some(fold["groups"]),
                    str(fold["cells"]),
                    percent(fold["balanced_accuracy"]["value"]),
                    ", ".join(map(str, epochs)),
                ]
                for number, (fold, epochs) in enumerate(
                    zip(figures["folds"], figures["epochs"][NETWORK], strict=True), 1
                )
            ],
        ),
        Section(
            "Cells of each class",
            "Drawn from those that the network was surest of and right about; beside each channel the mask, at the "
            "network's own scale.",
            gallery=_gallery(response),
        ),
    ]


def _comparison(figures: Mapping[str, Any]) -> Section:
    voting = "vote" in figures["deciders"][0]
    head = ["what decides", "balanced accuracy a cell", "accuracy a cell"]
    rows = []
    for each in figures["deciders"]:
        row = [
            _title(each["name"], figures),
            with_interval(each["balanced_accuracy"]),
            percent(each["accuracy"]["value"]),
        ]
        if voting:
            vote = each["vote"]
            row += [
                percent(vote["majority"]["accuracy"]["value"]),
                percent(vote["mean_posterior"]["accuracy"]["value"]),
                percent(vote["mean_posterior"]["balanced_accuracy"]["value"]),
            ]
        rows.append(row)
    if voting:
        head += ["votes right, by majority", "by mean posterior", "balanced, by mean posterior"]
    return Section(
        "The network beside simpler means",
        "All in the same folds. Balanced accuracy is the mean over classes of the share recognized, with its 95 % "
        "interval over cells. If the area or the number of cells tells as much as the network, the classes differ in "
        "size or in how many cells live, and no picture is needed.",
        [png(_bars(figures))],
        head,
        rows,
        marked=(0,),
    )


def _title(name: str, figures: Mapping[str, Any]) -> str:
    return f"network of {', '.join(figures['inputs']['used'])}" if name == NETWORK else name


def _votes(figures: Mapping[str, Any], response: Response) -> Section | None:
    votes = response.votes.get(NETWORK)
    if votes is None:
        return None
    summary = next(each for each in figures["deciders"] if each["name"] == NETWORK)["vote"]
    counts = np.bincount(votes.cells)
    sizes = f"{votes.cells.min()} to {votes.cells.max()} cells, {np.median(votes.cells):g} in the middle"
    rows = []
    for low, high in ((1, 1), (2, 3), (4, 9), (10, len(counts))):
        chosen = (votes.cells >= low) & (votes.cells <= high)
        if chosen.any():
            words = f"{low}" if low == high else f"{low} to {high}" if high < len(counts) else f"{low} or more"
            rows.append(
                [
                    words,
                    str(int(chosen.sum())),
                    *(percent(each.right[chosen].mean()) for each in (votes.majority, votes.mean)),
                ]
            )
    return Section(
        "Votes",
        f"{summary['groups']} groups of {sizes}. By majority each cell has a vote, equal votes go to the greater mean "
        "posterior; by mean posterior each cell's doubts count. The matrix is that of the mean posterior.",
        [png(draw.confusion(confusion(votes.mean), figures["data"]["classes"], "vote of the group's cells"))],
        ["cells of the group", "groups", "right by majority", "right by mean posterior"],
        rows,
    )


def _control(figures: Mapping[str, Any]) -> Section | None:
    check = figures["control"]
    if check is None:
        return None
    return Section(
        "Control against treated",
        f"Logistic regression on the table, over the same folds, of {check['control_cells']} cells of "
        f"{check['control']} against {check['treated_cells']} others: balanced accuracy "
        f"{percent(check['balanced_accuracy'])}, area under the ROC {check['roc_auc']:.3f}. A class near 0.5 is "
        "the control to it.",
        head=["class", "area under the ROC against the control"],
        rows=[[each["name"], f"{each['roc_auc']:.3f}"] for each in check["classes"]],
    )


def _confounds(figures: Mapping[str, Any]) -> Section | None:
    if not figures["confounds"]:
        return None
    return Section(
        "What else tells the classes",
        "The share of cells whose class one would guess knowing nothing but this column, beside the share of the "
        "commonest class. The nearer to 100 %, the less a figure above says of the treatment itself.",
        head=["column", "values", "with one class alone", "guessed by it", "guessed without"],
        rows=[
            [
                each["column"],
                str(each["values"]),
                str(each["with_one_class"]),
                percent(each["share"]),
                percent(each["expected"]),
            ]
            for each in figures["confounds"]
        ],
    )


def _bars(figures: Mapping[str, Any]) -> Figure:
    deciders = figures["deciders"][::-1]
    figure = Figure(figsize=(7.5, 0.9 + 0.38 * len(deciders)), layout="constrained")
    axes = figure.subplots()
    values = [each["balanced_accuracy"] for each in deciders]
    centre = np.asarray([each["value"] for each in values])
    spread = [centre - [each["low"] for each in values], np.asarray([each["high"] for each in values]) - centre]
    colours = [BAR if each["is_network"] else PLAIN for each in deciders]
    axes.barh([_title(each["name"], figures) for each in deciders], centre, xerr=spread, capsize=3, color=colours)
    axes.axvline(1 / len(figures["data"]["classes"]), color=draw.INK, linestyle=":")
    axes.set(xlabel="balanced accuracy a cell (dotted: chance)", xlim=(0, 1))
    return figure


def _attention(figures: Mapping[str, Any]) -> Figure:
    classes, used = figures["attention"]["classes"], list(figures["attention"]["mean"])
    weights = np.asarray([[row[name] for name in used] for row in classes.values()])
    figure = Figure(figsize=(2.5 + 0.8 * len(used), 1.2 + 0.32 * len(classes)), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(weights, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(used)), used)
    axes.set_yticks(range(len(classes)), list(classes))
    figure.colorbar(shown, label="mean weight")
    return figure


def _gallery(response: Response) -> list[Captioned]:
    decisions, pictures = response.decisions[NETWORK], response.inputs.pictures
    shown = []
    bright = np.percentile(pictures["image"], 99.5, axis=(0, 2, 3))
    for index, name in enumerate(decisions.names):
        right = np.flatnonzero((decisions.labels == index) & decisions.right)
        for cell in right[np.argsort(-decisions.confidence[right], kind="stable")][:EXAMPLES]:
            image = np.clip(np.moveaxis(pictures["image"][cell], 0, 2) / np.maximum(bright, 1), 0, 1)
            panels = np.concatenate([image, np.moveaxis(pictures["mask"][cell], 0, 2)], axis=2)
            caption = f"{name}, {percent(decisions.confidence[cell])}"
            shown.append(Captioned(draw.mosaic(_bytes(panels)), caption))
    return shown


def _bytes(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(255 * shares), np.uint8)


def _some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
