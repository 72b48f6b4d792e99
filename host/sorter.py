# SPDX-License-Identifier: Apache-2.0
"""The sorter as an object: who it is, its registers by name, gate, arm, counters, events."""

import atexit
import contextlib
import functools
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from icsort.errors import IcsortError
from icsort.formats.event_record import Group
from icsort.host.link.protocol import (
    PAST_SEQS,
    Amendment,
    Answer,
    EventRecord,
    ImagePiece,
    ImageReason,
    Nack,
    Statistics,
    parse,
    read_request,
    write_request,
)
from icsort.host.link.registers import COUNTERS, REGISTERS, SCHEDULE_WORDS
from icsort.host.link.shared import TURN_SECONDS, SharedTransport
from icsort.host.link.transport import BAUDS, PYNQ, PortTransport, RateError, Transport, is_remote, open_port, send_past
from icsort.host.settings import FrontSettings
from icsort.sim.bit_true.framing import PROTOCOL_VERSION, Decoder, FrameError, MessageType, NackCode
from icsort.sim.bit_true.scheduler import COMMON, WORDS, Settings

if TYPE_CHECKING:  # the command line starts without numpy and pydantic
    from icsort.formats.compile_gate import Board, Compiled
    from icsort.formats.gate_set import GateSet
    from icsort.formats.package import Manifest
    from icsort.formats.schedule import Schedule

TRIES: Final = 3
COMMIT_READS: Final = 30
"""In which a set that was committed is in force. On a serial port it is by the first; over AXI they come as fast as the
board's own cycles."""
DEFAULT_TIMEOUT: Final = 1.0
FIRST_SECONDS: Final = 2.25
"""In which a port that is none of a board is told from one, whatever its rate."""
OWNER_SECONDS: Final = 2.0
"""That a port which is back is left to the program that held it before."""
DEFAULT_HEARTBEAT: Final = 2.0
"""Seconds of silence after which the board disarms itself."""
FAULT_CAUSES: Final = {
    "interlock": "the interlock is open, or was; close it",
    "cells_lost": "cells came faster than the scheduler takes them; look after the trigger",
    "drop_clock": "the drop clock stopped, or is not what the schedule says; look after it",
    "network": "the network gave no logits in time, or some that nobody waits for; reset the board and report it",
    "pairing": "parts of an event did not belong together, a fault of the build; reset the board and report it",
}
"""What each fault asks for."""


@dataclass(frozen=True)
class Identity:
    """What a board says it is. The ids are 16 hex digits.

    model_id: of the package that its build was made from. network_id: what of it is built in; each package of this
    network fits. settings_id: model id of the package whose settings are in force, None before any is.
    """

    build_id: str
    model_id: str
    network_id: str
    settings_id: str | None
    classes: int
    channels: int
    height: int
    width: int
    clock_hz: int


@dataclass(frozen=True)
class Gate:
    """The gate set in force. serial: commits since reset. identity: CRC-32 of the set, 8 hex digits.

    tests, gates: how many. mask, posterior: of a set that asks for one class set alone, bit c = class c, and its least
    posterior, unsigned 0.16; None of any other.
    """

    serial: int
    identity: str
    tests: int
    gates: int
    mask: int | None = None
    posterior: int | None = None


class StoppedError(IcsortError):
    """Not armed, because whoever wanted it was told to stop meanwhile."""


class DisarmedBy(IntEnum):
    """What made the board disarm last."""

    NOTHING = 0
    HOST = 1
    HEARTBEAT = 2
    FAULT = 3


@dataclass(frozen=True)
class Status:
    """State of the sorter at the moment of reading."""

    armed: bool
    testing: bool
    gate_valid: bool
    schedule_valid: bool
    idle: bool
    interlock: bool
    disarmed_by: DisarmedBy


@dataclass
class Losses:
    """What did not reach the host, told from gaps. Counting begins with the first event received.

    events: event ids without a record. frames: EVENT frames lost on the link (each is one of the events above; the
    rest the board dropped because its record FIFO was full). amendments, statistics: frames of these lost on the link.
    bad_frames: frames received damaged. restarts: event ids that went backwards, so the board was reset.
    """

    events: int = 0
    frames: int = 0
    amendments: int = 0
    statistics: int = 0
    bad_frames: int = 0
    restarts: int = 0
    _next: tuple[int, int] | None = field(default=None, repr=False)
    _next_amendment: int | None = field(default=None, repr=False)
    _next_statistics: int | None = field(default=None, repr=False)

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

    def see_amendment(self, amendment: Amendment) -> None:
        """Take note of the next amendment received."""
        if self._next_amendment is not None:
            self.amendments += (amendment.seq - self._next_amendment) % 256
        self._next_amendment = (amendment.seq + 1) % 256

    def see_statistics(self, statistics: Statistics) -> None:
        """Take note of the next frame of statistics received."""
        if self._next_statistics is not None and statistics.number:
            self.statistics += (statistics.seq - self._next_statistics) % 256
        self._next_statistics = (statistics.seq + 1) % 256


