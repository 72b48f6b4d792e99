# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest


@pytest.fixture
def throwaway_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of random parameters are never used again: keep them out of the cache."""
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path / "cache"))
