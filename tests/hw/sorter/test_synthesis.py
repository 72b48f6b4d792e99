# SPDX-License-Identifier: Apache-2.0
"""The whole sorter around the stub network through Yosys for the 7 series: it reads, maps, and costs what it should."""

import json
from pathlib import Path

from icsort.hw.synthesis.yosys import run_script
from tests.hw.sorter.reference import CHANNELS
from tests.hw.sorter.test_icsort_top import SOURCES


def test_synthesis(tmp_path: Path) -> None:
    # Assertions are for simulation.
    script = f"""
    read_slang --top sorter_bench {" ".join(map(str, SOURCES))}
    chformal -remove
    synth_xilinx -family xc7 -flatten -top sorter_bench -noiopad -noclkbuf
    check -assert
    tee -q -o stat.json stat -json
    """
    run_script(script, tmp_path, timeout=500)
    (module,) = json.loads((tmp_path / "stat.json").read_text())["modules"].values()
    cells = module["num_cells_by_type"]
    assert not any(cell.startswith(("LD", "$")) for cell in cells), cells
    assert cells["DSP48E1"] == CHANNELS + 1  # a multiplier a channel in preprocess, one in the gate
    assert cells["RAMB36E1"] == 1  # the record FIFO
    # 2,881 and 3,476 where this was written; a jump is a memory or a table that was not recognized.
    assert sum(count for cell, count in cells.items() if cell.startswith("LUT")) < 3400
    assert sum(count for cell, count in cells.items() if cell.startswith("FD")) < 4000
