# SPDX-License-Identifier: Apache-2.0
"""Ports of other machines behave as those of this one, and what is wrong with a port is one line."""

import contextlib
import re
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import serial
from serial.rfc2217 import PortManager

from icsort.errors import IcsortError, UnconfirmedError
from icsort.formats.package import Manifest
from icsort.host.link import transport
from icsort.host.link.protocol import EventRecord
from icsort.host.link.transport import PortBusyError, PortGoneError, RateError, SerialTransport, open_port
from icsort.host.session import connect, stop
from icsort.host.sorter import Sorter
from tests.host import fake_board
from tests.host.fake_board import FakeBoard


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="icsort-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.delenv("ICSORT_PORT", raising=False)
        yield


class _Lineless(serial.Serial):
    """A pseudo-terminal has no modem lines, which servers ask for."""

    cts = dsr = ri = cd = False
    dtr = rts = True


class Server:
    """Another machine: it lets whoever connects use the board's port, one after the other or `many` at once."""

    def __init__(self, kind: str, board: FakeBoard, number: int = 0, many: bool = False) -> None:
        self.kind, self.many = kind, many
        self.serial = _Lineless(board.port, 1_000_000, timeout=0)
        self.listener = socket.create_server(("127.0.0.1", number))
        self.number = self.listener.getsockname()[1]
        self.port = f"{kind}://127.0.0.1:{self.number}"
        self.running = True
        self.ends: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        while self.running:
            if select.select([self.listener], [], [], 0.02)[0]:
                end, _ = self.listener.accept()
                self.ends.append(end)
                thread = threading.Thread(target=self._relay, args=(end,))
                thread.start()
                if not self.many:
                    thread.join()

    def _relay(self, end: socket.socket) -> None:
        manager = PortManager(self.serial, SimpleNamespace(write=end.sendall)) if self.kind == "rfc2217" else None
        end_of_port = self.serial.fileno()
        with contextlib.suppress(OSError):
            while self.running:
                readable = select.select([end, end_of_port], [], [], 0.02)[0]
                if end in readable:
                    data = end.recv(4096)
                    if not data:
                        break
                    self.serial.write(b"".join(manager.filter(data)) if manager else data)
                if end_of_port in readable:
                    data = self.serial.read(4096)
                    end.sendall(b"".join(manager.escape(data)) if manager else data)
        end.close()

    def close(self) -> None:
        self.running = False
        self.thread.join()
        self.listener.close()
        for end in self.ends:
            end.close()
        self.serial.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(params=["socket", "rfc2217"])
def server(request: pytest.FixtureRequest, board: FakeBoard) -> Iterator[Server]:
    with Server(request.param, board) as server:
        yield server


