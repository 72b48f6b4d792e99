# SPDX-License-Identifier: Apache-2.0
"""`icsort fate` as a user runs it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from tests.quant.fate import movies


def test_divisions_are_foreseen_and_shown(seed: int, tmp_path: Path) -> None:
    movie, truth = movies.write(tmp_path, *movies.spotted(seed, frames=14))
    words = ["fate", str(movie), "--tracks", str(truth), "--out", str(tmp_path / "out")]
    few = ["--ahead", "3", "--epochs", "1", "--members", "1"]
    done = CliRunner().invoke(app, [*words, *few, "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures == json.loads((tmp_path / "out" / "fate.json").read_text())
    assert [len(each["horizons"]) for each in figures["deciders"]] == [3] * 4
    shown = CliRunner().invoke(app, [*words, *few, "--force"])
    assert "age alone" in shown.output
    assert f"{figures['cells']['learned']['dividing']} divisions" in shown.output
    again = CliRunner().invoke(app, [*words, *few])
    assert isinstance(again.exception, IcsortError)
    assert "--force" in str(again.exception)
    refused = CliRunner().invoke(app, ["fate", str(movie), "--tracks", str(movie), "--out", str(tmp_path / "none")])
    assert "holds no tracks" in str(refused.exception)
    assert not (tmp_path / "none").exists()
