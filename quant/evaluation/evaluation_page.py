# SPDX-License-Identifier: Apache-2.0
"""What an evaluation found, in words and pictures for the people who would sort with it."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.quant.evaluation import metrics, prevalence
from icsort.quant.evaluation.metrics import Decisions
from icsort.report.figures import INK, PLAIN, confusion, png
from icsort.report.page import Page, Section, Tile, percent, with_interval

POINTS = 400  # of a curve: more cannot be seen


def page(report: dict[str, Any], decisions: Decisions) -> Page:
    """The report of icsort.quant.evaluation.evaluate as a page."""
    data, calibration, pooled = report["data"], report["calibration"], report["gates"][0]
    classes, posterior = report["classes"], pooled["posterior"]
    few = [entry["name"] for entry in classes if entry["cells"] < 30]
    notices = [f"Few cells (under 30) show {', '.join(few)}: what is said of them is uncertain."] if few else []
    if calibration["remark"] is not None:
        notices.append(f"Calibration: {calibration['remark']}.")
    if data["origin"].startswith("generated"):
        notices.insert(0, "These are generated cells: the figures show that the system works, not how well it sorts.")
    tones = {True: "good", False: "bad", None: ""}
    sample = report["sample"]
    mix = (
        "Both hold for a sample with the class mix of these cells: a class that is rarer in your sample will be less "
        "pure. Its prevalence (--prevalence) shows how much."
        if sample is None
        else "Purity is that in your sample, with the prevalences below."
    )
    weights = None if sample is None else prevalence.weights(decisions, np.asarray([*sample["prevalence"].values()]))
    return Page(
        title=f"Evaluation of {report['package']['name']}",
        lead=f"Model {report['package']['model_id']} on {data['cells']} cells of {data['origin']}: {data['part']}. "
        f"Channels: {', '.join(data['channels'])}. Every cell went through the integer arithmetic of the FPGA.",
        notices=notices,
        figures=[
            Tile(percent(report["accuracy"]["value"]), "accuracy: decisions that are right"),
            Tile(percent(report["balanced_accuracy"]["value"]), "balanced accuracy: the mean over classes"),
            Tile(f"{calibration['error']:.3f}", f"calibration error; {calibration['error_before']:.3f} uncalibrated"),
            Tile(
                percent(pooled["purity"]["value"]),
                f"right among the {pooled['sorted']} cells with a posterior of {posterior:g} or more",
                tones[pooled["kept"]],
            ),
            Tile(str(report["not_triggered"]), "cells too faint to trigger: no sort can catch them"),
        ],
        sections=[
            Section(
                "What a sort would give",
                "A gate sorts a cell whose most likely class is the gate's and whose posterior reaches the gate's "
                "threshold. Purity is the share of wanted cells among the sorted, yield the share of the wanted cells "
                f"that are sorted. {mix}",
                [png(_purity_figure(decisions, posterior, weights))],
            ),
            *([] if sample is None else [_sample_section(sample, posterior)]),
            Section(
                f"Gates at posterior {posterior:g}",
                f"The posterior promises that at least {100 * posterior:g} % of the sorted cells are wanted ones. "
                "The promise is in doubt where the purity is below, and broken where even the upper end of its 95 % "
                "interval is. The class mix is that of these cells.",
                head=["gate", "sorted", "purity", "expected", "promise", "yield"],
                rows=[_gate_row(entry) for entry in report["gates"]],
            ),
            Section(
                "Each class",
                "Recall: of the cells of a class, how many are recognized. Precision: of the cells called so, how many "
                "are. In brackets the 95 % interval. The area under the ROC is 1 for a class told apart perfectly from "
                "the rest, 0.5 for one not told apart.",
                head=["class", "cells", "recall", "precision", "area under ROC"],
                rows=[
                    [
                        entry["name"],
                        str(entry["cells"]),
                        with_interval(entry["recall"]),
                        with_interval(entry["precision"]),
                        "–" if entry["roc_auc"] is None else f"{entry['roc_auc']:.3f}",
                    ]
                    for entry in classes
                ],
            ),
            Section(
                "Confusion matrix",
                "Rows are the true class, columns the decision; numbers are cells, the colour is the share of the row.",
                [png(confusion(metrics.confusion(decisions), decisions.names, "decision"))],
            ),
            Section(
                "Calibration",
                "Where the posterior says 0.8, eight of ten decisions should be right: the points should lie on the "
                f"line. The temperature {calibration['temperature']:.3f} was fitted on validation cells. As many cells "
                f"would show an error of {calibration['error_by_chance']['mean']:.3f} by chance (up to "
                f"{calibration['error_by_chance']['high']:.3f}) if every posterior were exactly true.",
                [png(_reliability_figure(calibration["bins"]))],
            ),
            *([] if "beside" not in report else [_beside_section(report)]),
            Section("ROC", "Each class against the rest.", [png(_roc_figure(decisions))]),
            Section(
                "Float, quantized, integer",
                "The same cells through the package's integers and through the training runs beside it.",
                head=["arithmetic", "name", "accuracy", "balanced accuracy", "calibration error"],
                rows=[
                    [
                        row["arithmetic"],
                        row["name"],
                        with_interval(row["accuracy"]),
                        with_interval(row["balanced_accuracy"]),
                        f"{row['calibration_error']:.3f}",
                    ]
                    for row in report["comparison"]
                ],
            ),
        ],
    )


def _beside_section(report: dict[str, Any]) -> Section:
    beside = report["beside"]
    return Section(
        "On groups that the network has not seen",
        "The same cells, once in folds that keep each group (plate, flask, donor, day) on one side, once in folds that "
        "do not. What is lost is what the network knew of the groups; on your next one it will not know it either. The "
        "drop's interval takes both to be independent and is rather too wide.",
        head=["folds", "accuracy", "balanced accuracy"],
        rows=[
            ["by group", with_interval(report["accuracy"]), with_interval(report["balanced_accuracy"])],
            [
                f"without groups: {beside['name']}",
                with_interval(beside["accuracy"]),
                with_interval(beside["balanced_accuracy"]),
            ],
        ],
        foot=["drop", "", with_interval(beside["drop"])],
    )


def _gate_row(entry: dict[str, Any]) -> list[str]:
    return [
        entry["gate"] or "any class",
        str(entry["sorted"]),
        with_interval(entry["purity"]),
        percent(entry["expected"]),
        _promise(entry),
        with_interval(entry["yield"]),
    ]


def _promise(entry: dict[str, Any]) -> str:
    if entry["kept"] is None:
        return "nothing sorted"
    if not entry["kept"]:
        return "broken"
    return "kept" if entry["purity"]["value"] >= entry["posterior"] else "in doubt"


def _sample_section(sample: dict[str, Any], posterior: float) -> Section:
    shares = {None: "–"} | {name: f"{100 * share:.3g} %" for name, share in sample["prevalence"].items()}
    return Section(
        f"Gates at posterior {posterior:g} in your sample",
        "The cells are weighted as the classes are in your sample; cells of a class are taken to look alike in both. "
        f"There {with_interval(sample['accuracy'])} of all decisions would be right. Where a class is so rare that its "
        "gate's promise is in doubt or broken, raise the gate's threshold: the curve shows what that costs.",
        head=["gate", "prevalence", "sorted of all cells", "purity", "promise", "yield"],
        rows=[
            [
                entry["gate"] or "any class",
                shares[entry["gate"]],
                f"{100 * entry['sorted']:.3g} %",
                with_interval(entry["purity"]),
                _promise(entry),
                with_interval(entry["yield"]),
            ]
            for entry in sample["gates"]
        ],
    )


def _purity_figure(decisions: Decisions, posterior: float, weights: NDArray[np.float64] | None) -> Figure:
    figure, axes = _square("yield", "purity")
    for index, colour in zip(decisions.present, colours(len(decisions.present)), strict=True):
        purity, yields, thresholds = metrics.purity_and_yield(decisions, index, weights)
        shown = np.unique(np.linspace(0, len(purity) - 1, min(POINTS, len(purity))).astype(int))
        axes.plot(yields[shown], purity[shown], color=colour, label=decisions.names[index])
        at = np.searchsorted(thresholds, posterior)
        if at < len(purity):
            axes.plot(yields[at], purity[at], "o", color=colour)
    axes.set_title(f"dots: posterior {posterior:g}", fontsize=9)
    legend(axes)
    return figure


def _roc_figure(decisions: Decisions) -> Figure:
    figure, axes = _square("share of the other classes taken for it", "share of the class recognized")
    for index, colour in zip(decisions.present, colours(len(decisions.present)), strict=True):
        if metrics.roc_area(decisions, index) is not None:
            axes.plot(*metrics.roc(decisions, index), color=colour, label=decisions.names[index])
    legend(axes)
    return figure


def _reliability_figure(bins: list[dict[str, Any]]) -> Figure:
    figure, axes = _square("posterior of the decision", "share of decisions that are right")
    axes.plot([0, 1], [0, 1], color=PLAIN)
    where = [entry["mean_posterior"] for entry in bins]
    right = np.array([[entry["right"][key] for key in ("value", "low", "high")] for entry in bins])
    axes.errorbar(where, right[:, 0], [right[:, 0] - right[:, 1], right[:, 2] - right[:, 0]], fmt="o", capsize=3)
    for x, entry in zip(where, bins, strict=True):
        axes.annotate(str(entry["right"]["cells"]), (x, 0.01), ha="center", fontsize=7, color=INK)
    axes.set_title("grey: cells", fontsize=9)
    return figure


def _square(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return figure, axes


def legend(axes: Any) -> None:
    columns = -(-len(axes.lines) // 20)
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, ncols=columns)


def colours(count: int) -> Any:
    return mpl.colormaps["turbo"](np.linspace(0.05, 0.95, count))
