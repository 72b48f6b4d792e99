# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`, `icsort board`, `icsort demo`, `icsort benchmark` and `icsort search`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.sim.simulate.images import generated_images, load_images
from icsort.sim.simulate.lines import CELLS_PER_SECOND, flow, load_cells

if TYPE_CHECKING:
    from icsort.hw.compile import Build

GENERATED_IMAGES = 4

BuildArgument = Annotated[Path, typer.Argument(help="Build folder made by `icsort compile`.")]
CellsOption = Annotated[Path, typer.Option(help="Held-out cells: heldout.npz of the training run.")]
RateOption = Annotated[float, typer.Option(min=1, help="Cells per second, at the board's clock.")]
GapOption = Annotated[int, typer.Option(min=0, help="Idle cycles behind each line of the stream.")]


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
    count: Annotated[
        int | None, typer.Option(min=1, help="Take only the first COUNT cells or images; as many are generated.")
    ] = None,
    rate: RateOption = CELLS_PER_SECOND,
    line_gap: Annotated[
        int | None,
        typer.Option(min=0, help="Idle cycles behind each line; for the network alone as the build expects lines."),
    ] = None,
    stalls: Annotated[
        int, typer.Option(min=0, help="Network alone: as many more runs, input and output stopped at random.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first run with stalls; the next has one more.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Network alone: folder to make, with layers.png, layers.svg, simulation.json.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier simulation at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Run cells through the RTL and compare every logit with the QONNX model and with FINN's graph.

    With --cells through the whole sorter; else images through the network alone, with what every layer and FIFO did;
    images are generated where none are given. Ends with code 1 where a logit differs.

    Examples: icsort simulate out/build --cells out/run/heldout.npz; icsort simulate out/build --count 4 --stalls 100
    """
    from icsort.hw.compile import load_build
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


def board(
    build: BuildArgument,
    cells: CellsOption,
    port: Annotated[Path, typer.Option(help="Serial port to make (a symbolic link).")] = Path("out/board"),
    count: Annotated[int | None, typer.Option(min=1, help="Send only the first COUNT cells.")] = None,
    rate: RateOption = CELLS_PER_SECOND,
    line_gap: GapOption = 0,
) -> None:
    """Run a virtual board: the real RTL behind a serial port. Ctrl-C ends it.

    Cells begin to flow when the board is armed. Example: icsort board out/build --cells out/run/heldout.npz
    """
    from icsort.hw.compile import load_build
    from icsort.sim.verilator.board import virtual_board

    loaded = load_build(build)
    stream = flow(load_cells(cells, loaded.manifest, count), loaded.manifest, loaded.clock_mhz * 1e6 / rate)
    with virtual_board(loaded, stream.lines, port, line_gap=line_gap) as running:
        print(
            f"board {loaded.build_id} on {port}: {len(stream.starts)} cells will flow once it is armed; Ctrl-C ends it",
            flush=True,
        )
        try:
            while running.process.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        summary = running.stop().summary
    print(f"{summary['events']} events, {len(summary['sort_pulses'])} sort pulses in {summary['cycles']} cycles")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes; replaced.")] = Path("out/demo"),
    generated: Annotated[
        bool, typer.Option("--generated", help="Use generated cells even where real ones are.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train for this many epochs.")] = None,
) -> None:
    """The whole path on held-out cells: train, export, compile, simulate, then a virtual board and its host.

    Writes report.html and report.json. Example: icsort demo --out out/demo
    """
    from icsort.sim.flows.demo import run

    report = run(out, generated=generated, epochs=epochs)
    if report["logits_equal"] != report["logits_compared"]:
        raise IcsortError(f"the RTL differs from the references: see {out / 'report.html'}")


def benchmark(
    names: Annotated[list[str] | None, typer.Argument(help="Networks of the list; without any, all of it.")] = None,
    networks: Annotated[
        Path | None, typer.Option("--list", help="Another list of networks, like sim/flows/benchmark.json.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to make, for packages, builds and simulations.")] = Path(
        "out/benchmark"
    ),
    stalls: Annotated[int, typer.Option(min=0, help="Runs of each network with random stalls.")] = 100,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier benchmark at --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compile networks for their boards, compare the RTL with the references, and print speed, latency and size.

    Weights are random, cells are real where they are at hand. Ends with code 1 where a network fails.
    Example: icsort benchmark student --out out/benchmark
    """
    from rich.console import Console

    from icsort.sim.flows import benchmark

    rows = benchmark.run(
        benchmark.load_networks(networks or benchmark.NETWORKS, names or ()), out, stall_runs=stalls, force=force
    )
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        benchmark.show(rows, Console())
    if any("error" in row for row in rows):
        raise typer.Exit(1)


def search(
    out: Annotated[Path, typer.Option(help="Folder of the search; an interrupted one goes on where it was.")],
    tries: Annotated[
        list[str],
        typer.Option(
            "--try",
            help="Option of `icsort train` and its values: OPTION=VALUE,VALUE; OPTION+OPTION gives both one value. "
            "May be repeated: all combinations are tried.",
        ),
    ],
    train: Annotated[
        list[str] | None, typer.Argument(help="Behind --: options of `icsort train` that all share.")
    ] = None,
    board: Annotated[str, typer.Option(help="Board: a folder of boards/, or a path to one.")] = "virtual",
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Balanced accuracy that is enough; without it, 0.01 below the best."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Train and compile a family of networks; show which is the smallest that is good enough.

    Example: icsort search --out out/search --try width=0.25,0.5 --try weight-bits+activation-bits=2,4 -- --data images/
    """
    from rich.console import Console

    from icsort.sim.flows.families import PAGE_FILE, family, write_page
    from icsort.sim.flows.families import search as run

    with Console(stderr=True).status("search") as status:
        found = run(out, family(tries), train or [], board, progress=lambda step: status.update(f"search: {step}"))
    write_page(out, found, accuracy)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for network in found["networks"]:
        if network["refused"] is not None:
            print(f"  {network['name']:<40} refused: {network['refused']}")
            continue
        print(
            f"{'*' if network['front'] else ' '} {network['name']:<40} "
            f"{network['validation']:.3f} {network['test']:.3f} {network['latency_us']:8.2f} us "
            f"{100 * network['share_of_board']:5.0f} % of the board"
        )
    print(f"* front; balanced accuracy in validation and test. report: {out / PAGE_FILE}")
