# SPDX-License-Identifier: Apache-2.0
"""`icsort classify`: what it says, and the table that it does not overwrite."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import tifffile

from icsort.quant.synthetic import demo_cells


def icsort(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "icsort", "classify", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_of_events(package_folder: Path, tmp_path: Path) -> None:
    cells, _ = demo_cells.generate(per_class=1, seed=3)
    (tmp_path / "events").mkdir()
    for index, cell in enumerate(cells):
        with tifffile.TiffWriter(tmp_path / "events" / f"{index}.tif") as tiff:
            for name, page in zip(demo_cells.CHANNELS, cell.transpose(2, 0, 1), strict=True):
                tiff.write(page, extratags=[(285, 2, 0, name, False)], metadata=None, contiguous=False)
    (tmp_path / "events" / "notes.txt").write_text("no image")
    words = (package_folder, "--data", tmp_path / "events", "--out", tmp_path / "classes.csv")
    done = icsort(*words)
    assert done.returncode == 0, done.stderr
    assert "5 cells: images without labels in" in done.stdout
    assert "passed over: 1\n  notes.txt: no image that is read" in done.stdout
    table = (tmp_path / "classes.csv").read_bytes()
    again = icsort(*words)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "--force" in again.stderr
    done = icsort(*words, "--force", "--json")
    assert (tmp_path / "classes.csv").read_bytes() == table
    report = json.loads(done.stdout)
    assert (report["cells"], report["passed_over"]) == (5, ["notes.txt: no image that is read"])
    assert (
        report["classes"]
        == pd.read_csv(tmp_path / "classes.csv")["class"]
        .value_counts()
        .reindex(list(report["classes"]), fill_value=0)
        .to_dict()
    )
    (tmp_path / "mine.csv").write_text("cell,triggered\n1,2\n")
    refused = icsort(*words[:-1], tmp_path / "mine.csv", "--force")
    assert "not an earlier result" in refused.stderr
    assert (tmp_path / "mine.csv").read_text() == "cell,triggered\n1,2\n"
