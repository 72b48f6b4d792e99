# SPDX-License-Identifier: Apache-2.0
"""The study's tables and pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from icsort.report.figures import png
from icsort.report.page import Page, Section, Tile, percent, with_interval

TITLES = {"resnet50": "ResNet50", "resnet18": "ResNet18", "mobilenet_v2": "MobileNetV2"}


def page(report: dict[str, Any]) -> Page:
    """The report of icsort.quant.study.study as a page."""
    results, plan, data = report["results"], report["plan"], report["data"]
    best = max(results, key=lambda result: result["balanced_accuracy"]["value"])
    fastest = min(results, key=lambda result: result["inference"]["mean_ms"])
    holding = [claim for claim in report["claims"] if claim["holds"]]
    timed = fastest["inference"]
    return Page(
        title="Architectures, channels, pretraining, inference time",
        lead=f"{data['cells']} cells of {len(data['classes'])} classes: {data['origin']}. Figures are of the test part "
        f"that no training saw. {plan['epochs']} epochs, width {plan['width_multiplier']:g}.",
        notices=["These are generated cells: the figures show orders, not how well real cells are told apart."]
        if data["origin"].startswith("generated")
        else [],
        figures=[
            Tile(percent(best["balanced_accuracy"]["value"]), f"balanced accuracy of the best, {best['name']}"),
            Tile(f"{timed['mean_ms']:.2f} ms", f"a cell, the fastest here: {fastest['name']}"),
            Tile(f"{len(holding)} of {len(report['claims'])}", "comparisons come out in the study's order"),
        ],
        sections=[
            Section(
                "Balanced accuracy",
                "Mean over classes of the share recognized, with its 95 % interval.",
                [png(_bars(results, lambda result: _accuracy_bar(result), "balanced accuracy"))],
                ["network", "channels", "first weights", "parameters", "balanced accuracy", "accuracy"],
                [
                    [
                        title(result["architecture"]),
                        ", ".join(result["channels"]),
                        "other images" if result["pretrained"] else "random",
                        f"{result['parameters']:,}",
                        with_interval(result["balanced_accuracy"]),
                        with_interval(result["accuracy"]),
                    ]
                    for result in results
                ],
            ),
            Section(
                "In the study's order?",
                "The study found ResNet50 above ResNet18 above MobileNetV2, 7 channels above 3 above 1, and no gain "
                "from natural images. A difference is clear where its 95 % interval leaves zero out.",
                head=["claim", "better", "worse", "difference", "comes out"],
                rows=[
                    [
                        claim["claim"],
                        claim["better"],
                        claim["worse"],
                        with_interval(claim["difference"]),
                        ("yes" if claim["holds"] else "no") + (", clearly" if claim["clear"] else ", within chance"),
                    ]
                    for claim in report["claims"]
                ],
            ),
            Section(
                "Inference time",
                f"{timed['inputs']} random inputs, one by one, warm-up excluded, mean and standard deviation; "
                f"{timed['device']}, threads: {timed['threads']}. A sorter that sees 15,000 cells a second has "
                "0.067 ms for each.",
                [png(_bars(results, _time_bar, "ms a cell"))],
                ["network", "where", "time a cell", "last pixel to answer"],
                [
                    *(
                        [
                            result["name"],
                            result["inference"]["device"],
                            f"{result['inference']['mean_ms']:.3f} ± {result['inference']['deviation_ms']:.3f} ms",
                            "as long, behind the whole image",
                        ]
                        for result in results
                    ),
                    *(
                        [
                            build["name"],
                            f"FPGA, {build['cycles_are']}, {build['clock_mhz']:g} MHz ({build['clock_is']})",
                            f"{build['cell_us'] / 1000:.4f} ms",
                            f"{build['last_pixel_to_logits_us'] / 1000:.4f} ms",
                        ]
                        for build in report["fpga"]
                    ),
                ],
            ),
        ],
    )


def title(architecture: str) -> str:
    """The architecture as its authors write it."""
    return TITLES.get(architecture, architecture)


def _accuracy_bar(result: Mapping[str, Any]) -> tuple[float, float, float]:
    share = result["balanced_accuracy"]
    return share["value"], share["value"] - share["low"], share["high"] - share["value"]


def _time_bar(result: Mapping[str, Any]) -> tuple[float, float, float]:
    time = result["inference"]
    return time["mean_ms"], min(time["deviation_ms"], time["mean_ms"]), time["deviation_ms"]


def _bars(results: Sequence[Mapping[str, Any]], bar: Any, label: str) -> Figure:
    """A group of bars a network, a bar a set of channels. bar: value and the lengths below and above it."""
    kinds = list(dict.fromkeys((result["architecture"], result["pretrained"]) for result in results))
    counts = list(dict.fromkeys(len(result["channels"]) for result in results))
    figure = Figure(figsize=(max(6, 1.6 * len(kinds)), 3.6), layout="constrained")
    axes = figure.subplots()
    for place, count in enumerate(counts):
        chosen = [result for result in results if len(result["channels"]) == count]
        where = [kinds.index((result["architecture"], result["pretrained"])) for result in chosen]
        values = np.array([bar(result) for result in chosen])
        offset = (place - (len(counts) - 1) / 2) * 0.8 / len(counts)
        axes.bar(
            np.array(where) + offset,
            values[:, 0],
            0.75 / len(counts),
            yerr=values[:, 1:].T,
            capsize=3,
            label=f"{count} channel{'s' * (count > 1)}",
        )
    names = [title(architecture) + ("\npretrained" if pretrained else "") for architecture, pretrained in kinds]
    axes.set_xticks(range(len(kinds)), names)
    axes.set_ylabel(label)
    axes.legend(fontsize=8)
    return figure
