# SPDX-License-Identifier: Apache-2.0
"""frame_arbiter: every frame comes out whole, of one source, in its order; the lowest that waits goes first."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

OUTPUTS = ("s_axis_tready", "m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "m_axis_tuser")
Word = tuple[int, int, int]  # data, last, user


class Sources:
    """Sources with random frames and a sink. idle, stall: probabilities a cycle that a source offers no new word, that
    the sink takes none."""

    def __init__(self, dut, idle: float, stall: float) -> None:
        self.dut = dut
        self.idle, self.stall = idle, stall
        self.number = dut.SOURCES.value.to_unsigned()
        self.to_send: list[list[Word]] = [[] for _ in range(self.number)]
        self.sent: list[list[tuple[Word, ...]]] = [[] for _ in range(self.number)]
        self.received: list[list[tuple[Word, ...]]] = [[] for _ in range(self.number)]
        self.offers = [False] * self.number
        self.frame: list[Word] = []
        self.source: int | None = None  # whose frame is offered or under way
        self.passed = 0  # cycles in which a word was taken

    def queue(self, source: int, words: int) -> None:
        frame = [(random.getrandbits(30) << 2 | source, int(i == words - 1), 0xE0 | source) for i in range(words)]
        self.to_send[source] += frame
        self.sent[source].append(tuple(frame))

    async def cycle(self) -> None:
        heads = [queue[0] if queue else (0, 0, 0) for queue in self.to_send]
        self.offers = [
            bool(queue) and (offered or random.random() >= self.idle)
            for queue, offered in zip(self.to_send, self.offers, strict=True)
        ]
        user = [head[2] if offers else random.getrandbits(8) for head, offers in zip(heads, self.offers, strict=True)]
        ready = random.random() >= self.stall
        readies, valid, *word = await cycle(
            self.dut, *OUTPUTS,
            s_axis_tdata=sum(head[0] << 32 * i for i, head in enumerate(heads)),
            s_axis_tvalid=sum(offers << i for i, offers in enumerate(self.offers)),
            s_axis_tlast=sum(head[1] << i for i, head in enumerate(heads)),
            s_axis_tuser=sum(value << 8 * i for i, value in enumerate(user)),
            m_axis_tready=ready,
        )  # fmt: skip
        if self.source is None and any(self.offers):
            self.source = self.offers.index(True)
        expected = self.source is not None and self.offers[self.source]
        assert bool(valid) == expected
        taken = [bool(readies >> i & 1) and offers for i, offers in enumerate(self.offers)]
        assert taken == [expected and ready and i == self.source for i in range(self.number)]
        if not expected:
            return
        assert self.source is not None
        assert tuple(word) == heads[self.source]
        if ready:
            self.passed += 1
            self.to_send[self.source].pop(0)
            self.offers[self.source] = False
            self.frame.append(heads[self.source])
            if word[1]:
                self.received[self.source].append(tuple(self.frame))
                self.frame.clear()
                self.source = None


async def prepare(dut, idle: float, stall: float) -> Sources:
    await start(dut, s_axis_tdata=0, s_axis_tvalid=0, s_axis_tlast=0, s_axis_tuser=0, m_axis_tready=0)
    return Sources(dut, idle, stall)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.6])
async def whole_frames(dut, idle, stall):
    sources = await prepare(dut, idle, stall)
    for _ in range(400):
        for source in range(sources.number):
            if random.random() < 0.04:
                sources.queue(source, random.choice([1, 1, 2, 7, 20]))
        await sources.cycle()
    while any(sources.to_send):
        await sources.cycle()
    assert sources.received == sources.sent
    assert all(len(frames) > 3 for frames in sources.sent)


@cocotb.test()
async def a_word_a_cycle(dut):
    """With all sources full no cycle is without a word, and a lower one never waits for a second frame of a higher."""
    sources = await prepare(dut, 0.0, 0.0)
    for source in range(sources.number):
        for _ in range(20):
            sources.queue(source, random.randint(1, 9))
    words = sum(map(len, sources.to_send))
    for _ in range(words):
        await sources.cycle()
    assert sources.passed == words
    assert sources.received == sources.sent


@cocotb.test()
async def reset_in_the_middle(dut):
    sources = await prepare(dut, 0.0, 0.0)
    sources.queue(sources.number - 1, 9)
    for _ in range(4):
        await sources.cycle()
    await reset(dut)
    sources = Sources(dut, 0.0, 0.0)
    sources.queue(0, 3)
    sources.queue(sources.number - 1, 3)
    for _ in range(6):
        await sources.cycle()
    assert sources.received == sources.sent
