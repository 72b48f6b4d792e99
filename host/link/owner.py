# SPDX-License-Identifier: Apache-2.0
"""The one program that has a port open lets others of the same user use it, through a local socket.

Requests go to the board one at a time, answers to who asked, everything else to everybody. What is safe comes first:

- DISARM, from anybody, waits for nothing, is repeated until the board confirms it, and takes from everybody else the
  leave to arm that they asked for before. So does one that went to the board past this program.
- One program at a time may arm, and what an armed board goes by is then changed by nobody else. Where that program ends
  or falls silent, the board is disarmed, however lively the others are.
- What must not be torn apart, as a register that chooses and one that reads, is done in a turn.
"""

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from icsort.errors import IcsortError
from icsort.host.link.protocol import PAST_SEQS, write_request
from icsort.host.link.registers import REGISTERS
from icsort.host.link.shared import CONTROL, TEXT_LIMIT, SharedTransport, control, control_message, peer_user, who_am_i
from icsort.host.link.transport import Transport
from icsort.sim.bit_true.framing import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    Decoder,
    FrameError,
    MessageType,
    decode,
    encode,
)

TICK_SECONDS: Final = 0.05
"""Between looks at who is silent, and tries of a DISARM that the board has not confirmed."""
STOP_SECONDS: Final = 2.0
"""In which a DISARM that the board does not confirm is repeated at each tick, and everything else waits for it."""
SLOW_STOP_SECONDS: Final = 0.5
"""Between its tries from then on, until the board confirms it; others may read meanwhile."""
ANSWER_SECONDS: Final = 1.0
"""After which a request without an answer no longer keeps others waiting."""
LEAST_SILENCE: Final = 1.0
"""Seconds that a program which armed may be silent at least, whatever heartbeat it asked for: the board's own is exact,
this one is for a board that others keep alive."""
MOST_SILENCE: Final = 60.0
TURN_SILENCE: Final = 5.0
"""Seconds after which a program that does nothing loses its turn."""
BACKLOG_BYTES: Final = 64 << 20
"""That wait for a program that does not read; frames beyond are dropped for it, and it sees that they were."""
BESIDE_ARMED: Final = frozenset(
    ("SNAPSHOT", "STATISTICS_PERIOD", "IMAGE_RULE", "IMAGE_REQUEST", "GATE_INDEX", "SCHEDULE_VIEW")
)
"""What others may write while one has armed: nothing that a decision depends on."""
BURST_SECONDS: Final = 0.25
"""Of a program's EVENT frames a second, those that it takes at once after a pause."""
_ANSWERS: Final = frozenset((MessageType.READ_ACK, MessageType.WRITE_ACK, MessageType.NACK))
_NAMES: Final = {register.address: name for name, register in REGISTERS.items()}
_DISARM: Final = REGISTERS["DISARM"].address
_ARMING: Final = frozenset((REGISTERS["ARM"].address, REGISTERS["ARM_TEST"].address))
_IMAGE_RULE: Final = REGISTERS["IMAGE_RULE"].address
_STATE: Final = frozenset((REGISTERS["STATUS"].address, REGISTERS["FAULTS"].address))
"""What a turn that was lost makes no difference to."""
_SCHEDULE_VIEW: Final = REGISTERS["SCHEDULE_VIEW"].address
_ADDRESS: Final = struct.Struct("<H")
_UNCONFIRMED: Final = "the board has not confirmed DISARM, which is tried on; look after its cable and power"


@dataclass(eq=False)
class _Client:
    """A program at the other end of a socket. heard: when it last said something. kinds: types of frames that nobody
    asked for which it wants; None: all. events: EVENT frames that it takes a second; None: all; room: how many it may
    still take, as of `counted`. late: its turn was taken, and it has not noticed."""

    end: socket.socket
    who: str = "a program"
    heard: float = 0.0
    kinds: frozenset[int] | None = None
    events: int | None = None
    room: float = 0.0
    counted: float = 0.0
    late: bool = False
    decoder: Decoder = field(default_factory=Decoder)
    out: bytearray = field(default_factory=bytearray)

    def wants(self, frame: bytes) -> bool:
        """Whether a frame that nobody asked for is for this program, where it does not take all."""
        kind = frame[1] if frame[1:2] else None
        if self.kinds is None or kind not in self.kinds:
            return False
        if self.events is None or kind != MessageType.EVENT:
            return True
        if self.room < 1:
            return False
        self.room -= 1
        return True


