# SPDX-License-Identifier: Apache-2.0
"""The demo's report: figures and pictures of one run of the whole path."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from icsort.formats.background import in_words
from icsort.formats.build import Build
from icsort.report.figures import BAR, GOOD, INK, MARK, PLAIN, composite, confusion, png
from icsort.report.page import Page, Section, Tile
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.simulate.lines import NO_CELL

TITLE = "icsort: from cell images to sort pulses"
SHOWN_CELLS, IN_A_ROW = 40, 10
WIDTH, ROW_HEIGHT, TIMELINE_HEIGHT, HEAD_HEIGHT = 12.5, 1.55, 3.8, 2.6  # inches
SHOWN_CHANNELS = 3  # laid over each other
RESOURCES = {"LUT": "LUT", "BRAM_18K": "BRAM 18k", "DSP": "DSP"}


def page(
    result: Mapping[str, Any],
    build: Build,
    pixels: NDArray[np.uint8],
    truth: NDArray[np.int64],
    events: Sequence[Mapping[str, Any]],
    timeline_file: Path,
) -> Page:
    """The demo's report.json as a page. build: its build.json. pixels (E, H, W, C), truth (E,; NO_CELL where
    background triggered): of the events, as the host received them. timeline_file: the monitor signals (CSV:
    cycle,signal,value)."""
    classes, gate, clock = result["classes"], result["gate"], result["clock_target_mhz"]
    last = result["latency_cycles_last_pixel_to_decision"]["median"]
    predicted = np.array([event["class"] for event in events])
    counts = np.zeros((len(classes), len(classes)), np.int64)
    of_cell = truth != NO_CELL
    np.add.at(counts, (truth[of_cell], predicted[of_cell]), 1)
    cells = Figure(figsize=(WIDTH, ROW_HEIGHT * _rows(events)))
    _cells(cells, pixels, truth, classes, events)
    one_sort = []
    if was_sorted(events).any():
        figure = Figure(figsize=(WIDTH, TIMELINE_HEIGHT))
        _timeline(figure, timeline_file, events, gate, clock)
        one_sort = [png(figure)]
    head, rows, foot = _resources(build)
    return Page(
        title=TITLE,
        lead=result["dataset_description"],
        notices=[GENERATED] if result["dataset"] == "generated" else [],
        figures=_tiles(result, last),
        sections=[
            Section(
                "Cells and what became of them",
                f"The sort gate: {', '.join(gate['classes'])} with a posterior of at least {gate['posterior']}. Green "
                "frames were sorted. Above each cell its class, below it the network's class and the posterior of the "
                "gate's classes, as the host received them.",
                [png(cells)],
            ),
            Section(
                "Confusion matrix",
                f"{result['cells']} cells that training never saw, classified by the RTL: accuracy "
                f"{result['accuracy']:.3f}, balanced {result['balanced_accuracy']:.3f}.",
                [png(confusion(counts, classes, "decision of the RTL"))],
            ),
            Section(
                "Latency",
                f"Measured by the hardware itself, in cycles; times at the clock target of {clock:g} MHz, which no "
                "place-and-route report has confirmed. The line stream brings one pixel a cycle without pause.",
                [png(_latency(events, clock))],
            ),
            Section(
                "One sort, from the first line to the pulse",
                "" if one_sort else "No cell passed the gate, so there is no sort to show.",
                one_sort,
            ),
            Section(
                "Every event ends in one counter",
                "",
                head=["outcome", "events"],
                rows=[
                    ["sorted", str(result["sorted"])],
                    *([name, str(count)] for name, count in result["not_sorted_by_cause"].items()),
                ],
                foot=[
                    f"accepted by the trigger; false triggers: {in_words(result['false_triggers'])}",
                    str(result["events_sent"]),
                ],
            ),
            Section(
                "Network and resources",
                f"Cycles are predicted a cell. LUT, BRAM and DSP are {build.resources_are}; no synthesis has run. "
                f"The board: {build.part}, {build.budget_is}.",
                head=head,
                rows=rows,
                foot=foot,
            ),
            Section(
                "How this was made",
                f"Build {result['build_id']}, model {result['model_id']}. The same figures for a machine: report.json.",
                commands=result["commands"],
            ),
        ],
    )


def overview(
    result: Mapping[str, Any],
    pixels: NDArray[np.uint8],
    truth: NDArray[np.int64],
    events: Sequence[Mapping[str, Any]],
    timeline_file: Path,
) -> Figure:
    """One picture of the page, for where there is room for one: its figures, the cells with their decisions, one sort
    where there is one. Arguments as of `page`."""
    heights = [HEAD_HEIGHT, ROW_HEIGHT * _rows(events), TIMELINE_HEIGHT * bool(was_sorted(events).any())]
    shown = [height for height in heights if height]
    whole = Figure(figsize=(WIDTH, sum(shown)), layout="constrained")
    head, cells, *sort = whole.subfigures(len(shown), 1, height_ratios=shown)
    head.text(0.01, 0.97, TITLE, fontsize=18, weight="bold", va="top")
    head.text(0.01, 0.79, result["dataset_description"], fontsize=10, color=INK, va="top", wrap=True)
    last = result["latency_cycles_last_pixel_to_decision"]["median"]
    for index, tile in enumerate(_tiles(result, last)):
        row, column = divmod(index, 3)
        x, y = 0.01 + column / 3, 0.5 - 0.3 * row
        color = {"good": GOOD, "bad": MARK}.get(tile.tone, "black")
        head.text(x, y, tile.value, fontsize=15, weight="bold", color=color, va="top")
        head.text(x, y - 0.14, tile.label, fontsize=9, color=INK, va="top")
    _cells(cells, pixels, truth, result["classes"], events)
    for part in sort:
        _timeline(part, timeline_file, events, result["gate"], result["clock_target_mhz"])
    return whole


GENERATED = (
    "No real cells were found, so these are generated ones: the figures show that the system works, not how well it "
    "would sort. Set ICSORT_DATA to a folder with real cells."
)


def _tiles(result: Mapping[str, Any], last: float) -> list[Tile]:
    clock = result["clock_target_mhz"]
    tones = {True: "good", False: "bad"}
    equal = result["logits_equal"] == result["logits_compared"]
    received = result["events_received_by_host"] == result["events_sent"]
    return [
        Tile(
            f"{result['logits_equal']} of {result['logits_compared']}",
            "logits equal: RTL, QONNX model, FINN's graph",
            tones[equal],
        ),
        Tile(
            f"{result['events_received_by_host']} of {result['events_sent']}",
            "events received by the host",
            tones[received],
        ),
        Tile(f"{last / clock:.2f} µs", f"last pixel to decision, {last:g} cycles"),
        Tile(f"{clock * 1e6 / result['cycles_per_cell']:,.0f} /s", f"cells, {result['cycles_per_cell']} cycles each"),
        Tile(f"{result['balanced_accuracy']:.3f}", f"balanced accuracy on {result['cells']} cells never seen"),
        Tile(
            f"{result['sorted']}",
            f"sorted; {share(result['purity'])} pure, {share(result['yield'])} of the wanted cells",
        ),
    ]


def share(part: float | None) -> str:
    """A share in whole percent."""
    return "none" if part is None else f"{100 * part:.0f} %"


def was_sorted(events: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    """(E,) which events the board decided to sort."""
    return np.array([event["outcome"] == Outcome.SORTED.name for event in events])


def _shown(events: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """As many sorted as refused cells, drawn once and for all."""
    draw, chosen = np.random.default_rng(0), was_sorted(events)
    return np.concatenate([draw.permutation(np.flatnonzero(which))[: SHOWN_CELLS // 2] for which in (chosen, ~chosen)])


def _rows(events: Sequence[Mapping[str, Any]]) -> int:
    return max(1, -(-len(_shown(events)) // IN_A_ROW))


def _cells(
    figure: FigureBase,
    pixels: NDArray[np.uint8],
    truth: NDArray[np.int64],
    classes: Sequence[str],
    events: Sequence[Mapping[str, Any]],
) -> None:
    """Cells side by side, up to three channels laid over each other, with their decisions."""
    axes = figure.subplots(_rows(events), IN_A_ROW, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    chosen = was_sorted(events)
    for axis, i in zip(axes.flat, _shown(events), strict=False):
        axis.set_axis_on()
        axis.imshow(composite(pixels[i, ..., :SHOWN_CHANNELS]))
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set(color=GOOD if chosen[i] else PLAIN, linewidth=3)
        axis.set_title("no cell" if truth[i] == NO_CELL else classes[truth[i]], fontsize=7, pad=3)
        axis.set_xlabel(f"{classes[events[i]['class']]} {events[i]['posterior']:.2f}", fontsize=7, labelpad=2)


def _latency(events: Sequence[Mapping[str, Any]], clock_mhz: float) -> Figure:
    """Histograms of the cycles from the first and from the last pixel to the decision."""
    figure = Figure(figsize=(11, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, name in zip(axes, ("first", "last"), strict=True):
        cycles = [event[f"{name}_pixel_to_decision_cycles"] for event in events]
        values, counts = np.unique(cycles, return_counts=True)
        axis.bar(values, counts, width=0.8, color=BAR)
        axis.set(xlabel=f"cycles from {name} pixel to decision", ylabel="cells")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        if values[-1] - values[0] < 6:
            axis.set_xlim(values[0] - 4, values[-1] + 4)
        median = float(np.median(cycles))
        axis.set_title(f"median {median:g} cycles = {median / clock_mhz:.2f} µs at {clock_mhz:g} MHz", fontsize=10)
    return figure


def _timeline(
    figure: FigureBase, path: Path, events: Sequence[Mapping[str, Any]], gate: Mapping[str, Any], clock_mhz: float
) -> None:
    """The first sort as a logic analyser shows it: the monitor signals (CSV: cycle,signal,value) from the event's first
    pixel to the end of its pulse."""
    event = events[int(was_sorted(events).argmax())]["time_cycles"]
    end = event + round((gate["drop_delay_us"] + gate["pulse_us"]) * clock_mhz)
    changes: dict[str, list[tuple[int, int]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            changes.setdefault(row["signal"], []).append((int(row["cycle"]), int(row["value"])))
    margin = (end - event) // 20
    begin, end = event - margin, end + margin
    names = ["line", "event", "network in", "network out", "decision", "sort pulse"]
    axes = figure.subplots(len(names), 1, sharex=True)
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
                    color=BAR,
                )
            level, since = value, at
        axis.set(yticks=[], ylim=(0, 1), xlim=((begin - event) / clock_mhz, (end - event) / clock_mhz))
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1].set_xlabel(f"µs after the cell's first pixel, at {clock_mhz:g} MHz")


def _resources(build: Build) -> tuple[list[str], list[list[str]], list[str]]:
    """Head, rows and foot of the resource table, of a build."""
    rows = [
        [
            *(layer.instance, layer.source, layer.params.get("PE", ""), layer.params.get("SIMD", "")),
            *(layer.cycles, layer.fifo_depths[0], *(layer.resources[kind] for kind in RESOURCES)),
        ]
        for layer in build.layers
    ]
    totals = [sum(layer.resources[kind] for layer in build.layers) for kind in RESOURCES]
    budget = [f"{total:g} of {build.budget[kind]}" for total, kind in zip(totals, RESOURCES, strict=True)]
    head = ["kernel", "layer", "PE", "SIMD", "cycles", "FIFO", *RESOURCES.values()]
    return head, [[str(cell) for cell in row] for row in rows], ["sum", *[""] * 5, *budget]
