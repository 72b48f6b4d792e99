# SPDX-License-Identifier: Apache-2.0
"""A movie from its images to lineages, with files for other programs and a report."""

import base64
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.jobs import job_pool
from icsort.output import result_folder, result_path
from icsort.quant.tracking import page as report_page
from icsort.quant.tracking import results
from icsort.quant.tracking.assign import link
from icsort.quant.tracking.baseline import best_laptrack
from icsort.quant.tracking.cells import Cells, measure
from icsort.quant.tracking.cost import FORMAT, Cost, Motion, cost_named, save
from icsort.quant.tracking.lineage import parents, tracks
from icsort.quant.tracking.movie import read_masks, read_movie, read_truth
from icsort.quant.tracking.score import score
from icsort.quant.tracking.segment import segment
from icsort.quant.tracking.train import MOVIES, Progress, train
from icsort.report import page as report_files

TRACKING_FILE = "tracking.json"
MOVIES_FILE = "movies.json"  # of several movies
OVERLAY_FILE = "overlay.png"
MISSING = 2  # frames that a cell of our own segmentation may be lost; given masks lose none


def track(
    movie: Path,
    out: Path,
    *,
    masks: Path | None = None,
    truth: Path | None = None,
    cost: str = "simulated",
    missing: int | None = None,
    diameter: float | None = None,
    border: int = 0,
    compare: bool = False,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Follow the cells of a movie; the folder `out` holds the lineage and the report. Returns what its JSON says.

    movie, masks: folders of TIFFs, a frame each, or one TIFF. masks: instead of our own segmentation, which looks for
    cells of `diameter` pixels. truth: the challenge's TRA folder, to score against. cost: as cost.cost_named. missing:
    frames that a cell may be away; None: MISSING, and 0 with masks. border: pixels from the edges of the frame; what
    lies wholly in it is left out, also of the truth, as by the challenge's field of interest. compare: also motion only
    and laptrack. Raises IcsortError for bad input.
    """
    chosen = cost_named(cost)
    with result_folder(out, TRACKING_FILE, force) as folder:
        images = read_movie(movie)
        progress("segment" if masks is None else "read masks", 0, 0)
        given = segment(images, diameter) if masks is None else read_masks(masks, images)
        given = within(given, border)
        away = missing if missing is not None else 0 if masks is not None else MISSING
        progress("measure", 0, 0)
        cells = measure(images, given)
        progress("link", 0, 0)
        parent = link(cells, chosen, away)
        found = tracks(cells, parent)
        skipped = results.write(folder, given, cells, parent, found)
        scores: list[dict[str, Any]] = []
        if truth is not None:
            progress("score", 0, 0)
            known = known_movie(images, truth, border)
            try:
                scores = _scores(cells, given, known, chosen, parent, away, compare, f"icsort, {cost}")
            except ModuleNotFoundError as error:
                skipped.append(f"scores: {error.name} is not installed: pip install 'icsort[track]'")
        report = {
            "movie": str(movie),
            "masks": "by icsort" if masks is None else str(masks),
            "cost": cost,
            "frames": len(images),
            "missing": away,
            "cells": len(cells),
            "tracks": len(found.table),
            "divisions": int((np.bincount(parent[parent >= 0], minlength=1) > 1).sum()),
            "scores": scores,
            "skipped": skipped,
        }
        overlay = report_page.animation(images, given, cells, parent, found)
        (folder / OVERLAY_FILE).write_bytes(overlay)
        shown = report_page.page(report, cells, found, base64.b64encode(overlay).decode())
        report_files.write(folder, shown, TRACKING_FILE, report)
    return report


def track_movies(
    movies: Sequence[Path],
    out: Path,
    *,
    masks: Sequence[Path] = (),
    truths: Sequence[Path] = (),
    jobs: int = 1,
    ray: str | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
    **options: Any,
) -> dict[str, Any]:
    """Follow the cells of several movies, each into a folder of its own in `out`. Returns what its JSON says.

    masks, truths: none, or one a movie, in their order. jobs: movies side by side; ray: on a cluster instead
    (icsort.jobs), all of which sees `out`. options: of `track`. Raises IcsortError as `track` does: one bad movie
    ends all.
    """
    names = distinct_names(movies)
    for option, folders in (("--masks", masks), ("--truth", truths)):
        if folders and len(folders) != len(movies):
            raise IcsortError(
                f"{option} is given {len(folders)} times for {len(movies)} movies; give it once a movie, in their order"
            )

    def follow(name: str, movie: Path, masks: Path | None, truth: Path | None) -> dict[str, Any]:
        for left in folder.glob(f".{name}.partial-*"):  # by a process that was killed
            shutil.rmtree(left)
        return track(movie, folder / name, masks=masks, truth=truth, force=True, **options)

    with job_pool(jobs, ray) as pool, result_folder(out, MOVIES_FILE, force) as folder:
        none = [None] * len(movies)
        work = list(zip(names, movies, masks or none, truths or none, strict=True))
        reports: dict[str, Any] = {}
        progress("movies", 0, len(work))
        for name, report in zip(names, pool.run(follow, work), strict=True):
            reports[name] = report
            progress("movies", len(reports), len(work))
        found = {"movies": reports}
        report_files.write(folder, report_page.movies_page(reports), MOVIES_FILE, found)
    return found


def distinct_names(movies: Sequence[Path]) -> list[str]:
    """The movies' names, with as many of the folders above them as tell them apart. Raises IcsortError for one movie
    that is given twice."""
    paths = [movie.resolve() for movie in movies]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise IcsortError(f"{twice}: is given twice; give each movie once")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["-".join((*path.parts[-depth:-1], path.stem)).strip("/-") for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def train_cost(
    movie: Path,
    truth: Path,
    out: Path,
    *,
    seed: int = 0,
    simulated: int = MOVIES,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Learn a cost, the file `out`, from a movie and its truth, the challenge's TRA folder, and from simulated movies.

    Returns how many cells, links and divisions taught it. Raises IcsortError for bad input.
    """

    def earlier(path: Path) -> bool:
        return FORMAT in path.read_text(encoding="ascii")[:100]

    with result_path(out, earlier, force) as path:
        cells, parent, _ = known_movie(read_movie(movie), truth, 0)
        if not (parent >= 0).any():
            raise IcsortError(f"{truth}: no cell is in two frames, so there is nothing to learn; give a longer movie")
        save(train([(cells, parent)], seed, simulated, progress), path)
    return {
        "cells": len(cells),
        "links": int((parent >= 0).sum()),
        "divisions": int((np.bincount(parent[parent >= 0], minlength=1) > 1).sum()),
    }


def known_movie(
    images: NDArray[np.generic], truth: Path, border: int
) -> tuple[Cells, NDArray[np.int64], NDArray[np.int32]]:
    """Cells, parents and masks of a truth."""
    table = read_truth(truth)
    masks = within(read_masks(truth, images), border)
    cells = measure(images, masks)
    return cells, parents(cells, table, str(truth)), masks


def within(masks: NDArray[np.int32], border: int) -> NDArray[np.int32]:
    if not border:
        return masks
    result = masks.copy()
    for frame in result:
        inner = frame[border:-border, border:-border]
        frame[~np.isin(frame, inner)] = 0
    if not result.any():
        raise IcsortError(f"--border {border} leaves no cell; give fewer pixels")
    return result


def _scores(
    cells: Cells,
    masks: NDArray[np.int32],
    known: tuple[Cells, NDArray[np.int64], NDArray[np.int32]],
    cost: Cost,
    parent: NDArray[np.int64],
    missing: int,
    compare: bool,
    name: str,
) -> list[dict[str, Any]]:
    """Rows of the table: this tracker's, and those that it is compared with."""
    rows = [{"tracker": name, **score(known, (cells, parent, masks))}]
    if compare:
        if not isinstance(cost, Motion):
            alone = link(cells, Motion(), missing)
            rows.append({"tracker": "motion only", **score(known, (cells, alone, masks))})
        best, cutoffs = best_laptrack(cells, worth(known, cells, masks))
        pixels = f"{cutoffs['cutoff']}, {cutoffs['division_cutoff']} px"
        rows.append({"tracker": f"laptrack, its best cutoffs ({pixels})", **score(known, (cells, best, masks))})
    return rows


def worth(
    known: tuple[Cells, NDArray[np.int64], NDArray[np.int32]], cells: Cells, masks: NDArray[np.int32]
) -> Callable[[NDArray[np.int64]], float]:
    """What parents (N,) of these cells are worth: LNK, or where the masks are the truth's what orders them alike."""
    if np.array_equal(masks, known[2]):
        return lambda parent: -float((parent != known[1]).sum())
    return lambda parent: score(known, (cells, parent, masks))["LNK"] or 0.0
