# SPDX-License-Identifier: Apache-2.0
"""icsort_link from its pins: requests, answers, records and everything that goes wrong on a wire.

Frames are made and read with the `cobs` package and zlib, the pins are moved by cocotbext-uart or by hand.
"""

import logging
import random
from itertools import pairwise

import cocotb
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.triggers import ClockCycles, Event, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSource
from cocotbext.uart import UartSink, UartSource

from tests.hw.link.wire import CLOCK_NS, frame, read, send_byte, some_bytes, unframe, write
from tests.streams import pauses

READ_ACK, WRITE_ACK, EVENT, NACK = 0x81, 0x82, 0xE0, 0xFF
RECORDS = range(0xE0, 0xE4)
BYTE_CYCLES = 41  # CLKS_PER_BIT = 4
HOLES = range(0x100, 0x200)  # addresses that the register bus refuses


class Bench:
    """The link between two UART pins, a register bus answered from a dictionary and a source of records."""

    def __init__(self, dut, idle: float) -> None:
        self.dut = dut
        self.memory: dict[int, int] = {}
        self.accesses: list[tuple[bool, int]] = []  # (write, address) in order
        self.answers: Queue = Queue()
        self.events: list[bytes] = []
        self.good = 0
        self.bad = 0
        self.frame_seen = Event()
        dut.uart_rx.value = 1
        dut.reg_ack.value = 0
        dut.rst.value = 1
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start())
        self.records = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_record"), dut.clk, dut.rst)
        if idle:
            self.records.set_pause_generator(pauses(idle))
        self.host = UartSource(dut.uart_rx, baud=10**9 // (4 * CLOCK_NS))
        for end in (self.records, self.host):
            end.log.setLevel(logging.WARNING)

    async def start(self) -> None:
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        self.sink = UartSink(self.dut.uart_tx, baud=10**9 // (4 * CLOCK_NS))
        self.sink.log.setLevel(logging.WARNING)
        parts = (self._bus(), self._receive(), self._count_good(), self._count_bad())
        self.tasks = [cocotb.start_soon(part) for part in parts]

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _bus(self) -> None:
        """Answer after 1 to 6 cycles; the request must stay."""
        dut = self.dut
        while True:
            await RisingEdge(dut.reg_req)
            await RisingEdge(dut.clk)
            request = (int(dut.reg_we.value), int(dut.reg_addr.value), int(dut.reg_wdata.value))
            await ClockCycles(dut.clk, random.randint(0, 5))
            assert request == (int(dut.reg_we.value), int(dut.reg_addr.value), int(dut.reg_wdata.value))
            is_write, address, data = request
            self.accesses.append((bool(is_write), address))
            if is_write and address not in HOLES:
                self.memory[address] = data
            dut.reg_ack.value = 1
            dut.reg_err.value = address in HOLES
            dut.reg_rdata.value = self.memory.get(address, 0)
            await RisingEdge(dut.clk)
            dut.reg_ack.value = 0

    async def _receive(self) -> None:
        coded = bytearray()
        while True:
            for value in await self.sink.read():
                if value:
                    coded.append(value)
                    continue
                payload = unframe(bytes(coded))
                coded.clear()
                if payload[0] in RECORDS:
                    self.events.append(payload)
                else:
                    self.answers.put_nowait(payload)
                self.frame_seen.set()

    async def _count_good(self) -> None:
        while True:
            await RisingEdge(self.dut.good_frame)
            self.good += 1

    async def _count_bad(self) -> None:
        while True:
            await RisingEdge(self.dut.bad_frame)
            self.bad += 1

    async def send(self, data: bytes) -> None:
        self.host.write_nowait(data)
        await self.host.wait()

    def record(self, body: bytes, kind: int = EVENT) -> None:
        self.records.send_nowait(AxiStreamFrame(body, tuser=kind))

    async def answer(self) -> bytes:
        return await with_timeout(self.answers.get(), 2, "ms")

    async def ask(self, payload: bytes) -> bytes:
        await self.send(frame(payload))
        return await self.answer()

    async def all_events(self, count: int) -> list[bytes]:
        while len(self.events) < count:
            self.frame_seen.clear()
            await with_timeout(self.frame_seen.wait(), 2, "ms")
        return self.events

    async def settle(self) -> None:
        """Long enough for an answer that should not come."""
        await ClockCycles(self.dut.clk, 20 * BYTE_CYCLES)


async def start(dut, idle: float = 0.0) -> Bench:
    bench = Bench(dut, idle)
    await bench.start()
    return bench


@cocotb.test()
async def reads_and_writes(dut):
    bench = await start(dut)
    expected: dict[int, int] = {}
    for i in range(40):
        address = random.choice([0, 4, 8, 0x44, 0xFFFC, 0x0A00])
        seq = random.getrandbits(8)
        if random.random() < 0.5:
            expected[address] = data = random.choice([0, 1, 0xFFFFFFFF, random.getrandbits(32)])
            answer = await bench.ask(write(seq, address, data))
            assert answer == bytes([WRITE_ACK, seq]) + write(0, address, data)[2:]
            assert bench.accesses[-2:] == [(True, address), (False, address)]
        else:
            answer = await bench.ask(read(seq, address))
            assert answer == bytes([READ_ACK, seq]) + write(0, address, expected.get(address, 0))[2:]
        assert (bench.good, bench.bad) == (i + 1, 0)


@cocotb.test()
async def refusals(dut):
    bench = await start(dut)
    requests = [
        (bytes([0x03, 9, 0, 0]), 1),
        (bytes([0x81, 10]), 1),
        (bytes([0x00, 11, 1, 2, 3, 4, 5, 6]), 1),
        (read(12, 4)[:-1], 2),
        (read(13, 4) + b"\0", 2),
        (bytes([0x01, 14]), 2),
        (write(15, 4, 5)[:-1], 2),
        (bytes([0x02, 16]), 2),
        (read(17, 0x100), 3),
        (write(18, 0x104, 1), 3),
    ]
    for payload, code in requests:
        assert await bench.ask(payload) == bytes([NACK, payload[1], code]), payload.hex()
    assert (bench.good, bench.bad) == (len(requests), 0)
    assert bench.memory == {}
    assert bench.accesses == [(False, 0x100), (True, 0x104)]


@cocotb.test()
async def every_flipped_bit_is_caught(dut):
    """Not carried out, no answer, counted; the next good frame behind a lone zero is answered."""
    bench = await start(dut)
    good = frame(write(1, 0x44, 0x00FF0012))
    for position in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[position // 8] ^= 1 << position % 8
        before = bench.bad
        await bench.send(bytes(damaged) + b"\0")
        assert await bench.ask(read(position & 0xFF, 8)) == bytes([READ_ACK, position & 0xFF]) + bytes(
            [8, 0, 0, 0, 0, 0]
        )
        assert bench.bad > before, position
        assert bench.good == position + 1
    assert bench.memory == {}


@cocotb.test()
async def wrong_lengths_are_dropped(dut):
    bench = await start(dut)
    for i, payload in enumerate(
        [b"\x01", b"", write(1, 4, 5) + b"\0", bytes([1, 2, *[7] * 300]), bytes([2, 1, *[0] * 300])]
    ):
        await bench.send(frame(payload))
        await bench.settle()
        assert (bench.good, bench.bad) == (0, i + 1)
    await bench.send(b"\0\0\0")
    await bench.settle()
    assert (bench.good, bench.bad) == (0, 5)
    assert bench.answers.empty()
    assert (await bench.ask(read(1, 4)))[0] == READ_ACK


@cocotb.test()
async def every_truncation_and_garbage(dut):
    bench = await start(dut)
    good = frame(write(1, 0x44, 0x12345678))
    for keep in range(1, len(good) - 1):
        await bench.send(good[:keep] + b"\0")
        assert (await bench.ask(read(keep, 8)))[:2] == bytes([READ_ACK, keep])
        assert (bench.good, bench.bad) == (keep, keep)
    await bench.send(random.randbytes(200).replace(b"\0", b"\x01") + b"\0")
    assert (await bench.ask(read(200, 8)))[:2] == bytes([READ_ACK, 200])
    assert bench.memory == {}


@cocotb.test()
async def broken_stop_bit_spoils_the_frame(dut):
    bench = await start(dut)
    good = frame(write(1, 0x44, 0x12345678))
    for at in range(len(good)):
        for i, value in enumerate(good):
            await send_byte(dut.uart_rx, value, 4 * CLOCK_NS * 1000, stop=int(i != at))
        await bench.send(b"\0")
        await bench.settle()
        assert (bench.good, bench.bad) == (at, at + 1)
        assert (await bench.ask(read(at, 8)))[:2] == bytes([READ_ACK, at])
    assert bench.memory == {}


@cocotb.test()
@cocotb.parametrize(mismatch=[-0.02, 0.02])
async def baud_mismatch(dut, mismatch):
    bench = await start(dut)
    for seq in range(20):
        data = random.getrandbits(32)
        for value in frame(write(seq, 0x40, data)):
            await send_byte(dut.uart_rx, value, round(4 * CLOCK_NS * 1000 * (1 + mismatch)))
        assert await bench.answer() == bytes([WRITE_ACK, seq]) + write(0, 0x40, data)[2:]
    assert (bench.good, bench.bad) == (20, 0)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.9])
async def records(dut, idle):
    bench = await start(dut, idle)
    bodies = [some_bytes(length) for length in (4, 52, 168, 172, 240, 244, 248, 252, 280, 600)]
    bodies += [b"\0" * 172, b"\x01" * 248, b"\x01" * 600]
    random.shuffle(bodies)
    for body in bodies:
        bench.record(body)
    assert await bench.all_events(len(bodies)) == [bytes([EVENT, i]) + body for i, body in enumerate(bodies)]


@cocotb.test()
async def each_type_has_numbers_that_wrap(dut):
    bench = await start(dut)
    kinds = random.choices(RECORDS, weights=[10, 1, 1, 1], k=320)
    for kind in kinds:
        bench.record(b"\x07" * 4, kind)
    received = await bench.all_events(len(kinds))
    assert [record[0] for record in received] == kinds
    for kind in RECORDS:
        numbers = [record[1] for record in received if record[0] == kind]
        assert numbers == [i % 256 for i in range(len(numbers))]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.9])
