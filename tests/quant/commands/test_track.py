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


def test_several_movies_are_followed_side_by_side(seed: int, tmp_path: Path) -> None:
    """Each as if it were alone; what one is refused for ends all, and nothing is left."""
    folders = []
    for number in range(2):
        made = simulate((seed + number) % 2**31, frames=4, cells=5, size=(120, 130))
        folders.append(tmp_path / f"plate {number}" / "01")
        folders[-1].mkdir(parents=True)
        for kind, frames in (("movie", made.images), ("masks", made.masks)):
            tifffile.imwrite(folders[-1] / f"{kind}.tif", frames, photometric="minisblack")
    movies = [str(folder / "movie.tif") for folder in folders]
    masks = [word for folder in folders for word in ("--masks", str(folder / "masks.tif"))]
    out = tmp_path / "out"
    words = ["track", *movies, *masks, "--cost", "motion", "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--jobs", "2", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["movies"]
    assert list(found) == ["plate 0-01-movie", "plate 1-01-movie"]
    for name, movie in zip(found, movies, strict=True):
        alone = tmp_path / f"alone {name}"
        one = [
            "track",
            movie,
            "--masks",
            movie.replace("movie.tif", "masks.tif"),
            "--cost",
            "motion",
            "--out",
            str(alone),
        ]
        assert CliRunner().invoke(app, one).exit_code == 0
        for file in ("tracks.csv", "tracking.json", "challenge/res_track.txt"):
            assert (out / name / file).read_bytes() == (alone / file).read_bytes()
        assert found[name] == json.loads((alone / "tracking.json").read_text())
    assert "plate 1-01-movie" in (out / "report.html").read_text()
    again = CliRunner().invoke(app, [*words, "--force"])
    assert "plate 0-01-movie" in again.output
    for wrong, said in (
        ([*movies, "--masks", masks[1]], "--masks is given 1 times for 2 movies"),
        ([movies[0], movies[0]], "is given twice"),
        ([movies[0], "--jobs", "2"], "--jobs and --ray are of several movies"),
        ([movies[0], *masks], "there is one movie"),
        ([*movies, *masks, "--truth", "x", "--train"], "--train learns from one movie"),
        ([movies[0], str(tmp_path / "none.tif"), "--jobs", "2"], "none.tif"),
    ):
        refused = CliRunner().invoke(app, ["track", *wrong, "--out", str(tmp_path / "no")])
        assert isinstance(refused.exception, IcsortError), refused.output
        assert said in str(refused.exception)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "no"))]
