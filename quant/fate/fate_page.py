# SPDX-License-Identifier: Apache-2.0
"""The page of a fate: how far ahead divisions are foreseen, which cells were seen so, and what else would tell it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icsort.quant.fate.baselines import AGE
from icsort.quant.fate.fate import FATE_FILE, NETWORK, TABLE_FILE, Fate, table
from icsort.quant.tracking.page import trees
from icsort.report import page as report_files
from icsort.report.figures import BAR, INK, MARK, PLAIN, mosaic, png
from icsort.report.page import Captioned, Page, Section, Tile

EXAMPLES = 6  # sequences of each kind in the gallery
FEW = 10  # dividing cells below which a part is too small to be sure of anything


def write(folder: Path, figures: dict[str, Any], result: Fate) -> None:
    """Write the page, the JSON file and the table of risks."""
    report_files.write(folder, page(figures, result), FATE_FILE, figures)
    table(figures, result).to_csv(folder / TABLE_FILE, index=False, lineterminator="\n")


def page(figures: Mapping[str, Any], result: Fate) -> Page:
    """The report of icsort.quant.fate.fate as a page."""
    soon, split, last = figures["soon"], figures["split"], figures["frames"] - 1
    tested, learned = figures["cells"]["tested"], figures["cells"]["learned"]
    network = of(figures, NETWORK)
    errors = figures["time"]["error"]
    tiles = [
        Tile(area(network["horizons"][soon - 1]), f"area under the ROC, {soon} frames ahead (0.5 by chance)"),
        Tile(str(tested["dividing"]), f"of {tested['cells']} tested cells divide"),
        Tile(frames(errors["dividing"]), f"off in time, of cells that divide within {figures['plan']['ahead']} frames"),
    ]
    return Page(
        title="Which cells will divide",
        lead=f"{figures['movie']}, tracks: {figures['tracks']}. Learned from frames 0 to {split - 1} "
        f"({learned['dividing']} divisions of {learned['cells']} cells), tested on frames {split} to {last}: no test "
        "sequence holds a frame that was learned from. A network in floating point, for analysis; not for the FPGA.",
        notices=notices(figures),
        figures=tiles,
        sections=[
            Section(
                "How far ahead",
                "The area under the ROC is the share of pairs, one cell that divides within so many frames and one "
                "that does not, in which the first has the higher risk: 1 is always, 0.5 is chance. Band and brackets: "
                "95 % interval over cells, not sequences, as the sequences of one cell are alike. Cells of which the "
                "movie does not tell (lost, or the end came first) are left out of that horizon.",
                [png(_curve(figures))],
                ["", *(str(entry["ahead"]) for entry in network["horizons"])],
                [
                    *([each["name"], *map(area, each["horizons"])] for each in figures["deciders"]),
                    ["sequences that divide", *(str(entry["dividing"]) for entry in network["horizons"])],
                    ["that do not", *(str(e["sequences"] - e["dividing"]) for e in network["horizons"])],
                    ["not known", *(str(entry["unknown"]) for entry in network["horizons"])],
                    ["mean risk", *(f"{value:.3f}" for value in figures["mean_risk"])],
                    ["share that divides", *(f"{value:.3f}" for value in figures["observed_risk"])],
                ],
                marked={0},
            ),
            _confound(figures),
            Section(
                "When",
                "The mean time to the division under the predicted risk, cut off at the last horizon, against what "
                "came. Cells that are lost before it, or at the end of the movie, did not divide for as long as they "
                "were seen: only by how much a prediction falls short of that is counted. Beside it one time for all, "
                "from the first part (Kaplan and Meier).",
                head=["cells", "sequences", "mean error, frames", "of one time for all"],
                rows=[
                    [
                        said.format(ahead=figures["plan"]["ahead"]),
                        str(figures["time"]["cells"][kind]),
                        frames(errors[kind]),
                        frames(figures["time"]["error_of_one_time"][kind]),
                    ]
                    for kind, said in KINDS.items()
                ],
            ),
            Section(
                "Cells and their risk",
                f"Their last {figures['plan']['history']} frames, left to right, at one scale; the risk is of a "
                f"division within {soon} frames.",
                gallery=_gallery(figures, result),
            ),
            Section(
                "Lineage",
                f"Grey is what was learned from; the squares are the risk of a division within {soon} frames. Right is "
                "dark at the end of a line that forks; where the movie ends, nobody knows yet.",
                [png(_trees(figures, result))],
            ),
        ],
    )


KINDS = {
    "dividing": "divide within {ahead} frames",
    "later": "do not within {ahead} frames",
    "known": "both",
    "censored": "lost or cut off before (short by)",
}


def of(figures: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The decider of this name."""
    found: dict[str, Any] = next(each for each in figures["deciders"] if each["name"] == name)
    return found


def area(entry: Mapping[str, Any]) -> str:
    """An area under the curve with its interval; a dash where nothing can be told apart."""
    if entry["auc"] is None:
        return "–"
    interval = "" if entry["low"] is None else f" ({entry['low']:.2f} to {entry['high']:.2f})"
    return f"{entry['auc']:.3f}{interval}"


