# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from icsort.formats.build import Build
from icsort.hw.compile import compile_package
from tests.hw.networks import Network, make_package


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package of a small random network; read only."""
    return make_package(tmp_path_factory.mktemp("packages") / "package", Network(), 1)


@pytest.fixture(scope="session")
def build(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """That package compiled with the chosen folding; read only."""
    return compile_package(package, tmp_path_factory.mktemp("builds") / "build")
