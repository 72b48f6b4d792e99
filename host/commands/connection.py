# SPDX-License-Identifier: Apache-2.0
"""What the commands that talk to a board share: options, the model that it must hold, how its gate reads.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from icsort.formats.package import Manifest
    from icsort.host.sorter import Gate, Sorter

Port = Annotated[
    str, typer.Option(envvar="ICSORT_PORT", help="Serial port of the board, such as /dev/ttyUSB0 or COM3.")
]
Baud = Annotated[int, typer.Option(min=1, help="Baud rate that the board was built with (build.json, board.json).")]
Timeout = Annotated[float, typer.Option(min=0.01, help="Seconds of silence after which a request is repeated.")]
Model = Annotated[Path, typer.Option(help="Model package or build folder that the board was built from.")]
OptionalModel = Annotated[
    Path | None, typer.Option(help="Model package or build folder: checks the board, names the classes.")
]
DropDelay = Annotated[
    float, typer.Option(help="First beat of a cell to its sort pulse, us. The default is an assumption.")
]
Pulse = Annotated[float, typer.Option(help="Length of a sort pulse, us. The default is an assumption.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_sorter(port: str, baud: int, timeout: float) -> "Sorter":
    from icsort.host.sorter import Sorter

    return Sorter.open(port, baud, timeout)


def package_and_build(folder: Path) -> "tuple[Manifest, str | None]":
    """Manifest of a model package or build folder, and the build id where it is a build."""
    from icsort.formats import package as manifest
    from icsort.host.sorter import build_id_of

    return manifest.load(folder), build_id_of(folder)


def optional_package(folder: Path | None) -> "tuple[Manifest | None, str | None]":
    return (None, None) if folder is None else package_and_build(folder)


def class_name(index: int, manifest: "Manifest | None") -> str:
    return manifest.classes[index] if manifest and index < len(manifest.classes) else f"class {index}"


def class_names(mask: int, classes: int, manifest: "Manifest | None") -> list[str]:
    return [class_name(index, manifest) for index in range(classes) if mask >> index & 1]


def gate_text(gate: "Gate", classes: int, manifest: "Manifest | None") -> str:
    names = ", ".join(class_names(gate.mask, classes, manifest)) or "no class"
    return f"{names} at posterior {gate.posterior / 2**16:.4g} or more"


def microseconds(cycles: int, clock_hz: int) -> str:
    return f"{cycles / clock_hz * 1e6:g} us ({cycles} cycles)" if clock_hz else f"{cycles} cycles"


def plain_table(*columns: str) -> "Table":
    from rich.table import Table

    table = Table(show_header=any(columns))
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or not column else "right")
    return table
