# SPDX-License-Identifier: Apache-2.0
"""Whether cells of a movie will divide, and when: learned from its first part, tested on the rest."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.fate import baselines
from icsort.quant.fate.fit import Plan, ask, pictures, scaled, train
from icsort.quant.fate.lives import Lives, Outcomes, lives, outcomes, windows
from icsort.quant.fate.score import expected_time, horizons, time_errors, typical_risk
from icsort.quant.tracking.assign import link
from icsort.quant.tracking.cells import Cells, measure
from icsort.quant.tracking.cost import cost_named
from icsort.quant.tracking.lineage import Tracks, tracks
from icsort.quant.tracking.movie import RESULT_TABLE, TRUTH_TABLE, read_movie
from icsort.quant.tracking.results import CHALLENGE
from icsort.quant.tracking.segment import segment
from icsort.quant.tracking.track import MISSING, known_movie

FATE_FILE = "fate.json"
TABLE_FILE = "risk.csv"
FORMAT = "icsort-fate"
VERSION = 1
NETWORK = "network"
SOON = 5  # frames ahead of the figure that stands first
LEARNED = 2  # cells that must divide in the first part, at least


@dataclass(frozen=True)
class Fate:
    """What the page is drawn from, beside the report.

    tested: what is known of the cells of the second part. risk (n, ahead): their probability of a division within 1, 2,
    ... frames. sequences (n, history): cells that each was told by, -1 in front of a short one. shown (N, 2, S, S):
    pictures of all cells.
    """

    cells: Cells
    lives: Lives
    tracks: Tracks
    tested: Outcomes
    risk: NDArray[np.float64]
    sequences: NDArray[np.int64]
    shown: NDArray[np.float32]


def read_lineage(
    movie: Path, found: Path | None
) -> tuple[NDArray[np.generic], NDArray[np.int32], Cells, NDArray[np.int64]]:
    """Images, masks, cells and parents of a movie: of a TRA folder of the challenge, of a folder of `icsort track`, or
    followed here as that command does it. Raises IcsortError for bad input."""
    images = read_movie(movie)
    if found is None:
        masks = segment(images)
        cells = measure(images, masks)
        return images, masks, cells, link(cells, cost_named("simulated"), MISSING)
    folder = found / CHALLENGE if (found / CHALLENGE).is_dir() else found
    if not any((folder / name).exists() for name in (TRUTH_TABLE, RESULT_TABLE)):
        raise IcsortError(
            f"{found}: holds no tracks; give the folder of `icsort track`, or the challenge's TRA folder (masks and "
            f"{TRUTH_TABLE})"
        )
    cells, parent, masks = known_movie(images, folder, 0)
    return images, masks, cells, parent


def fate(
    movie: Path,
    found: Path | None = None,
    *,
    split: int | None = None,
    plan: Plan | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> tuple[dict[str, Any], Fate]:
    """Learn from a movie's frames before `split`, the middle without one, who divides, and foresee it in the others.

    movie, found: as `read_lineage`. Parts share no frame: what a cell of the first part does in the second is unknown
    to training, and a sequence of the second begins there. Returns the machine-readable report and what the pictures
    are made of. Raises IcsortError for bad input, and for a part in which too few cells divide.
    """
    plan = plan or Plan()
    torch.set_num_threads(1)
    progress("read tracks" if found is not None else "follow the cells", 0, 0)
    images, masks, cells, parent = read_lineage(movie, found)
    known = lives(cells, parent)
    middle = cells.frames // 2 if split is None else split
    taught, tested = _parts(cells, known, middle, plan)
    progress("pictures", 0, 0)
    shown = pictures(images, masks, cells, cells.taken(1, 0, middle)[0].diameter)
    seen = scaled(shown, taught.cells)
    networks = train(seen, known, taught, plan, seed, progress)
    progress("test", 0, 0)
    sequences = windows(known, tested.cells, plan.history)
    risk = ask(networks, seen, sequences)
    values = {NETWORK: risk}
    for name, measures in baselines.values_of(cells, known).items():
        values[name] = baselines.logistic(measures, taught, tested, plan.ahead)
    values[baselines.AGE] = np.repeat(known.age[tested.cells, np.newaxis].astype(np.float64), plan.ahead, axis=1)
    first = ~known.born[tested.cells]  # born before the movie began, or unseen
    founders = Outcomes(tested.cells[first], tested.time[first], tested.divided[first])
    life = known.life[tested.cells]
    typical = typical_risk(taught, plan.ahead)
    report = {
        "format": FORMAT,
        "version": VERSION,
        "movie": str(movie),
        "tracks": "by icsort" if found is None else str(found),
        "frames": cells.frames,
        "split": middle,
        "seed": seed,
        "plan": asdict(plan),
        "cells": {
            "learned": _count(known, taught, middle, followed=True),
            "tested": _count(known, tested, cells.frames - middle, followed=False),
        },
        "soon": min(SOON, plan.ahead),
        "deciders": [
            {
                "name": name,
                "is_network": name == NETWORK,
                "horizons": horizons(each, tested, life, seed),
                "unborn": horizons(each[first], founders, life[first], seed),
            }
            for name, each in values.items()
        ],
        "mean_risk": risk.mean(axis=0).tolist(),
        "observed_risk": typical_risk(tested, plan.ahead).tolist(),
        "age": _age(known, tested),
        "time": time_errors(risk, tested, float(expected_time(typical[np.newaxis])[0])),
    }
    return report, Fate(cells, known, tracks(cells, parent), tested, risk, sequences, shown)


def _parts(cells: Cells, known: Lives, middle: int, plan: Plan) -> tuple[Outcomes, Outcomes]:
    """What is known of the cells of each part by its own frames."""
    ends = ((0, middle), (middle, cells.frames))
    if not 1 < middle < cells.frames - 1:
        raise IcsortError(f"--split {middle}: frames are 0 to {cells.frames - 1}, and both parts need at least two")
    if not (known.divides >= 0).any():
        raise IcsortError("no cell of the tracks divides, so there is nothing to foresee; give a movie with divisions")
    parts = [outcomes(cells, known, begin, end) for begin, end in ends]
    learned, foreseen = (len(np.unique(known.life[part.cells[part.divided]])) for part in parts)
    if learned < LEARNED or not foreseen:
        raise IcsortError(
            f"{learned} cells divide in frames 0 to {middle - 1} and {foreseen} in frames {middle} to "
            f"{cells.frames - 1}: at least {LEARNED} are needed to learn and 1 to test; move --split or give a "
            "longer movie"
        )
    shortest = min(end - begin for begin, end in ends)
    if plan.ahead >= shortest:
        raise IcsortError(f"--ahead {plan.ahead}: the shorter part has {shortest} frames; give fewer")
    return parts[0], parts[1]


def _count(known: Lives, part: Outcomes, frames: int, followed: bool) -> dict[str, int]:
    """followed: whether there are frames behind the part's, `frames` from the movie's first on."""
    life = known.life[part.cells]
    return {
        "frames": frames,
        "sequences": len(part.cells),
        "cells": len(np.unique(life)),
        "dividing": len(np.unique(life[part.divided])),
        "followed_on": len(np.unique(life[known.last[part.cells] >= frames])) if followed else 0,
    }


def _age(known: Lives, tested: Outcomes) -> dict[str, int]:
    """Of the tested cells how many were born in the movie, and how many of each kind divide."""
    life, index = np.unique(known.life[tested.cells], return_index=True)
    born = known.born[tested.cells[index]]
    divides = np.isin(life, known.life[tested.cells[tested.divided]])
    return {
        "born": int(born.sum()),
        "born_dividing": int((born & divides).sum()),
        "unborn": int((~born).sum()),
        "unborn_dividing": int((~born & divides).sum()),
    }


def table(figures: dict[str, Any], result: Fate) -> pd.DataFrame:
    """A row a cell of the second part: where it is, its track, risk within 1, 2, ... frames, expected frames to the
    division (cut off), and what came: frames to the division, or frames that it was seen without one."""
    chosen, cells = result.tested.cells, result.cells
    told: dict[str, Any] = {
        "track": result.tracks.number[chosen],
        "frame": cells.frame[chosen],
        "label": cells.label[chosen],
        "y": cells.position[chosen, 0].round(2),
        "x": cells.position[chosen, 1].round(2),
    }
    told |= {f"risk_{ahead}": result.risk[:, ahead - 1].round(5) for ahead in range(1, figures["plan"]["ahead"] + 1)}
    told["expected_frames"] = expected_time(result.risk).round(3)
    told["divides_in"] = np.where(result.tested.divided, result.tested.time.astype(object), "")
    told["seen_without"] = np.where(result.tested.divided, "", result.tested.time.astype(object))
    return pd.DataFrame(told)
