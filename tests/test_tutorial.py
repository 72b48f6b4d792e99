# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/tutorial.md works, in the order in which it stands there, on the files that stand there."""

import base64
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from icsort.cli.root import COMMANDS
from icsort.formats.journal import read_journal

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|toml)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
BEHIND = " &"


def test_it_names_commands_that_there_are() -> None:
    assert len(LINES) > 10
    for line in LINES:
        program, command, *_ = shlex.split(line.removesuffix(BEHIND))
        assert program == "icsort"
        assert command in COMMANDS


class Desk:
    """Where the page's reader sits: the folder, and the board in its other terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done = 0  # blocks
        self.board: subprocess.Popen[bytes] | None = None
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
        }

    def run(self, line: str) -> None:
        words = shlex.split(line.removesuffix(BEHIND))
        if not line.endswith(BEHIND):
            done = subprocess.run(
                words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            return
        self.board = subprocess.Popen(words, cwd=self.folder, env=self.environment)
        limit = time.monotonic() + 500
        while not (self.folder / "out" / "board").exists():
            assert time.monotonic() < limit, "the board does not come up"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    yield desk
    if desk.board is not None and desk.board.poll() is None:
        desk.board.kill()
        desk.board.wait()


@pytest.mark.full
@pytest.mark.xdist_group("system")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(desk: Desk, number: int) -> None:
    """Each behind the one before: the self-test alone takes minutes, as the board is simulated."""
    if desk.done < number:
        pytest.skip("an earlier one has failed")
    kind, block = BLOCKS[number]
    if kind == "toml":
        (desk.folder / block.splitlines()[0].removeprefix("# ")).write_text(block)
    else:
        for line in block.splitlines():
            desk.run(line)
    desk.done = number + 1


@pytest.mark.full
@pytest.mark.xdist_group("system")
def test_what_is_there_then(desk: Desk) -> None:
    """ICSORT_PICTURES: folder for the page's picture."""
    if desk.done < len(BLOCKS):
        pytest.skip("a block has failed")
    assert desk.board is not None
    desk.board.send_signal(signal.SIGINT)
    assert desk.board.wait(timeout=60) == 0
    state = read_journal(desk.folder / "out" / "first")
    assert state.exact
    assert state.counts["ACCEPTED"] >= 200
    assert state.sorted[0] > 5
    assert state.runs[-1].ended is not None
    assert state.runs[-1].ended.lost == 0
    report = (desk.folder / "out" / "first" / "report" / "report.html").read_text()
    picture = re.search(r'alt="Test whole" src="data:image/png;base64,([A-Za-z0-9+/=]+)', report)
    assert picture is not None
    if folder := os.environ.get("ICSORT_PICTURES"):
        (REPOSITORY / folder / "tutorial.png").write_bytes(base64.b64decode(picture[1]))
