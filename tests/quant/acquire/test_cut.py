# SPDX-License-Identifier: Apache-2.0
"""Cells cut where the bit-true trigger sees them, with background around them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition, InputSpec, LineSpec, PreprocessSpec, TriggerSpec
from icsort.formats.background import Background
from icsort.quant.acquire.cut import cut_cells

ACQUISITION = Acquisition(
    channels=("stain",),
    input=InputSpec(height=6, width=4, channels=1),
    line=LineSpec(width=4),
    trigger=TriggerSpec(channel=0, threshold=30),
    preprocess=PreprocessSpec(background=(0,), gain=(65536,), shift=16),
)


def image(lines: list[int]) -> NDArray[np.uint16]:
    return np.broadcast_to(np.asarray(lines, np.uint16)[:, None, None], (len(lines), 4, 1)).copy()


SHORT, TALL, DIM = image([2, 2, 50, 50]), image([2, 60, *[2] * 10, 60, 2, 2]), image([3] * 5)


def test_cells_are_cut_where_the_trigger_sees_them() -> None:
    cut = cut_cells([SHORT, TALL, DIM], ACQUISITION, Background(image([1])))
    assert cut.cells.tolist() == [0, 1]
    assert cut.missed.tolist() == [2]
    assert cut.windows[0, :, 0, 0].tolist() == [50, 50, 1, 1, 1, 1]  # filled with background lines
    assert cut.windows[1, :, 0, 0].tolist() == [60, 2, 2, 2, 2, 2]  # its first event only


def test_what_background_triggers_is_no_cell() -> None:
    cut = cut_cells([DIM, SHORT], ACQUISITION, Background(image([9])))
    assert cut.cells.tolist() == [1]
    assert cut.missed.tolist() == [0]


def test_background_behind_a_cell_depends_on_the_cell_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    background = Background(random.integers(0, 7, (37, 4, 1)).astype(np.uint16))
    images = [image([0, 99, value]) for value in range(20)]
    whole = cut_cells(images, ACQUISITION, background)
    parts = [cut_cells(images[begin : begin + 7], ACQUISITION, background) for begin in range(0, 20, 7)]
    assert (np.concatenate([part.windows for part in parts]) == whole.windows).all()
    assert len({window[3:].tobytes() for window in whole.windows}) > 10
    for cell in images:
        assert (background.behind(cell, 90)[:40] == background.behind(cell, 40)).all()
        assert len(np.unique(background.behind(cell, 37), axis=0)) == len(np.unique(background.lines, axis=0))


@pytest.mark.parametrize("images", [[], [DIM]])
def test_no_event_is_no_window(images: list[NDArray[np.uint16]]) -> None:
    cut = cut_cells(images, ACQUISITION, Background(image([1])))
    assert cut.windows.shape == (0, 6, 4, 1)
    assert cut.missed.tolist() == list(range(len(images)))
