# SPDX-License-Identifier: Apache-2.0
"""icsort from Python: what the commands do, as functions that take and return objects.

    import icsort

    icsort.train("images", "out/run", preset="quick")
    icsort.export("out/run", "out/package")
    build = icsort.compile("out/package", "out/build", board="zcu104", rate=15_000)
    assert icsort.simulate(build, "out/run/heldout.npz").equal

All raise `icsort.errors.IcsortError`, with a message of one line, where the command ends with code 2; what they write
appears whole or not at all. Each imports what it needs when it is called; the extras are those of the commands.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from icsort.formats.build import Build
    from icsort.formats.fill import Fill
    from icsort.formats.package import Manifest
    from icsort.host.async_sorter import AsyncSorter
    from icsort.host.sorter import Sorter
    from icsort.own_network import Packaged
    from icsort.sim.simulate.network import NetSimulation
    from icsort.sim.simulate.sorter import Simulation
    from icsort.sim.verilator.board import VirtualBoard

AnyPath = str | PathLike[str]


def train(
    data: AnyPath | None,
    out: AnyPath,
    *,
    arch: str = "student",
    preset: str = "quick",
    epochs: int | None = None,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Train a classifier on labelled cells; the run is the folder `out`. Returns its metrics.

    data: a folder that `icsort data info` reads; None: generated cells. arch: as `icsort train --list-archs` names it,
    4-bit weights and activations. preset: the recipe; epochs: instead of the recipe's. Other widths, bits and recipes:
    `icsort.quant.training.train.train_run`. Needs icsort[quant].
    """
    from icsort.quant.cells.find import find_dataset
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.training.recipe import preset_named
    from icsort.quant.training.train import train_run

    dataset = find_dataset(None if data is None else Path(data), generated=data is None, seed=seed)
    recipe = preset_named(preset).with_({"epochs": epochs})
    return train_run(dataset, Path(out), recipe, Architecture(arch), seed=seed, force=force)


def export(run: AnyPath, out: AnyPath, *, name: str | None = None, force: bool = False) -> "Manifest":
    """Export a run to the model package `out`: a QONNX file and the manifest, which is returned.

    name: of the model; the run's without one. Needs icsort[quant].
    """
    from icsort.quant.packaging.export import export_package

    return export_package(Path(run), Path(out), name, force)


def package(
    model: "torch.nn.Module | AnyPath",
    out: AnyPath,
    *,
    classes: Sequence[str],
    shape: tuple[int, int, int] | None = None,
    channels: Sequence[str] = (),
    input_scale: float | None = None,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    cells: AnyPath | None = None,
    name: str | None = None,
    force: bool = False,
) -> "Packaged":
    """A model package of a network of one's own, which becomes the folder `out`.

    model: a QONNX file, or a Brevitas module in evaluation mode, then with the `shape` (C, H, W) of its input. classes:
    a name for each logit. input_scale: what a step of a pixel, 0..255, is worth to a network that takes floats, as
    1/255; mean, deviation: what is then taken off and divided by, one or one a channel. channels: their names. cells:
    a folder of labelled images that set trigger, preprocessing and temperature; without them nothing is ever sorted.
    name: of the model. Needs icsort[quant,hw].
    """
    from icsort.own_network import package as make_package

    source = Path(model) if isinstance(model, str | PathLike) else model
    return make_package(
        source,
        Path(out),
        classes=classes,
        shape=shape,
        channels=channels,
        input_scale=input_scale,
        mean=mean,
        deviation=deviation,
        cells=None if cells is None else Path(cells),
        name=name,
        force=force,
    )


