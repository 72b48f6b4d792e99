# SPDX-License-Identifier: Apache-2.0
"""A recording, made by the host's own writers, as cells to train on: labels, pixels, refusals, a whole training."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import package as packages
from icsort.formats.acquisition import Acquisition
from icsort.formats.image_list import LIST_FILE
from icsort.formats.recording import Layout
from icsort.formats.run import CONFIG_FILE
from icsort.quant.acquire.choose import choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.find import read_folder, read_pieces
from icsort.quant.cells.readers.shards import write_shards
from icsort.quant.synthetic import demo_cells
from tests.host.recorded_cells import record_sort
from tests.host.recordings import ALL, CLOCK_HZ, event, example

REPOSITORY = Path(__file__).parents[4]
PER_CLASS = 30
GATES = ("left", "right", "both, or none")


@pytest.fixture(scope="module")
def sort(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Demo cells that a package's hardware has cut, some of whose records or images are lost. `left` holds the first
    class, `right` the second, `both` all of the first two."""
    cells, labels = demo_cells.generate(PER_CLASS)
    order = np.random.default_rng(5).permutation(len(labels))
    cells, labels = [cells[index] for index in order], labels[order]
    setup = choose_setup(cells, demo_cells.CHANNELS)
    acquisition = setup.acquisition
    cut = cut_cells(cells, acquisition, setup.background)
    windows, labels = acquisition.pixels(cut.windows), labels[cut.cells]
    parts = {key: getattr(acquisition, key) for key in Acquisition.model_fields}
    manifest = example().model_copy(update=parts | {"classes": demo_cells.CLASSES})

    def of(number: int) -> Any:
        kind = int(labels[number])
        logits = tuple(100 * (kind == index) for index in range(len(demo_cells.CLASSES)))
        bits = (kind == 0) | (kind == 1) << 1 | (kind < 2) << 2
        return replace(event(number), class_index=kind, logits=logits, features=None, gates=bits)

    recording, images = record_sort(
        tmp_path_factory.mktemp("sort"),
        [of(number) for number in range(len(labels))],
        pixels=lambda e: windows[e.event_id] if e.event_id % 10 else None,
        lost=lambda number: number in (3, 4),
        manifest=manifest,
        layout=Layout(manifest, CLOCK_HZ, ALL, GATES),
    )
    kept = np.asarray([number for number in range(len(labels)) if number % 10])
    return {"recording": recording, "images": images, "windows": windows, "labels": labels, "kept": kept,
            "acquisition": acquisition}  # fmt: skip


def classes_of(sort: dict[str, Any], labels: NDArray[np.int64], lost: bool = True) -> list[int]:
    """Of the cells that have a label: of two images the record is lost."""
    return [int(labels[n]) for n in sort["kept"] if labels[n] >= 0 and not (lost and n in (3, 4))]


