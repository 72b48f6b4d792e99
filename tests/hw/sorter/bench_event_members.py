# SPDX-License-Identifier: Apache-2.0
"""event_members: each line of each event once, in order, first and last marked; early, but never before it is known."""

import random
from dataclasses import dataclass

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "begin_valid": 0, "begin_tag": 0, "begin_line": 0, "begin_skip": 0, "rows_here": 0, "end_valid": 0, "end_rows": 0,
    "m_member_ready": 1,
}  # fmt: skip
OUTPUTS = ("begin_ready", "m_member_valid", "m_member_tag", "m_member_line", "m_member_first", "m_member_last")


@dataclass
class Event:
    """Rows skip .. rows - 1 of an event whose row 0 is line `line`; its trigger sees one after the other."""

    tag: int
    line: int
    skip: int
    rows: int

    def expected(self) -> list[tuple[int, int, int, int]]:
        return [
            (self.tag, (self.line + row) % 256, int(row == self.skip), int(row == self.rows - 1))
            for row in range(self.skip, self.rows)
        ]


def draw(tag: int) -> Event:
    skip = random.choice([0, 0, random.randrange(6)])
    rows = skip + random.choice([1, 2, random.randrange(1, 12), 255 - skip])
    return Event(tag % 256, random.getrandbits(8), skip, rows)


class Run:
    def __init__(self, dut) -> None:
        self.dut = dut
        self.got: list[tuple[int, int, int, int]] = []
        self.known = 0  # members that may have come out
        self.ready = False

    async def step(self, stall: float, **inputs: int) -> None:
        take = int(random.random() >= stall)
        ready, valid, *member = await cycle(self.dut, *OUTPUTS, m_member_ready=take, **inputs)
        self.ready = bool(ready)
        if valid and take:
            self.got.append(tuple(member))
            assert len(self.got) <= self.known

    async def go(self, events: list[Event], idle: float, stall: float) -> None:
        """Events as a trigger tells them: begun with some rows, more of them known from time to time, then ended."""
        before = 0  # members of earlier events
        for event in events:
            while not self.ready:
                await self.step(stall)
            known = random.randint(event.skip + 1, event.rows)
            self.known = before + known - event.skip
            fields = {"begin_tag": event.tag, "begin_line": event.line, "begin_skip": event.skip}
            await self.step(stall, begin_valid=1, rows_here=known, **fields)
            await self.step(stall, begin_valid=0)
            while known < event.rows:
                known = min(event.rows, known + random.choice([0, 1, 1, 3]))
                self.known = before + known - event.skip
                await self.step(stall, rows_here=known)
                while random.random() < idle:
                    await self.step(stall)
            await self.step(stall, end_valid=1, end_rows=event.rows)
            await self.step(stall, end_valid=0)
            before += event.rows - event.skip
        for _ in range(4 + 16 * 300):
            if len(self.got) == before:
                break
            await self.step(stall / 2)
        await self.step(0.0)
        assert self.got == [member for event in events for member in event.expected()]


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.6])
async def every_line_once(dut, idle, stall):
    await start(dut, **INPUTS)
    run = Run(dut)
    await run.step(0.0)
    await run.go([draw(i) for i in range(300)], idle, stall)


@cocotb.test()
async def a_line_comes_before_the_event_has_ended(dut):
    """All that are known but the last, 4 cycles behind the begin; that one 3 behind the end."""
    await start(dut, **INPUTS)
    await cycle(dut, begin_valid=1, begin_tag=5, begin_line=250, begin_skip=2, rows_here=10)
    seen = [await cycle(dut, *OUTPUTS[1:], begin_valid=0) for _ in range(12)]
    assert [values[0] for values in seen] == [0] * 3 + [1] * 7 + [0] * 2
    assert [values[1:] for values in seen if values[0]] == Event(5, 250, 2, 10).expected()[:-1]
    await cycle(dut, end_valid=1, end_rows=10)
    seen = [await cycle(dut, *OUTPUTS[1:], end_valid=0) for _ in range(4)]
    assert [values for values in seen if values[0]] == [(1, 5, 3, 0, 1)]
    assert [values[0] for values in seen].index(1) == 2


@cocotb.test()
async def no_room(dut):
    """While nothing is taken EVENTS events wait, and not one more begins."""
    await start(
        dut,
        **INPUTS,
    )
    run = Run(dut)
    events = [Event(i, 3 * i, 0, 2) for i in range(dut.EVENTS.value.to_unsigned())]
    run.known = 2 * len(events)
    for event in events:
        await run.step(1.0, begin_valid=1, begin_tag=event.tag, begin_line=event.line, begin_skip=0, rows_here=2)
        assert run.ready
        await run.step(1.0, begin_valid=0, end_valid=1, end_rows=2)
        await run.step(1.0, end_valid=0)
    assert not run.ready
    while len(run.got) < run.known:
        await run.step(0.3)
    assert run.got == [member for event in events for member in event.expected()]
    await run.step(0.0)
    assert run.ready


@cocotb.test()
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    await cycle(dut, begin_valid=1, begin_tag=5, begin_line=3, begin_skip=0, rows_here=30)
    for _ in range(9):
        await cycle(dut, begin_valid=0)
    await reset(dut)
    run = Run(dut)
    await run.step(0.0)
    await run.go([draw(i) for i in range(20)], 0.2, 0.2)
