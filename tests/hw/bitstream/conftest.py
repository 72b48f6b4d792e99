# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import pytest

from icsort.formats.board import board_names, load_board
from icsort.formats.build import Build
from icsort.formats.project import Kind
from icsort.hw.bitstream.project import board_of, write_project
from icsort.hw.compile import compile_package

PLACED = [name for name in board_names() if load_board(name).place]


@pytest.fixture(scope="session")
def build_for(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    """The small network compiled for a board; read only."""
    builds: dict[str, Build] = {}

    def compiled(board: str) -> Build:
        if board not in builds:
            out = tmp_path_factory.mktemp("boards") / "build"
            builds[board] = compile_package(package, out, board=board, features=False, fill=0.3, rate=15_000.0)
        return builds[board]

    return compiled


@pytest.fixture
def project(request: pytest.FixtureRequest, build_for: Callable[[str], Build], tmp_path: Path) -> Path:
    """A project folder on the board that the test names, or of a board and a kind, its own to change."""
    name, kind = request.param if isinstance(request.param, tuple) else (request.param, Kind.BOARD)
    build = build_for(name)
    board, folder = board_of(build, None, kind)
    out = tmp_path / "project"
    out.mkdir()
    write_project(build, board, folder, out, kind)
    return out
