# SPDX-License-Identifier: Apache-2.0
"""`icsort compensate`, and the package that it makes on a board."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats.package import Manifest, load
from icsort.host.sorter import Sorter
from tests.host import fake_board
from tests.host.fake_board import FakeBoard


def test_a_compensated_package_runs_on_the_same_build(
    board: FakeBoard, model: Manifest, package: Path, tmp_path: Path
) -> None:
    for name in ("cells.npz", "known.npz"):
        (package / name).write_bytes(b"cells")
    (tmp_path / "spillover.csv").write_text("FITC-A,PI\n1,0.25\n0,1\n")
    out = tmp_path / "compensated"
    words = ["compensate", str(package), str(tmp_path / "spillover.csv"), "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--rename", "FITC-A=Brightfield", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["compensation"] == [[1, 0], [-0.25, 1]]
    made = load(out)
    assert (made.network_id, made.name) == (model.network_id, model.name)
    assert made.model_id != model.model_id
    assert {path.name for path in out.iterdir()} >= {"manifest.json", "model.onnx", "cells.npz", "known.npz"}
    board.registers[fake_board.GATE_VALUES] = 20
    with Sorter.open(board.port) as sorter:
        sorter.set_gate(["S"], 0.5, model)
        sorter.arm(made)
        assert sorter.identify().settings_id == made.model_id
    assert [board.front[4 << 24 | index] for index in (64, 65, 72, 73)] == [2**14, 0, 2**32 - 2**12, 2**14]
    shown = CliRunner().invoke(app, [*words, "--rename", "FITC-A=Brightfield", "--force"], catch_exceptions=False)
    assert "-0.2500" in shown.stdout


@pytest.mark.parametrize("text", ["FITC-A,PI\n1,0.25\n0,1\n", "PI\n1\n2\n"])
def test_what_is_refused_leaves_nothing(package: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "spillover.csv"
    path.write_text(text)
    raised = CliRunner().invoke(app, ["compensate", str(package), str(path), "--out", str(tmp_path / "out")]).exception
    assert isinstance(raised, IcsortError)
    assert str(raised).startswith(f"{path}: ")
    assert str(raised).count(str(path)) == 1
    assert not (tmp_path / "out").exists()