def frames(value: float | None) -> str:
    """A time in frames."""
    return "–" if value is None else f"{value:.2f} frames"


def notices(figures: Mapping[str, Any]) -> list[str]:
    """What must be known before the figures are believed."""
    said = []
    for part, words in (("learned", "learned from"), ("tested", "tested on")):
        if (count := figures["cells"][part]["dividing"]) < FEW:
            said.append(f"Only {count} dividing cells were {words}: the figures say little of other movies.")
    if figures["tracks"] == "by icsort":
        said.append(
            "The divisions are those that icsort found in these images: where it is wrong, so are the labels of "
            "training and test. Look at `icsort track` of this movie first."
        )
    age = figures["age"]
    if age["born_dividing"] * age["unborn"] < age["unborn_dividing"] * age["born"] / 2:
        said.append(
            f"{age['born_dividing']} of the {age['born']} tested cells that were born in the movie divide in it, and "
            f"{age['unborn_dividing']} of the {age['unborn']} others: a movie shorter than a few cycles shows few "
            "cells twice. Age then tells which cells were there from the start, not what a cell is about to do; see "
            "the figures within cells of unknown birth."
        )
    return said


def _confound(figures: Mapping[str, Any]) -> Section:
    age, soon = figures["age"], figures["soon"]
    return Section(
        "Age, and what it hides",
        "Age counts from the first frame that shows a cell. Of cells that were there when the movie began it is the "
        f"number of the frame, not their age; {age['unborn_dividing']} of {age['unborn']} of these divide in the "
        f"tested part, and {age['born_dividing']} of {age['born']} that were born in the movie. Within cells "
        "of unknown birth, age tells no more than the frame. The network is shown no age.",
        head=["", f"all, {soon} frames ahead", f"of unknown birth, {soon} frames ahead"],
        rows=[
            [each["name"], area(each["horizons"][soon - 1]), area(each["unborn"][soon - 1])]
            for each in figures["deciders"]
        ],
        marked={0},
    )


def _curve(figures: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    colours = iter((INK, MARK, PLAIN))
    for each in figures["deciders"]:
        known = [entry for entry in each["horizons"] if entry["auc"] is not None]
        x, y = [entry["ahead"] for entry in known], [entry["auc"] for entry in known]
        if each["is_network"]:
            axes.plot(x, y, "o-", color=BAR, label=each["name"], zorder=3)
            sure = [entry for entry in known if entry["low"] is not None]
            ahead, low, high = ([entry[key] for entry in sure] for key in ("ahead", "low", "high"))
            axes.fill_between(ahead, low, high, color=BAR, alpha=0.2, linewidth=0)
        else:
            style = ":" if each["name"] == AGE else "--"
            axes.plot(x, y, style, color=next(colours), label=each["name"])
    axes.axhline(0.5, color=PLAIN, linewidth=0.8)
    axes.set(xlabel="frames ahead", ylabel="area under the ROC", ylim=(0.3, 1.02))
    axes.legend(fontsize=8, loc="lower left")
    return figure


def _gallery(figures: Mapping[str, Any], result: Fate) -> list[Captioned]:
    soon, tested = figures["soon"], result.tested
    risk, life = result.risk[:, soon - 1], result.lives.life[tested.cells]
    known, within = tested.known(soon), tested.within(soon)
    ending = result.cells.frame[tested.cells] == figures["frames"] - 1
    kinds = (
        ("divided in {time}", known & within, -risk),
        ("missed: divided in {time}", known & within, risk),
        ("false alarm: seen {time} more without", known & ~within, -risk),
        ("the movie ends here", ending, -risk),
    )
    shown, taken = [], set[int]()
    for said, which, order in kinds:
        candidates = np.flatnonzero(which)
        lives_shown = set[int]()
        for row in candidates[np.argsort(order[candidates], kind="stable")]:
            if len(lives_shown) == EXAMPLES:
                break
            if int(life[row]) in lives_shown or int(row) in taken:
                continue
            lives_shown.add(int(life[row]))
            taken.add(int(row))
            cell = int(tested.cells[row])
            came = said.format(time=f"{tested.time[row]} frames")
            caption = f"track {result.tracks.number[cell]}, frame {result.cells.frame[cell]}: {risk[row]:.2f}; {came}"
            shown.append(Captioned(mosaic(_strip(result, int(row))), caption))
    return shown


def _strip(result: Fate, row: int) -> NDArray[np.uint8]:
    """The pictures that a sequence shows, (S, S, frames), empty ones where it is short."""
    cells = result.sequences[row]
    light = np.sqrt(np.maximum(result.shown[cells, 0], 0)) * (cells >= 0)[:, np.newaxis, np.newaxis]
    return np.asarray(255 * light / max(float(light.max()), 1e-9), np.uint8).transpose(1, 2, 0)


def _trees(figures: Mapping[str, Any], result: Fate) -> Figure:
    soon, chosen = figures["soon"], result.tested.cells
    number, frame = result.tracks.number[chosen].tolist(), result.cells.frame[chosen].tolist()
    shades = list(zip(number, frame, result.risk[:, soon - 1].tolist(), strict=True))
    return trees(result.tracks, figures["frames"], shades, f"risk within {soon} frames")
