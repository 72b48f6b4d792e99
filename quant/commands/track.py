# SPDX-License-Identifier: Apache-2.0
"""`icsort track`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, Seed, out
from icsort.errors import IcsortError


def track(
    movie: Annotated[Path, typer.Argument(help="Movie: a folder of TIFFs, a frame each, or one TIFF of all frames.")],
    out: Annotated[
        Path, out("Folder to make, for lineage, report.html and tracking.json; of --train the cost's file.")
    ],
    masks: Annotated[
        Path | None, typer.Option(help="Masks of the cells, as the movie; without them icsort finds bright nuclei.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="TRA folder of the Cell Tracking Challenge (masks, man_track.txt), to score or to train."),
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
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Follow cells through a movie: lineages with divisions, by a learned cost and linear assignment.

    Example: icsort track movie/ --out out/tracks
    """
    from icsort.quant.tracking.page import words
    from icsort.quant.tracking.track import track as follow
    from icsort.quant.tracking.track import train_cost

    if (train or compare) and truth is None:
        raise IcsortError(
            f"--{'train' if train else 'compare'} needs --truth, the challenge's TRA folder of this movie"
        )
    with console.progress("track") as progress:
        if train:
            assert truth is not None
            taught = train_cost(movie, truth, out, seed=seed, force=force, progress=progress)
        else:
            report = follow(
                movie,
                out,
                masks=masks,
                truth=truth,
                cost=cost,
                missing=missing,
                diameter=diameter,
                border=border,
                compare=compare,
                force=force,
                progress=progress,
            )
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
