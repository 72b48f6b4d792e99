# SPDX-License-Identifier: Apache-2.0
"""icsort_axi_top behind the host's own code: a `Sorter` on PYNQ's MMIO and DMA, both of them the simulated sorter.

The simulation stands still while the host thinks, and goes on with each access to a register.
"""

import struct
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles

from icsort.host.link.protocol import EventRecord
from icsort.host.sorter import DisarmedBy, Sorter
from tests.host.fake_pynq import Channel, allocate
from tests.hw.sorter.bench_icsort_axi_top import AxiBench
from tests.hw.sorter.bench_icsort_top import DEFAULT, prepare, stream
from tests.hw.sorter.reference import CLASSES, HEIGHT, WIDTH, Record

EVENT = 0xE0


class PynqBench(AxiBench):
    """The records of the sorter are the packets of a DMA, one each."""

    stall = 0.3

    async def listen(self) -> None:
        self.sink.clear()
        self.channel = Channel()
        while True:
            frame = await self.sink.recv(compact=False)
            body, (kind,) = bytes(frame.tdata), set(frame.tuser)
            if kind == EVENT:
                self.received.append((len(self.received) % 256, Record.parse(body)))
            self.channel.waiting.append(body + struct.pack("<I", kind << 24 | len(body) // 4))

    def module(self) -> Any:
        """What stands for `pynq`."""
        bench = self

        @resume
        async def read(offset: int) -> int:
            return await bench.read(offset)

        @resume
        async def write(offset: int, value: int) -> None:
            await bench.master.write(offset, value.to_bytes(4, "little"))

        dma = SimpleNamespace(
            recvchannel=self.channel,
            mmio=SimpleNamespace(read=lambda _: 0, write=lambda *_: self.channel.stop()),
        )
        sorter = SimpleNamespace(mmio=SimpleNamespace(read=read, write=write))
        overlay = SimpleNamespace(sorter=sorter, dma=dma, is_loaded=lambda: True)
        return SimpleNamespace(Overlay=lambda *_, **__: overlay, allocate=allocate)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def the_host_and_the_sorter(dut):
    """Identity, gate, arm, events, counters; then the host is silent, and the sorter disarms itself."""
    bench, rng = await prepare(dut, 0.3, PynqBench)
    await bench.configure(DEFAULT, arm=False)
    sys.modules["pynq"] = bench.module()

    @resume
    async def cells_flow() -> None:
        bench.send(stream(rng, 40, (1, 14)))
        await bench.drained()
        await ClockCycles(dut.clk, 100)

    @resume
    async def silence(cycles: int) -> None:
        await ClockCycles(dut.clk, cycles)

    def host(port: str) -> None:
        with Sorter.open(port) as sorter:
            board = sorter.identify()
            assert (board.build_id, board.model_id) == ("0123456789abcdef", "fedcba9876543210")
            assert (board.classes, board.height, board.width) == (CLASSES, HEIGHT, WIDTH)
            gate = sorter.gate()
            assert (gate.mask, gate.posterior) == (DEFAULT.gate_classes, DEFAULT.gate_posterior)
            sorter.write("ARM", 1)
            assert sorter.status().armed
            cells_flow()
            events = [message for message in sorter.events(idle=0.5) if isinstance(message, EventRecord)]
            counters = sorter.counters()
            assert counters["ACCEPTED"] == bench.accepted > 0
            assert len(events) + counters["RECORDS_LOST"] >= len(bench.received) == len(events) > 0
            for event, (_, record) in zip(events, bench.received, strict=True):
                assert (event.event_id, event.time, event.outcome) == (record.event, record.time, record.outcome)
                assert (event.logits, event.gates) == (tuple(record.logits), record.gates)
            sorter.write_checked("HEARTBEAT", 2000)
            silence(1000)
            assert sorter.status().armed
            silence(2100)  # as of a program that was killed: its thread of the DMA would change nothing
            assert not dut.mon_armed.value
            assert dut.interrupt.value
            status = sorter.status()
            assert not status.armed
            assert status.disarmed_by is DisarmedBy.HEARTBEAT
            assert sorter.retries == sorter.losses.bad_frames == 0

    with tempfile.NamedTemporaryFile(suffix=".bit") as overlay:
        try:
            await bridge(host)(f"pynq://{Path(overlay.name).resolve()}")
        finally:
            del sys.modules["pynq"]
    await bench.check()
