# SPDX-License-Identifier: Apache-2.0
"""icsort_top around a stub network, seen from its pins: lines in, registers over the UART, records and pulses out.

Every record field, every cycle of every pulse and every counter is compared with the bit-true models, fed with the
beats that the sorter accepted.
"""

import os
import random
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

from icsort.formats import event_record
from icsort.sim.bit_true.event import Trigger, line_sums, normalise_line, trigger_starts
from tests.hw.sorter.reference import (
    CHANNELS,
    CLASSES,
    EVENTS,
    HEIGHT,
    LINE_W,
    WIDTH,
    X_OFFSET,
    Beat,
    Record,
    Settings,
    expect,
)
from tests.streams import pauses

CLOCKS_PER_BIT = 4
# Addresses of hw/registers/icsort.rdl.
TIMESTAMP_LO, TIMESTAMP_HI, STATUS = 0x20, 0x24, 0x28
SNAPSHOT, ARM, DISARM = 0x38, 0x3C, 0x40
GATE_CLASSES_LO, GATE_POSTERIOR, GATE_COMMIT, HEARTBEAT, LINE_TIMEOUT = 0x44, 0x4C, 0x50, 0x74, 0x78
DROP_DELAY, PULSE_CYCLES, TRIGGER_CHANNEL, TRIGGER_THRESHOLD = 0x64, 0x68, 0x6C, 0x70
OUTCOMES = ["SORTED", "REJECTED", "DISARMED", "LATE", "ABORTED", "CONFLICT"]
COUNTERS = {
    name: 0x80 + 4 * i
    for i, name in enumerate(["ACCEPTED", "MISSED", *OUTCOMES, "RECORDS_LOST", "LINE_ERRORS", "LINE_STALLS"])
}
HEARTBEATS_LOST = 0xB4
COUNTERS |= {"LINE_GAPS": 0xB8, "LINES_STOPPED": 0xBC, "DEAD_TIME": 0xC0}
DEFAULT = Settings(
    trigger_channel=1,
    trigger_threshold=16000,
    gate_classes=0b0101,
    gate_posterior=45000,
    drop_delay=400,
    pulse_cycles=9,
)


