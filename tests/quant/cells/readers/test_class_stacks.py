# SPDX-License-Identifier: Apache-2.0
"""Class stacks: axes, geometry, types; a stack by itself."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from icsort.quant.cells.dataset import concatenate
from icsort.quant.cells.find import read_folder, read_pieces
from icsort.quant.cells.readers.class_stacks import read_class_stack
from tests.quant.cells.files import real, refusal, write_stack


def test_class_stacks(tmp_path: Path) -> None:
    stacks = {name: write_stack(tmp_path / f"{name}.tif", cells, seed=cells) for name, cells in (("B", 4), ("A", 2))}
    dataset = read_folder(tmp_path)
    assert dataset.classes == ("A", "B")
    assert dataset.counts() == {"A": 2, "B": 4}
    assert dataset.channels == ("channel0", "channel1", "channel2")
    every = np.concatenate([stacks["A"], stacks["B"]]).transpose(0, 2, 3, 1)
    assert (np.stack(dataset.images) == every).all()
    assert read_folder(tmp_path, channels=["x", "y", "z"]).channels == ("x", "y", "z")
    assert "name each one" in refusal(read_folder, tmp_path, ["x"])


def test_a_stack_of_one_cell(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "A.tif", cells=1)
    assert (read_class_stack(tmp_path / "A.tif")[0] == stack.transpose(0, 2, 3, 1)).all()


def test_real_jurkat_cells() -> None:
    dataset = read_folder(real("jurkat_cell_cycle"))
    assert dataset.counts() == {
        "Anaphase": 12,
        "G1": 720,
        "G2": 720,
        "Metaphase": 55,
        "Prophase": 485,
        "S": 720,
        "Telophase": 22,
    }
    assert dataset.channels == ("Brightfield", "PI", "Darkfield")
    assert {image.shape for image in dataset.images} == {(40, 40, 3)}
    stained = {
        name: np.mean([i[..., 1] for i, k in zip(dataset.images, dataset.labels, strict=True) if k == n])
        for n, name in enumerate(dataset.classes)
    }
    assert stained["G1"] < stained["S"] < stained["G2"]  # DNA content grows through the cycle


@pytest.mark.parametrize(("channels", "size"), [(2, 12), (3, 13)])
def test_class_stacks_of_differing_geometry(tmp_path: Path, channels: int, size: int) -> None:
    write_stack(tmp_path / "A.tif")
    write_stack(tmp_path / "B.tif", channels=channels, size=size)
    message = refusal(read_folder, tmp_path)
    assert "B.tif has cells" in message


def test_pixels_that_do_not_fit_16_bit(tmp_path: Path) -> None:
    for pixels in (np.full((2, 1, 12, 12), -1, np.int32), np.full((2, 1, 12, 12), 65536, np.uint32)):
        tifffile.imwrite(tmp_path / "A.tif", pixels, metadata={"axes": "ICYX"})
        assert "65535" in refusal(read_class_stack, tmp_path / "A.tif")


def test_pages_that_may_be_cells_or_channels(tmp_path: Path) -> None:
    write_stack(tmp_path / "A.tif")
    tifffile.imwrite(tmp_path / "B.tif", np.zeros((3, 12, 12), np.uint16), photometric="minisblack")
    message = refusal(read_folder, tmp_path)
    assert "B.tif: does not say whether its 3 pages are cells or channels" in message
    tifffile.imwrite(tmp_path / "B.tif", np.zeros((3, 12, 12), np.uint16), metadata={"axes": "CYX"})
    assert read_folder(tmp_path).counts() == {"A": 4, "B": 1}


def test_types_that_differ(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "A.tif")
    tifffile.imwrite(tmp_path / "B.tif", (stack >> 8).astype(np.uint8), metadata={"axes": "ICYX"})
    assert "uint16 (A[0]), uint8 (B[0])" in refusal(read_folder, tmp_path)


def test_what_lies_beside_stacks_is_named(tmp_path: Path) -> None:
    write_stack(tmp_path / "A.tif")
    (tmp_path / "C.jpg").write_bytes(b"")
    (tmp_path / "inner").mkdir()
    lines = ("C.jpg: lies beside the class stacks", "inner: lies beside the class stacks")
    assert read_folder(tmp_path).passed_over == lines
    write_stack(tmp_path / "A.tiff")
    assert "two stacks of the class A" in refusal(read_folder, tmp_path)


def test_a_stack_by_itself_has_no_labels(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "A.tif", cells=5)
    pieces = list(read_pieces(tmp_path / "A.tif", ["x", "y", "z"], size=2, labelled=False))
    assert [len(piece.images) for piece in pieces] == [2, 2, 1]
    cells = concatenate(pieces)
    assert cells.names == tuple(f"A[{index}]" for index in range(5))
    assert cells.channels == ("x", "y", "z")
    assert (cells.classes, set(cells.labels)) == ((), {-1})
    assert (np.stack(cells.images) == stack.transpose(0, 2, 3, 1)).all()
    assert "5 cells have no labels" in refusal(read_folder, tmp_path / "A.tif")
