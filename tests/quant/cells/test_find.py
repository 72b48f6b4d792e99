# SPDX-License-Identifier: Apache-2.0
"""Where cells come from, and what a data set knows of itself."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from icsort import real_data
from icsort.quant.cells import find as data
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.readers.shards import write_shards
from icsort.real_data import DATA_VARIABLE
from tests.quant.cells.files import refusal, write_stack


def test_folders_without_images(tmp_path: Path) -> None:
    assert "no such folder" in refusal(data.read_folder, tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.tif").mkdir()
    assert "no images that are read (1 of .tif, 1 of .txt)" in refusal(data.read_folder, tmp_path)


def test_a_text_file_named_tif(tmp_path: Path) -> None:
    (tmp_path / "A.tif").write_text("this is no image")
    assert "A.tif" in refusal(data.read_folder, tmp_path)


def test_where_cells_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / data.JURKAT_FOLDER).mkdir()
    write_stack(tmp_path / data.JURKAT_FOLDER / "A.tif")
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    found = data.find_dataset()
    assert found.source == "jurkat"
    assert str(tmp_path) in found.origin
    assert found.channels == ("Brightfield", "PI", "Darkfield")
    assert data.find_dataset(generated=True).source == "generated"
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / data.JURKAT_FOLDER))
    assert data.find_dataset().sha256() == found.sha256()
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "nowhere"))
    assert DATA_VARIABLE in refusal(data.find_dataset)
    assert "exclude" in refusal(data.find_dataset, tmp_path, True)


def test_without_data_cells_are_generated_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setattr(real_data, "__file__", str(tmp_path / "clone" / "icsort" / "real_data.py"))
    found = data.find_dataset(seed=3)
    assert found.source == "generated"
    assert "no real data" in found.origin
    assert len(found.images) >= 2400  # a tenth is held out


def test_the_hash_follows_every_pixel_and_label(tmp_path: Path) -> None:
    write_stack(tmp_path / "A.tif", seed=1)
    stack = write_stack(tmp_path / "B.tif", seed=2)
    before = data.read_folder(tmp_path).sha256()
    assert data.read_folder(tmp_path).sha256() == before
    stack[3, 2, 11, 11] ^= 1
    tifffile.imwrite(tmp_path / "B.tif", stack, metadata={"axes": "ICYX"})
    assert data.read_folder(tmp_path).sha256() != before
    (tmp_path / "B.tif").rename(tmp_path / "C.tif")
    stack[3, 2, 11, 11] ^= 1
    tifffile.imwrite(tmp_path / "C.tif", stack, metadata={"axes": "ICYX"})
    assert data.read_folder(tmp_path).sha256() != before


def test_how_floats_were_digitized_is_kept(tmp_path: Path) -> None:
    """By the cells, also as shards and through a training into the package; counts have nothing to keep."""
    (tmp_path / "counts").mkdir()
    (tmp_path / "floats").mkdir()
    for index, name in enumerate("AB"):
        stack = write_stack(tmp_path / "counts" / f"{name}.tif", seed=index)
        floats = (stack / 16384 - 0.5).astype(np.float32)
        tifffile.imwrite(tmp_path / "floats" / f"{name}.tif", floats, metadata={"axes": "ICYX"})
    digitization = Digitization(-0.5, 16384)
    assert data.read_folder(tmp_path / "counts", digitization=digitization).digitization is None
    floats = data.read_folder(tmp_path / "floats", digitization=digitization)
    assert floats.digitization == digitization
    assert floats.sha256() == data.read_folder(tmp_path / "counts").sha256()
    write_shards(tmp_path / "shards", [floats])
    assert data.read_folder(tmp_path / "shards").digitization == digitization
    write_shards(tmp_path / "more", [data.read_folder(tmp_path / "counts")])
    assert data.read_folder(tmp_path / "more").digitization is None


def test_limited_draws_a_seeded_sample(dataset: data.Dataset) -> None:
    few = dataset.limited(11, seed=4)
    assert set(few.counts().values()) == {11}
    assert few.sha256() == dataset.limited(11, seed=4).sha256() != dataset.limited(11, seed=5).sha256()
    assert dataset.limited(10_000, seed=0).sha256() == dataset.sha256()
