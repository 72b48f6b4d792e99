# SPDX-License-Identifier: Apache-2.0
"""A small bench is compiled with Verilator's headers precompiled: what most of its compilation would be."""

from pathlib import Path

import pytest

from icsort.sim.verilator import verilate
from icsort.sim.verilator.bench import RTL, run_bench


def test_headers_are_precompiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    """g++ warns where it cannot use the compiled form and reads the headers again."""
    monkeypatch.setenv("CCACHE_DIR", verilate.environment()["CCACHE_DIR"])
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path))
    sizes = {"WIDTH": 3, "DEPTH": 2, "RAM_STYLE": "distributed"}
    run_bench("fifo", "tests.hw.kernels.bench_fifo", [RTL / "kernels" / "fifo.sv"], parameters=sizes, seed=seed)
    (header,) = tmp_path.glob("bench-headers/*/runtime.h.gch")
    said = "".join(capfd.readouterr())
    assert f"-include {header.with_suffix('')} " in said
    assert header.name not in said
