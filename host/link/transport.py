# SPDX-License-Identifier: Apache-2.0
"""A port that carries bytes and nothing else; what can go wrong with it is one line each.

`open_port` takes the name of a serial port or of a pseudo-terminal (`/dev/ttyUSB0`, `/dev/cu.usbserial-1`, `COM12`), or
a port of another machine: `socket://HOST:PORT` carries the bytes as they are, `rfc2217://HOST:PORT` sets the rate there
as well (RFC 2217, by pyserial).
"""

import contextlib
import errno
import hashlib
import os
import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import serial
from serial.tools import list_ports

from icsort.errors import IcsortError

try:
    from termios import error as termios_error
except ImportError:  # Windows
    termios_error = OSError  # type: ignore[assignment,misc]

BAUDS: Final = (12_000_000, 8_000_000, 4_000_000, 3_000_000, 1_500_000, 1_000_000)
"""Rates that boards are built for and common USB bridges make exactly; tried in this order where none is given."""
RARE_BAUDS: Final = (12_500_000, 6_000_000, 2_000_000, 921_600, 460_800, 115_200)
"""Others that a board of one's own may have: DISARM goes out at them, too, where no board answers."""
POLL_SECONDS: Final = 0.05
TTY_FOLDER: Final = Path("/sys/class/tty")
DRAIN_SECONDS: Final = 0.2
BRIDGE_SECONDS: Final = 0.02
"""In which a USB bridge sends what it holds itself: some dozen bytes."""
PYNQ: Final = "pynq://"
"""What ports begin with that are no serial ones but overlays: `host/link/pynq.py`."""
_WRITE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_SOCKET: Final = "socket"
_RFC2217: Final = "rfc2217"
_IAC: Final = b"\xff"
"""Of telnet, which RFC 2217 goes by: doubled where it is data."""


class PortBusyError(IcsortError):
    """Another program has the port open."""


class RateError(IcsortError):
    """A port does not make this baud rate."""


class PortGoneError(IcsortError):
    """A port that was there is no more."""


