# SPDX-License-Identifier: Apache-2.0
"""Two clocks whose periods have nothing to do with each other, for benches of clock crossings."""

import random

import cocotb
from cocotb.clock import Clock


def start_clocks(dut, *, m_faster: bool | None = None) -> tuple[int, int]:
    """Start s_clk and m_clk with random periods, even numbers of ps within a factor of eight of each other.

    m_faster: which is the faster one, None: by chance. Returns the periods.
    """
    periods = [2 * random.randrange(1_000, 8_000) for _ in range(2)]
    if m_faster is not None:
        periods.sort(reverse=m_faster)
    s_period, m_period = periods
    cocotb.start_soon(Clock(dut.s_clk, s_period, unit="ps").start())
    cocotb.start_soon(Clock(dut.m_clk, m_period, unit="ps").start())
    return s_period, m_period
