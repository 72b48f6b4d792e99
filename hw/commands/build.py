# SPDX-License-Identifier: Apache-2.0
"""`icsort build`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import BoardOfBuild, BuildArgument, Force, Json, ListBoards, Seed, out
from icsort.formats.build import load_build
from icsort.formats.project import BITSTREAM_FILE, PROJECT_FILE, Kind, Project
from icsort.hw.bitstream import ecp5, vivado
from icsort.hw.bitstream.project import BUILD_SCRIPTS, board_of, save, write_project
from icsort.hw.synthesis import nextpnr
from icsort.output import check_target, result_folder

IP_FILE = "ip/component.xml"


def build_(
    build: BuildArgument,
    out: Annotated[Path, out("Project folder to make.")],
    board: BoardOfBuild = None,
    kind: Annotated[
        Kind,
        typer.Option(
            help="A bitstream with a serial link, one with the sorter beside the board's processor, or an IP for "
            "Vivado's block designs."
        ),
    ] = Kind.BOARD,
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="Run the board's tools, or only write all that they read.")
    ] = True,
    seed: Seed = 1,
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes that each tool may take.")] = 60.0,
    force: Force = False,
    as_json: Json = False,
    _list_boards: ListBoards = False,
) -> None:
    """Put a build on its board: a project folder, and the bitstream where the board's tools are here.

    --kind processor puts it beside the board's processor, --kind ip makes an IP of it. Yosys and nextpnr make the
    bitstream of an ECP5 and come along; those of Xilinx need Vivado on PATH. Ends with 1 where the clock is not met.

    Example: icsort build out/build --out out/project
    """
    loaded = load_build(build)
    chosen, folder = board_of(loaded, board, kind)
    check_target(out, PROJECT_FILE, force)
    open_tools = kind is not Kind.IP and chosen.place is not None and chosen.place.flow == "nextpnr-ecp5"
    if run and open_tools:
        nextpnr.tool(nextpnr.PLACER), nextpnr.tool(nextpnr.PACKER)  # before any work
    program = None if open_tools else shutil.which("vivado")
    with console.progress("build") as progress, result_folder(out, PROJECT_FILE, force) as made:
        project = write_project(loaded, chosen, folder, made, kind)
        if run and open_tools:
            project = ecp5.build(project, made, seed=seed, timeout=60 * minutes, progress=progress)
        elif run and program:
            progress("Vivado")
            project = vivado.build(project, made, program)
        save(project, made)
    if project.routed:
        loaded.keep_route(project.routed)
    if as_json:
        console.show_json(project.to_json())
    else:
        show(project, out)
    if project.routed and project.routed.fmax_mhz < project.clock_mhz:
        raise typer.Exit(1)


def show(project: Project, folder: Path) -> None:
    """Print what was made, and what to do next."""
    if project.routed is None:
        console.show(f"project for {project.part}, top {project.top}, in {folder}")
        if project.kind is Kind.IP and (folder / IP_FILE).is_file():
            console.show(f"the IP is packaged: add {folder / 'ip'} to ip_repo_paths")
        elif project.flow == "vivado":
            what, script = "IP" if project.kind is Kind.IP else "bitstream", BUILD_SCRIPTS[project.kind]
            console.show(f"its {what} needs Vivado: cd {folder} && vivado -mode batch -nojournal -source {script}")
        return
    routed = project.routed
    console.show(", ".join(f"{number} {name}" for name, number in routed.used.items()))
    met = routed.fmax_mhz >= project.clock_mhz
    console.show(
        f"clock of {project.clock_mhz:g} MHz {'met' if met else 'NOT met'}: at most {routed.fmax_mhz:.1f} MHz",
        style=None if met else "red",
    )
    tools = ", ".join(f"{name} {version}" for name, version in routed.tools.items())
    console.show(f"{folder / BITSTREAM_FILE} by {tools} in {routed.seconds / 60:.1f} minutes: icsort program {folder}")
