# SPDX-License-Identifier: Apache-2.0
import os
import random

import pytest
from hypothesis import settings

from tests import functional_coverage

# A busy machine is no failure; speed is measured elsewhere.
settings.register_profile("icsort", deadline=None)
settings.load_profile("icsort")


def pytest_report_header() -> str:
    return f"random seed: {SEED} (repeat a run with ICSORT_TEST_SEED={SEED})"


SEED = int(os.environ.get("ICSORT_TEST_SEED", random.SystemRandom().randrange(2**31)))
os.environ["ICSORT_TEST_SEED"] = str(SEED)  # pytest-xdist's workers inherit it


functional_coverage.begin()  # in this process's environment, which the workers inherit too


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if line := functional_coverage.report(config.rootpath / "out" / "coverage" / "functional.txt"):
        terminalreporter.write_line(line)


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed in pytest's header."""
    return SEED
