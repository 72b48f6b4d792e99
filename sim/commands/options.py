# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that let cells flow through a build."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli.options import choice
from icsort.sim.simulate.lines import ARRIVALS

CellsOption = Annotated[
    Path, typer.Option(help="Cells: heldout.npz of the training run, or a file of `icsort data cells`.")
]
Arrivals = Annotated[
    str, choice(ARRIVALS, "Cells at even distances, or at random ones that have the rate in the mean.")
]
LineRate = Annotated[float | None, typer.Option(min=1, help="Lines a second; without it, each right behind the other.")]
