# SPDX-License-Identifier: Apache-2.0
"""A serial port that carries bytes and nothing else; what can go wrong with it is one line each."""

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from typing import Final, Protocol

import serial
from serial.tools import list_ports

from icsort.errors import IcsortError

try:
    from termios import error as termios_error
except ImportError:  # Windows
    termios_error = OSError  # type: ignore[assignment,misc]

BAUDS: Final = (12_000_000, 8_000_000, 4_000_000, 3_000_000, 1_000_000)
"""Rates that boards are built for and common USB bridges make exactly; tried in this order where none is given."""
POLL_SECONDS: Final = 0.05
DRAIN_SECONDS: Final = 0.2
BRIDGE_SECONDS: Final = 0.02
"""In which a USB bridge sends what it holds itself: some dozen bytes."""
_WRITE_SECONDS: Final = 5.0


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


class SerialTransport:
    """A serial port by its name (`/dev/ttyUSB0`, `COM3`, a pseudo-terminal), held exclusively, 8N1.

    Raises IcsortError, one line, where the port does not exist, is in use, may not be opened or is no serial port.
    """

    def __init__(self, port: str, baud: int = BAUDS[0]) -> None:
        self.name = port
        try:
            # Reads end by `timeout` alone: pyserial 3.5 blocks for ever with inter_byte_timeout.
            self._serial = serial.Serial(port, baud, timeout=POLL_SECONDS, write_timeout=_WRITE_SECONDS, exclusive=True)
        except (OSError, ValueError, termios_error) as error:
            raise _why_not_open(port, baud, error) from None

    @classmethod
    def at_any_of(cls, port: str, bauds: Sequence[int]) -> "SerialTransport":
        """At the first of these rates that the port makes."""
        for baud in bauds[:-1]:
            with contextlib.suppress(RateError):
                return cls(port, baud)
        return cls(port, bauds[-1])

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
        """Wait until what was written has left, for DRAIN_SECONDS at most: then the rate may change."""
        limit = time.monotonic() + DRAIN_SECONDS
        with contextlib.suppress(OSError, termios_error):
            while self._serial.out_waiting and time.monotonic() < limit:
                time.sleep(0.001)
        time.sleep(BRIDGE_SECONDS)

    def read(self) -> bytes:
        try:
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except (OSError, TypeError, termios_error):
            raise self._gone() from None

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise IcsortError(f"{self.name}: the board takes no data; check the cable and reset the board") from None
        except (OSError, termios_error):
            raise self._gone() from None

    def close(self) -> None:
        self._serial.close()

    def _gone(self) -> PortGoneError:
        return PortGoneError(
            f"{self.name}: the port is gone, the board was unplugged or switched off; connect it again"
        )


def send_past(port: str, data: bytes) -> None:
    """Send bytes through a port that another program has open, at the rate that it set. Raises IcsortError.

    What the board answers reaches the other program. Only a stop is worth that.
    """
    try:
        handle = os.open(port, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except (OSError, AttributeError):  # Windows has neither the flags nor ports that two programs can open
        raise IcsortError(
            f"{port}: another program has it open and nothing can be sent past it; end that program, which disarms"
        ) from None


def _why_not_open(port: str, baud: int, error: Exception) -> IcsortError:
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        known = ", ".join(sorted(entry.device for entry in list_ports.comports()))
        return IcsortError(
            f"{port}: there is no such port; connect the board, or use one of: {known or '(no serial port found)'}"
        )
    if code in (errno.EACCES, errno.EPERM):
        return IcsortError(
            f"{port}: no rights to open it; join group dialout: sudo usermod -aG dialout $USER, then log in again"
        )
    if code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return PortBusyError(
            f"{port}: busy, another program has it open; close that one (another `icsort watch`?) and try again"
        )
    if isinstance(error, ValueError):
        return RateError(f"{port}: cannot be opened at {baud} baud; give the baud rate of the board with --baud")
    return IcsortError(
        f"{port}: not a serial port, or not one that can be set to {baud} baud; give the port of the board"
    )
