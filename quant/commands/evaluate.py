# SPDX-License-Identifier: Apache-2.0
"""`icsort evaluate`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Data, Force, Json, Merge, out
from icsort.errors import IcsortError
from icsort.output import result_folder
from icsort.quant.commands.words import DigitizeOption, digitization, names, parse_merge, parse_prevalence


def evaluate(
    package: Annotated[
        Path, typer.Argument(help="Model package of `icsort export`, or folder of `icsort train --folds`.")
    ],
    data: Data,
    out: Annotated[Path | None, out("Folder to make, for report.html and evaluation.json.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="Training run to lay beside on the same cells. May be repeated.")
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Folds of the same cells that were split without groups: how much is lost on new groups."),
    ] = None,
    merge: Merge = None,
    posterior: Annotated[float, typer.Option(min=0, max=1, help="Least posterior of the gates to check.")] = 0.9,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(help="Share of a class in the sample to be sorted: CLASS=SHARE. May be repeated."),
    ] = None,
    channels: Channels = None,
    digitize: DigitizeOption = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score a model package on any labelled cells, with the integer arithmetic of the FPGA.

    A build in place of the package gives the same, by its netlist, compiled with c++: faster.

    Example: icsort evaluate out/package --data images/ --out out/evaluation
    """
    from icsort.quant.cells.counts import Digitization
    from icsort.quant.cells.find import read_folder
    from icsort.quant.evaluation import evaluation_page as evaluation_report
    from icsort.quant.evaluation.evaluate import EVALUATION_FILE
    from icsort.quant.evaluation.evaluate import evaluate as score
    from icsort.quant.evaluation.folds import evaluate_folds, lay_beside
    from icsort.quant.training.folds import folds_in, is_folds
    from icsort.quant.training.runs import read_config
    from icsort.report import page as report

    merged, sample = parse_merge(merge or []), parse_prevalence(prevalence or [])
    with nullcontext() if out is None else result_folder(out, EVALUATION_FILE, force) as folder:
        if is_folds(package):
            if run:
                raise IcsortError(f"{package}: of folds the runs are laid beside each other; leave --run out")
            folds = folds_in(package)
            counted = digitization(digitize) or Digitization.of(read_config(folds[0].run).data.digitization)
            cells = read_folder(data, names(channels), counted)
            found, decisions = evaluate_folds(folds, cells, merged=merged, posterior=posterior, sample=sample)
            if beside is not None:
                other, _ = evaluate_folds(folds_in(beside), cells, merged=merged, posterior=posterior)
                found = lay_beside(found, other)
        elif beside is not None:
            raise IcsortError(f"{package}: --beside compares folds; give two folders of `icsort train --folds`")
        else:
            found, decisions = score(
                package,
                data,
                channels=names(channels),
                merged=merged,
                runs=run or [],
                posterior=posterior,
                sample=sample,
                digitization=digitization(digitize),
            )
        if folder is not None:
            report.write(folder, evaluation_report.page(found, decisions), EVALUATION_FILE, found)
    print_evaluation(found, out, as_json)


def print_evaluation(found: dict[str, Any], out: Path | None, as_json: bool) -> None:
    """What the report says, in a few lines; as JSON, all of it."""
    from icsort.report import page as report

    if as_json:
        console.show_json(found)
        return
    print(f"cells                {found['data']['cells']} ({found['data']['origin']}; {found['data']['part']})")
    print(f"not triggered        {found['not_triggered']}")
    print(f"accuracy             {report.with_interval(found['accuracy'])}")
    print(f"balanced accuracy    {report.with_interval(found['balanced_accuracy'])}")
    if (beside := found.get("beside")) is not None:
        print(f"  without groups     {report.with_interval(beside['balanced_accuracy'])} ({beside['name']})")
        print(f"  drop on new groups {report.with_interval(beside['drop'])}")
    calibration = found["calibration"]
    print(
        f"calibration error    {calibration['error']:.3f} ({calibration['error_before']:.3f} before; by chance up to "
        f"{calibration['error_by_chance']['high']:.3f})"
    )
    if calibration["remark"] is not None:
        print(f"note: {calibration['remark']}")
    pooled = found["gates"][0]
    print(
        f"posterior >= {pooled['posterior']:<8g}{pooled['sorted']} cells, pure {report.with_interval(pooled['purity'])}"
    )
    if found["sample"] is not None:
        print(f"in the sample        accuracy {report.with_interval(found['sample']['accuracy'])}")
        for gate in found["sample"]["gates"][1:]:
            print(f"  {gate['gate']:<19}pure {report.with_interval(gate['purity'])}")
    if out is not None:
        print(f"report               {out / report.PAGE_FILE}")
