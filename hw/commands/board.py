# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that fold for a board."""

from typing import Annotated

import typer

FillOption = Annotated[
    str,
    typer.Option(
        metavar="<share>",
        help="Share of the board that the network may take, such as 0.8, as routing and the sorter need room; "
        "0.3,DSP=0.7 for one resource another.",
    ),
]