class Light:
    """A source that cannot wait: a beat of light falls in every cycle that is not idle, whatever the sorter does. What
    is not taken yet is kept; each line carries the cycle in which its first beat fell."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.idle: Iterator[bool] | None = None
        self.lost = 0.0  # share of lines that never reach the sorter
        self.wrong = 0.0  # share of lines whose time is another
        self.number = 0
        self.clear()

    def clear(self) -> None:
        self.to_come: deque[tuple[int, bool, bool]] = deque()  # samples, first of its line, last
        self.waiting: deque[tuple[int, bool, int]] = deque()  # samples, last, tuser
        self.times: list[int] = []  # of each line that fell
        self.fallen = 0
        self.limit: int | None = None  # beats after which no more fall

    def send(self, line: np.ndarray) -> None:
        samples = [int(a) | int(b) << 16 for a, b in line]
        self.to_come += [(sample, i == 0, i == len(samples) - 1) for i, sample in enumerate(samples)]

    @property
    def empty(self) -> bool:
        return not self.to_come and not self.waiting

    def fall(self, now: int) -> None:
        samples, first, last = self.to_come.popleft()
        self.fallen += 1
        if first:
            self.number += 1
            self.times.append(now)
            self.is_lost = random.random() < self.lost
            stamp = now + random.choice([-500, -100, 3, 500]) if random.random() < self.wrong else now
            self.user = self.number % 2**16 << 48 | stamp % 2**48
        if not self.is_lost:
            self.waiting.append((samples, last, self.user if first else random.getrandbits(64)))

    async def run(self) -> None:
        dut = self.dut
        dut.s_axis_line_tvalid.value = 0
        offered = False
        while True:
            await RisingEdge(dut.clk)
            if dut.rst.value:
                offered = False
                dut.s_axis_line_tvalid.value = 0
                continue
            if offered and dut.s_axis_line_tready.value:
                self.waiting.popleft()
            dark = self.idle is not None and next(self.idle)
            if self.to_come and not dark and (self.limit is None or self.fallen < self.limit):
                self.fall(dut.timestamp.value.to_unsigned() + 1)  # in the cycle that begins here
            offered = bool(self.waiting)
            dut.s_axis_line_tvalid.value = offered
            if offered:
                dut.s_axis_line_tdata.value, dut.s_axis_line_tlast.value, dut.s_axis_line_tuser.value = self.waiting[0]


class Bench:
    """Line source, host end of the UART and a monitor that notes what every cycle shows."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.light = Light(dut)
        self.answers: Queue[bytes] = Queue()
        self.sequence = 0
        self.listener: Task[None] | None = None
        self.forget()

    def forget(self) -> None:
        self.beats: list[Beat] = []
        self.decisions: list[int] = []
        self.decided: list[Record] = []
        self.received: list[tuple[int, Record]] = []
        self.armed: list[tuple[int, int]] = []
        self.high: list[int] = []
        self.accepted = 0
        self.stalls = 0

    async def start(self) -> None:
        dut = self.dut
        dut.uart_rx.value = 1
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        cocotb.start_soon(self.monitor())
        cocotb.start_soon(self.light.run())
        await self.reset()

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
        dut = self.dut
        was_armed = False
        while True:
            await RisingEdge(dut.clk)
            if dut.rst.value:
                was_armed = False
                continue
            now = dut.timestamp.value.to_unsigned()
            if dut.s_axis_line_tvalid.value:
                if dut.s_axis_line_tready.value:
                    data = dut.s_axis_line_tdata.value.to_unsigned()
                    samples = tuple(data >> 16 * c & 0xFFFF for c in range(CHANNELS))
                    user = dut.s_axis_line_tuser.value.to_unsigned()
                    self.beats.append(Beat(now, samples, bool(dut.s_axis_line_tlast.value), user))
                else:
                    self.stalls += 1
            if dut.top.decided.value:
                self.decisions.append(now)
            if dut.mon_decision_valid.value:
                body = dut.mon_record.value.to_unsigned().to_bytes(event_record.size(CLASSES), "little")
                self.decided.append(Record.parse(body))
            if dut.mon_event.value:
                self.accepted += 1
            if dut.sort_pulse.value:
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

    async def configure(self, settings: Settings, arm: bool = True) -> None:
        self.settings = settings
        values = {
            GATE_CLASSES_LO: settings.gate_classes,
            GATE_POSTERIOR: settings.gate_posterior,
            GATE_COMMIT: 1,
            DROP_DELAY: settings.drop_delay,
            PULSE_CYCLES: settings.pulse_cycles,
            TRIGGER_CHANNEL: settings.trigger_channel,
            TRIGGER_THRESHOLD: settings.trigger_threshold,
        }
        for address, value in values.items():
            assert await self.write(address, value) == (0 if address == GATE_COMMIT else value)
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
        await ClockCycles(self.dut.clk, 8)
        while not self.dut.mon_idle.value:
            await ClockCycles(self.dut.clk, 16)
        await ReadOnly()
        await RisingEdge(self.dut.clk)

    async def counters(self) -> dict[str, int]:
        await self.write(SNAPSHOT, 1)
        return {name: await self.read(address) for name, address in COUNTERS.items()}

    async def check(self, but_last: Collection[int] = ()) -> dict[str, int]:
        """Compare everything since reset with the models, but for the time since the last pixel of some events. Returns
        the counters."""
        assert self.beats[-1].last
        assert len(self.decided) == len(self.decisions) == self.accepted
        expected = expect(self.beats, self.settings, self.armed, self.decisions)
        pairs = list(zip(self.decided, expected.records, strict=True))
        assert all(r == (replace(e, from_last=r.from_last) if r.event in but_last else e) for r, e in pairs), [
            (r, e) for r, e in pairs if r != e
        ][:3]
        assert sorted(self.high) == [t for first, last in expected.pulses for t in range(first, last + 1)]
        counters = await self.counters()
        assert {name: counters[name] for name in expected.counters} == expected.counters
        assert counters["ACCEPTED"] == sum(counters[name] for name in OUTCOMES)
        assert counters["LINE_STALLS"] == self.stalls
        # What the host has is a part of what was decided, in order, complete but for the records counted as lost.
        assert [sequence for sequence, _ in self.received] == [i % 256 for i in range(len(self.received))]
        by_id = {record.event: record for record in self.decided}
        assert all(record == by_id[record.event] for _, record in self.received)
        assert len(self.received) + counters["RECORDS_LOST"] == len(self.decided)
        return counters


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


