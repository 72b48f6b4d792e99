# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
from pathlib import Path

import pytest

from icsort.sim.verilator import verilate
from icsort.sim.verilator.bench import RTL, run_bench

LINK = RTL / "sorter" / "link"
LINK_SOURCES = [RTL / "sorter" / "icsort_pkg.sv", *sorted(LINK.glob("*.sv"))]
REGISTER_SOURCES = [RTL / "sorter" / "registers" / name for name in ("icsort_registers_pkg.sv", "icsort_registers.sv")]


@pytest.mark.parametrize("clks_per_bit", [4, 5, 16])
@pytest.mark.quick(2)
def test_uart_rx(clks_per_bit: int, seed: int) -> None:
    run_bench(
        "uart_rx",
        "tests.hw.link.bench_uart_rx",
        [LINK / "uart_rx.sv"],
        parameters={"CLKS_PER_BIT": clks_per_bit},
        seed=seed,
    )


@pytest.mark.parametrize("clks_per_bit", [4, 13])
def test_uart_tx(clks_per_bit: int, seed: int) -> None:
    run_bench(
        "uart_tx",
        "tests.hw.link.bench_uart_tx",
        [LINK / "uart_tx.sv"],
        parameters={"CLKS_PER_BIT": clks_per_bit},
        seed=seed,
    )


@pytest.mark.parametrize("module", ["crc32", "cobs_decoder", "cobs_encoder"])
def test_coding(module: str, seed: int) -> None:
    run_bench(module, f"tests.hw.link.bench_{module}", [LINK / f"{module}.sv"], seed=seed)


@pytest.mark.parametrize(("size", "frames"), [(20_000, 500), pytest.param(1_000_000, 10_000, marks=pytest.mark.full)])
def test_request_path(size: int, frames: int, seed: int) -> None:
    sources = [*LINK_SOURCES, Path(__file__).parent / "request_path.sv"]
    environment = {"BYTES": str(size), "FRAMES": str(frames)}
    run_bench("request_path", "tests.hw.link.bench_request_path", sources, environment=environment, seed=seed)


def test_icsort_link(seed: int) -> None:
    run_bench("icsort_link", "tests.hw.link.bench_icsort_link", LINK_SOURCES, parameters={"CLKS_PER_BIT": 4}, seed=seed)


def test_link_registers(seed: int) -> None:
    """The link with the generated register block behind it, addressed by the host's table."""
    sources = [
        *REGISTER_SOURCES,
        *LINK_SOURCES,
        LINK.parent / "arming.sv",
        LINK.parent / "scheduler" / "schedule_settings.sv",
        Path(__file__).parent / "link_registers.sv",
    ]
    run_bench("link_registers", "tests.hw.link.bench_link_registers", sources, seed=seed)


@pytest.mark.parametrize("top", ["uart_rx", "uart_tx", "icsort_link"])
def test_too_few_clocks_a_bit_stop_at_elaboration(top: str) -> None:
    command = ["verilator", "--lint-only", "--top-module", top, "-GCLKS_PER_BIT=3", *map(str, LINK_SOURCES)]
    done = subprocess.run(
        command, env={**os.environ, **verilate.environment()}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "CLKS_PER_BIT must be at least 4" in done.stderr


def test_lint() -> None:
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "icsort_link", *map(str, LINK_SOURCES)]
    done = subprocess.run(
        command, env={**os.environ, **verilate.environment()}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
