# SPDX-License-Identifier: Apache-2.0
"""`icsort selftest`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json
from icsort.cli.options import count as count_option
from icsort.cli.options import out as out_option
from icsort.host.commands.connection import Baud, Port, Timeout, open_sorter, read_target


def selftest(
    model: Annotated[Path, typer.Option(help="Build folder that the board holds.")],
    port: Port = None,
    gates: Annotated[
        Path | None,
        typer.Option(help="Gate set that must be in force; without it, gates of the test's own, and then those again."),
    ] = None,
    count: Annotated[int | None, count_option("Play only the first so many known cells.")] = None,
    out: Annotated[Path | None, out_option("Folder to make, with the result as a page to print.")] = None,
    force: Force = False,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Test a board on a desk: known cells through its line source, and every value compared with the package.

    Arms nothing. Ends with 0 only where all of it passed.

    Example: icsort selftest --port /dev/ttyUSB0 --model out/build --out out/selftest
    """
    import contextlib

    from icsort.formats import gate_set, known
    from icsort.formats.build import load_build
    from icsort.host.self_test import JSON_FILE, SelfTest, write_report
    from icsort.output import result_folder

    build = load_build(model)
    cells = known.load(model, build.manifest).first(count)
    source = gate_set.load(gates) if gates else None
    with contextlib.ExitStack() as stack:
        folder = None
        if out is not None:
            from icsort.report.page import PAGE_FILE  # what is missing is told before the work

            folder = stack.enter_context(result_folder(out, JSON_FILE, force))
        with open_sorter(port, baud, timeout, read_target(model)) as sorter, console.progress("selftest") as progress:
            test = SelfTest(sorter, build, cells, source, progress)
            document = test.run()
        if folder is not None:
            write_report(document, folder)
    if as_json:
        console.show_json(document | ({"page": str(out / PAGE_FILE)} if out else {}))
    else:
        table = console.table("step", "result", "figures", text=("step", "result", "figures"))
        for step in test.steps:
            table.add_row(step.name, "passed" if step.passed else "FAILED", step.told)
        console.show(table)
        print(f"{'passed' if test.passed else 'FAILED'}; left: {'; '.join(test.left)}")
        if out:
            print(out / PAGE_FILE)
    if not test.passed:
        raise typer.Exit(1)
