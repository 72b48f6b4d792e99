# SPDX-License-Identifier: Apache-2.0
"""`icsort track` as a user runs it."""

import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.quant.tracking.simulated import simulate


def test_a_movie_is_followed_and_shown(seed: int, tmp_path: Path) -> None:
    made = simulate(seed % 2**31, frames=6, cells=8, size=(200, 220))
    tifffile.imwrite(tmp_path / "movie.tif", made.images, photometric="minisblack")
    (tmp_path / "TRA").mkdir()
    for index, mask in enumerate(made.masks):
        tifffile.imwrite(tmp_path / "TRA" / f"man_track{index:03}.tif", mask)
    np.savetxt(tmp_path / "TRA" / "man_track.txt", made.tracks, "%d")
    words = ["track", str(tmp_path / "movie.tif"), "--out", str(tmp_path / "out")]
    truth = ["--masks", str(tmp_path / "TRA"), "--truth", str(tmp_path / "TRA")]
    done = CliRunner().invoke(app, [*words, *truth, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["frames"] == 6
    assert report["scores"][0]["DET"] == 1
    with Image.open(tmp_path / "out" / "overlay.png") as overlay:
        assert overlay.n_frames == 6
    shown = CliRunner().invoke(app, [*words, *truth, "--force"])
    assert f"tracks, divisions    {report['tracks']}, {report['divisions']}" in shown.output
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, IcsortError)
    for extra, said in (
        (["--train"], "--train needs --truth"),
        (["--cost", "nowhere.json", "--force"], "nowhere.json"),
    ):
        refused = CliRunner().invoke(app, [*words, *extra])
        assert isinstance(refused.exception, IcsortError)
        assert said in str(refused.exception)
