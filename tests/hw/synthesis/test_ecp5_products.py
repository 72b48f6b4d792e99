# SPDX-License-Identifier: Apache-2.0
"""Yosys proves that rows of carry chains are the product: its own `$mul` against its own models of the ECP5's cells."""

import random
from importlib.util import find_spec
from pathlib import Path

import pytest

from icsort.errors import IcsortError
from icsort.hw.synthesis.yosys import ECP5_PRODUCTS, run_script

SCRIPT = """read_verilog top.v
hierarchy -top top
proc
design -save gold
{products}
tee -o cells.txt select -count t:CCU2C
select -assert-none t:$mul t:$macc
read_verilog -DNO_INCLUDES {cells}/common_sim.vh {cells}/ccu2c_sim.vh
hierarchy -top top
proc
flatten
design -stash gate
design -copy-from gold -as gold top
design -copy-from gate -as gate top
miter -equiv -flatten gold gate miter
sat -verify -prove trigger 0 miter
"""


def proven(folder: Path, a: str, b: str, bits: tuple[int, int, int]) -> int:
    """Cells of y = a * b, where Yosys has proven that they are equal. bits: of a, b, y."""
    yosys = find_spec("pyosys")
    assert yosys is not None
    assert yosys.origin is not None
    ports = f'input [{bits[0] - 1}:0] a, input [{bits[1] - 1}:0] b, (* use_dsp = "no" *) output [{bits[2] - 1}:0] y'
    (folder / "top.v").write_text(f"module top({ports}); assign y = {a} * {b}; endmodule\n")
    cells = Path(yosys.origin).parent / "share" / "lattice"
    run_script(SCRIPT.format(products=ECP5_PRODUCTS, cells=cells), folder, timeout=300)
    return int((folder / "cells.txt").read_text().split()[0])


def test_a_weight_by_an_activation(tmp_path: Path) -> None:
    """As dot_product has it: the activation's sign is a constant 0."""
    assert proven(tmp_path, "$signed(a)", "$signed({1'b0, b})", (4, 4, 8)) == 9


def test_a_weight_by_a_pixel(tmp_path: Path) -> None:
    """Wider than what Yosys keeps out of DSP slices by itself."""
    assert proven(tmp_path, "$signed(a)", "$signed({1'b0, b})", (4, 8, 12)) == 15


@pytest.mark.parametrize("case", range(6))
def test_any_widths_and_signs(case: int, tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"{seed} {case}")
    sign = rng.choice(["$signed", "$unsigned"])
    bits = rng.randint(2, 5), rng.randint(2, 7), rng.randint(2, 12)
    print(case, sign, bits)
    proven(tmp_path, f"{sign}(a)", f"{sign}(b)", bits)


def test_a_constant_stays_a_sum(tmp_path: Path) -> None:
    assert proven(tmp_path, "a", "4'd6", (4, 4, 8)) == 0


def test_a_wrong_row_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(ECP5_PRODUCTS.split("-map ")[1].split()[0])
    wrong = tmp_path / "wrong.v"
    wrong.write_text(file.read_text().replace("16'h95AA", "16'h6AAA"))
    assert wrong.read_text() != file.read_text()
    monkeypatch.setattr(f"{__name__}.ECP5_PRODUCTS", ECP5_PRODUCTS.replace(str(file), str(wrong)))
    with pytest.raises(IcsortError, match="proof did fail"):
        proven(tmp_path, "$signed(a)", "$signed(b)", (3, 3, 6))
