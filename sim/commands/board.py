# SPDX-License-Identifier: Apache-2.0
"""`icsort board`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli.options import BuildArgument, OptionalCount, Rate
from icsort.formats.background import CELLS_PER_SECOND
from icsort.sim.commands.options import CellsOption, GapOption
from icsort.sim.simulate.lines import flow, load_cells


def board(
    build: BuildArgument,
    cells: CellsOption,
    port: Annotated[Path, typer.Option(help="Serial port to make (a symbolic link).")] = Path("out/board"),
    count: OptionalCount = None,
    rate: Rate = CELLS_PER_SECOND,
    line_gap: GapOption = 0,
) -> None:
    """Run a virtual board: the real RTL behind a serial port. Ctrl-C ends it.

    Cells begin to flow when the board is armed. Example: icsort board out/build --cells out/run/heldout.npz
    """
    from icsort.formats.build import load_build
    from icsort.sim.verilator.board import virtual_board

    loaded = load_build(build)
    stream = flow(load_cells(cells, loaded.manifest, count), loaded.manifest, loaded.clock_mhz * 1e6 / rate)
    with virtual_board(loaded, stream.lines, port, line_gap=line_gap) as running:
        print(
            f"board {loaded.build_id} on {port}: {stream.of_cell.sum()} cells will flow once it is armed; "
            "Ctrl-C ends it",
            flush=True,
        )
        try:
            while running.process.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        summary = running.stop().summary
    print(f"{summary['events']} events, {len(summary['sort_pulses'])} sort pulses in {summary['cycles']} cycles")