def classify(
    package: AnyPath,
    data: AnyPath,
    out: AnyPath,
    *,
    channels: Sequence[str] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Class, posteriors and logits of cells without labels, in the FPGA's integers; the table is the CSV file `out`.

    data: a folder or a stack that `icsort data info` reads. channels: their names, where the files have none. Returns
    the summary that `icsort classify --json` prints. A table in memory, digitization: icsort.quant.evaluation.classify.
    Needs icsort[quant].
    """
    from icsort.quant.evaluation.classify import classify as write_table

    return write_table(Path(package), Path(data), Path(out), channels=channels, force=force)


def stain(
    data: AnyPath,
    out: AnyPath,
    *,
    inputs: Sequence[str],
    to: str,
    folds: int = 5,
    window: str = "trigger",
    image: bool = True,
    jobs: int = 1,
    ray: str | None = None,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Predict the total of the stain `to` from the channels `inputs`, and draw its image; the folder `out` has reports
    and packages, whose output gates use like a feature. Returns what `icsort stain --json` prints.

    data: cells, labelled or not, that `icsort data info` reads. window: "trigger" cuts cells out of the background
    around them, "image" takes each image as it is. image: also the image, by a float network. jobs: folds side by side,
    ray: on the cluster at this address. An interrupted one goes on where it was. Other networks and recipes:
    `icsort.quant.stain.stain.predict_stain`. Needs icsort[quant].
    """
    from icsort.quant.cells.dataset import concatenate
    from icsort.quant.cells.find import read_pieces
    from icsort.quant.stain import stain_page
    from icsort.quant.stain.stain import IMAGE_EPOCHS, predict_stain

    cells = concatenate(read_pieces(Path(data), size=None, labelled=False))
    epochs = IMAGE_EPOCHS if image else 0
    options: dict[str, Any] = {"window": window, "jobs": jobs, "ray": ray, "seed": seed, "force": force}
    found = predict_stain(cells, inputs, to, Path(out), folds=folds, image_epochs=epochs, progress=False, **options)
    stain_page.write(Path(out), found)
    return found.figures


def stain_field(
    data: AnyPath, out: AnyPath, *, inputs: Sequence[str], to: str, seed: int = 0, force: bool = False
) -> dict[str, Any]:
    """Draw the stain `to` of a whole field of view from the channels `inputs`; planes and report are the folder `out`.

    data: a folder of pictures of one field, one a channel. Returns what `icsort stain --field --json` prints. Other
    tiles: `icsort.quant.stain.field_page.stain_field`. Needs icsort[quant].
    """
    from icsort.quant.stain.field_page import stain_field as draw

    return draw(Path(data), inputs, to, Path(out), seed=seed, force=force, progress=False)


def discover(
    data: AnyPath,
    out: AnyPath,
    *,
    clusters: int | None = None,
    outliers: float = 0.0,
    seeds: int = 5,
    rounds: int = 4,
    channels: Sequence[str] | None = None,
    sort_by: Sequence[str] | None = None,
    root: str | None = None,
    order_by: Sequence[str] | None = None,
    phases: Sequence[str] | None = None,
    group_by: str | None = None,
    seed: int = 0,
    jobs: int = 1,
    ray: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Find phenotypes without labels: clusters, and the package that sorts by them, in the folder `out`.

    data: a folder or a stack that `icsort data info` reads. clusters: how many; None: by the silhouette. outliers:
    share of the cells, the furthest from all clusters, that are a class. seeds, rounds: whole searches, and trainings
    in each. channels: to look at, all without; sort_by: those of them that the network sees. root: where an
    order of the cells begins (a group, a class, a feature), None: no order; order_by: channels that it is made from,
    phases: classes in the order that it is compared with. group_by: as for `icsort train`, the conditions that are
    compared. jobs: seeds side by side, ray: on the cluster at this address. Returns the report. Needs icsort[quant].
    """
    from icsort.jobs import job_pool
    from icsort.output import result_folder
    from icsort.quant.discovery import discovery_page
    from icsort.quant.discovery.discover import DISCOVERY_FILE, Plan, read_cells
    from icsort.quant.discovery.discover import discover as find_clusters
    from icsort.report import page as report

    plan = Plan(
        clusters,
        seeds,
        rounds,
        outliers,
        sort_by=tuple(sort_by or ()),
        root=root,
        order_by=tuple(order_by or ()),
        phases=tuple(phases or ()),
    )
    with job_pool(jobs, ray) as pool, result_folder(Path(out), DISCOVERY_FILE, force) as folder:
        cells = read_cells(Path(data), channels, group_by=group_by, seed=seed)
        figures, discovery = find_clusters(cells, folder, plan, seed=seed, pool=pool)
        report.write(folder, discovery_page.page(figures, discovery), DISCOVERY_FILE, figures)
    return figures


def respond(
    data: AnyPath,
    out: AnyPath,
    *,
    label_by: str | None = None,
    group_by: str | None = None,
    vote_by: str | None = None,
    table: AnyPath | None = None,
    measure: bool = False,
    without: str | None = None,
    masks: AnyPath | None = None,
    controls: Sequence[str] = (),
    channels: Sequence[str] | None = None,
    folds: int | None = None,
    members: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    ray: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Tell the response of cells to a treatment from image, mask, distance map and features; the report is `out`.

    data: what `icsort data info` reads. label_by, group_by, vote_by, table, measure, without, masks, channels, folds,
    members, epochs, jobs, ray: as `icsort respond --help` says of them. controls: classes that are downsampled; treated
    cells are checked against the first. Returns what `icsort respond --json` prints; more options, and the decisions of
    every cell: `icsort.quant.response.respond`. Needs icsort[quant].
    """
    from icsort.output import result_folder
    from icsort.quant.cells.find import read_folder
    from icsort.quant.response import response_page
    from icsort.quant.response.fit import Plan
    from icsort.quant.response.respond import RESPONSE_FILE
    from icsort.quant.response.respond import respond as run

    plan = Plan(members=members) if epochs is None else Plan(members=members, epochs=epochs)
    with result_folder(Path(out), RESPONSE_FILE, force) as folder:
        dataset = read_folder(Path(data), channels, group_by=group_by, label_by=[label_by] if label_by else [])
        figures, response = run(
            dataset,
            table=None if table is None else Path(table),
            measure=measure,
            without=without,
            masks=None if masks is None else Path(masks),
            vote_by=vote_by,
            controls=controls,
            folds=folds,
            plan=plan,
            seed=seed,
            jobs=jobs,
            ray=ray,
        )
        response_page.write(folder, figures, response)
    return figures


def track(
    movie: AnyPath,
    out: AnyPath,
    *,
    masks: AnyPath | None = None,
    truth: AnyPath | None = None,
    cost: str = "simulated",
    missing: int | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Follow the cells of a movie; lineage and report are the folder `out`. Returns what `icsort track --json` prints.

    movie, masks: folders of TIFFs, a frame each, or one TIFF; without masks bright nuclei are found. truth: the TRA
    folder of the Cell Tracking Challenge, to score against. cost: "motion", "simulated" or a file of `track_cost`.
    missing: frames that a cell may be away; None: 2, and 0 with masks. Cells, links and tracks in memory:
    icsort.quant.tracking.assign.link. Needs icsort[quant], scores and GEFF icsort[track].
    """
    from icsort.quant.tracking.track import track as follow

    return follow(
        Path(movie),
        Path(out),
        masks=None if masks is None else Path(masks),
        truth=None if truth is None else Path(truth),
        cost=cost,
        missing=missing,
        force=force,
    )


def track_cost(movie: AnyPath, truth: AnyPath, out: AnyPath, *, seed: int = 0, force: bool = False) -> dict[str, Any]:
    """Learn a cost for `track`, the file `out`, from a movie and its truth. Returns what taught it.

    truth: the TRA folder of the Cell Tracking Challenge. Needs icsort[quant].
    """
    from icsort.quant.tracking.track import train_cost

    return train_cost(Path(movie), Path(truth), Path(out), seed=seed, force=force)


def fate(
    movie: AnyPath,
    out: AnyPath,
    *,
    tracks: AnyPath | None = None,
    split: int | None = None,
    ahead: int = 10,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Foresee which cells of a movie divide within 1 to `ahead` frames, and when; the report is the folder `out`.

    movie: a folder of TIFFs, a frame each, or one TIFF. tracks: a folder of `track`, or the TRA folder of the Cell
    Tracking Challenge; None: the cells are followed here. split: first frame of the part that is tested, all before it
    teaches; None: the middle. Returns what `icsort fate --json` prints; the risk of every cell:
    icsort.quant.fate.fate.fate. Needs icsort[quant].
    """
    from icsort.output import result_folder
    from icsort.quant.fate import fate_page
    from icsort.quant.fate.fate import FATE_FILE
    from icsort.quant.fate.fate import fate as foresee
    from icsort.quant.fate.fit import Plan

    with result_folder(Path(out), FATE_FILE, force) as folder:
        found = None if tracks is None else Path(tracks)
        figures, result = foresee(Path(movie), found, split=split, plan=Plan(ahead), seed=seed)
        fate_page.write(folder, figures, result)
    return figures


def compile(  # noqa: A001
    package: AnyPath,
    out: AnyPath,
    *,
    board: str = "virtual",
    rate: float | None = None,
    fill: "Fill" = 1.0,
    all_in: bool = False,
    force: bool = False,
) -> "Build":
    """Compile a model package into SystemVerilog for a board; the build is the folder `out`.

    board: as `icsort compile --list-boards` names it, or a folder with a board.json. rate: cells a second to keep up
    with; None: a pixel each cycle. fill: share of the board that the network may take, or shares by
    resource, such as {"all": 0.3, "DSP": 0.7}; all_in: all that
    gains a cycle, not up to the knee alone. Needs icsort[hw].
    """
    from icsort.hw.compile import compile_package

    return compile_package(Path(package), Path(out), board=board, rate=rate, fill=fill, all_in=all_in, force=force)


def simulate(
    build: "Build | AnyPath",
    cells: AnyPath | None = None,
    *,
    images: "NDArray[np.uint8] | None" = None,
    count: int | None = None,
    stalls: int = 0,
    seed: int = 0,
) -> "Simulation | NetSimulation":
    """Run cells through the whole sorter's RTL, or images through the network's alone, against both references.

    cells: the heldout.npz of a run. images: (N, H, W, C) uint8, preprocessed, instead of cells. count: take only so
    many. stalls: as many more runs of the network alone, stopped at random, with seeds from `seed` on. The result's
    `equal` says whether every logit is that of the QONNX model and of FINN's graph. Needs icsort[sim].
    """
    from icsort.errors import IcsortError

    loaded = _build(build)
    if (cells is None) == (images is None):
        raise IcsortError("simulate takes either cells (a heldout.npz) or images (an array): give one")
    if images is not None:
        from icsort.sim.simulate.network import simulate_net

        return simulate_net(loaded, images[:count], stall_runs=stalls, seed=seed)[0]
    from icsort.sim.simulate.lines import load_cells
    from icsort.sim.simulate.sorter import simulate as simulate_sorter

    if stalls:
        raise IcsortError("stalls are of the network alone: give images instead of cells")
    return simulate_sorter(loaded, load_cells(Path(str(cells)), loaded.manifest, count))


def board(
    build: "Build | AnyPath", cells: AnyPath, port: AnyPath, *, rate: float | None = None
) -> "AbstractContextManager[VirtualBoard]":
    """A virtual board for a `with` block: the real RTL behind the serial port `port`, a symbolic link that it makes.

    Cells of the heldout.npz `cells` flow, `rate` a second, once the board is armed. Needs icsort[sim].
    """
    from icsort.formats.background import CELLS_PER_SECOND
    from icsort.sim.simulate.lines import flow_past, load_cells
    from icsort.sim.verilator.board import virtual_board

    loaded = _build(build)
    stream = flow_past(loaded, load_cells(Path(cells), loaded.manifest), rate or CELLS_PER_SECOND)
    return virtual_board(loaded, stream.lines, Path(port))


def connect(port: str | None = None, *, timeout: float = 1.0) -> "Sorter":
    """The board at a serial port, for a `with` block: identify, set gates, arm, listen to events.

    port: a serial one, or on the processor beside the sorter `pynq://` and the path of the overlay; None for that of
    ICSORT_PORT, of `icsort.toml`, or the only one at which a board answers. Where another program has it open, that one
    lets this through; docs/session.md says who may do what. timeout: seconds of silence after which a request is
    repeated. Virtual boards and real ones are the same. Needs nothing but icsort itself, and PYNQ for an overlay.
    """
    from icsort.host.session import connect as connect_to

    return connect_to(port, timeout=timeout)


def connect_async(port: str | None = None, *, timeout: float = 1.0) -> "AsyncSorter":
    """The board at a serial port, for an `async with` block; port and timeout as of `connect`.

        from icsort.host.sorter import Sorter

        async with icsort.connect_async() as board:
            print(await board.call(Sorter.identify))
            with board.events() as events:
                async for message in events:
                    ...

    A thread has the sorter: `call` asks it for whatever a `Sorter` does; `events` gives each listener all messages, and
    one that is too slow the count of those that it had no room for (`dropped`); `disarm` waits for nobody. All of it
    may be cancelled at any time. The end of the block disarms what was armed in it.
    """
    from icsort.host.async_sorter import AsyncSorter
    from icsort.host.session import connect as connect_to

    return AsyncSorter(lambda: connect_to(port, timeout=timeout))


def _build(build: "Build | AnyPath") -> "Build":
    from icsort.formats.build import Build, load_build

    return build if isinstance(build, Build) else load_build(Path(build))
