# SPDX-License-Identifier: Apache-2.0
"""The command `icsort respond`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Force, GroupBy, Json, LabelBy, Limit, Merge, Ray, Seed, out
from icsort.quant.commands.words import DigitizeOption, digitization, named, names, parse_merge

MIN_CLASS = 10


def respond(
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled cells: what `icsort data info` reads, such as a .npz with its .csv, or a zip of images in a "
            "folder a class."
        ),
    ],
    out: Annotated[Path, out("Folder to make, for report.html, response.json and cells.csv.")],
    label_by: LabelBy = None,
    group_by: GroupBy = None,
    vote_by: Annotated[
        str | None, typer.Option(help="Which cells vote together (well, image); as --group-by takes it.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Features of the cells: a CSV file whose rows are called as the images.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the cells also where --table is given; without it, always.")
    ] = False,
    without: Annotated[
        str | None, typer.Option(help="Columns of --table to leave out, a regular expression: 'Location|Number'.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Masks of the cells, a folder of images called as theirs, or a .npz; else they are found."),
    ] = None,
    side: Annotated[int | None, typer.Option(min=12, max=256, help="Pixels of a side that the network sees.")] = None,
    inputs: Annotated[
        str, typer.Option(help="What the network takes, separated by commas.")
    ] = "image,mask,distance,table",
    control: Annotated[
        list[str] | None,
        typer.Option(help="Class of untreated cells, or of a positive control: downsampled. May be repeated."),
    ] = None,
    confound: Annotated[
        list[str] | None,
        typer.Option(help="What else may tell the classes; as --group-by takes it. May be repeated."),
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Class to leave out. May be repeated.")] = None,
    min_class: Annotated[int, typer.Option(min=1, help="Leave out classes with fewer cells.")] = MIN_CLASS,
    merge: Merge = None,
    limit: Limit = None,
    channels: Channels = None,
    digitize: DigitizeOption = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Without it each group is held out by itself, or five folds of many groups."),
    ] = None,
    members: Annotated[int, typer.Option(min=1, help="Networks of a fold whose posteriors are averaged.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training cells, at most.")] = 40,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without a gain after which a training ends.")] = 12,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    label_smoothing: Annotated[float, typer.Option(help="Share of a label that all classes get.")] = 0.1,
    balance: Annotated[
        float, typer.Option(help="Weight of rare classes: 0 as frequent as they are, 1 as if all were equal.")
    ] = 0.7,
    alone: Annotated[
        bool,
        typer.Option("--alone/--not-alone", help="Train networks of the images alone and of the table alone, too."),
    ] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings side by side, each in a process.")] = 1,
    ray: Ray = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Tell the response of cells to a treatment from image, mask, distance map and features, with a vote a well.

    In floating point on the CPU, for a laboratory's analysis; tested over whole groups, beside what simpler means
    reach. Example: icsort respond cells.npz --label-by moa --group-by plate --vote-by plate+well --control DMSO --out
    out/response
    """
    from icsort.output import result_folder
    from icsort.quant.cells.find import read_folder
    from icsort.quant.response import response_page
    from icsort.quant.response.fit import Plan
    from icsort.quant.response.respond import RESPONSE_FILE
    from icsort.quant.response.respond import respond as run
    from icsort.report import page as report

    plan = Plan(
        epochs=epochs,
        patience=patience,
        members=members,
        learning_rate=learning_rate,
        smoothing=label_smoothing,
        balance=balance,
    )
    with result_folder(out, RESPONSE_FILE, force) as folder:
        dataset = read_folder(data, names(channels), digitization(digitize), group_by, label_by=label_by or ())
        dataset = dataset.with_merged_classes(parse_merge(merge or []))
        dataset, dropped = dataset.without_classes(leave_out or []).without_small_classes(min_class)
        if limit is not None:
            dataset = dataset.limited(limit, seed)
        told = sys.stderr if as_json else sys.stdout
        print(f"{len(dataset.images)} cells: {dataset.origin}", file=told)
        for name, count in dropped.items():
            print(f"  {name}: {count} cells, left out (--min-class)", file=told)
        if dataset.passed_over:
            print("\n".join(named("passed over", dataset.passed_over)), file=told)
        with console.progress("respond", not as_json) as progress:
            figures, response = run(
                dataset,
                table=table,
                measure=measure,
                without=without,
                masks=masks,
                side=side,
                used=names(inputs) or (),
                vote_by=vote_by,
                controls=control or (),
                confound_by=confound or (),
                alone=alone,
                folds=folds,
                plan=plan,
                seed=seed,
                jobs=jobs,
                ray=ray,
                progress=progress,
            )
        response_page.write(folder, figures, response)
    if as_json:
        console.show_json(figures)
        return
    for each in figures["deciders"]:
        vote = ""
        if "vote" in each:
            majority, mean = (each["vote"][key]["accuracy"]["value"] for key in ("majority", "mean_posterior"))
            vote = f", votes right {report.percent(majority)} by majority, {report.percent(mean)} by mean posterior"
        print(f"{each['name']:<52}balanced {report.percent(each['balanced_accuracy']['value'])}{vote}")
    weights = figures["attention"]["mean"]
    print(f"{'attention':<52}" + ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items()))
    if (check := figures["control"]) is not None:
        against = f"{check['control']} against the others"
        print(f"{against:<52}balanced {report.percent(check['balanced_accuracy'])}, logistic regression on the table")
    for each in figures["confounds"]:
        if each["coincides"]:
            print(f"warning: {each['column']} and class coincide; these figures cannot tell which of them is seen")
    print(f"{'report':<52}{out / report.PAGE_FILE}")
