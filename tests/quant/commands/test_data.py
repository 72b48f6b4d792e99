# SPDX-License-Identifier: Apache-2.0
"""`icsort data`: what is found in a set, on the screen, as JSON and as a report; conversion; the benchmark."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from icsort.quant.cells.find import read_folder
from tests.quant.cells.files import write_sorter_folder


def icsort(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "icsort", "data", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three channels, of which the last repeats the second; 120 and 5 cells; two of them equal under both labels."""
    stack = np.random.default_rng(4).integers(100, 4000, (125, 3, 10, 12)).astype(np.uint16)
    stack[:, 2] = stack[:, 1]
    stack[7, 0, 3, 3], stack[9, 0, 0, 0] = 65535, 3
    stack[124] = stack[17]
    (tmp_path / "cells").mkdir()
    tifffile.imwrite(tmp_path / "cells" / "Common.tif", stack[:120], metadata={"axes": "ICYX"})
    tifffile.imwrite(tmp_path / "cells" / "Rare.tif", stack[120:], metadata={"axes": "ICYX"})
    return tmp_path / "cells"


def test_info_as_json(folder: Path) -> None:
    done = icsort("info", folder, "--channels", "LightLoss,FSC,SSC", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    pixels = np.stack(read_folder(folder).images)
    assert found["classes"] == {"Common": 120, "Rare": 5}
    assert found["small_classes"] == {"Rare": 5}
    assert (found["heights"], found["width"]) == ({"10": 125}, 12)
    assert [channel["name"] for channel in found["channels"]] == ["LightLoss", "FSC", "SSC"]
    for index, channel in enumerate(found["channels"]):
        assert channel["minimum"] == pixels[..., index].min()
        assert channel["maximum"] == pixels[..., index].max()
        assert channel["mean"] == pytest.approx(pixels[..., index].mean())
        assert channel["standard_deviation"] == pytest.approx(pixels[..., index].std())
        assert channel["saturated_pixels"] == (index == 0)
        assert channel["same_as"] == ("FSC" if index == 2 else None)
    assert found["duplicates"] == [{"cells": ["Common[17]", "Rare[4]"], "classes": ["Common", "Rare"]}]


def test_info_on_the_screen_and_as_a_report(folder: Path, tmp_path: Path) -> None:
    done = icsort("info", folder, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    for line in (
        "under 100 cells",
        "Common[17] = Rare[4]",
        "1 with more than one label",
        "the same pixels as channel1",
    ):
        assert line in done.stdout
    assert json.loads((tmp_path / "report" / "data.json").read_text())["cells"] == 125
    with Image.open(tmp_path / "report" / "classes.png") as picture:
        assert min(picture.size) > 150
    again = icsort("info", folder, "--out", tmp_path / "report")
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_convert_refuses_or_skips_what_cannot_be_read(tmp_path: Path) -> None:
    run = write_sorter_folder(tmp_path / "run", [3] * 6, [20] * 6)
    bad = run / "images" / "e4.tiff"
    bad.write_bytes(bad.read_bytes()[:500])
    refused = icsort("convert", run, "--out", tmp_path / "shards")
    assert refused.returncode == 2
    assert "1 of 6 images cannot be read" in refused.stderr
    assert "e4.tiff" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    skipped = icsort("convert", run, "--out", tmp_path / "shards", "--unreadable", "skip")
    assert skipped.returncode == 0, skipped.stderr
    assert "unreadable, left out: 1" in skipped.stdout
    assert "e4.tiff" in skipped.stdout
    back = read_folder(tmp_path / "shards")
    assert back.sha256() == read_folder(run, unreadable="skip").sha256()
    assert len(back.images) == 5
    assert "refuse or skip" in icsort("convert", run, "--out", tmp_path / "x", "--unreadable", "hide").stderr


def test_info_names_what_cannot_be_read(tmp_path: Path) -> None:
    run = write_sorter_folder(tmp_path / "run", [3] * 3, [20] * 3)
    (run / "images" / "e1.tiff").write_bytes(b"")
    done = icsort("info", run, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cells"] == 2
    assert len(found["unreadable"]) == 1
    assert "e1.tiff" in found["unreadable"][0]


def test_benchmark_passes_over_the_shards(folder: Path, tmp_path: Path) -> None:
    assert icsort("convert", folder, "--out", tmp_path / "shards").returncode == 0
    done = icsort("benchmark", tmp_path / "shards", "--images", 300, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows[-1]["images"] >= 300
    assert all(row["images_per_second"] > 0 and row["rss_mb"] > 0 for row in rows)


def test_generate_writes_shards(tmp_path: Path) -> None:
    words = ("generate", "--classes", 3, "--per-class", 2, "--size", 64, "--columns", 104, "--seed", 7)
    for name in ("a", "b"):
        done = icsort(*words, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    dataset = read_folder(tmp_path / "a")
    assert {image.shape for image in dataset.images} == {(64, 104, 7)}
    assert dataset.counts() == {"HeLa": 2, "HEK293": 2, "K562": 2}
    assert "no real data" in dataset.origin
    assert dataset.sha256() == read_folder(tmp_path / "b").sha256()
    assert "too small" in icsort(*words, "--size", 20, "--out", tmp_path / "c").stderr
    assert not (tmp_path / "c").exists()


def test_info_counts_and_names_what_is_not_read(tmp_path: Path) -> None:
    for name, kind in (("a", np.uint8), ("b", np.uint16)):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.fromarray(np.full((6, 6), index, kind)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "b" / "gone.png").symlink_to("nowhere.png")
    done = icsort("info", tmp_path)
    assert done.returncode == 0, done.stderr
    for line in (
        "stored as: uint8 (3 cells), uint16 (3 cells)",
        "differing types, refused in training: the same light gives other counts (uint8: a; uint16: b)",
        "passed over: 1\n  b/gone.png: a link to nowhere.png, which is not there",
    ):
        assert line in done.stdout
    report = json.loads(icsort("info", tmp_path, "--json").stdout)
    assert report["pixel_types"] == {
        "uint8": {"cells": 3, "classes": ["a"]},
        "uint16": {"cells": 3, "classes": ["b"]},
    }
    refused = icsort("convert", tmp_path, "--out", tmp_path.parent / "shards")
    assert refused.returncode == 2
    assert "differing types" in refused.stderr


def test_cells_without_labels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (4, 6, 6)).astype(np.float32)
    pixels[3] = pixels[1]
    for index, image in enumerate(pixels):
        tifffile.imwrite(tmp_path / f"{index}.tif", image)
    assert "--digitize OFFSET,SCALE" in icsort("info", tmp_path).stderr
    report = json.loads(icsort("info", tmp_path, "--digitize", "0,1", "--json", "--out", tmp_path / "report").stdout)
    assert (report["cells"], report["unlabelled"], report["classes"]) == (4, 4, {})
    assert report["channels"][0]["maximum"] == pixels.max()
    assert report["duplicates"] == [{"cells": ["1.tif", "3.tif"], "classes": ["no label"]}]
    assert not (tmp_path / "report" / "classes.png").exists()
    done = icsort("convert", tmp_path, "--out", tmp_path / "shards", "--digitize", "0,1")
    assert "4 cells of 0 classes, 4 without a label, 1 shards" in done.stdout
    assert "passed over: 1\n  report: a folder beside the images" in done.stdout
    assert json.loads(icsort("info", tmp_path / "shards", "--json").stdout)["unlabelled"] == 4
    assert "without a label: 4 cells" in icsort("info", tmp_path / "shards").stdout
