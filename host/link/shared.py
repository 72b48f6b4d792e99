# SPDX-License-Identifier: Apache-2.0
"""A port that several programs use: how they find who holds it, and their end of the socket to that program.

Frames pass as on the line. What is said to the holder itself, and by it, is JSON in frames of a type of their own,
which no board sends: CONTROL. docs/session.md has the rules, `host/link/owner.py` the other end.
"""

import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from icsort.errors import IcsortError
from icsort.host.link.transport import POLL_SECONDS, PortGoneError, is_remote
from icsort.sim.bit_true.framing import HEADER_BYTES, FrameError, decode, encode

CONTROL: Final = 0x70
"""Type of the frames between programs."""
TEXT_LIMIT: Final = 600
"""Characters of a reason; a frame has to hold it."""
REPLY_SECONDS: Final = 2.0
TURN_SECONDS: Final = 30.0
PATH_LIMIT: Final = 70
"""Characters of the folder of the sockets' folder; a system allows about 100 for all of a socket's path."""
SHARES: Final = hasattr(socket, "AF_UNIX")
"""Whether this system has local sockets; without them a port has one program."""
_CONTROL_BYTE: Final = bytes([CONTROL])
_CREDENTIALS: Final = struct.Struct("3i")


class BoardTakenError(IcsortError):
    """The program that holds the port does not let this through: another one has armed, or has the turn."""


class OwnerSilentError(IcsortError):
    """Another program has the port and does not answer."""


def control(message: dict[str, Any]) -> bytes:
    """The frame of a message between programs."""
    return encode(bytes([CONTROL, 0]) + json.dumps(message).encode())


def control_message(payload: bytes) -> dict[str, Any]:
    """What a CONTROL payload says. Raises FrameError for what no icsort says."""
    try:
        message = json.loads(payload[HEADER_BYTES:])
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise FrameError("a message that is none")
    return message


def who_am_i() -> str:
    """This program, as others are told of it."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:2]] if sys.argv and sys.argv[0] not in ("", "-c") else ["python"]
    known = words[0] == "__main__.py" or words[0].startswith("icsort")
    name = " ".join(["icsort", *words[1:]]) if known and not words[-1].startswith("-") else words[0]
    return f"{name[:40]} (process {os.getpid()})"


def runtime_folder() -> Path:
    """Where the sockets of this user's programs lie: nobody else may enter. Raises IcsortError where somebody could."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # The name of a socket may have 100 characters or so.
    own = 0 < len(base) < PATH_LIMIT
    folder = Path(base) / "icsort" if own else Path(tempfile.gettempdir()) / f"icsort-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise IcsortError(
            f"{folder}: cannot be made ({error.strerror}); set XDG_RUNTIME_DIR to a folder of yours"
        ) from None
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise IcsortError(
            f"{folder}: is not a folder that you alone may enter, and who enters it may arm the sorter; remove it, or "
            "set XDG_RUNTIME_DIR to a folder of yours"
        )
    return folder


def socket_path(port: str) -> Path:
    """The socket of whoever holds this port; links to the same port have the same one."""
    real = os.path.realpath(port) if os.sep in port and not is_remote(port) else port
    return runtime_folder() / f"{hashlib.sha256(real.encode()).hexdigest()[:16]}.sock"


def shared_ports() -> Iterator[tuple[str, Path]]:
    """Ports that programs of this user hold now, and their sockets."""
    if not SHARES:
        return
    for path in sorted(runtime_folder().glob("*.sock")):
        with suppress(OSError, IcsortError):
            transport = SharedTransport(_connected(path), str(path))
            transport.close()
            yield transport.name, path


def join(port: str, seconds: float = REPLY_SECONDS) -> "SharedTransport | None":
    """The way to a port through the program that holds it; None where none does. Raises OwnerSilentError where that one
    does not answer in time."""
    if not SHARES:
        return None
    try:
        return SharedTransport(_connected(socket_path(port)), port, seconds)
    except OSError:  # nobody listens, or no longer
        return None