@dataclass(frozen=True)
class Gap:
    """What the board did while nobody listened, by its counters. restarted: it was reset meanwhile, so that all else
    here is of the time since then. seconds: of its clock. counts: by how much each counter moved."""

    restarted: bool
    seconds: float
    counts: dict[str, int]

    def text(self) -> str:
        """One line for people."""
        moved = ", ".join(f"{count:,} {name.lower().replace('_', ' ')}" for name, count in self.counts.items() if count)
        begun = "the board was reset meanwhile; since then" if self.restarted else "meanwhile"
        return f"{begun}, in {self.seconds:,.3f} s of its clock: {moved or 'nothing'}"


P = ParamSpec("P")
R = TypeVar("R")


def _in_turn(method: "Callable[Concatenate[Sorter, P], R]") -> "Callable[Concatenate[Sorter, P], R]":
    """Nobody else's request comes between those of this method."""

    @functools.wraps(method)
    def whole(sorter: "Sorter", /, *words: P.args, **options: P.kwargs) -> R:
        with sorter.turn():
            return method(sorter, *words, **options)

    return whole


class Sorter:
    """A board behind a transport. One request at a time; each is tried TRIES times, then one clear error.

    timeout: seconds of silence after which a try has failed. Events that arrive meanwhile are kept for `events`.
    What this object armed it disarms when it is closed, and at the end of the program at the latest.

    found_armed: whether the board was armed, by a program that is no more, when this one took the port; it is not any
    longer.
    """

    def __init__(self, transport: Transport, timeout: float = DEFAULT_TIMEOUT) -> None:
        self.losses = Losses()
        self.retries = 0
        self._transport = transport
        self._claims = False  # `claim` was called, and nothing armed since
        self._turns = 0  # begun and not ended, one within the other
        self._reopen: Callable[[bool], Sorter] | None = None
        self._known: tuple[int, dict[str, int]] | None = None  # time and counters, when they were last told
        self._build_id: str | None = None  # once it was asked for
        self._timeout = timeout
        self._decoder = Decoder()
        self._seq = 0
        self._answers: deque[Answer | Nack] = deque()
        self._events: deque[EventRecord | Amendment | Statistics | ImagePiece] = deque()
        self._heartbeat: float | None = None  # seconds, from before ARM is sent until DISARM is confirmed
        self._images: int | None = None  # what IMAGE_RULE is, where it was set here
        self.found_armed = False
        self._looked = -math.inf  # when `events` last asked whether the board is still armed
        # Whatever half frame the board has seen so far ends here.
        transport.write(b"\0")

    @classmethod
    def open(cls, port: str, bauds: Sequence[int] = BAUDS, timeout: float = DEFAULT_TIMEOUT) -> "Sorter":
        """The board at a serial port, at the first of these baud rates at which it answers, or that of an overlay
        (`pynq://PATH`), which has none.

        Raises IcsortError where the port cannot be had or no icsort board answers.
        """
        return cls.over(open_port(port, bauds), bauds, timeout)

    @classmethod
    def over(cls, transport: PortTransport, bauds: Sequence[int] = BAUDS, timeout: float = DEFAULT_TIMEOUT) -> "Sorter":
        """As `open`, of a port that is open already; it is closed where no board answers."""
        try:
            sorter = cls(transport, timeout)
            if len(bauds) > 1 and transport.has_rate:
                sorter._find_baud(transport, bauds)
            sorter._timeout = min(timeout, FIRST_SECONDS / TRIES)
            sorter.check_protocol()
            sorter._timeout = timeout
            sorter.losses.bad_frames = 0  # the board may have been in the middle of a frame when the port was opened
        except BaseException:
            transport.close()
            raise
        return sorter

    def opened_by(self, reopen: "Callable[[bool], Sorter]") -> None:
        """How `reconnect` opens the port again. reopen: is told whether it may hold the port itself."""
        self._reopen = reopen

    def take_over(self) -> None:
        """Disarm a board that nobody answers for: whoever armed it has ended without a word, and each request from here
        would keep it alive. `found_armed` says whether it was. Raises IcsortError where it stays armed."""
        status = self.status()
        self.found_armed = status.armed or status.testing
        if self.found_armed:
            self.disarm()

    def share(self, sharing: Callable[[Transport], Transport]) -> None:
        """Put a transport in place of the one that has been used so far, which it goes on with."""
        self._transport = sharing(self._transport)

    @property
    def port(self) -> str:
        """Name of the port, as errors have it."""
        return self._transport.name

    @property
    def owner(self) -> str | None:
        """The program that holds the port; None where the port is not shared."""
        return self._transport.owner if isinstance(self._transport, SharedTransport) else None

    @property
    def owns_port(self) -> bool:
        """Whether this program holds the port."""
        return not isinstance(self._transport, SharedTransport) or self._transport.own

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """No other program that uses the port writes anything in this block, but for DISARM. Turns are short: who
        does nothing for 5 s loses it."""
        shared = self._transport if isinstance(self._transport, SharedTransport) else None
        if shared is None or self._turns:
            yield
            return
        shared.ask("turn", TURN_SECONDS)
        self._turns += 1
        try:
            yield
        finally:
            self._turns -= 1
            with contextlib.suppress(IcsortError):  # of a port that is gone
                shared.tell("end")

    def claim(self, heartbeat: float = DEFAULT_HEARTBEAT) -> None:
        """Be the one program that may arm this board. Where somebody disarms before `arm`, that one is refused. Raises
        IcsortError where another program is the one."""
        self._claim(heartbeat, keep=False)
        self._claims = True

    def _claim(self, heartbeat: float, keep: bool) -> None:
        """keep: only where nobody has disarmed since the last one."""
        self._claims = False
        if isinstance(self._transport, SharedTransport):
            if not keep:
                self._transport.stopped_by = None
            self._transport.ask("claim", heartbeat=heartbeat, keep=keep)

    def release(self) -> None:
        """Let others arm, where this program did not yet."""
        if isinstance(self._transport, SharedTransport):
            with contextlib.suppress(IcsortError):
                self._transport.ask("release")

    def listen_only_to(self, *kinds: MessageType, events: int | None = None) -> None:
        """Of what the board sends without being asked, take in these alone; for who shares a port and needs no more.

        events: of the EVENT frames at most so many a second, spread over it, and none while this program is behind;
        None: all. `losses` counts those that were left out as lost.
        """
        if isinstance(self._transport, SharedTransport):
            self._transport.ask("only", kinds=[int(kind) for kind in kinds], events=events)

    def armed_by(self) -> str | None:
        """The program that has armed the board, or is about to; None where none has through this port."""
        if not isinstance(self._transport, SharedTransport):
            return None
        return self._transport.ask("armed").get("by")

    def reconnect(self, seconds: float | None = None, stopped: Callable[[], bool] = lambda: False) -> Gap | None:
        """Wait until the port is back, for so many seconds or for ever. Returns what the board did since it last told
        its counters (`counters`, a frame of statistics), or since its reset where it never did; None where `stopped`
        said so first.

        Nothing is armed. `losses` goes on: the next event tells exactly how many have no record. Raises IcsortError
        where it does not come back in time, or is another board.
        """
        if self._reopen is None:
            raise IcsortError(f"{self.port}: was not opened by `icsort.connect`, and is not opened again")
        self._heartbeat, self._turns, self._claims = None, 0, False
        owned, port = self.owns_port, Path(self.port)
        with contextlib.suppress(IcsortError):
            self._transport.close()
        begun = there = time.monotonic()
        while True:
            now = time.monotonic()
            there = there if is_remote(self.port) or port.exists() else now
            try:
                # Who held the port is the first to hold it again.
                fresh = self._reopen(owned or now - there > OWNER_SECONDS)
                break
            except IcsortError:
                if stopped():
                    return None
                if seconds is not None and now - begun > seconds:
                    raise
                time.sleep(0.2)
        self.found_armed = fresh.found_armed
        self._transport, self._decoder, self._answers = fresh._transport, fresh._decoder, fresh._answers
        build_id = self._build_id
        if build_id is not None and self.identify().build_id != build_id:
            raise IcsortError(f"{self.port}: build {self._build_id} answers there now, it was {build_id}; begin anew")
        for message in fresh._events:
            self._note(message)
        before, clock_hz = self._known, self.read("CLOCK_HZ")
        after = self.counters()
        now = after.pop("TIMESTAMP")
        if before is None or before[0] > now:
            return Gap(before is not None, now / clock_hz, after)
        counts = {name: (after[name] - before[1][name]) % 2**32 for name in after}
        return Gap(False, (now - before[0]) / clock_hz, counts)

    def close(self) -> None:
        """Disarm what was armed here, then give the port back. Raises IcsortError where that was not confirmed."""
        atexit.unregister(self.close)
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
        # A disarm waits for nobody.
        with contextlib.nullcontext() if name == "DISARM" else self.turn():
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
        geometry = self.fields("GEOMETRY")
        self._build_id = f"{self.read64('BUILD_ID'):016x}"
        return Identity(
            build_id=self._build_id,
            model_id=f"{self.read64('MODEL_ID'):016x}",
            network_id=f"{self.read64('NETWORK_ID'):016x}",
            settings_id=self.settings_id(),
            classes=geometry["classes"],
            channels=geometry["channels"],
            height=geometry["height"],
            width=geometry["width"],
            clock_hz=self.read("CLOCK_HZ"),
        )

    def settings_id(self) -> str | None:
        """Model id of the package whose trigger, preprocessing and calibration are in force; None before any is."""
        return f"{self.read64('SETTINGS_IN_FORCE'):016x}" if self.read("FRONT_SERIAL") else None

    def check_model(self, manifest: "Manifest", build_id: str | None = None) -> Identity:
        """Refuse a board whose network is not this package's, or, where build_id is given, whose build is another.

        What is no part of the build, as the calibration, may differ: arming loads it.
        """
        board = self.identify()
        port = self._transport.name
        if build_id is not None and board.build_id != build_id:
            raise IcsortError(
                f"{port}: the board holds build {board.build_id}, the folder is build {build_id}; "
                "program the board with this build, or give the folder of the build that it holds"
            )
        if board.network_id != manifest.network_id:
            raise IcsortError(
                f"{port}: the board holds network {board.network_id} of model {board.model_id}, the folder is network "
                f"{manifest.network_id} of model {manifest.model_id}; program the board with a build of this model, or "
                "give the folder of the model that it holds"
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

    def check_settings(self, manifest: "Manifest") -> None:
        """Refuse a board whose settings in force are those of another package of its network: what it tells of events
        would be read by the wrong constants."""
        in_force = self.settings_id()
        if in_force not in (None, manifest.model_id):
            raise IcsortError(
                f"{self._transport.name}: the settings of model {in_force} are in force, the folder is model "
                f"{manifest.model_id}; give that model's folder, or load this one's with `icsort watch --arm`"
            )

    def status(self) -> Status:
        """Armed, testing, what is in force, idle, and what disarmed it last."""
        fields = self.fields("STATUS")
        disarmed_by = DisarmedBy(fields.pop("disarmed_by"))
        return Status(**{name: bool(value) for name, value in fields.items()}, disarmed_by=disarmed_by)

    def faults(self) -> list[str]:
        """What went wrong since the faults were last cleared: names of the fields of FAULTS."""
        return [name for name, value in self.fields("FAULTS").items() if value]

    def clear_faults(self) -> list[str]:
        """Clear all faults, which somebody has looked after. Returns those whose cause lasts."""
        self.write("FAULTS_CLEAR", sum(1 << field.low for field in REGISTERS["FAULTS_CLEAR"].fields.values()))
        return self.faults()

    # Gate and arm

    def set_gate(self, classes: Sequence[str], posterior: float, manifest: "Manifest") -> Gate:
        """Put a gate in force: sort cells whose class is one of `classes` and whose set posterior is at least that.

        Raises IcsortError for a class that the model does not know, a posterior outside 0..1, and as `set_gates` does.
        """
        from icsort.formats.gate_set import of_classes

        return self.set_gates(of_classes(tuple(classes), posterior), manifest)

    @_in_turn
    def set_gates(self, source: "GateSet", manifest: "Manifest") -> Gate:
        """Compile a gate set for this board and model and put it in force, between two events.

        Every word is read back before the set is committed, and after. Raises IcsortError for a set that the
        model's classes, the board's values or the gate engine do not allow, and for a board that does not keep it.
        """
        from icsort.formats.compile_gate import compile_gate

        compiled = compile_gate(source, self.gate_values(manifest))
        self._check_size(compiled)
        for index, word in compiled.words.items():
            self.write_checked("GATE_INDEX", index)
            self.write("GATE_DATA", word)
            back = self.read("GATE_DATA")
            if back != word:
                raise IcsortError(
                    f"{self._transport.name}: word {index:#x} of the gate set reads back {back:#010x} after writing "
                    f"{word:#010x}; the board does not keep it, check that its build is the right one (`icsort info`)"
                )
        serial = self.read("GATE_SERIAL")
        self.write("GATE_COMMIT", 1)
        self._await(lambda: self.read("GATE_SERIAL") != serial)
        gate = self.gate()
        if gate.serial == serial or gate.identity != compiled.identity:
            raise IcsortError(
                f"{self._transport.name}: the board did not take the gate set {compiled.identity} (in force: "
                f"{gate.identity}); disarm, and set it again"
            )
        self.check_gates(source, manifest)
        return gate

    @_in_turn
    def gate(self) -> Gate:
        """The gate set in force."""
        from icsort.sim.bit_true import gate_engine as engine

        serial = self.read("GATE_SERIAL")
        words = self._gate_words([engine.INDEX_COUNTS, engine.INDEX_ID])
        counts, identity = words.values()
        tests, gates = counts & 255, counts >> 8 & 255
        gate = Gate(serial, f"{identity:08x}", tests, gates)
        classes = self.fields("GEOMETRY")["classes"]
        if counts != engine.of_classes(0, 0, classes).words()[engine.INDEX_COUNTS]:
            return gate
        words |= self._gate_words(list(engine.of_classes(0, 0, classes).words()))
        if words[engine.WORD_FLAGS] & 3 != engine.Kind.RANGE:
            return gate
        program = engine.unpack(words)
        mask, posterior = program.class_sets[0], program.tests[0].low[0]
        if program != engine.of_classes(mask, posterior, classes):
            return gate
        return Gate(serial, gate.identity, tests, gates, mask, posterior)

    def gate_values(self, manifest: "Manifest") -> "Board":
        """What gates of this board may name: values, and the model's classes."""
        from icsort.formats.compile_gate import board_values

        return board_values(manifest, self.read("CLOCK_HZ"), self.has_features(manifest))

    def has_features(self, manifest: "Manifest") -> bool:
        """Whether the board's build has features. Raises IcsortError where they are not those of so many channels."""
        from icsort.sim.bit_true.features import count

        number, channels = self.read("GATE_VALUES"), len(manifest.channels)
        if number not in (0, count(channels)):
            raise IcsortError(
                f"{self._transport.name}: the board has {number} features, {channels} channels have {count(channels)}; "
                "give the model that it was built for"
            )
        return number > 0

    @_in_turn
    def check_gates(self, source: "GateSet", manifest: "Manifest") -> None:
        """Raises IcsortError where the gate set in force is another: every word of it is read."""
        from icsort.formats.compile_gate import compile_gate

        compiled = compile_gate(source, self.gate_values(manifest))
        self._check_size(compiled)
        for index, word in self._gate_words(list(compiled.words)).items():
            if word != compiled.words[index]:
                raise IcsortError(
                    f"{self._transport.name}: another gate set is in force: word {index:#x} is {word:#010x}, that "
                    f"of the file is {compiled.words[index]:#010x}; set it again"
                )

    @staticmethod
    def _await(in_force: Callable[[], bool]) -> None:
        """Until a set is in force, or will not be any more, as what is read next says."""
        any(in_force() for _ in range(COMMIT_READS))

    def _check_size(self, compiled: "Compiled") -> None:
        size = self.fields("GATE_SIZE")
        program = compiled.program
        corners = max((len(test.edges) for test in program.tests), default=0)
        asked = {
            "tests": len(program.tests),
            "gates": len(program.gates),
            "scales": len(program.scales),
            "corners": corners,
        }
        for what, number in asked.items():
            if number > size[what]:
                raise IcsortError(
                    f"{self._transport.name}: the gate set has {number} {what}, the board's gate engine {size[what]}; "
                    "use fewer"
                )

    def _gate_words(self, indices: Sequence[int]) -> dict[int, int]:
        """Words of the gate set in force."""
        words = {}
        for index in indices:
            self.write_checked("GATE_INDEX", index | 1 << 31)
            words[index] = self.read("GATE_DATA")
        return words

    @_in_turn
    def set_schedule(self, schedule: "Schedule") -> Settings:
        """Put a schedule in force. Returns what the board goes by, in cycles.

        Every word is read back before it is committed. Raises IcsortError for one that does not fit, and a board that
        does not take it, as one that is armed, or whose last sorts are still to come.
        """
        settings = schedule.cycles(self.read("CLOCK_HZ"))
        self.write_checked("SCHEDULE_VIEW", 0)  # whoever was killed while it looked
        serial = self.read("SCHEDULE_SERIAL")
        for index, word in settings.words().items():
            self.write_checked(SCHEDULE_WORDS[index], word)
        self.write("SCHEDULE_COMMIT", 1)
        if self.read("SCHEDULE_SERIAL") == serial:
            raise IcsortError(
                f"{self._transport.name}: the board did not take the schedule; it takes none while it is armed or "
                "sorts are still to come: disarm it, and set it again"
            )
        self._await(lambda: self.status().schedule_valid)
        return settings

    @_in_turn
    def schedule(self) -> Settings:
        """The schedule in force, in cycles."""
        self.write_checked("SCHEDULE_VIEW", 1)
        mode = self.read(SCHEDULE_WORDS[COMMON])
        used = {COMMON: mode} | {
            index: self.read(name)
            for index, name in SCHEDULE_WORDS.items()
            if index > COMMON or (index < COMMON and mode >> 24 + index // WORDS & 1)
        }
        self.write_checked("SCHEDULE_VIEW", 0)
        return Settings.of_words(used)

    def arm(
        self,
        manifest: "Manifest",
        schedule: "Schedule | None" = None,
        build_id: str | None = None,
        heartbeat: float = DEFAULT_HEARTBEAT,
        *,
        stopped: Callable[[], bool] | None = None,
    ) -> Settings:
        """Set trigger and schedule and arm. Returns the schedule in force, in cycles.

        schedule: None for that of `icsort.formats.schedule.Schedule()`, whose times are assumptions. heartbeat:
        seconds without a request after which the board disarms itself; `events` and `counters` keep it alive. stopped:
        is asked right before ARM whether it is not to be armed any more. Raises IcsortError where the board holds
        another build or model, has no gate, has a fault, does not arm, or the times do not fit its registers;
        StoppedError where `stopped` said so, and the board is disarmed.
        """
        from icsort.formats.schedule import Schedule, cycles

        with self._claimed(heartbeat):
            board = self.check_model(manifest, build_id)
            silence = cycles("heartbeat", heartbeat * 1e6, board.clock_hz, 32, least=1)
            schedule = schedule or Schedule()
            schedule.cycles(board.clock_hz)
            if not self.status().gate_valid:
                raise IcsortError(
                    f"{self._transport.name}: no gate is set; set one with `icsort gate set CLASS...` first"
                )
            self.disarm()
            self._check_faults()
            self.set_front(manifest)
            settings = self.set_schedule(schedule)
            self.write_checked("TEST_PERIOD", 0)
            self.write_checked("HEARTBEAT", silence)
            self._arm("ARM", heartbeat, stopped)
            self.check_armed()
        return settings

    @contextlib.contextmanager
    def _claimed(self, heartbeat: float) -> Iterator[None]:
        """Arms in this block, and nobody else does: a turn, and what is claimed before it is waited for, so that a
        disarm in that time is none of the past."""
        self._claim(heartbeat, keep=self._claims)
        try:
            with self.turn():
                yield
        except BaseException:
            self.release()
            raise

    def _arm(self, register: str, heartbeat: float, stopped: Callable[[], bool] | None) -> None:
        if stopped is not None and stopped():
            raise StoppedError(f"{self._transport.name}: stopped before it was armed; it is disarmed")
        self._heartbeat = heartbeat
        atexit.unregister(self.close)  # of an earlier time
        atexit.register(self.close)
        self.write(register, 1)

    def arm_test(
        self,
        schedule: "Schedule",
        direction: int = 0,
        events: bool = False,
        heartbeat: float = DEFAULT_HEARTBEAT,
        *,
        stopped: Callable[[], bool] | None = None,
    ) -> Settings:
        """Test mode, to find the drop delay with: no cell is sorted; `test_pulse`, `test_period`, and where `events`
        every event that the trigger accepts, give pulses of a direction. Returns the schedule in force. Raises
        IcsortError as `arm`.
        """
        from icsort.formats.schedule import cycles

        with self._claimed(heartbeat):
            silence = cycles("heartbeat", heartbeat * 1e6, self.read("CLOCK_HZ"), 32, least=1)
            self.disarm()
            self._check_faults()
            settings = self.set_schedule(schedule)
            width = settings.directions[direction].width if direction in settings.directions else 1
            self.write_checked("TEST_PERIOD", 0)
            self.write_checked("TEST", direction | events << 8 | (1 if settings.droplet else width) << 16)
            self.write_checked("HEARTBEAT", silence)
            self._arm("ARM_TEST", heartbeat, stopped)
            if not self.status().testing:
                self.check_armed()
        return settings

    def test_pulse(self) -> None:
        """One pulse, in test mode or armed."""
        self.write("TEST_PULSE", 1)

    def test_period(self, period_us: float) -> None:
        """A pulse each so many microseconds, in test mode or armed; 0: no more."""
        from icsort.formats.schedule import cycles

        self.write_checked("TEST_PERIOD", cycles("period", period_us, self.read("CLOCK_HZ"), 32))

    def _check_faults(self) -> None:
        """Raises IcsortError where a fault is set: somebody must have seen it before it sorts on."""
        if faults := self.faults():
            raise IcsortError(
                f"{self._transport.name}: {FAULT_CAUSES[faults[0]]}; "
                "`icsort arm` and `icsort watch` clear it with --clear-faults"
            )

    @_in_turn
    def set_front(self, manifest: "Manifest") -> None:
        """Put trigger, window, preprocessing, features and calibration of a model package in force. What is open is
        aborted.

        All is read back before it is committed, the calibration and whose settings they are once more behind it. Raises
        IcsortError where the board does not keep it.
        """
        settings = FrontSettings.of(manifest, self.has_features(manifest))
        before = self.read("FRONT_SERIAL")
        for name, value in settings.writes():
            if name == "FRONT_COMMIT":
                self._check_front(settings)
            self.write(name, value)
        if self.read("FRONT_SERIAL") == before:
            raise IcsortError(f"{self._transport.name}: the board did not take the trigger's settings; arm again")
        in_force = self.read("POSTERIOR_IN_FORCE"), self.settings_id()
        if in_force != (settings.registers["POSTERIOR"], manifest.model_id):
            raise IcsortError(
                f"{self._transport.name}: posteriors go by {in_force[0]:#010x} of model {in_force[1]}, not by "
                f"{settings.registers['POSTERIOR']:#010x} of {manifest.model_id}; arm again"
            )

    def set_record(self, features: bool) -> None:
        """Whether records have the event's features, besides all else: `icsort watch --features`."""
        groups = Group.BASE | Group.TIMING | Group.LOGITS | (Group.FEATURES if features else 0)
        if self.read("RECORD_FIELDS") != groups:  # who listens beside a sort changes nothing
            self.write_checked("RECORD_FIELDS", int(groups))

    def _check_front(self, settings: FrontSettings) -> None:
        """Raises IcsortError where what is about to be committed is not what was written."""
        back = {name: self.read(name) for name in settings.registers}
        wrong = [
            f"{name} reads back {back[name]} after writing {value}"
            for name, value in settings.registers.items()
            if back[name] != value
        ]
        for table, words in settings.tables.items():
            for index, word in words.items():
                self.write("FRONT_INDEX", table << 24 | index)
                kept = self.read("FRONT_READ")
                if kept != word:
                    wrong.append(f"{table.name} {index} reads back {kept} after writing {word}")
        if wrong:
            raise IcsortError(
                f"{self._transport.name}: {wrong[0]}; the board does not keep it, check that the build is the one "
                "expected (`icsort info`)"
            )

    def disarm(self) -> None:
        """No sort pulse begins from here on. Raises IcsortError where the board does not confirm it."""
        self.write("DISARM", 1)
        status = self.status()
        if status.armed or status.testing:
            raise IcsortError(f"{self._transport.name}: the board stays armed; switch the sorter off")
        self._heartbeat = None

    def check_armed(self) -> None:
        """Raises IcsortError where the board is not armed, nor in test mode, with what disarmed it."""
        status = self.status()
        if not status.armed and not status.testing:
            self._heartbeat = None
            stopper = self._transport.stopped_by if isinstance(self._transport, SharedTransport) else None
            causes = {
                DisarmedBy.HOST: f"{stopper or '`icsort disarm`'} stopped it; arm again when it may sort",
                DisarmedBy.HEARTBEAT: "it heard nothing from here for too long; arm again, with a longer --heartbeat",
            }
            if status.disarmed_by is DisarmedBy.FAULT:
                faults = self.faults()
                causes[DisarmedBy.FAULT] = FAULT_CAUSES[faults[0]] if faults else "a fault, cleared since; arm again"
            cause = causes.get(status.disarmed_by, "it was reset or did not take ARM; look after it, then arm again")
            raise IcsortError(f"{self._transport.name}: the board is not armed: {cause}")

    # Counters and events

    @_in_turn
    def counters(self) -> dict[str, int]:
        """All counters, latched together, and TIMESTAMP (cycles since reset) of that moment."""
        self.write("SNAPSHOT", 1)
        moment, counters = self.read64("TIMESTAMP"), {name: self.read(name) for name in COUNTERS}
        self._known = moment, counters
        return {"TIMESTAMP": moment, **counters}

    def set_statistics(self, seconds: float) -> None:
        """Ask for a frame of statistics each so many seconds of the board's clock; 0: none."""
        from icsort.formats.schedule import cycles

        self.write_checked("STATISTICS_PERIOD", cycles("statistics", seconds * 1e6, self.read("CLOCK_HZ"), 32))

    def set_images(self, rule: ImageReason, argument: int = 0) -> None:
        """Of which events the board sends the window: EVERY, each `argument`-th; GATE, each that gate `argument`
        passes; NONE. Raises IcsortError where the board does not keep it."""
        self.write_checked("IMAGE_RULE", _image_rule(rule, argument))

    def images_of(self) -> str | None:
        """The other program whose rule `set_images` would replace; None where there is none."""
        if not isinstance(self._transport, SharedTransport):
            return None
        return self._transport.ask("images").get("by")

    @_in_turn
    def take_images(self, rule: ImageReason, argument: int = 0) -> None:
        """As `set_images`, until `end_images`. Raises IcsortError where another program has a rule of its own."""
        if (other := self.images_of()) is not None:
            raise IcsortError(
                f"{self._transport.name}: the board sends the images that {other} asked for, by one rule at a time; "
                "end that one first, or take single images with `icsort snapshot` without a rule"
            )
        self.set_images(rule, argument)
        self._images = _image_rule(rule, argument)

    @_in_turn
    def end_images(self) -> None:
        """No more images by the rule of `take_images`; that of somebody else stays."""
        if self._images is not None and self.read("IMAGE_RULE") == self._images:
            self.set_images(ImageReason.NONE)
        self._images = None

    def request_image(self) -> None:
        """Ask for the window of the next event, whatever the rule."""
        self.write("IMAGE_REQUEST", 1)

    def events(
        self, count: int | None = None, idle: float | None = None
    ) -> Iterator[EventRecord | Amendment | Statistics | ImagePiece | None]:
        """Events, amendments, statistics and pieces of images in the order of arrival, and None at least every 50 ms in
        which none came.

        Ends after `count` events, or after `idle` seconds without one; else when the caller stops. `losses` is up to
        date with every event. Keeps the heartbeat of a board that was armed here. Raises IcsortError once the port is
        gone, or the board no longer armed.
        """
        left = count
        last = time.monotonic()
        while left is None or left > 0:
            # Whatever else is asked for keeps the board alive, and says nothing of that.
            if self._heartbeat is not None and time.monotonic() - self._looked > self._heartbeat / 8:
                self.check_armed()
                self._looked = time.monotonic()
            if not self._events:
                self._receive()
            if self._events:
                message = self._events.popleft()
                if isinstance(message, EventRecord | Amendment):
                    last = time.monotonic()
                left = left - 1 if left is not None and isinstance(message, EventRecord) else left
                yield message
            elif idle is not None and time.monotonic() - last >= idle:
                return
            else:
                yield None

    # Below: one exchange on the link

    def fields(self, name: str) -> dict[str, int]:
        """Fields of the register of that name."""
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
            if isinstance(message, Answer | Nack):
                self._answers.append(message)
            else:
                self._note(message)
        self.losses.bad_frames += self._decoder.bad
        self._decoder.bad = 0
        return len(data), frames

    def _note(self, message: EventRecord | Amendment | Statistics | ImagePiece) -> None:
        """Keep what was not asked for, and what it says of losses."""
        if isinstance(message, EventRecord):
            self.losses.see(message)
        elif isinstance(message, Amendment):
            self.losses.see_amendment(message)
        elif isinstance(message, Statistics):
            self.losses.see_statistics(message)
            self._known = message.time, message.counters
        self._events.append(message)

    def _find_baud(self, transport: PortTransport, bauds: Sequence[int]) -> None:
        """Set the rate at which the board answers. Raises IcsortError where it answers at none."""
        noise = 0
        address = REGISTERS["MAGIC"].address
        for baud in bauds:
            try:
                transport.baud = baud
            except RateError:
                continue
            transport.write(b"\0" + read_request(self._seq, address))
            answer, received = self._wait(address, False, min(self._timeout / 2, FIRST_SECONDS / len(bauds)))
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


def _image_rule(rule: ImageReason, argument: int) -> int:
    return argument << REGISTERS["IMAGE_RULE"].fields["argument"].low | rule


def disarm_blindly(transport: PortTransport, bauds: Sequence[int]) -> None:
    """Tell whatever board is there to disarm, at each of these rates, without asking whether it heard."""
    request = b"\0" + write_request(PAST_SEQS.start, REGISTERS["DISARM"].address, 1)
    for baud in bauds if transport.has_rate else bauds[:1]:
        with contextlib.suppress(IcsortError):  # a rate that the port does not make, a port that is gone
            transport.baud = baud
            transport.write(2 * request)  # what the board is in the middle of may cost it the first
            transport.drain()


def disarm_past(port: str) -> bool:
    """Tell a board to disarm although another program has its port open. Returns whether it has confirmed that. Raises
    IcsortError where nothing can be sent.

    On a serial port the answer reaches the other program, and a request that meets one of the other's is dropped: it is
    sent several times. The registers of an overlay are there for both.
    """
    if port.startswith(PYNQ):
        from icsort.host.link.pynq import disarm

        disarm(port)
        return True
    for seq in PAST_SEQS:
        send_past(port, b"\0" + write_request(seq, REGISTERS["DISARM"].address, 1))
        time.sleep(0.02)
    return False


def _why_no_answer(port: str, noise: int, request: str) -> str:
    if noise:
        return (
            f"{port}: {noise} bytes arrived but no frame of an icsort board, and no answer to {request}; this is "
            "another device's port, the wrong --baud, or a bad cable"
        )
    return f"{port}: no answer to {request}; check that an icsort board is on this port, its power, and --baud"


def build_key(folder: Path) -> tuple[str, int, bool, int] | None:
    """Build id, baud rate, whether it has features, and clock in Hz, in build.json of a build folder; None for a model
    package, which has no such file."""
    path = folder / "build.json"
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        build_id, baud, features = data["build_id"], data["baud"], data["features"]
        clock_hz = round(data["clock_mhz"] * 1e6)
        sound = type(baud) is int and type(features) is int and min(baud, clock_hz) > 0
        if sound and int(build_id, 16) >= 0 and len(build_id) == 16:
            return str(build_id).lower(), baud, features > 0, clock_hz
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        pass
    raise IcsortError(
        f"{path}: no build id, baud rate and clock in it, or not whether it has features; compile again with "
        "`icsort compile`"
    )
