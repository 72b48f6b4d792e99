# SPDX-License-Identifier: Apache-2.0
"""The table of docs/track.md: `python -m tests.quant.tracking.track_benchmark`.

Both movies of the Cell Tracking Challenge, with the truth's masks, whole, every 2nd and every 4th frame, by a cost that
the other movie taught, one that the other half taught, and those that need no training; laptrack with its best cutoffs
beside. With --images: from the images alone, by icsort's own segmentation.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.cli import console
from icsort.quant.tracking.assign import link
from icsort.quant.tracking.baseline import best_laptrack
from icsort.quant.tracking.cells import Cells, measure
from icsort.quant.tracking.cost import Cost, cost_named
from icsort.quant.tracking.lineage import thinned
from icsort.quant.tracking.movie import read_movie
from icsort.quant.tracking.score import score
from icsort.quant.tracking.segment import segment
from icsort.quant.tracking.track import MISSING, known_movie, within, worth
from icsort.quant.tracking.train import train
from icsort.real_data import real_data_folder

MOVIES = {"simulated": "Fluo-N2DH-SIM+", "GOWT1": "Fluo-N2DH-GOWT1"}
FIELD = {"simulated": 0, "GOWT1": 50}  # pixels at the edge that the challenge leaves out
STEPS = (1, 2, 4)
KINDS = ("motion", "simulated", "other", "halves", "laptrack")


def folder(name: str) -> Path:
    """Of a movie of the challenge."""
    return real_data_folder() / "ctc" / MOVIES[name]


def truth(name: str) -> tuple[Cells, NDArray[np.int64], NDArray[np.int32]]:
    """Cells, parents and masks of a movie's truth."""
    return known_movie(read_movie(folder(name) / "01"), folder(name) / "01_GT" / "TRA", 0)


def rows(
    name: str, cells: Cells, parent: NDArray[np.int64], masks: NDArray[np.int32], part: str, costs: dict[str, Cost]
) -> list[dict[str, Any]]:
    """Scores of one part of a movie, by each cost; without any, by laptrack."""
    known = (cells, parent, masks)
    found = {kind: link(cells, cost, 0) for kind, cost in costs.items()}
    if not costs:
        found["laptrack, best"], _ = best_laptrack(cells, worth(known, cells, masks))
    return [{"movie": name, "part": part, "by": kind, **score(known, (cells, by, masks))} for kind, by in found.items()]


def by_masks(kinds: list[str], seed: int = 0) -> list[dict[str, Any]]:
    """Rows with the truth's masks. kinds: of KINDS."""
    table = []
    known = {name: truth(name) for name in MOVIES}
    plain: dict[str, Cost] = {kind: cost_named(kind) for kind in ("motion", "simulated") if kind in kinds}
    for name, other in (("simulated", "GOWT1"), ("GOWT1", "simulated")):
        cells, parent, masks = known[name]
        costs = dict(plain)
        if "other" in kinds:
            costs[f"taught by {other}"] = train([known[other][:2]], seed)
        middle = cells.frames // 2
        halves = ((0, middle, (middle, None)), (middle, cells.frames, (0, middle))) if "halves" in kinds else ()
        taught = [train([thinned(cells, parent, 1, *rest)], seed) for _, _, rest in halves]
        for step in STEPS:
            whole = (*thinned(cells, parent, step), masks[::step], f"every {step}")
            if costs:
                table += rows(name, *whole, costs)
            if "laptrack" in kinds:
                table += rows(name, *whole, {})
            for (begin, end, _), cost in zip(halves, taught, strict=True):
                part = (*thinned(cells, parent, step, begin, end), masks[begin:end:step])
                table += rows(name, *part, f"frames {begin} to {end - 1}, every {step}", {"taught by the rest": cost})
    return table


def by_images(names: Iterable[str] = MOVIES) -> list[dict[str, Any]]:
    """Rows from the images alone."""
    table = []
    for name in names:
        images = read_movie(folder(name) / "01")
        known = known_movie(images, folder(name) / "01_GT" / "TRA", FIELD[name])
        masks = within(segment(images), FIELD[name])
        cells = measure(images, masks)
        found = cells, link(cells, cost_named("simulated"), MISSING), masks
        table.append({"movie": name, "part": "images", "by": "simulated movies", **score(known, found)})
    return table


def show(table: list[dict[str, Any]]) -> None:
    """Print the rows."""
    shown = console.table(
        "movie", "part", "by", "DET", "LNK", "TRA", "divisions", "false", "F1", text=("movie", "part")
    )
    for row in table:
        shares = ("–" if row[key] is None else f"{row[key]:.4f}" for key in ("DET", "LNK", "TRA"))
        f1 = "–" if row["division_f1"] is None else f"{row['division_f1']:.3f}"
        divisions = f"{row['divisions_found']} of {row['divisions']}"
        names = (row["movie"], row["part"], row["by"])
        shown.add_row(*names, *shares, divisions, str(row["divisions_false"]), f1)
    console.show(shown)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", action="store_true", help="from the images alone")
    parser.add_argument("--kinds", default=",".join(KINDS), help="costs, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = by_images() if given.images else by_masks(given.kinds.split(","), given.seed)
    print(json.dumps(result, indent=1)) if given.json else show(result)
