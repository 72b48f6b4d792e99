# SPDX-License-Identifier: Apache-2.0
"""The commands `icsort data`: look at a set of cells, convert it to shards, generate one, measure the loader."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Force, GroupBy, Json, LabelBy, Seed
from icsort.cli.options import out as out_option
from icsort.quant.commands.words import DigitizeOption, UnreadableOption, digitization, named, names

if TYPE_CHECKING:
    from icsort.quant.cells.dataset import Dataset

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at sets of cell images, convert them to shards, generate cells, measure the loader.",
)

FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder of cells: a sorter's folder, images in a folder a class, class stacks, shards, or images without "
        "labels; or one stack."
    ),
]
MinClassOption = Annotated[int, typer.Option(min=1, help="Classes with fewer images are dropped.")]
REPORT_FILE = "data.json"
PLOT_FILE = "classes.png"


@app.command()
def info(
    folder: FolderArgument,
    channels: Channels = None,
    digitize: DigitizeOption = None,
    group_by: GroupBy = None,
    label_by: LabelBy = None,
    min_class: MinClassOption = 100,
    out: Annotated[Path | None, out_option("Report folder to make: data.json, classes.png.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Say what is in a set, with labels or without: classes, sizes, value ranges, duplicates, what is not read.

    Example: icsort data info images/ --out out/data
    """
    from icsort.output import result_folder
    from icsort.quant.cells.find import read_pieces
    from icsort.quant.cells.inspection import inspect, plot_classes

    pieces = read_pieces(
        folder, names(channels), digitization(digitize), group_by, unreadable="skip", labelled=False, one_type=False,
        label_by=label_by or (),
    )  # fmt: skip
    with console.progress("info") as progress:
        inspection = inspect(_counted(pieces, progress), min_class)
    if out is not None:
        with result_folder(out, REPORT_FILE, force) as report:
            (report / REPORT_FILE).write_text(json.dumps(inspection, indent=1) + "\n", encoding="utf-8")
            if inspection["classes"]:
                plot_classes(inspection["classes"], min_class, report / PLOT_FILE)
    if as_json:
        console.show_json(inspection)
        return
    console.show(*_lines(inspection, min_class))