async def both_directions_at_once(dut, idle):
    """Every request is answered and every record arrives; an answer waits for one record at most."""
    bench = await start(dut, idle)
    bodies = [some_bytes(random.choice([52, 172])) for _ in range(40)]
    for body in bodies:
        bench.record(body)
    requests = 0
    while len(bench.events) < len(bodies) - 2:
        data = random.getrandbits(32)
        await bench.send(frame(write(requests & 0xFF, 0x40, data)))
        before = len(bench.events)
        assert await bench.answer() == bytes([WRITE_ACK, requests & 0xFF]) + write(0, 0x40, data)[2:]
        assert len(bench.events) - before <= 1
        requests += 1
    assert requests >= 10
    assert await bench.all_events(len(bodies)) == [bytes([EVENT, i]) + body for i, body in enumerate(bodies)]
    assert (bench.good, bench.bad) == (requests, 0)


@cocotb.test()
async def request_without_room_is_counted_and_not_carried_out(dut):
    """While a long record leaves, the first request waits with its answer; a second one is dropped, and says so."""
    bench = await start(dut)
    bench.record(b"\x05" * 248)
    await ClockCycles(dut.clk, 400)
    await bench.send(frame(write(1, 0x40, 111)) + frame(write(2, 0x44, 222)))
    assert await bench.answer() == bytes([WRITE_ACK, 1]) + write(0, 0x40, 111)[2:]
    await bench.settle()
    assert bench.answers.empty()
    assert bench.memory == {0x40: 111}
    assert (bench.good, bench.bad) == (1, 1)
    assert await bench.ask(write(2, 0x44, 222)) == bytes([WRITE_ACK, 2]) + write(0, 0x44, 222)[2:]


