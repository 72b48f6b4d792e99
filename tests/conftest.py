# SPDX-License-Identifier: Apache-2.0
import faulthandler
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import functional_coverage

# A busy machine is no failure; speed is measured elsewhere.
settings.register_profile("icsort", deadline=None)
settings.load_profile("icsort")


def pytest_report_header() -> str:
    return f"random seed: {SEED} (repeat a run with ICSORT_TEST_SEED={SEED})"


def _seed() -> int:
    """`ICSORT_TEST_SEED`; else one a commit, by its files: a change is judged by what it brings, and always alike."""
    if given := os.environ.get("ICSORT_TEST_SEED"):
        return int(given)
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    drawn = random.Random(tree.stdout.strip()) if tree.returncode == 0 else random.SystemRandom()
    return drawn.randrange(2**31)


SEED = _seed()
os.environ["ICSORT_TEST_SEED"] = str(SEED)  # pytest-xdist's workers inherit it


def pytest_configure(config: pytest.Config) -> None:
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = SEED


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`quick(n)`: `make test` takes the first n of a test's parameters, `make test-full` all of them."""
    taken: Counter[tuple[Path, str]] = Counter()
    for item in items:
        if marker := item.get_closest_marker("quick"):
            test = item.path, item.name.partition("[")[0]
            taken[test] += 1
            if taken[test] > marker.args[0]:
                item.add_marker(pytest.mark.full)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that may take longer than the others (`timeout`) is not ended by faulthandler's limit, which is theirs."""
    marker = item.get_closest_marker("timeout")
    if marker and marker.args[0] > float(item.config.getini("faulthandler_timeout")):
        faulthandler.cancel_dump_traceback_later()


functional_coverage.begin()  # in this process's environment, which the workers inherit too


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if line := functional_coverage.report(config.rootpath / "out" / "coverage" / "functional.txt"):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two workers on this machine; who uses it is of the xdist group `ray`."""
    pytest.importorskip("ray")
    from tests.ray_cluster import started_ray

    yield from started_ray()


@pytest.fixture
def seed() -> int:
    """The seed of this run, printed in pytest's header."""
    return SEED
