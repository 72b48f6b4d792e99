# SPDX-License-Identifier: Apache-2.0
"""The movies of the Cell Tracking Challenge, by the cost that comes along, which neither of them taught."""

import pytest

from icsort.quant.tracking.assign import link
from icsort.quant.tracking.cost import cost_named
from icsort.quant.tracking.lineage import thinned
from icsort.quant.tracking.score import score
from tests.quant.tracking import track_benchmark

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not track_benchmark.folder("simulated").is_dir(), reason="no real movies: set ICSORT_DATA"),
]


@pytest.mark.parametrize(("step", "least"), [(1, 0.998), (2, 0.996), (4, 0.993)])
def test_the_simulated_movie_of_the_challenge(step: int, least: float) -> None:
    cells, parent, masks = track_benchmark.truth("simulated")
    known = (*thinned(cells, parent, step), masks[::step])
    values = score(known, (known[0], link(known[0], cost_named("simulated"), 0), known[2]))
    assert values["LNK"] > least, values
    assert values["division_f1"] >= 0.97, values


@pytest.mark.parametrize("name", track_benchmark.MOVIES)
def test_from_images_alone(name: str) -> None:
    (values,) = track_benchmark.by_images([name])
    assert min(values["DET"], values["TRA"]) >= 0.96, values
