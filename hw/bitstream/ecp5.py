# SPDX-License-Identifier: Apache-2.0
"""A project folder through Yosys, nextpnr-ecp5 and ecppack: a bitstream for a Lattice ECP5, without a vendor's tool."""

import time
from collections.abc import Callable
from pathlib import Path

from icsort.formats.build import FILE_LIST
from icsort.formats.project import BITSTREAM_FILE, Project
from icsort.formats.routed import Routed
from icsort.hw.bitstream.project import CONSTRAINTS
from icsort.hw.synthesis.nextpnr import (
    NETLIST_FILE,
    PACKER,
    PLACER,
    map_to_ecp5,
    place_and_route,
    run,
    tool,
    tool_version,
)
from icsort.hw.synthesis.yosys import yosys_version

CONFIG_FILE = "sorter.config"
DENSITY = 0.7  # of what a region holds, in which nextpnr may place (default 0.9): denser, its router does not end


def build(
    project: Project, folder: Path, *, seed: int, timeout: float, progress: Callable[[str], None] = lambda _: None
) -> Project:
    """Synthesize, place, route and pack the project in `folder`: sorter.bit, and what was reached.

    seed: of placement. timeout: seconds for each of the tools. progress: called with the name of each.

    Raises IcsortError where a tool is missing, refuses or takes longer.
    """
    placer, packer = tool(PLACER), tool(PACKER)
    begun = time.monotonic()
    progress("Yosys")
    map_to_ecp5(project.top, (folder / FILE_LIST).read_text(encoding="utf-8").split(), folder, timeout)
    progress(PLACER)
    options = ["--lpf", CONSTRAINTS[project.flow], "--textcfg", CONFIG_FILE, "--placer-heap-beta", str(DENSITY)]
    placed = place_and_route(folder, project.part, options, seed=seed, timeout=timeout)
    progress(PACKER)
    run([packer, "--compress", "--input", CONFIG_FILE, "--bit", BITSTREAM_FILE], folder, timeout)
    for name in (NETLIST_FILE, CONFIG_FILE, "script.ys"):  # a hundred megabytes
        (folder / name).unlink()
    routed = Routed(
        fmax_mhz=round(placed.fmax_mhz, 2),
        used=placed.used,
        tools={"Yosys": yosys_version(), PLACER: tool_version(placer)},
        seconds=round(time.monotonic() - begun, 1),
    )
    return project.model_copy(update={"routed": routed})
