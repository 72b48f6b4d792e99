# SPDX-License-Identifier: Apache-2.0
"""icsort_top around a stub network, seen from its pins: lines in, registers over the UART, records and pulses out.

Every record field, every cycle of every pulse and every counter is compared with the bit-true models, fed with the
beats that the sorter accepted.
"""

import itertools
import os
import random
import struct
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import replace

import cocotb
import numpy as np
from cobs import cobs
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.task import Task
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, RisingEdge, with_timeout

from icsort.host.link.protocol import Statistics, parse
from icsort.sim.bit_true.event import Trigger, Window, find_events, line_sums
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.features import Settings as Features
from icsort.sim.bit_true.gate_engine import Program
from icsort.sim.bit_true.preprocess import preprocess
from icsort.sim.bit_true.scheduler import Cell, Outcome, Purity
from tests.hw.sorter.reference import (
    BACKGROUND,
    CHANNELS,
    CLASSES,
    EVENTS,
    GAIN,
    HEIGHT,
    LINE_TO_EVENT,
    LINE_W,
    POSTERIOR,
    SHIFT,
    WIDTH,
    X_OFFSET,
    Beat,
    Record,
    Settings,
    expect,
    split_lines,
    stub_logits,
)
from tests.streams import pauses

CLOCKS_PER_BIT = 4
# Addresses of hw/registers/icsort.rdl.
TIMESTAMP_LO, TIMESTAMP_HI, STATUS = 0x20, 0x24, 0x28
SNAPSHOT, ARM, DISARM = 0x38, 0x3C, 0x40
GATE_INDEX, GATE_DATA, GATE_COMMIT, HEARTBEAT, LINE_TIMEOUT = 0x300, 0x304, 0x308, 0x74, 0x78
SCHEDULE, SCHEDULE_COMMIT, SCHEDULE_VIEW, SCHEDULE_SERIAL = 0x100, 0x1E0, 0x1E4, 0x1E8
ARM_TEST, TEST_PULSE, TEST_PERIOD, TEST = 0x1EC, 0x1F0, 0x1F4, 0x1F8
FAULTS, FAULTS_CLEAR = 0x440, 0x444
TRIGGER_ON, TRIGGER_OFF, TRIGGER_WEIGHTS_LO, _, TRIGGER_COLUMNS, TRIGGER_LINES, TRIGGER_LIMITS, WINDOW = range(
    0x200, 0x220, 4
)
PREPROCESS_SHIFT, FRONT_COMMIT, FRONT_SERIAL, FRONT_INDEX, FRONT_DATA, FRONT_READ = range(0x228, 0x240, 4)
CALIBRATION, CALIBRATION_IN_FORCE, SETTINGS_ID, SETTINGS_IN_FORCE = 0x240, 0x244, 0x248, 0x250
RECORD_FIELDS, NETWORK_MARGIN, NETWORK_FAULT = 0x400, 0x410, 0x10
STATISTICS_PERIOD, STATISTICS_LOST = 0x420, 0x53C
IMAGE_RULE, IMAGE_REQUEST = 0x428, 0x42C
IMAGE_ASKED, IMAGE_EVERY, IMAGE_GATE = 1, 2, 3
OUTCOMES = [outcome.name for outcome in Outcome]
LINE_SOURCE, LINE_SOURCE_LINES, LINE_SOURCE_GAP, LINE_SOURCE_REPEATS, LINE_SOURCE_START = range(0x480, 0x494, 4)
LINE_SOURCE_INDEX, LINE_SOURCE_DATA, LINE_SOURCE_STATUS = 0x498, 0x49C, 0x4A0
# Whether statistics and images go through the UART too; they take long there, and the other top's bench has them.
FRAMES = "FRAMES" in os.environ
COUNTERS = {
    name: 0x80 + 4 * i for i, name in enumerate(["ACCEPTED", "MISSED", *OUTCOMES[:6], "RECORDS_LOST", "LINE_ERRORS"])
}
COUNTERS |= {
    "LINE_GAPS": 0xB8,
    "LINES_STOPPED": 0xBC,
    "DEAD_TIME": 0xC0,
    "DEBRIS": 0xC4,
    "WINDOWS_LOST": 0xC8,
    "FEATURES_LOST": 0xCC,
}
COUNTERS |= {name: 0x500 + 4 * i for i, name in enumerate([*OUTCOMES[6:], "TEST_PULSES", "SORTED_0"])}
INSIDE = [*OUTCOMES, "ACCEPTED", "MISSED", "RECORDS_LOST", "LINE_ERRORS", "DEBRIS", "LINK_BAD", "LINK_GOOD"]
INSIDE += ["HEARTBEATS_LOST", "LINE_GAPS", "LINES_STOPPED", "DEAD_TIME", "TEST_PULSES", "WINDOWS_LOST", "FEATURES_LOST"]
INSIDE += [*(f"SORTED_{direction}" for direction in range(6)), "STATISTICS_LOST", "IMAGES_SKIPPED"]
WRITTEN: dict[int, int] = {}  # words of the schedule that were written, to the one top of this process
TRIGGER = Trigger(
    weights=(0, 1),
    on=16000,
    off=14000,
    first_column=X_OFFSET,
    last_column=X_OFFSET + WIDTH - 1,
    end_lines=2,
    max_lines=4 * HEIGHT,
    post_lines=1,
)
DEFAULT = Settings(
    trigger=TRIGGER,
    window=Window(HEIGHT, WIDTH, X_OFFSET),
    gate_classes=0b0101,
    gate_posterior=45000,
    drop_delay=700,
    pulse_cycles=9,
)


