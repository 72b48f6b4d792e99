# SPDX-License-Identifier: Apache-2.0
"""`icsort serve`."""

from typing import TYPE_CHECKING

from icsort.cli import console
from icsort.cli.options import Json
from icsort.host.commands.connection import Baud, Port, Timeout, open_sorter
from icsort.host.commands.stopping import stop_signals

if TYPE_CHECKING:
    from icsort.host.sorter import Sorter


def serve(port: Port = None, baud: Baud = None, timeout: Timeout = 1.0, as_json: Json = False) -> None:
    """Hold a board's port for all commands of this user, through unplugging and restarts, until Ctrl-C.

    Other `icsort` commands find it and go through it: several watch at once, one at a time arms, every one may disarm.
    Where the port is lost, what is armed disarms itself; the port is opened again once it is back, and what the board
    did meanwhile is told by its counters. Nothing is ever armed from here.

    Example: icsort serve --port /dev/ttyUSB0
    """
    from icsort.errors import IcsortError
    from icsort.host.link.protocol import Statistics
    from icsort.host.link.shared import SHARES
    from icsort.host.link.transport import PortGoneError
    from icsort.host.statistics import StatisticsLog
    from icsort.sim.bit_true.framing import MessageType

    if not SHARES:
        raise IcsortError("this system has no local sockets: each port has one program, the one that uses it")

    def say(document: dict[str, object], text: str) -> None:
        if as_json:
            console.show_json(document, lines=False)
        else:
            print(text, flush=True)

    with stop_signals() as stopped, open_sorter(port, baud, timeout) as sorter:
        _must_own(sorter)
        board = sorter.identify()
        sorter.counters()  # from here on the gap of a lost port is counted
        name, log, restarts = sorter.port, StatisticsLog(board.clock_hz), 0
        say(
            {"port": name, "build_id": board.build_id, "model_id": board.model_id},
            f"{name}: build {board.build_id}, held for all commands of this user; Ctrl-C ends it",
        )
        while not stopped():
            try:
                sorter.listen_only_to(MessageType.STATISTICS)
                for message in sorter.events():
                    if isinstance(message, Statistics):
                        log.see(message)
                        if log.restarts > restarts:
                            restarts = log.restarts
                            say({"restarted": True}, f"{name}: the board was reset; gates and schedule are gone")
                    if stopped():
                        break
            except PortGoneError as error:
                say({"lost": str(error)}, f"{error}; waiting for it")
                log = StatisticsLog(board.clock_hz)  # the gap says itself whether it was reset
                restarts = 0
                gap = sorter.reconnect(stopped=stopped)
                if gap is None:
                    break
                say(
                    {"restarted": gap.restarted, "seconds": gap.seconds, "counts": gap.counts},
                    f"{name}: back; {gap.text()}",
                )
    stopped.end()


def _must_own(sorter: "Sorter") -> None:
    """Raises IcsortError where another program holds the port."""
    from icsort.errors import IcsortError

    if not sorter.owns_port:
        raise IcsortError(
            f"{sorter.port}: {sorter.owner} holds it already, and others go through that one; end it first"
        )
