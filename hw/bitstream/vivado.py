# SPDX-License-Identifier: Apache-2.0
"""A project folder through Vivado, where it is: its bitstream, and what place and route reached; or its IP."""

import time
from pathlib import Path

from icsort.formats.project import Kind, Project
from icsort.hw.bitstream.project import BUILD_SCRIPTS
from icsort.hw.synthesis.vivado import read_route, run


def build(project: Project, folder: Path, program: str) -> Project:
    """Run the project's script. program: path of Vivado. Raises IcsortError where it fails, with its log's place."""
    begun = time.monotonic()
    run(program, [BUILD_SCRIPTS[project.kind]], folder)
    if project.kind is Kind.IP:
        return project
    routed = read_route(folder).routed(project.clock_mhz, time.monotonic() - begun)
    return project.model_copy(update={"routed": routed})
