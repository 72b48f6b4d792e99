# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from icsort.sim.verilator import verilate


@pytest.fixture
def throwaway_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of random parameters are never used again: keep them out of the cache, but for Verilator's own objects."""
    monkeypatch.setenv("CCACHE_DIR", verilate.environment()["CCACHE_DIR"])
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path / "cache"))
