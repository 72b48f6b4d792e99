# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that fold for a board."""

from typing import Annotated

import typer

FillOption = Annotated[
    float,
    typer.Option(
        min=0.01, max=1, help="Share of the board that the network may take, such as 0.8: routing needs room."
    ),
]
