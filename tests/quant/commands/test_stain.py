# SPDX-License-Identifier: Apache-2.0
"""`icsort stain` as a user calls it: refusals leave nothing behind, a small run is whole and goes on where it was."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.quant.cells.find import generated_dataset
from icsort.quant.cells.readers.shards import write_shards

CHANNELS = ("--from", "Brightfield,Darkfield", "--to", "DNA")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stain") / "cells"
    write_shards(out, [generated_dataset(per_class=20, seed=3)])
    return out


def call(*words: object) -> str:
    result = CliRunner().invoke(app, ["stain", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "Brightfield", "--to", "PI"), "no channel PI"),
        (("--from", "Brightfield,DNA", "--to", "DNA"), "is in --from as well"),
        ((*CHANNELS, "--merge", "A=B+C"), "--merge names the class B"),
        ((*CHANNELS, "--folds", "200"), "for 200 folds"),
    ],
)
def test_refusals_leave_nothing(folder: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(IcsortError, match=said):
        call(folder, *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_a_run_is_whole_and_goes_on(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (*CHANNELS, "--arch", "student", "--folds", 3, "--float-epochs", 4, "--epochs", 2, "--image-epochs", 2)
    told = json.loads(call(folder, *words, "--unstained", folder, "--out", out, "--json"))
    assert told == json.loads((out / "stain.json").read_text())
    assert (out / "report.html").read_text().count("data:image/png") >= 4
    number = told["quantized"]
    assert number["cells"] + number["not_triggered"] == 100
    assert len(number["folds"]) == 3
    assert set(number["within"]) <= {"Small", "Large", "Granular", "Binucleate", "Mitotic"}
    assert number["pearson"]["r"] > 0.3
    assert told["unstained"]["cells"] == 100
    assert told["image"]["unet"]["pixels"]["r"] > told["image"]["linear"]["pixels"]["r"] - 0.3
    for name in told["packages"]:
        package = manifest.load(out / name)
        assert (package.channels, package.classes) == (("Brightfield", "Darkfield"), ("DNA",))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.pt")}
    assert len(before) == 6
    again = json.loads(call(folder, *words, "--unstained", folder, "--out", out, "--json"))
    assert again == told
    assert {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.pt")} == before
    assert np.isfinite(told["quantized"]["rmse"])
