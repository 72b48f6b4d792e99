# SPDX-License-Identifier: Apache-2.0
"""A board on a pseudo-terminal, in a thread, that speaks the protocol through the `cobs` package, zlib and struct.

It keeps registers, gate and arm as docs/link.md and docs/registers.md say, and damages what it is told to damage.
"""

import contextlib
import os
import select
import struct
import threading
import tty
import zlib
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

from cobs import cobs

MAGIC, PROTOCOL, BUILD_ID, MODEL_ID, GEOMETRY, CLOCK_HZ, TIMESTAMP, STATUS = (
    0x00,
    0x04,
    0x08,
    0x10,
    0x18,
    0x1C,
    0x20,
    0x28,
)
SNAPSHOT, ARM, DISARM = 0x38, 0x3C, 0x40
GATE_INDEX, GATE_DATA, GATE_COMMIT, GATE_SERIAL, GATE_SIZE, GATE_VALUES = 0x300, 0x304, 0x308, 0x30C, 0x314, 0x318
GATE_ACTIVE = 1 << 31  # of GATE_INDEX
GATE_WORD = 1 << 16  # in `forgets`, with the index of a word of a gate set
HEARTBEAT, LINE_TIMEOUT = 0x74, 0x78
FRONT, FRONT_COMMIT, FRONT_SERIAL, FRONT_INDEX, FRONT_DATA, FRONT_READ = 0x200, 0x22C, 0x230, 0x234, 0x238, 0x23C
POSTERIOR, POSTERIOR_IN_FORCE, SETTINGS_ID, SETTINGS_IN_FORCE, NETWORK_ID = 0x240, 0x244, 0x248, 0x250, 0x2C
FRONT_SETTINGS = {*range(FRONT, FRONT_COMMIT, 4), FRONT_INDEX, POSTERIOR, SETTINGS_ID, SETTINGS_ID + 4}
ACCEPTED, NO_COUNTER, LAST = 0x80, 0xA8, 0xCC
SCHEDULE = {*range(0x100, 0x130, 4), *range(0x190, 0x1A4, 4)}  # directions 0 and 1, and what all share
SCHEDULE_COMMIT, SCHEDULE_VIEW, SCHEDULE_SERIAL = 0x1E0, 0x1E4, 0x1E8
ARM_TEST, TEST_PULSE, TEST_PERIOD, TEST = 0x1EC, 0x1F0, 0x1F4, 0x1F8
FAULTS, FAULTS_CLEAR = 0x440, 0x444
MORE_COUNTERS = range(0x500, 0x544, 4)
STATISTICS_PERIOD, IMAGE_RULE, IMAGE_REQUEST = 0x420, 0x428, 0x42C
PIECE_BYTES = 128
RECORD_FIELDS = 0x400
LINE_SOURCE, SOURCE_LINES, SOURCE_GAP, SOURCE_REPEATS, SOURCE_START = range(0x480, 0x494, 4)
SOURCE_STOP, SOURCE_INDEX, SOURCE_DATA, SOURCE_STATUS = range(0x494, 0x4A4, 4)
STORED_LINES = 64
LINE_WIDTH = 104
STROBES = {
    SOURCE_START,
    SOURCE_STOP,
    SOURCE_DATA,
    SNAPSHOT,
    ARM,
    DISARM,
    GATE_COMMIT,
    FRONT_COMMIT,
    FRONT_DATA,
    SCHEDULE_COMMIT,
    ARM_TEST,
    TEST_PULSE,
    FAULTS_CLEAR,
    IMAGE_REQUEST,
}
SETTINGS = {
    GATE_INDEX,
    GATE_DATA,
    *SCHEDULE,
    SCHEDULE_VIEW,
    TEST_PERIOD,
    TEST,
    HEARTBEAT,
    LINE_TIMEOUT,
    RECORD_FIELDS,
    STATISTICS_PERIOD,
    IMAGE_RULE,
    *FRONT_SETTINGS,
    *(LINE_SOURCE, SOURCE_LINES, SOURCE_GAP, SOURCE_REPEATS, SOURCE_INDEX),
}
ARMED, GATE_VALID, TESTING, DISARMED_BY, SCHEDULE_VALID, INTERLOCK = 1, 2, 8, 0x30, 0x40, 0x80  # bits of STATUS
HOST, SILENCE, FAULT = 0x10, 0x20, 0x30


