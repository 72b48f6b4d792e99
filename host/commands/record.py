# SPDX-License-Identifier: Apache-2.0
"""`icsort record`: events to FCS files.

pyserial, rich and numpy are imported by the functions that need them, so that `icsort --help` answers at once.
"""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icsort.cli import console
from icsort.cli.options import Force, Json
from icsort.cli.options import count as count_option
from icsort.errors import IcsortError
from icsort.host.commands.connection import (
    Baud,
    Model,
    Port,
    Reconnect,
    Timeout,
    messages,
    open_sorter,
    read_target,
)
from icsort.host.commands.stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from icsort.formats.package import Manifest
    from icsort.host.link.protocol import Message
    from icsort.host.recorder import Recorder
    from icsort.host.sorter import Sorter


def record(
    file: Annotated[Path, typer.Argument(help="FCS file to make; long recordings go on in FILE-002.fcs and so on.")],
    model: Model,
    port: Port = None,
    features: Annotated[
        bool | None,
        typer.Option(
            "--features/--no-features",
            help="Events with their features, which take the link's time.",
            show_default="with them where the build has any",
        ),
    ] = None,
    gates: Annotated[
        Path | None, typer.Option(help="File of the gate set in force, for the names of its gates.")
    ] = None,
    count: Annotated[int | None, count_option("End when so many events are recorded.")] = None,
    idle: Annotated[float | None, typer.Option(min=0.0, help="End after this many seconds without an event.")] = None,
    reconnect: Reconnect = False,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Record the events that the board reports to an FCS file, until --count, --idle or Ctrl-C.

    The board is not armed and no gate is changed. What was recorded up to the last second is there and opens, whatever
    ends this command.

    Example: icsort record monday.fcs --port /dev/ttyUSB0 --model out/build
    """
    from icsort.formats.gate_set import gate_names
    from icsort.host.recorder import Recorder, identity_keywords, layout_of

    names = None if gates is None else gate_names(gates)
    target = read_target(model)
    with stop_signals() as stopped, open_sorter(port, baud, timeout, target) as sorter:
        sorter.check_model(target.manifest, target.build_id)
        sorter.check_settings(target.manifest)
        wanted = sorter.has_features(target.manifest) if features is None else features
        with record_fields(sorter, wanted, insist=features is not None):
            layout = layout_of(sorter, target.manifest, names)
            with Recorder(file, layout, identity_keywords(sorter), sorter.losses, force=force) as recorder:
                if as_json:
                    console.show_json({"recording": str(file)}, lines=False)
                else:
                    print(f"recording to {file}: {len(layout.parameters)} values an event; Ctrl-C ends it", flush=True)
                with console.progress("record") as report:
                    shown = time.monotonic()
                    for message in messages(sorter, count, idle, reconnect, stopped):
                        recorder.add(message)
                        if stopped():
                            break
                        if (now := time.monotonic()) - shown >= 1:
                            report(f"{recorder.added:,} events, {sorter.losses.events:,} lost")
                            shown = now
        summary = _summary(recorder, sorter)
    if as_json:
        console.show_json(summary, lines=False)
    else:
        console.show(
            f"{', '.join(summary['files'])}: {recorder.added:,} events, {recorder.amended} of them sorts that did not "
            f"come; lost: {summary['lost_events']:,} in {recorder.gaps} gaps, {summary['lost_frames']:,} of them on "
            f"the link; {summary['bad_frames']} bad frames, {summary['restarts']} restarts"
        )
    stopped.end()


def recording_id() -> str:
    """A new one, by which images know the recording of the same events."""
    from uuid import uuid4

    return uuid4().hex


@contextlib.contextmanager
def beside(
    sorter: "Sorter",
    manifest: "Manifest",
    file: Path,
    gates: "Sequence[str] | None" = None,
    keywords: "dict[str, str] | None" = None,
    first: int = 1,
) -> "Iterator[Callable[[Message | None], None]]":
    """A new recording beside other work, of the records as they are: takes what `Sorter.events` gives. Where the disk
    takes no more, that is a warning, and the work goes on. gates: names of those in force. keywords: more of them.
    first: number of its first file."""
    from icsort.host.recorder import Recorder, identity_keywords, layout_of

    recorder: Recorder | None = Recorder(
        file,
        layout_of(sorter, manifest, gates),
        identity_keywords(sorter) | (keywords or {}),
        sorter.losses,
        first=first,
    )

    def warned(act: "Callable[[], None]") -> None:
        nonlocal recorder
        try:
            act()
        except IcsortError as error:
            console.warn(str(error))
            failed, recorder = recorder, None
            if failed is not None:
                with contextlib.suppress(IcsortError):  # told already
                    failed.close()

    def add(message: "Message | None") -> None:
        if (open_one := recorder) is not None:
            warned(lambda: open_one.add(message))

    try:
        yield add
    finally:
        if recorder is not None:
            warned(recorder.close)


@contextlib.contextmanager
def record_fields(sorter: "Sorter", features: bool, insist: bool = True) -> Any:
    """Records with or without features in this block; then as they were. insist: else they stay as they are where
    another program sorts."""
    from icsort.host.link.shared import BoardTakenError

    before = sorter.read("RECORD_FIELDS")
    try:
        sorter.set_record(features)
    except BoardTakenError:
        if insist:
            raise
    try:
        yield
    finally:
        with contextlib.suppress(IcsortError):  # of a board that is gone: that is told already
            if sorter.read("RECORD_FIELDS") != before:
                sorter.write("RECORD_FIELDS", before)


def _summary(recorder: "Recorder", sorter: "Sorter") -> dict[str, Any]:
    losses = sorter.losses
    return {
        "files": [str(path) for path in recorder.files],
        "events": recorder.added,
        "amended": recorder.amended,
        "gaps": recorder.gaps,
        "lost_events": losses.events,
        "lost_frames": losses.frames,
        "bad_frames": losses.bad_frames,
        "restarts": losses.restarts,
    }
