# SPDX-License-Identifier: Apache-2.0
"""board_sorter around a sorter whose outputs the bench sets: reset, sort outputs, lights, pins."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

LIGHT = 16  # cycles, by LIGHT_BITS = 4
BEAT, ARMED, FAULT, CLOSED, EVENT, PULSE = (1 << bit for bit in range(6))


async def begin(dut, **inputs: int) -> None:
    """The clock runs, and is not locked yet."""
    for name, value in {"locked": 0, "uart_rx": 1, "interlock": 0, "drop_clock": 0, **inputs}.items():
        getattr(dut, name).value = value
    for name in ("sort", "armed", "fault", "one_event"):
        getattr(dut.sorter, name).value = 0
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await cycles(dut, 20)


async def cycles(dut, count: int) -> None:
    for _ in range(count):
        await FallingEdge(dut.clk)


async def locked(dut) -> None:
    dut.locked.value = 1
    await cycles(dut, 8)
    assert not dut.sorter.rst.value


@cocotb.test()
async def reset_ends_behind_the_lock_and_begins_with_its_loss(dut):
    await begin(dut)
    dut.sorter.sort.value = 0b101101
    await cycles(dut, 1)
    assert dut.sorter.rst.value
    assert dut.sort_out.value == 0
    for _ in range(5):
        dut.locked.value = 1
        for _ in range(7):
            await cycles(dut, 1)
            assert dut.sorter.rst.value
            assert dut.sort_out.value == 0
        await cycles(dut, 1)
        assert not dut.sorter.rst.value
        assert dut.sort_out.value == 0b101101
        await cycles(dut, random.randrange(20))
        await Timer(random.randrange(1, 10), unit="ns")
        dut.locked.value = 0
        await Timer(1, unit="ps")  # no clock is needed for it
        assert dut.sorter.rst.value
        assert dut.sort_out.value == 0
        await cycles(dut, 3)


@cocotb.test()
async def pins_are_the_sorters(dut):
    await begin(dut)
    await locked(dut)
    for _ in range(200):
        sort, pins = random.getrandbits(6), [random.getrandbits(1) for _ in range(3)]
        dut.sorter.sort.value = sort
        dut.uart_rx.value, dut.interlock.value, dut.drop_clock.value = pins
        await cycles(dut, 1)
        assert dut.sort_out.value == sort
        assert [dut.sorter.uart_rx.value, dut.sorter.interlock.value, dut.sorter.drop_clock.value] == pins
        assert dut.uart_tx.value == 1 - pins[0]
        assert not dut.sorter.s_axis_line_tvalid.value


@cocotb.test()
async def lights_tell_the_state(dut):
    await begin(dut)
    await locked(dut)
    for name, light in (("armed", ARMED), ("fault", FAULT)):
        getattr(dut.sorter, name).value = 1
        await cycles(dut, 1)
        assert int(dut.lights.value) & ~BEAT == light
        getattr(dut.sorter, name).value = 0
        await cycles(dut, 1)
        assert int(dut.lights.value) & ~BEAT == 0
    dut.interlock.value = 1
    await cycles(dut, 3)
    assert int(dut.lights.value) & ~BEAT == CLOSED


@cocotb.test()
async def a_light_stays_behind_what_is_short(dut):
    await begin(dut)
    await locked(dut)
    for name, value, light in (("one_event", 1, EVENT), ("sort", 0b100000, PULSE)):
        for again in (False, True):  # one that comes while the light is on makes it longer
            getattr(dut.sorter, name).value = value
            await cycles(dut, 1)
            getattr(dut.sorter, name).value = 0
            if again:
                await cycles(dut, 10)
                getattr(dut.sorter, name).value = value
                await cycles(dut, 1)
                getattr(dut.sorter, name).value = 0
            on = 0
            while int(dut.lights.value) & light:
                on += 1
                assert on <= LIGHT
                await cycles(dut, 1)
            assert on == LIGHT


@cocotb.test()
async def the_clock_beats(dut):
    await begin(dut)
    await locked(dut)
    seen = []
    for _ in range(4 * 32 * LIGHT):
        seen.append(int(dut.lights.value) & BEAT)
        await cycles(dut, 1)
    edges = [at for at in range(1, len(seen)) if seen[at] and not seen[at - 1]]
    assert len(edges) >= 3
    assert {later - earlier for earlier, later in itertools.pairwise(edges)} == {32 * LIGHT}