def pieces_of(event: int, pixels: bytes, reason: int) -> Iterator[bytes]:
    """Bodies of the IMAGE frames of a window."""
    pixels += b"\0" * (-len(pixels) % 4)
    parts = [pixels[at : at + PIECE_BYTES] for at in range(0, len(pixels), PIECE_BYTES)]
    for index, part in enumerate(parts):
        yield struct.pack("<IBBHHH", event, event % 256, reason, 0, index, len(parts)) + part


class FakeBoard:
    def __init__(
        self,
        model_id: str,
        network_id: str,
        build_id: str = "0123456789abcdef",
        geometry: tuple[int, ...] = (3, 2, 40, 38),
    ):
        counters = (*(at for at in range(ACCEPTED, LAST + 4, 4) if at != NO_COUNTER), *MORE_COUNTERS)
        readable = {*range(0, 0x34, 4), *counters, *SETTINGS, SCHEDULE_SERIAL, FAULTS} - STROBES
        readable |= {
            *FRONT_SETTINGS,
            FRONT_SERIAL,
            FRONT_READ,
            POSTERIOR_IN_FORCE,
            *(SETTINGS_IN_FORCE, SETTINGS_IN_FORCE + 4),
            GATE_INDEX,
            GATE_DATA,
            GATE_SERIAL,
            GATE_SIZE,
            GATE_VALUES,
        }
        readable |= {LINE_SOURCE, SOURCE_LINES, SOURCE_GAP, SOURCE_REPEATS, SOURCE_INDEX, SOURCE_STATUS}
        self.stored: dict[tuple[int, int, int], int] = {}  # line, column, channel -> sample
        self.source_at = 0  # samples from line 0 on
        self.played: list[tuple[int, int, int]] = []  # lines, gap, repeats
        self.tables: dict[int, int] = {}  # by FRONT_INDEX
        self.front: dict[int, int] = {}  # registers and tables in force
        self.registers = dict.fromkeys(sorted(readable), 0)
        self.registers[MAGIC] = int.from_bytes(b"ICSR", "little")
        self.registers[PROTOCOL] = 3
        for address, identity in ((BUILD_ID, build_id), (MODEL_ID, model_id), (NETWORK_ID, network_id)):
            self.registers[address] = int(identity[8:], 16)
            self.registers[address + 4] = int(identity[:8], 16)
        self.registers[GEOMETRY] = int.from_bytes(bytes(geometry), "little")
        self.channels = geometry[1]
        self.registers[CLOCK_HZ] = 100_000_000
        self.registers[STATUS] = INTERLOCK
        self.registers[RECORD_FIELDS] = 0b1011
        self.hidden = dict.fromkeys(
            SCHEDULE, 0
        )  # of the schedule: that of shadow and set in force which SCHEDULE_VIEW hides
        self.registers[GATE_SIZE] = int.from_bytes(bytes((32, 16, 16, 16)), "little")
        self.written: dict[int, int] = {}  # words of the gate set that is being written
        self.in_force: dict[int, int] = {}
        self.counters = {address: 100 + address for address in counters}
        self.registers[SOURCE_STATUS] = STORED_LINES << 16
        self.requests: list[bytes] = []  # payloads of intact requests
        self.lone_zeros = 0
        self.damage: list[str] = []  # for each answer to come: "flip", "drop", "repeat", "seq" or "" (leave it)
        self.forgets: set[int] = set()  # addresses, or words of a gate set, that do not keep what is written
        self.event_seq = 0
        self.statistics_seq = 0
        self.image_seq = 0
        self.chatter = b""  # what it sends all the time
        self.keeps_calibration = False  # that which is in force, whatever is committed
        self.deaf = False  # it neither carries out nor answers anything
        self.on_request: Callable[[], None] = lambda: None  # called before each answer
        self.on_test: Callable[[], None] = lambda: None  # called when test mode begins, before ARM_TEST is answered
        # What it sends of stored lines that are played so many times.
        self.on_play: Callable[[int], Iterable[bytes]] = lambda repeats: (
            self.event(len(self.played)) for _ in range(repeats)
        )
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._plugged = True
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FakeBoard":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def unplug(self) -> None:
        """The port disappears as if the cable were pulled."""
        self._plugged = False
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def put(self, data: bytes) -> None:
        """Raw bytes to the host, all of them however slowly it reads."""
        with self._writing:
            while data and self._plugged:
                try:
                    data = data[os.write(self._master, data) :]
                except BlockingIOError:
                    select.select([], [self._master], [], 0.02)

    def event(self, event_id: int, **changes: object) -> bytes:
        """The next EVENT frame; sent by `put`, or not at all where a loss is wanted."""
        values: dict = {
            "outcome": 0,
            "best": 1,
            "posterior": 0xE000,
            "time": 2**40 + event_id,
        }
        values |= {"logits": (-5, 2**30, -(2**31))} | changes
        sorted_to = 0 if values["outcome"] == 0 else 255
        base = struct.pack("<IQ", event_id, values["time"] | event_id % 256 << 48 | 0b1011 << 56)
        base += struct.pack("<BBHBB", values["outcome"], sorted_to, 0b1010, 40, values["best"])
        base += struct.pack("<HI", values["posterior"], 0x80000001)
        logits = struct.pack(f"<I{len(values['logits'])}i", len(values["logits"]), *values["logits"])
        body = base + struct.pack("<IiI", 1700, 60, 3) + logits
        frame = self.frame(bytes([0xE0, self.event_seq]) + body)
        self.event_seq = (self.event_seq + 1) % 256
        return frame

    def statistics(self, number: int, time: int, counters: dict[int, int], state: int = INTERLOCK) -> bytes:
        """The next STATISTICS frame; counters by the addresses of their registers, those that are left out are 0."""
        words = [counters.get(address, 0) for address in self.counters]
        body = struct.pack("<IIHH", number, time % 2**32, time >> 32, state) + struct.pack(f"<{len(words)}I", *words)
        frame = self.frame(bytes([0xE2, self.statistics_seq]) + body)
        self.statistics_seq = (self.statistics_seq + 1) % 256
        return frame

    def image(self, body: bytes) -> bytes:
        """The next IMAGE frame."""
        frame = self.frame(bytes([0xE3, self.image_seq]) + body)
        self.image_seq = (self.image_seq + 1) % 256
        return frame

    @staticmethod
    def frame(payload: bytes) -> bytes:
        return cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"

    def _run(self) -> None:
        received = b""
        while self._plugged:
            if self.chatter:
                with self._writing, contextlib.suppress(BlockingIOError):
                    os.write(self._master, self.chatter)
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            received += os.read(self._master, 256)
            *frames, received = received.split(b"\0")
            for coded in frames:
                if not coded:
                    self.lone_zeros += 1
                    continue
                content = cobs.decode(coded)
                assert zlib.crc32(content[:-4]) == int.from_bytes(content[-4:], "little")
                self.requests.append(content[:-4])
                self.on_request()
                if self.deaf:
                    continue
                self._answer(self.frame(self._execute(content[:-4])))
        self.close()  # only here, where nobody reads: a port that is closed under a reader does not hang up

    def close(self) -> None:
        """The port; of a board that was not begun, by who made it."""
        os.close(self._slave)
        os.close(self._master)

    def _answer(self, frame: bytes) -> None:
        damage = self.damage.pop(0) if self.damage else ""
        if damage == "flip":
            frame = bytes([frame[0], frame[1], frame[2] ^ 0x10]) + frame[3:]
        elif damage == "seq":
            content = cobs.decode(frame[:-1])[:-4]
            frame = self.frame(bytes([content[0], content[1] ^ 0x80]) + content[2:])
        elif damage == "repeat":
            frame += frame
        if damage != "drop":
            self.put(frame)

    def _execute(self, payload: bytes) -> bytes:
        kind, seq = payload[0], payload[1]
        (address,) = struct.unpack_from("<H", payload, 2)
        if address not in (self.registers if kind == 1 else STROBES | SETTINGS):
            return bytes([0xFF, seq, 3])
        if kind == 2 and address not in self.forgets:
            self._write(address, *struct.unpack_from("<I", payload, 4))
        return bytes([kind | 0x80, seq]) + struct.pack("<HI", address, self.registers.get(address, 0))

    @property
    def armed(self) -> bool:
        return bool(self.registers[STATUS] & ARMED)

    def disarm(self, cause: int) -> None:
        """As DISARM, or a silent host, does."""
        if self.armed or self.registers[STATUS] & TESTING:
            self.registers[STATUS] = self.registers[STATUS] & ~(ARMED | TESTING | DISARMED_BY) | cause

    def _write(self, address: int, data: int) -> None:
        registers = self.registers
        if address == SCHEDULE_VIEW and data != registers[SCHEDULE_VIEW]:
            self._swap()
        if address in SETTINGS:
            registers[address] = data
            index = registers[GATE_INDEX]
            if address == GATE_DATA and not index & GATE_ACTIVE and index + GATE_WORD not in self.forgets:
                self.written[index] = data
            if address in (GATE_INDEX, GATE_DATA):
                bank = self.in_force if index & GATE_ACTIVE else self.written
                registers[GATE_DATA] = bank.get(index & ~GATE_ACTIVE, 0)
            registers[FRONT_READ] = self.tables.get(registers[FRONT_INDEX], 0)
            if address == SOURCE_INDEX:
                line, column, channel = data >> 24, data >> 8 & 0xFFFF, data & 0xFF
                self.source_at = (line * LINE_WIDTH + column) * self.channels + channel
        elif address == SOURCE_DATA:
            pixel, channel = divmod(self.source_at, self.channels)
            self.stored[(*divmod(pixel, LINE_WIDTH), channel)] = data
            self.source_at += 1
        elif address == SOURCE_START:
            if registers[LINE_SOURCE] & 1:
                self.played.append(tuple(registers[name] for name in (SOURCE_LINES, SOURCE_GAP, SOURCE_REPEATS)))
                for frame in self.on_play(registers[SOURCE_REPEATS]):
                    self.put(frame)
        elif address == FRONT_DATA:
            self.tables[registers[FRONT_INDEX]] = data
            registers[FRONT_INDEX] += 1
            registers[FRONT_READ] = self.tables.get(registers[FRONT_INDEX], 0)
        elif address == FAULTS_CLEAR:
            registers[FAULTS] &= ~data
        elif not data & 1:
            return
        elif address == FRONT_COMMIT:
            self.front = {key: registers[key] for key in FRONT_SETTINGS - {FRONT_INDEX}} | self.tables
            registers[FRONT_SERIAL] += 1
            if not self.keeps_calibration:
                registers[POSTERIOR_IN_FORCE] = registers[POSTERIOR]
            for word in (0, 4):
                registers[SETTINGS_IN_FORCE + word] = registers[SETTINGS_ID + word]
        elif address == DISARM:
            self.disarm(HOST)
        elif address == ARM:
            may = GATE_VALID | SCHEDULE_VALID
            registers[STATUS] |= ARMED if registers[STATUS] & may == may and not registers[FAULTS] else 0
        elif address == ARM_TEST:
            if registers[STATUS] & SCHEDULE_VALID and not registers[FAULTS]:
                registers[STATUS] |= TESTING
                self.on_test()
        elif address == SCHEDULE_COMMIT:
            if not registers[STATUS] & (ARMED | TESTING):
                registers[STATUS] |= SCHEDULE_VALID
                registers[SCHEDULE_SERIAL] += 1
                self.hidden.update((address, registers[address]) for address in SCHEDULE)
        elif address == SNAPSHOT:
            registers.update(self.counters)
            registers[TIMESTAMP], registers[TIMESTAMP + 4] = 7, 1
        elif address == GATE_COMMIT:
            self.in_force, self.written = self.written, self.in_force
            registers[GATE_SERIAL] += 1
            registers[STATUS] |= GATE_VALID

    def _swap(self) -> None:
        """The other set of the schedule is what the registers show."""
        for address in SCHEDULE:
            self.registers[address], self.hidden[address] = self.hidden[address], self.registers[address]
