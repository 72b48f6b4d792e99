# SPDX-License-Identifier: Apache-2.0
"""The sorter as an object: who it is, its registers by name, gate, arm, counters, events."""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from icsort.errors import IcsortError
from icsort.host.link.protocol import Answer, EventRecord, Nack, parse, read_request, write_request
from icsort.host.link.registers import REGISTERS
from icsort.host.link.transport import DEFAULT_BAUD, SerialTransport, Transport
from icsort.sim.bit_true.framing import PROTOCOL_VERSION, Decoder, FrameError, NackCode

if TYPE_CHECKING:  # the command line starts without numpy
    from icsort.formats.package import Manifest

TRIES: Final = 3
DEFAULT_TIMEOUT: Final = 1.0
DEFAULT_DROP_DELAY_US: Final = 500.0
"""Assumption: the path from the laser to the sorting point is the instrument's, not ours; set it for yours."""
DEFAULT_PULSE_US: Final = 5.0
"""Assumption, as above: the actuator decides."""
MAX_POSTERIOR: Final = 2**16 - 1
OUTCOME_COUNTERS: Final = ("SORTED", "REJECTED", "DISARMED", "LATE", "ABORTED", "CONFLICT")
COUNTERS: Final = (
    *("ACCEPTED", "MISSED", *OUTCOME_COUNTERS),
    *("RECORDS_LOST", "LINE_ERRORS", "LINE_STALLS", "LINK_BAD_FRAMES", "LINK_GOOD_FRAMES"),
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


@dataclass(frozen=True)
class Status:
    """State of the sorter at the moment of reading."""

    armed: bool
    gate_valid: bool
    idle: bool


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
        # Whatever half frame the board has seen so far ends here.
        transport.write(b"\0")

    @classmethod
    def open(cls, port: str, baud: int = DEFAULT_BAUD, timeout: float = DEFAULT_TIMEOUT) -> "Sorter":
        """The board at a serial port. Raises IcsortError where the port cannot be had or no icsort board answers."""
        transport = SerialTransport(port, baud)
        try:
            sorter = cls(transport, timeout)
            sorter.check_protocol()
            sorter.losses.bad_frames = 0  # the board may have been in the middle of a frame when the port was opened
        except BaseException:
            transport.close()
            raise
        return sorter

    def close(self) -> None:
        """Give the port back; the board goes on as it is."""
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
        """Write a register; returns the value read back, which differs where the hardware did not take it."""
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
        expected = (len(manifest.classes), shape.channels, shape.height, shape.width)
        found = (board.classes, board.channels, board.height, board.width)
        if found != expected:
            raise IcsortError(
                f"{port}: the board was built for {found} classes, channels, height, width but the model has "
                f"{expected}; program the board with a build of this model"
            )
        return board

    def status(self) -> Status:
        """Armed, gate valid, idle."""
        fields = self._fields("STATUS")
        return Status(bool(fields["armed"]), bool(fields["gate_valid"]), bool(fields["idle"]))

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
    ) -> tuple[int, int]:
        """Set trigger and timing from the model package and arm. Returns drop delay and pulse length in cycles.

        drop_delay_us: first beat of a cell to its sort pulse; pulse_us: length of the pulse; microseconds. Raises
        IcsortError where the board holds another build or model, has no gate, or the times do not fit its registers.
        """
        board = self.check_model(manifest, build_id)
        delay = _cycles("drop delay", drop_delay_us, board.clock_hz, "DROP_DELAY")
        pulse = _cycles("pulse", pulse_us, board.clock_hz, "PULSE_CYCLES")
        if not self.status().gate_valid:
            raise IcsortError(f"{self._transport.name}: no gate is set; set one with `icsort gate set CLASS...` first")
        self.disarm()
        self.write_checked("TRIGGER_CHANNEL", manifest.trigger.channel)
        self.write_checked("TRIGGER_THRESHOLD", manifest.trigger.threshold)
        self.write_checked("DROP_DELAY", delay)
        self.write_checked("PULSE_CYCLES", pulse)
        self.write_checked("CONTROL", 1 << REGISTERS["CONTROL"].fields["arm"].low)
        return delay, pulse

    def disarm(self) -> None:
        """No sort pulse begins from here on."""
        self.write_checked("CONTROL", 0)

    # Counters and events

    def counters(self) -> dict[str, int]:
        """All counters, latched together, and TIMESTAMP (cycles since reset) of that moment."""
        control = REGISTERS["CONTROL"].fields
        armed = self.read("CONTROL") & 1 << control["arm"].low
        self.write("CONTROL", armed | 1 << control["snapshot"].low)
        return {"TIMESTAMP": self.read64("TIMESTAMP"), **{name: self.read(name) for name in COUNTERS}}

    def events(self, count: int | None = None, idle: float | None = None) -> Iterator[EventRecord | None]:
        """Events in the order of arrival, and None at least every 50 ms in which none came.

        Ends after `count` events, or after `idle` seconds without one; else when the caller stops. `losses` is up to
        date with every event. Raises IcsortError once the port is gone.
        """
        left = count
        last = time.monotonic()
        while left is None or left > 0:
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

    def _receive(self) -> bool:
        """Sort what has arrived into answers and events; True where anything did."""
        data = self._transport.read()
        for payload in self._decoder.feed(data):
            try:
                message = parse(payload)
            except FrameError:
                self.losses.bad_frames += 1
                continue
            if isinstance(message, EventRecord):
                self.losses.see(message)
                self._events.append(message)
            else:
                self._answers.append(message)
        self.losses.bad_frames += self._decoder.bad
        self._decoder.bad = 0
        return bool(data)

    def _ask(self, name: str, address: int, is_write: bool, request: Callable[[int], bytes]) -> int:
        # A retry repeats the sequence number: all requests may be carried out twice, and a late answer to the first
        # try is as good as one to the second.
        self._seq = (self._seq + 1) % 256
        frame = request(self._seq)
        for attempt in range(TRIES):
            if attempt:
                self.retries += 1
                frame = b"\0" + request(self._seq)  # end whatever damaged frame the board is still in
            self._answers.clear()
            self._transport.write(frame)
            answer = self._wait(address, is_write)
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
        raise IcsortError(
            f"{self._transport.name}: no answer to {TRIES} requests for {name}; check that an icsort board is on this "
            "port, its power, and --baud"
        )

    def _wait(self, address: int, is_write: bool) -> Answer | Nack | None:
        """The answer with the current sequence number, or None after a silence or, events or not, after ten."""
        begun = quiet = time.monotonic()
        while True:
            if self._receive():
                quiet = time.monotonic()
            while self._answers:
                answer = self._answers.popleft()
                if answer.seq != self._seq:
                    continue  # of an earlier try
                if isinstance(answer, Nack) or (answer.address, answer.is_write) == (address, is_write):
                    return answer
            now = time.monotonic()
            if now - quiet >= self._timeout or now - begun >= 10 * self._timeout:
                return None


