# SPDX-License-Identifier: Apache-2.0
"""`icsort discover` as a whole: what it writes, says and refuses, and that its clusters sort."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from typer.testing import CliRunner

import icsort
from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import package
from icsort.jobs import job_pool
from icsort.quant.cells import dataset as dataset_module
from icsort.quant.cells.find import Dataset, generated_dataset, read_folder
from icsort.quant.cells.readers import shards
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.discovery import clusters, discovery_page
from icsort.quant.discovery.discover import Plan, discover, read_cells
from icsort.quant.discovery.features import cell_features
from icsort.quant.networks.architectures import Architecture
from icsort.quant.training.recipe import Recipe
from tests.quant.cells.files import real

QUICK = Recipe(epochs=2, batch=16)


@pytest.fixture(scope="module")
def cells() -> Dataset:
    """Generated cells of two kinds that differ plainly, under one label each."""
    found = generated_dataset(per_class=24, seed=8)
    return found.with_merged_classes({"one": found.classes[:2], "two": found.classes[2:]})


@pytest.fixture(scope="module")
def folder(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("discover") / "cells"
    write_shards(out, [cells])
    return out


def run(*words: object) -> str:
    """Standard output. Raises what the command raises, which its main function ends with code 2 for."""
    return CliRunner().invoke(app, ["discover", *map(str, words)], catch_exceptions=False).stdout


def test_command(folder: Path, cells: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (folder, "--clusters", 3, "--outliers", 0.1, "--seeds", 2, "--rounds", 1, "--epochs", 2, "--out", out)
    ordered = ("--root", f"{cells.channels[0]} light", "--order-by", cells.channels[-1], "--phases", "one,two")
    report = json.loads(run(*words, *ordered, "--json"))
    assert json.loads((out / "discovery.json").read_text()) == report
    names = ["cluster 1", "cluster 2", "cluster 3", "outlier"]
    assert [entry["name"] for entry in report["clusters"]] == names
    table = pd.read_csv(out / "clusters.csv")
    assert [int((table["label"] == name).sum()) for name in names] == [entry["cells"] for entry in report["clusters"]]
    assert report["clusters"][3]["cells"] == round(0.1 * len(table))
    outlying = table["label"] == "outlier"
    assert table["distance"][outlying].min() >= table["distance"][~outlying].max()
    labelled = read_folder(out / "cells")
    assert [labelled.classes[label] for label in labelled.labels] == table["label"].tolist()
    assert np.isin(labelled.identities, cells.identities).all()
    assert package.load(out / "package").classes == tuple(names)
    assert report["stability"]["rand"][0][1] == report["stability"]["mean"]
    of_classes = np.array(report["score"]["table"])
    assert of_classes.sum() == len(table)
    assert of_classes.shape == (3, 2)
    assert report["order"]["channels"] == [cells.channels[-1]]
    assert (table["place"].min(), table["place"].max()) == (0, 1)
    page = (out / "report.html").read_text()
    titles = ("Gallery", "Map of the cells", "Order of the cells", "Against the known order")
    assert all(title in page for title in (*titles, "Against the labels of the data"))
    with pytest.raises(IcsortError, match="exists already"):
        run(*words)


def test_labels_are_not_looked_at(cells: Dataset, tmp_path: Path, seed: int) -> None:
    """Without labels there is no score, and all else is as with some, which may be anything."""
    plan = Plan(2, seeds=1, rounds=1, recipe=QUICK)
    shuffled = np.random.default_rng(seed).permutation(cells.labels)
    reports = []
    for name, labels in (("own", shuffled), ("none", np.full_like(shuffled, -1))):
        (tmp_path / name).mkdir()
        report, _ = discover(replace(cells, labels=labels), tmp_path / name, plan)
        reports.append(report)
        tables = [(tmp_path / done / "clusters.csv").read_bytes() for done in ("own", name)]
        assert tables[0] == tables[1]
    assert reports[1]["score"] is None
    found = [entry["cells"] for entry in reports[0]["clusters"]]
    of_classes = np.array(reports[0]["score"]["table"])
    expected = adjusted_rand_score(
        np.repeat([0, 1, 0, 1], of_classes.ravel()), np.repeat([0, 0, 1, 1], of_classes.ravel())
    )
    assert of_classes.sum(axis=1).tolist() == found
    assert reports[0]["score"]["rand"] == pytest.approx(expected)


def test_shards_give_what_memory_gives(cells: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set in several shards, its clusters found in batches; and no labels, features or pixels differ."""
    monkeypatch.setattr(shards, "CELLS_PER_BLOCK", 8)
    monkeypatch.setattr(shards, "BLOCKS_PER_SHARD", 4)
    monkeypatch.setattr(clusters, "LARGE", 50)
    monkeypatch.setattr(clusters, "PORTION", 32)
    write_shards(tmp_path / "shards", [cells])
    assert len(list((tmp_path / "shards").glob("shard-*"))) == 4
    plan = Plan(2, seeds=1, rounds=1, architecture=Architecture().as_float(), recipe=QUICK)
    made = []
    for name, dataset in (("memory", cells), ("shards", read_cells(tmp_path / "shards"))):
        (tmp_path / name / "out").mkdir(parents=True)
        report, found = discover(dataset, tmp_path / name / "out", plan)
        made.append(report | {"data": {**report["data"], "origin": ""}})
        table = pd.read_csv(tmp_path / name / "out" / "clusters.csv")
        assert (table["label"] == np.array(found.classes)[found.labels]).all()
        made.append(table.drop(columns="name").to_dict())
    assert made[:2] == made[2:]


