# SPDX-License-Identifier: Apache-2.0
"""icsort_axi_top around a stub network: as bench_icsort_top, with cocotbext-axi at registers and records."""

import logging
import os
import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamSink

from icsort.host.link.protocol import parse
from icsort.host.link.registers import REGISTERS
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate_engine import Axis, Gate, Kind, Test
from tests.hw.sorter.bench_icsort_top import (
    DEFAULT,
    IMAGE_EVERY,
    IMAGE_RULE,
    STATISTICS_PERIOD,
    Bench,
    background,
    cell,
    stream,
)
from tests.hw.sorter.bench_icsort_top import prepare as prepare_bench
from tests.hw.sorter.reference import CLASSES, HEIGHT, POSTERIOR, Record
from tests.streams import pauses

STALLS = [0.0, 0.8] if "FULL_SPEED" in os.environ else [0.8]

EVENT, AMENDMENT, STATISTICS, IMAGE = 0xE0, 0xE1, 0xE2, 0xE3


class AxiBench(Bench):
    """The host's end is a processor. stall: how often each of its channels, and the sink of records, pauses."""

    stall = 0.0

    def attach(self) -> None:
        dut = self.dut
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_record"), dut.clk, dut.rst)
        writes, reads = self.master.write_if, self.master.read_if
        for end in (writes, reads, self.sink):
            end.log.setLevel(logging.WARNING)
        channels = (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel, self.sink)
        for channel in channels if self.stall else ():
            channel.set_pause_generator(pauses(self.stall))

    async def listen(self) -> None:
        self.sink.clear()
        while True:
            frame = await self.sink.recv(compact=False)
            if set(frame.tuser) == {AMENDMENT}:
                self.amended.append(int.from_bytes(bytes(frame.tdata), "little"))
                continue
            if set(frame.tuser) == {STATISTICS}:
                self.statistics.append(parse(bytes([STATISTICS, len(self.statistics) % 256, *frame.tdata])))
                continue
            if set(frame.tuser) == {IMAGE}:
                self.pieces.append(bytes(frame.tdata))
                continue
            assert set(frame.tuser) == {EVENT}
            self.received.append((len(self.received) % 256, Record.parse(bytes(frame.tdata))))

    async def read(self, address: int) -> int:
        answer = await self.master.read(address, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int) -> int:
        assert (await self.master.write(address, value.to_bytes(4, "little"))).resp == AxiResp.OKAY
        readable = {register.address for register in REGISTERS.values() if register.readable}
        value = await self.read(address if address in readable else 0)
        return value if address in readable else 0


