# SPDX-License-Identifier: Apache-2.0
"""The tools around a project: which are called with what, and what is made of what they leave."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.board import BOARDS
from icsort.formats.build import Build, load_build
from icsort.formats.project import load_project
from icsort.hw.bitstream import ecp5
from icsort.hw.synthesis import nextpnr
from tests.hw.bitstream.test_project import command

REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 71.234, "constraint": 67.5}, "clk_25mhz": {"achieved": 400, "constraint": 25}},
    "utilization": {"TRELLIS_COMB": {"used": 30_000, "available": 83_640}, "DCUA": {"used": 0, "available": 2}},
}
PLACER = """#!/bin/sh
if [ "$1" = --version ]; then echo 'nextpnr-ecp5 -- Next Generation Place and Route (Version nextpnr-0.9)' >&2; exit; fi
echo "$@" >> {log}
echo '{report}' > report.json
touch sorter.config
"""
PACKER = """#!/bin/sh
echo "$@" >> {log}
test -f sorter.config && echo bits > sorter.bit
"""
VIVADO = """#!/bin/sh
echo "$@" >> {log}
test -f build.tcl || exit 3
echo '| Tool Version : Vivado v.2024.2' > timing.rpt
printf '    WNS(ns)      TNS(ns)\\n    -------      -------\\n     0.500        0.000\\n' >> timing.rpt
echo '| CLB LUTs | 1234 |' > utilization.rpt
echo bits > sorter.bit
"""


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a program on PATH; returns the file in which it notes its words."""
    folder, log = tmp_path / "bin", tmp_path / "called"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, text: str) -> Path:
        (folder / name).write_text(text.format(log=log, report=json.dumps(REPORT)))
        (folder / name).chmod(0o755)
        return log

    return put


