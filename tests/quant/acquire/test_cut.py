# SPDX-License-Identifier: Apache-2.0
"""Cells cut where the bit-true trigger sees them, with background around them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition, FlatFieldSpec, InputSpec, LineSpec, PreprocessSpec, TriggerSpec
from icsort.formats.background import Background
from icsort.quant.acquire.choose import choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.dataset import Dataset

ACQUISITION = Acquisition(
    channels=("stain",),
    input=InputSpec(height=6, width=4, channels=1),
    line=LineSpec(width=4),
    trigger=TriggerSpec.whole_window(0, 1, 30, 6),
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


def with_rules(**rules: int) -> Acquisition:
    trigger = TriggerSpec(weights=(1,), on=30, off=20, max_lines=100).model_copy(update=rules)
    return ACQUISITION.model_copy(update={"trigger": trigger})


def test_a_window_begins_before_the_event_and_is_zero_behind_it() -> None:
    acquisition = with_rules(pre_lines=2, end_lines=2, post_lines=1)
    cells = [image([2, 3, 50, 50, 4, 2]), image([50, 4])]
    cut = cut_cells(cells, acquisition, Background(image([1])))
    assert cut.windows[..., 0, 0].tolist() == [[2, 3, 50, 50, 4, 0], [1, 1, 50, 4, 0, 0]]
    raised = acquisition.model_copy(update={"preprocess": PreprocessSpec(background=(2,), gain=(65536,), shift=16)})
    assert raised.pixels(cut_cells(cells, raised, Background(image([1]))).windows)[0, :, 0, 0].tolist() == [
        0,
        1,
        48,
        48,
        2,
        0,
    ]


def test_debris_before_a_cell_is_passed_over_and_never_is_one() -> None:
    cut = cut_cells([image([50, 2, 2, 60, 60, 60]), image([50, 2])], with_rules(min_lines=2), Background(image([1])))
    assert cut.cells.tolist() == [0]
    assert cut.windows[0, :, 0, 0].tolist() == [60, 60, 60, 0, 0, 0]


def test_a_cell_that_outlasts_its_image_does_not_reach_the_next() -> None:
    cut = cut_cells([image([50] * 3), image([60] * 3)], with_rules(end_lines=2, post_lines=2), Background(image([9])))
    assert cut.windows[..., 0, 0].tolist() == [[50] * 3 + [9] * 3, [60] * 3 + [9] * 3]


def test_lines_are_corrected_before_they_are_cut() -> None:
    flat = FlatFieldSpec(dark=((10,),) * 4, flat=((2**15,),) * 4)
    acquisition = with_rules().model_copy(update={"flat_field": flat})
    cut = cut_cells([image([2, 40, 11])], acquisition, Background(image([1])))
    assert cut.windows[0, :2, 0, 0].tolist() == [60, 0]


def test_windows_that_go_on_are_those_of_a_line_count(dataset: Dataset) -> None:
    """One threshold, and height lines from the first that reaches it, whatever they hold: told once more here."""
    setup = choose_setup(dataset.images, dataset.channels)
    chosen = setup.acquisition
    channel, on, height = chosen.trigger.weights.index(1), chosen.trigger.on, chosen.input.height
    plain = TriggerSpec.whole_window(channel, len(dataset.channels), on, height)
    cut = cut_cells(dataset.images, chosen.model_copy(update={"trigger": plain}), setup.background)
    ours = cut_cells(dataset.images, chosen, setup.background)
    windows, cells = [], []
    for index, lines in enumerate(dataset.images):
        over = np.flatnonzero(lines[:, :, channel].sum(axis=1, dtype=np.int64) >= on)
        if len(over):
            cells.append(index)
            windows.append(np.concatenate([lines, setup.background.behind(lines, height)])[over[0] :][:height])
    assert cut.cells.tolist() == ours.cells.tolist() == cells
    assert (cut.windows == np.stack(windows)).all()
    bare = chosen.trigger.model_copy(update={"pre_lines": 0})
    bare_cut = cut_cells(dataset.images, chosen.model_copy(update={"trigger": bare}), setup.background)
    of_event = chosen.pixels(bare_cut.windows).any(axis=(2, 3))
    assert of_event.sum() > 0.5 * len(cells) * height
    assert (bare_cut.windows[of_event] == np.stack(windows)[of_event]).all()
