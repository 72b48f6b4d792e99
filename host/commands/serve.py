# SPDX-License-Identifier: Apache-2.0
"""`icsort serve`."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icsort.cli import console
from icsort.cli.options import Json
from icsort.errors import IcsortError
from icsort.host.commands.connection import (
    Baud,
    OptionalModel,
    Port,
    Target,
    Timeout,
    open_sorter,
    optional_target,
    schedule_text,
    warn_of_takeover,
)
from icsort.host.commands.stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from icsort.formats.gate_set import GateSet
    from icsort.formats.schedule import Schedule
    from icsort.host.link.protocol import Message
    from icsort.host.page.server import Page
    from icsort.host.page.state import Acts
    from icsort.host.sorter import Gate, Sorter

SWITCH_SECONDS = 0.0005
"""After which who reads the port has its turn: a port's own memory is full within a millisecond at full rate."""
PAGE_EVENTS = 10_000
"""Events a second that the page takes at most: what it costs does not grow with the rate, nor does anybody wait."""


def serve(
    port: Port = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Show the board on a page for browsers, at this port of this machine; 0: any. Needs --model.",
        ),
    ] = None,
    model: OptionalModel = None,
    gates: Annotated[
        Path | None, typer.Option(help="Gate set of the page: read where it is there, written with each commit.")
    ] = None,
    image_every: Annotated[
        int | None,
        typer.Option(min=1, max=2**24 - 1, help="Images of each n-th event on the page.", show_default="none"),
    ] = None,
    features: Annotated[
        bool | None,
        typer.Option(
            "--features/--no-features",
            help="Events with their features, which take the link's time, for the page's plots.",
            show_default="as it is",
        ),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Show this recording on the page, as its events came, instead of a board.")
    ] = None,
    schedule_file: Annotated[
        Path | None,
        typer.Option("--schedule", help="TOML file of a schedule, with which the page may arm; it only disarms else."),
    ] = None,
    tls: Annotated[Path | None, typer.Option(help="PEM file of a certificate and its key: the page by https.")] = None,
    baud: Baud = None,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Hold a board's port for all commands of this user, through unplugging and restarts, until Ctrl-C.

    Other `icsort` commands find it and go through it: several watch at once, one at a time arms, every one may disarm.
    Where the port is lost, what is armed disarms itself; the port is opened again once it is back, and what the board
    did meanwhile is told by its counters. The page disarms, with Escape; it arms only with a --schedule, in two steps,
    for as long as the browser that did it is there.

    Example: icsort serve --port /dev/ttyUSB0 --page 8080 --model out/build --gates gates.toml
    """
    from icsort.host.link.shared import SHARES

    if not page and (gates, image_every, features, schedule_file, replay, tls) != (None,) * 6:
        raise IcsortError(
            "--gates, --image-every, --features, --schedule, --replay and --tls are of the page; give --page PORT"
        )
    if replay and schedule_file:
        raise IcsortError("--schedule arms a board, and --replay shows a recording; give one of them")
    if page and not model:
        raise IcsortError("--page needs --model: the model package or build folder that the board must hold")
    if not SHARES and not replay:
        raise IcsortError("this system has no local sockets: each port has one program, the one that uses it")
    target = optional_target(model)
    schedule = None
    if schedule_file:
        from icsort.formats.schedule import load

        schedule = load(schedule_file)

    def say(document: dict[str, object], text: str) -> None:
        if as_json:
            console.show_json(document, lines=False)
        else:
            print(text, flush=True)

    with stop_signals() as stopped:
        if target and page and replay:
            _replay(replay, target, page, gates, tls, say, stopped)
        else:
            with open_sorter(port, baud, timeout, target) as sorter, contextlib.ExitStack() as stack:
                _must_own(sorter)
                sorter.listen_only_to()  # answers come before whatever flows
                shown: _PageOfBoard | None = None
                if target and page:
                    sorter.check_model(target.manifest, target.build_id)
                    sorter.check_settings(target.manifest)
                    shown = stack.enter_context(
                        _of_board(sorter, target, timeout, features, image_every, gates, schedule, say)
                    )
                    stack.enter_context(_served(shown.page, page, tls, say))
                _hold(sorter, shown, say, stopped)
    stopped.end()


def _hold(
    sorter: "Sorter",
    page: "_PageOfBoard | None",
    say: "Callable[[dict[str, object], str], None]",
    stopped: "Callable[[], bool]",
) -> None:
    """Until it is stopped, through unplugging and restarts."""
    from icsort.host.link.protocol import Statistics
    from icsort.host.link.transport import PortGoneError
    from icsort.host.statistics import StatisticsLog
    from icsort.sim.bit_true.framing import MessageType

    board = sorter.identify()
    sorter.counters()  # from here on the gap of a lost port is counted
    name, log, restarts = sorter.port, StatisticsLog(board.clock_hz), 0
    say(
        {"port": name, "build_id": board.build_id, "model_id": board.model_id},
        f"{name}: build {board.build_id}, held for all commands of this user; Ctrl-C ends it",
    )
    while not stopped():
        try:
            if page is None:
                sorter.listen_only_to(MessageType.STATISTICS)
            else:
                page.listen()
            for message in sorter.events():
                if isinstance(message, Statistics):
                    log.see(message)
                    if log.restarts > restarts:
                        restarts = log.restarts
                        say({"restarted": True}, f"{name}: the board was reset; gates and schedule are gone")
                if page is not None:
                    page.see(message)
                if stopped():
                    break
        except PortGoneError as error:
            say({"lost": str(error)}, f"{error}; waiting for it")
            if page is not None:
                page.page.state.lost(str(error))
            log = StatisticsLog(board.clock_hz)  # the gap says itself whether it was reset
            restarts = 0
            gap = sorter.reconnect(stopped=stopped)
            if gap is None:
                break
            if page is not None:
                page.page.state.back(gap)
            say(
                {"restarted": gap.restarted, "seconds": gap.seconds, "counts": gap.counts},
                f"{name}: back; {gap.text()}",
            )
            warn_of_takeover(sorter)


class _PageOfBoard:
    """What the thread that hears the board does for the page."""

    def __init__(self, sorter: "Sorter", page: "Page", images: int | None) -> None:
        self.page = page
        self._sorter = sorter
        self._images = images

    def listen(self) -> None:
        """Have the board send what the page shows, and take in no more."""
        from icsort.host.link.protocol import ImageReason
        from icsort.sim.bit_true.framing import MessageType

        kinds = MessageType.EVENT, MessageType.STATISTICS, MessageType.IMAGE
        self._sorter.listen_only_to(*kinds, events=PAGE_EVENTS)
        if not self._sorter.read("STATISTICS_PERIOD"):
            self._sorter.set_statistics(1.0)
        if (every := self._images) is not None:
            self._tried("no images", lambda: self._sorter.take_images(ImageReason.EVERY, every))
        self._find_gate()

    def see(self, message: "Message | None") -> None:
        """Take what `Sorter.events` gives. The board itself is asked nothing while it is armed, but which gates are in
        force when they changed: that somebody is there to hear it is a matter of who armed it."""
        from icsort.host.link.protocol import Statistics

        state = self.page.state
        if isinstance(message, Statistics):
            state.armed_by = self._sorter.armed_by()
        state.see(message)
        if state.asks_gate:
            self._find_gate()

    def _find_gate(self) -> None:
        state = self.page.state
        state.asks_gate = False

        def find() -> None:
            if self._sorter.status().gate_valid:
                gate = self._sorter.gate()
                state.found_gate(gate, self.page.desk.names(gate.identity))

        self._tried("which gates are in force is not known", find)

    def _tried(self, otherwise: str, act: "Callable[[], None]") -> None:
        """What the port can do without, as where another program has its turn for long: the log says so."""
        from icsort.host.link.transport import PortGoneError

        try:
            act()
        except PortGoneError:
            raise
        except IcsortError as error:
            self.page.state.acts.add(self.page.state.name, f"{otherwise}: {error}", grave=True)


@contextlib.contextmanager
def _of_board(
    sorter: "Sorter",
    target: Target,
    timeout: float,
    features: bool | None,
    images: int | None,
    gates: Path | None,
    schedule: "Schedule | None",
    say: "Callable[[dict[str, object], str], None]",
) -> "Iterator[_PageOfBoard]":
    from icsort.host.commands.record import record_fields
    from icsort.host.page.arming import Arming
    from icsort.host.page.gates import GateDesk
    from icsort.host.page.server import Page
    from icsort.host.page.state import PageState
    from icsort.host.recorder import layout_of
    from icsort.host.session import connect, stop

    manifest, port = target.manifest, sorter.port

    def put(gate_set: "GateSet") -> "Gate":
        # As a program of its own: where another one has armed, the board's holder refuses it.
        with connect(port, timeout=timeout, share=False) as other:
            other.listen_only_to()
            other.check_model(manifest, target.build_id)
            return other.set_gates(gate_set, manifest)

    board = sorter.identify()
    has_features = sorter.has_features(manifest)
    desk = GateDesk(gates, manifest, board.clock_hz, has_features, put)
    fields = contextlib.nullcontext() if features is None else record_fields(sorter, features)
    with fields:
        state = PageState(manifest, layout_of(sorter, manifest), port, _acts(say))
        state.board = {"build_id": board.build_id, "model_id": board.model_id, "settings_id": board.settings_id}
        arming = None
        if schedule is not None:
            chosen = schedule

            def program() -> "Sorter":
                other = connect(port, timeout=timeout, share=False)
                other.listen_only_to()
                return other

            def arm(other: "Sorter", stopped: "Callable[[], bool]") -> None:
                other.arm(manifest, chosen, target.build_id, stopped=stopped)

            text = schedule_text(chosen.cycles(board.clock_hz), board.clock_hz)
            arming = Arming(text, program, arm, state.acts)
        try:
            yield _PageOfBoard(sorter, Page(state, desk, lambda: stop(port), arming), images)
        finally:
            if arming is not None:
                arming.close()
            with contextlib.suppress(IcsortError):  # of a board that is gone: that is told already
                sorter.end_images()


def _replay(
    file: Path,
    target: Target,
    where: str,
    gates: Path | None,
    tls: Path | None,
    say: "Callable[[dict[str, object], str], None]",
    stopped: "Callable[[], bool]",
) -> None:
    """A recording on the page, until it is stopped."""
    from icsort.formats.event_record import Group
    from icsort.formats.fcs import FcsFile
    from icsort.formats.recording import Layout, Recording
    from icsort.host.page.gates import GateDesk
    from icsort.host.page.replay import play
    from icsort.host.page.server import Page
    from icsort.host.page.state import PageState
    from icsort.sim.bit_true import features

    source, manifest = FcsFile(file), target.manifest
    recording = Recording(source, manifest)
    has_features = recording.has(features.names(manifest.channels)[0])
    desk = GateDesk(gates, manifest, recording.clock_hz, has_features, None)
    state = PageState(manifest, Layout(manifest, recording.clock_hz, Group.BASE), file.name, _acts(say), replay=True)
    with _served(Page(state, desk, None), where, tls, say):
        play(source, state, stopped)


def _acts(say: "Callable[[dict[str, object], str], None]") -> "Acts":
    from icsort.host.page.state import Acts

    return Acts(lambda act: say({"act": act}, f"{act['time']} {act['who']}: {act['what']}"))


@contextlib.contextmanager
def _served(
    page: "Page", where: str, tls: Path | None, say: "Callable[[dict[str, object], str], None]"
) -> "Iterator[None]":
    """The page at its address, which is told."""
    from icsort.host.page.server import LOCAL, address, serving

    host, port = address(where)
    sys.setswitchinterval(SWITCH_SECONDS)
    if host not in LOCAL and tls is None:
        console.warn(f"--page {where}: without --tls, whoever hears this network may take the page over")
    with serving(page, host, port, tls) as url:
        say({"page": url}, f"page: {url}")
        yield


def _must_own(sorter: "Sorter") -> None:
    """Raises IcsortError where another program holds the port."""
    if not sorter.owns_port:
        raise IcsortError(
            f"{sorter.port}: {sorter.owner} holds it already, and others go through that one; end it first"
        )
