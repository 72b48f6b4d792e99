# SPDX-License-Identifier: Apache-2.0
"""Shards: what was written comes back, in any order; what is damaged is refused; nothing half written stays."""

import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyarrow import feather

import icsort.quant.cells.dataset
from icsort.errors import IcsortError
from icsort.quant.cells.find import Dataset, read_folder, read_pieces
from icsort.quant.cells.readers import shards
from icsort.quant.cells.readers.shards import open_shards, write_shards


@pytest.fixture(scope="session")
def mixed() -> Dataset:
    """150 cells of differing heights with names, groups and the instrument's figures."""
    random = np.random.default_rng(2)
    heights = random.integers(5, 20, 150)
    return Dataset(
        source="mixed",
        origin="drawn at random",
        images=tuple(random.integers(0, 65536, (height, 11, 3)).astype(np.uint16) for height in heights),
        labels=random.integers(0, 4, 150),
        classes=("A", "B", "C", "D"),
        channels=("LightLoss", "FSC", "SSC"),
        names=tuple(f"cell {i}" for i in range(150)),
        groups=random.integers(0, 9, 150).astype(str),
        parameters=pd.DataFrame(random.normal(size=(150, 2)), columns=["FSC-A", "Size 0"]),
    )


def pieces(cells: Dataset, size: int) -> Iterator[Dataset]:
    return (cells.subset(range(begin, min(begin + size, len(cells.images)))) for begin in range(0, 150, size))


@pytest.fixture
def folder(mixed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cells in blocks of at most 8 and shards of 5 blocks."""
    monkeypatch.setattr(shards, "CELLS_PER_BLOCK", 8)
    monkeypatch.setattr(shards, "BLOCKS_PER_SHARD", 5)
    write_shards(tmp_path / "shards", pieces(mixed, 50))
    return tmp_path / "shards"


def test_everything_comes_back(mixed: Dataset, folder: Path) -> None:
    back = read_folder(folder)
    assert back.sha256() == mixed.sha256()
    assert (back.source, back.names) == (mixed.source, mixed.names)
    assert back.parameters is not None
    assert back.parameters.equals(mixed.parameters)
    parts = list(read_pieces(folder, size=64))
    assert [len(part.images) for part in parts] == [64, 64, 22]
    assert [name for part in parts for name in part.names] == list(mixed.names)


def test_cells_in_any_order(mixed: Dataset, folder: Path, seed: int) -> None:
    opened = open_shards(folder)
    indices = np.random.default_rng(seed).permutation(150)[:60]
    images = opened.images(indices)
    assert all((image == mixed.images[i]).all() for image, i in zip(images, indices, strict=True))
    assert opened.labels.tolist() == mixed.labels.tolist()
    assert opened.heights.tolist() == [len(image) for image in mixed.images]


def test_images_stay_on_disk(mixed: Dataset, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(icsort.quant.cells.dataset, "READ_CELLS", 7)
    read: list[int] = []
    images_of = shards.Shards.images

    def counted(self: shards.Shards, cells: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        read.append(len(cells))
        return images_of(self, cells)

    monkeypatch.setattr(shards.Shards, "images", counted)
    keep = np.random.default_rng(seed).permutation(150)[:60]
    again = np.random.default_rng(seed + 1).permutation(60)[:23]
    stored = read_folder(folder).subset(keep).with_channels(("SSC", "LightLoss")).subset(again)
    stored = stored.with_channels(("LightLoss", "SSC"))
    wanted = mixed.subset(keep[again]).with_channels(("LightLoss", "SSC"))
    assert stored.heights.tolist() == wanted.heights.tolist()
    assert read == []
    assert stored.sha256() == wanted.sha256()
    assert read == [7, 7, 7, 2]
    assert all((a == b).all() for a, b in zip(stored.images[3:9], wanted.images[3:9], strict=True))
    assert (stored.images[-1] == wanted.images[-1]).all()


def test_another_arrow_reader_finds_the_pixels(mixed: Dataset, folder: Path) -> None:
    table = feather.read_table(folder / "shard-00000.arrow")
    for row, image in enumerate(mixed.images[: len(table)]):
        assert table["pixels"][row].as_py() == image.tobytes()


def test_without_names_groups_and_figures(dataset: Dataset, tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", [dataset])
    back = read_folder(tmp_path / "shards")
    assert back.sha256() == dataset.sha256()
    assert (back.names, back.groups, back.parameters) == ((), None, None)


@pytest.mark.parametrize("name", ["shard-00002.arrow", "cells.arrow"])
def test_a_shard_truncated_or_missing(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(IcsortError, match=rf"{name}: truncated, it has \d+ of {len(content)} bytes"):
        read_folder(folder)
    (folder / name).unlink()
    with pytest.raises(IcsortError, match="no such shard"):
        open_shards(folder)


def test_a_shard_of_the_right_size_that_is_damaged(folder: Path) -> None:
    path = folder / "shard-00001.arrow"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(IcsortError, match=r"shard-00001.arrow: damaged shard"):
        read_folder(folder).sha256()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"version": 99}, "version 99"), ({"format": "other"}, "is other version 1"), ({"format": None}, "is None")],
)
def test_a_folder_of_another_version(folder: Path, change: dict[str, object], reason: str) -> None:
    manifest = json.loads((folder / "shards.json").read_text())
    (folder / "shards.json").write_text(json.dumps(manifest | change))
    with pytest.raises(IcsortError, match=reason):
        read_folder(folder)
    (folder / "shards.json").write_text("{")
    with pytest.raises(IcsortError, match="no manifest"):
        read_folder(folder)


def test_pieces_that_do_not_fit_together(mixed: Dataset, tmp_path: Path) -> None:
    others = (
        replace(mixed, channels=("LightLoss", "SSC", "FSC")),
        replace(mixed, images=tuple(image[:, 1:] for image in mixed.images)),
        replace(mixed, groups=None),
    )
    for other in others:
        with pytest.raises(IcsortError, match="differ in channels"):
            write_shards(tmp_path / "shards", [mixed, other])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_keeps_what_was_there(mixed: Dataset, folder: Path) -> None:
    def until_the_disk_is_full() -> Iterator[Dataset]:
        yield from pieces(mixed, 50)
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(IcsortError, match="disk is full"):
        write_shards(folder, until_the_disk_is_full(), force=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
