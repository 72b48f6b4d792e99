# SPDX-License-Identifier: Apache-2.0
"""line_buffer against a list: what is committed comes out, padded, in order; what is given back never does."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {"store": 0, "data": 0, "short_line": 0, "commit": 0, "rollback": 0, "m_axis_tready": 0}
OUTPUTS = ("space", "m_axis_tvalid", "m_axis_tdata")


class Ends:
    def __init__(self, dut, stall: float) -> None:
        self.dut = dut
        self.stall = stall
        self.received: list[int] = []
        self.offered: int | None = None
        self.space = 1

    async def cycle(self, **inputs: int) -> None:
        ready = random.random() >= self.stall
        self.space, valid, data = await cycle(self.dut, *OUTPUTS, m_axis_tready=ready, **inputs)
        if self.offered is not None:
            assert (valid, data) == (1, self.offered)
        self.offered = data if valid and not ready else None
        if valid and ready:
            self.received.append(data)

    async def idle(self) -> None:
        await self.cycle(store=0, commit=0, rollback=0)


async def lines(ends: Ends, count: int, idle: float) -> list[int]:
    """Write lines the way event_trigger does. Returns what must come out."""
    width, bits = ends.dut.W.value.to_unsigned(), ends.dut.WIDTH.value.to_unsigned()
    expected = []
    for _ in range(count):
        kind = random.choice(["keep", "drop", "through"])
        length = random.choice([width, width, random.randrange(1, width + 1)])
        pixels = [random.getrandbits(bits) for _ in range(length)]
        for i, pixel in enumerate(pixels):
            while not ends.space or random.random() < idle:
                await ends.idle()
            last = i == length - 1
            await ends.cycle(
                store=1, data=pixel, short_line=last and length < width,
                commit=kind == "through" or (kind == "keep" and last), rollback=kind == "drop" and last,
            )  # fmt: skip
        if kind != "drop":
            expected += pixels + [0] * (width - length)
    return expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=[0.0, 0.4], stall=[0.0, 0.7])
async def keeps_what_is_committed(dut, idle, stall):
    await start(dut, **INPUTS)
    ends = Ends(dut, stall)
    expected = await lines(ends, 120, idle)
    ends.stall = 0.0
    while len(ends.received) < len(expected):
        await ends.idle()
    await ends.idle()
    assert ends.received == expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def space_falls_only_when_full(dut):
    """With one slot left for the beat on its way, and not before."""
    await start(dut, **INPUTS)
    ends = Ends(dut, 1.0)
    depth = dut.DEPTH.value.to_unsigned()
    for written in range(depth):
        await ends.cycle(store=1, data=written, commit=1)
        assert ends.space == (written <= depth - 2)
    ends.stall = 0.0
    for _ in range(depth + 1):
        await ends.idle()
    assert ends.received == [written % 2 ** dut.WIDTH.value.to_unsigned() for written in range(depth)]
    assert ends.space


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    ends = Ends(dut, 1.0)
    await ends.cycle(store=1, data=1, short_line=1, commit=1)
    await ends.cycle(store=1, data=2, short_line=0, commit=0)
    await reset(dut)
    ends = Ends(dut, 0.0)
    expected = await lines(ends, 20, 0.2)
    for _ in range(20 * dut.W.value.to_unsigned()):
        await ends.idle()
    assert ends.received == expected
