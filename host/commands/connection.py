# SPDX-License-Identifier: Apache-2.0
"""What the commands that talk to a board share: options, the model that it must hold, how its gate reads.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from icsort.formats.package import Manifest
    from icsort.host.sorter import Gate, Sorter

Port = Annotated[
    str, typer.Option(envvar="ICSORT_PORT", help="Serial port of the board, such as /dev/ttyUSB0 or COM3.")
]
Baud = Annotated[
    int | None,
    typer.Option(min=1, help="Baud rate of the board; without it that of the build at --model, then the usual ones."),
]
Timeout = Annotated[float, typer.Option(min=0.01, help="Seconds of silence after which a request is repeated.")]
Model = Annotated[Path, typer.Option(help="Model package or build folder that the board was built from.")]
OptionalModel = Annotated[
    Path | None, typer.Option(help="Model package or build folder: checks the board, names the classes.")
]
DropDelay = Annotated[
    float, typer.Option(help="First beat of a cell to its sort pulse, us. The default is an assumption.")
]
Pulse = Annotated[float, typer.Option(help="Length of a sort pulse, us. The default is an assumption.")]
Heartbeat = Annotated[
    float, typer.Option(min=0.001, help="Seconds of silence from here after which the board disarms itself.")
]


@dataclass(frozen=True)
class Target:
    """What the board must hold: a model, and where a build folder was given that build, at its baud rate."""

    manifest: "Manifest"
    build_id: str | None
    baud: int | None


def open_sorter(port: str, baud: int | None, timeout: float, target: Target | None = None) -> "Sorter":
    from icsort.host.link.transport import BAUDS
    from icsort.host.sorter import Sorter

    known = (target.baud,) if target and target.baud else ()
    return Sorter.open(port, (baud,) if baud else (*known, *BAUDS), timeout)


def read_target(folder: Path) -> Target:
    """A model package or build folder. Raises IcsortError."""
    from icsort.formats import package
    from icsort.host.sorter import build_key

    key = build_key(folder)
    return Target(package.load(folder), *(key or (None, None)))


def optional_target(folder: Path | None) -> Target | None:
    return None if folder is None else read_target(folder)


def class_name(index: int, manifest: "Manifest | None") -> str:
    return manifest.classes[index] if manifest and index < len(manifest.classes) else f"class {index}"


def class_names(mask: int, classes: int, manifest: "Manifest | None") -> list[str]:
    return [class_name(index, manifest) for index in range(classes) if mask >> index & 1]


def gate_text(gate: "Gate", classes: int, manifest: "Manifest | None") -> str:
    names = ", ".join(class_names(gate.mask, classes, manifest)) or "no class"
    return f"{names} at posterior {gate.posterior / 2**16:.4g} or more"


def microseconds(cycles: int, clock_hz: int) -> str:
    return f"{cycles / clock_hz * 1e6:g} us ({cycles} cycles)" if clock_hz else f"{cycles} cycles"
