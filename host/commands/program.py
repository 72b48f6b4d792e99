# SPDX-License-Identifier: Apache-2.0
"""`icsort program`."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.errors import IcsortError

LOADER, VIVADO = "openFPGALoader", "vivado"


def program(
    project: Annotated[Path, typer.Argument(help="Project folder of `icsort build`.")],
    flash: Annotated[
        bool, typer.Option("--flash", help="Into the board's flash, from which it starts when it gets power.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load the bitstream of a project into its board, by openFPGALoader or Vivado.

    Without --flash it is gone when the power is.

    Example: icsort program out/project
    """
    command = loading(project, flash)
    done = subprocess.run(
        command, cwd=project, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        reason = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "no reason given")
        raise IcsortError(f"{Path(command[0]).name} failed: {reason.strip()}")
    if as_json:
        console.show_json({"command": command, "flash": flash})
    else:
        print(f"{project}: loaded by {Path(command[0]).name}")


def loading(folder: Path, flash: bool) -> list[str]:
    """The command that loads a project's bitstream, to be run in its folder. Raises IcsortError where there is no
    bitstream, or no program for it."""
    from icsort.formats.project import BITSTREAM_FILE, Kind, load_project

    project = load_project(folder)
    if project.kind is Kind.IP:
        raise IcsortError(f"{folder}: is an IP, for a block design of your own, whose bitstream a board loads")
    if not (folder / BITSTREAM_FILE).is_file():
        raise IcsortError(f"{folder}: there is no {BITSTREAM_FILE} yet: run its tools first, as `icsort build` said")
    if flash and project.flow == "vivado":
        raise IcsortError(
            f"{project.board}: --flash: a Zynq starts from what its processor loads, not from a bitstream"
        )
    loader, vivado = shutil.which(LOADER), shutil.which(VIVADO)
    if project.loader and loader:
        return [loader, "--board", project.loader, *(["--write-flash"] if flash else []), BITSTREAM_FILE]
    if project.flow == "vivado" and vivado:
        return [vivado, "-mode", "batch", "-nojournal", "-source", "program.tcl"]
    wanted = [LOADER] * bool(project.loader) + [VIVADO] * (project.flow == "vivado")
    raise IcsortError(f"{' or '.join(wanted)} is not on PATH: docs/boards.md says how to get it")
