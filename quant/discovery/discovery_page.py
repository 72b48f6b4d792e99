# SPDX-License-Identifier: Apache-2.0
"""What was discovered, in pictures and words for biologists."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.quant.discovery.discover import PACKAGE_FOLDER, Discovery
from icsort.quant.evaluation.evaluation_page import colours, legend
from icsort.report.figures import BAR, composite, png
from icsort.report.page import Page, Section, Tile, percent

SHOWN = 12  # cells of a cluster in the gallery
TELLING = 5  # features of a cluster in the table


def page(report: dict[str, Any], discovery: Discovery) -> Page:
    """The report of icsort.quant.discovery.discover as a page."""
    data, stability, score, test = report["data"], report["stability"], report["score"], report["network"]["test"]
    clusters = report["clusters"]
    tiles = [
        Tile(str(len(clusters)), f"classes, their number by {report['chosen_by']}"),
        Tile(percent(test["balanced_accuracy"]), f"of each class recognized by the network, {test['cells']} new cells"),
    ]
    if stability["mean"] is not None:
        tiles.append(Tile(f"{stability['mean']:.2f}", f"stability: adjusted Rand index of {stability['seeds']} seeds"))
    if score is not None:
        tiles.append(Tile(f"{score['rand']:.2f}", "adjusted Rand index to the labels of the data"))
    return Page(
        title="Phenotypes found without labels",
        lead=f"{data['cells']} cells of {data['origin']}; {data['not_triggered']} never triggered and are left out. "
        f"Channels: {', '.join(data['channels'])}. No label was used to find the clusters.",
        notices=notices(report),
        figures=tiles,
        sections=[
            Section(
                "Gallery",
                f"A row a class, the {SHOWN} cells nearest to its middle: what is typical of it.",
                [png(_gallery(discovery))],
            ),
            Section(
                "Map of the cells",
                "Each dot is a cell; cells that the network finds alike lie close together (t-SNE: near is meaningful, "
                "far and the size of groups are not).",
                [png(_map(discovery))],
            ),
            Section(
                "What tells each class from the rest",
                "Features by the Jensen-Shannon divergence of their distribution in the class and outside: 0 where "
                "both are alike, 1 where they share no value. Light is in standard deviations of an empty pixel.",
                head=["class", "cells", "feature", "median", "of other cells", "divergence"],
                rows=[
                    [
                        entry["name"] if place == 0 else "",
                        str(entry["cells"]) if place == 0 else "",
                        feature["feature"],
                        f"{feature['median']:.4g}",
                        f"{feature['median_of_others']:.4g}",
                        f"{feature['divergence']:.2f}",
                    ]
                    for entry in clusters
                    for place, feature in enumerate(entry["features"][:TELLING])
                ],
            ),
            Section(
                "How far classes are apart",
                "The mean of that divergence over all features, for each two classes.",
                head=["", *(entry["name"] for entry in clusters)],
                rows=[
                    [entry["name"], *(f"{value:.2f}" for value in row)]
                    for entry, row in zip(clusters, report["divergence"], strict=True)
                ],
            ),
            Section(
                "How many clusters",
                "The silhouette is 1 where each cell lies far nearer to its own cluster than to the next, 0 where it "
                "lies between two. Bars: 95 % interval of the mean over draws of the cells. A curve that only falls "
                "says that the cells form a continuum; then the number is a choice (--clusters), not a finding.",
                [png(_curve(report))],
            ),
            Section(
                "Stability",
                f"The whole search from {stability['seeds']} seeds; {report['settled']} of them settled. Adjusted Rand "
                "index of each two: 1 the same clusters, 0 as alike as by chance.",
                head=["", *(f"seed {report['seed'] + number}" for number in range(stability["seeds"]))],
                rows=[
                    [f"seed {report['seed'] + number}", *(f"{value:.2f}" for value in row)]
                    for number, row in enumerate(stability["rand"])
                ],
            ),
            *_order_sections(report, discovery),
            *_condition_sections(report),
            *_score_sections(report),
        ],
    )


def notices(report: dict[str, Any]) -> list[str]:
    """What must be known before the figures are believed."""
    said = []
    curve, chosen = report["silhouettes"], report["chosen_by"]
    if chosen == "silhouette" and all(
        later["silhouette"] < earlier["silhouette"] for earlier, later in pairwise(curve)
    ):
        said.append(
            "The silhouette falls from two clusters on: it gives no number of its own. Look at the gallery with other "
            "numbers (--clusters)."
        )
    conditions = report["conditions"]
    if conditions is not None and conditions["same"]:
        said.append(
            "The clusters coincide with the groups (flask, plate, day): what was found may be how these were made or "
            "imaged, not a phenotype."
        )
    if conditions is not None and not conditions["split"]:
        said.append(
            "A cluster lies in too few groups to keep each group on one side of the last training's split: cells of "
            "one group are on both, and its accuracy may be too good."
        )
    ordered = report["order"]
    if ordered is not None and ordered["parts"] > 1:
        said.append(
            f"The cells fall into {ordered['parts']} parts that no neighbourhood joins: their order says nothing from "
            "one part to the next."
        )
    if report["rounds"] and report["settled"] < len(report["rounds"]) and report["rounds"][0]:
        said.append(
            f"{len(report['rounds']) - report['settled']} of {len(report['rounds'])} seeds had not settled after "
            "the last round: clusters at their borders are not sharp."
        )
    return said


def _order_sections(report: dict[str, Any], discovery: Discovery) -> list[Section]:
    ordered = report["order"]
    if ordered is None:
        return []
    assert discovery.order is not None
    least = "the least of " if ordered["root_is"] == "feature" else ""
    sections = [
        Section(
            "Order of the cells",
            f"All cells in one line, by {', '.join(ordered['channels'])}: neighbours look alike (the first diffusion "
            f"component). It begins at {least}{ordered['root']}, which gives its direction and nothing else; no label "
            "was used. An order is of looks: it is time only where cells change along one way. Cells at even steps, "
            "and rank correlations (Spearman) of place and features.",
            [png(_along(discovery))],
            ["feature", "correlation with the place"],
            [[entry["feature"], f"{entry['spearman']:.2f}"] for entry in ordered["features"][: 2 * TELLING]],
        )
    ]
    if len(ordered["classes"]) > 1:
        rows = sorted(ordered["classes"], key=lambda entry: float(entry["median"]))
        sections.append(
            Section(
                "Where the labels of the data lie in the order",
                "Median place, 0 at the root to 1, and the middle half of the cells.",
                head=["class", "cells", "median", "middle half"],
                rows=[
                    [e["name"], str(e["cells"]), f"{e['median']:.2f}", f"{e['low']:.2f} to {e['high']:.2f}"]
                    for e in rows
                ],
            )
        )
    if (phases := ordered["phases"]) is not None:
        sections.append(
            Section(
                "Against the known order",
                f"{', '.join(phases['order'])}; {phases['cells']} cells. Rank correlations: 1 the same order, 0 none.",
                head=["", "Spearman", "Kendall"],
                rows=[[e["name"], f"{e['spearman']:.3f}", f"{e['kendall']:.3f}"] for e in phases["by"]],
                marked={0},
            )
        )
    return sections


def _condition_sections(report: dict[str, Any]) -> list[Section]:
    conditions = report["conditions"]
    if conditions is None:
        return []
    return [
        Section(
            "Groups",
            "Share of a group's cells in each class. Adjusted mutual information of groups and classes: "
            f"{conditions['mutual_information']:.2f} (0 independent, 1 the same).",
            head=["group", "cells", *(entry["name"] for entry in report["clusters"])],
            rows=[
                [group, str(sum(row)), *(percent(count / sum(row)) for count in row)]
                for group, row in zip(conditions["groups"], conditions["cells"], strict=True)
            ],
        ),
        Section(
            "What differs between groups",
            "The mean over groups of the Jensen-Shannon divergence of a group from all others.",
            head=["feature", "divergence"],
            rows=[[entry["feature"], f"{entry['divergence']:.2f}"] for entry in conditions["features"][: 2 * TELLING]],
        ),
    ]


def _score_sections(report: dict[str, Any]) -> list[Section]:
    score = report["score"]
    if score is None:
        return []
    rows = [
        ["the clusters", f"{score['rand']:.3f}", str(score["cells"])],
        ["k-means of the pixels' principal components", f"{score['rand_of_pixels']:.3f}", str(score["cells"])],
    ]
    unseen = score["package_on_unseen_cells"]
    if unseen is not None:
        rows.append([f"{PACKAGE_FOLDER}/, in the FPGA's integers", f"{unseen['rand']:.3f}", str(unseen["cells"])])
    names = [entry["name"] for entry in report["clusters"]][: len(score["table"])]
    return [
        Section(
            "Against the labels of the data",
            "Adjusted Rand index: 1 the same, 0 as alike as by chance. The package was scored on cells that its "
            "network has not seen.",
            head=["", "adjusted Rand index", "cells"],
            rows=rows,
        ),
        Section(
            "Labels in each cluster",
            "Cells, before outliers were set apart.",
            head=["", *score["classes"]],
            rows=[[name, *map(str, row)] for name, row in zip(names, score["table"], strict=True)],
        ),
    ]


def _gallery(discovery: Discovery) -> Figure:
    figure = Figure(figsize=(1.0 * SHOWN + 1.2, 1.05 * len(discovery.classes)), layout="constrained")
    axes = figure.subplots(len(discovery.classes), SHOWN, squeeze=False)
    for label, row in enumerate(axes):
        members = np.flatnonzero(discovery.labels == label)
        typical = members[np.argsort(discovery.distances[members], kind="stable")]
        for axis in row:
            axis.set(xticks=[], yticks=[])
            for spine in axis.spines.values():
                spine.set_visible(False)
        row[0].set_ylabel(discovery.classes[label], rotation=0, ha="right", va="center", fontsize=9)
        for axis, cell in zip(row, typical, strict=False):
            axis.imshow(composite(discovery.pixels[cell]))
    return figure


def _along(discovery: Discovery) -> Figure:
    """Two rows of cells at even steps of the order."""
    assert discovery.order is not None
    along = np.argsort(discovery.order, kind="stable")
    steps = along[np.linspace(0, len(along) - 1, min(2 * SHOWN, len(along))).round().astype(int)]
    figure = Figure(figsize=(1.0 * SHOWN, 2.6), layout="constrained")
    for axis in (axes := figure.subplots(2, SHOWN, squeeze=False).ravel()):
        axis.set_axis_off()
    for axis, cell in zip(axes, steps, strict=False):
        axis.imshow(composite(discovery.pixels[cell]))
        axis.set_title(f"{discovery.order[cell]:.2f}", fontsize=8)
    return figure


def _map(discovery: Discovery) -> Figure:
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    labels: NDArray[np.int64] = discovery.labels[discovery.mapped]
    for label, colour in enumerate(colours(len(discovery.classes))):
        axes.plot(*discovery.places[labels == label].T, ".", color=colour, markersize=4, label=discovery.classes[label])
    axes.set(xticks=[], yticks=[])
    legend(axes)
    return figure


def _curve(report: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes = figure.subplots()
    curve = report["silhouettes"]
    axes.errorbar(
        [entry["clusters"] for entry in curve],
        [entry["silhouette"] for entry in curve],
        [
            [entry["silhouette"] - entry["low"] for entry in curve],
            [entry["high"] - entry["silhouette"] for entry in curve],
        ],
        fmt="o-",
        color=BAR,
        capsize=3,
    )
    axes.set(xlabel="clusters", ylabel="silhouette")
    return figure
