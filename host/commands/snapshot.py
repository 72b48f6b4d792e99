# SPDX-License-Identifier: Apache-2.0
"""`icsort snapshot`: the windows of some events, as files."""

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out
from icsort.cli.options import count as count_option
from icsort.errors import IcsortError
from icsort.host.commands.connection import Baud, OptionalModel, Port, Timeout, open_sorter, optional_target
from icsort.host.commands.stopping import stop_signals
from icsort.host.images import ImageAssembler, write_tiff
from icsort.host.link.protocol import ImagePiece, ImageReason
from icsort.output import result_folder

if TYPE_CHECKING:
    from icsort.host.sorter import Sorter

LIST_FILE = "images.json"


def snapshot(
    port: Port,
    out: Annotated[Path, out("Folder to make: a TIFF an event, a page a channel.")],
    every: Annotated[int | None, typer.Option(min=1, max=2**24 - 1, help="Each n-th event.")] = None,
    gate: Annotated[
        str | None, typer.Option(help="Each event that this gate passes: its number, or its name in --gates.")
    ] = None,
    gates: Annotated[
        Path | None, typer.Option(help="File of the gate set in force, for the names of its gates.")
    ] = None,
    count: Annotated[int, count_option("End after so many images.")] = 1,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End after this many seconds without an image.")] = None,
    model: OptionalModel = None,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Keep images of events as the network takes them, of the next ones or by a rule, until --count or Ctrl-C.

    Example: icsort snapshot --gate 0 --count 20 --out images --port /dev/ttyUSB0
    """
    if every is not None and gate is not None:
        raise IcsortError("give --every or --gate, not both")
    number = None if gate is None else _number(gate, gates)
    target = optional_target(model)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
        if target:
            sorter.check_model(target.manifest, target.build_id)
        board = sorter.identify()
        names = target.manifest.channels if target else tuple(f"channel {c}" for c in range(board.channels))
        folder = stack.enter_context(result_folder(out, LIST_FILE, force))
        assembler = ImageAssembler(board.height * board.width * board.channels)
        listed: list[dict[str, object]] = []
        before = sorter.counters()["IMAGES_SKIPPED"]
        _ask(sorter, every, number)
        last = time.monotonic()
        for message in sorter.events():
            image = assembler.see(message) if isinstance(message, ImagePiece) else None
            if image is not None:
                file = f"image-{len(listed):06d}-event-{image.event_id}.tiff"
                write_tiff(folder / file, image, board.height, board.width, names)
                listed.append(
                    {"file": file, "event": image.event_id, "tag": image.tag, "reason": image.reason.name.lower()}
                )
                last = time.monotonic()
                if every is None and number is None and len(listed) < count:
                    sorter.request_image()
            if len(listed) == count or stopped() or (idle is not None and time.monotonic() - last >= idle):
                break
        sorter.set_images(ImageReason.NONE)
        assembler.close()
        if not listed:
            raise IcsortError(f"{port}: no image came; check that cells flow past and that some pass the gate")
        skipped = (sorter.counters()["IMAGES_SKIPPED"] - before) % 2**32
        document = {"images": listed, "incomplete": assembler.incomplete, "skipped": skipped}
        (folder / LIST_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if as_json:
        console.show_json(document)
    else:
        console.show(
            f"{out}: {len(listed)} images of {board.height} x {board.width} pixels; {assembler.incomplete} incomplete, "
            f"{skipped} skipped by the board"
        )
    stopped.end()


def _ask(sorter: "Sorter", every: int | None, gate: int | None) -> None:
    if every is not None:
        sorter.set_images(ImageReason.EVERY, every)
    elif gate is not None:
        sorter.set_images(ImageReason.GATE, gate)
    else:
        sorter.set_images(ImageReason.NONE)
        sorter.request_image()


def _number(gate: str, gates: Path | None) -> int:
    """Of a gate, as records have it. Raises IcsortError for one that does not exist."""
    from icsort.sim.bit_true.gate_engine import GATES

    if gates is not None:
        from icsort.formats.gate_set import gate_names

        names = gate_names(gates)
        if gate in names:
            return names.index(gate)
        if not gate.isdecimal():
            raise IcsortError(f"{gates}: has no gate {gate!r}; its gates are: {', '.join(names)}")
    if gate.isdecimal() and int(gate) < GATES:
        return int(gate)
    raise IcsortError(
        f"--gate {gate}: is no gate's number, 0 to {GATES - 1}; for its name give --gates, the gate set's file"
    )
