# SPDX-License-Identifier: Apache-2.0
"""The generated register block behind the link, addressed by the host's table: access rules, gate, arm, snapshot."""

import logging

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.uart import UartSink, UartSource

from icsort.host.link.registers import REGISTERS
from tests.hw.link.wire import CLOCK_NS, frame, read, unframe, write

READ_ACK, WRITE_ACK, NACK, BAD_ADDRESS = 0x81, 0x82, 0xFF, 3
LATCHED = [
    *("TIMESTAMP_LO", "TIMESTAMP_HI", "ACCEPTED", "MISSED", "SORTED", "REJECTED", "DISARMED", "LATE", "HARDWARE"),
    *("CONFLICT", "RECORDS_LOST", "LINE_ERRORS", "DEBRIS", "LINK_BAD_FRAMES", "LINK_GOOD_FRAMES"),
    *("HEARTBEATS_LOST", "LINE_GAPS", "LINES_STOPPED", "DEAD_TIME", "WINDOWS_LOST"),
    *("COINCIDENCE", "AMBIGUOUS", "OVERLONG", "STALLED", "FAULT", "LIMITED", "SKIPPED", "COMPLETE", "TEST_PULSES"),
    *(f"SORTED_{direction}" for direction in range(6)),
]
MEMORY = (
    "SCHEDULE_DIRECTION",
    "SCHEDULE_MODE",
    "SCHEDULE_BEFORE",
    "SCHEDULE_AFTER",
    "SCHEDULE_DROP",
)  # words of 32 bits, all of them kept
PRESENTED = {
    "BUILD_ID_LO": 0x89ABCDEF,
    "BUILD_ID_HI": 0x01234567,
    "MODEL_ID_LO": 0x76543210,
    "MODEL_ID_HI": 0xFEDCBA98,
    "GEOMETRY": 41 << 24 | 40 << 16 | 3 << 8 | 7,
    "CLOCK_HZ": 100_000_000,
    "FRONT_READ": 5,
    "GATE_SIZE": 16 << 24 | 16 << 16 | 16 << 8 | 32,
    "GATE_VALUES": 33,
}