@dataclass
class _Leave:
    """To arm: who has it, after how much silence it ends. used: ARM was sent with it. armed: the board may be armed, by
    this one or by one that it had before. waits_for: who had the turn when it was asked for, and may end that as it
    began it."""

    client: _Client
    silence: float
    used: bool = False
    armed: bool = False
    waits_for: _Client | None = None


@dataclass
class _Asked:
    """A request that the board has not answered. client: None where nobody waits for the answer. number: its sequence
    number there; seq: to the board."""

    client: _Client | None
    number: int
    seq: int
    sent: float


@dataclass
class _Stop:
    """A DISARM that the board has not confirmed: who waits for that, with which sequence numbers it was sent. since:
    when it was asked for last. late: nobody waits for it any more."""

    waiting: list[tuple[_Client, int]]
    since: float
    late: bool = False
    sent: float = 0.0
    seqs: set[int] = field(default_factory=set)


class PortOwner:
    """Shares a port, from now until `close`.

    transport: of the port, which is closed with this. path: of the socket; None: nobody else may come.
    """

    def __init__(self, transport: Transport, path: Path | None) -> None:
        self._transport = transport
        self._path = path
        self._who = who_am_i()
        self._lock = threading.RLock()
        self._clients: list[_Client] = []
        self._turn: _Client | None = None
        self._turns: deque[_Client] = deque()
        self._leave: _Leave | None = None
        self._seq = PAST_SEQS.stop - 1
        self._asked: _Asked | None = None
        self._queue: deque[tuple[_Client | None, bytes]] = deque()
        self._images: _Client | None = None  # whose rule IMAGE_RULE has
        self._stop: _Stop | None = None
        self._stop_seqs: set[int] = set()  # those that were last used for a DISARM, confirmed or not
        self._gone: str | None = None
        self._tail = b""
        self._closing = False
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._listener = None if path is None else _listening(path)
        self._threads = [
            threading.Thread(target=self._read_port, name="icsort port", daemon=True),
            threading.Thread(target=self._serve, name="icsort programs", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def local(self) -> SharedTransport:
        """This program's own way to the board; closing it closes the port."""
        here, there = socket.socketpair()
        with self._lock:
            self._admit(there)
        return _OwnTransport(here, self)

    def programs(self) -> list[str]:
        """Who uses the port."""
        with self._lock:
            return [client.who for client in self._clients]

    def close(self) -> None:
        """Disarm what another program armed through this one, send everybody away, give the port back."""
        with self._lock:
            if self._closing:
                return
            if self._leave is not None and self._leave.armed:
                self._disarm(None, 0, f"the end of {self._who}")
            limit = time.monotonic() + STOP_SECONDS
        while self._stop is not None and self._gone is None and time.monotonic() < limit:
            time.sleep(TICK_SECONDS / 5)
        with self._lock:
            self._send_away(f"{self._transport.name}: {self._who}, which held the port, has ended; connect again")
            self._closing = True
        self._wake.send(b"\0")
        for thread in self._threads:
            thread.join()
        self._transport.close()
        for end in (self._wake, self._woken):
            end.close()

    # What the board sends

    def _read_port(self) -> None:
        while not self._closing and self._gone is None:
            try:
                data = self._transport.read()
                with self._lock:
                    self._arrived(data)
            except Exception as error:  # whatever it is: who is left alone disarms by its heartbeat
                with self._lock:
                    if not self._closing:
                        self._send_away(str(error))
                return

    def _arrived(self, data: bytes) -> None:
        *frames, self._tail = (self._tail + data).split(b"\0")
        passed = []
        for frame in frames:
            if frame[1:2] and frame[1] in _ANSWERS and self._answered(frame):
                continue
            passed.append(frame)
        if len(self._tail) > 2 * MAX_FRAME_BYTES:  # noise: who counts it shall see it
            passed.append(self._tail)
            self._tail = b""
        if not passed:
            return
        everything = b"\0".join(passed) + b"\0"
        for client in list(self._clients):
            if client.kinds is None:
                self._send(client, everything, may_drop=True)
                continue
            if client.events is not None:
                now = time.monotonic()
                came = (now - client.counted) * client.events
                client.counted, client.room = now, min(client.events * BURST_SECONDS, client.room + came)
                if client.out:  # it is behind: what it shows is to be of now
                    client.room = 0.0
            if wanted := [frame for frame in passed if client.wants(frame)]:
                self._send(client, b"\0".join(wanted) + b"\0", may_drop=True)

    def _answered(self, frame: bytes) -> bool:
        """Give an answer to who asked. Returns whether it is one."""
        try:
            payload = decode(frame)
        except FrameError:
            return False
        kind, seq, asked, stop = payload[0], payload[1], self._asked, self._stop
        disarmed = kind == MessageType.WRITE_ACK and payload[HEADER_BYTES:].startswith(_ADDRESS.pack(_DISARM))
        if disarmed and seq not in self._stop_seqs:
            self._disarmed_past()
        elif stop is not None and seq in stop.seqs and (disarmed or kind == MessageType.NACK):
            for client, number in stop.waiting:
                self._send(client, encode(bytes([kind, number]) + payload[HEADER_BYTES:]))
            stop.waiting.clear()
            if disarmed:
                self._stop = None
        elif asked is not None and asked.seq == seq and not disarmed:
            self._asked = None
            if asked.client is not None:
                self._send(asked.client, encode(bytes([kind, asked.number]) + payload[HEADER_BYTES:]))
            if stop is not None:  # the board took no DISARM while it answered this
                self._send_stop()
        self._pump()
        return True

    # What programs send

    def _serve(self) -> None:
        last = 0.0
        while not self._closing:
            with self._lock:
                ends = {client.end: client for client in self._clients}
                writing = [end for end, client in ends.items() if client.out]
            listening = [] if self._listener is None else [self._listener]
            try:
                readable, writable, _ = select.select([self._woken, *listening, *ends], writing, [], TICK_SECONDS)
            except (OSError, ValueError):  # one of them has just been closed
                continue
            with self._lock:
                for end in readable:
                    if end is self._woken:
                        self._woken.recv(1024)
                    elif end is self._listener:
                        with contextlib.suppress(OSError):
                            self._admit(self._listener.accept()[0])
                    elif end in ends:
                        self._hear(ends[end])
                for end in writable:
                    self._flush(ends[end])
                if (now := time.monotonic()) - last >= TICK_SECONDS:
                    last = now
                    self._tick(now)

    def _admit(self, end: socket.socket) -> None:
        end.setblocking(False)
        if peer_user(end) not in (None, os.getuid(), 0):
            end.close()
            return
        self._clients.append(_Client(end, heard=time.monotonic()))
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _hear(self, client: _Client) -> None:
        if client not in self._clients:
            return
        try:
            data = client.end.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leaves(client)
            return
        client.heard = time.monotonic()
        for payload in client.decoder.feed(data):
            try:
                if payload[0] == CONTROL:
                    self._control(client, control_message(payload))
                else:
                    self._request(client, payload)
            except Exception:  # what it said is no reason to stop serving the others
                self._refuse(client, "the other program is of another icsort, and not understood; use one version")

    def _request(self, client: _Client, payload: bytes) -> None:
        kind, seq = payload[0], payload[1]
        (address,) = _ADDRESS.unpack_from(payload, HEADER_BYTES)
        if kind == MessageType.WRITE:
            if address == _DISARM:
                self._disarm(client, seq, client.who)
                return
            name = _NAMES.get(address, f"{address:#06x}")
            leave = self._leave
            if leave is not None and client not in (leave.client, leave.waits_for) and name not in BESIDE_ARMED:
                self._refuse(
                    client, f"{leave.client.who} has armed the board, {name} stays as it is; `icsort disarm` first"
                )
                return
            if self._turn not in (None, client):
                self._refuse(client, f"it is the turn of {self._turn.who}; do it again")
                return
        elif kind != MessageType.READ:
            raise FrameError("no request")
        if client.late and address not in _STATE:
            self._refuse(client, f"silent for {TURN_SILENCE:g} s, and its turn is over; do it again from the start")
            return
        if self._asked is not None and self._asked.client is client:  # a retry of it
            self._asked = None
        self._forget(client)
        self._queue.append((client, payload))
        self._pump()

    def _control(self, client: _Client, message: dict[str, Any]) -> None:
        op, reply = message["op"], dict[str, Any]()
        match op:
            case "hello":
                client.who = str(message["who"])[:TEXT_LIMIT]
                reply = {"port": self._transport.name, "owner": self._who}
            case "turn":
                client.late = False
                if self._turn not in (None, client):
                    if client not in self._turns:
                        self._turns.append(client)
                    return
                self._turn = client
            case "end":
                client.late = False
                self._end_turn(client, whole=True)
                return
            case "claim":
                if message.get("keep") and (self._leave is None or self._leave.client is not client):
                    reply["error"] = "it was disarmed meanwhile; arm again when it may sort"
                elif self._leave is not None and self._leave.client is not client:
                    reply["error"] = (
                        f"{self._leave.client.who} has armed the board or is about to, and one at a time may; end that "
                        "one, or `icsort disarm` first"
                    )
                elif self._stop is not None and self._stop.late:
                    reply["error"] = _UNCONFIRMED
                else:
                    silence = min(MOST_SILENCE, max(LEAST_SILENCE, float(message["heartbeat"])))
                    may_be_armed = self._leave is not None and self._leave.armed
                    waits_for = None if may_be_armed else self._turn
                    self._leave = _Leave(client, silence, armed=may_be_armed, waits_for=waits_for)
            case "release":
                if self._leave is not None and self._leave.client is client:
                    if self._leave.armed:  # as before it asked anew: the next disarm ends it
                        self._leave.used = True
                    else:
                        self._leave = None
            case "images":
                if self._images not in (None, client):
                    reply["by"] = self._images.who
            case "only":
                client.kinds = frozenset(int(kind) for kind in message["kinds"])
                most = message.get("events")
                client.events = None if most is None else max(1, int(most))
            case "armed":
                if self._leave is not None:
                    reply["by"] = self._leave.client.who
            case "programs":
                reply["programs"] = ", ".join(self.programs())[:TEXT_LIMIT]
            case _:
                raise FrameError(op)
        self._send(client, control({"op": op, **reply}))

    def _refuse(self, client: _Client, why: str) -> None:
        self._send(client, control({"op": "refused", "error": why[:TEXT_LIMIT]}))

    def _leaves(self, client: _Client) -> None:
        """A program has ended."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        client.end.close()
        self._forget(client)
        if client in self._turns:
            self._turns.remove(client)
        self._end_turn(client, whole=False)
        if self._images is client:
            self._images = None
            self._queue.append((None, bytes([MessageType.WRITE, 0]) + struct.pack("<HI", _IMAGE_RULE, 0)))
        if self._leave is not None and self._leave.client is client:
            armed, self._leave = self._leave.armed, None
            if armed:
                self._disarm(None, 0, f"the end of {client.who}")
        self._pump()

    def _end_turn(self, client: _Client, whole: bool) -> None:
        """whole: what was begun was done; else the registers may show what they usually do not."""
        if self._turn is not client:
            return
        self._turn = None
        if self._leave is not None and self._leave.waits_for is client:
            self._leave.waits_for = None
        if not whole:
            self._queue.append((None, bytes([MessageType.WRITE, 0]) + struct.pack("<HI", _SCHEDULE_VIEW, 0)))
            self._pump()
        if self._turns:
            self._turn = self._turns.popleft()
            self._turn.heard = time.monotonic()
            self._send(self._turn, control({"op": "turn"}))

    # Disarm

    def _disarm(self, client: _Client | None, seq: int, who: str) -> None:
        leave = self._leave
        if leave is not None and leave.client is client and not leave.used:
            leave.armed = False  # it begins so, and arms then
        elif leave is not None:
            self._leave = None
            if leave.client is not client:
                self._send(leave.client, control({"op": "stopped", "by": who[:TEXT_LIMIT]}))
        now = time.monotonic()
        self._stop = self._stop or _Stop([], now)
        self._stop.since, self._stop.late = now, False
        if client is not None:
            self._stop.waiting.append((client, seq))
        self._send_stop()

    def _disarmed_past(self) -> None:
        """The board has confirmed a DISARM that was not sent from here: whoever sent it found no way through."""
        if self._leave is not None:
            # ARM may be under way, or have come behind it.
            self._disarm(None, 0, "`icsort disarm`, past the program that has the port,")

    def _send_stop(self) -> None:
        assert self._stop is not None
        self._next_seq()
        self._stop.seqs.add(self._seq)
        self._stop_seqs.add(self._seq)
        self._stop.sent = time.monotonic()
        self._write(b"\0" + write_request(self._seq, _DISARM, 1))

    def _tick(self, now: float) -> None:
        if self._gone is not None:
            return
        if (stop := self._stop) is not None:
            if now - stop.since > STOP_SECONDS:
                stop.late = True
                stop.waiting.clear()  # who asked asks again, or says that it was not confirmed
            if now - stop.sent >= (SLOW_STOP_SECONDS if stop.late else TICK_SECONDS):
                self._send_stop()
        leave = self._leave
        if leave is not None and leave.client in self._turns:  # it waits for others
            leave.client.heard = now
        if leave is not None and leave.armed and now - leave.client.heard > leave.silence:
            self._send(leave.client, control({"op": "stopped", "by": f"{self._who}, which heard nothing from here,"}))
            self._leave = None
            self._disarm(None, 0, self._who)
        turn = self._turn
        if turn is not None and now - turn.heard > TURN_SILENCE and not self._waits(turn):
            turn.late = True
            self._end_turn(turn, whole=False)
        self._pump()

    # One request at a time

    def _forget(self, client: _Client) -> None:
        """What a program asked for and was not sent yet."""
        self._queue = deque(entry for entry in self._queue if entry[0] is not client)

    def _waits(self, client: _Client) -> bool:
        """Whether a program waits for the board's answer."""
        asked = self._asked
        return (asked is not None and asked.client is client) or any(entry[0] is client for entry in self._queue)

    def _next_seq(self) -> None:
        self._seq += 1
        if self._seq > 255:
            self._seq = PAST_SEQS.stop  # the others are those of who goes past this
        self._stop_seqs.discard(self._seq)
        if self._stop is not None:
            self._stop.seqs.discard(self._seq)

    def _pump(self) -> None:
        """Send the next request, where nothing is in its way."""
        now, stop, asked = time.monotonic(), self._stop, self._asked
        if (stop is not None and not stop.late) or (asked is not None and now - asked.sent < ANSWER_SECONDS):
            return
        self._asked = None
        while self._queue:
            client, payload = self._queue.popleft()
            (address,) = _ADDRESS.unpack_from(payload, HEADER_BYTES)
            if stop is not None and payload[0] == MessageType.WRITE and _NAMES.get(address) not in BESIDE_ARMED:
                if client is not None:
                    self._refuse(client, _UNCONFIRMED)
                continue
            if payload[0] == MessageType.WRITE and address in _ARMING:
                leave = self._leave
                if client is None or leave is None or leave.client is not client:
                    if client is not None:
                        self._refuse(client, "it was disarmed meanwhile; arm again when it may sort")
                    continue
                leave.used = leave.armed = True
            if payload[0] == MessageType.WRITE and address == _IMAGE_RULE:
                self._images = client if any(payload[HEADER_BYTES + _ADDRESS.size :]) else None
            self._next_seq()
            self._asked = _Asked(client, payload[1], self._seq, now)
            self._write(b"\0" + encode(bytes([payload[0], self._seq]) + payload[HEADER_BYTES:]))
            return

    def _write(self, data: bytes) -> None:
        if self._gone is not None:
            return
        try:
            self._transport.write(data)
        except IcsortError as error:
            self._send_away(str(error))

    # Sockets

    def _send(self, client: _Client, data: bytes, may_drop: bool = False) -> None:
        if may_drop and len(client.out) > BACKLOG_BYTES:
            return
        waiting = bool(client.out)
        client.out += data
        if not waiting:
            self._flush(client)
            if client.out:
                with contextlib.suppress(OSError):
                    self._wake.send(b"\0")

    @staticmethod
    def _flush(client: _Client) -> None:
        # One that is gone is noticed where it is read.
        with contextlib.suppress(OSError):
            sent = client.end.send(client.out)
            del client.out[:sent]

    def _send_away(self, why: str) -> None:
        """The port is no more: everybody is told, and nobody comes any longer."""
        if self._gone is not None:
            return
        self._gone = why
        self._leave = self._stop = None
        if self._listener is not None:
            assert self._path is not None
            self._path.unlink(missing_ok=True)
            self._listener.close()
            self._listener = None
        for client in self._clients:
            self._send(client, control({"op": "gone", "error": why[:TEXT_LIMIT]}))
            with contextlib.suppress(OSError):
                client.end.setblocking(True)
                client.end.settimeout(1.0)
                client.end.sendall(client.out)
            client.end.close()
        self._clients.clear()


class _OwnTransport(SharedTransport):
    """That of the program that holds the port."""

    own = True

    def __init__(self, end: socket.socket, owner: PortOwner) -> None:
        self.port_owner = owner
        super().__init__(end, "")

    def close(self) -> None:
        self.port_owner.close()
        super().close()


def _listening(path: Path) -> socket.socket:
    """A socket at this path, in place of one that nobody listens at: who has the port has the path."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise IcsortError(
            f"{path}: cannot be made ({error.strerror or error}); set XDG_RUNTIME_DIR to a folder of yours"
        ) from None
    return listener