def _connected(path: Path) -> socket.socket:
    """Raises OSError where nobody listens."""
    end = socket.socket(socket.AF_UNIX)
    try:
        end.settimeout(REPLY_SECONDS)
        end.connect(str(path))
        if (user := peer_user(end)) not in (None, os.getuid(), 0):
            raise IcsortError(f"{path}: user {user} listens there and not you; remove it")
    except BaseException:
        end.close()
        raise
    return end


def peer_user(end: socket.socket) -> int | None:
    """User id of who is at the other end of a socket, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


class SharedTransport:
    """A board's bytes through the program that holds its port.

    name: of the port. owner: the program. stopped_by: who disarmed what was armed here, once somebody did. seconds: in
    which the program has to answer. Raises OwnerSilentError where it does not, OSError where it has just ended.
    """

    own = False
    """Whether this program holds the port itself."""

    def __init__(self, end: socket.socket, name: str, seconds: float = REPLY_SECONDS) -> None:
        self.name = name
        self.stopped_by: str | None = None
        self._end = end
        self._end.settimeout(POLL_SECONDS)
        self._lost = ""  # why there is no port any more
        self._tail = b""
        self._kept = b""  # arrived while a reply was waited for
        self._replies: list[dict[str, Any]] = []
        try:
            welcome = self.ask("hello", seconds, who=who_am_i())
        except PortGoneError:
            self.close()
            raise OSError("it has just ended") from None
        except BaseException:
            self.close()
            raise
        self.name = str(welcome.get("port", name))
        self.owner = str(welcome.get("owner", "another program"))

    def read(self) -> bytes:
        kept, self._kept = self._kept, b""
        return kept or self._receive()

    def write(self, data: bytes) -> None:
        try:
            self._end.settimeout(REPLY_SECONDS)
            self._end.sendall(data)
        except OSError:
            for _ in range(10):  # it may have said why it went, before it did
                self._keep()
            raise PortGoneError(f"{self.name}: the program that holds the port takes no more; end it") from None
        finally:
            with suppress(OSError):
                self._end.settimeout(POLL_SECONDS)

    def close(self) -> None:
        self._end.close()

    def ask(self, op: str, seconds: float = REPLY_SECONDS, **more: Any) -> dict[str, Any]:
        """Ask the holder itself. Raises IcsortError where it refuses, or does not answer within so many seconds."""
        self._replies.clear()
        self.write(control({"op": op, **more}))
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self._keep()
            for reply in self._replies:
                if reply["op"] == op:
                    if "error" in reply:
                        raise IcsortError(f"{self.name}: {reply['error']}")
                    return reply
        holder = getattr(self, "owner", "the program that holds it")
        raise OwnerSilentError(
            f"{self.name}: {holder} has the port open and does not answer; end that program, which disarms"
        )

    def tell(self, op: str) -> None:
        """Say something to the holder that it does not answer."""
        self.write(control({"op": op}))

    def _keep(self) -> None:
        """Receive, for who reads later."""
        data = self._receive()
        self._kept += data

    def _receive(self) -> bytes:
        try:
            data = self._end.recv(1 << 16)
        except TimeoutError:
            return b""
        except OSError:
            data = b""
        if not data:
            raise PortGoneError(self._lost or f"{self.name}: the program that held the port has ended; connect again")
        *frames, self._tail = (self._tail + data).split(b"\0")
        passed = []
        problem: IcsortError | None = None
        for frame in frames:
            if frame[1:2] == _CONTROL_BYTE:
                problem = self._told(frame) or problem
            else:
                passed.append(frame)
        data = b"\0".join(passed) + b"\0" if passed else b""
        if problem is not None:
            self._kept += data
            raise problem
        return data

    def _told(self, frame: bytes) -> IcsortError | None:
        """Take what the holder says. Returns what it means for who reads: a refusal, or that the port is gone."""
        with suppress(FrameError):
            message = control_message(decode(frame))
            match message["op"]:
                case "refused":
                    return BoardTakenError(f"{self.name}: {message['error']}")
                case "gone":
                    self._lost = str(message["error"])
                    return PortGoneError(self._lost)
                case "stopped":
                    self.stopped_by = str(message["by"])
                case _:
                    self._replies.append(message)
        return None
