# SPDX-License-Identifier: Apache-2.0
"""`icsort search`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Board, Json, ListBoards, Ray, out


def search(
    out: Annotated[Path, out("Folder of the search; an interrupted one goes on where it was.")],
    tries: Annotated[
        list[str],
        typer.Option(
            "--try",
            help="Option of `icsort train` and its values: OPTION=VALUE,VALUE; OPTION+OPTION gives both one value. "
            "May be repeated: all combinations are tried.",
        ),
    ],
    train: Annotated[
        list[str] | None, typer.Argument(help="Behind --: options of `icsort train` that all share.")
    ] = None,
    board: Board = "virtual",
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Balanced accuracy that is enough; without it, 0.01 below the best."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Networks side by side, each in a process.")] = 1,
    ray: Ray = None,
    as_json: Json = False,
    _list_boards: ListBoards = False,
) -> None:
    """Train and compile a family of networks; show which is the smallest that is good enough.

    Example: icsort search --out out/search --try width=0.25,0.5 --try weight-bits+activation-bits=2,4 -- --data images/
    """
    from icsort.report.page import PAGE_FILE
    from icsort.sim.flows.families import family, write_page
    from icsort.sim.flows.families import search as run

    with console.progress("search") as progress:
        found = run(out, family(tries), train or [], board, jobs=jobs, ray=ray, progress=progress)
    write_page(out, found, accuracy)
    if as_json:
        console.show_json(found)
        return
    for network in found["networks"]:
        if network["refused"] is not None:
            print(f"  {network['name']:<40} refused: {network['refused']}")
            continue
        print(
            f"{'*' if network['front'] else ' '} {network['name']:<40} "
            f"{network['validation']:.3f} {network['test']:.3f} {network['latency_us']:8.2f} us "
            f"{100 * network['share_of_board']:5.0f} % of the board"
        )
    print(f"* front; balanced accuracy in validation and test. report: {out / PAGE_FILE}")
