# SPDX-License-Identifier: Apache-2.0
import pytest

from icsort.sim.verilator.bench import RTL, run_bench


@pytest.mark.parametrize(
    ("width", "depth", "style"),
    [
        (1, 2, "distributed"),
        (37, 5, "distributed"),
        (512, 16, "auto"),
        (1, 2, "block"),
        (37, 5, "block"),
        (37, 300, "auto"),  # in block RAM
    ],
)
def test_fifo(width: int, depth: int, style: str, seed: int) -> None:
    run_bench(
        "fifo",
        "tests.hw.kernels.bench_fifo",
        [RTL / "kernels" / "fifo.sv"],
        parameters={"WIDTH": width, "DEPTH": depth, "RAM_STYLE": style},
        seed=seed,
    )
