# SPDX-License-Identifier: Apache-2.0
"""The command `icsort study`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json, Ray, Seed, out
from icsort.errors import IcsortError
from icsort.quant.commands.networks import STEM, ListArchs, Window, arch


@dataclass(frozen=True)
class Scale:
    """Size of a study on generated cells: of each class, pixels of a side, epochs, width, stem
    (networks.architectures)."""

    per_class: int
    size: int
    epochs: int
    width: float
    stem: str


NIGHT = Scale(per_class=400, size=32, epochs=40, width=0.25, stem="3x3")  # of one CPU
FULL = Scale(per_class=8590, size=64, epochs=50, width=1.0, stem="standard")  # the study's 309,254 cells; a GPU


def study(
    out: Annotated[Path, out("Folder of the study; an interrupted one goes on where it was.")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled cells, any folder that `icsort train` reads; without it, generated.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="At the study's own size, for a GPU.")] = False,
    per_class: Annotated[int | None, typer.Option(min=10, help="Generated cells of each class.")] = None,
    size: Annotated[int | None, typer.Option(min=32, max=255, help="Side of the generated images.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training cells.")] = None,
    width: Annotated[float | None, typer.Option(help="Factor of the number of features of every layer.")] = None,
    stem: Annotated[str | None, STEM] = None,
    arch: Annotated[list[str] | None, arch()] = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(help="A set of channels, names separated by commas; may be repeated, the richest first."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="ARCH=FILE: train also from these weights, of natural images or a run; may be repeated."),
    ] = None,
    window: Window = "image",
    timed: Annotated[int, typer.Option(min=1, help="Random inputs of the inference time.")] = 10_000,
    build: Annotated[list[Path] | None, typer.Option(help="Build whose times to lay beside; may be repeated.")] = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings side by side, each in a process.")] = 1,
    ray: Ray = None,
    as_json: Json = False,
    _list_archs: ListArchs = False,
) -> None:
    """Repeat the image-enabled-cell-sorting study: ResNets and MobileNetV2 on 7, 3 and 1 channels.

    With the time that each takes. Sized for a night of one CPU; --full is the study's size.

    Example: icsort study --out out/study
    """
    from icsort.quant.cells.find import read_folder
    from icsort.quant.study import study_page as study_report
    from icsort.quant.study.study import ARCHITECTURES, STUDY_FILE, Plan, default_channels, generated_cells, run_study
    from icsort.report import page as report

    scale = FULL if full else NIGHT
    if data is None:
        dataset = generated_cells(per_class or scale.per_class, size or scale.size, seed)
    else:
        dataset, _ = read_folder(data).without_small_classes()
    sets = [tuple(name.strip() for name in names.split(",")) for names in channels or []]
    plan = Plan(
        channel_sets=tuple(sets) or default_channels(dataset.channels),
        architectures=tuple(arch or ARCHITECTURES),
        weights=weight_files(weights or []),
        width_multiplier=width or scale.width,
        stem=stem or scale.stem,
        epochs=epochs or scale.epochs,
        window=window,
        seed=seed,
        timed=timed,
    )
    found = run_study(dataset, out, plan, build or [], jobs, ray)
    report.write(out, study_report.page(found), STUDY_FILE, found)
    if as_json:
        console.show_json(found)
        return
    for result in found["results"]:
        time = result["inference"]
        print(
            f"{result['name']:<36}{report.with_interval(result['balanced_accuracy']):<30}"
            f"{time['mean_ms']:8.3f} ± {time['deviation_ms']:.3f} ms"
        )
    holding = sum(claim["holds"] for claim in found["claims"])
    print(f"{holding} of {len(found['claims'])} comparisons come out in the study's order")
    print(f"report: {out / report.PAGE_FILE}")


def weight_files(words: list[str]) -> dict[str, str]:
    """ARCH=FILE, each to a name and an existing file. Raises IcsortError for anything else."""
    found = {}
    for word in words:
        name, equal, file = word.partition("=")
        if not equal or not name:
            raise IcsortError(f"--weights {word}: write it as ARCH=FILE, such as resnet18=resnet18.pth")
        if not Path(file).is_file():
            raise IcsortError(f"{file}: there is no such file of weights; correct --weights")
        found[name] = file
    return found
