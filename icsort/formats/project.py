# SPDX-License-Identifier: Apache-2.0
"""A project folder and its description, `project.json`: a build on a board, and what place and route made of it.

The folder holds all that its tools read: rtl/, mem/ and files.f of the build with the board's own, the constraints,
the script; and sorter.bit once they have run.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from icsort.errors import IcsortError
from icsort.formats.build import Identity
from icsort.formats.document import Document, Name, read
from icsort.formats.routed import Routed

PROJECT_FILE = "project.json"
BITSTREAM_FILE = "sorter.bit"


class Project(Document):
    """project.json. board: its name. clock_mhz: of the sorter. top: the module that has the pins.
    loader: the board as openFPGALoader names it. routed: None before the tools have run."""

    format: Literal["icsort-project"]
    version: Literal[1]
    build_id: Identity
    model_id: Identity
    board: Name
    part: Name
    flow: Literal["nextpnr-ecp5", "vivado"]
    clock_mhz: Annotated[float, Field(gt=0)]
    top: Name
    loader: Name | None
    routed: Routed | None = None


def load_project(folder: Path) -> Project:
    """Read a project folder. Raises IcsortError for one that is none."""
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise IcsortError(f"{folder}: not a project (no {PROJECT_FILE}); make one with `icsort build BUILD --out DIR`")
    return read(Project, path, "make it again with `icsort build`")
