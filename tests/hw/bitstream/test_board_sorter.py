# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from icsort.formats.board import BOARDS
from icsort.sim.verilator.bench import RTL, run_bench


def test_board_sorter(seed: int) -> None:
    sources = [
        Path(__file__).parent / "icsort_build.sv",
        RTL / "cdc" / "synchronizer.sv",
        RTL / "cdc" / "reset_synchronizer.sv",
        BOARDS / "rtl" / "board_lights.sv",
        BOARDS / "rtl" / "board_sorter.sv",
    ]
    parameters = {"LIGHT_BITS": 4}
    run_bench("board_sorter", "tests.hw.bitstream.bench_board_sorter", sources, parameters=parameters, seed=seed)
