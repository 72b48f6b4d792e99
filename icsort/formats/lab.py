# SPDX-License-Identifier: Apache-2.0
"""`icsort.toml`: what is the same for all that a lab does with its sorter."""

import tomllib
from pathlib import Path
from typing import Final

from pydantic import Field

from icsort.errors import IcsortError
from icsort.formats.document import Name, Strict, refusals

LAB_FILE: Final = "icsort.toml"
_REMEDY: Final = "docs/session.md says what icsort.toml may hold"


class Lab(Strict):
    """port: of the board, as `--port`. baud: its rate, as `--baud`."""

    port: Name | None = None
    baud: int | None = Field(default=None, ge=1)


def load_lab(folder: Path) -> Lab:
    """That of a folder; where there is none, one that says nothing. Raises IcsortError with the first that is wrong."""
    path = folder / LAB_FILE
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lab()
    except OSError as error:
        raise IcsortError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise IcsortError(f"{path}: not a TOML file: {error}; {_REMEDY}") from None
    with refusals(str(path), _REMEDY):
        return Lab.model_validate(plain)
