# SPDX-License-Identifier: Apache-2.0
"""`icsort report`."""

from pathlib import Path
from typing import Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json
from icsort.cli.options import out as out_option
from icsort.output import result_folder


def report(
    source: Annotated[Path, typer.Argument(help="A job's folder, or a recording, FILE.fcs.", show_default=False)],
    gates: Annotated[
        Path | None, typer.Option(help="Gate set of a recording, for its plots; not of a job, which has its own.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of a recording's images, for a gallery; not of a job, which has its own."),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Make report.pdf as well.")] = False,
    out: Annotated[
        Path | None, out_option("Folder to make; without it `report` in the job's folder, or beside the recording.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a page of a sort: settings, counts and rates by direction, aborts, gates with plots, cells, latency.

    Example: icsort report monday
    """
    from icsort.host.sort_report import JSON_FILE, gather, write_report
    from icsort.report.page import PAGE_FILE  # what is missing is told before the work
    from icsort.report.pdf import PDF_FILE, check_pdf

    if pdf:
        check_pdf()
    with console.progress("report") as progress:
        sort = gather(source, gates, progress, images)
        folder = out or (source / "report" if source.is_dir() else source.with_name(f"{source.stem}-report"))
        with result_folder(folder, JSON_FILE, force) as partial:
            document = write_report(sort, partial, progress, pdf)
    if as_json:
        console.show_json(
            document | {"page": str(folder / PAGE_FILE)} | ({"pdf": str(folder / PDF_FILE)} if pdf else {})
        )
    else:
        print(f"{folder / (PDF_FILE if pdf else PAGE_FILE)}: signature {document['signature'][:16]}")
