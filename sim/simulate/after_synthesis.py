# SPDX-License-Identifier: Apache-2.0
"""A build's netlist against its RTL: the same lines through both, every event record compared."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise, zip_longest

from icsort.errors import IcsortError
from icsort.formats.background import CELLS_PER_SECOND
from icsort.formats.build import Build
from icsort.formats.heldout import HeldOut
from icsort.hw.synthesis.netlist import map_build
from icsort.hw.synthesis.yosys import yosys_version
from icsort.sim.bit_true.gate_engine import Program
from icsort.sim.simulate.lines import flow_past
from icsort.sim.simulate.sorter import run_armed
from icsort.sim.verilator.board import BoardOutcome, compile_board


@dataclass(frozen=True)
class AfterSynthesis:
    """What `icsort simulate --netlist` found. cells_mapped: of the netlist, by kind. records_equal: event records that
    are the RTL's, byte by byte, in the same place; link_equal, pulses_equal: whether what left the UART, and the time,
    length and direction of every sort pulse, is as of the RTL; differs: the numbers of records that are not. seconds:
    of Yosys, of Verilator with the C++ compiler, of the simulation; what the cache held takes none.
    """

    family: str
    tool: str
    cells_mapped: dict[str, int]
    cells: int
    events: int
    records: int
    records_equal: int
    link_equal: bool
    pulses_equal: bool
    sort_pulses: int
    simulated_cycles: int
    seconds: dict[str, float]
    build_id: str
    differs: list[int] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether there are records, and nothing that left the netlist differs from the RTL's."""
        return 0 < self.records == self.records_equal and self.link_equal and self.pulses_equal

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def compare(
    build: Build,
    cells: HeldOut,
    family: str,
    *,
    cells_per_second: float = CELLS_PER_SECOND,
    line_rate: float | None = None,
    arrivals: str = "even",
    seed: int = 0,
    program: Program | None = None,
    timeout: float = 3600.0,
    progress: Callable[[str], None] = lambda _: None,
) -> AfterSynthesis:
    """Map a build for a family and let the same cells through its RTL and through the netlist.

    family: one of `netlist.FAMILIES`. timeout: seconds for Yosys. The rest is as of `sorter.simulate`. Raises
    IcsortError where a tool refuses, and where no cell triggers.
    """
    stream = flow_past(build, cells, cells_per_second, line_rate, arrivals, seed)
    if not len(stream.events):
        raise IcsortError("no cell triggers an event: these are not the cells that the model's trigger was set for")
    began = [time.monotonic()]
    progress(f"Yosys: the sorter for {family}")
    mapped = map_build(build, family, timeout)
    began.append(time.monotonic())
    progress("compile the netlist")
    compile_board(build, mapped.sources)
    began.append(time.monotonic())
    progress(f"{len(stream.events)} cells through the netlist")
    netlist = run_armed(build, stream.lines, line_rate=line_rate, program=program, netlist=mapped.sources)
    began.append(time.monotonic())
    progress("the same through the RTL")
    rtl = run_armed(build, stream.lines, line_rate=line_rate, program=program)
    seconds = [round(later - earlier, 1) for earlier, later in pairwise(began)]
    differs = differences(netlist, rtl)
    records = max(len(netlist.records), len(rtl.records))
    return AfterSynthesis(
        family=family,
        tool=f"Yosys {yosys_version()}",
        cells_mapped=mapped.cells,
        cells=len(cells.images),
        events=len(stream.events),
        records=records,
        records_equal=records - len(differs),
        link_equal=netlist.uart == rtl.uart,
        pulses_equal=netlist.summary["sort_pulses"] == rtl.summary["sort_pulses"],
        sort_pulses=len(rtl.summary["sort_pulses"]),
        simulated_cycles=netlist.summary["cycles"],
        seconds=dict(zip(("map", "compile", "simulate"), seconds, strict=True)),
        build_id=build.build_id,
        differs=differs,
    )


def differences(netlist: BoardOutcome, rtl: BoardOutcome) -> list[int]:
    """Numbers of the records that differ, or that only one of two boards has."""
    pairs = zip_longest(netlist.records, rtl.records)
    return [number for number, (one, other) in enumerate(pairs) if one != other]
