# SPDX-License-Identifier: Apache-2.0
"""Cells among background lines: what flows past is what training cut, and random arrivals overlap as light does."""

import numpy as np
import pytest
from scipy import stats

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition
from icsort.formats.heldout import HeldOut
from icsort.quant.acquire.choose import choose_setup
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.synthetic import demo_cells
from icsort.sim.simulate.lines import NO_CELL, Scene, dense_flow, flow


@pytest.fixture(scope="module")
def scene() -> tuple[HeldOut, Acquisition]:
    images, labels = demo_cells.generate(per_class=6, seed=5)
    setup = choose_setup(list(images), demo_cells.CHANNELS)
    cells = HeldOut(tuple(images), labels, demo_cells.CLASSES, demo_cells.CHANNELS, setup.background)
    return cells, setup.acquisition


def test_each_cell_flows_past_once_and_is_seen_as_training_cut_it(scene: tuple[HeldOut, Acquisition]) -> None:
    cells, acquisition = scene
    stream = flow(cells, acquisition, lines_per_cell=150)
    cut = cut_cells(cells.images, acquisition, cells.background)
    assert stream.of_cell.all()
    first = np.unique(stream.cells, return_index=True)[1]
    assert stream.cells[first].tolist() == cut.cells.tolist()
    assert (stream.pixels[first] == acquisition.pixels(cut.windows)).all()
    starts = acquisition.trigger.pre_lines + 150 * np.arange(len(cells.images))
    for start, image in zip(starts.tolist(), cells.images, strict=True):
        assert (stream.lines[start : start + len(image)] == image).all()
    assert stream.empty_lines == len(stream.lines) - sum(map(len, cells.images))
    assert stream.truth(cells)[first].tolist() == cells.labels[cut.cells].tolist()


def test_dense_events_follow_each_other_as_soon_as_they_may(scene: tuple[HeldOut, Acquisition]) -> None:
    cells, acquisition = scene
    stream = dense_flow(cells, acquisition)
    height = acquisition.input.height
    assert len(np.unique(stream.cells)) == len(cells.images)
    assert len(stream.lines) < len(cells.images) * (height + 8) + 8
    assert (stream.cells != NO_CELL).all()


def test_random_arrivals_are_exponential_and_their_cells_add_up(scene: tuple[HeldOut, Acquisition], seed: int) -> None:
    cells, acquisition = scene
    random = Scene(cells, acquisition, 50.0, "poisson", seed)
    which = np.random.default_rng(seed).integers(0, len(cells.images), 4000)
    starts, _ = random.arrive(which)
    waits = np.diff(starts)
    assert stats.kstest(waits + np.random.default_rng(seed).random(len(waits)), "expon", args=(0, 50)).pvalue > 1e-4
    few = slice(0, 60)
    table, index = random.stretch(which[few], starts[few], int(starts[59] + 100))
    lines = table[index]
    median = np.rint(np.median(cells.background.lines, axis=(0, 1))).astype(int)
    covered = np.zeros(len(lines), int)
    summed = np.zeros(lines.shape, int)
    for start, cell in zip(starts[few].tolist(), which[few].tolist(), strict=True):
        image = cells.images[cell]
        covered[start : start + len(image)] += 1
        summed[start : start + len(image)] += image.astype(int) - median
    assert covered.max() > 1
    alone, twice = covered == 1, covered == 2
    assert (lines[alone] == summed[alone] + median).all()
    assert (lines[twice] == np.clip(summed[twice] + median, 0, 65535)).all()
    between = {line.tobytes() for line in lines[covered == 0]}
    assert between <= {line.tobytes() for line in cells.background.lines}
    assert len(between) > 10


def test_arrivals_that_make_no_sense_are_refused(scene: tuple[HeldOut, Acquisition]) -> None:
    for rate, arrivals, words in ((0.0, "poisson", "needs a rate"), (10.0, "daily", "choose one of even, poisson")):
        with pytest.raises(IcsortError, match=words):
            flow(*scene, rate, arrivals)
