# SPDX-License-Identifier: Apache-2.0
"""`icsort program`: which loader is called, and what is said where none can be."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.host.commands.program import program

PROJECT = {
    "format": "icsort-project",
    "version": 1,
    "build_id": "0123456789abcdef",
    "model_id": "0123456789abcdef",
    "board": "ulx3s",
    "part": "LFE5U-85F-6BG381C",
    "flow": "nextpnr-ecp5",
    "clock_mhz": 60.0,
    "top": "board_top",
    "loader": "ulx3s",
    "routed": None,
}


def project(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "project.json").write_text(json.dumps({**PROJECT, **changes}))
    (folder / "sorter.bit").write_bytes(b"bits")
    return folder


def command(*words: object) -> Result:
    app = Typer()
    app.command()(program)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder on PATH beside the system's."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path / "bin"


def put(programs: Path, name: str, code: int = 0) -> None:
    """A program that notes its words and folder, and ends with a code."""
    (programs / name).write_text(f'#!/bin/sh\necho "$PWD $@" > {programs}/called\necho no cable\nexit {code}\n')
    (programs / name).chmod(0o755)


ULX3S: dict[str, Any] = {}
ZYNQ = {"board": "zcu104", "flow": "vivado", "loader": None}


@pytest.mark.parametrize(
    ("changes", "present", "words", "called"),
    [
        (ULX3S, "openFPGALoader", [], "--board ulx3s sorter.bit"),
        (ULX3S, "openFPGALoader", ["--flash"], "--board ulx3s --write-flash sorter.bit"),
        (ZYNQ, "vivado", [], "-mode batch -nojournal -source program.tcl"),
        (ZYNQ | {"loader": "pynq_z2"}, "openFPGALoader", [], "--board pynq_z2 sorter.bit"),
        (ZYNQ | {"loader": "pynq_z2"}, "vivado", [], "-mode batch -nojournal -source program.tcl"),
    ],
)
def test_what_is_called(
    changes: dict[str, Any], present: str, words: list[str], called: str, programs: Path, tmp_path: Path
) -> None:
    put(programs, present)
    folder = project(tmp_path / "project", **changes)
    done = command(folder, *words)
    assert done.exit_code == 0, done.output
    assert (programs / "called").read_text() == f"{folder} {called}\n"
    assert f"loaded by {present}" in done.output
    assert json.loads(command(folder, *words, "--json").stdout)["command"][1:] == called.split()


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        (ULX3S, [], "openFPGALoader is not on PATH: docs/boards.md says how to get it"),
        (ZYNQ, [], "vivado is not on PATH"),
        (ZYNQ | {"loader": "pynq_z2"}, [], "openFPGALoader or vivado is not on PATH"),
        (ZYNQ, ["--flash"], "zcu104: --flash: a Zynq starts from what its processor loads"),
    ],
)
@pytest.mark.usefixtures("programs")
def test_what_cannot_be_loaded(changes: dict[str, Any], words: list[str], message: str, tmp_path: Path) -> None:
    failed = command(project(tmp_path / "project", **changes), *words)
    assert isinstance(failed.exception, IcsortError)
    assert message in str(failed.exception)


def test_a_loader_that_fails_says_why(programs: Path, tmp_path: Path) -> None:
    put(programs, "openFPGALoader", code=1)
    failed = command(project(tmp_path / "project"))
    assert str(failed.exception) == "openFPGALoader failed: no cable"


def test_folders_that_are_no_project(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "not a project (no project.json)" in str(command(tmp_path / "empty").exception)
    folder = project(tmp_path / "project")
    (folder / "sorter.bit").unlink()
    assert "there is no sorter.bit yet" in str(command(folder).exception)
    (folder / "project.json").write_text(json.dumps(PROJECT | {"flow": "quartus"}))
    assert "flow is 'quartus'" in str(command(folder).exception)


def test_an_ip_is_no_bitstream(tmp_path: Path) -> None:
    made = command(project(tmp_path / "project", kind="ip", flow="vivado"))
    assert isinstance(made.exception, IcsortError)
    assert "is an IP, for a block design of your own" in str(made.exception)
