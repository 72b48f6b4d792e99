# SPDX-License-Identifier: Apache-2.0
"""The command of CONTRIBUTING.md works as it stands there."""

import json
import re
import sys
import types
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from icsort.cli import root
from tests.hw.networks import Network, make_package

CONTRIBUTING = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(heading: str) -> list[str]:
    """Python of a section, and its entry where that stands in a line of its own."""
    section = CONTRIBUTING.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


def module(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType(name)
    exec(compile(code, name, "exec"), made.__dict__)
    monkeypatch.setitem(sys.modules, name, made)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, entry = blocks("Adding a command")
    module("icsort.host.commands.classes", code, monkeypatch)
    for name, value in eval("{" + entry + "}", {"Entry": root.Entry}).items():
        monkeypatch.setitem(root.COMMANDS, name, value)
    package = make_package(tmp_path / "package", Network(), 2)
    group = get_command(root.app)
    runner = CliRunner()
    shown = runner.invoke(root.app, ["classes", str(package)], catch_exceptions=False)
    assert "class0" in shown.stdout
    shown = runner.invoke(root.app, ["classes", str(package), "--json"])
    assert json.loads(shown.stdout) == [f"class{i}" for i in range(Network().classes)]
    assert "classes List the classes" in " ".join(runner.invoke(root.app, ["--help"]).stdout.split())
    assert "classes" in group.commands  # type: ignore[attr-defined]
