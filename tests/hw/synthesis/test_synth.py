# SPDX-License-Identifier: Apache-2.0
"""`icsort synth`: every part of a build through Yosys, and the sorter without the network."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.hw.commands.synth import synth
from icsort.hw.compile import compile_package
from icsort.hw.folding.resources import RESOURCES
from icsort.hw.synthesis import synth as parts
from icsort.hw.synthesis.synth import SORTER, synthesize_build
from icsort.hw.synthesis.vivado import place_and_route
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
def test_vivado_is_not_started_unasked(build, tmp_path, monkeypatch) -> None:
    log = fake_vivado(tmp_path, monkeypatch)
    out = tmp_path / "routed"
    assert command(build.folder, "--minutes", 2, "--out", out).exit_code == 0
    assert not log.exists()
    assert not out.exists()
    result = command(build.folder, "--minutes", 2, "--out", out, "--vivado", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["vivado"]["slack_ns"] == 0.125
    assert json.loads(result.stdout)["vivado"]["used"]["LUT"] == 1234


@pytest.mark.usefixtures("yosys")
def test_vivados_results_are_replaced_with_force_alone(build, tmp_path, monkeypatch) -> None:
    fake_vivado(tmp_path, monkeypatch)
    out = tmp_path / "routed"
    place_and_route(build, out)
    (out / "timing.rpt").write_text("hours of work")
    log = fake_vivado(tmp_path, monkeypatch, slack=-0.5)
    log.unlink()
    refused = command(build.folder, "--minutes", 2, "--out", out, "--vivado")
    assert isinstance(refused.exception, IcsortError)
    assert "replace it with --force" in str(refused.exception)
    assert not log.exists()  # nothing was run for nothing
    assert (out / "timing.rpt").read_text() == "hours of work"
    assert command(build.folder, "--minutes", 2, "--out", out, "--vivado", "--force").exit_code == 1  # clock not met
    assert "-0.5" in (out / "timing.rpt").read_text()


def test_vivado_that_fails_or_is_missing(build, tmp_path, monkeypatch) -> None:
    with pytest.raises(IcsortError, match="vivado is not on PATH"):
        place_and_route(build, tmp_path / "routed")
    fake_vivado(tmp_path, monkeypatch, code=1)
    with pytest.raises(IcsortError, match=r"Vivado failed, see .*vivado\.log: no reason given"):
        place_and_route(build, tmp_path / "routed")
    assert not (tmp_path / "routed").exists()