class Light:
    """A source that cannot wait: a beat of light falls in every cycle that is not idle; each line carries the cycle in
    which its first beat fell."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.idle: Iterator[bool] | None = None
        self.lost = 0.0  # share of lines that never reach the sorter
        self.wrong = 0.0  # share of lines whose time is another
        self.number = 0
        self.clear()

    def clear(self) -> None:
        self.to_come: deque[tuple[int, bool, bool]] = deque()  # samples, first of its line, last
        self.times: list[int] = []  # of each line that fell
        self.fallen = 0
        self.limit: int | None = None  # beats after which no more fall

    def send(self, line: np.ndarray) -> None:
        samples = [int(a) | int(b) << 16 for a, b in line]
        self.to_come += [(sample, i == 0, i == len(samples) - 1) for i, sample in enumerate(samples)]

    @property
    def empty(self) -> bool:
        return not self.to_come

    def fall(self, now: int) -> bool:
        """The next beat, in cycle `now`. Returns whether the sorter sees it."""
        samples, first, last = self.to_come.popleft()
        self.fallen += 1
        if first:
            self.number += 1
            self.times.append(now)
            self.is_lost = random.random() < self.lost
            stamp = now + random.choice([-500, -100, 3, 500]) if random.random() < self.wrong else now
            self.user = self.number % 2**16 << 48 | stamp % 2**48
        self.dut.s_axis_line_tdata.value = samples
        self.dut.s_axis_line_tlast.value = last
        self.dut.s_axis_line_tuser.value = self.user if first else random.getrandbits(64)
        return not self.is_lost

    async def run(self) -> None:
        dut = self.dut
        edge, rst, ready, valid = RisingEdge(dut.clk), dut.rst, dut.s_axis_line_tready, dut.s_axis_line_tvalid
        valid.value = was_seen = False
        while True:
            await edge
            seen = False
            if not rst.value:
                assert ready.value
                dark = self.idle is not None and next(self.idle)
                if self.to_come and not dark and (self.limit is None or self.fallen < self.limit):
                    seen = self.fall(dut.timestamp.value.to_unsigned() + 1)  # in the cycle that begins here
            if seen != was_seen:
                valid.value = was_seen = seen


class Bench:
    """Line source, host end of the UART and a monitor that notes what every cycle shows."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.light = Light(dut)
        self.has_features = bool(dut.FEATURES.value.to_unsigned())
        self.answers: Queue[bytes] = Queue()
        self.sequence = 0
        self.listener: Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        self.beats: list[Beat] = []
        self.decisions: list[int] = []
        self.words = bytearray()  # of the record that is being made
        self.decided: list[Record] = []
        self.cells: list[Cell] = []
        self.ready: list[int] = []  # cycle from which all about an event was there
        self.amended: list[int] = []  # bodies, as the host received them
        self.received: list[tuple[int, Record]] = []
        self.armed: list[tuple[int, int]] = []
        self.high: list[int] = []
        self.statistics: list[Statistics] = []
        self.pieces: list[bytes] = []  # of images, bodies as the host received them
        self.moments: dict[int, dict[str, int]] = {}  # cycle in which statistics were taken: counters of that cycle
        self.events: list[int] = []  # cycle of each acceptance
        self.accepted = 0
        self.lost: list[bool] = []  # windows
        self.logits: list[int] = []
        self.silent_until = 0
        self.commits = 0

    async def start(self) -> None:
        dut = self.dut
        self.attach()
        dut.interlock.value = 1
        dut.drop_clock.value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        cocotb.start_soon(self.monitor())
        cocotb.start_soon(self.light.run())
        await self.reset()

    def attach(self) -> None:
        """The host's end of the pins."""
        self.dut.uart_rx.value = 1

    async def reset(self) -> None:
        self.dut.rst.value = 1
        self.light.clear()
        if self.listener is not None:
            self.listener.cancel()  # a frame cut by the reset is nobody's
        await ClockCycles(self.dut.clk, 4)
        self.forget()
        self.dut.rst.value = 0
        self.listener = cocotb.start_soon(self.listen())
        await RisingEdge(self.dut.clk)

    async def monitor(self) -> None:
        """Values just before each rising edge: what the registers are about to see."""
        dut, core = self.dut, self.dut.top.core
        edge, rst, armed_now = RisingEdge(dut.clk), dut.rst, dut.mon_armed
        # Most cycles show none of these; to look at all of them in each costs the most of a simulation.
        signs = (
            *(dut.s_axis_line_tvalid, dut.mon_stream_net_out, core.window_valid, core.cell_valid, core.decision_valid),
            *(dut.mon_decision, dut.mon_record_tvalid, dut.mon_event, core.statistics_frames.moment_q, dut.sort_out),
        )
        was_armed, now = False, -1
        while True:
            await edge
            if rst.value:
                was_armed, now = False, -1
                continue
            now = now + 1 if now >= 0 else dut.timestamp.value.to_unsigned()
            self.silent_until = now
            if bool(armed_now.value) == was_armed and not any(sign.value for sign in signs):
                continue
            assert now == dut.timestamp.value.to_unsigned()
            if dut.s_axis_line_tvalid.value:
                data = dut.s_axis_line_tdata.value.to_unsigned()
                samples = tuple(data >> 16 * c & 0xFFFF for c in range(CHANNELS))
                user = dut.s_axis_line_tuser.value.to_unsigned()
                self.beats.append(Beat(now, samples, bool(dut.s_axis_line_tlast.value), user))
            if dut.mon_stream_net_out.value:
                self.logits.append(now)
            if dut.top.core.window_valid.value:
                self.lost.append(bool(dut.top.core.window_lost.value))
            if core.cell_valid.value:
                event = bool(core.begin_valid.value)
                time = (core.begin_time if event else core.neighbour_time).value.to_unsigned()
                self.cells.append(Cell(now, time, event, not event and bool(core.neighbour_doubtful.value)))
            if core.decision_valid.value and len(self.ready) == len(self.decisions):
                self.ready.append(now)
            if dut.mon_decision.value:
                self.decisions.append(now)
            if dut.mon_record_tvalid.value:
                self.words += dut.mon_record_tdata.value.to_unsigned().to_bytes(4, "little")
                if dut.mon_record_tlast.value:
                    self.decided.append(Record.parse(bytes(self.words)))
                    self.words.clear()
            if dut.mon_event.value:
                self.accepted += 1
                self.events.append(now)
            if core.statistics_frames.moment_q.value:
                self.moments[now] = self.counters()
            if dut.sort_out.value:
                self.high.append(now)
            armed = bool(dut.mon_armed.value)
            if armed and not was_armed:
                self.armed.append((now, 2**47))
            if was_armed and not armed:
                self.armed[-1] = (self.armed[-1][0], now)
            was_armed = armed

    # ------------------------------------------------------------------ host

    async def listen(self) -> None:
        """Bytes from uart_tx; each zero ends a frame."""
        dut, frame = self.dut, bytearray()
        while True:
            await FallingEdge(dut.uart_tx)
            await ClockCycles(dut.clk, CLOCKS_PER_BIT // 2)
            byte = 0
            for bit in range(8):
                await ClockCycles(dut.clk, CLOCKS_PER_BIT)
                byte |= int(dut.uart_tx.value) << bit
            await ClockCycles(dut.clk, CLOCKS_PER_BIT)
            assert dut.uart_tx.value, "no stop bit"
            if byte:
                frame.append(byte)
                continue
            payload, crc = cobs.decode(bytes(frame))[:-4], cobs.decode(bytes(frame))[-4:]
            frame.clear()
            assert zlib.crc32(payload) == int.from_bytes(crc, "little")
            if payload[0] == 0xE0:
                self.received.append((payload[1], Record.parse(payload[2:])))
            elif payload[0] == 0xE1:
                assert payload[1] == len(self.amended) % 256
                self.amended.append(int.from_bytes(payload[2:], "little"))
            elif payload[0] == 0xE2:
                assert payload[1] == len(self.statistics) % 256
                self.statistics.append(parse(payload))
            elif payload[0] == 0xE3:
                assert payload[1] == len(self.pieces) % 256
                self.pieces.append(payload[2:])
            else:
                self.answers.put_nowait(payload)

    async def request(self, kind: int, body: bytes) -> int:
        self.sequence = (self.sequence + 1) % 256
        payload = bytes([kind, self.sequence]) + body
        frame = cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"
        for byte in frame:
            for bit in [0, *(byte >> i & 1 for i in range(8)), 1]:
                self.dut.uart_rx.value = bit
                await ClockCycles(self.dut.clk, CLOCKS_PER_BIT)
        answer = await with_timeout(self.answers.get(), 2, "ms")
        assert answer[:2] == bytes([kind | 0x80, self.sequence]), answer.hex()
        assert answer[2:4] == body[:2]
        return int.from_bytes(answer[4:8], "little")

    async def read(self, address: int) -> int:
        return await self.request(0x01, address.to_bytes(2, "little"))

    async def write(self, address: int, value: int) -> int:
        return await self.request(0x02, address.to_bytes(2, "little") + value.to_bytes(4, "little"))

    async def write_gates(self, program: Program) -> None:
        """A gate set, put in force."""
        for index, word in program.words().items():
            await self.write(GATE_INDEX, index)
            await self.write(GATE_DATA, word)
        await self.write(GATE_COMMIT, 1)

    async def configure(self, settings: Settings, arm: bool = True) -> None:
        self.settings = settings
        trigger, window = settings.trigger, settings.window
        lines = (trigger.end_lines, trigger.min_lines, trigger.pre_lines, trigger.post_lines)
        if self.has_features:
            settings = self.settings = replace(settings, features=settings.features or random_features())
            await self.write(RECORD_FIELDS, 0b1111)
            for index, word in settings.features.entries.items():
                await self.write(FRONT_INDEX, 4 << 24 | index)
                await self.write(FRONT_DATA, word)
                await self.write(FRONT_INDEX, 4 << 24 | index)
                assert await self.read(FRONT_READ) == word
        await self.write_gates(settings.gates)
        values = {
            **{SCHEDULE + 4 * index: word for index, word in settings.schedule.words().items()},
            SCHEDULE_COMMIT: 1,
            LINE_TIMEOUT: settings.line_timeout,
            TRIGGER_ON: trigger.on,
            TRIGGER_OFF: trigger.off,
            TRIGGER_WEIGHTS_LO: sum(weight << 8 * c for c, weight in enumerate(trigger.weights)),
            TRIGGER_COLUMNS: trigger.last_column << 16 | trigger.first_column,
            TRIGGER_LINES: sum(value << 8 * i for i, value in enumerate(lines)),
            TRIGGER_LIMITS: trigger.dip << 8 | trigger.max_lines,
            WINDOW: window.centred << 16 | window.x_offset,
            PREPROCESS_SHIFT: SHIFT,
            CALIBRATION: settings.calibration[1] << 24 | settings.calibration[0],
            FRONT_COMMIT: 1,
        }
        # The memory of the schedule keeps what it has, also through a reset.
        written = {address: value for address, value in values.items() if WRITTEN.get(address) != value}
        WRITTEN.update((address, value) for address, value in values.items() if SCHEDULE <= address < SCHEDULE_COMMIT)
        strobes = (FRONT_COMMIT, SCHEDULE_COMMIT)
        self.commits += 1
        for address, value in written.items():
            assert await self.write(address, value) == (0 if address in strobes else value)
        if arm:
            await self.write(ARM, 1)
            assert self.dut.mon_armed.value

    # ------------------------------------------------------------------ lines and checks

    def send(self, lines: list[np.ndarray]) -> None:
        """Queue lines, each (pixels, channels) of unsigned 16 bit."""
        for line in lines:
            self.light.send(line)

    async def taken(self) -> None:
        """Wait until all lines are in."""
        while not self.light.empty:
            await ClockCycles(self.dut.clk, 1)

    async def drained(self) -> None:
        """Wait until all lines are in and nothing is in flight."""
        await self.taken()
        await ClockCycles(self.dut.clk, 20)  # until the trigger has judged them
        while not self.dut.mon_idle.value:
            await ClockCycles(self.dut.clk, 16)
        await ReadOnly()
        await RisingEdge(self.dut.clk)

    async def read_counters(self) -> dict[str, int]:
        """As the host reads them."""
        await self.write(SNAPSHOT, 1)
        return {name: await self.read(address) for name, address in COUNTERS.items()}

    def counters(self) -> dict[str, int]:
        """From inside, so that no test waits for the link."""
        packed = self.dut.top.core.count.value.to_unsigned()
        return {name: packed >> 32 * index & 0xFFFFFFFF for index, name in enumerate(INSIDE)}

    def check_statistics(self, period: int) -> None:
        """Each frame has the counters of its cycle; those cycles are a period apart, and none is without a number."""
        moments = list(self.moments)
        assert all(after - before == period for before, after in itertools.pairwise(moments))
        for frame in self.statistics:
            assert moments[frame.number] == frame.time
            inside = self.moments[frame.time]
            names = {"LINK_BAD_FRAMES": "LINK_BAD", "LINK_GOOD_FRAMES": "LINK_GOOD"}
            assert frame.counters == {name: inside[names.get(name, name)] for name in frame.counters}
            assert frame.counters["ACCEPTED"] == sum(time < frame.time for time in self.events)
            assert frame.counters["RECORDS_LOST"] + len(self.received) >= frame.counters["ACCEPTED"] - EVENTS
            assert frame.state["armed"] == any(begin <= frame.time < end for begin, end in self.armed)
        numbers = [frame.number for frame in self.statistics]
        assert numbers == sorted(set(numbers))
        whole = self.statistics[-1].counters["STATISTICS_LOST"]
        # Of the moments up to the last frame those are lost that no frame came of; the last of them may be behind it.
        missing = self.statistics[-1].number + 1 - len(numbers)
        assert whole == missing

    def images(self) -> dict[int, int]:
        """Events of which an image came, and why; each is the window that the model cuts. Behind `check`."""
        came, at = {}, 0
        while at < len(self.pieces):
            event, tag, why, _, _, pieces = struct.unpack("<IBBHHH", self.pieces[at][:12])
            body = self.pieces[at : at + pieces]
            assert [piece[:12] for piece in body] == [
                struct.pack("<IBBHHH", event, tag, why, 0, number, pieces) for number in range(pieces)
            ]
            assert tag == event % 256
            pixels = self.expected.windows[event].tobytes()
            assert b"".join(piece[12:] for piece in body) == pixels + b"\0" * (-len(pixels) % 4)
            assert event not in came
            came[event] = why
            at += pieces
        return came

    async def check(self, failed: Collection[int] = ()) -> dict[str, int]:
        """Compare everything since reset with the models. Returns the counters. failed: events of which the
        network gave nothing."""
        assert self.beats[-1].last
        assert len(self.decided) == len(self.decisions) == self.accepted
        lines = split_lines(self.beats, self.settings.line_timeout, self.silent_until)
        observed = (self.armed, self.decisions, self.lost, self.cells, self.ready)
        featureless = [i for i, record in enumerate(self.decided) if record.flags & EventFlag.FEATURELESS]
        expected = self.expected = expect(lines, self.settings, *observed, failed, featureless)
        # Only a commit takes features away.
        assert len(featureless) == self.counters()["FEATURES_LOST"]
        assert not featureless or any(self.lost) or self.commits > 1
        # What a lost window holds behind the line that was overwritten nobody asks.
        pairs = [
            (r, replace(e, best=r.best, posterior=r.posterior, logits=r.logits, gates=r.gates) if lost else e)
            for r, e, lost in zip(self.decided, expected.records, self.lost, strict=True)
        ]
        assert all(record == same for record, same in pairs), [(r, e) for r, e in pairs if r != e][:3]
        assert sorted(self.high) == [t for first, last in expected.pulses for t in range(first, last + 1)]
        counters = self.counters()
        assert {name: counters[name] for name in expected.counters} == expected.counters
        assert counters["ACCEPTED"] == sum(counters[name] for name in OUTCOMES)
        # What the host has is a part of what was decided, in order, complete but for the records counted as lost.
        assert [sequence for sequence, _ in self.received] == [i % 256 for i in range(len(self.received))]
        by_id = {record.event: record for record in self.decided}
        assert all(record == by_id[record.event] for _, record in self.received)
        amended = [(body & 0xFFFFFF, Outcome(body >> 24 & 0xF), body >> 28) for body in self.amended]
        assert set(amended) <= set(expected.amended)
        made = len(self.decided) + len(expected.amended)
        assert len(self.received) + len(amended) + counters["RECORDS_LOST"] == made
        return counters


def random_features() -> Features:
    """Settings of the features: cells are partly above, compensation mixes the channels."""
    matrix = tuple(tuple(random.randrange(-(2**14), 2**15) for _ in range(CHANNELS)) for _ in range(CHANNELS))
    return Features(
        tuple(random.choice([0, random.randrange(3000)]) for _ in range(CHANNELS)),
        tuple(random.choice([0, random.randrange(20000)]) for _ in range(CHANNELS)),
        matrix,
    )


def background(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 1500, size=(LINE_W, CHANNELS))


def cell(rng: np.random.Generator, height: int, kind: int) -> list[np.ndarray]:
    """Lines of a cell that triggers on channel 1. Where it fills the window, class `kind` wins."""
    # Channel 0 is bright and channel 1, which is inverted, dark where the network is to see large pixels.
    even = [(30000, 60000), (1000, 3000), (30000, 3000), (1000, 60000)][kind]
    odd = [(30000, 60000), (1000, 3000), (1000, 60000), (30000, 3000)][kind]
    lines = []
    for row in range(height):
        line = np.asarray(odd if row % 2 else even) * (0.7 + 0.3 * rng.random((LINE_W, CHANNELS)))
        line[:, 1] = np.maximum(line[:, 1], 2100)
        lines.append(line.astype(np.int64))
    return lines


def stream(rng: np.random.Generator, cells: int, gap: tuple[int, int], malformed: float = 0.0) -> list[np.ndarray]:
    """Cells of 1 to 2 H lines between `gap` background lines; a part of all lines is too short or too long."""
    lines = []
    for kind in range(cells):
        lines += [background(rng) for _ in range(rng.integers(*gap))]
        lines += cell(rng, int(rng.integers(1, 2 * HEIGHT)), kind % CLASSES)
    lines += [background(rng) for _ in range(HEIGHT + 2)]
    for i in range(len(lines)):
        if rng.random() < malformed:
            length = int(rng.integers(1, 2 * LINE_W))
            lines[i] = np.concatenate([lines[i], background(rng)])[:length]
    return lines


async def prepare(dut, idle: float = 0.0, kind: type[Bench] = Bench) -> tuple[Bench, np.random.Generator]:
    bench = kind(dut)
    if idle:
        bench.light.idle = pauses(idle)
    await bench.start()
    return bench, np.random.default_rng(random.getrandbits(32))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def never_armed_without_gate_and_schedule(dut):
    """Out of reset nothing triggers, and ARM does nothing until a gate and a schedule were committed."""
    bench, rng = await prepare(dut)
    bench.send(stream(rng, 3, (2, 5)))
    await bench.write(ARM, 1)
    await bench.drained()
    assert not dut.mon_armed.value
    assert bench.accepted == 0
    for address in (GATE_COMMIT, SCHEDULE_COMMIT):
        await bench.write(ARM, 1)
        assert not dut.mon_armed.value
        await bench.write(address, 1)
    await bench.write(ARM, 1)
    assert dut.mon_armed.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def says_what_it_is(dut):
    """The registers that the host checks before it arms, and the tables of the front."""
    bench, _ = await prepare(dut)
    ids = [await bench.read(address) for address in range(0x08, 0x20, 4)]
    geometry = CLASSES | CHANNELS << 8 | HEIGHT << 16 | WIDTH << 24
    assert ids == [0x89ABCDEF, 0x01234567, 0x76543210, 0xFEDCBA98, geometry, 100_000_000]
    assert await bench.read(STATUS) & 0b111 in (0b000, 0b100)
    await bench.configure(DEFAULT)
    assert await bench.read(STATUS) & 0b011 == 0b011
    before = dut.timestamp.value.to_unsigned()
    await bench.write(SNAPSHOT, 1)
    assert before < await bench.read(TIMESTAMP_LO) < dut.timestamp.value.to_unsigned()
    assert await bench.read(TIMESTAMP_HI) == 0
    assert await bench.read(FRONT_SERIAL) == 1
    for table, values in ((2, BACKGROUND), (3, GAIN)):
        for index, built in enumerate(values):
            await bench.write(FRONT_INDEX, table << 24 | index)
            assert await bench.read(FRONT_READ) == built % 2**32
    await bench.write(FRONT_INDEX, 3 << 24)
    for value in (-7, 2**17 - 1):
        await bench.write(FRONT_DATA, value % 2**32)
    for index, value in enumerate((-7, 2**17 - 1, 0)):
        await bench.write(FRONT_INDEX, 3 << 24 | index)
        assert await bench.read(FRONT_READ) == value % 2**32


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.4])
async def random_cells(dut, idle):
    """Cells of all classes and heights, gaps of all lengths: every outcome that a gate and a schedule can give; then as
    many with another trigger, pre-lines and a centred window."""
    bench, rng = await prepare(dut, idle)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 40, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED"] > 0
    assert counters["REJECTED"] > 0
    assert {record.best for record in bench.decided} == set(range(CLASSES))
    if not idle:
        assert await bench.read_counters() == {name: counters[name] for name in COUNTERS}
    await bench.reset()
    trigger = replace(
        TRIGGER, weights=(1, 2), on=60000, off=50000, pre_lines=2, min_lines=3, max_lines=8, end_lines=3, dip=4
    )
    await bench.configure(replace(DEFAULT, trigger=trigger, window=Window(HEIGHT, WIDTH, 0, centred=True)))
    bench.send(stream(rng, 40, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert min(counters["ACCEPTED"], counters["DEBRIS"], counters["OVERLONG"]) > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def calibration_from_the_host(dut):
    """Posteriors go by the constants that were loaded, whatever they are; without any, no cell is sorted. What is
    written is not in force before it is committed."""
    bench, rng = await prepare(dut, 0.2)
    assert await bench.read(CALIBRATION_IN_FORCE) == 0
    known = []
    for multiplier, shift in ((rng.integers(2**17, 2**18), POSTERIOR[1] + rng.integers(-2, 3)), (0, 0)):
        await bench.reset()
        await bench.configure(replace(DEFAULT, gate_posterior=30000, calibration=(int(multiplier), int(shift))))
        bench.send(stream(rng, 25, (1, 14)))
        await bench.drained()
        known.append(await bench.check())
    assert known[0]["SORTED"] > 0
    assert known[1]["SORTED"] == known[1]["REJECTED"] == 0
    assert known[1]["AMBIGUOUS"] > 0
    await bench.write(CALIBRATION, 7)
    for word, value in enumerate((0x89ABCDEF, 0x01234567)):
        await bench.write(SETTINGS_ID + 4 * word, value)
    in_force = (CALIBRATION_IN_FORCE, SETTINGS_IN_FORCE, SETTINGS_IN_FORCE + 4)
    assert [await bench.read(address) for address in in_force] == [0, 0, 0]
    await bench.write(FRONT_COMMIT, 1)
    assert [await bench.read(address) for address in in_force] == [7, 0x89ABCDEF, 0x01234567]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def calibration_changes_while_cells_come(dut):
    """An event that began before a commit and whose logits come behind it is in doubt; every other one is not."""
    bench, rng = await prepare(dut, 0.0)
    await bench.configure(replace(DEFAULT, gate_posterior=0, gate_classes=0b1111))
    constants, commits, taken = dut.top.core.calibration, [], []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            if constants.commit.value:
                commits.append(dut.timestamp.value.to_unsigned())
            if constants.taken.value:
                taken.append(dut.timestamp.value.to_unsigned())

    watching = cocotb.start_soon(watch())
    bench.send(stream(rng, 300, (1, 14)))
    while not bench.light.empty:
        await ClockCycles(dut.clk, random.randrange(100))
        await bench.write(FRONT_COMMIT, 1)
    await bench.drained()
    watching.cancel()
    counters = bench.counters()
    assert counters["ACCEPTED"] == sum(counters[name] for name in OUTCOMES)
    doubtful = [
        any(begun <= commit < logits for commit in commits) for begun, logits in zip(bench.events, taken, strict=True)
    ]
    assert [record.gates for record in bench.decided] == [int(not doubt) for doubt in doubtful]
    sorted_ones = [
        doubt for doubt, record in zip(doubtful, bench.decided, strict=True) if record.outcome == Outcome.SORTED
    ]
    assert sorted_ones
    assert not any(sorted_ones)
    assert any(doubtful)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def malformed_lines(dut):
    """Lines that are too short or too long are padded or cut, counted, and their events aborted."""
    bench, rng = await prepare(dut, 0.2)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 40, (1, 10), malformed=0.1))
    await bench.drained()
    counters = await bench.check()
    assert counters["HARDWARE"] > 0
    assert counters["LINE_ERRORS"] > counters["HARDWARE"]
    assert counters["ACCEPTED"] > counters["HARDWARE"]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def drop_delay_too_short(dut):
    """With a delay between the fastest and the slowest decision some events are late; none of them fires."""
    bench, rng = await prepare(dut, 0.4)
    await bench.configure(replace(DEFAULT, gate_classes=0b1111, gate_posterior=0, drop_delay=453, pulse_cycles=1))
    bench.send(stream(rng, 30, (3, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["LATE"] > 0
    assert counters["SORTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def events_too_dense(dut):
    """Pulses longer than the distance of the cells: the second of two is not sorted."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, gate_classes=0b1111, gate_posterior=0, drop_delay=900, pulse_cycles=300))
    bench.send(stream(rng, 30, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["CONFLICT"] > 0
    assert counters["SORTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def disarmed_in_the_middle(dut):
    """Disarming while sorts are pending cancels and counts them; arming again goes on."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, gate_classes=0b1111, gate_posterior=0, drop_delay=4000, pulse_cycles=5))
    bench.send(stream(rng, 25, (1, 6)))
    await ClockCycles(dut.clk, 500)
    await bench.write(DISARM, 1)
    bench.send(stream(rng, 25, (1, 6)))
    await ClockCycles(dut.clk, 300)
    await bench.write(ARM, 1)
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED"] > 0
    cancelled = sum(record.outcome == 0 for record in bench.decided) - counters["SORTED"]
    assert cancelled > 0
    assert counters["DISARMED"] > cancelled


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def silent_host(dut):
    """A host that falls silent while sorts are pending: they are cancelled and counted, the next cells not sorted."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, gate_classes=0b1111, gate_posterior=0, drop_delay=4000, pulse_cycles=5))
    await bench.write(HEARTBEAT, 2000)
    bench.send(stream(rng, 40, (1, 6)))
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED"] == 0
    assert counters["DISARMED"] > 0
    assert any(record.outcome == 0 for record in bench.decided)  # scheduled, then cancelled
    assert counters["HEARTBEATS_LOST"] == 1
    assert await bench.read(STATUS) & 0b110001 == 0b100000


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def side_fifo_overflow(dut):
    """A network that does not answer: event 17 is missed and counted, and everything is in step again afterwards."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    await bench.write(NETWORK_MARGIN, 0)
    dut.top.core.net.hold.value = 1
    bench.send(stream(rng, 2 * EVENTS + 8, (2, 4)))
    await bench.taken()
    await ClockCycles(dut.clk, 20)
    assert bench.accepted == EVENTS
    dut.top.core.net.hold.value = 0
    bench.send(stream(rng, 8, (8, 12)))
    await bench.drained()
    counters = await bench.check()
    assert counters["MISSED"] > 0
    assert counters["ACCEPTED"] > EVENTS
    assert counters["LATE"] > 0


@cocotb.test(timeout_time=10, timeout_unit="ms", skip=not FRAMES)
async def statistics_beside_records(dut):
    """While cells come, frames of statistics go between the records, each of one moment; those without room are
    counted, and no record is lost that was not."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    assert await bench.read(STATISTICS_PERIOD) == 2**32 - 1
    period = random.randrange(3500, 9000)
    await bench.write(STATISTICS_PERIOD, period)
    for gap in (1, 30, 300, 30, 1):
        bench.send(stream(rng, 12, (gap, gap + 13)))
        await bench.taken()
    while not bench.statistics or bench.statistics[-1].time < bench.decisions[-1] + 2000:
        await ClockCycles(dut.clk, 1000)
    await bench.write(STATISTICS_PERIOD, 0)
    await bench.drained()
    counters = await bench.check()
    bench.check_statistics(period)
    assert len(bench.statistics) > 4
    assert bench.statistics[-1].faults == ()
    last = bench.statistics[-1].counters
    read = await bench.read_counters()
    assert read == {name: last[name] for name in read} == {name: counters[name] for name in read}
    dut.interlock.value = 0
    await bench.write(STATISTICS_PERIOD, 9000)
    before = len(bench.statistics)
    while len(bench.statistics) == before:
        await ClockCycles(dut.clk, 1000)
    assert bench.statistics[-1].faults == ("interlock",)
    assert bench.statistics[-1].state["disarmed_by"] == 3


@cocotb.test(timeout_time=10, timeout_unit="ms", skip=not FRAMES)
async def images_of_events(dut):
    """Windows of the events that a rule or a request asks for, to the bit, beside records and statistics, while the
    network stalls; those of which none came are counted."""
    bench, rng = await prepare(dut, 0.2)
    await bench.configure(DEFAULT)
    await bench.write(STATISTICS_PERIOD, 20_000)

    async def pass_by(rule: int, argument: int, requests: int = 0) -> tuple[range, list[int], int]:
        """Cells under a rule. Returns their events, those of which an image came, how many were skipped."""
        await bench.write(IMAGE_RULE, argument << 8 | rule)
        first, skipped = bench.accepted, bench.counters()["IMAGES_SKIPPED"]
        for gap in (1, 100, 100, 30) if not requests else [60] * requests:
            if requests:
                await bench.write(IMAGE_REQUEST, 1)
            bench.send(stream(rng, 8, (gap, gap + 9)))
            await bench.taken()
            dut.top.core.net.stall.value = 1
            await ClockCycles(dut.clk, random.randrange(200))
            dut.top.core.net.stall.value = 0
            if requests:
                await bench.drained()
        await bench.drained()
        await bench.check()
        events = range(first, bench.accepted)
        reason = IMAGE_ASKED if requests else rule
        came = [event for event, why in bench.images().items() if event in events and why == reason]
        assert len(came) == sum(event in events for event in bench.images())
        return events, came, bench.counters()["IMAGES_SKIPPED"] - skipped

    every = random.randrange(1, 5)
    events, came, skipped = await pass_by(IMAGE_EVERY, every)
    assert set(came) <= set(events[every - 1 :: every])
    assert len(came) + skipped == len(events[every - 1 :: every])
    assert came
    events, came, skipped = await pass_by(IMAGE_GATE, 0)
    hits = [event for event in events if bench.decided[event].gates & 1]
    assert set(came) <= set(hits)
    assert len(came) + skipped == len(hits)
    assert came
    events, came, skipped = await pass_by(0, 0, requests=3)
    assert (len(came), skipped) == (3, 0)
    await bench.write(STATISTICS_PERIOD, 0)
    await bench.drained()
    counters = await bench.check()
    assert bench.statistics
    assert bench.statistics[-1].counters["IMAGES_SKIPPED"] <= counters["IMAGES_SKIPPED"]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def network_that_falls_silent(dut):
    """Its events are aborted, none is without a counter, until the fault is cleared; then all is as before."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    await bench.write(NETWORK_MARGIN, 200)
    bench.send(stream(rng, 10, (4, 14)))
    await bench.drained()
    first = len(bench.decided)
    assert await bench.read(FAULTS) == 0
    dut.top.core.net.hold.value = 1
    bench.send(stream(rng, 10, (4, 14)))
    await bench.taken()
    await ClockCycles(dut.clk, 300)
    dut.top.core.net.hold.value = 0
    bench.send(stream(rng, 10, (4, 14)))
    await bench.drained()
    failed = range(first, len(bench.decided))
    assert {OUTCOMES[bench.decided[event].outcome] for event in failed} == {"FAULT"}
    assert await bench.read(FAULTS) == NETWORK_FAULT
    assert not dut.mon_armed.value  # nor to be armed
    await bench.write(FAULTS_CLEAR, NETWORK_FAULT)
    assert await bench.read(FAULTS) == 0
    await bench.write(ARM, 1)
    bench.send(stream(rng, 20, (4, 14)))
    await bench.drained()
    await bench.check(failed)
    assert any(OUTCOMES[record.outcome] == "SORTED" for record in bench.decided[failed.stop :])


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(tail=[1, 3])
async def waits_for_the_end(dut, tail):
    """The window is complete but the event has not ended: no decision until it has, no sort where it ends wrong."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, drop_delay=900))
    lines = cell(rng, HEIGHT + 3, 0) + [background(rng) for _ in range(TRIGGER.end_lines)]
    lines[-1] = np.concatenate([lines[-1][:-1], background(rng)[:tail]])
    bench.light.limit = len(lines) * LINE_W - 1
    bench.send(lines)
    await ClockCycles(dut.clk, 400)
    assert bench.lost == [False]
    assert not bench.decisions
    bench.light.limit = None
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED" if tail == 1 else "HARDWARE"] == 1
    # The line is complete with its last pixel, marked as the last or not; two cycles write length and time.
    ended = bench.beats[len(lines) * LINE_W - 1].time + LINE_TO_EVENT + 1
    decided = ended + 1 + int(os.environ["TESTS_AND_GATES"])
    assert bench.decisions == [decided + (20 if tail == 1 else 2)]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def stalled_network(dut):
    """A network that takes no pixels: windows whose lines are overwritten meanwhile are lost, counted, not sorted."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    dut.top.core.net.stall.value = 1
    bench.send(stream(rng, 12, (1, 3)))
    await bench.taken()
    bench.send([background(rng) for _ in range(250)])
    await bench.taken()
    dut.top.core.net.stall.value = 0
    bench.send(stream(rng, 8, (8, 12)))
    await bench.drained()
    counters = await bench.check()
    assert 0 < counters["WINDOWS_LOST"] == sum(bench.lost) < counters["ACCEPTED"]
    assert counters["STALLED"] >= counters["WINDOWS_LOST"]


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def stalls_do_not_move_the_pulse(dut):
    """The network stops a hundred times, for 1 to 300 cycles: each pulse comes DROP_DELAY cycles after the light of its
    cell's first line fell, or there is none."""
    bench, rng = await prepare(dut, 0.5)
    await bench.configure(replace(DEFAULT, drop_delay=575, gate_posterior=0, gate_classes=0b1111))
    lines = stream(rng, 90, (4, 20))
    bench.send(lines)
    for _ in range(100):
        dut.top.core.net.stall.value = 1
        await ClockCycles(dut.clk, random.choice([random.randrange(1, 30), random.randrange(1, 300)]))
        dut.top.core.net.stall.value = 0
        await ClockCycles(dut.clk, random.randrange(1, 500))
    await bench.drained()
    counters = await bench.check()
    assert min(counters["SORTED"], counters["LATE"]) > 2
    # From the lines as they were sent and fell, whatever the sorter's pins showed.
    found = find_events(line_sums(np.stack(lines).astype(np.uint16), TRIGGER), TRIGGER)
    assert [record.time for record in bench.decided] == [bench.light.times[start] for start in found.events.trigger]
    high, amended = set(bench.high), {event for event, _, _ in bench.expected.amended}
    pulses = [cycle for cycle in bench.high if cycle - 1 not in high]
    came = [record for record in bench.decided if OUTCOMES[record.outcome] == "SORTED" and record.event not in amended]
    assert pulses == [record.time + 575 for record in came]


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(fault=["lost", "wrong"])
async def doubtful_times(dut, fault):
    """Lines that never reach the sorter, or bring a wrong time: their events, and those behind a gap, are aborted."""
    bench, rng = await prepare(dut, 0.3)
    setattr(bench.light, fault, 0.03)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 60, (4, 12)))
    await bench.drained()
    counters = await bench.check()
    assert counters["LINE_GAPS"] > 5
    assert min(counters["HARDWARE"], counters["SORTED"]) > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def lines_that_stop(dut):
    """The lines stop within an event, at any beat: it is ended and aborted, at once; the rest of its cell is none; the
    network stays in step."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, gate_posterior=0, line_timeout=250))
    event = HEIGHT * LINE_W
    stops = [
        LINE_W,
        LINE_W + 1,
        2 * LINE_W - 1,
        event - LINE_W,
        event - 1,
        *(random.randrange(LINE_W, event) for _ in range(10)),
    ]
    for length in stops:
        bench.send([background(rng) for _ in range(3)] + cell(rng, HEIGHT + random.randrange(3), 0))
        bench.light.limit = bench.light.fallen + 3 * LINE_W + length
        while bench.light.fallen < bench.light.limit:
            await ClockCycles(dut.clk, 1)
        await ClockCycles(dut.clk, 500)
        assert OUTCOMES[bench.decided[-1].outcome] == "STALLED"
        bench.light.limit = None
        bench.send([background(rng) for _ in range(3)] + cell(rng, HEIGHT, 0) + [background(rng) for _ in range(8)])
        await bench.drained()
    counters = await bench.check()
    assert (counters["LINES_STOPPED"], counters["STALLED"], counters["LINE_ERRORS"]) == (len(stops), len(stops), 0)
    assert counters["SORTED"] == len(stops)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def lines_of_the_host(dut):
    """A cell that the host stored is played three times: three events, at their distance, with the logits of its
    window. Armed, the sorter takes the instrument's lines again."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT, arm=False)
    lines = np.stack([*cell(rng, 2, 0), *(background(rng) for _ in range(3))]).astype(np.uint16)
    await bench.write(LINE_SOURCE, 1)
    await bench.write(LINE_SOURCE_INDEX, 0)
    for sample in lines.ravel().tolist():
        await bench.write(LINE_SOURCE_DATA, sample)
    gap, repeats = 400, 3
    for address, value in ((LINE_SOURCE_LINES, len(lines)), (LINE_SOURCE_GAP, gap), (LINE_SOURCE_REPEATS, repeats)):
        await bench.write(address, value)
    await bench.write(LINE_SOURCE_START, 1)
    assert await bench.read(LINE_SOURCE_STATUS) == 64 << 16 | 0b11
    await ClockCycles(dut.clk, gap * len(lines) * repeats)
    await bench.drained()
    counters = bench.counters()
    assert (counters["ACCEPTED"], counters["DISARMED"]) == (repeats, repeats)
    assert counters["LINE_GAPS"] == counters["LINE_ERRORS"] == 0
    times = [record.time for record in bench.decided]
    assert set(np.diff(times)) == {gap * len(lines)}
    window = np.zeros((HEIGHT, WIDTH, CHANNELS), np.uint8)
    window[:3] = preprocess(
        lines[:3, X_OFFSET : X_OFFSET + WIDTH], BACKGROUND, GAIN, SHIFT
    )  # two lines and a post-line
    assert {record.logits for record in bench.decided} == {tuple(stub_logits(window).tolist())}
    await bench.write(ARM, 1)
    assert await bench.read(LINE_SOURCE_STATUS) == 64 << 16


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """Reset with events, sorts and records in flight: everything starts again from nothing."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 20, (1, 4)))
    await ClockCycles(dut.clk, 700)
    await bench.reset()
    assert not dut.sort_out.value
    assert not dut.mon_armed.value
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 10, (4, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["ACCEPTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def neighbours(dut):
    """A neighbour too near aborts a sort, before its decision or after; both ways each event is counted once."""
    bench, rng = await prepare(dut)
    settings = replace(DEFAULT, gate_classes=0b1111, gate_posterior=0, drop_delay=900, purity=Purity.SINGLE, near=250)
    await bench.configure(settings)
    bench.send(stream(rng, 40, (4, 40)))
    await bench.drained()
    counters = await bench.check()
    assert min(counters["SORTED"], counters["COINCIDENCE"], len(bench.expected.amended)) > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def interlock_and_test_mode(dut):
    """An open interlock disarms, stays known and refuses until it is closed and cleared; test mode gives pulses and
    sorts nothing."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    dut.interlock.value = 0
    await ClockCycles(dut.clk, 6)
    assert not dut.mon_armed.value
    assert await bench.read(STATUS) & 0b10110001 == 0b00110000
    for _ in range(2):
        await bench.write(ARM, 1)
        assert not dut.mon_armed.value
        await bench.write(FAULTS_CLEAR, 1)
        assert await bench.read(FAULTS) == 1
        assert dut.mon_fault.value
    dut.interlock.value = 1
    await bench.write(ARM_TEST, 1)
    assert not (await bench.read(STATUS) & 0b1000)
    await bench.write(FAULTS_CLEAR, 1)
    assert await bench.read(FAULTS) == 0
    assert not dut.mon_fault.value
    await bench.write(TEST_PULSE, 1)
    await ClockCycles(dut.clk, 50)
    assert not bench.high  # neither armed nor in test mode
    await bench.write(TEST, 3 | 7 << 16)
    await bench.write(ARM_TEST, 1)
    await bench.write(TEST_PULSE, 1)
    await ClockCycles(dut.clk, 50)
    assert len(bench.high) == 7
    bench.send(stream(rng, 5, (8, 12)))
    await bench.drained()
    counters = bench.counters()
    assert counters["DISARMED"] + counters["REJECTED"] == counters["ACCEPTED"] > 0
    assert counters["TEST_PULSES"] == 1
    await bench.write(TEST, 0 | 1 << 8)  # now every event, in direction 0
    bench.high.clear()
    bench.send(stream(rng, 5, (30, 40)))
    await bench.drained()
    after = bench.counters()
    assert after["SORTED"] == after["ACCEPTED"] - counters["ACCEPTED"] > 0
    assert len(bench.high) == 9 * after["SORTED"]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def latency_is_fixed(dut):
    """From the last pixel of a window to its logits, and from the last of the event's values to the decision, there are
    always as many cycles, where the lines are no faster than what reads them."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    bench.light.idle = itertools.cycle([False] * LINE_W + [True] * 20)
    for kind in range(CLASSES):
        bench.send([*cell(rng, HEIGHT + kind, kind), *(background(rng) for _ in range(2 * HEIGHT))])
    await bench.drained()
    await bench.check()
    lines = split_lines(bench.beats, DEFAULT.line_timeout, bench.silent_until)
    found = find_events(line_sums(lines.pixels, TRIGGER), TRIGGER).events
    last_pixels = [bench.beats[(t + HEIGHT - 1) * LINE_W + X_OFFSET + WIDTH - 1].time for t in found.trigger]
    assert [out - last for out, last in zip(bench.logits, last_pixels, strict=True)] == [
        int(os.environ["LAST_PIXEL_TO_LOGITS"])
    ] * CLASSES
    posterior, tests = int(os.environ["LOGITS_TO_POSTERIOR"]), int(os.environ["TESTS_AND_GATES"])
    ready = []
    for logits, end in zip(bench.logits, found.end, strict=True):
        # The event's length and time are written in two cycles in which neither logits nor the posterior are.
        written = {*range(logits + 1, logits + 1 + CLASSES), logits + posterior}
        free = (cycle for cycle in itertools.count(int(lines.end[end]) + LINE_TO_EVENT + 1) if cycle not in written)
        next(free)
        ready.append(max(logits + posterior, next(free)) + tests)
    assert bench.ready == ready
