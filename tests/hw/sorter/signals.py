# SPDX-License-Identifier: Apache-2.0
"""What the sorter's block benches share: a clock, a reset, and a look at the outputs of every cycle."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge


async def start(dut, **inputs: int) -> None:
    """Set inputs, run the clock, reset for 4 cycles. Returns just behind a falling edge, where benches set inputs."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut)


async def reset(dut) -> None:
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def cycle(dut, *outputs: str, **inputs: int) -> tuple[int, ...]:
    """One cycle: set inputs, return the outputs as the rising edge sees them, end behind the falling edge."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    await RisingEdge(dut.clk)
    values = tuple(int(getattr(dut, name).value) for name in outputs)
    await FallingEdge(dut.clk)
    return values
