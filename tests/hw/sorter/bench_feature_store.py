# SPDX-License-Identifier: Apache-2.0
"""feature_store: every word of every event reaches the gate engine in order, and the record by its tag."""

import random
from dataclasses import dataclass

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    **dict.fromkeys(("s_features_tdata", "s_features_tvalid", "value", "m_axis_tready"), 0),
    **dict.fromkeys(("decided", "decided_tag", "record_index"), 0),
}
GATES = ("m_axis_tvalid", "m_axis_tlast", "m_axis_none", "m_axis_tuser", "m_axis_tdata")


@dataclass(frozen=True)
class Table:
    """What `features` offers of one event."""

    tag: int
    invalid: bool
    values: tuple[int, ...]


def tables(dut, count: int, first: int = 0) -> list[Table]:
    words = dut.FEATURES.value.to_unsigned()
    return [
        Table(
            (first + i) % 256,
            random.random() < 0.2,
            tuple(random.getrandbits(32) for _ in range(words)),
        )
        for i in range(count)
    ]


class Run:
    """Offers tables as `features` does, takes words as the gate engine does, reads as the record does."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.words = dut.FEATURES.value.to_unsigned()
        self.events = dut.EVENTS.value.to_unsigned()
        self.lost = 0
        self.latencies: list[int] = []
        self.came: list[int] = []

    async def go(self, offered: list[Table], table_idle: float = 0, gate_idle: float = 0, backlog: int = 0) -> None:
        """To the end. idle: how often no table is there, and no word is taken; backlog: tables that wait before the
        gate engine takes one."""
        dut, value, got, now = self.dut, 0, list[int](), 1
        copied = gate = decided = 0  # events whose table was given back, whose words were taken, whose record is out
        shown = 0  # cycle in which the table at hand came, 0: none
        record = -1  # step of the record of event `decided`, -1: it is not decided yet
        while decided < len(offered):
            if copied < len(offered) and not shown and copied < decided + self.events and random.random() >= table_idle:
                shown = now
            take = (copied == len(offered) or copied - gate >= backlog) and random.random() >= gate_idle
            if record < 0 and decided < gate and random.random() < 0.3:
                record = 0
            inputs = {"s_features_tvalid": int(shown > 0), "value": value, "m_axis_tready": int(take)}
            if shown:
                inputs["s_features_tdata"] = offered[copied].tag << 1 | offered[copied].invalid
            inputs |= {"decided": int(record == 0), "record_index": max(0, record - 1) % self.words}
            inputs["decided_tag"] = offered[decided].tag if record == 0 else random.getrandbits(8)
            ready, ask, lost, valid, last, none, tag, word, data = await cycle(
                dut, "s_features_tready", "value_index", "lost", *GATES, "record_data", **inputs
            )
            self.lost += lost
            value = offered[copied].values[ask] if shown else random.getrandbits(32)
            if record >= 0:  # index i is asked for in step i + 1, its word is there in step i + 3
                if record >= 3 and not offered[decided].invalid:
                    assert data == offered[decided].values[record - 3], (decided, record)
                record += 1
                if record == self.words + 3:
                    record, decided = -1, decided + 1
            if valid and take:
                table = offered[gate]
                assert (tag, none) == (table.tag, int(table.invalid)), gate
                got.append(word)
                assert last == (table.invalid or len(got) == self.words)
                if last:
                    assert table.invalid or tuple(got) == table.values
                    got = []
                    self.latencies.append(now - (self.came[gate] if gate < copied else shown))
                    gate += 1
            if shown and ready:
                self.came.append(shown)
                shown, copied = 0, copied + 1
            now += 1


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def words_arrive(dut):
    """At full speed, then stalled on both sides, with none and with EVENTS events that wait."""
    await start(dut, **INPUTS)
    run = Run(dut)
    for table_idle, gate_idle, backlog in ((0.0, 0.0, 0), (0.99, 0.0, 0), (0.5, 0.6, 0), (0.1, 0.4, run.events)):
        run.lost, run.latencies, run.came = 0, [], []
        offered = tables(dut, 60, random.randrange(256))
        await run.go(offered, table_idle, gate_idle, backlog)
        assert run.lost == sum(table.invalid for table in offered)
        if table_idle > 0.9:  # most wait for no other
            assert min(run.latencies) >= 4
            least = [
                late - (4 if table.invalid else run.words + 3)
                for late, table in zip(run.latencies, offered, strict=True)
            ]
            assert min(least) == 0
            assert least.count(0) > len(least) // 2


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    for _ in range(5):
        run = Run(dut)
        sent = cocotb.start_soon(run.go(tables(dut, 20), 0.2, 0.3))
        await cocotb.triggers.ClockCycles(dut.clk, random.randrange(2, 8 * run.words))
        sent.cancel()
        await cycle(dut, **INPUTS)
        await reset(dut)
        assert dut.m_axis_tvalid.value == 0
        await Run(dut).go(tables(dut, 10), 0.2, 0.3)
