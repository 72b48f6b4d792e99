# SPDX-License-Identifier: Apache-2.0
"""Netlists simulated: the models of cells against plain memories and products, and the whole sorter against its RTL."""

import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.hw.synthesis.netlist import FAMILIES, Mapped, map_sources
from icsort.sim.verilator.verilate import compile_program

HERE = Path(__file__).parent
DESIGN = "small_design"
OUTPUTS = 208  # bits
# What must be among the cells, or the models were not tried.
KINDS = {
    "ecp5": {"DP16KD", "MULT18X18D", "LUT4", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4"},
    "xcup": {"RAMB18E2", "RAMB36E2", "DSP48E2", "LUT2", "CARRY4", "FDRE", "SRL16E"},
}


def small(family: str) -> Mapped:
    return map_sources(DESIGN, [HERE / f"{DESIGN}.sv"], {}, family, timeout=300)


def beside_the_rtl(mapped: Mapped, folder: Path, seed: int, change: tuple[str, str] = ("", "")) -> str:
    """Run RTL and netlist side by side, the netlist with one text in place of another. Returns what was said; "" where
    both are equal in every cycle, and nearly every output was there to compare."""
    netlist, *cells = mapped.sources
    text = netlist.read_text().replace(f"module {DESIGN}(", "module mapped(")
    (folder / "mapped.v").write_text(text.replace(*change, 1) if change[0] else text)
    sources = [HERE / "side_by_side.sv", HERE / f"{DESIGN}.sv", folder / "mapped.v", *cells]
    program = compile_program("side_by_side", "side_by_side", sources, HERE / "side_by_side.cpp", netlist=True)
    command = [str(program), "--seed", str(seed), "--cycles", "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and int(done.stdout) >= OUTPUTS - 4:
        return ""
    return done.stdout + done.stderr


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.quick(1)
def test_cells_do_what_the_rtl_says(family: str, tmp_path: Path, seed: int) -> None:
    mapped = small(family)
    assert mapped.cells.keys() >= KINDS[family]
    assert beside_the_rtl(mapped, tmp_path, seed) == ""


WRONG_CELLS = [  # family, file, what stands in it, what stands there instead
    ("ecp5", "DP16KD.sv", "9:       return 5'(address[3] ? 9 : 0);", "9:       return 5'(address[3] ? 8 : 0);"),
    ("ecp5", "DP16KD.sv", "after({ada[13:5], 1'b1}, dib);", "after({ada[13:5], 1'b1}, dia);"),
    ("ecp5", "MULT18X18D.sv", "{SIGNEDB && B17,", "{1'b0,"),
    ("xcup", "block_ram_e2.sv", "{parity_b[n], data_b[8*n +: 8]}", "{parity_a[n], data_b[8*n +: 8]}"),
    ("xcup", "block_ram_e2.sv", "if (write_a[n]) mem", "if (write_a[0]) mem"),
    ("xcup", "DSP48E2.sv", "wire signed [26:0] a = A[26:0]", "wire signed [26:0] a = 27'(A[25:0])"),
]


@pytest.mark.full
@pytest.mark.parametrize(("family", "file", "right", "wrong"), WRONG_CELLS)
def test_a_wrong_cell_is_seen(family: str, file: str, right: str, wrong: str, tmp_path: Path, seed: int) -> None:
    mapped = small(family)
    model = next(path for path in mapped.sources if path.name == file)
    text = model.read_text()
    assert text.count(right) == 1
    (tmp_path / file).write_text(text.replace(right, wrong))
    sources = tuple(tmp_path / file if path == model else path for path in mapped.sources)
    assert beside_the_rtl(replace(mapped, sources=sources), tmp_path, seed).startswith("cycle")


@pytest.mark.full
@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_lut_is_seen(family: str, tmp_path: Path, seed: int) -> None:
    """One bit of a random LUT's table; a few are tried, as a bit may be of inputs that never come."""
    mapped, draw = small(family), random.Random(seed)
    tables = re.findall(r"\.INIT\((\d+'h[0-9a-f]+)\)", mapped.sources[0].read_text())
    for _ in range(6):
        table = draw.choice(tables)
        size, digits = table.split("'h")
        wrong = f"{size}'h{int(digits, 16) ^ ((1 << int(size)) - 1):x}"
        if beside_the_rtl(mapped, tmp_path, seed, (table, wrong)).startswith("cycle"):
            return
    pytest.fail(f"seed {seed}: no inverted LUT was seen")


def test_no_netlist_of_other_families() -> None:
    with pytest.raises(IcsortError, match="no netlist for the family 'xc7'; use ecp5 or xcup"):
        map_sources(DESIGN, [HERE / f"{DESIGN}.sv"], {}, "xc7", timeout=1)