async def prepare(dut, stall: float, idle: float = 0.0):
    AxiBench.stall = stall
    return await prepare_bench(dut, idle, AxiBench)


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def random_cells(dut, stall):
    """Every record, pulse and counter as the models have it; registers and records with random stalls."""
    bench, rng = await prepare(dut, stall, 0.3)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 40, (1, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["SORTED"] > 0
    assert stall or counters["RECORDS_LOST"] == 0


LARGER = engine.Program(
    (0b0011, 0b1000),
    (
        Test(Kind.RANGE, Axis(engine.VALUE_INTERVAL), Axis(engine.VALUE_LENGTH), (0, 3), (900, 9)),
        Test(Kind.RANGE, Axis(1), Axis(engine.VALUE_LOGIT + 2), (3, -1000), (65535, 2000), class_set=0),
        Test(
            Kind.POLYGON,
            Axis(engine.VALUE_LOGIT, 0, 4, 20, -128),
            Axis(engine.VALUE_LOGIT + 2, 0, 4, 20, -128),
            edges=engine.polygon([(2000, 3000), (14000, 5000), (9000, 15000), (8000, 7000)]),
        ),
    ),
    (
        Gate(0b001),
        Gate(0b110, 0b010, negated=True),
        Gate(0, 0, 0b11, 0b01, direction=0),
        Gate(0b100, direction=0, priority=3),
    ),
    (engine.Scale(tuple(range(0, 2**14, 64)), (63,) * 256),),
    CLASSES,
)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def gates_change_while_cells_come(dut):
    """Of each record the gates are those of the set that it names, the old one or the new one, never a mixture."""
    bench, rng = await prepare(dut, 0.0)
    await bench.configure(DEFAULT)
    sets = [engine.of_classes(DEFAULT.gate_classes, DEFAULT.gate_posterior, CLASSES), LARGER]
    for program in (LARGER, sets[0], LARGER):
        bench.send(stream(rng, 30, (1, 14)))
        await bench.write_gates(program)
    bench.send(stream(rng, 10, (1, 14)))
    await bench.drained()
    records = [record for _, record in bench.received]
    assert [record.event for record in records] == list(range(bench.accepted))
    assert {record.serial for record in records} == {1, 2, 3, 4}
    times = np.asarray([record.time for record in records])
    logits = np.asarray([record.logits for record in records])
    found = set()
    for serial in range(1, 5):
        program = sets[(serial - 1) % 2]
        values = engine.values_of(
            logits,
            program,
            *POSTERIOR,
            length=[record.length for record in records],
            interval=np.diff(times, prepend=times[0] - engine.INTERVAL_MAX),
        )
        gates = engine.evaluate(program, values, logits.argmax(axis=1)).gates
        for record, true in zip(records, gates.tolist(), strict=True):
            if record.serial == serial:
                assert record.gates == sum(1 << bit for bit, value in enumerate(true) if value), record
                found |= {(serial % 2, bit, value) for bit, value in enumerate(true)}
    assert len(found) > 6  # of four gates and one, true or not: the sets say different things of these cells


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_sink_that_takes_nothing(dut):
    """Records are counted as lost; decisions and pulses do not wait."""
    bench, rng = await prepare(dut, 0.0)
    await bench.configure(DEFAULT)
    bench.sink.pause = True
    bench.send(stream(rng, 20, (1, 14)))
    await bench.taken()
    await ClockCycles(dut.clk, 500)
    assert bench.accepted == len(bench.decided) > 5
    bench.sink.pause = False
    await bench.drained()
    counters = await bench.check()
    assert counters["RECORDS_LOST"] > 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def statistics_beside_records(dut, stall):
    """Frames of statistics between the records, each of one moment; those without room are counted."""
    bench, rng = await prepare(dut, stall, 0.3)
    await bench.configure(DEFAULT)
    period = random.randrange(60, 300)
    await bench.write(STATISTICS_PERIOD, period)
    bench.send(stream(rng, 40, (1, 14)))
    await bench.taken()
    await ClockCycles(dut.clk, 2000)
    await bench.write(STATISTICS_PERIOD, 0)
    await bench.drained()
    counters = await bench.check()
    bench.check_statistics(period)
    assert len(bench.statistics) > 10
    assert stall or counters["STATISTICS_LOST"] == 0


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def statistics_cost_no_record(dut):
    """A sink that takes nothing, with statistics before it and without: as many records are kept."""
    lost, seed = [], random.getrandbits(32)
    bench, _ = await prepare(dut, 0.0)
    for period in (0, 100):
        await bench.reset()
        await bench.configure(DEFAULT)
        bench.sink.pause = True
        await bench.write(STATISTICS_PERIOD, period)
        bench.send(stream(np.random.default_rng(seed), 20, (1, 14)))
        await bench.taken()
        await ClockCycles(dut.clk, 500)
        lost.append(bench.counters()["RECORDS_LOST"])
        await bench.write(STATISTICS_PERIOD, 0)
        bench.sink.pause = False
        await bench.drained()
        await bench.check()
    assert lost[0] == lost[1] > 0
    assert len(bench.statistics) == 1
    assert bench.counters()["STATISTICS_LOST"] > 5


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(stall=STALLS)
async def images_of_events(dut, stall):
    """Each n-th window, to the bit, between records and statistics; those that find no room are counted."""
    bench, rng = await prepare(dut, stall, 0.3)
    await bench.configure(DEFAULT)
    await bench.write(STATISTICS_PERIOD, 500)
    every = random.randrange(1, 4)
    await bench.write(IMAGE_RULE, every << 8 | IMAGE_EVERY)
    bench.send(stream(rng, 60, (1, 14)))
    await bench.taken()
    await bench.write(STATISTICS_PERIOD, 0)
    await bench.drained()
    counters = await bench.check()
    images = bench.images()
    asked = range(every - 1, bench.accepted, every)
    assert set(images) <= set(asked)
    assert set(images.values()) == {IMAGE_EVERY}
    assert len(images) + counters["IMAGES_SKIPPED"] == len(asked)
    assert len(images) > 2


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def access_rules(dut):
    """An address that is none, or not to be read or written so: SLVERR, and nothing changes."""
    bench, _ = await prepare(dut, 0.5)
    settings = {r.address: await bench.read(r.address) for r in REGISTERS.values() if r.readable and r.writable}
    readable = {register.address for register in REGISTERS.values() if register.readable}
    writable = {register.address for register in REGISTERS.values() if register.writable}
    some = [random.randrange(0, 2**16, 4) for _ in range(30)]
    for address in {*readable, *writable, *some}:
        answer = await bench.master.read(address, 4)
        assert answer.resp == (AxiResp.OKAY if address in readable else AxiResp.SLVERR), hex(address)
        if address not in writable:
            assert (await bench.master.write(address, b"\xff" * 4)).resp == AxiResp.SLVERR, hex(address)
    assert {address: await bench.read(address) for address in settings} == settings


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def only_what_succeeds_is_a_sign_of_life(dut):
    bench, rng = await prepare(dut, 0.0)
    await bench.configure(DEFAULT, arm=False)
    await bench.write(REGISTERS["HEARTBEAT"].address, 300)
    await bench.write(REGISTERS["ARM"].address, 1)
    for _ in range(20):
        await bench.read(0)
        await ClockCycles(dut.clk, 100)
    assert dut.mon_armed.value
    for _ in range(20):
        assert (await bench.master.read(0xFFF0, 4)).resp == AxiResp.SLVERR
        await ClockCycles(dut.clk, 100)
    assert not dut.mon_armed.value
    assert dut.interrupt.value
    await bench.write(REGISTERS["DISARM"].address, 1)
    assert not dut.interrupt.value
    bench.send(cell(rng, 2 * HEIGHT, 0) + [background(rng) for _ in range(4)])
    await bench.drained()
    assert bench.high == []


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def the_interrupt_is_up_while_a_fault_is_set(dut):
    bench, _ = await prepare(dut, 0.0)
    await bench.configure(DEFAULT)
    assert not dut.interrupt.value
    dut.interlock.value = 0
    await ClockCycles(dut.clk, 8)
    assert dut.interrupt.value
    dut.interlock.value = 1
    await ClockCycles(dut.clk, 8)
    assert dut.interrupt.value
    await bench.write(REGISTERS["FAULTS_CLEAR"].address, 1)
    await ClockCycles(dut.clk, 2)
    assert not dut.interrupt.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    bench, rng = await prepare(dut, 0.5)
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 20, (1, 4)))
    await ClockCycles(dut.clk, 700)
    await bench.reset()
    assert not dut.mon_armed.value
    await bench.configure(DEFAULT)
    bench.send(stream(rng, 10, (4, 14)))
    await bench.drained()
    counters = await bench.check()
    assert counters["ACCEPTED"] > 0
