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
from collections.abc import Callable
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
GATE, GATE_COMMIT, GATE_ACTIVE, GATE_SERIAL = 0x44, 0x50, 0x54, 0x60
DROP_DELAY, PULSE_CYCLES, TRIGGER_CHANNEL, TRIGGER_THRESHOLD, HEARTBEAT, LINE_TIMEOUT = (
    0x64,
    0x68,
    0x6C,
    0x70,
    0x74,
    0x78,
)
ACCEPTED, LAST = 0x80, 0xC0
STROBES = {SNAPSHOT, ARM, DISARM, GATE_COMMIT}
SETTINGS = {
    GATE,
    GATE + 4,
    GATE + 8,
    DROP_DELAY,
    PULSE_CYCLES,
    TRIGGER_CHANNEL,
    TRIGGER_THRESHOLD,
    HEARTBEAT,
    LINE_TIMEOUT,
}
ARMED, GATE_VALID, DISARMED_BY = 1, 2, 0x30  # bits of STATUS
HOST, SILENCE = 0x10, 0x20


class FakeBoard:
    def __init__(self, model_id: str, build_id: str = "0123456789abcdef", geometry: tuple[int, ...] = (3, 2, 40, 38)):
        readable = {*range(0, 0x2C, 4), *range(0x44, 0x7C, 4), *range(ACCEPTED, LAST + 4, 4)} - STROBES
        self.registers = dict.fromkeys(sorted(readable), 0)
        self.registers[MAGIC] = int.from_bytes(b"ICSR", "little")
        self.registers[PROTOCOL] = 2
        for address, identity in ((BUILD_ID, build_id), (MODEL_ID, model_id)):
            self.registers[address] = int(identity[8:], 16)
            self.registers[address + 4] = int(identity[:8], 16)
        self.registers[GEOMETRY] = int.from_bytes(bytes(geometry), "little")
        self.registers[CLOCK_HZ] = 100_000_000
        self.counters = {address: 100 + address for address in range(ACCEPTED, LAST + 4, 4)}
        self.requests: list[bytes] = []  # payloads of intact requests
        self.lone_zeros = 0
        self.damage: list[str] = []  # for each answer to come: "flip", "drop", "repeat", "seq" or "" (leave it)
        self.forgets: set[int] = set()  # addresses that do not keep what is written
        self.event_seq = 0
        self.chatter = b""  # what it sends all the time
        self.deaf = False  # it neither carries out nor answers anything
        self.on_request: Callable[[], None] = lambda: None  # called before each answer
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._plugged = True
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
        """Raw bytes to the host."""
        if self._plugged:
            os.write(self._master, data)

    def event(self, event_id: int, **changes: object) -> bytes:
        """The next EVENT frame; sent by `put`, or not at all where a loss is wanted."""
        values: dict = {
            "outcome": 0,
            "best": 1,
            "posterior": 0xE000,
            "time": 2**40 + event_id,
            "first": 1700,
            "last": 60,
        }
        values |= {"logits": (-5, 2**30, -(2**31))} | changes
        body = struct.pack(
            f"<IQBBHIi{len(values['logits'])}i",
            *(event_id, values["time"], values["outcome"], values["best"], values["posterior"], values["first"]),
            *(values["last"], *values["logits"]),
        )
        frame = self.frame(bytes([0xE0, self.event_seq]) + body)
        self.event_seq = (self.event_seq + 1) % 256
        return frame

    @staticmethod
    def frame(payload: bytes) -> bytes:
        return cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"

    def _run(self) -> None:
        received = b""
        while self._plugged:
            if self.chatter:
                with contextlib.suppress(BlockingIOError):
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
        # Only here, where nobody reads: a port that is closed under a reader does not hang up.
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
        if self.armed:
            self.registers[STATUS] = self.registers[STATUS] & ~(ARMED | DISARMED_BY) | cause

    def _write(self, address: int, data: int) -> None:
        registers = self.registers
        if address in SETTINGS:
            registers[address] = data
        elif not data & 1:
            return
        elif address == DISARM:
            self.disarm(HOST)
        elif address == ARM:
            registers[STATUS] |= ARMED if registers[STATUS] & GATE_VALID else 0
        elif address == SNAPSHOT:
            registers.update(self.counters)
            registers[TIMESTAMP], registers[TIMESTAMP + 4] = 7, 1
        elif address == GATE_COMMIT:
            for offset in (0, 4, 8):
                registers[GATE_ACTIVE + offset] = registers[GATE + offset]
            registers[GATE_SERIAL] += 1
            registers[STATUS] |= GATE_VALID
