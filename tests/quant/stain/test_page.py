# SPDX-License-Identifier: Apache-2.0
"""The page says what the figures say, with and without an image and unstained cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.stain import image, number, stain_page
from icsort.quant.stain.number import Predicted
from icsort.quant.stain.stain import STAIN_FILE, Stained
from tests.quant.stain.conftest import INPUTS, STAIN
from tests.quant.stain.test_image import drawn


@pytest.fixture
def found(cells: Dataset, seed: int) -> Stained:
    random = np.random.default_rng(seed)
    count = len(cells.images)
    measured = random.normal(1e5, 2e4, count)
    told = Predicted(np.arange(count), np.arange(count) % 3, measured, measured + random.normal(0, 1e4, count), 4)
    shown = replace(drawn(seed), unstained=np.full((3, 20, 20), 9, np.float32))
    figures = {
        "data": {"origin": "cells of a test", "cells": count, "hash": ""},
        "from": list(INPUTS),
        "to": STAIN,
        "unit": "counts",
        "network": "student-w4a4",
        "packages": [],
        "quantized": number.figures(told, {"all": np.ones(count, np.bool_)}),
        "float": number.figures(told, {}),
        "unstained": {"cells": 3, "not_triggered": 1, "median": 12345.0, "as_stained": 0.5},
        "image": image.figures(shown),
    }
    return Stained(figures, cells, told, told, shown)


def test_the_page_says_what_was_found(found: Stained, tmp_path: Path) -> None:
    stain_page.write(tmp_path, found)
    text = (tmp_path / "report.html").read_text()
    for figure in (found.figures["quantized"]["pearson"]["r"], found.figures["image"]["unet"]["pixels"]["r"]):
        assert f"{figure:.3f}" in text
    for words in ("fold 3", "within all", "12,345 counts", "50.0 %", "Does it invent structure?", "linear filter"):
        assert words in text
    assert text.count("data:image/png") == 4
    assert (tmp_path / STAIN_FILE).exists()


def test_what_was_not_asked_for_is_not_shown(found: Stained) -> None:
    figures = found.figures | {"image": None, "unstained": None}
    titles = [section.title for section in stain_page.page(replace(found, figures=figures, image=None)).sections]
    assert len(titles) == 3


def test_a_folder_that_cannot_be_written(found: Stained, tmp_path: Path) -> None:
    with pytest.raises(IcsortError, match="the report cannot be written"):
        stain_page.write(tmp_path / "gone", found)
