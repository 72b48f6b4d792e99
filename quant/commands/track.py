# SPDX-License-Identifier: Apache-2.0
"""`icsort track`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, Ray, Seed, out
from icsort.errors import IcsortError


def track(
    movie: Annotated[
        list[Path],
        typer.Argument(
            help="Movie: a folder of TIFFs, a frame each, or one TIFF of all frames. Of several each gets a folder."
        ),
    ],
    out: Annotated[
        Path, out("Folder to make, for lineage, report.html and tracking.json; of --train the cost's file.")
    ],
    masks: Annotated[
        list[Path] | None,
        typer.Option(
            help="Masks of the cells, as the movie; without them icsort finds bright nuclei. Of several movies each."
        ),
    ] = None,
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            help="TRA folder of the Cell Tracking Challenge (masks, man_track.txt), to score or to train. Of several "
            "movies once each."
        ),
    ] = None,
    cost: Annotated[
        str, typer.Option(help="motion; simulated, learned from simulated movies; or a file of --train.")
    ] = "simulated",
    train: Annotated[bool, typer.Option("--train", help="Learn a cost from movie and --truth, and end.")] = False,
    missing: Annotated[
        int | None,
        typer.Option(min=0, help="Frames that a cell may be away: without it 2, with --masks 0."),
    ] = None,
    diameter: Annotated[
        float | None, typer.Option(min=3, help="Of a typical cell, in pixels, for finding cells; else measured.")
    ] = None,
    border: Annotated[
        int, typer.Option(min=0, help="Leave out cells that lie wholly within so many pixels of the edge.")
    ] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Score motion only and laptrack with its best cutoffs as well.")
    ] = False,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Movies side by side, each in a process.")] = 1,
    ray: Ray = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Follow cells through a movie: lineages with divisions, by a learned cost and linear assignment.

    Example: icsort track movie/ --out out/tracks
    """
    from icsort.quant.tracking.page import words
    from icsort.quant.tracking.track import MOVIES_FILE, track_movies, train_cost
    from icsort.quant.tracking.track import track as follow

    masks, truth = masks or [], truth or []
    if (train or compare) and not truth:
        raise IcsortError(
            f"--{'train' if train else 'compare'} needs --truth, the challenge's TRA folder of this movie"
        )
    if len(movie) == 1 and (jobs != 1 or ray is not None):
        raise IcsortError("--jobs and --ray are of several movies: give more of them, or leave the option out")
    if train and len(movie) > 1:
        raise IcsortError(f"--train learns from one movie, and {len(movie)} are given: name one")
    if len(movie) == 1 and max(len(masks), len(truth)) > 1:
        raise IcsortError("--masks and --truth are given once a movie, and there is one movie: leave the others out")
    options: dict[str, Any] = {
        "cost": cost, "missing": missing, "diameter": diameter, "border": border, "compare": compare, "force": force,
    }  # fmt: skip
    with console.progress("track") as progress:
        if train:
            taught = train_cost(movie[0], truth[0], out, seed=seed, force=force, progress=progress)
        elif len(movie) > 1:
            several = track_movies(
                movie, out, masks=masks, truths=truth, jobs=jobs, ray=ray, progress=progress, **options
            )
        else:
            given: dict[str, Any] = {"masks": masks[0] if masks else None, "truth": truth[0] if truth else None}
            report = follow(movie[0], out, **given, **options, progress=progress)
    if len(movie) > 1:
        if as_json:
            console.show_json(several)
            return
        table = console.table("movie", "frames", "cells", "tracks", "divisions")
        for name, one in several["movies"].items():
            table.add_row(name, *(f"{one[key]:,}" for key in ("frames", "cells", "tracks", "divisions")))
        console.show(table)
        for line in dict.fromkeys(line for one in several["movies"].values() for line in one["skipped"]):
            console.warn(line)
        print(f"reports              {out / 'report.html'}, {out / MOVIES_FILE}, and a folder a movie")
        return
    if train:
        if as_json:
            console.show_json(taught | {"out": str(out)})
            return
        print(
            f"learned from         {taught['links']} links of {taught['cells']} cells, {taught['divisions']} divisions"
        )
        print(f"cost                 {out}")
        return
    if as_json:
        console.show_json(report)
        return
    print(f"cells                {report['cells']:,} in {report['frames']} frames")
    print(f"tracks, divisions    {report['tracks']}, {report['divisions']}")
    if report["scores"]:
        table = console.table("tracker", "DET", "LNK", "TRA", "divisions", "false", "F1")
        for row in report["scores"]:
            shares = (words(row[name]) for name in ("DET", "LNK", "TRA"))
            found = f"{row['divisions_found']} of {row['divisions']}"
            table.add_row(row["tracker"], *shares, found, str(row["divisions_false"]), words(row["division_f1"]))
        console.show(table)
    for line in report["skipped"]:
        console.warn(line)
    print(f"report               {out / 'report.html'}")
