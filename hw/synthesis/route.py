# SPDX-License-Identifier: Apache-2.0
"""A build placed and routed out of context, by the tools of its family: nextpnr for an ECP5, Vivado for Xilinx."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from icsort.formats.build import Build
from icsort.formats.routed import Routed
from icsort.hw.folding.resources import family_of
from icsort.hw.netlist.verilog import BUILD
from icsort.hw.synthesis import nextpnr, vivado
from icsort.hw.synthesis.nextpnr import PLACER, Arc, map_to_ecp5, place_and_route, tool, tool_version
from icsort.hw.synthesis.yosys import yosys_version
from icsort.output import check_target, result_folder

ROUTE_FILE = "route.json"
PART = "LFE5U-85F-8BG756C"
"""The ECP5 on which a build for another family is tried."""


@dataclass(frozen=True)
class Route:
    """What was reached on which part. path: what limits the clock, as far as the tool tells it here."""

    part: str
    routed: Routed
    path: tuple[Arc, ...] = ()


def check_route(build: Build, family: str, out: Path, force: bool) -> None:
    """Raises IcsortError, before any work, where the family's tool is missing or `out` would not be replaced."""
    if (family or family_of(build.part)) == "ecp5":
        tool(PLACER)
        yosys_version()
    else:
        vivado.program()
    check_target(out, ROUTE_FILE, force)


def route_build(
    build: Build,
    family: str,
    out: Path,
    *,
    seeds: int,
    timeout: float,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Route:
    """Place and route a build; ROUTE_FILE, reports and logs go to the folder `out`, whole or not at all.

    family: as of synthesize_build; "": that of the build's part. seeds: places that nextpnr tries, of which the fastest
    counts. timeout: seconds for each run of a tool but Vivado. force: replaces an earlier result. progress: called
    with what begins.

    Raises IcsortError where a tool is missing, refuses, or takes longer.
    """
    check_route(build, family, out, force)
    ecp5 = (family or family_of(build.part)) == "ecp5"
    with result_folder(out, ROUTE_FILE, force) as folder:
        route = _nextpnr(build, folder, seeds, timeout, progress) if ecp5 else _vivado(build, folder, progress)
        contents = {"build_id": build.build_id, "part": route.part, **route.routed.model_dump(mode="json")}
        (folder / ROUTE_FILE).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    return route


def _vivado(build: Build, folder: Path, progress: Callable[[str], None]) -> Route:
    begun = time.monotonic()
    progress("Vivado")
    reached = vivado.place_and_route(build, folder)
    return Route(build.part, reached.routed(build.clock_mhz, time.monotonic() - begun))


def _nextpnr(build: Build, folder: Path, seeds: int, timeout: float, progress: Callable[[str], None]) -> Route:
    begun = time.monotonic()
    part = build.part if family_of(build.part) == "ecp5" else PART
    progress("Yosys")
    # The RTL names memory files as mem/NAME.hex, from the folder that the tool runs in.
    (folder / "mem").symlink_to((build.folder / "mem").resolve())
    map_to_ecp5(BUILD, [str(path.resolve()) for path in build.sources()], folder, timeout)
    options = ["--freq", str(build.clock_mhz), "--out-of-context"]  # pins are the board's: `icsort build`
    placed = []
    for seed in range(1, seeds + 1):
        progress(f"{PLACER}, seed {seed} of {seeds}")
        placed.append(place_and_route(folder, part, options, seed=seed, timeout=timeout))
        for name in (nextpnr.REPORT_FILE, nextpnr.LOG_FILE):
            (folder / name).rename(folder / f"seed-{seed}-{name}")
    for name in (nextpnr.NETLIST_FILE, "script.ys", "mem"):
        (folder / name).unlink()
    best, *others = sorted(placed, key=lambda each: -each.fmax_mhz)
    routed = Routed(
        fmax_mhz=round(best.fmax_mhz, 2),
        others_mhz=[round(each.fmax_mhz, 2) for each in others],
        used=best.used,
        tools={"Yosys": yosys_version(), PLACER: tool_version(tool(PLACER))},
        seconds=round(time.monotonic() - begun, 1),
    )
    return Route(part, routed, best.path)
