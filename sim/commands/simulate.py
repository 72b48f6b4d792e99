# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from icsort.cli.options import BuildArgument, Force, Json, Rate, Seed, choice, out
from icsort.cli.options import count as count_option
from icsort.errors import IcsortError
from icsort.formats.background import CELLS_PER_SECOND
from icsort.sim.commands.options import Arrivals, LineRate
from icsort.sim.simulate.images import generated_images, load_images
from icsort.sim.simulate.lines import flow, load_cells

if TYPE_CHECKING:
    from icsort.formats.build import Build
    from icsort.sim.bit_true.gate_engine import Program

GENERATED_IMAGES = 4


def simulate(
    build: BuildArgument,
    cells: Annotated[
        Path | None,
        typer.Option(
            help="Cells (heldout.npz of the training run, a file of `icsort data cells`) for the whole sorter."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Images for the network alone: .npy, uint8 (N, H, W, C).")] = None,
    net_only: Annotated[
        bool, typer.Option("--net-only", help="Give the cells' events to the network alone, without the sorter.")
    ] = False,
    count: Annotated[int | None, count_option("Only the first so many cells or images.")] = None,
    rate: Rate = CELLS_PER_SECOND,
    line_rate: LineRate = None,
    arrivals: Arrivals = "even",
    fast: Annotated[
        bool,
        typer.Option("--fast", help="Not the RTL but its model: --count cells, drawn with --seed, millions of them."),
    ] = False,
    schedule: Annotated[
        Path | None, typer.Option(help="With --fast: what the scheduler goes by, as `icsort arm --schedule` takes it.")
    ] = None,
    gates: Annotated[
        Path | None,
        typer.Option(help="Gate set, FILE.toml, that the sorter is armed with; without it, every other class."),
    ] = None,
    netlist: Annotated[
        str | None,
        choice(
            ("ecp5", "xcup"),
            "Whole sorter: what Yosys maps it to, for this family, with what the RTL says of the same cells.",
        ),
    ] = None,
    line_gap: Annotated[
        int | None,
        typer.Option(
            min=0, help="Network alone: idle cycles behind each line; without it, as the build expects lines."
        ),
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
    with code 1 where a logit, or of the whole sorter a feature or gate, is not that of the references.

    With --netlist cells flow through the sorter that Yosys maps to the cells of an FPGA, and through the RTL; ends with
    1 where one event record, one byte of the link or one sort pulse differs. Takes minutes; --count 20 is enough.

    With --fast nothing is compared: the model says what the sorter would do with so many cells.

    Examples: icsort simulate out/build --cells out/run/heldout.npz; icsort simulate out/build --count 4 --stalls 100
    """
    from icsort.formats.build import load_build
    from icsort.formats.schedule import load as load_schedule
    from icsort.sim.simulate import present
    from icsort.sim.simulate.sorter import SCHEDULE

    if netlist and (fast or net_only or not cells):
        raise IcsortError("--netlist is of the whole sorter: give --cells, without --net-only and --fast")
    loaded = load_build(build)
    if schedule and not fast:
        raise IcsortError("--schedule is of --fast: the RTL is simulated with a schedule of its own")
    if cells and images:
        raise IcsortError("--cells and --images exclude each other: give one")
    if gates and (net_only or not cells):
        raise IcsortError("--gates is of the whole sorter: give --cells, without --net-only")
    if cells and not net_only:
        program = gate_program(loaded, gates) if gates else None
        if stalls or out or line_gap is not None:
            raise IcsortError("--stalls, --line-gap and --out are of the network alone: add --net-only")
        pace = present.Pace(rate, line_rate, arrivals, seed)
        if fast:
            every = load_cells(cells, loaded.manifest)
            settings = load_schedule(schedule).cycles(round(loaded.clock_mhz * 1e6)) if schedule else SCHEDULE
            present.fast(loaded, every, count or len(every.images), pace, settings, program, as_json)
            return
        taken = load_cells(cells, loaded.manifest, count)
        if netlist:
            equal = present.after_synthesis(loaded, taken, netlist, pace, program, as_json)
        else:
            equal = present.sorter(loaded, taken, pace, program, as_json)
    elif fast:
        raise IcsortError("--fast is of the whole sorter: give --cells, without --net-only")
    elif line_rate is not None:
        raise IcsortError("--line-rate is of the whole sorter: give --line-gap to the network alone")
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


def gate_program(build: "Build", file: Path) -> "Program":
    """What the gate engine of a build holds for a gate set. Raises IcsortError."""
    from icsort.formats.compile_gate import board_values, compile_gate
    from icsort.formats.gate_set import load

    values = board_values(build.manifest, build.clock_mhz * 1e6, build.features > 0)
    return compile_gate(load(file), values).program


def network_images(build: "Build", cells: Path | None, images: Path | None, count: int | None) -> NDArray[np.uint8]:
    """Images (N, H, W, C) uint8: the events of held-out cells, a file's, or generated ones. Raises IcsortError."""
    shape = build.manifest.input
    if cells:
        return flow(load_cells(cells, build.manifest, count), build.manifest).pixels
    if images:
        return load_images(images, shape, count)
    return generated_images(shape, count or GENERATED_IMAGES)
