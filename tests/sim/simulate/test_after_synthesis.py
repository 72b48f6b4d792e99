# SPDX-License-Identifier: Apache-2.0
"""`icsort simulate --netlist`: what Yosys makes of a whole small sorter does what its RTL does."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.background import Background
from icsort.formats.build import Build
from icsort.formats.heldout import HeldOut
from icsort.hw.compile import compile_package
from icsort.hw.synthesis.netlist import FAMILIES
from icsort.sim.simulate.after_synthesis import differences
from icsort.sim.verilator.board import BoardOutcome
from tests.hw.networks import Network, make_package

CELLS = 20
NETWORK = Network(features=(2, 3))


def small_build(folder: Path, seed: int) -> Build:
    """The smallest that has all parts: a random network of two convolutions, folded for few cells a second."""
    package = make_package(folder / "package", NETWORK, seed)
    return compile_package(package, folder / "build", rate=5000.0, features=False)


def random_cells(build: Build, seed: int) -> HeldOut:
    """Bright noise between dark lines, which nothing but a trigger needs to like."""
    draw, shape = np.random.default_rng(seed), (NETWORK.height, NETWORK.width, NETWORK.channels)
    images = tuple(draw.integers(110, 400, shape, np.uint16) for _ in range(CELLS))
    dark = Background(draw.integers(40, 60, (64, *shape[1:]), np.uint16))
    manifest = build.manifest
    return HeldOut(images, np.zeros(CELLS, np.int64), manifest.classes, manifest.channels, dark)


@pytest.mark.full
@pytest.mark.timeout(5400)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_netlist_makes_every_record_that_the_rtl_makes(family: str, tmp_path: Path, seed: int) -> None:
    build = small_build(tmp_path, seed)
    heldout.save(tmp_path / "cells.npz", random_cells(build, seed))
    words = ("simulate", build.folder, "--cells", tmp_path / "cells.npz", "--rate", 100_000, "--netlist", family)
    done = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["records"] == found["records_equal"] >= found["events"] == CELLS
    assert found["link_equal"]
    assert found["pulses_equal"]
    assert sum(found["cells_mapped"].values()) > 10_000


def outcome(*records: bytes) -> BoardOutcome:
    return BoardOutcome({}, list(records), b"")


def test_records_that_differ_or_are_missing_are_named() -> None:
    rtl = outcome(b"one", b"two", b"three")
    assert differences(rtl, rtl) == []
    assert differences(outcome(b"one", b"2", b"three"), rtl) == [1]
    assert differences(outcome(b"one", b"two"), rtl) == [2]
    assert differences(outcome(b"one", b"two", b"three", b"four"), rtl) == [3]


@pytest.mark.parametrize("words", [["--net-only"], ["--fast", "--cells", "x.npz"], []])
def test_a_netlist_is_of_the_whole_sorter(words: list[str]) -> None:
    with pytest.raises(IcsortError, match="--netlist is of the whole sorter"):
        CliRunner().invoke(app, ["simulate", "build", "--netlist", "ecp5", *words], catch_exceptions=False)
