# SPDX-License-Identifier: Apache-2.0
"""Cells cut, made grey, and raw again: cut once more they are what they were."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition, FlatFieldSpec
from icsort.quant.acquire.choose import Rules, choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.acquire.restore import restore_lines, restored_setup
from icsort.quant.synthetic import demo_cells

CHANNELS = demo_cells.CHANNELS


@pytest.fixture(scope="module")
def cells() -> list[NDArray[np.uint16]]:
    return list(demo_cells.generate(per_class=60)[0])


def changed(acquisition: Acquisition, kind: str, draw: np.random.Generator) -> Acquisition:
    line, constants = acquisition.line, acquisition.preprocess
    parts: dict[str, Any] = {}
    if kind == "flat":
        shape = line.width, len(CHANNELS)
        rows = [draw.integers(*ends, shape).tolist() for ends in ((0, 60), (int(0.9 * 2**14), int(1.1 * 2**14)))]
        dark, flat = (tuple(map(tuple, column)) for column in rows)
        parts["flat_field"] = FlatFieldSpec(dark=dark, flat=flat)
    elif kind == "bright":
        parts["preprocess"] = constants.model_copy(
            update={"gain": tuple(min(2 * g, 2**17 - 1) for g in constants.gain)}
        )
    elif kind == "dark cells":
        gain, background = (-constants.gain[0], *constants.gain[1:]), (60_000, *constants.background[1:])
        parts["preprocess"] = constants.model_copy(update={"gain": gain, "background": background})
    elif kind == "delays":
        parts["line"] = line.model_copy(update={"delays": (3, 0, 1)})
    return Acquisition(**dict(acquisition) | parts)


def windows_twice(cells: list[NDArray[np.uint16]], acquisition: Acquisition, background: Any) -> tuple[Any, Any]:
    """Of cells as they are, and of these made raw again."""
    windows = acquisition.pixels(cut_cells(cells, acquisition, background).windows)
    raw = restore_lines(windows, acquisition)
    longest = max(acquisition.line.delays, default=0)
    assert {image.shape for image in raw} == {
        (windows.shape[1] + longest, acquisition.line.width, len(acquisition.channels))
    }
    again = cut_cells(raw, acquisition, restored_setup(raw, acquisition).background)
    assert len(again.missed) == 0
    return windows, acquisition.pixels(again.windows)


@pytest.mark.parametrize("kind", ["as it is", "narrow", "bright", "dark cells", "delays"])
def test_the_same_windows(cells: list[NDArray[np.uint16]], kind: str, seed: int) -> None:
    setup = choose_setup(cells, CHANNELS, rules=Rules(width=28) if kind == "narrow" else None)
    acquisition = changed(setup.acquisition, kind, np.random.default_rng(seed))
    windows, again = windows_twice(cells, acquisition, setup.background)
    assert (again == windows).all(axis=(1, 2, 3)).mean() > 0.98


def test_a_flat_field_leaves_levels_that_no_count_becomes(cells: list[NDArray[np.uint16]], seed: int) -> None:
    setup = choose_setup(cells, CHANNELS)
    acquisition = changed(setup.acquisition, "flat", np.random.default_rng(seed))
    windows, again = windows_twice(cells, acquisition, setup.background)
    off = np.abs(again.astype(int) - windows)
    assert (off <= 2).all(axis=(1, 2, 3)).mean() > 0.98
    assert (off > 0).mean() < 0.1


def test_a_centred_window_may_move_by_a_column(cells: list[NDArray[np.uint16]]) -> None:
    setup = choose_setup(cells, CHANNELS, rules=Rules(width=28, centred=True))
    windows, again = windows_twice(cells, setup.acquisition, setup.background)
    moved = [(np.roll(again, by, axis=2)[:, :, 2:-2] == windows[:, :, 2:-2]).all(axis=(1, 2, 3)) for by in (-1, 0, 1)]
    assert np.any(moved, axis=0).mean() > 0.9


def test_background_is_that_of_the_cells(cells: list[NDArray[np.uint16]]) -> None:
    """As far as the lines in front of cells show it."""
    setup = choose_setup(cells, CHANNELS)
    cut = cut_cells(cells, setup.acquisition, setup.background)
    raw = restore_lines(setup.acquisition.pixels(cut.windows), setup.acquisition)
    known = restored_setup(raw, setup.acquisition)
    assert known.false_triggers.empty_lines == 0
    off = known.background.pixel(setup.acquisition).astype(int) - setup.background.pixel(setup.acquisition)
    assert np.abs(off).max() <= 8
