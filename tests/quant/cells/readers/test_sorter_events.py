# SPDX-License-Identifier: Apache-2.0
"""The sorter's folders: gate table, parameter table, events."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from icsort.quant.cells.find import read_folder, read_pieces
from icsort.quant.cells.readers.tiffs import read_tiff
from tests.quant.cells.files import real, refusal, write_sorter_folder


def test_sorter_folder(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [5, 5, 5], [17, 169, 40])
    dataset = read_folder(folder)
    assert dataset.classes == ("G1", "S")
    assert dataset.labels.tolist() == [0, 1, 0]
    assert dataset.channels == tuple(f"detector {i}" for i in range(5))
    assert [image.shape for image in dataset.images] == [(17, 104, 5), (169, 104, 5), (40, 104, 5)]
    pages = read_tiff(folder / "images" / "e1.tiff").pixels[0]
    expected = np.clip(np.round((pages.astype(float) + 1.0) * 16384), 0, 65535)
    assert (dataset.images[1].transpose(2, 0, 1) == expected).all()


def test_real_sorter_events() -> None:
    dataset = read_folder(real("bd_cellview"))
    assert len(dataset.images) == 8
    assert dataset.counts() == {"G1": 3, "G2M": 2, "NA": 1, "S": 2}
    assert dataset.channels[0] == "LightLoss (Blue)"
    assert len(dataset.channels) == 8
    assert {image.shape[1:] for image in dataset.images} == {(104, 8)}
    assert sorted({image.shape[0] for image in dataset.images})[::7] == [17, 169]
    assert dataset.parameters is not None
    assert dataset.parameters.shape[0] == 8
    assert dataset.parameters["count"].tolist() == [0, 1, 3, 4, 5, 6, 7, 9]
    # Pillow's own reader, page by page
    path = real("bd_cellview") / "images" / "Cell_Cycle_00000000.tiff"
    with Image.open(path) as image:
        pages = np.stack([np.asarray(frame) for frame in ImageSequence.Iterator(image)])
    assert (read_tiff(path).pixels[0] == pages).all()


def test_a_page_count_that_differs(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [5, 5, 4], [20, 20, 20])
    message = refusal(read_folder, folder)
    assert "e2.tiff" in message
    assert "with 4 channels" in message


def test_gate_tables_that_do_not_fit(tmp_path: Path) -> None:
    folder = write_sorter_folder(tmp_path / "run", [2, 2], [20, 20])
    table = folder / "output" / "countpath.csv"
    good = table.read_text()
    table.write_text(good.replace(";", ","))
    assert "no column" in refusal(read_folder, folder)
    table.write_text("id;gate;path\n")
    assert "no events" in refusal(read_folder, folder)
    table.write_text("")
    assert "cannot be read" in refusal(read_folder, folder)
    table.write_text(good.replace("e1", "e9"))
    assert "e9.tiff" in refusal(read_folder, folder)


def gate_table(folder: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """The folder with its gate table's rows changed."""
    table = folder / "output" / "countpath.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *change(rows)]) + "\n")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Six events, G1 and S in turn."""
    return write_sorter_folder(tmp_path / "run", [2] * 6, [20, 21, 22, 23, 24, 25])


def test_paths_as_the_instruments_computer_writes_them(run: Path) -> None:
    before = read_folder(run)
    gate_table(run, lambda rows: [row.replace("/", "\\") for row in rows])
    after = read_folder(run)
    assert after.sha256() == before.sha256()
    assert after.names == before.names


def test_an_event_outside_all_gates_has_no_label(run: Path) -> None:
    gate_table(run, lambda rows: [rows[0].replace("G1", " "), rows[1].replace(";S;", ";;"), *rows[2:]])
    cells = read_folder(run)
    assert cells.classes == ("G1", "S")
    assert cells.heights.tolist() == [22, 23, 24, 25]
    assert cells.passed_over == ("images/e0.tiff: no label", "images/e1.tiff: no label")
    (every,) = read_pieces(run, labelled=False)
    assert every.labels.tolist() == [-1, -1, 0, 1, 0, 1]
    assert every.counts() == {"G1": 2, "S": 2}
    gate_table(run, lambda rows: [";".join((row.split(";")[0], "", row.split(";")[2])) for row in rows])
    assert "6 cells have no labels" in refusal(read_folder, run)


def test_a_piece_without_labels_loses_no_line(run: Path) -> None:
    gate_table(run, lambda rows: [row.replace(";S;", ";;") for row in rows])
    pieces = list(read_pieces(run, size=1))
    assert [piece.heights.tolist() for piece in pieces] == [[20], [22], [24]]
    assert [piece.passed_over for piece in pieces[1:]] == [
        ("images/e1.tiff: no label",),
        ("images/e3.tiff: no label",),
    ]


def test_a_row_given_twice_counts_once(run: Path) -> None:
    before = read_folder(run)
    gate_table(run, lambda rows: [*rows, rows[1], rows[4].replace("id4", "id9")])
    after = read_folder(run)
    assert after.sha256() == before.sha256()
    assert after.passed_over == ("countpath.csv: names e1.tiff twice", "countpath.csv: names e4.tiff twice")
    gate_table(run, lambda rows: [*rows, rows[1].replace(";S;", ";G1;")])
    assert "e1.tiff is in more than one gate (S, G1)" in refusal(read_folder, run)


def test_images_that_the_table_does_not_list_and_events_without_one(run: Path) -> None:
    gate_table(run, lambda rows: [*rows[:4], "id4;G1;NA", "id5;S;"])
    cells = read_folder(run)
    assert len(cells.images) == 4
    assert cells.passed_over == (
        "countpath.csv: event id4 has no image",
        "countpath.csv: event id5 has no image",
        "images/e4.tiff: not in the gate table",
        "images/e5.tiff: not in the gate table",
    )