@cocotb.test()
async def idle_means_nothing_to_send(dut):
    bench = await start(dut, 0.5)
    assert dut.tx_idle.value == 1
    samples: list[tuple[int, int]] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            samples.append((int(dut.tx_idle.value), int(dut.uart_tx.value)))
            if dut.s_axis_record_tvalid.value == 1 or dut.reg_req.value == 1 or dut.reg_ack.value == 1:
                assert dut.tx_idle.value == 0

    cocotb.start_soon(watch())
    bench.record(b"\0" * 60)
    await bench.all_events(1)
    await bench.ask(read(1, 4))
    await ClockCycles(dut.clk, BYTE_CYCLES)
    assert dut.tx_idle.value == 1
    assert (1, 0) not in samples
    # Busy from the record on, free in between, busy again for the answer.
    changes = sum(a[0] != b[0] for a, b in pairwise(samples))
    assert changes == 4


@cocotb.test()
async def reset_in_the_middle(dut):
    bench = await start(dut)
    bench.record(b"\x05" * 100)
    bench.host.write_nowait(frame(write(1, 0x44, 5)))
    await ClockCycles(dut.clk, 5 * BYTE_CYCLES)
    dut.rst.value = 1
    bench.records.clear()
    await bench.host.wait()
    bench.stop()
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2 * BYTE_CYCLES)
    assert dut.tx_idle.value == 1
    fresh = await start(dut)
    assert await fresh.ask(read(3, 8)) == bytes([READ_ACK, 3, 8, 0, 0, 0, 0, 0])
    fresh.record(b"\x09\0\0\0")
    assert await fresh.all_events(1) == [bytes([EVENT, 0, 9, 0, 0, 0])]
    assert fresh.memory == {}


@cocotb.test()
@cocotb.parametrize(body=[24, 36, 68, 208])
async def the_line_is_never_idle(dut, body):
    """Records that wait leave one behind the other: 10 bits and at most 3 cycles for each byte of a frame. The rates in
    docs/link.md are made of that."""
    bench = await start(dut)
    count = 30
    for _ in range(count):
        bench.record(bytes(random.randint(1, 255) for _ in range(body)))
    await bench.all_events(1)
    since = get_sim_time("ns")
    await bench.all_events(count)
    cycles = (get_sim_time("ns") - since) / CLOCK_NS / (count - 1)
    coded = len(frame(bytes([EVENT, 1]) + b"\x01" * body))
    assert coded * BYTE_CYCLES <= cycles <= coded * (BYTE_CYCLES + 2)
