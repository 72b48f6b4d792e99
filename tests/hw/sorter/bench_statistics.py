# SPDX-License-Identifier: Apache-2.0
"""statistics against struct: each frame is of one cycle, in the cycles that the period says, whole or counted."""

import random
import struct

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

LAG = 2  # cycles from a change of the period, or the end of a reset, to what it does
OUTPUTS = ("m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "lost")


class Frames:
    """Counters that change in every cycle, and a sink. stall: probability a cycle that it does not take."""

    def __init__(self, dut, stall: float) -> None:
        self.dut = dut
        self.stall = stall
        self.counters = dut.COUNTERS.value.to_unsigned()
        self.time = random.getrandbits(48)
        self.shown: list[bytes] = []  # the frame that each cycle since reset would have, without its number
        self.frames: list[bytes] = []
        self.words: list[int] = []
        self.first: list[int] = []  # cycle in which each frame was first offered
        self.lost: list[int] = []
        self.offered: tuple[int, int] | None = None

    async def run(self, cycles: int, period: int) -> None:
        for _ in range(cycles):
            self.time = (self.time + 1) % 2**48
            state, ready = random.getrandbits(16), random.random() >= self.stall
            values = [random.getrandbits(32) for _ in range(self.counters)]
            body = struct.pack(f"<IHH{self.counters}I", self.time % 2**32, self.time >> 32, state, *values)
            packed = sum(value << 32 * i for i, value in enumerate(values))
            valid, data, last, lost = await cycle(
                self.dut, *OUTPUTS,
                period=period, timestamp=self.time, state=state, counters=packed, m_axis_tready=ready,
            )  # fmt: skip
            now = len(self.shown)
            self.shown.append(body)
            if self.offered is not None:
                assert (valid, data, last) == (1, *self.offered)
            elif valid and not self.words:
                self.first.append(now)
            self.offered = (data, last) if valid and not ready else None
            if lost:
                self.lost.append(now)
            if valid and ready:
                self.words.append(data)
                if last:
                    self.frames.append(struct.pack(f"<{len(self.words)}I", *self.words))
                    self.words.clear()

    def check(self, moments: list[int]) -> None:
        """All frames that ended are those of these cycles, but for the ones that were told as lost a cycle later."""
        lost = {moment for moment in moments if moment + 1 in self.lost}
        assert len(lost) == len(self.lost)
        kept = [(number, moment) for number, moment in enumerate(moments) if moment not in lost]
        whole = [struct.pack("<I", number) + self.shown[moment] for number, moment in kept]
        assert self.frames == whole[: len(self.frames)]
        assert len(kept) - len(self.frames) in (0, 1)  # one may still be under way
        assert all(first == moment + 2 for first, (_, moment) in zip(self.first, kept, strict=False))


async def prepare(dut, stall: float = 0.0) -> Frames:
    await start(dut, period=0, timestamp=0, state=0, counters=0, m_axis_tready=0)
    return Frames(dut, stall)


@cocotb.test()
async def one_a_period(dut):
    """Where a frame has left in time none is lost, and its words come every other cycle."""
    frames = await prepare(dut)
    words = frames.counters + 3
    period = 2 * words + random.randrange(1, 30)
    await frames.run(20 * period, period)
    frames.check(list(range(LAG + period - 1, 20 * period, period)))
    assert (len(frames.frames), frames.lost) == (19, [])


@cocotb.test()
@cocotb.parametrize(stall=[0.3, 0.9])
async def a_slow_sink(dut, stall):
    """Moments without a frame are counted, and numbered as the others; what comes out is whole."""
    frames = await prepare(dut, stall)
    period = 2 * (frames.counters + random.randrange(2, 6))
    await frames.run(400 * period + 2, period)
    frames.check(list(range(LAG + period - 1, 400 * period, period)))
    assert min(len(frames.lost), len(frames.frames)) > 10


@cocotb.test()
async def the_period_changes(dut):
    """None before a period is set; a shorter one than has passed is a moment soon; 0 ends it, also the counting."""
    frames = await prepare(dut)
    period = 2 * frames.counters + 20
    await frames.run(3 * period, 0)
    await frames.run(period + period // 2, period)
    await frames.run(3, period // 4)
    await frames.run(2 * period, 0)
    await frames.run(period - 1, period)
    moments = [LAG + 4 * period - 1, LAG + 4 * period + period // 2]
    frames.check(moments)
    moment = LAG + len(frames.shown)
    await frames.run(period, period)
    frames.check([*moments, moment])


@cocotb.test()
async def reset_in_the_middle(dut):
    frames = await prepare(dut, 0.9)
    period = 2 * frames.counters + 10
    await frames.run(3 * period, period)
    await reset(dut)
    assert not dut.m_axis_tvalid.value
    frames = Frames(dut, 0.0)
    await frames.run(5 * period, period)
    frames.check(list(range(LAG + period - 1, 5 * period, period)))
    assert len(frames.frames) == 4
