# SPDX-License-Identifier: Apache-2.0
"""axil_registers between cocotbext-axi's master and a register bus that is a dictionary, with waits on both sides."""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from tests.streams import pauses

HOLES = range(0x100, 0x200)  # addresses that the register bus refuses


class Bench:
    """stall: how often each channel pauses; wait: cycles at most until the bus answers."""

    def __init__(self, dut, stall: float, wait: int) -> None:
        self.dut, self.wait = dut, wait
        self.memory: dict[int, int] = {}
        self.accesses: list[tuple[bool, int]] = []
        self.good = self.bad = 0
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        for end in (self.master.write_if, self.master.read_if):
            end.log.setLevel(logging.WARNING)
        if stall:
            writes, reads = self.master.write_if, self.master.read_if
            for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
                channel.set_pause_generator(pauses(stall))

    async def run(self) -> None:
        """The register bus."""
        dut = self.dut
        dut.reg_ack.value = 0
        while True:
            await RisingEdge(dut.clk)
            if not dut.reg_req.value:
                continue
            request = (int(dut.reg_we.value), int(dut.reg_addr.value), int(dut.reg_wdata.value))
            for _ in range(random.randint(0, self.wait)):
                await RisingEdge(dut.clk)
                assert not dut.reg_req.value
                assert request == (int(dut.reg_we.value), int(dut.reg_addr.value), int(dut.reg_wdata.value))
            is_write, address, data = request
            self.accesses.append((bool(is_write), address))
            if is_write and address not in HOLES:
                self.memory[address] = data
            dut.reg_ack.value, dut.reg_err.value = 1, address in HOLES
            dut.reg_rdata.value = self.memory.get(address, 0) if address not in HOLES else random.getrandbits(32)
            await RisingEdge(dut.clk)
            dut.reg_ack.value = 0

    async def count(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            self.good += int(self.dut.good.value)
            self.bad += int(self.dut.bad.value)

    async def write(self, address: int, data: int) -> AxiResp:
        return (await self.master.write(address, data.to_bytes(4, "little"))).resp

    async def read(self, address: int) -> tuple[AxiResp, int]:
        answer = await self.master.read(address, 4)
        return answer.resp, int.from_bytes(answer.data, "little")


async def prepare(dut, stall: float = 0.0, wait: int = 0) -> Bench:
    bench = Bench(dut, stall, wait)
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    cocotb.start_soon(bench.run())
    cocotb.start_soon(bench.count())
    return bench


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.6], wait=[0, 5])
async def as_a_memory(dut, stall, wait):
    """Reads and writes of one master each, at the same time, at addresses that the bus has and such that it refuses."""
    bench = await prepare(dut, stall, wait)
    addresses = {False: [0, 4, 0x44, 0xFFFC], True: [8, 0x48, 0x1000]}
    known: dict[int, int] = {}

    async def part(odd: bool) -> None:
        for _ in range(60):
            address = random.choice([*addresses[odd], random.choice(HOLES)])
            data = random.getrandbits(32)
            refused = address // 4 * 4 in HOLES
            address = address // 4 * 4
            if random.getrandbits(1):
                assert await bench.write(address, data) == (AxiResp.SLVERR if refused else AxiResp.OKAY)
                if not refused:
                    known[address] = data
            else:
                expected = (AxiResp.SLVERR, 0) if refused else (AxiResp.OKAY, known.get(address, 0))
                assert await bench.read(address) == expected

    await Combine(*(cocotb.start_soon(part(odd)) for odd in (False, True)))
    await ClockCycles(dut.clk, 3)
    assert bench.memory == known
    refused = sum(address in HOLES for _, address in bench.accesses)
    assert (bench.good, bench.bad) == (120 - refused, refused)
    assert not dut.busy.value


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_part_of_a_word_is_refused(dut):
    bench = await prepare(dut, 0.3)
    for length, offset in [(1, 0), (2, 0), (3, 1), (1, 3)]:
        answer = await bench.master.write(0x40 + offset, bytes(length))
        assert answer.resp == AxiResp.SLVERR
    await ClockCycles(dut.clk, 3)
    assert (bench.accesses, bench.bad) == ([], 4)
    assert await bench.write(0x40, 1) == AxiResp.OKAY


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reads_and_writes_take_turns(dut):
    """Where both wait all the time neither waits for more than one of the other."""
    bench = await prepare(dut)
    writes = [cocotb.start_soon(bench.write(4 * i, i)) for i in range(30)]
    reads = [cocotb.start_soon(bench.read(4 * i)) for i in range(30)]
    await Combine(*writes, *reads)
    kinds = [is_write for is_write, _ in bench.accesses]
    assert len(kinds) == 60
    assert all(kinds[i] != kinds[i + 1] for i in range(2, 56))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    bench = await prepare(dut, 0.3, 5)
    for i in range(20):
        cocotb.start_soon(bench.master.write(4 * i, bytes(4)))
        cocotb.start_soon(bench.master.read(4 * i, 4))
    await ClockCycles(dut.clk, 60)
    for end in (bench.master.write_if, bench.master.read_if):
        end.log.setLevel(logging.ERROR)  # that it drops its commands in a reset
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    assert not dut.s_axil_bvalid.value
    assert not dut.s_axil_rvalid.value
    assert not dut.busy.value
    dut.rst.value = 0
    await ClockCycles(dut.clk, 10)
    assert await bench.write(0x40, 77) == AxiResp.OKAY
    assert await bench.read(0x40) == (AxiResp.OKAY, 77)
