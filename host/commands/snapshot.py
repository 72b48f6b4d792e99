# SPDX-License-Identifier: Apache-2.0
"""`icsort snapshot`: the windows of some events, as files."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json, out
from icsort.cli.options import count as count_option
from icsort.errors import IcsortError
from icsort.host.commands.connection import Baud, OptionalModel, Port, Target, Timeout, open_sorter, optional_target
from icsort.host.commands.stopping import stop_signals
from icsort.host.images import ImageFolder, images_head
from icsort.host.link.protocol import ImageReason
from icsort.output import result_folder

if TYPE_CHECKING:
    from icsort.host.link.protocol import Message
    from icsort.host.sorter import Sorter


def snapshot(
    out: Annotated[Path, out("Folder to make: a TIFF an event, a page a channel.")],
    port: Port = None,
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
    from icsort.formats.image_list import LIST_FILE

    rule = image_rule(every, gate, gates)
    target = optional_target(model)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        sorter = stack.enter_context(open_sorter(port, baud, timeout, target))
        if target:
            sorter.check_model(target.manifest, target.build_id)
        folder = stack.enter_context(result_folder(out, LIST_FILE, force))
        images = image_folder(folder, sorter, target)
        before = sorter.counters()["IMAGES_SKIPPED"]
        asked = rule[0] is ImageReason.NONE  # for one after the other
        if not asked:
            stack.callback(_end, sorter)
            sorter.take_images(*rule)
        else:
            if sorter.images_of() is None:  # what a program left that was killed
                sorter.set_images(*rule)
            sorter.request_image()
        last = time.monotonic()
        for message in sorter.events():
            if images.add(message):
                last = time.monotonic()
                if asked and len(images.kept) < count:
                    sorter.request_image()
            if len(images.kept) == count or stopped() or (idle is not None and time.monotonic() - last >= idle):
                break
        sorter.end_images()
        if not images.kept:
            raise IcsortError(f"{sorter.port}: no image came; check that cells flow past and that some pass the gate")
        document = images.close((sorter.counters()["IMAGES_SKIPPED"] - before) % 2**32)
    if as_json:
        console.show_json(document)
    else:
        console.show(images_text(out, document))
    stopped.end()


def _end(sorter: "Sorter") -> None:
    with contextlib.suppress(IcsortError):
        sorter.end_images()


def image_folder(
    folder: Path, sorter: "Sorter", target: Target | None, recording: tuple[Path, str] | None = None
) -> ImageFolder:
    """For the windows of this board, as `images_head`. Raises OSError."""
    board = sorter.identify()
    shape = board.height, board.width, board.channels
    return ImageFolder(folder, images_head(shape, target.manifest if target else None, folder, recording))


def image_rule(every: int | None, gate: str | None, gates: Path | None) -> tuple[ImageReason, int]:
    """Of the options. Raises IcsortError for a gate that does not exist."""
    if every is not None:
        return ImageReason.EVERY, every
    if gate is not None:
        return ImageReason.GATE, _number(gate, gates)
    return ImageReason.NONE, 0


def images_text(folder: Path, document: dict[str, Any]) -> str:
    """What became of the images, in a line."""
    number, incomplete, skipped = len(document["images"]), document["incomplete"], document["skipped"]
    return f"{folder}: {number} images; {incomplete} incomplete, {skipped} skipped by the board"


class ImagesBeside:
    """Images in a new folder beside other work. Where the disk takes no more, that is a warning, the board is asked for
    none from then on, and the work goes on."""

    def __init__(
        self,
        path: Path,
        sorter: "Sorter",
        target: Target | None,
        rule: tuple[ImageReason, int],
        recording: tuple[Path, str] | None = None,
    ) -> None:
        """recording: as of `images_head`. Raises IcsortError where the folder exists or cannot be made, or another
        program has images sent."""
        self.stopped: str | None = None
        """Why no more are kept."""
        self._sorter = sorter
        self._closed = False
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise IcsortError(f"{path}: exists already; give another name, or remove it first") from None
        except OSError as error:
            raise IcsortError(f"{path}: cannot be made ({error.strerror}); give another folder for images") from None
        try:
            self._images = image_folder(path, sorter, target, recording)
        except OSError as error:
            path.rmdir()
            raise IcsortError(f"{path}: cannot be written ({error.strerror}); give another folder for images") from None
        self._skipped = sorter.counters()["IMAGES_SKIPPED"]
        try:
            sorter.take_images(*rule)
        except IcsortError:
            self._images.discard()
            path.rmdir()
            raise

    def add(self, message: "Message | None") -> None:
        """Take what `Sorter.events` gives."""
        if self.stopped is None:
            try:
                self._images.add(message)
            except OSError as error:
                self._stop(error)
                self._sorter.end_images()

    def end(self) -> None:
        """Ask the board for no more. Behind an error, which is told already, what was kept gets its list, and a folder
        without any is removed."""
        _end(self._sorter)
        if not self._closed:
            with contextlib.suppress(OSError):
                if self._images.kept:
                    self._images.close(None, self.stopped)
                else:
                    self._images.discard()
                    self._images.folder.rmdir()

    def close(self, counters: dict[str, int]) -> dict[str, Any]:
        """No more come: what was kept. counters: the board's, last."""
        self._closed = True
        skipped = (counters["IMAGES_SKIPPED"] - self._skipped) % 2**32
        try:
            return self._images.close(skipped, self.stopped)
        except OSError as error:
            if self.stopped is None:
                self._stop(error)
            kept = [entry.model_dump() for entry in self._images.kept]
            return {"images": kept, "incomplete": 0, "skipped": skipped, "stopped": self.stopped}

    def _stop(self, error: OSError) -> None:
        self.stopped = (
            f"{self._images.folder}: {error.strerror} after {len(self._images.kept)} images, which are kept; no more "
            "are written, the rest goes on"
        )
        console.warn(self.stopped)


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
