# SPDX-License-Identifier: Apache-2.0
"""Images of cells in one folder, without labels."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from icsort.quant.cells.dataset import concatenate
from icsort.quant.cells.find import read_folder, read_pieces
from icsort.quant.cells.readers.shards import write_shards
from tests.quant.cells.files import real, refusal, write_event


def test_images_in_one_folder(tmp_path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 65536, (5, 9, 7)).astype(np.uint16)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "inner").mkdir()
    pieces = list(read_pieces(tmp_path, size=2, labelled=False))
    assert [len(piece.images) for piece in pieces] == [2, 2, 1]
    cells = concatenate(pieces)
    assert (np.stack(cells.images)[..., 0] == pixels).all()
    assert cells.names == tuple(f"{index}.png" for index in range(5))
    assert (cells.classes, cells.labels.tolist(), cells.counts()) == ((), [-1] * 5, {})
    assert cells.passed_over == ("inner: a folder beside the images", "notes.txt: no image that is read")
    assert "5 cells have no labels" in refusal(read_folder, tmp_path)


def test_the_sorters_events_without_a_gate_table(tmp_path: Path) -> None:
    for index in range(3):
        write_event(tmp_path / f"e{index}.tiff", ["FSC", "SSC"], 20 + index, seed=index)
    (tmp_path / "e3.tiff").write_bytes(b"")
    (cells,) = read_pieces(tmp_path, labelled=False, unreadable="skip")
    assert cells.channels == ("FSC", "SSC")
    assert cells.heights.tolist() == [20, 21, 22]
    assert "e3.tiff" in cells.skipped[0]
    write_event(tmp_path / "e3.tiff", ["FSC", "other"], 20)
    assert "page names differ" in refusal(lambda: list(read_pieces(tmp_path, labelled=False)))
    write_event(tmp_path / "e3.tiff", ["FSC", "SSC"], 20, width=96)
    assert "96 pixels wide" in refusal(lambda: list(read_pieces(tmp_path, labelled=False)))


def test_shards_of_cells_without_labels(tmp_path: Path) -> None:
    write_event(tmp_path / "e0.tiff", ["FSC", "SSC"], 20)
    (cells,) = read_pieces(tmp_path, labelled=False)
    write_shards(tmp_path / "shards", [cells])
    (back,) = read_pieces(tmp_path / "shards", labelled=False)
    assert back.sha256() == cells.sha256()
    assert back.labels.tolist() == [-1]
    assert back.names == ("e0.tiff",)
    assert "1 cells have no labels" in refusal(read_folder, tmp_path / "shards")


def test_real_events_of_another_instrument_have_other_channels(tmp_path: Path) -> None:
    (cells,) = read_pieces(real("bd_cellview_pbmc"), labelled=False)
    assert len(cells.images) == 6
    assert "PI B586*" in cells.channels
    shutil.copytree(real("bd_cellview_pbmc"), tmp_path / "mixed")
    shutil.copy(real("bd_cellview") / "images" / "Cell_Cycle_00000000.tiff", tmp_path / "mixed")
    assert "page names differ" in refusal(lambda: list(read_pieces(tmp_path / "mixed", labelled=False)))