@pytest.fixture
def yosys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for Yosys; returns the scripts that it was given."""
    scripts: list[str] = []

    def run(script: str, folder: Path, _timeout: float) -> None:
        scripts.append(script)
        for name in ("netlist.json", "script.ys"):
            (folder / name).write_text("")

    monkeypatch.setattr(nextpnr, "run_script", run)
    return scripts


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("LFE5U-85F-6BG381C", ["--85k", "--package", "CABGA381", "--speed", "6"]),
        ("LFE5UM-45F-8BG554I", ["--um-45k", "--package", "CABGA554", "--speed", "8"]),
        ("LFE5UM5G-85F-8BG381C", ["--um5g-85k", "--package", "CABGA381", "--speed", "8"]),
        ("LFE5U-25F-8MG285C", ["--25k", "--package", "CSFBGA285", "--speed", "8"]),
    ],
)
def test_parts_as_nextpnr_names_them(part: str, options: list[str]) -> None:
    assert nextpnr.device(part) == options


def test_a_part_that_is_none() -> None:
    with pytest.raises(IcsortError, match="part 'LFE5U-85F': no ECP5 that nextpnr knows"):
        nextpnr.device("LFE5U-85F")


def test_an_ecp5_becomes_a_bitstream(
    build_for: Callable[[str], Build], on_path: Callable[[str, str], Path], yosys: list[str], tmp_path: Path
) -> None:
    on_path("nextpnr-ecp5", PLACER)
    log = on_path("ecppack", PACKER)
    out = tmp_path / "project"
    build = build_for("ulx3s")
    made = command(build.folder, "--out", out, "--seed", 7)
    assert made.exit_code == 0, made.output
    placed, packed = log.read_text().splitlines()
    assert "--85k --package CABGA381 --speed 6" in placed
    assert "--lpf board.lpf" in placed
    assert "--seed 7" in placed
    assert packed.endswith("--bit sorter.bit")
    (script,) = yosys
    assert all(name in script for name in (out / "files.f").read_text().split())
    project = load_project(out)
    assert project.routed is not None
    assert project.routed.fmax_mhz == 71.23  # of the sorter's clock, not of the oscillator's
    assert project.routed.used == {"TRELLIS_COMB": 30_000}
    assert project.routed.tools["nextpnr-ecp5"] == "nextpnr-0.9"
    clock = load_build(build.folder).clock_text
    assert re.fullmatch(r"67\.5 MHz, routed: at most 71\.2 MHz by Yosys [\d.]+, nextpnr-ecp5 nextpnr-0\.9", clock)
    assert (out / "sorter.bit").read_text() == "bits\n"
    assert not (out / "netlist.json").exists()
    assert "clock of 67.5 MHz met: at most 71.2 MHz" in made.output


@pytest.mark.usefixtures("yosys")
def test_a_clock_that_is_not_met_is_no_success(
    build_for: Callable[[str], Build], on_path: Callable[[str, str], Path], tmp_path: Path
) -> None:
    on_path("nextpnr-ecp5", PLACER.replace("echo '{report}'", "echo '{report}' | sed s/71.234/41.234/"))
    on_path("ecppack", PACKER)
    made = command(build_for("ulx3s").folder, "--out", tmp_path / "project", "--json")
    assert made.exit_code == 1
    assert json.loads(made.stdout)["routed"]["fmax_mhz"] == 41.23
    assert (tmp_path / "project/sorter.bit").is_file()


@pytest.mark.usefixtures("yosys")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho 'ERROR: IO is unconstrained' >&2; exit 1\n", "nextpnr-ecp5: IO is unconstrained"),
        ("#!/bin/sh\nsleep 9\n", r"nextpnr-ecp5 took longer than 0\.01 minutes; give it more --minutes"),
    ],
)
def test_a_tool_that_fails_leaves_nothing(
    text: str, message: str, build_for: Callable[[str], Build], on_path: Callable[[str, str], Path], tmp_path: Path
) -> None:
    on_path("nextpnr-ecp5", text)
    failed = command(build_for("ulx3s").folder, "--out", tmp_path / "project", "--minutes", 0.01)
    assert isinstance(failed.exception, IcsortError)
    with pytest.raises(IcsortError, match=message):
        raise failed.exception
    assert not (tmp_path / "project").exists()


def test_tools_that_are_missing_are_named(
    build_for: Callable[[str], Build], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(nextpnr.sysconfig, "get_path", lambda _: str(tmp_path))
    failed = command(build_for("ulx3s").folder, "--out", tmp_path / "project")
    assert "nextpnr-ecp5 is neither on PATH nor installed: pip install 'icsort[hw]'" in str(failed.exception)


def test_vivado_is_run_where_it_is(
    build_for: Callable[[str], Build], on_path: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = build_for("pynq_z2").folder
    alone = command(folder, "--out", tmp_path / "alone")
    assert alone.exit_code == 0, alone.output
    assert "vivado -mode batch -nojournal -source build.tcl" in " ".join(alone.output.split())
    assert load_project(tmp_path / "alone").routed is None
    log = on_path("vivado", VIVADO)
    made = command(folder, "--out", tmp_path / "made", "--json")
    assert made.exit_code == 0, made.output
    assert log.read_text().split()[-2:] == ["-source", "build.tcl"]
    routed: dict[str, Any] = json.loads(made.stdout)["routed"]
    assert routed["fmax_mhz"] == pytest.approx(1e3 / 9.5, abs=0.01)
    assert routed["used"]["LUT"] == 1234
    assert routed["tools"] == {"Vivado": "2024.2"}


@pytest.mark.parametrize("project", ["ulx3s"], indirect=True)
def test_pins_and_clock_become_a_bitstream(project: Path) -> None:
    """The board around a sorter that only turns its input round, by Yosys, nextpnr and ecppack themselves."""
    shutil.copy(Path(__file__).parent / "icsort_build.sv", project / "rtl/icsort_build.sv")
    kept = ("rtl/board/", "rtl/icsort_build.sv", "rtl/cdc/")
    files = [name for name in (project / "files.f").read_text().split() if name.startswith(kept)]
    (project / "files.f").write_text("\n".join(files))
    made = ecp5.build(load_project(project), project, seed=1, timeout=500)
    assert made.routed is not None
    assert made.routed.fmax_mhz >= made.clock_mhz
    assert made.routed.used["EHXPLLL"] == 1
    assert made.routed.used["TRELLIS_IO"] == 22
    bits = (project / "sorter.bit").read_bytes()
    assert b"LFE5U-85F-6CABGA381" in bits[:200]
    assert len(bits) > 50_000
    log = (project / "nextpnr.log").read_text()
    assert re.search(r"Derived frequency constraint of 67\.5 MHz for net .*clk", log), log


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The demo's network, of random weights, compiled as the ULX3S's README says."""
    folder = tmp_path_factory.mktemp("student")
    for words in (
        ("model", "--arch", "student", "--classes", 7, "--out", folder / "package"),
        ("compile", folder / "package", "--out", folder / "build", "--board", "ulx3s", "--rate", 15_000,
         "--line-pixels", 1, "--no-features", "--fill", "0.36,DSP=0.01",
         "--folding", BOARDS / "ulx3s" / "student.json"),
    ):  # fmt: skip
        done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return load_build(folder / "build")


def test_the_folding_of_the_ulx3s_keeps_the_rate(student: Build) -> None:
    assert student.clock_mhz * 1e6 / student.interval_cycles >= 15_000
    assert sum(layer.resources["DSP"] for layer in student.layers) == 0
    assert {layer.kernel for layer in student.layers if layer.op == "MVAU"} == {"mvau"}


@pytest.mark.full
@pytest.mark.timeout(9000)
def test_a_real_bitstream(student: Build, tmp_path: Path) -> None:
    """The complete sorter around it, by Yosys, nextpnr and ecppack. Other weights than the demo's route otherwise."""
    out = tmp_path / "project"
    command(student.folder, "--out", out, "--minutes", 70)
    routed = load_project(out).routed
    assert routed is not None
    assert routed.fmax_mhz >= 60
    assert routed.used["MULT18X18D"] <= 40
    assert (out / "sorter.bit").stat().st_size > 1_000_000