@app.command()
def convert(
    folder: FolderArgument,
    out: Annotated[Path, out_option("Folder of shards to make.")],
    channels: Channels = None,
    digitize: DigitizeOption = None,
    group_by: GroupBy = None,
    label_by: LabelBy = None,
    unreadable: UnreadableOption = "refuse",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Convert a set to shards, the format for large sets; memory holds a few thousand cells at a time.

    Example: icsort data convert run/ --out out/shards
    """
    from icsort.quant.cells.find import read_pieces
    from icsort.quant.cells.readers.reading import unreadable_choice
    from icsort.quant.cells.readers.shards import write_shards

    skipped: list[str] = []
    passed_over: list[str] = []
    unlabelled = 0

    def pieces() -> Iterator["Dataset"]:
        nonlocal unlabelled
        choice = unreadable_choice(unreadable)
        for piece in read_pieces(
            folder, names(channels), digitization(digitize), group_by, choice, labelled=False, label_by=label_by or ()
        ):
            skipped.extend(piece.skipped)
            passed_over.extend(piece.passed_over)
            unlabelled += int((piece.labels < 0).sum())
            yield piece

    with console.progress("convert") as progress:
        manifest = write_shards(out, _counted(pieces(), progress), force)
    if as_json:
        console.show_json(manifest | {"unlabelled": unlabelled, "unreadable": skipped, "passed_over": passed_over})
        return
    for what, lines in (("unreadable, left out", skipped), ("passed over", passed_over)):
        if lines:
            console.show(*named(what, lines))
    without = f", {unlabelled} without a label" if unlabelled else ""
    shards = len(manifest["shards"]) - 1
    console.show(f"{manifest['cells']} cells of {len(manifest['classes'])} classes{without}, {shards} shards")
    console.show(f"shards: {out}")


@app.command()
def cells(
    folder: FolderArgument,
    package: Annotated[Path, typer.Option(help="Model package for whose sorter they are.")],
    out: Annotated[Path, out_option("File of cells to make, .npz.")],
    channels: Channels = None,
    digitize: DigitizeOption = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a file of cells for `icsort board` and `simulate`, such as a sorter's own events, with labels or without.

    Example: icsort data cells sorted/ --package out/package --out out/cells.npz
    """
    from icsort.quant.acquire.cells_file import write_cells

    made = write_cells(folder, package, out, names(channels), digitization(digitize), force)
    labelled = int((made.labels >= 0).sum())
    if as_json:
        console.show_json({"cells": len(made.images), "labelled": labelled, "background": len(made.background.lines)})
        return
    console.show(
        f"{len(made.images)} cells, {labelled} of them labelled, {len(made.background.lines)} lines between them"
    )
    console.show(f"cells: {out}")


@app.command()
def generate(
    out: Annotated[Path, out_option("Folder of shards to make.")],
    per_class: Annotated[int, typer.Option(min=1, help="Cells of each class.")] = 100,
    classes: Annotated[int, typer.Option(min=2, max=36, help="How many of the 36 classes, from the first on.")] = 36,
    size: Annotated[int, typer.Option(min=8, max=512, help="Lines of an image.")] = 64,
    columns: Annotated[int | None, typer.Option(min=8, max=512, help="Pixels of a line; without it, --size.")] = None,
    pixel_um: Annotated[float, typer.Option(min=0.05, max=5.0, help="Pitch of pixels and lines in micrometres.")] = 0.5,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Generate cells with a physical model of the microscope: seven channels, up to 36 classes.

    Example: icsort data generate --per-class 1000 --out out/generated
    """
    import time
    from itertools import islice

    from icsort.quant.cells.readers.shards import write_shards
    from icsort.quant.synthetic.fire import Instrument
    from icsort.quant.synthetic.generate import generate as cells
    from icsort.quant.synthetic.study_kinds import KINDS

    kinds = dict(islice(KINDS.items(), classes))
    instrument = Instrument(columns=columns or size, pixel_um=pixel_um)
    began = time.process_time()
    manifest = write_shards(out, cells(kinds, per_class, size, instrument, seed), force)
    speed = manifest["cells"] / (time.process_time() - began)
    if as_json:
        console.show_json(manifest)
        return
    console.show(f"{manifest['cells']} cells of {classes} classes, {speed:.0f} cells a second of processor time")
    console.show(f"shards: {out}")


@app.command()
def benchmark(
    shards: Annotated[Path, typer.Argument(help="Folder of shards.")],
    images: Annotated[int, typer.Option(min=1, help="Images to load; the set is passed as often as needed.")] = 100_000,
    batch: Annotated[int, typer.Option(min=1, help="Images a batch.")] = 32,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 loads in this one.")] = 0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Load shuffled batches and print images a second and memory, ten times on the way.

    Example: icsort data benchmark out/shards --images 1000000
    """
    from icsort.quant.cells.stream import measure

    rows = []
    for row in measure(shards, images, batch, workers, seed):
        rows.append(row)
        if not as_json:
            console.show(
                f"{row['images']:>10} images  {row['images_per_second']:>8.0f} images/s  {row['rss_mb']:>7.0f} MB"
            )
    if as_json:
        console.show_json(rows)


def _counted(pieces: Iterable["Dataset"], progress: console.Progress) -> Iterator["Dataset"]:
    """The pieces, with the cells so far as progress."""
    cells = 0
    for piece in pieces:
        yield piece
        cells += len(piece.labels)
        progress(f"{cells:,} cells")


def _lines(inspection: dict[str, Any], min_class: int) -> list[str]:
    """What `info` prints."""
    heights = [int(height) for height in inspection["heights"]]
    tall = f"{heights[0]}" if len(heights) == 1 else f"{heights[0]} to {heights[-1]}"
    lines = [
        f"{inspection['cells']} cells: {inspection['origin']}",
        f"size: {tall} lines of {inspection['width']} pixels",
    ]
    if inspection["classes"]:
        lines.append("classes:")
        lines += [f"  {name:<24}{count:>8}" for name, count in inspection["classes"].items()]
    if inspection["unlabelled"]:
        lines.append(f"without a label: {inspection['unlabelled']} cells, which `icsort classify` takes")
    if inspection["small_classes"]:
        small = ", ".join(inspection["small_classes"])
        lines.append(f"under {min_class} cells, dropped in training unless --min-class says otherwise: {small}")
    lines.append("channels (raw counts):")
    for channel in inspection["channels"]:
        same = f", the same pixels as {channel['same_as']}" if channel["same_as"] else ""
        saturated = f", {channel['saturated_pixels']} pixels at full scale" if channel["saturated_pixels"] else ""
        lines.append(
            f"  {channel['name']:<24}{channel['minimum']:>6} to {channel['maximum']:>5}, mean {channel['mean']:.1f}, "
            f"standard deviation {channel['standard_deviation']:.1f}{saturated}{same}"
        )
    types = inspection["pixel_types"]
    if types:
        kinds = ", ".join(f"{kind} ({entry['cells']} cells)" for kind, entry in types.items())
        lines.append(f"stored as: {kinds}")
    if len(types) > 1:
        of_class = "; ".join(f"{kind}: {', '.join(entry['classes'])}" for kind, entry in types.items())
        lines.append(f"differing types, refused in training: the same light gives other counts ({of_class})")
    if inspection["groups"]:
        sizes = inspection["groups"].values()
        lines.append(f"groups: {len(sizes)}, of {min(sizes)} to {max(sizes)} cells")
    if inspection["parameters"]:
        lines.append(f"the instrument's own figures: {len(inspection['parameters'])} a cell")
    lines += named("duplicates", [" = ".join(entry["cells"]) for entry in inspection["duplicates"]])
    across = sum(len(entry["classes"]) > 1 for entry in inspection["duplicates"])
    if across:
        lines.append(f"of these, {across} with more than one label")
    return [*lines, *named("unreadable", inspection["unreadable"]), *named("passed over", inspection["passed_over"])]
