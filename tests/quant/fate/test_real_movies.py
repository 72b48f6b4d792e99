# SPDX-License-Identifier: Apache-2.0
"""The simulated movie of the Cell Tracking Challenge, as docs/fate.md shows it."""

import pytest

from icsort.quant.fate.baselines import AREA
from icsort.quant.fate.fate import NETWORK, fate
from tests.quant.tracking import track_benchmark

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not track_benchmark.folder("simulated").is_dir(), reason="no real movies: set ICSORT_DATA"),
]


def test_divisions_are_foreseen_five_frames_ahead() -> None:
    movie = track_benchmark.folder("simulated")
    figures, _ = fate(movie / "01", movie / "01_GT" / "TRA")
    at_five = {each["name"]: each["horizons"][4] for each in figures["deciders"]}
    unborn = {each["name"]: each["unborn"][4]["auc"] for each in figures["deciders"]}
    assert at_five[NETWORK]["auc"] >= 0.9
    assert at_five[NETWORK]["low"] >= 0.8
    assert unborn[NETWORK] > unborn[AREA] + 0.1
    assert figures["time"]["error"]["known"] < figures["time"]["error_of_one_time"]["known"]
