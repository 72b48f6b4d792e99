# SPDX-License-Identifier: Apache-2.0
"""The two commands as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats import package as manifest
from icsort.quant.commands.export import export
from icsort.quant.commands.train import train


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("train")(train)
    app.command("export")(export)
    return app


def test_train_and_export(app: typer.Typer, tmp_path: Path) -> None:
    run, package = tmp_path / "run", tmp_path / "package"
    arguments = ["train", "--generated", "--limit", "12", "--epochs", "2", "--seed", "3", "--out", str(run)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "generated cells (no real data)" in result.output
    assert "balanced" in result.output
    result = CliRunner().invoke(app, ["export", str(run), "--out", str(package), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model_id"] == manifest.load(package).model_id


def test_train_json_is_json_alone(app: typer.Typer, tmp_path: Path) -> None:
    arguments = ["train", "--generated", "--limit", "10", "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["test"]["cells"] == 5


@pytest.mark.parametrize("command", ["train", "export"])
def test_help_has_an_example(app: typer.Typer, command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: icsort {command}" in result.stdout


def test_bad_data_is_one_line_and_leaves_nothing(app: typer.Typer, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    cells = np.zeros((10, 3, 12, 12), np.float32)
    tifffile.imwrite(folder / "A.tif", cells, metadata={"axes": "ICYX"})
    cells[4, 1, 2, 3] = np.nan
    tifffile.imwrite(folder / "B.tif", cells, metadata={"axes": "ICYX"})
    result = CliRunner().invoke(app, ["train", "--data", str(folder), "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, IcsortError)
    assert "B.tif" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]


def test_counts_stored_as_floats_and_what_is_passed_over(app: typer.Typer, tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    for name, bright in (("A", 2000), ("B", 4000)):
        cells = np.random.default_rng(seed).normal(500, 10, (12, 1, 14, 14)).astype(np.float32)
        cells[..., 4:10, 4:10] += bright
        tifffile.imwrite(folder / f"{name}.tif", cells, metadata={"axes": "ICYX"})
    (folder / "C.jpg").write_bytes(b"")
    words = ["--min-class", "10", "--epochs", "1"]
    result = CliRunner().invoke(app, ["train", "--data", str(folder), "--out", str(tmp_path / "run"), *words])
    assert "--digitize OFFSET,SCALE" in str(result.exception)
    words += ["--digitize", "0,1"]
    result = CliRunner().invoke(app, ["train", "--data", str(folder), "--out", str(tmp_path / "run"), *words])
    assert result.exit_code == 0, result.output
    assert "passed over: 1\n  C.jpg: lies beside the class stacks" in result.output
    images = heldout.load(tmp_path / "run" / "heldout.npz").images
    assert 4000 < max(image.max() for image in images) < 5000


def test_the_commands_load_nothing_heavy_before_they_run() -> None:
    code = (
        "import sys, icsort.quant.commands.train; "
        "print([m for m in ('torch', 'numpy', 'pandas', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
