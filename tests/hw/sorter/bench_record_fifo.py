# SPDX-License-Identifier: Apache-2.0
"""record_fifo: records of any length come out whole and in order or not at all, and every lost one is counted."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

OUTPUTS = ("m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "lost", "empty")


class Ends:
    """Both ends of the FIFO. stall: probability a cycle that the sink does not take."""

    def __init__(self, dut, stall: float) -> None:
        self.dut = dut
        self.stall = stall
        self.depth = dut.DEPTH.value.to_unsigned()
        self.sent: list[tuple[int, ...]] = []
        self.received: list[tuple[int, ...]] = []
        self.lost = 0
        self.empty = 0
        self.partial: list[int] = []
        self.offered: tuple[int, int] | None = None

    async def cycle(self, **inputs: int) -> None:
        ready = random.random() >= self.stall
        valid, data, last, lost, self.empty = await cycle(self.dut, *OUTPUTS, m_axis_tready=ready, **inputs)
        if self.offered is not None:
            assert (valid, data, last) == (1, *self.offered)  # a word once offered stays until it is taken
        self.offered = (data, last) if valid and not ready else None
        self.lost += lost
        if valid and ready:
            self.partial.append(data)
            if last:
                self.received.append(tuple(self.partial))
                self.partial.clear()

    async def send(self, words: int = 0, idle: float = 0.0) -> None:
        words = words or random.randint(1, self.depth // 2)
        record = tuple(random.getrandbits(32) for _ in range(words))
        self.sent.append(record)
        for i, word in enumerate(record):
            while random.random() < idle:
                await self.cycle(s_word_tvalid=0)
            await self.cycle(s_word_tdata=word, s_word_tvalid=1, s_word_tlast=i == words - 1)

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.cycle(s_word_tvalid=0)


async def prepare(dut, stall: float) -> Ends:
    await start(dut, s_word_tdata=0, s_word_tvalid=0, s_word_tlast=0, s_word_tuser=0xE0, m_axis_tready=0)
    return Ends(dut, stall)


@cocotb.test()
@cocotb.parametrize(stall=[0.7, 0.9], idle=[0.0, 0.2])
async def whole_or_not_at_all(dut, stall, idle):
    """More records than the sink takes: what comes out are whole records in order, the rest is counted."""
    ends = await prepare(dut, stall)
    for _ in range(150):
        await ends.send(idle=idle)
        await ends.wait(random.choice([0, 0, 5, 3 * ends.depth]))
    await ends.wait(30 * ends.depth)
    assert ends.empty
    remaining = iter(ends.sent)
    assert all(record in remaining for record in ends.received)
    assert len(ends.received) + ends.lost == len(ends.sent)
    assert ends.lost > 0
    assert len(ends.received) > 10


@cocotb.test()
async def holds_what_fits(dut):
    """With a sink that takes nothing the first records stay until the memory and the output are full; a record that is
    longer than the memory is lost without harm to the next one."""
    ends = await prepare(dut, 1.0)
    room, kept = ends.depth, []
    for i in range(20):
        words = random.randint(1, 4)
        await ends.send(words)
        await ends.wait(3)
        room += not i  # the output register holds the first word
        if words <= room:
            room -= words
            kept.append(ends.sent[-1])
    await ends.send(2 * ends.depth)
    ends.stall = 0.0
    await ends.wait(4 * ends.depth)
    assert ends.received == kept
    assert ends.lost == len(ends.sent) - len(kept)
    assert ends.empty
    await ends.send(ends.depth)
    await ends.wait(4 * ends.depth)
    assert ends.received == [*kept, ends.sent[-1]]


@cocotb.test()
async def a_word_a_cycle(dut):
    """A sink that always takes gets the words of a record in a row, the first one 2 cycles after the last went in."""
    ends = await prepare(dut, 0.0)
    for _ in range(40):
        await ends.send()
        await ends.wait(1)
        assert not ends.partial
        for words in range(1, len(ends.sent[-1]) + 1):
            assert len(ends.partial) == words - 1
            await ends.wait(1)
        assert ends.received == ends.sent
    assert ends.lost == 0


@cocotb.test()
async def reset_in_the_middle(dut):
    ends = await prepare(dut, 0.5)
    for _ in range(3):
        await ends.send()
    await ends.cycle(s_word_tdata=1, s_word_tvalid=1, s_word_tlast=0)
    await reset(dut)
    ends = Ends(dut, 0.0)
    await ends.wait(10)
    assert ends.empty
    await ends.send()
    await ends.wait(4 * ends.depth)
    assert ends.received == ends.sent
