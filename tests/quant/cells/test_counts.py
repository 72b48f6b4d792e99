# SPDX-License-Identifier: Apache-2.0
"""From pixels to counts: what is digitized, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from icsort.quant.cells.counts import Digitization, to_counts
from icsort.quant.cells.find import read_folder
from tests.quant.cells.files import refusal

HERE = Path("a.tif")


def test_digitization_saturates_and_keeps_order() -> None:
    values = np.asarray([-1e9, -1.0, 0.0, 1 / 16384, 2.9999, 1e9], np.float32)
    assert Digitization().counts(values).tolist() == [0, 0, 16384, 16385, 65534, 65535]
    assert Digitization(offset=0.0, counts_per_unit=2.0).counts(values)[2:4].tolist() == [0, 0]


def test_values_that_the_digitization_does_not_cover() -> None:
    pixels = np.full((10, 10), 0.5, np.float32)
    pixels[0, 0] = 1e6  # one pixel in a hundred may saturate, as in a converter
    assert to_counts(HERE, pixels, Digitization())[0, 0] == 65535
    for beyond in (3.1, -1.1):
        pixels[0, 1] = beyond
        message = refusal(to_counts, HERE, pixels, Digitization())
        assert "2 of 100 pixels" in message
        assert "--digitize OFFSET,SCALE" in message
    counts = np.asarray([[0, 7, 65535]], np.float32)
    assert (to_counts(HERE, counts, Digitization.parse("0,1")) == counts).all()
    assert (to_counts(HERE, counts / 65535, Digitization.parse("0,65535")) == counts).all()


@pytest.mark.parametrize("words", ["", "1", "0,0", "0,-1", "a,b", "0,1,2", "nan,1", "0,inf"])
def test_words_that_are_no_digitization(words: str) -> None:
    assert "OFFSET,SCALE" in refusal(Digitization.parse, words)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.uint8, np.int64])
def test_integers_stay_as_they_are(kind: Any) -> None:
    pixels = np.asarray([[0, 1, 255]], kind)
    counts = to_counts(HERE, pixels, Digitization())
    assert counts.dtype == np.uint16
    assert (counts == pixels).all()


@pytest.mark.parametrize("pixels", [np.asarray([[-1]], np.int16), np.asarray([[65536]], np.int32)])
def test_integers_that_do_not_fit(pixels: Any) -> None:
    assert "outside 0..65535" in refusal(to_counts, HERE, pixels, Digitization())


@pytest.mark.parametrize("kind", [np.bool_, np.complex64])
def test_types_that_are_no_counts(kind: Any) -> None:
    assert "unsigned 16-bit or float32" in refusal(to_counts, HERE, np.zeros((2, 2), kind), Digitization())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    pages = np.zeros((3, 20, 104), np.float32)
    pages[1, 3, 7] = value
    assert "NaN" in refusal(to_counts, HERE, pages, Digitization())
    tifffile.imwrite(tmp_path / "a.tif", pages[np.newaxis], metadata={"axes": "ICYX"})
    assert "a.tif: 1 pixels are NaN" in refusal(read_folder, tmp_path)


def test_counts_stored_as_floats(tmp_path: Path, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(400, 4000, (20, 2, 9, 8)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", counts.astype(np.float32), photometric="minisblack")
    assert "--digitize" in refusal(read_folder, tmp_path)
    cells = read_folder(tmp_path, digitization=Digitization.parse("0,1"))
    assert (np.stack(cells.images) == counts.transpose(0, 2, 3, 1)).all()