def refusal(folder: Path, *rules: str, **options: Any) -> str:
    with pytest.raises(IcsortError) as raised:
        read_folder(folder, label_by=rules, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_by_the_predicted_class(sort: dict[str, Any]) -> None:
    cells = read_folder(sort["images"], label_by=("class",))
    assert cells.classes == demo_cells.CLASSES
    assert cells.labels.tolist() == classes_of(sort, sort["labels"])
    assert [line for line in cells.passed_over if "no label" in line] == [
        f"image-00000{place}-event-{number}.tiff: no label" for place, number in ((2, 3), (3, 4))
    ]
    # Cut by the settings of the package, they are what was recorded.
    assert cells.acquisition == sort["acquisition"]
    from icsort.quant.acquire.restore import restored_setup

    setup = restored_setup(cells.images, sort["acquisition"])
    cut = cut_cells(cells.images, setup.acquisition, setup.background)
    kept = [n for n in sort["kept"] if n not in (3, 4)]
    assert len(cut.missed) == 0
    same = sort["acquisition"].pixels(cut.windows) == sort["windows"][kept]
    assert same.all(axis=(1, 2, 3)).mean() > 0.95


def test_by_gates(sort: dict[str, Any]) -> None:
    labels = sort["labels"]
    cells = read_folder(sort["images"], label_by=("gate right",))
    assert cells.classes == ("right", "not right")
    assert cells.labels.tolist() == classes_of(sort, (labels != 1).astype(int))
    cells = read_folder(sort["images"], label_by=("gate left", "gate right"))
    assert cells.classes == ("left", "right")
    assert cells.labels.tolist() == classes_of(sort, np.where(labels < 2, labels, -1))
    # What two gates hold has no label.
    cells = read_folder(sort["images"], label_by=("gate left", "gate both; or none"))
    assert cells.labels.tolist() == classes_of(sort, np.where(labels == 1, 1, -1))


@pytest.mark.parametrize("column", ["label", "leiden"])
@pytest.mark.parametrize("key", ["event", "name"])
def test_by_a_table(sort: dict[str, Any], tmp_path: Path, key: str, column: str) -> None:
    """Whatever clusters cells: a record is not needed."""
    table = tmp_path / "clusters.csv"
    kept, labels = sort["kept"].tolist(), sort["labels"]
    names = {n: f"image-{place:06d}-event-{n}.tiff" if key == "name" else n for place, n in enumerate(kept)}
    rows = [f"{names[n]};{'' if labels[n] == 2 else 'xyzuvwab'[labels[n]]}" for n in reversed(kept)]
    table.write_text("\n".join([f"{key};{column}", *rows, ";q"]) + "\n")
    cells = read_folder(sort["images"], label_by=(str(table) if column == "label" else f"{table}:{column}",))
    words = [cells.classes[index] for index in cells.labels]
    assert words == ["xyzuvwab"[labels[n]] for n in kept if labels[n] != 2]
    table.write_text(table.read_text() + f"{names[kept[0]]};x\n")
    assert f"has {key} {names[kept[0]]} twice" in refusal(sort["images"], f"{table}:{column}")
    assert f"needs the columns name or event, and other; it has {key}, {column}" in refusal(
        sort["images"], f"{table}:other"
    )
    table.write_text(f"{key};{column}\n-1;x\n")
    assert "has no label for any image" in refusal(sort["images"], f"{table}:{column}")


def test_pieces_and_shards_are_the_whole(sort: dict[str, Any], tmp_path: Path) -> None:
    whole = read_folder(sort["images"], label_by=("class",))
    pieces = list(read_pieces(sort["images"], size=7, label_by=("class",)))
    assert len(pieces) > 5
    assert np.array_equal(np.concatenate([piece.labels for piece in pieces]), whole.labels)
    write_shards(tmp_path / "shards", pieces)
    shards = read_folder(tmp_path / "shards")
    assert shards.acquisition == sort["acquisition"]
    assert all(np.array_equal(a, b) for a, b in zip(shards.images, whole.images, strict=True))


def test_what_is_refused(sort: dict[str, Any], tmp_path: Path) -> None:
    images = sort["images"]
    assert "or for recorded images --label-by" in refusal(images)
    assert "has the gates left, right, both; or none" in refusal(images, "gate up")
    assert "more than one does not go together, but for gates" in refusal(images, "class", "gate left")
    assert "is none of 'class', 'gate NAME' and a table that is there" in refusal(images, "none.csv:x")
    assert "leave --channels out" in refusal(images, "class", channels=("a", "b", "c"))
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.png").touch()
    assert "has labels of its own or none; leave it out" in refusal(tmp_path, "class")


def test_a_list_without_a_recording_or_a_package(sort: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for path in sort["images"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert "there is no such file; " in refusal(folder, "class")
    head, *lines = (folder / LIST_FILE).read_text().splitlines()
    known = json.loads(head)
    none = known | {"recording": None, "recording_id": None}
    (folder / LIST_FILE).write_text("\n".join([json.dumps(none), *lines]) + "\n")
    assert "names no recording of the same events" in refusal(folder, "gate left")
    none |= {"acquisition": None, "model": None, "model_id": None, "classes": []}
    (folder / LIST_FILE).write_text("\n".join([json.dumps(none), *lines]) + "\n")
    assert "does not say of which package its images are" in refusal(folder, "class")
    (piece, *_) = read_pieces(folder, labelled=False)
    assert (piece.acquisition, set(piece.labels)) == (None, {-1})
    assert piece.images[0].shape == sort["windows"].shape[1:]


def test_unreadable_images(sort: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "sort-images"
    folder.mkdir()
    for path in sort["images"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "cells.fcs").write_bytes(sort["recording"].read_bytes())
    first = sorted(folder.glob("*.tiff"))[5]
    first.write_bytes(first.read_bytes()[:300])
    assert "truncated or damaged image" in refusal(folder, "class")
    cells = read_folder(folder, label_by=("class",), unreadable="skip")
    assert len(cells.skipped) == 1
    assert len(cells.labels) == len(sort["kept"]) - 3


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (("--height", "30"), "stay those that they were recorded with"),
        (("--channels", demo_cells.CHANNELS[1]), "leave --channels out"),
        (("--merge", "all=" + "+".join(demo_cells.CLASSES)), r"the data has one class \(all\)"),
    ],
)
def test_what_a_training_refuses(sort: dict[str, Any], tmp_path: Path, option: tuple[str, ...], problem: str) -> None:
    words = ["train", "--data", str(sort["images"]), "--label-by", "class", "--min-class", "10", *option]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, IcsortError)
    assert re.search(problem, str(result.exception))
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_the_page(sort: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording trains the next network, which asks the same of the hardware in front of it."""
    for path in (sort["recording"], sort["images"]):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "images").symlink_to(sort["images"])
    monkeypatch.chdir(tmp_path)
    rows = [f"{n},{sort['labels'][n] % 2}" for n in sort["kept"]]
    Path("clusters.csv").write_text("\n".join(["event,leiden", *rows]) + "\n")
    section = (REPOSITORY / "docs/recording.md").read_text().partition("## Retrain from a recording")[2]
    for line in section.partition("```sh\n")[2].partition("```")[0].splitlines():
        command = line.replace("icsort train", "icsort train --epochs 1 --min-class 10")
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{line}: {result.exception}"
        if "clusters" in line:
            assert re.search(r"\b0 +\d+", result.output)
        if "train" in line:
            assert "0 never triggered" in result.output
    config = json.loads(Path("out/run", CONFIG_FILE).read_text())
    told = json.loads(sort["acquisition"].model_dump_json())
    assert {key: config[key] for key in told} == told
    manifest = packages.load(Path("out/package"))
    assert manifest.classes == ("left", "right")
    assert {key: getattr(manifest, key) for key in told} == {key: getattr(sort["acquisition"], key) for key in told}
    assert len(Path("out/classes.csv").read_text().splitlines()) == 1 + len(sort["kept"])
