# SPDX-License-Identifier: Apache-2.0
import os
import random

import pytest


def pytest_report_header() -> str:
    return f"random seed: {SEED} (repeat a run with ICSORT_TEST_SEED={SEED})"


SEED = int(os.environ.get("ICSORT_TEST_SEED", random.SystemRandom().randrange(2**31)))
os.environ["ICSORT_TEST_SEED"] = str(SEED)  # pytest-xdist's workers inherit it


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed in pytest's header."""
    return SEED
