# SPDX-License-Identifier: Apache-2.0
"""What the sorter around the network costs, block by block, and how fast it is.

    python -m tests.hw.sorter.resources [BLOCK ...] [--family xcup]

prints a table of the blocks mapped by Yosys, each by itself: cells, the share of each board's LUTs, and the longest
path of cells as Yosys's `sta` has it (no routing, no arcs through memories or DSP slices; figures of an Artix-7, also
for UltraScale+).

    python -m tests.hw.sorter.resources [BLOCK ...] --route [--seeds 3]

places and routes each block, by default the whole sorter around the stub network, on an ECP5-85F of speed 8 with
nextpnr, and prints its clock and what limits it.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icsort.cache import cache_entry
from icsort.formats.board import BOARDS
from icsort.hw.synthesis.nextpnr import NETLIST_FILE, Placed, map_to_ecp5, place_and_route
from icsort.hw.synthesis.route import PART
from icsort.hw.synthesis.yosys import CLEAN, count, run_script
from tests.hw.sorter.test_icsort_top import SOURCES

WHOLE = "sorter_bench"
VALUES = {"N_CLASSES": 7, "LOGIT_BITS": 20}
LINES = {"LINE_W": 104, "C": 3, "P": 2}
BLOCKS: dict[str, dict[str, int]] = {  # of the instrument's lines, 3 channels and the largest gate sets
    "front": LINES | {"H": 40, "W": 40},
    "line_source": LINES,
    "features": LINES,
    "network_pairing": {"BEATS": 1600, "WINDOWS": 16, "LOGITS_BITS": 140},
    "event_join": {},
    "gate_engine": VALUES,
    "scheduler": {},
    "arming": {},
    "event_record": VALUES,
    "record_fifo": {},
    "icsort_registers": {},
    "axil_registers": {},
    "icsort_link": {},
}
COLUMNS = ("LUT", "LUT memory", "FF", "DSP", "BRAM_18K")
CLOCK_MHZ = 150
_READ = "read_slang --top {top} {parameters} {files}"
_MAP = """
synth_xilinx -run begin:check -family {family} -flatten -top {top} -noiopad -noclkbuf {options}
check -assert
tee -q -o stat.json stat -json
tee -q -o sta.txt sta
"""


@dataclass(frozen=True)
class Mapped:
    """cells: of the mapped module by type. delay_ps: its longest path of cells."""

    cells: dict[str, int]
    delay_ps: int

    @property
    def luts(self) -> int:
        """LUT cells, each one whatever its inputs; memories and shift registers in LUTs are not among them."""
        return sum(number for cell, number in self.cells.items() if re.fullmatch(r"LUT[1-6]", cell))


def synthesize(top: str, parameters: Mapping[str, int], family: str, *, abc9: bool = True) -> Mapped:
    """Map a block with its parameters to a family, or take it from the cache."""
    script = read_script(top, parameters) + _MAP.format(top=top, family=family, options="-abc9" if abc9 else "")
    with cache_entry("blocks", [script.encode(), *(path.read_bytes() for path in _sources(top))]) as folder:
        if not (folder / "sta.txt").exists():
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
                run_script(script, Path(scratch), timeout=2400)
                for name in ("stat.json", "sta.txt"):
                    (Path(scratch) / name).replace(folder / name)
        (module,) = json.loads((folder / "stat.json").read_text())["modules"].values()
        arrival = re.search(r"Latest arrival time in '\w+' is (\d+)", (folder / "sta.txt").read_text())
    assert arrival
    return Mapped(module["num_cells_by_type"], int(arrival[1]))


def route(top: str, parameters: Mapping[str, int], folder: Path, seed: int) -> Placed:
    """Place and route a block mapped to ECP5 cells in `folder`. Ports are left open, so that only paths between
    registers count."""
    if not (folder / NETLIST_FILE).exists():
        values = " ".join(f"-G {name}={value}" for name, value in parameters.items())
        map_to_ecp5(top, [str(path) for path in _sources(top)], folder, timeout=2400, parameters=values)
    options = ["--freq", str(CLOCK_MHZ), "--out-of-context"]
    return place_and_route(folder, PART, options, seed=seed, timeout=2400)


def _sources(top: str) -> list[Path]:
    return [path for path in SOURCES if top == WHOLE or not path.stem.endswith(("_top", "_bench"))]


def read_script(top: str, parameters: Mapping[str, int]) -> str:
    """The part of a script that reads a block, before it is mapped."""
    values = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    return (_READ + CLEAN).format(top=top, parameters=values, files=" ".join(map(str, _sources(top))))


def show_table(names: list[str], family: str) -> None:
    """A row a block, in Markdown, and the sum."""
    boards = {}
    for file in sorted(BOARDS.glob("*/board.json")):
        board = json.loads(file.read_text())
        if board["name"] != "virtual":
            boards[board["name"]] = board["budget"]["LUT"]
    print(f"| block | {' | '.join(COLUMNS)} | ns | {' | '.join(f'of {name}' for name in boards)} |")
    print("| --- |" + " --- |" * (len(COLUMNS) + 1 + len(boards)))
    total = dict.fromkeys(COLUMNS, 0)
    for name in names:
        mapped = synthesize(name, BLOCKS.get(name, {}), family)
        use = count(mapped.cells)
        row = {key: use.get(key, 0) for key in COLUMNS} | {"LUT": mapped.luts, "LUT memory": use["LUT"] - mapped.luts}
        total = {key: total[key] + row[key] for key in COLUMNS}
        _show_row(f"`{name}`", row, f"{mapped.delay_ps / 1000:.1f}", boards)
    _show_row("all of these", total, "", boards)


def _show_row(title: str, row: Mapping[str, int], delay: str, boards: Mapping[str, int]) -> None:
    shares = (f"{(row['LUT'] + row['LUT memory']) / available:.1%}" for available in boards.values())
    print(f"| {title} | {' | '.join(str(row[key]) for key in COLUMNS)} | {delay} | {' | '.join(shares)} |", flush=True)


def show_route(name: str, seeds: int) -> None:
    """Clock, cells and critical path of each seed."""
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, seeds + 1):
            routed = route(name, BLOCKS.get(name, {}), Path(scratch), seed)
            used = ", ".join(f"{number} {cell}" for cell, number in routed.used.items())
            print(f"{name}, ECP5-85F speed 8, seed {seed}: {routed.fmax_mhz:.1f} MHz; {used}")
            for arc in routed.path:
                print(f"  {arc.ns:6.2f} ns {arc.kind:8} {arc.what}", flush=True)


def main() -> None:
    """See the head of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", nargs="*", metavar="BLOCK", help=f"{', '.join(BLOCKS)} or {WHOLE}")
    parser.add_argument("--family", default="xcup", help="xc7 or xcup")
    parser.add_argument("--route", action="store_true", help="place and route on an ECP5")
    parser.add_argument("--seeds", type=int, default=1, help="places tried: one alone says little")
    options = parser.parse_args()
    if options.route:
        for name in options.blocks or [WHOLE]:
            show_route(name, options.seeds)
    else:
        show_table(options.blocks or list(BLOCKS), options.family)


if __name__ == "__main__":
    main()
