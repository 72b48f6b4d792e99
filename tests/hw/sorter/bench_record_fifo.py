# SPDX-License-Identifier: Apache-2.0
"""record_fifo: records come out whole and in order or not at all, and every lost one is counted."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

OUTPUTS = ("m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "lost", "empty")


class Ends:
    """Both ends of the FIFO. stall: probability a cycle that the sink does not take."""

    def __init__(self, dut, stall: float) -> None:
        self.dut = dut
        self.stall = stall
        self.words = dut.WORDS.value.to_unsigned()
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.lost = 0
        self.empty = 0
        self.partial = bytearray()
        self.offered: tuple[int, int] | None = None

    async def cycle(self, **inputs: int) -> None:
        ready = random.random() >= self.stall
        valid, data, last, lost, self.empty = await cycle(self.dut, *OUTPUTS, m_axis_tready=ready, **inputs)
        if self.offered is not None:
            assert (valid, data, last) == (1, *self.offered)  # a byte once offered stays until it is taken
        self.offered = (data, last) if valid and not ready else None
        self.lost += lost
        if valid and ready:
            self.partial.append(data)
            if last:
                self.received.append(bytes(self.partial))
                self.partial.clear()

    async def send(self) -> None:
        body = random.randbytes(4 * self.words)
        self.sent.append(body)
        for i in range(self.words):
            word = int.from_bytes(body[4 * i : 4 * i + 4], "little")
            await self.cycle(s_word_tdata=word, s_word_tvalid=1, s_word_tlast=i == self.words - 1)
            assert not self.empty or i == 0 or self.lost

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await self.cycle(s_word_tvalid=0)


async def prepare(dut, stall: float) -> Ends:
    await start(dut, s_word_tdata=0, s_word_tvalid=0, s_word_tlast=0, m_axis_tready=0)
    return Ends(dut, stall)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def whole_or_not_at_all(dut, stall):
    """More records than the sink takes: what comes out are whole records in order, the rest is counted."""
    ends = await prepare(dut, stall)
    for _ in range(60):
        await ends.send()
        await ends.wait(random.choice([0, 0, 20, 100]))
    await ends.wait(3000)
    assert ends.empty
    remaining = iter(ends.sent)
    assert all(body in remaining for body in ends.received)
    assert len(ends.received) + ends.lost == len(ends.sent)
    assert ends.lost > 0
    assert len(ends.received) > 10


@cocotb.test()
async def holds_what_fits(dut):
    """With a sink that takes nothing, as many records stay as fit the memory, the first ones."""
    ends = await prepare(dut, 1.0)
    for _ in range(10):
        await ends.send()
    await ends.wait(5)
    fit = dut.DEPTH.value.to_unsigned() // ends.words
    assert ends.lost == 10 - fit
    ends.stall = 0.0
    await ends.wait(1000)
    assert ends.received == ends.sent[:fit]


@cocotb.test()
async def nothing_is_lost_at_the_rate_of_the_sink(dut):
    ends = await prepare(dut, 0.0)
    for _ in range(40):
        await ends.send()
        await ends.wait(7 * ends.words)
    await ends.wait(200)
    assert ends.received == ends.sent


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
    await ends.wait(200)
    assert ends.received == ends.sent
