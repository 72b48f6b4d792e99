# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from icsort.sim.verilator.bench import RTL, run_bench
from tests.hw.sorter.reference import CLASSES, POSTERIOR

SORTER = RTL / "sorter"
HERE = Path(__file__).parent / "rtl"
SOURCES = [
    RTL / "kernels" / "fifo.sv",
    RTL / "kernels" / "width_converter.sv",
    SORTER / "registers" / "icsort_registers_pkg.sv",
    SORTER / "registers" / "icsort_registers.sv",
    *sorted((SORTER / "link").glob("*.sv")),
    *sorted(SORTER.glob("*.sv")),
    *sorted(HERE.glob("*.sv")),
]
# line_input 1, line_buffer 1, preprocess 3, stub network 2, gate 2 N + 7.
LAST_PIXEL_TO_DECISION = 1 + 1 + 3 + 2 + 2 * CLASSES + 7


def test_icsort_top(seed: int) -> None:
    multiplier, shift = POSTERIOR
    run_bench(
        "sorter_bench",
        "tests.hw.sorter.bench_icsort_top",
        SOURCES,
        # 32 words hold three records: at full speed the link cannot keep up, and records are lost and counted.
        parameters={"POST_MULT": multiplier, "POST_SHIFT": shift, "RECORD_WORDS": 32},
        environment={"LAST_PIXEL_TO_DECISION": str(LAST_PIXEL_TO_DECISION)},
        seed=seed,
    )
