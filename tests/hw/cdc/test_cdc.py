# SPDX-License-Identifier: Apache-2.0
"""The clock crossings between two clocks of random periods; what is proven of them is in tests/formal."""

import pytest

from icsort.sim.verilator.bench import RTL, run_bench

SOURCES = [RTL / "kernels" / "fifo.sv", *sorted((RTL / "cdc").glob("*.sv"))]


@pytest.mark.parametrize(("width", "depth"), [(17, 4), (8, 16), (1, 64)])
def test_async_fifo(width: int, depth: int, seed: int) -> None:
    parameters = {"WIDTH": width, "DEPTH": depth}
    run_bench("async_fifo", "tests.hw.cdc.bench_async_fifo", SOURCES, parameters=parameters, seed=seed)


def test_pulse_synchronizer(seed: int) -> None:
    run_bench("pulse_synchronizer", "tests.hw.cdc.bench_pulse_synchronizer", SOURCES, seed=seed)


def test_line_clock_crossing(seed: int) -> None:
    parameters = {"WIDTH": 16, "DEPTH": 16}
    run_bench(
        "line_clock_crossing", "tests.hw.cdc.bench_line_clock_crossing", SOURCES, parameters=parameters, seed=seed
    )
