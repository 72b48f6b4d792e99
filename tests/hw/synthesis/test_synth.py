# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`: every part of a build through Yosys, and the sorter without the network."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.formats.build import load_build
from icsort.hw.commands.synth import synth
from icsort.hw.compile import compile_package
from icsort.hw.folding.resources import RESOURCES
from icsort.hw.synthesis import nextpnr
from icsort.hw.synthesis import synth as parts
from icsort.hw.synthesis.route import route_build
from icsort.hw.synthesis.synth import SORTER, synthesize_build
from icsort.hw.synthesis.yosys import Module, NotSynthesizedError


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_every_part_of_a_build_is_synthesized(package, tmp_path):
    build = compile_package(package, tmp_path / "build", board="pynq_z2", rate=20_000.0)
    found = synthesize_build(build, timeout=600)
    parts = {part.name: part for part in found.parts}
    assert found.complete
    assert {layer.instance for layer in build.layers} <= parts.keys()
    network = [part for name, part in parts.items() if name != SORTER]
    assert all(part.synthesized["LUT"] > 0 for part in network)
    assert found.total()["LUT"] == sum(part.synthesized["LUT"] for part in parts.values())
    assert parts[SORTER].model is None
    assert not found.exceeded()


def command(*words: object) -> Result:
    app = Typer()
    app.command()(synth)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for Yosys: every module of the network takes a LUT; the sorter takes longer than its limit."""

    def synthesize(module: Module, _family: str, timeout: float) -> dict[str, int]:
        if module.name == "icsort_build" and timeout < 60:
            raise NotSynthesizedError
        return {**dict.fromkeys(RESOURCES, 0), "LUT": 1}

    monkeypatch.setattr(parts, "synthesize", synthesize)


@pytest.fixture
def copied(build, tmp_path) -> Path:
    """The folder of a build of one's own, as what is routed is kept in it; for a board of Xilinx's."""
    folder = tmp_path / "copied"
    shutil.copytree(build.folder, folder)
    contents = json.loads((folder / "build.json").read_text())
    (folder / "build.json").write_text(json.dumps(contents | {"part": "xc7z020clg400-1"}))
    return folder


@pytest.mark.usefixtures("yosys")
def test_a_part_that_took_too_long_is_no_success(build) -> None:
    assert command(build.folder, "--minutes", 2).exit_code == 0
    result = command(build.folder, "--minutes", 0.5)
    assert result.exit_code == 1
    assert "not synthesized: sorter" in result.output.replace("\n", " ")
    result = command(build.folder, "--minutes", 0.5, "--json")
    assert result.exit_code == 1
    assert not json.loads(result.stdout)["complete"]


VIVADO = """#!/bin/sh
echo started >> {log}
while [ "$1" != -tclargs ]; do shift; done
cd "$3"
test -f "$2/files.f" || exit 3
cat > timing.rpt <<END
| Tool Version : Vivado v.2024.2
    WNS(ns)      TNS(ns)
    -------      -------
     {slack}        0.000
