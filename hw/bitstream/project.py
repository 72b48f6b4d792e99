# SPDX-License-Identifier: Apache-2.0
"""A project folder: a build, a board, and all that the board's tools read, in one place."""

import json
from pathlib import Path

from icsort.errors import IcsortError
from icsort.formats.board import BOARD_FILE, BOARDS, README_FILE, TOP_FILE, Board, Place, board_folder, load_board
from icsort.formats.build import BUILD_FILE, FILE_LIST, Build
from icsort.formats.project import PROJECT_FILE, Project
from icsort.hw.bitstream import pins
from icsort.hw.bitstream.clock import clock_module
from icsort.hw.folding.resources import family_of

SORTER = BOARDS / "rtl" / "board_sorter.sv"
BUILD_SCRIPT, PROGRAM_SCRIPT = "build.tcl", "program.tcl"  # for Vivado, of boards/
CONSTRAINTS = {"nextpnr-ecp5": "board.lpf", "vivado": "board.xdc"}
FAMILIES = {"nextpnr-ecp5": ("ecp5",), "vivado": ("xc7", "xcup")}


def board_of(build: Build, name: str | None) -> tuple[Board, Path]:
    """The board that a build is placed on, and its folder. name: None for the one it was compiled for.

    Raises IcsortError where that is another one than it was compiled for, and where the board lacks something.
    """
    name = name or build.board
    board, folder = load_board(name), board_folder(name)
    for what, compiled, wanted in (
        ("board", build.board, board.name), ("part", build.part, board.part),
        ("clock_mhz", build.clock_mhz, board.clock_mhz), ("baud", build.baud, board.baud),
    ):  # fmt: skip
        if compiled != wanted:
            raise IcsortError(
                f"{build.folder}: compiled for {what} {compiled}, and the board's is {wanted}; "
                f"compile it for this one: icsort compile PACKAGE --out BUILD --board {name}"
            )
    if board.place is None:
        raise IcsortError(
            f"{folder / BOARD_FILE}: has no `place` (flow, oscillator, pins), so no bitstream can be made for it; "
            "docs/boards.md says what it needs"
        )
    for file, what in ((TOP_FILE, "the top level, module board_top"), (README_FILE, "how it is wired")):
        if not (folder / file).is_file():
            raise IcsortError(f"{folder}: {file} is missing: {what}; docs/boards.md says what a board needs")
    if family_of(board.part) not in FAMILIES[board.place.flow]:
        raise IcsortError(f"{folder / BOARD_FILE}: flow {board.place.flow!r} makes nothing for part {board.part}")
    return board, folder


def write_project(build: Build, board: Board, folder: Path, out: Path) -> Project:
    """Write a build on a board into the empty folder `out`. folder: of the board.

    Every *.sv of the board's folder is part of the design, one called as ours in its place; every *.lpf or *.xdc there
    is added to the constraints.
    Raises IcsortError where pins and ports do not fit, or no PLL makes the clock.
    """
    place = board.place
    assert place is not None
    found = pins.ports((folder / TOP_FILE).read_text(encoding="utf-8"))
    pins.check(place, found)
    sources = {path.relative_to(build.folder).as_posix(): path.read_bytes() for path in build.sources()}
    clock = clock_module(family_of(board.part), place.oscillator_mhz, board.clock_mhz)
    sources |= {"rtl/board/board_clock.sv": clock.encode(), f"rtl/board/{SORTER.name}": SORTER.read_bytes()}
    sources |= {f"rtl/board/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.sv"))}
    files = dict(sources)
    files[FILE_LIST] = "".join(f"{name}\n" for name in sources).encode()
    files |= {path.relative_to(build.folder).as_posix(): path.read_bytes() for path in build.memories()}
    files[BUILD_FILE] = (build.folder / BUILD_FILE).read_bytes()
    files |= {name: (folder / name).read_bytes() for name in (BOARD_FILE, README_FILE)}
    files[CONSTRAINTS[place.flow]] = _constraints(place, found, folder)
    if place.flow == "vivado":
        files |= {name: (BOARDS / name).read_bytes() for name in (BUILD_SCRIPT, PROGRAM_SCRIPT)}
    for name, contents in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(contents)
    project = Project(
        format="icsort-project",
        version=1,
        build_id=build.build_id,
        model_id=build.model_id,
        board=board.name,
        part=board.part,
        flow=place.flow,
        clock_mhz=board.clock_mhz,
        top=pins.TOP,
        loader=place.loader,
    )
    save(project, out)
    return project


def save(project: Project, out: Path) -> None:
    """Write project.json."""
    (out / PROJECT_FILE).write_text(json.dumps(project.to_json(), indent=2) + "\n", encoding="utf-8")


def _constraints(place: Place, found: dict[str, pins.Port], folder: Path) -> bytes:
    file = Path(CONSTRAINTS[place.flow])
    made = (pins.lpf if file.suffix == ".lpf" else pins.xdc)(place, found).encode()
    return b"".join([made, *(path.read_bytes() for path in sorted(folder.glob(f"*{file.suffix}")))])