def stored_cells(cells: Dataset, times: int, folder: Path) -> Dataset:
    """The cells so many times, a shard of 64 cells after the other, each brighter than the one before."""
    copies = (replace(cells, images=tuple(image + np.uint16(n) for image in cells.images)) for n in range(times))
    write_shards(folder, copies)
    return read_folder(folder)


@pytest.mark.parametrize("times", [2, 8])
def test_features_of_shards_are_held_by_the_cell(
    cells: Dataset, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory takes some numbers a cell, however many shards there are, and their pixels never."""
    monkeypatch.setattr(shards, "BLOCKS_PER_SHARD", 1)
    monkeypatch.setattr(dataset_module, "READ_CELLS", 32)
    stored = stored_cells(cells, times, tmp_path / "cells")
    assert len(list((tmp_path / "cells").glob("shard-*"))) >= 2 * times - 1
    tracemalloc.start()
    try:
        features = cell_features(stored.images, stored.channels, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    pixels = cells.images[0].nbytes
    assert peak < 150 * pixels + 200 * len(stored.images) < times * 120 * pixels
    alone = cell_features(list(stored.images), stored.channels)
    assert np.array_equal(features.rings, alone.rings)
    assert np.array_equal(features.descriptors, alone.descriptors)


@pytest.mark.full
def test_seeds_side_by_side_are_those_of_one_process(cells: Dataset, tmp_path: Path) -> None:
    plan = Plan(2, seeds=2, rounds=1, architecture=Architecture().as_float(), recipe=QUICK)
    reports = []
    for jobs in (1, 2):
        (tmp_path / f"{jobs}").mkdir()
        said: list[str] = []
        with job_pool(jobs) as pool:
            reports.append(discover(cells, tmp_path / f"{jobs}", plan, pool=pool, progress=said.append)[0])
        assert ("2 of 2 seeds" in said) == (jobs == 2)
    assert reports[0] == reports[1]


def test_groups_that_are_the_clusters_are_said(cells: Dataset, tmp_path: Path) -> None:
    plan = Plan(2, seeds=1, rounds=0, recipe=QUICK)
    (tmp_path / "first").mkdir()
    _, found = discover(cells, tmp_path / "first", plan)
    assert len(found.labels) == len(cells.images)  # all trigger
    flasks = replace(cells, groups=np.array(["flask a", "flask b"])[found.labels])
    (tmp_path / "second").mkdir()
    report, _ = discover(flasks, tmp_path / "second", plan)
    assert report["conditions"]["mutual_information"] == pytest.approx(1)
    assert np.count_nonzero(report["conditions"]["cells"]) == 2
    said = " ".join(discovery_page.notices(report))
    assert "coincide with the groups" in said
    assert "cells of one group are on both" in said


def test_bad_input_is_one_line(folder: Path, cells: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, said in (
        ((folder, "--clusters", 1), "one cluster tells nothing apart"),
        ((folder, "--clusters", 40), "120 cells are too few for 40 clusters"),
        ((folder, "--outliers", 0.7), "give a share from 0 to below 0.5"),
        ((folder, "--clusters", 2, "--rounds", 0, "--outliers", 0.01), "--outliers 0.01 is 1 of 120 cells"),
        ((folder, "--channels", "DNA", "--sort-by", "Brightfield", "--clusters", 2), "no channel Brightfield"),
        ((tmp_path / "none",), "none"),
    ):
        with pytest.raises(IcsortError, match=said):
            run(*words, "--seeds", 1, "--rounds", 0, "--epochs", 1, "--out", out)
        assert not out.exists()
    alike = replace(cells, images=tuple(np.full_like(image, 500) for image in cells.images))
    with pytest.raises(IcsortError, match="no channel tells cells"):
        discover(alike, tmp_path, Plan(2))


def command(*words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "icsort", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
def test_jurkat_clusters_are_phases_and_sort(tmp_path: Path) -> None:
    """The published phases come out without labels, and a gate on a cluster sorts on the virtual board."""
    report = icsort.discover(real("jurkat_cell_cycle"), tmp_path / "out", clusters=5)
    assert report["score"]["rand"] >= 0.45 > report["score"]["rand_of_pixels"]
    assert report["stability"]["mean"] >= 0.6
    build = icsort.compile(tmp_path / "out" / "package", tmp_path / "build")
    heldout = tmp_path / "out" / "run" / "heldout.npz"
    assert icsort.simulate(build, heldout, count=40).equal
    with icsort.board(build, heldout, tmp_path / "board") as board:
        at = ("--port", board.port, "--model", build.folder)
        command("gate", "set", "cluster 1", "--posterior", 0.5, *at)
        command("watch", "--arm", "--count", 100, "--out", tmp_path / "events.jsonl", *at)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    wanted = [event["class"] == 0 and event["posterior"] >= 0.5 for event in events]
    assert [event["outcome"] == "SORTED" for event in events] == wanted
    assert 10 < sum(wanted) < 90
