# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from icsort.cli.options import BuildArgument, Force, Json, OptionalCount, Rate, Seed, out
from icsort.errors import IcsortError
from icsort.formats.background import CELLS_PER_SECOND
from icsort.sim.simulate.images import generated_images, load_images
from icsort.sim.simulate.lines import flow, load_cells

if TYPE_CHECKING:
    from icsort.formats.build import Build

GENERATED_IMAGES = 4


def simulate(
    build: BuildArgument,
    cells: Annotated[
        Path | None,
        typer.Option(help="Held-out cells (heldout.npz of the training run) for the whole sorter."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Images for the network alone: .npy, uint8 (N, H, W, C).")] = None,
    net_only: Annotated[
        bool, typer.Option("--net-only", help="Give the cells' events to the network alone, without the sorter.")
    ] = False,
    count: OptionalCount = None,
    rate: Rate = CELLS_PER_SECOND,
    line_gap: Annotated[
        int | None,
        typer.Option(min=0, help="Idle cycles behind each line; for the network alone as the build expects lines."),
    ] = None,
    stalls: Annotated[
        int, typer.Option(min=0, help="Network alone: as many more runs, input and output stopped at random.")
    ] = 0,
    seed: Seed = 0,
    out: Annotated[
        Path | None, out("Network alone: folder to make, with layers.png, layers.svg, simulation.json.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run cells through the RTL and compare every logit with the QONNX model and with FINN's graph.

    With --cells through the whole sorter; else images through the network alone, with what every layer and FIFO did;
    images are generated where none are given. --count takes the first; each run of --stalls has a seed one higher. Ends
    with code 1 where a logit differs.

    Examples: icsort simulate out/build --cells out/run/heldout.npz; icsort simulate out/build --count 4 --stalls 100
    """
    from icsort.formats.build import load_build
    from icsort.sim.simulate import present

    loaded = load_build(build)
    if cells and images:
        raise IcsortError("--cells and --images exclude each other: give one")
    if cells and not net_only:
        if stalls or out:
            raise IcsortError("--stalls and --out are of the network alone: add --net-only")
        equal = present.sorter(loaded, load_cells(cells, loaded.manifest, count), rate, line_gap or 0, as_json)
    else:
        equal = present.network(
            loaded,
            network_images(loaded, cells, images, count),
            line_gap=line_gap,
            stall_runs=stalls,
            seed=seed,
            out=out,
            force=force,
            as_json=as_json,
        )
    if not equal:
        raise typer.Exit(1)


def network_images(build: "Build", cells: Path | None, images: Path | None, count: int | None) -> NDArray[np.uint8]:
    """Images (N, H, W, C) uint8: the events of held-out cells, a file's, or generated ones. Raises IcsortError."""
    shape = build.manifest.input
    if cells:
        return flow(load_cells(cells, build.manifest, count), build.manifest).pixels
    if images:
        return load_images(images, shape, count)
    return generated_images(shape, count or GENERATED_IMAGES)
