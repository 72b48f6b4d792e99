# SPDX-License-Identifier: Apache-2.0
"""The sorter around the stub network, and its blocks, through Yosys: they read, map, and cost what they should."""

from pathlib import Path

import pytest

from icsort.hw.synthesis.yosys import run_script
from tests.hw.sorter.reference import CHANNELS
from tests.hw.sorter.resources import BLOCKS, WHOLE, read_script, route, synthesize


def test_yosys_reads_all_of_it(tmp_path: Path) -> None:
    """With features, which is mapped in the full tests: no latch, no undriven net, no loop."""
    script = read_script(WHOLE, {"FEATURES": 1}) + "check -assert\nselect -assert-none t:$dlatch t:$_DLATCH*\n"
    run_script(script, tmp_path, timeout=550)


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_synthesis() -> None:
    """All of it for the 7 series."""
    cells = synthesize(WHOLE, {}, "xc7", abc9=False).cells
    assert not any(cell.startswith(("LD", "$")) for cell in cells), cells
    # A multiplier a channel in flat_field, line_sums and preprocess; column of a beat, depth of a dip; in the gate
    # engine two scales, two an edge of 16, an ellipse's two squares.
    assert cells["DSP48E1"] <= 3 * CHANNELS + 5 + 2 + 32 + 2
    # Statistics are 580 and 1,420 of them, a copy of the counters above all, images 350 and 410; a jump is a memory or
    # a table that was not recognized.
    assert sum(number for cell, number in cells.items() if cell.startswith("LUT")) < 11_700
    assert sum(number for cell, number in cells.items() if cell.startswith("FD")) < 14_400
    assert cells["RAMB36E1"] <= 40
    assert cells["RAMB18E1"] <= 20


@pytest.mark.full
@pytest.mark.timeout(2500)
@pytest.mark.parametrize(("family", "luts"), [("xc7", 2400), ("xcup", 3400)])
def test_gate_engine(family: str, luts: int) -> None:
    """The largest gate engine: its cost, and for UltraScale+ 2.5 ns of cells, no routing, memories or DSP slices."""
    mapped = synthesize("gate_engine", BLOCKS["gate_engine"], family)
    # For UltraScale+ Yosys leaves the sums of a polygon's edges beside the DSP slices.
    assert mapped.luts < luts
    assert family != "xcup" or mapped.delay_ps <= 2500


@pytest.mark.full
def test_front_at_the_rate_of_the_instrument() -> None:
    """104 pixels of 3 channels, two a beat, on UltraScale+: what docs/sorter.md says of cells and their delay."""
    mapped = synthesize("front", BLOCKS["front"], "xcup", abc9=False)
    assert mapped.luts < 3000
    assert mapped.cells["DSP48E2"] <= 20
    assert mapped.delay_ps <= 2500


@pytest.mark.full
@pytest.mark.timeout(2500)
@pytest.mark.parametrize(("block", "luts"), [("scheduler", 2800), ("features", 4300)])
def test_blocks_of_one_adder(block: str, luts: int) -> None:
    """A sum that is not mapped to one carry chain, or a mux in front of each of many, shows here."""
    assert synthesize(block, BLOCKS[block], "xc7").luts < luts


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_place_and_route(tmp_path: Path) -> None:
    """The engine of the scheduler, the slowest of the blocks, on an ECP5-85F of speed 8."""
    routed = route("sort_scheduler", {}, tmp_path, seed=1)
    assert routed.fmax_mhz >= 115
    assert sum(arc.ns for arc in routed.path) == pytest.approx(1000 / routed.fmax_mhz, rel=0.02)
