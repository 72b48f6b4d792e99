# SPDX-License-Identifier: Apache-2.0
"""`icsort build`: every board's project is complete and elaborates; what a board lacks is told by name."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer import Typer
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.formats.board import BOARDS
from icsort.formats.build import load_build
from icsort.formats.project import load_project
from icsort.hw.bitstream.project import CONSTRAINTS, board_of
from icsort.hw.commands.build import build_
from icsort.hw.compile import compile_package
from icsort.sim.verilator import verilate
from tests.hw.bitstream.conftest import PLACED

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "pins.json").read_text())


def command(*words: object) -> Result:
    app = Typer()
    app.command()(build_)
    return CliRunner().invoke(app, [str(word) for word in words])


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Elaborate what a board puts around the sorter: the sorter's ports and the vendors' cells, with nothing inside."""
    sorter = (project / "rtl/icsort_build.sv").read_text()
    ports, _, _ = sorter.partition("\n);\n")
    (project / "ports.sv").write_text(f"/* verilator lint_off DECLFILENAME */\n{ports}\n);\nendmodule\n")
    sources = [
        "ports.sv",
        HERE / "cells.sv",
        "rtl/cdc/synchronizer.sv",
        "rtl/cdc/reset_synchronizer.sv",
        *sorted(project.glob("rtl/board/*.sv")),
    ]
    words = ["--lint-only", "--quiet", "-Wall", "-Wno-fatal", "--top-module", "board_top", *sources]
    return subprocess.run(
        ["verilator", *map(str, words)], cwd=project, capture_output=True, text=True, check=False,
        env=verilate.environment(),
    )  # fmt: skip


def test_boards_that_are_placed() -> None:
    assert set(PLACED) == {"pynq_z2", "rfsoc4x2", "ulx3s", "zcu104"}


@pytest.mark.parametrize("project", PLACED, indirect=True)
def test_a_project_is_whole(project: Path) -> None:
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    listed = (project / "files.f").read_text().split()
    made = load_project(project)
    assert {name for name in files if name.endswith(".sv")} == set(listed)
    assert {"board.json", "build.json", "README.md", CONSTRAINTS[made.flow]} <= files
    assert ("build.tcl" in files) == (made.flow == "vivado")
    read = re.findall(r'MEM_DIR, "([\w.]+)"', (project / "rtl/icsort_net.sv").read_text())
    assert read
    assert {f"mem/{name}" for name in read} <= files
    build = json.loads((project / "build.json").read_text())
    assert (made.build_id, made.board, made.part) == (build["build_id"], build["board"], build["part"])
    done = lint(project)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("%Warning") and "/board/" in line] == []


@pytest.mark.parametrize("project", PLACED[:1], indirect=True)
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("board_top.sv", ".lights", ".lamps (lights)", "lamps"),
        ("board_top.sv", "board_sorter u_sorter", "board_sorters u_sorter", "board_sorters"),
        ("board_sorter.sv", ".mon_fault", ".mon_faults", "mon_faults"),
        ("board_clock.sv", "CLKIN1_PERIOD", "CLKIN_PERIOD", "CLKIN_PERIOD"),
        ("board_clock.sv", ".CLKFBIN", ".CLKFB_IN", "CLKFB_IN"),
    ],
)
def test_names_that_are_not_there_stop_elaboration(project: Path, file: str, old: str, new: str, message: str) -> None:
    path = project / "rtl/board" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    done = lint(project)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("board", PLACED)
def test_a_boards_readme_says_where_each_pin_is(board: str) -> None:
    """board.json, README.md and the board's public constraint files say the same."""
    place = json.loads((BOARDS / board / "board.json").read_text())["place"]
    readme = (BOARDS / board / "README.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \|", readme, re.MULTILINE)
    pins = [
        (name if len(port["balls"]) == 1 else f"{name}[{bit}]", ball)
        for name, port in place["pins"].items()
        for bit, ball in enumerate(port["balls"])
    ]
    assert [(port, ball) for port, ball, _ in rows] == pins
    assert [where for _, _, where in rows] == [FACTS[board]["pins"][ball] for _, ball in pins]
    (oscillator,) = (where for port, _, where in rows if port == place["oscillator"])
    assert oscillator.startswith(f"{place['oscillator_mhz']:g} MHz oscillator")


