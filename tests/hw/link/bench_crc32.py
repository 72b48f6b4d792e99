# SPDX-License-Identifier: Apache-2.0
"""crc32 against zlib: every prefix of random sequences, pauses, clear, the residue that link_rx looks for."""

import random
import zlib

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hw.link.wire import CLOCK_NS


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5])
async def equals_zlib(dut, idle):
    cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start())
    dut.rst.value = 1
    dut.clear.value = 0
    dut.enable.value = 0
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    for _ in range(20):
        data = random.randbytes(random.randint(1, 40))
        data += zlib.crc32(data).to_bytes(4, "little")
        for i, value in enumerate(data):
            while random.random() < idle:
                dut.enable.value = 0
                dut.data.value = random.getrandbits(8)
                await RisingEdge(dut.clk)
            dut.enable.value = 1
            dut.data.value = value
            await RisingEdge(dut.clk)
            dut.enable.value = 0
            await RisingEdge(dut.clk)
            assert dut.crc.value.to_unsigned() == zlib.crc32(data[: i + 1])
        assert dut.crc.value.to_unsigned() == 0x2144DF1C
        dut.clear.value = 1
        dut.enable.value = 1  # clear wins
        await RisingEdge(dut.clk)
        dut.clear.value = 0
        dut.enable.value = 0
        await RisingEdge(dut.clk)
        assert dut.crc.value.to_unsigned() == 0
