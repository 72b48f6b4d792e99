# SPDX-License-Identifier: Apache-2.0
"""`icsort.toml`: what is the same for all that a lab does with its sorter."""

from pathlib import Path
from typing import Final

from pydantic import Field

from icsort.formats.document import Name, Strict, read_toml

LAB_FILE: Final = "icsort.toml"
_REMEDY: Final = "docs/session.md says what icsort.toml may hold"


class Lab(Strict):
    """port: of the board, as `--port`. baud: its rate, as `--baud`."""

    port: Name | None = None
    baud: int | None = Field(default=None, ge=1)


def load_lab(folder: Path) -> Lab:
    """That of a folder; where there is none, one that says nothing. Raises IcsortError with the first that is wrong."""
    path = folder / LAB_FILE
    return read_toml(Lab, path, _REMEDY) if path.exists() else Lab()
