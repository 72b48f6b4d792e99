# SPDX-License-Identifier: Apache-2.0
"""The commands `icsort evaluate` and `icsort explain`."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from icsort.errors import IcsortError
from icsort.output import result_folder

DataOption = Annotated[Path, typer.Option(help="Folder of labelled cell images, or the heldout.npz of a run.")]
ChannelsOption = Annotated[
    str | None, typer.Option(help="Channel names of class stacks, in order, separated by commas.")
]


def evaluate(
    package: Annotated[Path, typer.Argument(help="Model package made by `icsort export`.")],
    data: DataOption,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html and evaluation.json.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="Training run to lay beside on the same cells; may be repeated.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option(help="Classes that count as one: NAME=CLASS+CLASS; may be repeated.")
    ] = None,
    group_by: Annotated[
        str | None, typer.Option(help="As given to `icsort train`, to find the test part of its cells.")
    ] = None,
    posterior: Annotated[float, typer.Option(min=0, max=1, help="Least posterior of the gates to check.")] = 0.9,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(help="Share of a class in the sample to be sorted: CLASS=SHARE; may be repeated."),
    ] = None,
    channels: ChannelsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier evaluation at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Score a model package on any labelled cells, with the integer arithmetic of the FPGA.

    Example: icsort evaluate out/package --data images/ --out out/evaluation
    """
    from icsort.quant.evaluation import evaluation_page as evaluation_report
    from icsort.quant.evaluation.evaluate import EVALUATION_FILE
    from icsort.quant.evaluation.evaluate import evaluate as score
    from icsort.report import page as report

    with nullcontext() if out is None else result_folder(out, EVALUATION_FILE, force) as folder:
        found, decisions = score(
            package,
            data,
            channels=names(channels),
            merged=parse_merge(merge or []),
            group_by=group_by,
            runs=run or [],
            posterior=posterior,
            sample=parse_prevalence(prevalence or []),
        )
        if folder is not None:
            report.write(folder, evaluation_report.page(found, decisions), EVALUATION_FILE, found)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"cells                {found['data']['cells']} ({found['data']['origin']}; {found['data']['part']})")
    typer.echo(f"not triggered        {found['not_triggered']}")
    typer.echo(f"accuracy             {report.with_interval(found['accuracy'])}")
    typer.echo(f"balanced accuracy    {report.with_interval(found['balanced_accuracy'])}")
    calibration = found["calibration"]
    typer.echo(
        f"calibration error    {calibration['error']:.3f} ({calibration['error_before']:.3f} before; by chance up to "
        f"{calibration['error_by_chance']['high']:.3f})"
    )
    pooled = found["gates"][0]
    typer.echo(f"posterior >= {posterior:<8g}{pooled['sorted']} cells, pure {report.with_interval(pooled['purity'])}")
    if found["sample"] is not None:
        typer.echo(f"in the sample        accuracy {report.with_interval(found['sample']['accuracy'])}")
        for gate in found["sample"]["gates"][1:]:
            typer.echo(f"  {gate['gate']:<19}pure {report.with_interval(gate['purity'])}")
    if out is not None:
        typer.echo(f"report               {out / report.PAGE_FILE}")


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


def names(listed: str | None) -> list[str] | None:
    """Names separated by commas."""
    return None if listed is None else [name.strip() for name in listed.split(",")]


def parse_merge(words: list[str]) -> dict[str, list[str]]:
    """NAME=CLASS+CLASS, each to a name and its classes. Raises IcsortError for anything else or a class named twice."""
    merged = {}
    for word in words:
        name, equal, members = word.partition("=")
        merged[name.strip()] = [member.strip() for member in members.split("+")]
        if not equal or not name.strip() or not all(merged[name.strip()]):
            raise IcsortError(f"--merge {word}: write it as NAME=CLASS+CLASS, such as Interphase=G1+S+G2")
    every = [member for members in merged.values() for member in members]
    twice = next((name for name in every if every.count(name) > 1), None)
    if twice is not None or len(merged) < len(words):
        raise IcsortError(f"--merge puts {twice or 'a name'} twice; each class and each name once")
    return merged


def parse_prevalence(words: list[str]) -> dict[str, float]:
    """CLASS=SHARE, each to a class and its share of a sample. Raises IcsortError for anything else or a class twice."""
    shares: dict[str, float] = {}
    for word in words:
        name, _, share = word.rpartition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise IcsortError(f"--prevalence {word}: write it as CLASS=SHARE, such as Prophase=0.02") from None
    if len(shares) < len(words) or "" in shares:
        raise IcsortError("--prevalence: name each class once, such as Prophase=0.02")
    return shares
