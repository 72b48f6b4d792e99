# SPDX-License-Identifier: Apache-2.0
"""The predicted cycles of a decision, by hand. tests/sim/simulate/test_fast.py goes by them beside the RTL."""

from pathlib import Path

from icsort.formats.latency import Latency
from tests.host.test_self_test import write_build


def test_the_later_of_network_and_features_decides(tmp_path: Path) -> None:
    """Three classes, 300 cycles of the network, lines of six beats; seven tests and six gates."""
    build = write_build(tmp_path / "build")
    gate = 2 * 3 + 23 + 16 + 13
    latency = Latency.of(build, 13)
    assert latency.gate == gate
    assert latency.decided(16, 70) == 16 + 300 + 40 + gate
    assert latency.decided(16, 300) == 300 + 6 + 40 + 80 + 16 + 13
    without = Latency.of(build.model_copy(update={"features": 0}), 13)
    assert without.decided(16, 300) == max(16 + 300 + 40 + gate, 300 + 6 + 40 + 16 + 13)
    assert without.decided(0, 400) == 400 + 6 + 40 + 16 + 13
