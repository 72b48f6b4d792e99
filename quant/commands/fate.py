# SPDX-License-Identifier: Apache-2.0
"""`icsort fate`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, Seed, out


def fate(
    movie: Annotated[Path, typer.Argument(help="Movie: a folder of TIFFs, a frame each, or one TIFF of all frames.")],
    out: Annotated[Path, out("Folder to make: report.html, fate.json, risk.csv.")],
    tracks: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `icsort track` of this movie, or TRA folder of the Cell Tracking Challenge; without it the "
            "cells are found and followed here."
        ),
    ] = None,
    split: Annotated[
        int | None, typer.Option(min=0, help="First frame of the part that is tested; without it the middle one.")
    ] = None,
    ahead: Annotated[int, typer.Option(min=1, help="Frames to look ahead, at most.")] = 10,
    history: Annotated[int, typer.Option(min=1, help="Frames of a cell that the network sees.")] = 4,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the cells of the first part.")] = 60,
    members: Annotated[int, typer.Option(min=1, help="Networks whose risks are averaged.")] = 3,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Foresee which cells of a movie divide, and when: learned from its first part, tested on the rest.

    In floating point on the CPU, for a laboratory's analysis, beside what simpler means reach. Example: icsort fate
    movie/ --tracks out/tracks --out out/fate
    """
    from icsort.output import result_folder
    from icsort.quant.fate import fate_page
    from icsort.quant.fate.fate import FATE_FILE
    from icsort.quant.fate.fate import fate as foresee
    from icsort.quant.fate.fit import Plan
    from icsort.report import page as report

    plan = Plan(ahead, history, epochs, members)
    with result_folder(out, FATE_FILE, force) as folder:
        with console.progress("fate", not as_json) as progress:
            figures, result = foresee(movie, tracks, split=split, plan=plan, seed=seed, progress=progress)
        fate_page.write(folder, figures, result)
    if as_json:
        console.show_json(figures)
        return
    for part, words in (("learned", "learned from"), ("tested", "tested on")):
        count = figures["cells"][part]
        print(f"{words:<21}{count['dividing']} divisions of {count['cells']} cells in {count['frames']} frames")
    shown = sorted({1, figures["soon"], ahead})
    columns = console.table("area under the ROC", *(f"{frames} ahead" for frames in shown))
    for each in figures["deciders"]:
        columns.add_row(each["name"], *(fate_page.area(each["horizons"][frames - 1]) for frames in shown))
    console.show(columns)
    errors = figures["time"]["error"]
    print(f"{'off in time':<21}{fate_page.frames(errors['dividing'])}, of cells that divide within {ahead}")
    for notice in fate_page.notices(figures):
        console.warn(notice)
    print(f"{'report':<21}{out / report.PAGE_FILE}")