def test_a_port_of_another_machine(
    server: Server, board: FakeBoard, model: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any other: it is shared, exclusive where it is not, and who wants to may disarm."""
    monkeypatch.setenv("ICSORT_PORT", server.port)
    with connect() as sorter:
        assert (sorter.port, sorter.owns_port) == (server.port, True)
        sorter.set_gate(["S"], 0.5, model)
        sorter.arm(model)
        board.put(b"".join(board.event(number) for number in range(300)))
        with connect(server.port) as other:
            assert other.owner == sorter.owner
            events = [event.event_id for event in sorter.events(count=300) if isinstance(event, EventRecord)]
            assert events == list(range(300))
            assert sorter.losses.bad_frames == 0
            with pytest.raises(PortBusyError, match="busy, another program has it open"):
                Sorter.open(server.port)
        stop()
        assert not board.armed
    board.registers[fake_board.STATUS] |= fake_board.ARMED
    stop(server.port)
    assert not board.armed


def test_a_lost_connection_is_told_and_made_again(server: Server, board: FakeBoard) -> None:
    with connect(server.port) as sorter:
        sorter.counters()
        for act in (lambda: list(sorter.events()), sorter.counters):
            server.close()
            begun = time.monotonic()
            with pytest.raises(PortGoneError, match="the connection is lost; look after the network"):
                act()
            assert time.monotonic() - begun < 5
            board.counters[fake_board.ACCEPTED] += 7
            server.__init__(server.kind, board, server.number)  # type: ignore[misc]
            gap = sorter.reconnect(10)
            assert gap is not None
            assert {name: count for name, count in gap.counts.items() if count} == {"ACCEPTED": 7}


@pytest.mark.quick(1)
def test_a_board_behind_another_machine_that_cannot_be_heard(server: Server, board: FakeBoard) -> None:
    board.damage = ["drop"] * 1000
    board.registers[fake_board.STATUS] |= fake_board.ARMED
    with pytest.raises(UnconfirmedError, match="nobody has confirmed it: open the interlock"):
        stop(server.port, timeout=0.1)
    assert not board.armed


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["socket", "rfc2217"])
def test_a_disarm_past_who_has_a_port_of_another_machine(kind: str, board: FakeBoard) -> None:
    """Where that one lets two in; else it cannot be known."""
    with Server(kind, board, many=True) as server, contextlib.closing(open_port(server.port)):
        board.registers[fake_board.STATUS] |= fake_board.ARMED
        with pytest.raises(UnconfirmedError, match="sent past the program that has the port open"):
            stop(server.port)
        assert not board.armed


def unreachable() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"127.0.0.1:{gone.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["socket", "rfc2217"])
def test_who_cannot_be_reached(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IcsortError, match=r"127\.0\.0\.1:\d+: nobody accepts connections there; start the server"):
        connect(f"{kind}://{unreachable()}")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def unrouted(*_: object, **__: object) -> None:
        raise OSError(113, "No route to host")

    for cause, problem in ((unknown, "no host of that name"), (unrouted, r"cannot be reached \(No route to host\)")):
        monkeypatch.setattr(socket, "create_connection", cause)
        with pytest.raises(IcsortError, match=f"^{kind}://nobody.invalid:4000: .*{problem}"):
            connect(f"{kind}://nobody.invalid:4000")
        with pytest.raises(IcsortError, match=r"nobody\.invalid"):
            stop(f"{kind}://nobody.invalid:4000")


@pytest.mark.parametrize(
    "port",
    ["socket://", "socket://host", "socket://:4000", "socket://host:0", "socket://host:99999", "socket://host:x",
     "socket://host:4000/dev", "rfc2217://host", "tcp://host:4000", "loop://", "spy:///dev/ttyUSB0", "socket://[::1:40"],
)  # fmt: skip
def test_addresses_that_are_none(port: str) -> None:
    for act in (connect, stop):
        with pytest.raises(IcsortError, match=f"^{re.escape(port)}: is no address of a port; give socket://HOST:PORT"):
            act(port)


@pytest.mark.full  # pyserial waits 3 s for an answer
def test_who_does_not_speak_rfc2217(board: FakeBoard) -> None:
    with Server("socket", board) as server:
        port = server.port.replace("socket", "rfc2217")
        with pytest.raises(IcsortError, match=r"does not speak RFC 2217; try socket:// instead"):
            open_port(port)


def test_rates_that_the_other_machine_does_not_make(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are passed over."""
    with Server("rfc2217", board) as server:
        rates = [1_000_000]

        def make(baud: int) -> None:
            if baud > 4_000_000:
                raise ValueError("no such rate")
            rates.append(baud)

        made = property(lambda _: rates[-1], lambda _, baud: make(baud))
        monkeypatch.setattr(type(server.serial), "baudrate", made)
        with pytest.raises(RateError, match="the other end does not make 8000000 baud; give the baud"):
            open_port(server.port, [8_000_000])
        with connect(server.port) as sorter:
            assert rates[-1] == 4_000_000
            assert sorter.identify().classes == 3


@pytest.mark.parametrize(
    ("said", "kind", "problem"),
    [
        ("FileNotFoundError(2, 'The system cannot find the file specified.', None, 2)", IcsortError, "no such port"),
        ("PermissionError(13, 'Access is denied.', None, 5)", PortBusyError, "busy, another program has it open"),
        ("OSError(22, 'The parameter is incorrect.', None, 87)", IcsortError, "not a serial port, or not one that"),
    ],
)
def test_what_windows_says(monkeypatch: pytest.MonkeyPatch, said: str, kind: type[IcsortError], problem: str) -> None:
    """There pyserial tells the system's error in words alone, here as of its version 3.5."""

    def refuse(port: str, *_: object, **__: object) -> None:
        raise serial.SerialException(f"could not open port {port!r}: {said}")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(kind, match=f"^COM12: (there is )?{problem}"):
        SerialTransport("COM12")


@pytest.mark.parametrize("error", [None, ValueError, OSError, NotImplementedError, AttributeError])
def test_bridges_are_told_not_to_wait(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    """Where the system and the bridge know of it, which is then 1 ms in place of 16."""
    asked: list[bool] = []

    def low_latency(_: object, wanted: bool) -> None:
        asked.append(wanted)
        if error is not None:
            raise error

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", low_latency)
    with Sorter.open(board.port) as sorter:
        assert sorter.identify().classes == 3
    assert asked == [True]


def test_a_machine_that_takes_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_WRITE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = open_port(f"socket://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(IcsortError, match="the board takes no data"):
            port.write(bytes(1 << 26))
        port.close()
        gone: list[Callable[[], object]] = [port.read, lambda: port.write(b"\0")]
        for act in gone:
            with pytest.raises(PortGoneError):
                act()
