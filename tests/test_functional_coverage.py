# SPDX-License-Identifier: Apache-2.0
"""What is told of the situations that the benches met is what Verilator counted."""

from pathlib import Path

import pytest

from icsort.sim.verilator.bench import COVERAGE_FOLDER, RTL, run_bench
from tests.functional_coverage import met, report

SORTER = RTL / "sorter"


def test_a_bench_leaves_what_it_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setenv(COVERAGE_FOLDER, str(tmp_path))
    run_bench("arming", "tests.hw.sorter.bench_arming", [SORTER / "arming.sv"], seed=seed)
    counts = met(tmp_path.glob("*.dat"))
    named = SORTER.joinpath("arming.sv").read_text().count("cover property")
    assert len(counts) == named > 0
    assert counts["arming", "armed_by_host"] > 0


def test_what_no_bench_met_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COVERAGE_FOLDER, str(tmp_path))
    assert report(tmp_path / "none.txt") == ""
    point = "C '\x01f\x02/x/{}.sv\x01l\x024\x01t\x02user\x01page\x02v_user/{}\x01o\x02{}\x01h\x02TOP' {}\n"
    first = point.format("door", "door__P1", "opened", 3) + point.format("door", "door__P1", "locked", 0)
    second = point.format("door", "door__P2", "opened", 2) + point.format("door", "door__P2", "locked", 0)
    (tmp_path / "1.dat").write_text("# SystemC::Coverage-3\n" + first)
    (tmp_path / "2.dat").write_text("# SystemC::Coverage-3\n" + second + "C 'cut")
    table = tmp_path / "out" / "functional.txt"
    assert report(table) == f"functional coverage: 1 of 2 situations met ({table}); not met: door.locked"
    assert [line.split() for line in table.read_text().splitlines()] == [
        ["door", "locked", "0"],
        ["door", "opened", "5"],
    ]
