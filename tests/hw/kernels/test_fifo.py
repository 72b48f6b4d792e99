# SPDX-License-Identifier: Apache-2.0
import pytest

from sim.bench import RTL, run_bench


@pytest.mark.parametrize(("width", "depth"), [(1, 2), (37, 5), (512, 16)])
def test_fifo(width: int, depth: int, seed: int) -> None:
    run_bench(
        "fifo",
        "tests.hw.kernels.bench_fifo",
        [RTL / "kernels" / "fifo.sv"],
        parameters={"WIDTH": width, "DEPTH": depth},
        seed=seed,
    )