def own_board(folder: Path, **changes: Any) -> Path:
    """A copy of the ULX3S's folder with changes of its board.json; None leaves a key out."""
    shutil.copytree(BOARDS / "ulx3s", folder)
    board = json.loads((folder / "board.json").read_text()) | changes
    kept = {key: value for key, value in board.items() if value is not None}
    (folder / "board.json").write_text(json.dumps(kept))
    return folder


def test_a_board_of_ones_own(package: Path, tmp_path: Path) -> None:
    """A folder anywhere, with a source and constraints of its own."""
    mine = own_board(tmp_path / "mine", name="mine", clock_mhz=50.0, baud=2_500_000)
    (mine / "own_source.sv").write_text("module own_source; endmodule\n")
    (mine / "board_sorter.sv").write_text("// with lines of its own\n")
    (mine / "more.lpf").write_text("SYSCONFIG MCCLK_FREQ=62;\n")
    build = compile_package(package, tmp_path / "build", board=str(mine), features=False, fill=0.3)
    made = command(build.folder, "--board", mine, "--out", tmp_path / "project", "--no-run")
    assert made.exit_code == 0, made.output
    project = tmp_path / "project"
    assert load_project(project).routed is None
    assert "rtl/board/own_source.sv" in (project / "files.f").read_text().split()
    assert (project / "rtl/board/board_sorter.sv").read_text() == "// with lines of its own\n"
    assert (project / "board.lpf").read_text().endswith("SYSCONFIG MCCLK_FREQ=62;\n")
    assert "50 MHz from the board's 25 MHz" in (project / "rtl/board/board_clock.sv").read_text()
    again = command(build.folder, "--board", mine, "--out", project, "--no-run")
    assert isinstance(again.exception, IcsortError)
    assert "replace it with --force" in str(again.exception)
    assert command(build.folder, "--board", mine, "--out", project, "--no-run", "--force").exit_code == 0
    with pytest.raises(IcsortError, match=r"there is no board 'mine'"):  # which the build names, and nobody finds
        board_of(build, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"part": "LFE5U-45F-6BG381C"}, "compiled for part LFE5U-85F-6BG381C, and the board's is LFE5U-45F-6BG381C"),
        ({"clock_mhz": 75.0}, "compiled for clock_mhz 67.5, and the board's is 75.0"),
        ({"baud": 1_000_000}, "compiled for baud 1500000, and the board's is 1000000"),
        ({"name": "other"}, "compiled for board ulx3s, and the board's is other; .*--board"),
        ({"place": None}, "board.json: has no `place`"),
    ],
)
def test_boards_that_do_not_fit(changes: dict[str, Any], message: str, build_for: Any, tmp_path: Path) -> None:
    mine = own_board(tmp_path / "mine", **changes)
    with pytest.raises(IcsortError, match=message):
        board_of(build_for("ulx3s"), str(mine))


@pytest.mark.parametrize("file", ["board_top.sv", "README.md"])
def test_a_file_that_a_board_lacks_is_named(file: str, build_for: Any, tmp_path: Path) -> None:
    mine = own_board(tmp_path / "mine")
    (mine / file).unlink()
    with pytest.raises(IcsortError, match=rf"{re.escape(str(mine))}: {file} is missing"):
        board_of(build_for("ulx3s"), str(mine))


def test_a_flow_that_knows_no_such_part(build_for: Any, tmp_path: Path) -> None:
    place = json.loads((BOARDS / "ulx3s" / "board.json").read_text())["place"]
    mine = own_board(tmp_path / "mine", place=place | {"flow": "vivado"})
    with pytest.raises(IcsortError, match="flow 'vivado' makes nothing for part LFE5U-85F-6BG381C"):
        board_of(build_for("ulx3s"), str(mine))


def test_a_virtual_board_has_no_pins(build: Any) -> None:
    with pytest.raises(IcsortError, match=r"virtual/board\.json: has no `place`"):
        board_of(load_build(build.folder), None)
