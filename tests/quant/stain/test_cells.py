# SPDX-License-Identifier: Apache-2.0
"""What is measured in a stain, and what cannot be learned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import read_folder
from icsort.quant.stain.cells import MIN_CELLS, UNIT, stain_totals, stained
from tests.quant.cells.files import real
from tests.quant.stain.conftest import INPUTS, STAIN


def test_totals_are_what_was_painted(cells: Dataset, seed: int) -> None:
    """Light of a known sum on any level of background, which a speck at the edge does not move."""
    random = np.random.default_rng(seed)
    (index,) = cells.channel_order([STAIN])
    images, painted = [], []
    for image in cells.images:
        level, light = int(random.integers(20, 500)), np.zeros(image.shape[:2], np.int64)
        light[10:30, 12:28] = random.integers(0, 900, (20, 16))
        again = image.copy()
        again[..., index] = level + light
        again[0, :5, index] += 1000
        images.append(again)
        painted.append(light.sum() + 5000)
    assert (stain_totals(replace(cells, images=tuple(images)), STAIN) == painted).all()


def test_the_network_gets_the_other_channels_and_strata_of_the_stain(cells: Dataset) -> None:
    found = stained(cells, INPUTS, STAIN)
    assert found.channels == INPUTS
    assert found.outputs == (STAIN,)
    assert found.measured is not None
    assert (found.measured.names, found.measured.units) == ((STAIN,), (UNIT,))
    assert (found.identities == cells.identities).all()  # of all channels: a cell is known again
    order = cells.channel_order(INPUTS)
    assert all((mine == whole[..., order]).all() for mine, whole in zip(found.images, cells.images, strict=True))
    totals = found.measured.values[:, 0]
    assert (found.labels == (rankdata(totals, "ordinal") - 1) * 5 // len(totals)).all()
    part = found.subset([4, 2])
    assert part.measured is not None
    assert part.measured.values[:, 0].tolist() == totals[[4, 2]].tolist()


def test_another_stain_is_another_data_set(cells: Dataset) -> None:
    found = stained(cells, INPUTS, STAIN)
    assert found.measured is not None
    moved = replace(found, measured=replace(found.measured, values=found.measured.values + 1))
    assert moved.sha256() != found.sha256()


@pytest.mark.parametrize(
    ("inputs", "stain", "said"),
    [
        (("Brightfield", "PI"), STAIN, "no channel PI"),
        (INPUTS, "PI", "no channel PI"),
        ((*INPUTS, STAIN), STAIN, "is in --from as well"),
        (("Darkfield", "Darkfield"), STAIN, "name each channel once"),
        ((), STAIN, "name each channel once"),
    ],
)
def test_channels_that_do_not_fit(cells: Dataset, inputs: tuple[str, ...], stain: str, said: str) -> None:
    with pytest.raises(IcsortError, match=said) as caught:
        stained(cells, inputs, stain)
    assert "\n" not in str(caught.value)


def test_a_stain_that_is_the_same_everywhere(cells: Dataset) -> None:
    (index,) = cells.channel_order([STAIN])
    flat = tuple(np.where(np.arange(image.shape[2]) == index, np.uint16(77), image) for image in cells.images)
    with pytest.raises(IcsortError, match="the same total in most cells"):
        stained(replace(cells, images=flat), INPUTS, STAIN)


def test_too_few_cells(cells: Dataset) -> None:
    with pytest.raises(IcsortError, match=f"at least {MIN_CELLS}"):
        stained(cells.subset(range(MIN_CELLS - 1)), INPUTS, STAIN)


def test_cells_that_are_to_divide_have_twice_the_dna() -> None:
    """Totals of PI against the published phases of the Jurkat cells, which were told apart by their DNA content."""
    cells = read_folder(real("jurkat_cell_cycle"))
    totals = stain_totals(cells, "PI")
    first, between, doubled = (
        np.median(totals[cells.labels == cells.classes.index(name)]) for name in ("G1", "S", "G2")
    )
    assert first < between < doubled
    assert 1.7 < doubled / first < 2.1