def class_mask(wanted: Sequence[str], classes: Sequence[str]) -> int:
    """Bit set of class names. Raises IcsortError for an unknown one or none at all."""
    unknown = [name for name in wanted if name not in classes]
    if unknown or not wanted:
        what = f"the model has no class {unknown[0]!r}" if unknown else "no class was given"
        raise IcsortError(f"{what}; its classes are: {', '.join(classes)}")
    return sum(1 << classes.index(name) for name in set(wanted))


def posterior_threshold(posterior: float) -> int:
    """Least posterior as unsigned 0.16, never below what was asked (1 becomes 65535/65536, the most there is)."""
    if not 0.0 <= posterior <= 1.0:  # NaN is not
        raise IcsortError(f"posterior {posterior} is not within 0..1; give a probability such as 0.9")
    return min(MAX_POSTERIOR, math.ceil(posterior * 2**16))


def build_id_of(folder: Path) -> str | None:
    """Build id in build.json of a build folder; None for a model package, which has no such file."""
    path = folder / "build.json"
    if not path.exists():
        return None
    try:
        build_id = json.loads(path.read_text(encoding="utf-8"))["build_id"]
        if int(build_id, 16) >= 0 and len(build_id) == 16:
            return str(build_id).lower()
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise IcsortError(f"{path}: no build id in it; compile the model again with `icsort compile`")


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
