# SPDX-License-Identifier: Apache-2.0
"""The sorter as an object: who it is, its registers by name, gate, arm, counters, events."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from icsort.errors import IcsortError
from icsort.formats.gate import class_mask, posterior_threshold
from icsort.host.link.protocol import Answer, EventRecord, Nack, parse, read_request, write_request
from icsort.host.link.registers import REGISTERS
from icsort.host.link.transport import BAUDS, SerialTransport, Transport, send_past
from icsort.sim.bit_true.framing import PROTOCOL_VERSION, Decoder, FrameError, NackCode

if TYPE_CHECKING:  # the command line starts without numpy
    from icsort.formats.package import Manifest

TRIES: Final = 3
STOPS: Final = 10
DEFAULT_TIMEOUT: Final = 1.0
DEFAULT_HEARTBEAT: Final = 2.0
"""Seconds of silence after which the board disarms itself."""
DEFAULT_DROP_DELAY_US: Final = 500.0
"""Assumption: the path from the laser to the sorting point is the instrument's, not ours; set it for yours."""
DEFAULT_PULSE_US: Final = 5.0
"""Assumption, as above: the actuator decides."""
OUTCOME_COUNTERS: Final = ("SORTED", "REJECTED", "DISARMED", "LATE", "ABORTED", "CONFLICT")
COUNTERS: Final = (
    *("ACCEPTED", "MISSED", *OUTCOME_COUNTERS),
    *("RECORDS_LOST", "LINE_ERRORS", "LINE_STALLS", "LINK_BAD_FRAMES", "LINK_GOOD_FRAMES", "HEARTBEATS_LOST"),
    *("LINE_GAPS", "LINES_STOPPED", "DEAD_TIME"),
)


@dataclass(frozen=True)
class Identity:
    """What a board says it is. The ids are 16 hex digits."""

    build_id: str
    model_id: str
    classes: int
    channels: int
    height: int
    width: int
    clock_hz: int


@dataclass(frozen=True)
class Gate:
    """The gate in force. mask: bit c = class c. posterior: least of the set, unsigned 0.16. serial: commits."""

    mask: int
    posterior: int
    serial: int


class DisarmedBy(IntEnum):
    """What made the board disarm last."""

    NOTHING = 0
    HOST = 1
    HEARTBEAT = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Status:
    """State of the sorter at the moment of reading."""

    armed: bool
    gate_valid: bool
    idle: bool
    disarmed_by: DisarmedBy


@dataclass
class Losses:
    """What did not reach the host, told from gaps. Counting begins with the first event received.

    events: event ids without a record. frames: EVENT frames lost on the link (each is one of the events above; the
    rest the board dropped because its record FIFO was full). bad_frames: frames received damaged. restarts: event ids
    that went backwards, so the board was reset.
    """

    events: int = 0
    frames: int = 0
    bad_frames: int = 0
    restarts: int = 0
    _next: tuple[int, int] | None = field(default=None, repr=False)

    def see(self, event: EventRecord) -> None:
        """Take note of the next event received."""
        if self._next is not None:
            event_id, seq = self._next
            gap = (event.event_id - event_id) % 2**32
            if gap >= 2**31:
                self.restarts += 1
            else:
                self.events += gap
                self.frames += (event.seq - seq) % 256
        self._next = ((event.event_id + 1) % 2**32, (event.seq + 1) % 256)


