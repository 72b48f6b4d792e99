# SPDX-License-Identifier: Apache-2.0
"""`icsort explain`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Data, Force, Json, Seed, out
from icsort.cli.options import count as count_option
from icsort.output import result_folder
from icsort.quant.commands.words import DigitizeOption, digitization, names


def explain(
    subject: Annotated[Path, typer.Argument(help="Run folder of `icsort train`, or model package of `icsort export`.")],
    data: Data,
    out: Annotated[Path, out("Folder to make, for report.html and explanation.json.")],
    maps: Annotated[int, typer.Option(min=1, help="Saliency maps of each class.")] = 3,
    count: Annotated[int, count_option("Cells to explain, at most, drawn with --seed.")] = 2000,
    seed: Seed = 0,
    channels: Channels = None,
    digitize: DigitizeOption = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show what a network looks at: saliency maps, worth of each channel, map of the cells, confusions.

    A run is explained by gradients, a package by hiding parts of the cell. Example: icsort explain out/package --data
    images/ --out out/explanation
    """
    from icsort.quant.evaluation import explanation_page
    from icsort.quant.evaluation.explain import EXPLANATION_FILE
    from icsort.quant.evaluation.explain import explain as explain_network
    from icsort.report import page as report

    with result_folder(out, EXPLANATION_FILE, force) as folder:
        figures, explanation = explain_network(
            subject,
            data,
            channels=names(channels),
            maps=maps,
            limit=count,
            seed=seed,
            digitization=digitization(digitize),
        )
        report.write(folder, explanation_page.page(figures, explanation), EXPLANATION_FILE, figures)
    if as_json:
        console.show_json(figures)
        return
    print(f"balanced accuracy    {report.percent(figures['with_all_channels']['balanced_accuracy'])}")
    for entry in figures["without_channel"]:
        print(f"  without {entry['channel']:<13}{report.percent(entry['balanced_accuracy'])}")
    for pair in figures["confused"]:
        print(f"{pair['cells']:>5} {pair['class']} taken for {pair['taken_for']} ({report.percent(pair['share'])})")
    print(f"report               {out / report.PAGE_FILE}")
