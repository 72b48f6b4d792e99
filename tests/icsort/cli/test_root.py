# SPDX-License-Identifier: Apache-2.0
"""The `icsort` command before a sub-command is imported: help, version, hints, completion, one line for an error."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import icsort
from icsort.cli import console
from icsort.cli.root import COMMANDS, app, load

HEAVY = {"rich", "numpy", "serial", "torch", "finn", "qonnx", "onnx", "scipy", "matplotlib", "pydantic"}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "icsort", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_version() -> None:
    shown = run("--version")
    assert (shown.returncode, shown.stdout) == (0, f"icsort {icsort.__version__}\n")
    pyproject = Path(__file__).parents[3] / "pyproject.toml"
    assert re.search(rf'^version = "{re.escape(icsort.__version__)}"$', pyproject.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("typed", "meant"), [("tain", "train"), ("simulat", "simulate"), ("evalute", "evaluate"), ("bord", "board")]
)
def test_mistyped_command(typed: str, meant: str) -> None:
    shown = run(typed)
    assert shown.returncode == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'" in shown.stderr


def test_help_lists_every_command_and_imports_none() -> None:
    words = " ".join(run("--help").stdout.split())
    for name, entry in COMMANDS.items():
        assert f" {name} {entry.help} " in f"{words} ", name
    for option in ("--version", "--verbose", "--debug", "--install-completion"):
        assert option in words
    code = "import sys; from icsort.cli.root import app\ntry: app(['--help'])\nfinally: print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in loaded.stdout.splitlines()[-1].split()}
    assert "typer" in names
    assert not names & HEAVY


def test_completion_imports_no_command() -> None:
    environment = {"_ICSORT_COMPLETE": "complete_bash", "COMP_WORDS": "icsort ex", "COMP_CWORD": "1"}
    shown = run(**environment)
    assert sorted(shown.stdout.split()) == sorted(name for name in COMMANDS if name.startswith("ex"))
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from icsort.cli.root import app; app(prog_name='icsort')"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert traced.stdout.split() == shown.stdout.split()
    assert " icsort.cli.root" in traced.stderr
    assert not [name for name in ("torch", "matplotlib", "icsort.quant", "icsort.hw") if f"| {name}\n" in traced.stderr]


def test_completion_of_options() -> None:
    shown = run(_ICSORT_COMPLETE="complete_bash", COMP_WORDS="icsort disarm --", COMP_CWORD="2")
    assert {"--port", "--baud"} <= set(shown.stdout.split())


@pytest.mark.parametrize("debug", ["", "in front", "behind"])
def test_error_is_one_line_and_debug_says_where(debug: str, tmp_path: Path) -> None:
    words = ["info", "--port", str(tmp_path / "none")]
    shown = run(*["--debug"] * (debug == "in front"), *words, *["--debug"] * (debug == "behind"))
    assert shown.returncode == (1 if debug else 2)
    assert shown.stdout == ""
    lines = shown.stderr.splitlines()
    assert ("Traceback" in lines[0]) == bool(debug)
    assert debug or (len(lines) == 1 and lines[0].startswith("icsort: error: "))


def test_verbose_stands_in_front_or_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "verbose", False)
    for words, verbose in (
        (["doctor"], False),
        (["-v", "doctor"], True),
        (["doctor"], False),
        (["doctor", "-v"], True),
    ):
        CliRunner().invoke(app, words)
        assert console.verbose == verbose, words


def test_help_of_a_group_cuts_no_line() -> None:
    for group in ("data", "gate"):
        shown = run(group, "--help", COLUMNS="60").stdout
        assert "..." not in shown.partition("Commands:")[2]
        words = " ".join(shown.split())
        for name, command in load(group).commands.items():
            first = " ".join(command.help.partition("\n\n")[0].split())
            assert f" {name} {first} " in f"{words} "


def commands() -> list[tuple[str, Any]]:
    """Every command by the words that call it."""
    found = []
    for name in COMMANDS:
        command = load(name)
        group = getattr(command, "commands", None)
        found += [(f"{name} {word}", each) for word, each in group.items()] if group else [(name, command)]
    return found


def test_every_command_has_an_example_in_its_help() -> None:
    assert [words for words, command in commands() if f"icsort {words}" not in command.help] == []


def test_one_line_says_what_a_command_does() -> None:
    """The help of the list is how the command's own begins."""
    for name, entry in COMMANDS.items():
        assert " ".join(load(name).help.split()).startswith(entry.help), name
