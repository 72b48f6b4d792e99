# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that let cells flow through a build."""

from pathlib import Path
from typing import Annotated

import typer

CellsOption = Annotated[Path, typer.Option(help="Held-out cells: heldout.npz of the training run.")]
GapOption = Annotated[int, typer.Option(min=0, help="Idle cycles behind each line of the stream.")]