class Transport(Protocol):
    """Where a device's bytes come from and go to."""

    name: str
    """As errors name it."""

    def read(self) -> bytes:
        """What has arrived, after at most POLL_SECONDS; empty where nothing did. Raises IcsortError once it is gone."""

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises IcsortError where that fails."""

    def close(self) -> None:
        """Give the port back."""


class PortTransport(Transport, Protocol):
    """That of a port which this program has open itself."""

    has_rate: bool
    """Whether `baud` makes a difference."""
    baud: int
    """Bits a second; setting one that the port does not make raises RateError."""

    def drain(self) -> None:
        """Wait until what was written has left, for DRAIN_SECONDS at most: then the rate may change."""


def open_port(port: str, bauds: Sequence[int] = BAUDS) -> PortTransport:
    """A port, at the first of these rates that it makes, held exclusively.

    Raises IcsortError, one line, where the port does not exist, is in use, may not be opened or is no serial port.
    """
    if port.startswith(PYNQ):
        from icsort.host.link.pynq import PynqTransport  # what it takes, Windows does not have

        return PynqTransport(port)
    if is_remote(port):
        scheme, _ = remote_address(port)
        if scheme == _SOCKET:
            return SocketTransport(port)
    for baud in bauds[:-1]:
        with contextlib.suppress(RateError):
            return SerialTransport(port, baud)
    return SerialTransport(port, bauds[-1])


def is_remote(port: str) -> bool:
    """Whether a port is said by an address, and not by the name of a serial port of this machine."""
    return "://" in port


def remote_address(port: str) -> tuple[str, tuple[str, int]]:
    """Kind, and host and port, of a port that is said by an address. Raises IcsortError for what is none."""
    try:
        parts = urlsplit(port)
        kind, host, number = parts.scheme, parts.hostname, parts.port
    except ValueError:
        kind, host, number = "", None, None
    if kind not in (_SOCKET, _RFC2217) or not host or not number or parts.path not in ("", "/"):
        raise IcsortError(
            f"{port}: is no address of a port; give socket://HOST:PORT or rfc2217://HOST:PORT, as socket://127.0.0.1:4000"
        )
    return kind, (host, number)


class SerialTransport:
    """A serial port by its name, or one of another machine by RFC 2217, held exclusively, 8N1.

    Raises IcsortError, one line, where the port does not exist, is in use, may not be opened or is no serial port.
    """

    has_rate = True

    def __init__(self, port: str, baud: int = BAUDS[0]) -> None:
        self.name = port
        self._remote = is_remote(port)
        self._held: socket.socket | None = None
        # Reads end by `timeout` alone: pyserial 3.5 blocks for ever with inter_byte_timeout.
        options: dict[str, Any] = {"timeout": POLL_SECONDS}
        if self._remote:
            self._held = _hold(port)
        else:
            options |= {"write_timeout": _WRITE_SECONDS, "exclusive": True}
        try:
            self._serial = serial.serial_for_url(port, baud, **options)
        except (OSError, ValueError, termios_error) as error:
            self._release()
            raise _why_not_open(port, baud, error) from None
        if not self._remote:
            # FTDI's bridges keep answers for 16 ms otherwise, on Linux; other ports have nothing to set.
            with contextlib.suppress(OSError, ValueError, NotImplementedError, AttributeError):
                self._serial.set_low_latency_mode(True)

    @property
    def baud(self) -> int:
        return int(self._serial.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        """Raises RateError where the port does not make this rate."""
        try:
            self._serial.baudrate = baud
        except (OSError, ValueError, termios_error) as error:
            raise _why_not_open(self.name, baud, error) from None

    def drain(self) -> None:
        limit = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(OSError, AttributeError, termios_error):  # a remote one does not say
            while self._serial.out_waiting and time.monotonic() < limit:
                time.sleep(0.001)
        time.sleep(BRIDGE_SECONDS)

    def read(self) -> bytes:
        try:
            data = bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except (OSError, TypeError, termios_error):
            raise self._gone() from None
        # pyserial says nothing of a connection that has ended.
        if self._remote and not data and not self._serial._thread.is_alive():  # type: ignore[attr-defined]
            raise self._gone()
        return data

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise _takes_no_data(self.name) from None
        except (OSError, termios_error):
            raise self._gone() from None

    def close(self) -> None:
        self._serial.close()
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()

    def _gone(self) -> PortGoneError:
        return (
            _lost(self.name)
            if self._remote
            else PortGoneError(
                f"{self.name}: the port is gone, the board was unplugged or switched off; connect it again"
            )
        )


class SocketTransport:
    """A port of another machine that carries bytes as they are, over TCP, and knows of no rate.

    Raises IcsortError, one line, where nobody is there, or another program of this machine has it.
    """

    has_rate = False
    baud = 0

    def __init__(self, port: str) -> None:
        self.name = port
        _, address = remote_address(port)
        self._held = _hold(port)
        try:
            self._socket = socket.create_connection(address, _CONNECT_SECONDS)
        except OSError as error:
            self._release()
            raise _why_not_open(port, 0, error) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setblocking(False)

    def drain(self) -> None:
        time.sleep(BRIDGE_SECONDS)

    def read(self) -> bytes:
        try:
            if not select.select([self._socket], [], [], POLL_SECONDS)[0]:
                return b""
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return b""
        except (OSError, ValueError):  # ValueError: it was closed meanwhile
            data = b""
        if not data:
            raise _lost(self.name)
        return data

    def write(self, data: bytes) -> None:
        limit = time.monotonic() + _WRITE_SECONDS
        while data:
            try:
                if not select.select([], [self._socket], [], max(0.0, limit - time.monotonic()))[1]:
                    raise _takes_no_data(self.name)
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                continue
            except (OSError, ValueError):
                raise _lost(self.name) from None

    def close(self) -> None:
        self._socket.close()
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()


def _hold(port: str) -> socket.socket | None:
    """Keeps other programs of this machine from a remote port until it is closed, where the system can (Linux); else
    the other end has to. Raises PortBusyError."""
    if sys.platform != "linux":
        return None
    held = socket.socket(socket.AF_UNIX)
    try:
        # A name without a file, which ends with this program.
        held.bind("\0icsort " + hashlib.sha256(port.encode()).hexdigest())
    except OSError:
        held.close()
        raise _busy(port) from None
    return held


def latency_file(port: str) -> Path | None:
    """Where Linux has the milliseconds for which an FTDI bridge keeps bytes; None where there is no such file."""
    file = TTY_FOLDER / Path(port).resolve().name / "device" / "latency_timer"
    return file if not is_remote(port) and file.is_file() else None


def send_past(port: str, data: bytes) -> None:
    """Send bytes through a port that another program has open, at the rate that it set. Raises IcsortError.

    What the board answers reaches the other program. Only a stop is worth that.
    """
    try:
        if is_remote(port):
            kind, address = remote_address(port)
            with socket.create_connection(address, _CONNECT_SECONDS) as end:
                end.sendall(data.replace(_IAC, 2 * _IAC) if kind == _RFC2217 else data)
            return
        handle = os.open(port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except (OSError, AttributeError):  # Windows has neither the flags nor ports that two programs can open
        raise IcsortError(
            f"{port}: another program has it open and nothing can be sent past it; end that program, which disarms"
        ) from None


def _busy(port: str) -> PortBusyError:
    return PortBusyError(
        f"{port}: busy, another program has it open; close that one (another `icsort watch`?) and try again"
    )


def _lost(port: str) -> PortGoneError:
    return PortGoneError(f"{port}: the connection is lost; look after the network and the machine that has the board")


def _takes_no_data(port: str) -> IcsortError:
    return IcsortError(f"{port}: the board takes no data; check the cable and reset the board")


def _why_not_open(port: str, baud: int, error: Exception) -> IcsortError:
    if is_remote(port):
        return _why_not_reached(port, baud, error)
    code = getattr(error, "errno", None)
    # On Windows pyserial has no number, but the name of the system's error in its text.
    if code == errno.ENOENT or "FileNotFoundError" in str(error):
        known = ", ".join(sorted(entry.device for entry in list_ports.comports()))
        return IcsortError(
            f"{port}: there is no such port; connect the board, or use one of: {known or '(no serial port found)'}"
        )
    if code in (errno.EACCES, errno.EPERM):
        return IcsortError(
            f"{port}: no rights to open it; join group dialout: sudo usermod -aG dialout $USER, then log in again"
        )
    if code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK) or "PermissionError" in str(error):
        return _busy(port)
    if isinstance(error, ValueError):
        return RateError(f"{port}: cannot be opened at {baud} baud; give the baud rate of the board with --baud")
    return IcsortError(
        f"{port}: not a serial port, or not one that can be set to {baud} baud; give the port of the board"
    )


def _why_not_reached(port: str, baud: int, error: Exception) -> IcsortError:
    cause = error.__context__ if isinstance(error.__context__, OSError) else error  # pyserial's text has no number
    if isinstance(cause, socket.gaierror):
        return IcsortError(f"{port}: there is no host of that name; check the name, and the network")
    if isinstance(cause, ConnectionRefusedError):
        return IcsortError(
            f"{port}: nobody accepts connections there; start the server of the board's port, or end who has it"
        )
    if isinstance(error, ValueError) or "parameter change" in str(error):
        return RateError(
            f"{port}: the other end does not make {baud} baud; give the baud rate of the board with --baud"
        )
    if isinstance(cause, serial.SerialException):
        return IcsortError(f"{port}: whoever answers there does not speak RFC 2217; try socket:// instead")
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return IcsortError(f"{port}: cannot be reached ({said}); check the address, and the network")
