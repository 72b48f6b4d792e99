# SPDX-License-Identifier: Apache-2.0
"""A NumPy archive of cells with its table: pixels, labels and groups by columns, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from icsort.quant.cells.find import read_folder
from icsort.quant.cells.readers.shards import write_shards
from tests.quant.cells.files import real, refusal

PLATES = ["p0", "p0", "p1", "p1", "p2", "p2"]


@pytest.fixture
def archive(tmp_path: Path, seed: int) -> Path:
    """Six cells of three plates with two treatments, and their table."""
    pixels = np.random.default_rng(seed).integers(0, 65536, (6, 8, 7, 3)).astype(np.uint16)
    np.savez(tmp_path / "cells.npz", images=pixels)
    pd.DataFrame({"plate": PLATES, "well": list("ABABAB"), "moa": ["b", "a"] * 3, "area": np.arange(6.0)}).to_csv(
        tmp_path / "cells.csv", index=False
    )
    return tmp_path / "cells.npz"


def test_pixels_labels_and_groups(archive: Path) -> None:
    cells = read_folder(archive, ["X", "Y", "Z"], group_by="plate+well", label_by=["moa"])
    with np.load(archive) as stored:
        assert (np.stack(cells.images) == stored["images"]).all()
    assert cells.classes == ("a", "b")
    assert cells.labels.tolist() == [1, 0] * 3
    assert cells.channels == ("X", "Y", "Z")
    assert cells.groups is not None
    assert cells.groups.tolist() == [f"{plate}/{well}" for plate, well in zip(PLATES, "ABABAB", strict=True)]
    assert cells.names[4] == "cells[4]"
    assert cells.parameters is not None
    assert cells.parameters["area"].tolist() == list(range(6))


def test_a_cell_without_a_label_is_named(archive: Path) -> None:
    table = pd.read_csv(archive.with_suffix(".csv"))
    table.loc[2, "moa"] = None
    table.to_csv(archive.with_suffix(".csv"), index=False)
    cells = read_folder(archive, label_by=["moa"])
    assert len(cells.images) == 5
    assert cells.passed_over == ("cells[2]: no label",)


def test_shards_keep_the_numbers_of_the_table(archive: Path, tmp_path: Path) -> None:
    cells = read_folder(archive, label_by=["moa"], group_by="plate")
    write_shards(tmp_path / "shards", [cells])
    kept = read_folder(tmp_path / "shards")
    assert kept.parameters is not None
    assert list(kept.parameters.columns) == ["area"]
    assert kept.groups is not None
    assert kept.groups.tolist() == PLATES


def test_what_is_refused(archive: Path) -> None:
    assert "have no labels" in refusal(read_folder, archive)
    assert "has no such column; it has plate, well, moa, area" in refusal(
        lambda: read_folder(archive, label_by=["dose"])
    )
    assert "gives no group" in refusal(lambda: read_folder(archive, label_by=["moa"], group_by="(day)"))
    table = pd.read_csv(archive.with_suffix(".csv"))
    table.iloc[:5].to_csv(archive.with_suffix(".csv"), index=False)
    assert "has 5 rows but cells.npz 6 images" in refusal(lambda: read_folder(archive, label_by=["moa"]))
    table.iloc[:0].to_csv(archive.with_suffix(".csv"), index=False)
    assert "has no rows" in refusal(lambda: read_folder(archive, label_by=["moa"]))
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert "truncated or damaged archive" in refusal(lambda: read_folder(archive, label_by=["moa"]))
    np.savez(archive, pictures=np.zeros(3))
    assert "has no array images (there are pictures)" in refusal(lambda: read_folder(archive, label_by=["moa"]))
    np.savez(archive, images=np.zeros((6, 4)))
    assert "store it as (cell, y, x, channel)" in refusal(lambda: read_folder(archive, label_by=["moa"]))


def test_the_real_archive() -> None:
    cells = read_folder(real("bbbc021_cells") / "thirteen_classes.npz", label_by=["moa"], group_by="plate")
    assert len(cells.images) == 1000
    assert len(cells.classes) == 13
    assert cells.groups is not None
    assert len(np.unique(cells.groups)) == 55
