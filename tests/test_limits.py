# SPDX-License-Identifier: Apache-2.0
"""How long a test may take."""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = """
import time

import pytest


@pytest.mark.timeout({limit})
def test_slow():
    time.sleep(2)
"""


@pytest.mark.parametrize(("limit", "ends"), [(0.5, False), (60, True)])
def test_a_long_test_has_the_time_that_it_asks_for(limit: float, *, ends: bool, tmp_path: Path) -> None:
    """faulthandler's limit ends what hangs, and not what said that it takes longer."""
    (tmp_path / "test_slow.py").write_text(SLOW.format(limit=limit))
    options = ["-p", "tests.conftest", "-p", "no:timeout", "-o", "faulthandler_timeout=1"]
    options += ["-o", "faulthandler_exit_on_timeout=true", "-q", "-n0", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == ends, done.stdout + done.stderr
    assert ("1 passed" in done.stdout) == ends
