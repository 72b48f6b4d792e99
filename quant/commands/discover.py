# SPDX-License-Identifier: Apache-2.0
"""`icsort discover`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Channels, Force, GroupBy, Json, Ray, Seed, out
from icsort.cli.options import count as count_option
from icsort.jobs import job_pool
from icsort.output import result_folder
from icsort.quant.commands.networks import Crop, ListArchs, Reduce, Window, arch
from icsort.quant.commands.words import DigitizeOption, digitization, names


def discover(
    data: Annotated[
        Path, typer.Argument(help="Cells, with labels or without: a folder or a stack that `icsort data info` reads.")
    ],
    out: Annotated[Path, out("Folder to make: report, clusters, labelled cells, run and model package.")],
    clusters: Annotated[
        int | None, typer.Option(help="Number of clusters; without it, that of the greatest silhouette.")
    ] = None,
    outliers: Annotated[
        float, typer.Option(help="Share of the cells, the furthest from all clusters, that are a class of their own.")
    ] = 0.0,
    seeds: Annotated[int, typer.Option(help="Whole searches, from --seed on; the most central one is kept.")] = 5,
    rounds: Annotated[
        int, typer.Option(help="Trainings on the clusters of the one before, at most; 0: clusters of plain features.")
    ] = 4,
    channels: Channels = None,
    sort_by: Annotated[
        str | None,
        typer.Option(help="Channels that the network sorts by, if fewer than those that clusters are found by."),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="Put the cells in one order, as of a cell cycle, that begins here: a group, a class of the data, or a "
            "feature such as 'PI light', where it is least."
        ),
    ] = None,
    order_by: Annotated[
        str | None, typer.Option(help="Channels that the order is made from, if fewer than all that are looked at.")
    ] = None,
    phases: Annotated[
        str | None,
        typer.Option(help="Classes of the data in their known order, separated by commas, to compare the order with."),
    ] = None,
    group_by: GroupBy = None,
    count: Annotated[int, count_option("Cells to look at, at most, drawn with --seed.")] = 20_000,
    window: Window = "trigger",
    reduce: Reduce = 1,
    crop: Crop = 0,
    arch: Annotated[str, arch()] = "student",
    epochs: Annotated[int | None, typer.Option(min=1, help="Of the last training.")] = None,
    digitize: DigitizeOption = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds that are searched side by side, each in a process.")] = 1,
    ray: Ray = None,
    force: Force = False,
    as_json: Json = False,
    _list_archs: ListArchs = False,
) -> None:
    """Find phenotypes without labels, and make the network that sorts them.

    Example: icsort discover images/ --clusters 4 --outliers 0.02 --out out/discovery
    """
    from icsort.quant.discovery import discovery_page
    from icsort.quant.discovery.discover import DISCOVERY_FILE, PACKAGE_FOLDER, Plan, read_cells
    from icsort.quant.discovery.discover import discover as find_clusters
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.training.recipe import Recipe
    from icsort.report import page as report

    plan = Plan(
        clusters,
        seeds,
        rounds,
        outliers,
        Architecture(arch),
        Recipe().with_({"epochs": epochs}),
        tuple(names(sort_by) or ()),
        root,
        tuple(names(order_by) or ()),
        tuple(names(phases) or ()),
        window,
    )
    with (
        job_pool(jobs, ray) as pool,
        result_folder(out, DISCOVERY_FILE, force) as folder,
        console.progress("discover", not as_json) as told,
    ):
        cells = read_cells(data, names(channels), digitization(digitize), group_by, count, seed).reduced(reduce, crop)
        figures, discovery = find_clusters(cells, folder, plan, seed=seed, pool=pool, progress=told)
        report.write(folder, discovery_page.page(figures, discovery), DISCOVERY_FILE, figures)
    for notice in discovery_page.notices(figures):
        console.warn(notice)
    if as_json:
        console.show_json(figures)
        return
    for entry in figures["clusters"]:
        telling = ", ".join(feature["feature"] for feature in entry["features"][:3])
        console.show(f"{entry['name']:<12}{entry['cells']:>8} cells, told by {telling}")
    stability, score, test = figures["stability"], figures["score"], figures["network"]["test"]
    if stability["mean"] is not None:
        console.show(
            f"stability            {stability['mean']:.3f} (adjusted Rand index of {stability['seeds']} seeds)"
        )
    console.show(
        f"recognized           {report.percent(test['balanced_accuracy'])} of each class, {test['cells']} unseen cells"
    )
    if score is not None:
        console.show(
            f"against the labels   {score['rand']:.3f} (adjusted Rand index; pixels and k-means: "
            f"{score['rand_of_pixels']:.3f})"
        )
        if score["package_on_unseen_cells"] is not None:
            unseen = score["package_on_unseen_cells"]
            console.show(f"  of the package     {unseen['rand']:.3f}, {unseen['cells']} unseen cells")
    if (ordered := figures["order"]) is not None:
        strongest = ", ".join(f"{each['feature']} {each['spearman']:.2f}" for each in ordered["features"][:3])
        console.show(f"order                from {ordered['root']}; goes with {strongest} (Spearman)")
        for each in ordered["phases"]["by"] if ordered["phases"] else ():
            console.show(f"  {each['name']}: Spearman {each['spearman']:.3f}, Kendall {each['kendall']:.3f}, of phases")
    console.show(f"package              {out / PACKAGE_FOLDER}", f"report               {out / report.PAGE_FILE}")
