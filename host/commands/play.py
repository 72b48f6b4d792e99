# SPDX-License-Identifier: Apache-2.0
"""`icsort play`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.cli.options import count as count_option
from icsort.host.commands.connection import Baud, Model, Port, Timeout, open_sorter, read_target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from icsort.formats.heldout import HeldOut
    from icsort.formats.package import Manifest

SILENCE = 5.0  # seconds without an event after which none is waited for


def play(
    cells: Annotated[
        Path, typer.Option(help="Cells: heldout.npz of the training run, or a file of `icsort data cells`.")
    ],
    model: Model,
    port: Port = None,
    count: Annotated[int, count_option("Play only the first so many cells.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, max=65535, help="How often each is played.")] = 1,
    line_rate: Annotated[float, typer.Option(min=1, help="Lines a second.")] = 2.2e6,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Store cells in a board, let it play them at the instrument's pace, and print what it makes of them.

    For a board on a desk: needs no microscope and does not sort. Example: icsort play --cells out/run/heldout.npz
    --model out/build
    """
    from icsort.formats import heldout
    from icsort.host.line_source import LineSource
    from icsort.host.link.protocol import EventRecord

    target = read_target(model)
    manifest = target.manifest
    stored = heldout.load(cells).first(count)
    rows = []
    with open_sorter(port, baud, timeout, target) as sorter:
        board = sorter.check_model(manifest, target.build_id)
        sorter.claim()  # what others have armed is theirs to disarm
        sorter.disarm()
        sorter.set_front(manifest)
        with LineSource(sorter) as source, console.progress("play") as progress:
            for index, image in enumerate(stored.images):
                lines = _with_background(stored, manifest, image)

                def told(done: int, step: str = f"cell {index}", total: int = len(lines)) -> None:
                    progress(step, done, total)

                source.store(lines, told)
                source.play(round(board.clock_hz / line_rate), repeats)
                for event in sorter.events(repeats, SILENCE):
                    if isinstance(event, EventRecord):
                        label = int(stored.labels[index])
                        truth = stored.classes[label] if label >= 0 else None
                        best = manifest.classes[event.class_index]
                        rows.append((index, truth, best, event.posterior / 2**16, event.length, event.flags))
    if as_json:
        keys = ("cell", "label", "class", "posterior", "length", "flags")
        console.show_json([dict(zip(keys, (*row[:5], int(row[5])), strict=True)) for row in rows])
        return
    table = console.table("cell", "label", "class", "posterior", "lines", "flags", text=("label", "class", "flags"))
    for cell, truth, best, posterior, length, flags in rows:
        words = " ".join(flag.name.lower() for flag in flags if flag.name)
        table.add_row(str(cell), truth or "", best, f"{posterior:.3f}", str(length), words)
    console.show(table)


def _with_background(cells: "HeldOut", manifest: "Manifest", image: "NDArray[np.uint16]") -> "NDArray[np.uint16]":
    """A cell's lines between quiet ones: as many as it takes to begin and to end its event."""
    import numpy as np

    quiet = cells.background.quiet(manifest)
    quiet = quiet if len(quiet) else cells.background.lines
    before, behind = manifest.trigger.pre_lines, manifest.trigger.end_lines
    return np.concatenate([quiet[np.arange(before) % len(quiet)], image, quiet[np.arange(behind) % len(quiet)]])
