# SPDX-License-Identifier: Apache-2.0
"""Lines that the host stores in the board, through a lossy link, and the command that plays cells."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.background import Background
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from icsort.host.line_source import LineSource
from icsort.host.sorter import Sorter
from tests.host import fake_board
from tests.host.commands.test_board_commands import icsort
from tests.host.fake_board import FakeBoard


@pytest.fixture
def sorter(board: FakeBoard) -> Iterator[Sorter]:
    with Sorter.open(board.port) as sorter:
        yield sorter


def stored(board: FakeBoard, lines: int) -> np.ndarray:
    places = np.ndindex(lines, fake_board.LINE_WIDTH, board.channels)
    return np.reshape([board.stored[place] for place in places], (lines, fake_board.LINE_WIDTH, board.channels))


def test_lines_arrive_whole_whatever_is_repeated(board: FakeBoard, sorter: Sorter, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = random.integers(0, 65536, (2, fake_board.LINE_WIDTH, 2)).astype(np.uint16)
    sorter._timeout = 0.2
    with LineSource(sorter) as source:
        assert board.registers[fake_board.LINE_SOURCE] == 1
        # Never two on end: a request is given up after three.
        board.damage = [damage for lost in random.random(30) < 0.3 for damage in ("", "drop" if lost else "")]
        done: list[int] = []
        source.store(lines, done.append)
        source.play(45, repeats=3)
    assert done == [1, 2]
    assert (stored(board, 2) == lines).all()
    assert board.played[0] == (2, 45, 3)
    assert sorter.retries > 0
    assert board.registers[fake_board.LINE_SOURCE] == 0


def test_more_lines_than_it_holds_are_refused(sorter: Sorter) -> None:
    lines = np.zeros((fake_board.STORED_LINES + 1, fake_board.LINE_WIDTH, 2), np.uint16)
    with LineSource(sorter) as source, pytest.raises(IcsortError, match="holds 64 lines, not 65"):
        source.store(lines)


def test_play(board: FakeBoard, model: Manifest, package: Path, tmp_path: Path) -> None:
    image = np.arange(3 * fake_board.LINE_WIDTH * 2, dtype=np.uint16).reshape(3, -1, 2)
    background = Background(np.ones((1, fake_board.LINE_WIDTH, 2), np.uint16))
    cells = HeldOut((image,), np.asarray([1]), model.classes, model.channels, background)
    heldout.save(tmp_path / "cells.npz", cells)
    words = ("--cells", tmp_path / "cells.npz", "--model", package, "--port", board.port, "--repeats", 2, "--json")
    done = icsort("play", *map(str, words))
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["cell"], row["label"], row["class"]) for row in rows] == [(0, "S", "S")] * 2
    assert board.played == [(2 + 3 + 3, 45, 2)]
    assert (stored(board, 8)[2:5] == image).all()
    assert (stored(board, 8)[[0, 1, 5, 6, 7]] == 1).all()
    assert board.front
