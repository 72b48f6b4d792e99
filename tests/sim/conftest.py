# SPDX-License-Identifier: Apache-2.0
"""One small model for every test of the whole system: generated cells, a few epochs, compiled once a session.

Every test that compiles a board is of one xdist group, "system": boards differ in little of their C++, so that all but
the first are compiled from ccache, but not where two workers compile at once.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.formats.build import Build, load_build
from icsort.formats.heldout import HeldOut
from icsort.sim.simulate.lines import load_cells


@dataclass(frozen=True)
class System:
    """Folders of one trained, exported and compiled model, and its held-out cells."""

    run: Path
    package: Path
    build: Build
    cells: HeldOut


def icsort(*words: object) -> str:
    """Call the command in this process; returns its standard output, fails where it fails."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    folder = tmp_path_factory.mktemp("system")
    run, package, build = folder / "run", folder / "package", folder / "build"
    icsort("train", "--generated", "--epochs", 4, "--out", run)
    icsort("export", run, "--out", package)
    icsort("compile", package, "--out", build)
    loaded = load_build(build)
    return System(run, package, loaded, load_cells(run / "heldout.npz", loaded.manifest))