async def prepare(dut, idle: float = 0.0) -> tuple[Bench, np.random.Generator]:
    bench = Bench(dut)
    if idle:
        bench.light.idle = pauses(idle)
    await bench.start()
    return bench, np.random.default_rng(random.getrandbits(32))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def never_armed_without_a_gate(dut):
    """Out of reset nothing triggers, and ARM does nothing until a gate was committed."""
    bench, rng = await prepare(dut)
    bench.send(stream(rng, 3, (2, 5)))
    await bench.write(ARM, 1)
    await bench.drained()
    assert not dut.mon_armed.value
    assert bench.accepted == 0
    await bench.write(GATE_COMMIT, 1)
    await bench.write(ARM, 1)
    assert dut.mon_armed.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def says_what_it_is(dut):
    """The registers that the host checks before it arms."""
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


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.4])
async def random_cells(dut, idle):
    """Cells of all classes and heights, gaps of all lengths: every outcome that a gate and a schedule can give."""
    bench, rng = await prepare(dut, idle)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 40, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED"] > 0
    assert counters["REJECTED"] > 0
    assert {record.best for record in bench.decided} == set(range(CLASSES))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def malformed_lines(dut):
    """Lines that are too short or too long are padded or cut, counted, and their events aborted."""
    bench, rng = await prepare(dut, 0.2)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 40, (1, 10), malformed=0.1))
    await bench.drained()
    counters = await bench.check()
    assert counters["ABORTED"] > 0
    assert counters["LINE_ERRORS"] > counters["ABORTED"]
    assert counters["ACCEPTED"] > counters["ABORTED"]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def drop_delay_too_short(dut):
    """With a delay between the fastest and the slowest decision some events are late; none of them fires."""
    bench, rng = await prepare(dut, 0.4)
    await bench.configure(Settings(1, 16000, gate_classes=0b1111, gate_posterior=0, drop_delay=143, pulse_cycles=1))
    bench.send(stream(rng, 30, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["LATE"] > 0
    assert counters["SORTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def events_too_dense(dut):
    """Pulses longer than the distance of the cells: the second of two is not sorted."""
    bench, rng = await prepare(dut)
    await bench.configure(Settings(1, 16000, gate_classes=0b1111, gate_posterior=0, drop_delay=900, pulse_cycles=150))
    bench.send(stream(rng, 30, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["CONFLICT"] > 0
    assert counters["SORTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def disarmed_in_the_middle(dut):
    """Disarming while sorts are pending cancels and counts them; arming again goes on."""
    bench, rng = await prepare(dut)
    await bench.configure(Settings(1, 16000, gate_classes=0b1111, gate_posterior=0, drop_delay=4000, pulse_cycles=5))
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
    await bench.configure(Settings(1, 16000, gate_classes=0b1111, gate_posterior=0, drop_delay=4000, pulse_cycles=5))
    await bench.write(HEARTBEAT, 2000)
    bench.send(stream(rng, 40, (1, 6)))
    await bench.drained()
    counters = await bench.check()
    assert (counters["SORTED"], counters["DISARMED"]) == (0, counters["ACCEPTED"])
    assert any(record.outcome == 0 for record in bench.decided)  # scheduled, then cancelled
    assert await bench.read(HEARTBEATS_LOST) == 1
    assert await bench.read(STATUS) & 0b110001 == 0b100000


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def side_fifo_overflow(dut):
    """A network that does not answer: event 17 is missed and counted, and everything is in step again afterwards."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    dut.top.net.hold.value = 1
    bench.send(stream(rng, EVENTS + 8, (2, 4)))
    await bench.taken()
    await ClockCycles(dut.clk, 20)
    assert bench.accepted == EVENTS
    dut.top.net.hold.value = 0
    bench.send(stream(rng, 8, (8, 12)))
    await bench.drained()
    counters = await bench.check()
    assert counters["MISSED"] > 0
    assert counters["ACCEPTED"] > EVENTS
    assert counters["LATE"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(tail=[1, 3])
async def waits_for_the_last_line(dut, tail):
    """The window is complete but its last line is not: no decision until it ends, no sort where it ends wrong."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    lines = cell(rng, HEIGHT, 0)
    lines[-1] = np.concatenate([lines[-1][:-1], background(rng)[:tail]])
    window = (HEIGHT - 1) * LINE_W + X_OFFSET + WIDTH
    bench.light.limit = window
    bench.send(lines)
    await ClockCycles(dut.clk, 280)
    assert len(bench.beats) == window
    assert not bench.decisions
    bench.light.limit = None
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED" if tail == 1 else "ABORTED"] == 1
    # The line is complete with its last pixel, or where that is not marked as the last.
    end = bench.beats[HEIGHT * LINE_W - 1].time
    assert bench.decisions == [end + 2]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def stalled_network(dut):
    """A network that takes no pixels fills the line buffer: only then tready falls, and each such cycle is counted."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    dut.top.net.stall.value = 1
    bench.send(stream(rng, 8, (1, 3)))
    await ClockCycles(dut.clk, 400)
    assert bench.stalls > 100
    dut.top.net.stall.value = 0
    await bench.drained()
    counters = await bench.check()
    assert counters["ACCEPTED"] > 0


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def stalls_do_not_move_the_pulse(dut):
    """The network stops a hundred times, for 1 to 300 cycles: each pulse comes DROP_DELAY cycles after the light of its
    cell's first line fell, or there is none."""
    bench, rng = await prepare(dut, 0.5)
    await bench.configure(replace(DEFAULT, drop_delay=300, gate_posterior=0, gate_classes=0b1111))
    lines = stream(rng, 90, (4, 20))
    bench.send(lines)
    for _ in range(100):
        dut.top.net.stall.value = 1
        await ClockCycles(dut.clk, random.choice([random.randrange(1, 30), random.randrange(1, 300)]))
        dut.top.net.stall.value = 0
        await ClockCycles(dut.clk, random.randrange(1, 500))
    await bench.drained()
    counters = await bench.check()
    assert counters["LINE_STALLS"] > 1000
    assert min(counters["SORTED"], counters["LATE"]) > 5
    # From the lines as they were sent and fell, whatever the sorter's pins showed.
    trigger = Trigger(DEFAULT.trigger_channel, DEFAULT.trigger_threshold, HEIGHT, WIDTH, X_OFFSET)
    over = line_sums(np.stack([normalise_line(line, LINE_W)[0] for line in lines]), trigger) >= trigger.threshold
    starts = [bench.light.times[start] for start in trigger_starts(over, HEIGHT)]
    assert [record.time for record in bench.decided] == starts
    pulses = [cycle for cycle in bench.high if cycle - 1 not in set(bench.high)]
    assert pulses == [record.time + 300 for record in bench.decided if OUTCOMES[record.outcome] == "SORTED"]


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
    assert min(counters["ABORTED"], counters["SORTED"], counters["DEAD_TIME"]) > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def lines_that_stop(dut):
    """The lines stop within an event, at any beat: it is ended and aborted, the rest of its cell is dead time, and the
    network stays in step."""
    bench, rng = await prepare(dut)
    await bench.configure(replace(DEFAULT, gate_posterior=0))
    await bench.write(LINE_TIMEOUT, 250)
    cuts, aborted = [], []
    event = HEIGHT * LINE_W
    ends = [X_OFFSET + WIDTH, LINE_W - 1, LINE_W, LINE_W + 1, event - LINE_W, event - 1]
    for length in ends + [random.randrange(X_OFFSET + WIDTH, event) for _ in range(10)]:
        bench.send([background(rng) for _ in range(3)] + cell(rng, HEIGHT + random.randrange(3), 0))
        bench.light.limit = bench.light.fallen + 3 * LINE_W + length
        while bench.light.fallen < bench.light.limit:
            await ClockCycles(dut.clk, 1)
        await ClockCycles(dut.clk, 500)
        assert OUTCOMES[bench.decided[-1].outcome] == "ABORTED"
        cuts.append((len(bench.beats), length))
        aborted.append(len(bench.decided) - 1)
        bench.light.limit = None
        bench.send([background(rng) for _ in range(3)] + cell(rng, HEIGHT, 0) + [background(rng) for _ in range(8)])
        await bench.drained()
    # What the sorter makes of it: the line at hand ends where it stopped, its tail is dropped, lines of zeros follow.
    beats = bench.beats
    for at, length in reversed(cuts):
        head, tail = beats[:at], beats[at:]
        whole, part = divmod(length, LINE_W)
        if part:
            head[-1] = replace(head[-1], last=True, cut=True)
            tail = tail[next(i for i, beat in enumerate(tail) if beat.last) + 1 :]
        made_up = Beat(head[-1].time, (0,) * CHANNELS, last=True, made_up=True)
        beats = head + [made_up] * (HEIGHT - whole - (part > 0)) + tail
    bench.beats = beats
    counters = await bench.check(but_last=set(aborted))  # when a last line was made up shows nowhere else
    assert (counters["LINES_STOPPED"], counters["ABORTED"], counters["LINE_ERRORS"]) == (len(cuts), len(cuts), 0)
    assert counters["SORTED"] == len(cuts)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """Reset with events, sorts and records in flight: everything starts again from nothing."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 20, (1, 4)))
    await ClockCycles(dut.clk, 700)
    await bench.reset()
    assert not dut.sort_pulse.value
    assert not dut.mon_armed.value
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 10, (4, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["ACCEPTED"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def latency_is_fixed(dut):
    """From the last pixel of a lone event to its decision it is always the same number of cycles."""
    bench, rng = await prepare(dut)
    await bench.configure(DEFAULT)
    for kind in range(CLASSES):
        bench.send([*cell(rng, HEIGHT, kind), *(background(rng) for _ in range(2 * HEIGHT))])
    await bench.drained()
    await bench.check()
    assert {record.from_last for record in bench.decided} == {int(os.environ["LAST_PIXEL_TO_DECISION"])}
