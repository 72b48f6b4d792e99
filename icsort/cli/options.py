# SPDX-License-Identifier: Apache-2.0
"""The options that commands share: one word means one thing in all of them.

A command takes its option from here, as `force: Force = False`, or `out: Annotated[Path, out("Run folder to make.")]`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def out(made: str) -> Any:
    """`--out`, `-o`: where the result goes. made: what that is, for the help."""
    return typer.Option("--out", "-o", help=made)


def count(what: str) -> Any:
    """`--count`: how many of what flows. what: that, for the help."""
    return typer.Option(min=1, help=what)


def _board_names() -> list[str]:
    from icsort.formats.board import board_names

    return board_names()


def _list_boards(wanted: bool) -> None:
    if wanted:
        from icsort.cli import console
        from icsort.formats.board import RESOURCES, board_names, load_board

        table = console.table("board", "clock, MHz", *RESOURCES, "what", text=("board", "what"))
        for board in map(load_board, board_names()):
            budget = (f"{board.budget[kind]:,}" for kind in RESOURCES)
            table.add_row(board.name, f"{board.clock_mhz:g}", *budget, board.description)
        console.show(table)
        raise typer.Exit


def listed(names: Callable[[], list[str]]) -> Callable[[str], list[str]]:
    """Completion of an option whose values are these names."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def choice(names: Iterable[str], help: str) -> Any:  # noqa: A002
    """An option whose values are these names: the help shows them, shells complete them, the command checks them."""
    values = list(names)
    return typer.Option(help=help, metavar="|".join(values), autocompletion=listed(lambda: values))


def _board(many: bool) -> Any:
    return typer.Option(
        help="Board: a folder of boards/, or a path to one (see --list-boards)." + " May be repeated." * many,
        autocompletion=listed(_board_names),
    )


Force = Annotated[bool, typer.Option("--force", help="Replace an earlier result of this command.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Board = Annotated[str, _board(many=False)]
Boards = Annotated[list[str] | None, _board(many=True)]
BoardOfBuild = Annotated[str | None, _board(many=False)]  # without it, the one that was compiled for
ListBoards = Annotated[
    bool,
    typer.Option("--list-boards", help="Print the boards and end.", is_eager=True, callback=_list_boards),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Run them on a Ray cluster instead: HOST:PORT of its head, or auto for that of this machine.",
    ),
]
Rate = Annotated[float, typer.Option(min=1, help="Cells a second.")]
OptionalRate = Annotated[
    float | None, typer.Option(min=1, help="Cells a second to keep up with; without it, a pixel each cycle.")
]
Data = Annotated[
    Path, typer.Option(help="Labelled cells: a folder that `icsort data info` reads, or the heldout.npz of a run.")
]
Limit = Annotated[int | None, typer.Option(min=10, help="At most this many cells of each class, drawn with --seed.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")]
Channels = Annotated[str | None, typer.Option(help="Channel names, in order, separated by commas.")]
GroupBy = Annotated[
    str | None,
    typer.Option(
        help="What belongs together (plate, well, donor, day): a regular expression searched in each file name, its "
        "parentheses are the group; or columns of the cells' own table, plate+well; or a table with the columns name "
        "and group; or none."
    ),
]
LabelBy = Annotated[
    list[str] | None,
    typer.Option(
        help="Label of recorded images: class (that the network predicted), 'gate NAME' of the recording (repeated: a "
        "class each), or a table with the columns name or event, and label: TABLE, or TABLE:COLUMN. Of a .npz with its "
        ".csv: the column."
    ),
]
Merge = Annotated[list[str] | None, typer.Option(help="Classes that count as one: NAME=CLASS+CLASS. May be repeated.")]
PackageArgument = Annotated[Path, typer.Argument(help="Model package: of `icsort export`, `package` or `model`.")]
BuildArgument = Annotated[Path, typer.Argument(help="Build folder of `icsort compile`.")]