END
echo '| CLB LUTs | 1234 |' > utilization.rpt
exit {code}
"""


def fake_vivado(folder: Path, monkeypatch: pytest.MonkeyPatch, slack: float = 0.125, code: int = 0) -> Path:
    """A program `vivado` on PATH that writes reports; returns the file in which it notes each start."""
    program, log = folder / "bin" / "vivado", folder / "started"
    program.parent.mkdir(exist_ok=True)
    program.write_text(VIVADO.format(log=log, slack=slack, code=code))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.mark.usefixtures("yosys")
def test_vivado_is_not_started_unasked(copied, tmp_path, monkeypatch) -> None:
    log = fake_vivado(tmp_path, monkeypatch)
    out = tmp_path / "routed"
    assert command(copied, "--minutes", 2, "--out", out).exit_code == 0
    assert not log.exists()
    assert not out.exists()
    assert load_build(copied).clock_text == "100 MHz, a target: no place-and-route report exists"
    result = command(copied, "--minutes", 2, "--out", out, "--route", "--json")
    assert result.exit_code == 0
    routed = json.loads(result.stdout)["routed"]
    assert routed["fmax_mhz"] == pytest.approx(1e3 / (10 - 0.125), abs=0.01)
    assert routed["used"]["LUT"] == 1234
    build = load_build(copied)
    assert (build.clock_is, build.clock_text) == ("routed", "100 MHz, routed: at most 101.3 MHz by Vivado 2024.2")


@pytest.mark.usefixtures("yosys")
def test_a_route_is_replaced_with_force_alone(copied, tmp_path, monkeypatch) -> None:
    log = fake_vivado(tmp_path, monkeypatch)
    out = tmp_path / "routed"
    assert command(copied, "--minutes", 2, "--out", out, "--route").exit_code == 0
    (out / "timing.rpt").write_text("hours of work")
    log.unlink()
    fake_vivado(tmp_path, monkeypatch, slack=-0.5)
    refused = command(copied, "--minutes", 2, "--out", out, "--route")
    assert isinstance(refused.exception, IcsortError)
    assert "replace it with --force" in str(refused.exception)
    assert not log.exists()  # nothing was run for nothing
    assert (out / "timing.rpt").read_text() == "hours of work"
    assert command(copied, "--minutes", 2, "--out", out, "--route", "--force").exit_code == 1  # clock not met
    assert "-0.5" in (out / "timing.rpt").read_text()
    build = load_build(copied)
    assert (build.clock_is, build.clock_text) == ("target", "100 MHz, NOT reached: at most 95.2 MHz by Vivado 2024.2")


def test_vivado_that_fails_or_is_missing(copied, tmp_path, monkeypatch) -> None:
    out = tmp_path / "routed"
    with pytest.raises(IcsortError, match=r"vivado is not on PATH: .*, or route with --family ecp5"):
        route_build(load_build(copied), "", out, seeds=1, timeout=9)
    fake_vivado(tmp_path, monkeypatch, code=1)
    with pytest.raises(IcsortError, match=r"Vivado failed, see .*vivado\.log: no reason given"):
        route_build(load_build(copied), "", out, seeds=1, timeout=9)
    assert not out.exists()
    assert load_build(copied).routed is None


def test_the_fastest_place_of_nextpnr_counts(copied, tmp_path, monkeypatch) -> None:
    """A build for Xilinx on an ECP5: shown, and not kept as the build's own."""
    program = tmp_path / "bin" / "nextpnr-ecp5"
    program.parent.mkdir()
    program.write_text(NEXTPNR)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    scripts = []

    def run_script(script: str, folder: Path, _timeout: float) -> None:
        assert (folder / "mem").is_dir()
        scripts.append(script)
        for name in ("netlist.json", "script.ys"):
            (folder / name).write_text("")

    monkeypatch.setattr(nextpnr, "run_script", run_script)
    out, build = tmp_path / "routed", load_build(copied)
    found = route_build(build, "ecp5", out, seeds=3, timeout=60)
    assert found.part == "LFE5U-85F-8BG756C"
    assert (found.routed.fmax_mhz, found.routed.others_mhz) == (130.0, [120.0, 110.0])
    assert [(arc.ns, arc.what) for arc in found.path] == [(0.5, "u.q"), (7.19, "u.d")]
    (script,) = scripts  # mapped once, placed three times
    assert str(build.sources()[0].resolve()) in script
    kept = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert {"route.json", "seed-3-report.json"} <= kept
    assert not kept & {"netlist.json", "mem", "script.ys"}
    assert json.loads((out / "route.json").read_text())["build_id"] == build.build_id


NEXTPNR = """#!/bin/sh
if [ "$1" = --version ]; then echo 'nextpnr-ecp5 (Version nextpnr-0.9)' >&2; exit; fi
case "$*" in *"--seed 1 "*) mhz=120;; *"--seed 2 "*) mhz=130;; *) mhz=110;; esac
touch nextpnr.log
cat > report.json <<END
{"fmax": {"clk": {"achieved": $mhz, "constraint": 100}}, "utilization": {"TRELLIS_COMB": {"used": 9, "available": 99}},
 "critical_paths": [{"from": "posedge clk", "to": "posedge clk", "path": [
  {"delay": 0.5, "type": "clk-to-q", "from": {"cell": "u.q"}}, {"delay": 7.19, "type": "routing", "net": "u.d"}]}]}
END
"""


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_build_that_nextpnr_places(build, tmp_path) -> None:
    """The complete sorter around the smallest network, on an ECP5."""
    found = route_build(build, "ecp5", tmp_path / "routed", seeds=1, timeout=3000)
    assert found.routed.fmax_mhz > 40
    assert sum(arc.ns for arc in found.path) == pytest.approx(1000 / found.routed.fmax_mhz, rel=0.02)
