# SPDX-License-Identifier: Apache-2.0
"""`icsort explain`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from icsort.output import result_folder
from icsort.quant.commands.words import ChannelsOption, DataOption, names


def explain(
    subject: Annotated[Path, typer.Argument(help="Run folder of `icsort train`, or model package of `icsort export`.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for report.html and explanation.json.")],
    each: Annotated[int, typer.Option(min=1, help="Saliency maps of each class.")] = 3,
    limit: Annotated[int, typer.Option(min=1, help="Take at most this many cells, drawn with --seed.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the cells that are shown and of their map.")] = 0,
    channels: ChannelsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier explanation at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what a network looks at: saliency maps, worth of each channel, map of the cells, confusions.

    A run is explained by gradients, a package by hiding parts of the cell. Example: icsort explain out/package --data
    images/ --out out/explanation
    """
    from icsort.quant.evaluation import explanation_page as explanation_report
    from icsort.quant.evaluation.explain import EXPLANATION_FILE
    from icsort.quant.evaluation.explain import explain as find
    from icsort.report import page as report

    with result_folder(out, EXPLANATION_FILE, force) as folder:
        figures, found = find(subject, data, channels=names(channels), each=each, limit=limit, seed=seed)
        report.write(folder, explanation_report.page(figures, found), EXPLANATION_FILE, figures)
    if as_json:
        typer.echo(json.dumps(figures))
        return
    typer.echo(f"balanced accuracy    {report.percent(figures['with_all_channels']['balanced_accuracy'])}")
    for entry in figures["without_channel"]:
        typer.echo(f"  without {entry['channel']:<13}{report.percent(entry['balanced_accuracy'])}")
    for pair in figures["confused"]:
        typer.echo(
            f"{pair['cells']:>5} {pair['class']} taken for {pair['taken_for']} ({report.percent(pair['share'])})"
        )
    typer.echo(f"report               {out / report.PAGE_FILE}")
