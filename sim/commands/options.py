# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that let cells flow through a build."""

from pathlib import Path
from typing import Annotated

import typer

BuildArgument = Annotated[Path, typer.Argument(help="Build folder made by `icsort compile`.")]
CellsOption = Annotated[Path, typer.Option(help="Held-out cells: heldout.npz of the training run.")]
RateOption = Annotated[float, typer.Option(min=1, help="Cells per second, at the board's clock.")]
GapOption = Annotated[int, typer.Option(min=0, help="Idle cycles behind each line of the stream.")]