class Bench:
    def __init__(self, dut) -> None:
        self.dut = dut
        self.seq = 0

    async def start(self) -> None:
        dut = self.dut
        cocotb.start_soon(Clock(dut.clk, CLOCK_NS, unit="ns").start())
        dut.rst.value = 1
        dut.uart_rx.value = 1
        dut.live.value = 0
        self.source = UartSource(dut.uart_rx, baud=10**9 // (4 * CLOCK_NS))
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 2)
        self.sink = UartSink(dut.uart_tx, baud=10**9 // (4 * CLOCK_NS))
        for end in (self.source, self.sink):
            end.log.setLevel(logging.WARNING)

    async def ask(self, payload: bytes) -> bytes:
        self.source.write_nowait(frame(payload))
        coded = b""
        while not coded.endswith(b"\0"):
            coded += bytes(await self.sink.read(1))
        return unframe(coded[:-1])

    async def address(self, address: int, data: int | None = None) -> int | None:
        """Value of a read, or read back after a write; None where the board refuses the address."""
        self.seq = (self.seq + 1) & 0xFF
        request = read(self.seq, address) if data is None else write(self.seq, address, data)
        answer = await self.ask(request)
        if answer == bytes([NACK, self.seq, BAD_ADDRESS]):
            return None
        assert answer[:4] == bytes([READ_ACK if data is None else WRITE_ACK, self.seq]) + address.to_bytes(2, "little")
        return int.from_bytes(answer[4:], "little")

    async def register(self, name: str, data: int | None = None) -> int:
        value = await self.address(REGISTERS[name].address, data)
        assert value is not None, name
        return value


async def start(dut) -> Bench:
    bench = Bench(dut)
    await bench.start()
    return bench


@cocotb.test()
async def after_reset(dut):
    bench = await start(dut)
    assert (await bench.register("MAGIC")).to_bytes(4, "little") == b"ICSR"
    for name, register in REGISTERS.items():
        if not register.readable or name.startswith(MEMORY):
            continue
        expected = PRESENTED.get(name)
        if expected is None:
            expected = sum((field.reset or 0) << field.low for field in register.fields.values())
        if name == "STATUS":
            expected |= 1 << register.fields["idle"].low | 1 << register.fields["interlock"].low
        assert await bench.register(name) == expected, name


@cocotb.test()
async def access_rules(dut):
    bench = await start(dut)
    readable = {register.address for register in REGISTERS.values() if register.readable}
    for address in [*range(0, 0x100, 4), 0x1A4, 0x200, 0x1004, 0x8000, 0xFFFC, 0x41, 0x42]:
        assert (await bench.address(address) is not None) == (address in readable), hex(address)
    for name, register in REGISTERS.items():
        if not register.writable:
            assert await bench.address(register.address, 0x5A5A5A5A) is None, name
        elif not register.readable:
            assert await bench.register(name, 0xFFFFFFFE) == 0, name
        else:
            fields = sum((1 << field.bits) - 1 << field.low for field in register.fields.values())
            mask = 0xFFFFFFFF if name.startswith(MEMORY) else fields
            for data in (0xA5A5A5A5, 0x5A5A5A5A):
                assert await bench.register(name, data) == data & mask, name


@cocotb.test()
async def commits_are_counted(dut):
    bench = await start(dut)
    assert await bench.register("GATE_SERIAL") == 0
    assert await bench.register("GATE_COMMIT", 1) == 0
    assert await bench.register("GATE_SERIAL") == 1
    await bench.register("GATE_COMMIT", 0)
    assert await bench.register("GATE_SERIAL") == 1


@cocotb.test()
async def schedule_is_committed_at_once(dut):
    """What was written comes in force with the commit and not before; armed, nothing changes; a second commit does no
    harm."""
    bench = await start(dut)
    names = [name for name in REGISTERS if name.startswith(MEMORY)]

    async def write(base: int) -> None:
        for i, name in enumerate(names):
            assert await bench.register(name, base + i) == base + i

    async def in_force() -> list[int]:
        await bench.register("SCHEDULE_VIEW", 1)
        words = [await bench.register(name) for name in names]
        await bench.register(names[0], 0xBAD)
        assert await bench.register(names[0]) == words[0]
        await bench.register("SCHEDULE_VIEW", 0)
        return words

    await write(1000)
    assert await bench.register("STATUS") >> 6 & 1 == 0
    await bench.register("SCHEDULE_COMMIT", 1)
    assert await bench.register("STATUS") >> 6 & 1 == 1
    await write(2000)
    assert await in_force() == [1000 + i for i in range(len(names))]
    await bench.register("ARM_TEST", 1)
    await bench.register("SCHEDULE_COMMIT", 1)
    assert await bench.register("SCHEDULE_SERIAL") == 1
    assert (await in_force())[0] == 1000
    await bench.register("DISARM", 1)
    await bench.register("SCHEDULE_COMMIT", 1)
    assert await bench.register("SCHEDULE_SERIAL") == 2
    assert await in_force() == [2000 + i for i in range(len(names))]
    assert [await bench.register(name) for name in names] == [2000 + i for i in range(len(names))]
    await bench.register("SCHEDULE_COMMIT", 1)
    assert await in_force() == [2000 + i for i in range(len(names))]


async def armed(bench: Bench) -> bool:
    status = await bench.register("STATUS")
    assert status & 1 == bench.dut.armed.value
    return bool(status & 1)


@cocotb.test()
async def arms_only_behind_a_gate(dut):
    bench = await start(dut)
    await bench.register("SCHEDULE_COMMIT", 1)
    assert await bench.register("ARM", 1) == 0
    assert not await armed(bench)
    await bench.register("GATE_COMMIT", 1)
    assert not await armed(bench)
    await bench.register("ARM", 0)
    assert not await armed(bench)
    await bench.register("ARM", 1)
    assert await armed(bench)
    await bench.register("SNAPSHOT", 1)
    await bench.register("GATE_COMMIT", 1)
    assert await armed(bench)
    await bench.register("DISARM", 1)
    assert not await armed(bench)


@cocotb.test()
async def only_arm_undoes_a_disarm(dut):
    """Whatever else the host reads or writes behind a disarm, at any address and with any data: it stays disarmed."""
    bench = await start(dut)
    await bench.register("GATE_COMMIT", 1)
    await bench.register("SCHEDULE_COMMIT", 1)
    await bench.register("ARM", 1)
    assert await armed(bench)
    await bench.register("DISARM", 1)
    addresses = {register.address for register in REGISTERS.values()} | {*range(0, 0x100, 4)}
    for address in sorted(addresses - {REGISTERS["ARM"].address}):
        for data in (None, 0, 1, 3, 0xFFFFFFFF):
            await bench.address(address, data)
            assert not dut.armed.value, (hex(address), data)


@cocotb.test()
async def silent_host_disarms(dut):
    """Any intact frame keeps it armed, even a refused one; a damaged one does not. The cause stays readable."""
    bench = await start(dut)
    await bench.register("GATE_COMMIT", 1)
    await bench.register("SCHEDULE_COMMIT", 1)
    await bench.register("HEARTBEAT", 5000)
    await bench.register("ARM", 1)
    for _ in range(5):
        await ClockCycles(dut.clk, 3500)
        assert await bench.address(0xFFFC) is None
        assert dut.armed.value
    for _ in range(3):
        await ClockCycles(dut.clk, 2500)
        damaged = bytearray(frame(b"\x01\x07\x00\x00"))
        damaged[3] ^= 1
        bench.source.write_nowait(bytes(damaged))
    await ClockCycles(dut.clk, 1000)
    assert not dut.armed.value
    assert await bench.register("STATUS") >> 4 & 3 == 2
    await bench.register("DISARM", 1)  # the cause is what disarmed it
    assert await bench.register("STATUS") >> 4 & 3 == 2
    await bench.register("ARM", 1)
    await bench.register("DISARM", 1)
    assert await bench.register("STATUS") >> 4 & 3 == 1


@cocotb.test()
async def snapshot_latches_everything_together(dut):
    bench = await start(dut)
    dut.live.value = 1000
    assert [await bench.register(name) for name in LATCHED] == [0] * len(LATCHED)
    await bench.register("SNAPSHOT", 1)
    dut.live.value = 5000
    assert [await bench.register(name) for name in LATCHED] == [1000 + i for i in range(len(LATCHED))]
