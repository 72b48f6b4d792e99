# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from icsort.sim.verilator.bench import REPOSITORY, RTL, run_bench
from tests.hw.sorter.reference import CLASSES

SORTER = RTL / "sorter"
HERE = Path(__file__).parent / "rtl"
SOURCES = [
    RTL / "kernels" / "fifo.sv",
    RTL / "kernels" / "width_converter.sv",
    SORTER / "icsort_pkg.sv",
    SORTER / "registers" / "icsort_registers_pkg.sv",
    SORTER / "registers" / "icsort_statistics_pkg.sv",
    SORTER / "registers" / "icsort_registers.sv",
    RTL / "cdc" / "synchronizer.sv",
    *sorted((SORTER / "link").glob("*.sv")),
    *sorted((SORTER / "scheduler").glob("*.sv")),
    *sorted(path for path in SORTER.glob("*.sv") if path.stem != "icsort_pkg"),
    *sorted(HERE.glob("*.sv")),
    REPOSITORY / "hw" / "bench" / "icsort_net.sv",
]
# line_input 1, flat_field 4, channel_delay 2, line_store and window_reader 4, preprocess 4, stub network 2.
LAST_PIXEL_TO_LOGITS = 1 + 4 + 2 + 4 + 4 + 2
LOGITS_TO_POSTERIOR = 2 * CLASSES + 23
TESTS_AND_GATES = 1 + 1 + 16


@pytest.mark.parametrize(
    ("features", "full_speed"),
    [pytest.param(0, True, marks=pytest.mark.full), pytest.param(1, True, marks=pytest.mark.full), (1, False)],
)
def test_icsort_axi_top(seed: int, features: int, full_speed: bool) -> None:
    """full_speed: not with stalls alone."""
    run_bench(
        "sorter_axi_bench",
        "tests.hw.sorter.bench_icsort_axi_top",
        SOURCES,
        parameters={"RECORD_WORDS": 64, "FEATURES": features},
        environment={"FULL_SPEED": "1"} if full_speed else {},
        seed=seed,
    )


def test_icsort_axi_top_behind_the_host(seed: int) -> None:
    """Compiled as the quick one above."""
    parameters = {"RECORD_WORDS": 64, "FEATURES": 1}
    run_bench("sorter_axi_bench", "tests.hw.sorter.bench_pynq", SOURCES, parameters=parameters, seed=seed)


@pytest.mark.parametrize("frames", [False, pytest.param(True, marks=pytest.mark.full)])
def test_icsort_top(seed: int, frames: bool) -> None:
    run_bench(
        "sorter_bench",
        "tests.hw.sorter.bench_icsort_top",
        SOURCES,
        # 32 words hold three records: at full speed the link cannot keep up, and records are lost and counted.
        parameters={"RECORD_WORDS": 32},
        environment={
            "LAST_PIXEL_TO_LOGITS": str(LAST_PIXEL_TO_LOGITS),
            "LOGITS_TO_POSTERIOR": str(LOGITS_TO_POSTERIOR),
            "TESTS_AND_GATES": str(TESTS_AND_GATES),
        }
        | ({"FRAMES": "1"} if frames else {}),
        seed=seed,
    )
