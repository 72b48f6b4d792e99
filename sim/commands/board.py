# SPDX-License-Identifier: Apache-2.0
"""`icsort board`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import BuildArgument, Json, Rate, Seed
from icsort.cli.options import count as count_option
from icsort.formats.background import CELLS_PER_SECOND
from icsort.sim.commands.options import Arrivals, CellsOption, LineRate
from icsort.sim.simulate.lines import flow_past, load_cells


def board(
    build: BuildArgument,
    cells: CellsOption,
    port: Annotated[Path, typer.Option(help="Serial port to make (a symbolic link).")] = Path("out/board"),
    count: Annotated[int | None, count_option("Only the first so many cells.")] = None,
    rate: Rate = CELLS_PER_SECOND,
    line_rate: LineRate = None,
    arrivals: Arrivals = "even",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Run a virtual board: the real RTL behind a serial port. Ctrl-C ends it.

    Cells begin to flow when the board is armed. Example: icsort board out/build --cells out/run/heldout.npz
    """
    from icsort.formats.build import load_build
    from icsort.sim.verilator.board import virtual_board

    loaded = load_build(build)
    stream = flow_past(loaded, load_cells(cells, loaded.manifest, count), rate, line_rate, arrivals, seed)
    with virtual_board(loaded, stream.lines, port, line_rate=line_rate) as running:
        cells_to_come = int(stream.of_cell.sum())
        try:
            if as_json:
                console.show_json({"build_id": loaded.build_id, "port": str(port), "cells": cells_to_come}, lines=False)
            else:
                flow = f"{cells_to_come} cells will flow once it is armed"
                print(f"board {loaded.build_id} on {port}: {flow}; Ctrl-C ends it", flush=True)
            while running.process.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        summary = running.stop().summary
    if as_json:
        console.show_json({"summary": summary}, lines=False)
        return
    print(f"{summary['events']} events, {len(summary['sort_pulses'])} sort pulses in {summary['cycles']} cycles")
