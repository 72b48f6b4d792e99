# SPDX-License-Identifier: Apache-2.0
"""cobs_encoder against the `cobs` package: any content and length, idle source, stalled sink, reset in the middle."""

import random

import cocotb
from cobs import cobs
from cocotb.triggers import ClockCycles

from tests.hw.link.wire import some_bytes
from tests.streams import start


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.5], stall=[0.0, 0.5])
async def any_content(dut, idle, stall):
    stream = await start(dut, idle, stall)
    lengths = [1, 2, 253, 254, 255, 508, 509, *(random.randint(1, 300) for _ in range(15))]
    packets = [some_bytes(length) for length in lengths]
    packets += [b"\0", b"\x01" * 254, b"\x01" * 254 + b"\0", b"\x01" * 255, b"\0" * 255, b"\x01" * 508]
    random.shuffle(packets)
    for packet in packets:
        stream.send(list(packet))
    expected = b"".join(cobs.encode(packet) + b"\0" for packet in packets)
    assert bytes(await stream.receive(len(expected))) == expected
    await ClockCycles(dut.clk, 3)
    assert dut.busy.value == 0


@cocotb.test()
async def busy_from_the_first_byte_on(dut):
    stream = await start(dut)
    assert dut.busy.value == 0
    stream.source.send_nowait([7] * 10)
    await ClockCycles(dut.clk, 4)
    assert dut.busy.value == 1
    await stream.receive(12)


@cocotb.test()
async def reset_in_the_middle(dut):
    for cycles in (3, 12, 25):  # while collecting, and while sending
        stream = await start(dut)
        stream.send([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        await ClockCycles(dut.clk, cycles)
        await stream.reset()
        stream.send([1, 0, 2])
        assert bytes(await stream.receive(5)) == cobs.encode(b"\x01\x00\x02") + b"\0"
