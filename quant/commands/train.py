# SPDX-License-Identifier: Apache-2.0
"""`icsort train`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, GroupBy, Json, LabelBy, Limit, Merge, Ray, Seed, choice, out
from icsort.errors import IcsortError
from icsort.quant.commands.networks import (
    ActivationBits,
    Crop,
    Depth,
    FirstBits,
    LastBits,
    ListArchs,
    Reduce,
    Stem,
    WeightBits,
    Width,
    Window,
    arch,
)
from icsort.quant.commands.words import DigitizeOption, named
from icsort.quant.training.recipe import NORMALIZATIONS, PRESETS, SCHEDULES

if TYPE_CHECKING:
    from icsort.quant.cells.find import Dataset

MIN_CLASS = 100


def train(
    out: Annotated[Path, out("Run folder to make.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with labelled cells: a folder or a TIFF stack a class, a sorter's folder, or recorded images. "
            "Without it: the folder in ICSORT_DATA, else ../shared/data, else generated cells."
        ),
    ] = None,
    label_by: LabelBy = None,
    generated: Annotated[bool, typer.Option("--generated", help="Train on generated cells.")] = False,
    limit: Limit = None,
    min_class: Annotated[int, typer.Option(min=1, help="Leave out classes with fewer cells.")] = MIN_CLASS,
    merge: Merge = None,
    group_by: GroupBy = None,
    channels: Annotated[
        str | None, typer.Option(help="Channels to use, by name; or names for those of the data, in order.")
    ] = None,
    digitize: DigitizeOption = None,
    height: Annotated[
        int | None, typer.Option(min=10, max=255, help="Lines of the window; without it, the tallest training cell.")
    ] = None,
    window: Window = "trigger",
    brightest: Annotated[
        float, typer.Option(help="Percentile of a channel's training pixels that becomes 255, the brightest value.")
    ] = 99.9,
    reduce: Reduce = 1,
    crop: Crop = 0,
    normalize: Annotated[
        str,
        choice(
            NORMALIZATIONS,
            "quantile: each image gets the training part's distribution of counts; not in hardware, so that no build "
            "can be made.",
        ),
    ] = "none",
    window_width: Annotated[
        int | None, typer.Option(min=1, max=255, help="Columns of the window; without it, those of the images.")
    ] = None,
    centred: Annotated[
        bool, typer.Option("--centred", help="Put the window's columns about each cell, not always the same.")
    ] = False,
    pre_lines: Annotated[
        int | None, typer.Option(min=0, max=63, help="Lines of the window before the one that triggers (2).")
    ] = None,
    min_lines: Annotated[int, typer.Option(min=1, max=64, help="Events of fewer lines are debris.")] = 1,
    dip: Annotated[
        int,
        typer.Option(
            min=0, max=16, help="Flag as doublet what falls by so many sixteenths between two maxima; 0: none."
        ),
    ] = 0,
    arch: Annotated[str, arch()] = "student",
    width: Width = 1.0,
    depth: Depth = 1.0,
    stem: Stem = "standard",
    float_: Annotated[bool, typer.Option("--float", help="Train in floating point, without quantizers.")] = False,
    weight_bits: WeightBits = 4,
    activation_bits: ActivationBits = 4,
    first_bits: FirstBits = None,
    last_bits: LastBits = None,
    preset: Annotated[
        str, choice(PRESETS, "Recipe; study is the published one, fine-tune follows a run with --float.")
    ] = "quick",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training cells.")] = None,
    batch: Annotated[int | None, typer.Option(help="Cells in a batch, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay of AdamW.")] = None,
    schedule: Annotated[str | None, choice(SCHEDULES, "Learning rate over time.")] = None,
    balance: Annotated[
        float | None, typer.Option(help="Weight of rare classes: 0 as frequent as they are, 1 as if all were equal.")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of a label that all classes get.")] = None,
    turns: Annotated[int | None, typer.Option(help="Orientations in which each training cell is shown.")] = None,
    jitter: Annotated[float | None, typer.Option(help="Standard deviation of a random contrast factor.")] = None,
    average: Annotated[float | None, typer.Option(help="Decay a step of averaged weights; 0: none.")] = None,
    distillation: Annotated[float | None, typer.Option(help="Share of the loss that follows the teacher.")] = None,
    start: Annotated[Path | None, typer.Option(help="Run to begin from, for example a float one.")] = None,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Run whose answers are followed. Repeated: the mean of several.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Begin from a torchvision state dictionary of this architecture.")
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, choice(("auto", "cpu", "cuda"), "Where to train; auto: a GPU where there is one.")] = "auto",
    folds: Annotated[
        int | None,
        typer.Option(min=3, help="Cross-validation: so many trainings, which test every cell once. Goes on by itself."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Folds that train side by side, each in a process.")] = 1,
    ray: Ray = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was killed.")] = False,
    force: Force = False,
    as_json: Json = False,
    _list_archs: ListArchs = False,
) -> None:
    """Train a classifier on labelled cell images, quantized or in floating point.

    Example: icsort train --data images/ --out out/run --arch resnet8 --preset thorough
    """
    from icsort.quant.acquire.choose import Rules
    from icsort.quant.commands.evaluate import print_evaluation
    from icsort.quant.evaluation import evaluation_page
    from icsort.quant.evaluation.evaluate import EVALUATION_FILE
    from icsort.quant.evaluation.folds import evaluate_folds
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.training.folds import train_folds
    from icsort.quant.training.recipe import preset_named
    from icsort.quant.training.train import Sources, train_run
    from icsort.report import page as report

    changes = {
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "balance": balance,
        "label_smoothing": label_smoothing,
        "turns": turns,
        "jitter": jitter,
        "average": average,
        "distillation": distillation,
    }
    if folds is None and (jobs != 1 or ray is not None):
        raise IcsortError(
            "--jobs and --ray are of folds, which train side by side: give --folds too, or leave them out"
        )
    recipe = preset_named(preset).with_(changes)
    architecture = Architecture(arch, width, depth, weight_bits, activation_bits, first_bits, last_bits, stem)
    if float_:
        architecture = architecture.as_float()
    dataset, dropped = _training_cells(
        data, generated, seed, channels, digitize, group_by, merge or [], min_class, label_by or []
    )
    dataset = dataset.reduced(reduce, crop)
    if limit is not None:
        dataset = dataset.limited(limit, seed)
    told = sys.stderr if as_json else sys.stdout
    print(f"{len(dataset.images)} cells: {dataset.origin}", file=told)
    for name, count in dataset.counts().items():
        print(f"  {name:<16}{count:>6}", file=told)
    for name, count in dropped.items():
        print(f"  {name:<16}{count:>6}  left out: fewer than {min_class} (--min-class)", file=told)
    if dataset.passed_over:
        print("\n".join(named("passed over", dataset.passed_over)), file=told)
    for line in _copies(dataset):
        print(line, file=told)
    rules = Rules(window_width, centred, pre_lines, min_lines, dip)
    sources = Sources(start, tuple(teacher or ()), weights)
    if folds is not None:
        every = train_folds(
            dataset,
            out,
            folds,
            recipe,
            architecture,
            sources,
            jobs=jobs,
            ray=ray,
            seed=seed,
            height=height,
            window=window,
            brightest=brightest,
            rules=rules,
            normalize=normalize,
            device=device,
            force=force,
            progress=not as_json,
        )
        figures, decisions = evaluate_folds(every, dataset)
        report.write(out, evaluation_page.page(figures, decisions), EVALUATION_FILE, figures)
        print_evaluation(figures, out, as_json)
        return
    from icsort.formats.background import in_words

    metrics = train_run(
        dataset,
        out,
        recipe,
        architecture,
        sources,
        seed=seed,
        height=height,
        window=window,
        brightest=brightest,
        rules=rules,
        normalize=normalize,
        device=device,
        resume=resume,
        force=force,
        progress=not as_json,
    )
    if not metrics:  # a process that only helped the first
        return
    if as_json:
        console.show_json(metrics)
        return
    test = metrics["test"]
    print(
        f"test part: accuracy {test['accuracy']:.1%}, balanced {test['balanced_accuracy']:.1%}, {test['cells']} cells, "
        f"{test['not_triggered']} never triggered (epoch {metrics['best_epoch']:.0f}, "
        f"{metrics['parameters']} parameters, {metrics['seconds']:.0f} s)"
    )
    if metrics["temperature_remark"] is not None:
        print(f"note: {metrics['temperature_remark']}")
    false_triggers = metrics["false_triggers"]
    print(f"false triggers: {in_words(false_triggers)} and {false_triggers['lines_per_second']:,g} lines/s")
    print(f"run: {out}")


def _copies(dataset: "Dataset") -> list[str]:
    """Which cells are copies of one another; nothing where none is."""
    copies = dataset.copies()
    if not copies:
        return []
    across = sum(len(set(dataset.labels[alike].tolist())) > 1 for alike in copies)
    equal = [" = ".join(dataset.name_of(index) for index in alike.tolist()) for alike in copies]
    note = [f"of these, {across} with more than one label: correct the labels"] if across else []
    return [*named("cells with the same pixels, kept in one part each", equal), *note]


def _training_cells(
    data: Path | None,
    generated: bool,
    seed: int,
    channels: str | None,
    digitize: str | None,
    group_by: str | None,
    merge: list[str],
    min_class: int,
    label_by: list[str],
) -> tuple["Dataset", dict[str, int]]:
    """The cells that the options name, and the classes that were left out with their cells."""
    from icsort.quant.cells.find import find_dataset
    from icsort.quant.commands.words import digitization, parse_merge

    counts = digitization(digitize)
    dataset = find_dataset(data, generated, seed, None, counts, group_by, label_by=label_by)
    if channels is not None:
        names = tuple(name.strip() for name in channels.split(","))
        if dataset.acquisition is not None and names != dataset.channels:
            raise IcsortError(
                f"{dataset.origin}: its channels are {', '.join(dataset.channels)}, which its trigger goes by; leave "
                "--channels out"
            )
        if set(names) <= set(dataset.channels):
            dataset = dataset.with_channels(names)
        else:
            dataset = find_dataset(data, generated, seed, names, counts, group_by)
    return dataset.with_merged_classes(parse_merge(merge)).without_small_classes(min_class)
