# SPDX-License-Identifier: Apache-2.0
"""Tables and masks find their cells by name; what does not match is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from icsort.quant.response.features import segment
from icsort.quant.response.inputs import matching_rows, read_inputs
from tests.quant.cells.files import refusal
from tests.quant.response.cells import SIZE, blobs


@pytest.fixture
def table(tmp_path: Path, seed: int) -> Path:
    """A row a cell of `blobs(12)`, shuffled, called by its file; one row is of no cell."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "file_name": [f"c{index}.png" for index in range(13)],
            "index": np.arange(13),
            "Location_X": random.normal(size=13),
            "plate": "p",
        }
    )
    rows.sample(frac=1, random_state=seed % 2**32).to_csv(tmp_path / "features.csv", index=False)
    return tmp_path / "features.csv"


def changed(table: Path, **columns: object) -> None:
    pd.read_csv(table).assign(**columns).to_csv(table, index=False)  # type: ignore[arg-type]


def test_rows_come_in_the_cells_order(table: Path, seed: int) -> None:
    cells = blobs(12, seed)
    rows, left_out = matching_rows(cells, table, "Location")
    assert rows["index"].tolist() == list(range(12))
    assert list(rows.columns) == ["index"]
    assert left_out == ("plate: no numbers", "Location_X: --without")
    changed(table, file_name=lambda rows: "other/" + rows["file_name"].str.removesuffix(".png"))
    assert matching_rows(cells, table)[0]["index"].tolist() == list(range(12))


def test_tables_that_do_not_match(table: Path, seed: int) -> None:
    cells = blobs(12, seed)
    good = table.read_text()
    changed(table, index=lambda rows: rows["index"].where(rows["index"] != 5))
    assert "1 values of 1 columns are missing or not finite (first index of set/c5.png)" in refusal(
        matching_rows, cells, table
    )
    assert matching_rows(cells, table, "index")[0].shape == (12, 1)
    table.write_text(good)
    assert "has no row for 1 of 14 cells (first set/c13.png" in refusal(matching_rows, blobs(14, seed), table)
    changed(table, file_name=lambda rows: rows["file_name"].replace("c12.png", "c3.png"))
    assert "names c3.png twice" in refusal(matching_rows, cells, table)
    table.write_text("name,plate\nc0,p\n")
    assert "has no row for 11 of 12 cells" in refusal(matching_rows, cells, table)
    table.write_text("a,b\n1,2\n")
    assert "has no column of names" in refusal(matching_rows, cells, table)
    table.write_text("name,plate\n" + "".join(f"c{index},p\n" for index in range(12)))
    assert "has no column of numbers" in refusal(matching_rows, cells, table)
    table.write_text(good)
    assert "is no regular expression" in refusal(matching_rows, cells, table, "(")


def test_masks_of_a_folder_and_of_an_array(tmp_path: Path, seed: int) -> None:
    cells = blobs(6, seed)
    masks = [segment(image, "cell") for image in cells.images]
    np.savez(tmp_path / "masks.npz", masks=np.stack(masks))
    (tmp_path / "masks").mkdir()
    for index, mask in enumerate(masks):
        Image.fromarray(mask.astype(np.uint8) * (index + 1)).save(tmp_path / "masks" / f"c{index}.png")
    found = read_inputs(cells)
    for path in (tmp_path / "masks.npz", tmp_path / "masks"):
        given = read_inputs(cells, masks=path)
        assert all((one == other).all() for one, other in zip(given.masks, masks, strict=True))
        assert (given.table == found.table).all(axis=None)
        for name, pictures in found.pictures.items():
            assert (given.pictures[name] == pictures).all()
    np.savez(tmp_path / "masks.npz", masks=np.stack(masks)[:5])
    assert "give one (y, x) for each" in refusal(lambda: read_inputs(cells, masks=tmp_path / "masks.npz"))
    (tmp_path / "masks" / "c4.png").unlink()
    assert "has no mask for 1 of 6 cells (first set/c4.png" in refusal(
        lambda: read_inputs(cells, masks=tmp_path / "masks")
    )
    empty = np.stack(masks)
    empty[2] = False
    np.savez(tmp_path / "masks.npz", masks=empty)
    assert "the mask of set/c2.png holds no cell" in refusal(lambda: read_inputs(cells, masks=tmp_path / "masks.npz"))
    np.savez(tmp_path / "masks.npz", masks=empty[:, 1:])
    assert "give masks of the images' size" in refusal(lambda: read_inputs(cells, masks=tmp_path / "masks.npz"))


def test_pictures_are_the_pixels_about_the_middle_of_the_mask(seed: int) -> None:
    cells = blobs(4, seed)
    for side in (12, 20, SIZE + 10):
        inputs = read_inputs(cells, side=side)
        assert inputs.pictures["image"].shape == (4, 2, side, side)
        for index, (image, mask) in enumerate(zip(cells.images, inputs.masks, strict=True)):
            rows, columns = np.nonzero(mask)
            top = round((rows.min() + rows.max()) / 2) - side // 2
            left = round((columns.min() + columns.max()) / 2) - side // 2
            for row in range(side):
                for column in range(side):
                    inside = 0 <= top + row < SIZE and 0 <= left + column < SIZE
                    expected = image[top + row, left + column] if inside else image.min(axis=(0, 1))
                    assert (inputs.pictures["image"][index, :, row, column] == expected).all()
                    assert inputs.pictures["mask"][index, 0, row, column] == (inside and mask[top + row, left + column])
