# SPDX-License-Identifier: Apache-2.0
"""A project folder and its description, `project.json`: a build on a board, and what place and route made of it.

The folder holds all that its tools read: the build's RTL, memories and files.f with the board's own, the constraints,
the scripts; and sorter.bit once they have run.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from icsort.errors import IcsortError
from icsort.formats.build import Identity
from icsort.formats.document import Document, Name, read
from icsort.formats.routed import Routed

PROJECT_FILE = "project.json"
BITSTREAM_FILE = "sorter.bit"


class Kind(StrEnum):
    """What a project makes: a BOARD's bitstream with a serial link to the host, one with the sorter beside the board's
    PROCESSOR, or an IP for block designs, which is no bitstream."""

    BOARD = "board"
    PROCESSOR = "processor"
    IP = "ip"


class Project(Document):
    """project.json. board: its name. clock_mhz: of the sorter. top: the module that has the pins, or the IP's. loader:
    the board as openFPGALoader names it. oscillator, board_part: port and Vivado's board files, where the project is
    beside a processor. routed: None before the tools have run, and of an IP."""

    format: Literal["icsort-project"]
    version: Literal[1]
    build_id: Identity
    model_id: Identity
    kind: Kind = Field(Kind.BOARD, strict=False)
    board: Name
    part: Name
    flow: Literal["nextpnr-ecp5", "vivado"]
    clock_mhz: Annotated[float, Field(gt=0)]
    top: Name
    loader: Name | None
    oscillator: Name | None = None
    board_part: Name | None = None
    routed: Routed | None = None


def load_project(folder: Path) -> Project:
    """Read a project folder. Raises IcsortError for one that is none."""
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise IcsortError(f"{folder}: not a project (no {PROJECT_FILE}); make one with `icsort build BUILD --out DIR`")
    return read(Project, path, "make it again with `icsort build`")
