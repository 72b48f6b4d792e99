# SPDX-License-Identifier: Apache-2.0
"""A whole build mapped to the cells of an FPGA, as Verilog that a simulator takes in place of the RTL.

Yosys maps it as it does for `icsort synth` (UltraScale+) and for a bitstream (ECP5). LUTs, carry chains, flip-flops and
memory in LUTs have models that come with Yosys; block RAM and multipliers those of `cells`, of the modes that our RTL
is mapped to.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from icsort.cache import cache_entry
from icsort.errors import IcsortError
from icsort.formats.build import Build
from icsort.hw.netlist.verilog import BUILD
from icsort.hw.synthesis.yosys import CLEAN, ECP5_PRODUCTS, NotSynthesizedError, run_script, yosys_version

CELLS = Path(__file__).parent / "cells"
NETLIST_FILE, YOSYS_CELLS_FILE, COUNTS_FILE = "netlist.v", "yosys_cells.v", "counts.json"
# A netlist's vectors are bits by name alone: as single bits no simulator sees a loop where one bit leads to the next.
_WRITE = f"""
splitnets
tee -q -o stat.json stat -json
write_verilog -noattr {NETLIST_FILE}
"""
_MAP = {
    "ecp5": f"""flatten
{ECP5_PRODUCTS}synth_lattice -family ecp5 -top {{top}}
""",
    "xcup": "synth_xilinx -run begin:check -family xcup -flatten -top {top} -noiopad -noclkbuf",
}
_READ = {"ecp5": "read_slang --top {top} {files}", "xcup": "read_slang --keep-hierarchy --top {top} {files}"}
_YOSYS_CELLS = {"ecp5": "lattice/cells_sim_ecp5.v", "xcup": "xilinx/cells_sim.v"}
_OWN_CELLS = {"ecp5": ("DP16KD", "MULT18X18D"), "xcup": ("block_ram_e2", "RAMB18E2", "RAMB36E2", "DSP48E2")}
FAMILIES = tuple(_MAP)
"""Families of which there are models of all cells."""


@dataclass(frozen=True)
class Mapped:
    """A mapped design. sources: Verilog of it and of its cells, in the order in which a simulator must read them: of a
    cell that two of them have the first one counts. cells: how many of each kind."""

    family: str
    sources: tuple[Path, ...]
    cells: dict[str, int]


def map_build(build: Build, family: str, timeout: float) -> Mapped:
    """A build's whole sorter, mapped once and kept by the content of its sources and memory files.

    family: one of FAMILIES. timeout: seconds. Raises IcsortError for another family, and where Yosys is missing,
    refuses or takes longer.
    """
    memories = {path.name: path.read_bytes() for path in sorted((build.folder / "mem").iterdir())}
    return map_sources(BUILD, build.sources(), memories, family, timeout)


def map_sources(top: str, sources: list[Path], memories: dict[str, bytes], family: str, timeout: float) -> Mapped:
    """`map_build` of any module `top`; memories: files of the folder `mem` that $readmemh reads, by their names."""
    if family not in FAMILIES:
        raise IcsortError(f"there is no netlist for the family {family!r}; use {' or '.join(FAMILIES)}")
    script = (_READ[family] + CLEAN + _MAP[family] + _WRITE).format(
        top=top, files=" ".join(str(path.resolve()) for path in sources)
    )
    key = [yosys_version().encode(), (_READ[family] + CLEAN + _MAP[family] + _WRITE + top).encode()]
    key += [path.read_bytes() for path in sources]
    key += [part for name, data in memories.items() for part in (name.encode(), data)]
    with cache_entry("netlist", key) as folder:
        counts = folder / COUNTS_FILE
        if not counts.exists():
            (folder / "mem").mkdir(exist_ok=True)
            for name, data in memories.items():
                (folder / "mem" / name).write_bytes(data)
            try:
                run_script(script, folder, timeout)
            except NotSynthesizedError:
                raise IcsortError(f"Yosys took longer than {timeout / 60:g} minutes to map {top}") from None
            (folder / YOSYS_CELLS_FILE).write_text(_yosys_cells(family), encoding="utf-8")
            counts.write_text(json.dumps(_counts(folder / "stat.json")), encoding="utf-8")
        own = (CELLS / f"{name}.sv" for name in _OWN_CELLS[family])
        files = (folder / NETLIST_FILE, *own, folder / YOSYS_CELLS_FILE)
        return Mapped(family, files, json.loads(counts.read_text(encoding="utf-8")))


def _counts(stat: Path) -> dict[str, int]:
    """Cells of all modules of a mapped design, each of which stands in it once; $paramod are models of cells."""
    cells: Counter[str] = Counter()
    for name, module in json.loads(stat.read_text(encoding="utf-8"))["modules"].items():
        if not name.startswith("$paramod"):
            kinds = module["num_cells_by_type"]
            cells.update({kind: number for kind, number in kinds.items() if kind.isupper() and kind[0] not in "$\\"})
    return dict(sorted(cells.items()))


def _yosys_cells(family: str) -> str:
    """Yosys's models, in one file: simulators look for what is included elsewhere."""
    found = find_spec("pyosys")
    if found is None or found.origin is None:
        raise IcsortError("Yosys is not installed: pip install 'icsort[hw]'")

    def text(file: Path) -> str:
        return re.sub(r'`include "(.+?)"', lambda line: text(file.with_name(line[1])), file.read_text(encoding="utf-8"))

    # Without pads and what other tools call flip-flops: those are Yosys's to map, not to simulate.
    return "`define NO_INCLUDES\n" + text(Path(found.origin).parent / "share" / _YOSYS_CELLS[family])
