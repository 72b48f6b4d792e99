# SPDX-License-Identifier: Apache-2.0
"""One word means one thing in all commands."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.quant.networks.registry import ARCHITECTURES, PUBLISHED
from tests.icsort.cli.test_root import commands

# Their help differs in what is made, counted or left out, and in whether the network keeps up or cells come so fast.
DESCRIBED = {"--out", "--count", "--rate", "--data", "--model", "--port", "--channels"}
SHARED = {"--force", "--json", "--board", "--limit", "--seed", "--verbose", "--debug", "--group-by", "--merge", "--ray"}
GOES_ON = {"study", "search"}  # an interrupted one is gone on with: there is nothing to replace
ONE_FILE = {"watch", "calibrate delay"}  # of events that cannot be had again


@pytest.fixture(scope="module")
def every() -> list[tuple[str, dict[str, Any]]]:
    """Each command with its options by their long name."""
    return [
        (words, {next(filter(lambda name: name.startswith("--"), param.opts)): param for param in command.params
                 if param.opts[0].startswith("-")})
        for words, command in commands()
    ]  # fmt: skip


def test_shared_options_are_the_same_everywhere(every: list[tuple[str, dict[str, Any]]]) -> None:
    seen: dict[str, dict[tuple[Any, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for words, given in every:
        for name in (SHARED | DESCRIBED) & set(given):
            param = given[name]
            said = None if name in DESCRIBED else param.help.removesuffix(" May be repeated.")
            seen[name][tuple(param.opts), param.is_flag, said].append(words)
    different = {
        name: {str(key): where for key, where in kinds.items()} for name, kinds in seen.items() if len(kinds) > 1
    }
    assert different == {}
    assert {"--force", "--json", "--board", "--out"} <= set(seen)


def test_options_exist_where_they_make_sense(every: list[tuple[str, dict[str, Any]]]) -> None:
    for words, given in every:
        if "--out" in given:
            assert "-o" in given["--out"].opts, words
            assert "--force" in given or words in GOES_ON | ONE_FILE, words
        if "--board" in given:
            assert "--list-boards" in given, words
        if "--arch" in given:
            assert "--list-archs" in given, words
        assert ("--ray" in given) == ("--jobs" in given and words != "synth"), words  # which runs programs, no jobs
        assert {"--json", "--verbose", "--debug"} <= set(given), words
    counted = {words: given["--count"].help for words, given in every if "--count" in given}
    assert {"watch", "board", "simulate", "explain"} <= set(counted)
    assert len(set(counted.values())) == len(counted)  # of cells, of images, of events


def test_a_word_has_one_short_form(every: list[tuple[str, dict[str, Any]]]) -> None:
    short: dict[str, set[str]] = defaultdict(set)
    for _, given in every:
        for name, param in given.items():
            for form in param.opts:
                if not form.startswith("--"):
                    short[form].add(name)
    assert {form: names for form, names in short.items() if len(names) > 1} == {}


def test_listed_boards_are_those_of_the_folder() -> None:
    shown = CliRunner().invoke(app, ["compile", "--list-boards"])
    assert shown.exit_code == 0, shown.output
    boards = Path(__file__).parents[3] / "boards"
    folders = sorted(path.parent.name for path in boards.glob("*/board.json"))
    lines = [line.split("│")[1].strip() for line in shown.stdout.splitlines() if line.startswith("│")]
    assert lines == folders
    budget = json.loads((boards / folders[0] / "board.json").read_text())["budget"]["LUT"]
    assert f"{budget:,}" in shown.stdout


def test_no_command_draws_by_itself() -> None:
    """Rich's consoles, tables and bars are made in one place, and so is what typer and click would print."""
    repository = Path(__file__).parents[3]
    for folder in ("host", "hw", "quant", "sim", "icsort/report"):
        for path in (repository / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for word in ("rich.console", "rich.progress import", "rich.live", "tqdm", "typer.echo", "click.echo"):
                allowed = word == "rich.console" and "TYPE_CHECKING" in text
                assert word not in text or allowed, f"{path.relative_to(repository)}: {word}"


def test_choices_are_those_of_the_code() -> None:
    from icsort.quant.networks.architectures import Architecture
    from icsort.quant.networks.published import published

    help_text = CliRunner().invoke(app, ["model", "--help"]).stdout
    for name in ARCHITECTURES:
        assert Architecture(name).build(2, 2, 64, 64).weights > 0
    for name in PUBLISHED:
        assert published(name).title == name
    assert "--arch " + "|".join([*ARCHITECTURES, *PUBLISHED]) in " ".join(help_text.split())
    shown = CliRunner().invoke(app, ["train", "--list-archs"]).stdout
    lines = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert lines == [*ARCHITECTURES, *PUBLISHED]
