# SPDX-License-Identifier: Apache-2.0
"""record_batches: every record with its type and length, in packets that end by length or by time."""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from tests.streams import pauses

KINDS = (0xE0, 0xE1, 0xE2, 0xE3)


class Ends:
    """Both ends. idle, stall: how often the source pauses and the sink does not take."""

    def __init__(self, dut, idle: float, stall: float) -> None:
        self.dut = dut
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst, byte_lanes=1)
        for end, pause in ((self.source, idle), (self.sink, stall)):
            end.log.setLevel(logging.WARNING)
            if pause:
                end.set_pause_generator(pauses(pause))
        self.sent: list[tuple[int, list[int]]] = []

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.source.clear()
        self.sink.clear()
        self.sent.clear()
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 1)

    def send(self) -> None:
        kind, words = random.choice(KINDS), [random.getrandbits(32) for _ in range(random.randint(1, 12))]
        self.sent.append((kind, words))
        self.source.send_nowait(AxiStreamFrame(words, tuser=[kind] * len(words)))

    def packets(self) -> list[list[tuple[int, list[int]]]]:
        """The records of each packet that has come, read from its end."""
        packets = []
        while not self.sink.empty():
            words, records = [int(word) for word in self.sink.recv_nowait().tdata], []
            while words:
                trailer = words.pop()
                count = trailer & 0xFFFF
                assert trailer >> 16 & 0xFF == 0
                assert 0 < count <= len(words)
                records.append((trailer >> 24, words[-count:]))
                del words[-count:]
            packets.append(records[::-1])
        return packets


async def start(dut, idle: float, stall: float) -> Ends:
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    ends = Ends(dut, idle, stall)
    await ends.reset()
    return ends


def length(records: list[tuple[int, list[int]]]) -> int:
    return sum(len(words) + 1 for _, words in records)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4], stall=[0.0, 0.6])
async def every_record_comes_whole(dut, idle, stall):
    """Records without a pause fill packets to their length: no longer than one record more, no shorter but the last."""
    ends = await start(dut, idle, stall)
    limit, period = dut.WORDS.value.to_unsigned(), dut.PERIOD.value.to_unsigned()
    for _ in range(200):
        ends.send()
    await ends.source.wait()
    await ClockCycles(dut.clk, 4 * period)
    packets = ends.packets()
    assert [record for records in packets for record in records] == ends.sent
    assert all(length(records[:-1]) < limit for records in packets)
    if not idle and not stall:
        assert all(length(records) >= limit for records in packets[:-1])


@cocotb.test()
async def a_packet_waits_no_longer_than_its_period(dut):
    """A record alone is a packet, PERIOD cycles behind its first word and the few of its trailer."""
    ends = await start(dut, 0.0, 0.0)
    period = dut.PERIOD.value.to_unsigned()
    for _ in range(20):
        await FallingEdge(dut.clk)
        ends.send()
        while not (dut.m_axis_tvalid.value and dut.m_axis_tready.value):
            await FallingEdge(dut.clk)
        waited = 0
        while not dut.m_axis_tlast.value:
            await FallingEdge(dut.clk)
            waited += 1
        assert period < waited <= period + 4
        await ClockCycles(dut.clk, random.randint(1, 2 * period))
    assert [len(records) for records in ends.packets()] == [1] * 20


@cocotb.test()
async def a_sink_that_takes_nothing(dut):
    """Nothing is lost, and what is offered stays."""
    ends = await start(dut, 0.0, 0.0)
    ends.sink.pause = True
    for _ in range(30):
        ends.send()
    for _ in range(5):
        await ClockCycles(dut.clk, 3 * dut.PERIOD.value.to_unsigned())
        ends.sink.pause = False
        await ClockCycles(dut.clk, random.randint(1, 40))
        ends.sink.pause = True
    ends.sink.pause = False
    await ends.source.wait()
    await ClockCycles(dut.clk, 4 * dut.PERIOD.value.to_unsigned())
    assert [record for records in ends.packets() for record in records] == ends.sent


@cocotb.test()
async def reset_in_the_middle(dut):
    ends = await start(dut, 0.2, 0.2)
    for _ in range(20):
        ends.send()
    await ClockCycles(dut.clk, random.randint(20, 150))
    await ends.reset()
    for _ in range(20):
        ends.send()
    await ends.source.wait()
    await ClockCycles(dut.clk, 4 * dut.PERIOD.value.to_unsigned())
    assert [record for records in ends.packets() for record in records] == ends.sent