class Sorter:
    """A board behind a transport. One request at a time; each is tried TRIES times, then one clear error.

    timeout: seconds of silence after which a try has failed. Events that arrive meanwhile are kept for `events`.
    What this object armed it disarms when it is closed.
    """

    def __init__(self, transport: Transport, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.losses = Losses()
        self.retries = 0
        self._transport = transport
        self._timeout = timeout
        self._decoder = Decoder()
        self._seq = 0
        self._answers: deque[Answer | Nack] = deque()
        self._events: deque[EventRecord] = deque()
        self._heartbeat: float | None = None  # seconds, from before ARM is sent until DISARM is confirmed
        self._alive = 0.0  # when the board last answered
        # Whatever half frame the board has seen so far ends here.
        transport.write(b"\0")

    @classmethod
    def open(cls, port: str, bauds: Sequence[int] = BAUDS, timeout: float = DEFAULT_TIMEOUT) -> "Sorter":
        """The board at a serial port, at the first of these baud rates at which it answers.

        Raises IcsortError where the port cannot be had or no icsort board answers.
        """
        transport = SerialTransport(port, bauds[0])
        try:
            sorter = cls(transport, timeout)
            if len(bauds) > 1:
                sorter._find_baud(transport, bauds)
            sorter.check_protocol()
            sorter.losses.bad_frames = 0  # the board may have been in the middle of a frame when the port was opened
        except BaseException:
            transport.close()
            raise
        return sorter

    def close(self) -> None:
        """Disarm what was armed here, then give the port back. Raises IcsortError where that was not confirmed."""
        try:
            if self._heartbeat is not None:
                self.disarm()
        except IcsortError as error:
            raise IcsortError(
                f"{error}; the board may still be armed: its heartbeat disarms it {self._heartbeat:g} s after the last "
                "request"
            ) from None
        finally:
            self._transport.close()

    def __enter__(self) -> "Sorter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Registers

    def read(self, name: str) -> int:
        """Value of the register of that name. Raises IcsortError where the board does not answer or refuses."""
        address = REGISTERS[name].address
        return self._ask(name, address, False, lambda seq: read_request(seq, address))

    def write(self, name: str, value: int) -> int:
        """Write a register; returns the value read back, 0 of a strobe; another where it was not taken."""
        address = REGISTERS[name].address
        return self._ask(name, address, True, lambda seq: write_request(seq, address, value))

    def write_checked(self, name: str, value: int) -> None:
        """Write a register that must read back as written. Raises IcsortError where it does not."""
        back = self.write(name, value)
        if back != value:
            raise IcsortError(
                f"{self._transport.name}: {name} reads back {back} after writing {value}; the board does not keep it, "
                "check that the build is the one expected (`icsort info`)"
            )

    def read64(self, name: str) -> int:
        """Value of the register pair NAME_LO, NAME_HI."""
        return self.read(f"{name}_LO") | self.read(f"{name}_HI") << 32

    # Identity

    def check_protocol(self) -> None:
        """Raises IcsortError where the board is no icsort board or speaks another version."""
        magic = self.read("MAGIC")
        if magic != REGISTERS["MAGIC"].fields["value"].reset:
            raise IcsortError(
                f"{self._transport.name}: not an icsort board (MAGIC is {magic:#010x}); choose another port"
            )
        version = self.read("PROTOCOL")
        if version != PROTOCOL_VERSION:
            raise IcsortError(
                f"{self._transport.name}: the board speaks protocol {version}, this icsort {PROTOCOL_VERSION}; "
                "install the icsort that the board was built with, or program it with a build of this one"
            )

    def identify(self) -> Identity:
        """Ids, geometry and clock of the board."""
        self.check_protocol()
        geometry = self._fields("GEOMETRY")
        return Identity(
            build_id=f"{self.read64('BUILD_ID'):016x}",
            model_id=f"{self.read64('MODEL_ID'):016x}",
            classes=geometry["classes"],
            channels=geometry["channels"],
            height=geometry["height"],
            width=geometry["width"],
            clock_hz=self.read("CLOCK_HZ"),
        )

    def check_model(self, manifest: "Manifest", build_id: str | None = None) -> Identity:
        """Refuse a board that was not built from this model package, or, where build_id is given, not by this build."""
        board = self.identify()
        port = self._transport.name
        if build_id is not None and board.build_id != build_id:
            raise IcsortError(
                f"{port}: the board holds build {board.build_id}, the folder is build {build_id}; "
                "program the board with this build, or give the folder of the build that it holds"
            )
        if board.model_id != manifest.model_id:
            raise IcsortError(
                f"{port}: the board holds model {board.model_id}, the folder is model {manifest.model_id}; "
                "program the board with a build of this model, or give the folder of the model that it holds"
            )
        shape = manifest.input
        of_model = (len(manifest.classes), shape.channels, shape.height, shape.width)
        of_board = (board.classes, board.channels, board.height, board.width)
        if of_board != of_model:
            raise IcsortError(
                f"{port}: the board was built for {of_board} classes, channels, height, width but the model has "
                f"{of_model}; program the board with a build of this model"
            )
        return board

    def status(self) -> Status:
        """Armed, gate valid, idle, and what disarmed it last."""
        fields = self._fields("STATUS")
        return Status(
            bool(fields["armed"]), bool(fields["gate_valid"]), bool(fields["idle"]), DisarmedBy(fields["disarmed_by"])
        )

    # Gate and arm

    def set_gate(self, classes: Sequence[str], posterior: float, manifest: "Manifest") -> Gate:
        """Put a gate in force: sort cells whose class is one of `classes` and whose set posterior is at least that.

        The shadow registers are read back before they are committed, the gate in force after. Raises IcsortError for
        a class that the model does not know, a posterior outside 0..1, and a board that does not keep the gate.
        """
        mask = class_mask(classes, manifest.classes)
        threshold = posterior_threshold(posterior)
        self.write_checked("GATE_CLASSES_LO", mask & 0xFFFFFFFF)
        self.write_checked("GATE_CLASSES_HI", mask >> 32)
        self.write_checked("GATE_POSTERIOR", threshold)
        self.write("GATE_COMMIT", 1)
        gate = self.gate()
        if (gate.mask, gate.posterior) != (mask, threshold):
            raise IcsortError(
                f"{self._transport.name}: the board did not take the gate (class set {gate.mask:#x}, posterior "
                f"{gate.posterior}); disarm, and set it again"
            )
        return gate

    def gate(self) -> Gate:
        """The gate in force."""
        return Gate(self.read64("GATE_ACTIVE_CLASSES"), self.read("GATE_ACTIVE_POSTERIOR"), self.read("GATE_SERIAL"))

    def arm(
        self,
        manifest: "Manifest",
        drop_delay_us: float = DEFAULT_DROP_DELAY_US,
        pulse_us: float = DEFAULT_PULSE_US,
        build_id: str | None = None,
        heartbeat: float = DEFAULT_HEARTBEAT,
    ) -> tuple[int, int]:
        """Set trigger and timing from the model package and arm. Returns drop delay and pulse length in cycles.

        drop_delay_us: first beat of a cell to its sort pulse; pulse_us: length of the pulse; microseconds. heartbeat:
        seconds without a request after which the board disarms itself; `events` and `counters` keep it alive. Raises
        IcsortError where the board holds another build or model, has no gate, does not arm, or the times do not fit its
        registers.
        """
        board = self.check_model(manifest, build_id)
        delay = _cycles("drop delay", drop_delay_us, board.clock_hz, "DROP_DELAY")
        pulse = _cycles("pulse", pulse_us, board.clock_hz, "PULSE_CYCLES")
        silence = _cycles("heartbeat", heartbeat * 1e6, board.clock_hz, "HEARTBEAT")
        if not self.status().gate_valid:
            raise IcsortError(f"{self._transport.name}: no gate is set; set one with `icsort gate set CLASS...` first")
        self.disarm()
        self.write_checked("TRIGGER_CHANNEL", manifest.trigger.channel)
        self.write_checked("TRIGGER_THRESHOLD", manifest.trigger.threshold)
        self.write_checked("DROP_DELAY", delay)
        self.write_checked("PULSE_CYCLES", pulse)
        self.write_checked("HEARTBEAT", silence)
        self._heartbeat = heartbeat
        self.write("ARM", 1)
        self.check_armed()
        return delay, pulse

    def disarm(self) -> None:
        """No sort pulse begins from here on. Raises IcsortError where the board does not confirm it."""
        self.write("DISARM", 1)
        if self.status().armed:
            raise IcsortError(f"{self._transport.name}: the board stays armed; switch the sorter off")
        self._heartbeat = None

    def check_armed(self) -> None:
        """Raises IcsortError where the board is not armed, with what disarmed it."""
        status = self.status()
        if not status.armed:
            self._heartbeat = None
            causes = {
                DisarmedBy.HOST: "`icsort disarm` stopped it; arm again when it may sort",
                DisarmedBy.HEARTBEAT: "it heard nothing from here for too long; arm again, with a longer --heartbeat",
            }
            cause = causes.get(status.disarmed_by, "it was reset or did not take ARM; look after it, then arm again")
            raise IcsortError(f"{self._transport.name}: the board is not armed: {cause}")

    # Counters and events

    def counters(self) -> dict[str, int]:
        """All counters, latched together, and TIMESTAMP (cycles since reset) of that moment."""
        self.write("SNAPSHOT", 1)
        return {"TIMESTAMP": self.read64("TIMESTAMP"), **{name: self.read(name) for name in COUNTERS}}

    def events(self, count: int | None = None, idle: float | None = None) -> Iterator[EventRecord | None]:
        """Events in the order of arrival, and None at least every 50 ms in which none came.

        Ends after `count` events, or after `idle` seconds without one; else when the caller stops. `losses` is up to
        date with every event. Keeps the heartbeat of a board that was armed here. Raises IcsortError once the port is
        gone, or the board no longer armed.
        """
        left = count
        last = time.monotonic()
        while left is None or left > 0:
            if self._heartbeat is not None and time.monotonic() - self._alive > self._heartbeat / 8:
                self.check_armed()
            if not self._events:
                self._receive()
            if self._events:
                last = time.monotonic()
                left = None if left is None else left - 1
                yield self._events.popleft()
            elif idle is not None and time.monotonic() - last >= idle:
                return
            else:
                yield None

    # Below: one exchange on the link

    def _fields(self, name: str) -> dict[str, int]:
        value = self.read(name)
        return {key: value >> f.low & (1 << f.bits) - 1 for key, f in REGISTERS[name].fields.items()}

    def _receive(self) -> tuple[int, int]:
        """Sort what has arrived into answers and events. Returns how many bytes and how many messages arrived."""
        data = self._transport.read()
        frames = 0
        for payload in self._decoder.feed(data):
            try:
                message = parse(payload)
            except FrameError:
                self.losses.bad_frames += 1
                continue
            frames += 1
            if isinstance(message, EventRecord):
                self.losses.see(message)
                self._events.append(message)
            else:
                self._answers.append(message)
        self.losses.bad_frames += self._decoder.bad
        self._decoder.bad = 0
        return len(data), frames

    def _find_baud(self, transport: SerialTransport, bauds: Sequence[int]) -> None:
        """Set the rate at which the board answers. Raises IcsortError where it answers at none."""
        noise = 0
        address = REGISTERS["MAGIC"].address
        for baud in bauds:
            transport.baud = baud
            transport.write(b"\0" + read_request(self._seq, address))
            answer, received = self._wait(address, False, self._timeout / 2)
            if answer:
                return
            noise += received
        raise IcsortError(_why_no_answer(transport.name, noise, f"requests at {', '.join(map(str, bauds))} baud"))

    def _ask(self, name: str, address: int, is_write: bool, request: Callable[[int], bytes]) -> int:
        # A retry repeats the sequence number: all requests may be carried out twice, and a late answer to the first
        # try is as good as one to the second.
        self._seq = (self._seq + 1) % 256
        frame = request(self._seq)
        noise = 0
        for attempt in range(TRIES):
            if attempt:
                self.retries += 1
                frame = b"\0" + request(self._seq)  # end whatever damaged frame the board is still in
            self._answers.clear()
            self._transport.write(frame)
            answer, received = self._wait(address, is_write, self._timeout)
            noise += received
            if answer:
                self._alive = time.monotonic()
            if isinstance(answer, Answer):
                return answer.data
            if isinstance(answer, Nack) and answer.code == NackCode.BAD_ADDRESS:
                verb = "write" if is_write else "read"
                raise IcsortError(
                    f"{self._transport.name}: the board refuses to {verb} {name} at {address:#06x}; its register map "
                    "is another one, program it with a build of this icsort"
                )
            if isinstance(answer, Nack):
                raise IcsortError(
                    f"{self._transport.name}: the board does not understand a request for {name} "
                    f"({answer.code.name.lower()}); program it with a build of this icsort"
                )
        raise IcsortError(_why_no_answer(self._transport.name, noise, f"{TRIES} requests for {name}"))

    def _wait(self, address: int, is_write: bool, timeout: float) -> tuple[Answer | Nack | None, int]:
        """The answer with the current sequence number, or None after a silence or, events or not, after ten.

        Silence is what has no intact frame. Also returns the bytes that arrived, 0 where any frame was intact.
        """
        begun = quiet = time.monotonic()
        noise, intact = 0, False
        while True:
            received, frames = self._receive()
            noise += received
            if frames:
                quiet, intact = time.monotonic(), True
            while self._answers:
                answer = self._answers.popleft()
                if answer.seq != self._seq:
                    continue  # of an earlier try
                if isinstance(answer, Nack) or (answer.address, answer.is_write) == (address, is_write):
                    return answer, 0
            now = time.monotonic()
            if now - quiet >= timeout or now - begun >= 10 * timeout:
                return None, 0 if intact else noise


def disarm_past(port: str) -> None:
    """Tell a board to disarm although another program has its port open. Raises IcsortError where nothing can be sent.

    The answer reaches the other program, and a request that meets one of the other's is dropped: it is sent several
    times.
    """
    for seq in range(STOPS):
        send_past(port, b"\0" + write_request(seq, REGISTERS["DISARM"].address, 1))
        time.sleep(0.02)


def _why_no_answer(port: str, noise: int, request: str) -> str:
    if noise:
        return (
            f"{port}: {noise} bytes arrived but no frame of an icsort board, and no answer to {request}; this is "
            "another device's port, the wrong --baud, or a bad cable"
        )
    return f"{port}: no answer to {request}; check that an icsort board is on this port, its power, and --baud"


def build_key(folder: Path) -> tuple[str, int] | None:
    """Build id and baud rate in build.json of a build folder; None for a model package, which has no such file."""
    path = folder / "build.json"
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        build_id, baud = data["build_id"], data["baud"]
        if int(build_id, 16) >= 0 and len(build_id) == 16 and type(baud) is int and baud > 0:
            return str(build_id).lower(), baud
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise IcsortError(f"{path}: no build id and baud rate in it; compile the model again with `icsort compile`")


def _cycles(what: str, microseconds: float, clock_hz: int, register: str) -> int:
    limit = (1 << REGISTERS[register].fields["value"].bits) - 1
    if math.isfinite(microseconds):
        cycles = round(microseconds * clock_hz / 1e6)
        if 1 <= cycles <= limit:
            return cycles
    raise IcsortError(
        f"{what} of {microseconds} us is not within 1..{limit} cycles of the board's {clock_hz / 1e6:g} MHz clock; "
        f"give at most {limit / clock_hz * 1e6:.0f} us"
    )
