# SPDX-License-Identifier: Apache-2.0
"""A project folder: a build, a board, and all that the board's tools read, in one place."""

import json
from pathlib import Path

from icsort.errors import IcsortError
from icsort.formats.board import BOARD_FILE, BOARDS, README_FILE, TOP_FILE, Board, Place, board_folder, load_board
from icsort.formats.build import BUILD_FILE, FILE_LIST, Build
from icsort.formats.project import PROJECT_FILE, Kind, Project
from icsort.hw.bitstream import ip, pins
from icsort.hw.bitstream.clock import clock_module, oscillator_module
from icsort.hw.folding.resources import family_of

SHARED = BOARDS / "rtl"  # what boards share
LIGHTS = "board_lights.sv"
SORTER = {Kind.BOARD: ("board_sorter.sv", LIGHTS), Kind.PROCESSOR: ("board_io.v", LIGHTS)}  # of it, around the sorter
BUILD_SCRIPTS = {Kind.BOARD: "build.tcl", Kind.PROCESSOR: "processor.tcl", Kind.IP: "ip.tcl"}  # for Vivado, of boards/
PROGRAM_SCRIPT = "program.tcl"
CROSSINGS = Path(__file__).parent.parent / "rtl" / "cdc"  # a file of constraints for each module that needs some
LINK = "uart_"  # begins the names of the ports that a processor has no use for
CONSTRAINTS = {"nextpnr-ecp5": "board.lpf", "vivado": "board.xdc"}
FAMILIES = {"nextpnr-ecp5": ("ecp5",), "vivado": ("xc7", "xcup")}


def board_of(build: Build, name: str | None, kind: Kind = Kind.BOARD) -> tuple[Board, Path]:
    """The board that a build is placed on, and its folder. name: None for the one it was compiled for.

    Raises IcsortError where that is another one than it was compiled for, and where the board lacks something that
    this kind of project needs.
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
    if kind is Kind.IP:
        if family_of(board.part) not in FAMILIES["vivado"]:
            raise IcsortError(f"{build.folder}: an IP is for Vivado, which knows no part {board.part}")
        return board, folder
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
    if kind is Kind.PROCESSOR and board.place.board_part is None:
        raise IcsortError(
            f"{folder / BOARD_FILE}: place has no `board_part`, Vivado's files of the board, so its processor is not "
            "known; docs/boards.md says what a board needs"
        )
    return board, folder


def write_project(build: Build, board: Board, folder: Path, out: Path, kind: Kind = Kind.BOARD) -> Project:
    """Write a build on a board into the empty folder `out`. folder: of the board.

    Every *.sv and *.v of the board's folder is part of the design, one called as ours in its place; every *.lpf or
    *.xdc there is added to the constraints.
    Raises IcsortError where pins and ports do not fit, or no PLL makes the clock.
    """
    sources, files = dict[str, bytes](), dict[str, bytes]()
    if kind is Kind.BOARD:
        sources |= {path.relative_to(build.folder).as_posix(): path.read_bytes() for path in build.sources()}
        files |= {path.relative_to(build.folder).as_posix(): path.read_bytes() for path in build.memories_of_rtl()}
    else:
        for name, contents in ip.ip_files(build).items():
            (sources if name.endswith((".sv", ".v")) else files)[f"ip/src/{name}"] = contents
        files[BUILD_SCRIPTS[Kind.IP]] = (BOARDS / BUILD_SCRIPTS[Kind.IP]).read_bytes()
    place = board.place
    beside = place if kind is Kind.PROCESSOR else None
    if kind is not Kind.IP:
        assert place is not None
        around, constraints = _on_board(board, place, folder, kind)
        sources |= around
        files[CONSTRAINTS[place.flow]] = constraints
        files |= {name: (folder / name).read_bytes() for name in (BOARD_FILE, README_FILE)}
        if place.flow == "vivado":
            files |= {name: (BOARDS / name).read_bytes() for name in (BUILD_SCRIPTS[kind], PROGRAM_SCRIPT)}
        if place.flow == "vivado" and kind is Kind.BOARD:
            files |= {f"cdc/{path.name}": path.read_bytes() for path in sorted(CROSSINGS.glob("*.xdc"))}
    files[FILE_LIST] = "".join(f"{name}\n" for name in sources).encode()
    files[BUILD_FILE] = (build.folder / BUILD_FILE).read_bytes()
    for name, contents in (sources | files).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(contents)
    project = Project(
        format="icsort-project",
        version=1,
        build_id=build.build_id,
        model_id=build.model_id,
        kind=kind,
        board=board.name,
        part=board.part,
        flow="vivado" if place is None or kind is Kind.IP else place.flow,
        clock_mhz=board.clock_mhz,
        top={Kind.BOARD: pins.TOP, Kind.PROCESSOR: "system_wrapper", Kind.IP: ip.TOP}[kind],
        loader=None if place is None else place.loader,
        oscillator=None if beside is None else beside.oscillator,
        board_part=None if beside is None else beside.board_part,
    )
    save(project, out)
    return project


def _on_board(board: Board, place: Place, folder: Path, kind: Kind) -> tuple[dict[str, bytes], bytes]:
    """The sources around the sorter, by their place in the project, and the constraints."""
    found = pins.ports((folder / TOP_FILE).read_text(encoding="utf-8"))
    pins.check(place, found)
    family = family_of(board.part)
    clock = clock_module(family, place.oscillator_mhz, board.clock_mhz)
    own = [*sorted(folder.glob("*.sv")), *sorted(folder.glob("*.v"))]
    sources = {"board_clock.sv": clock.encode()}
    sources |= {name: (SHARED / name).read_bytes() for name in SORTER[kind]}
    if kind is Kind.PROCESSOR:
        sources["board_oscillator.v"] = oscillator_module(place.oscillator, board.clock_mhz).encode()
        own = [path for path in own if path.name not in (TOP_FILE, SORTER[Kind.BOARD][0])]
        used = {name: port for name, port in place.pins.items() if not name.startswith(LINK)}
        place = place.model_copy(update={"pins": used})
    sources |= {path.name: path.read_bytes() for path in own}
    constraints = Path(CONSTRAINTS[place.flow])
    made = (pins.lpf if constraints.suffix == ".lpf" else pins.xdc)(place, found).encode()
    added = [path.read_bytes() for path in sorted(folder.glob(f"*{constraints.suffix}"))]
    return {f"rtl/board/{name}": contents for name, contents in sources.items()}, b"".join([made, *added])


def save(project: Project, out: Path) -> None:
    """Write project.json."""
    (out / PROJECT_FILE).write_text(json.dumps(project.to_json(), indent=2) + "\n", encoding="utf-8")
