# SPDX-License-Identifier: Apache-2.0
"""The face of the IP around a whole build, behind the host's own code: `Sorter` on PYNQ's MMIO and DMA.

Lines are those of the line source; of each event the window that the network saw comes back as an image, and its
logits are those of the model file and of FINN's graph.
"""

import logging
import os
import random
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp, AxiStreamBus, AxiStreamSink

from icsort.formats.build import load_build
from icsort.host.images import ImageAssembler
from icsort.host.line_source import LineSource
from icsort.host.link.protocol import EventRecord, ImagePiece, ImageReason
from icsort.host.sorter import Sorter
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.bit_true.scheduler import Outcome
from tests.host.fake_pynq import Channel, allocate
from tests.streams import pauses

os.chdir(
    os.environ["ICSORT_IP"]
)  # where its memories are: the simulator reads them from here, Vivado from beside the RTL


async def begin(dut: Any) -> tuple[AxiLiteMaster, Channel]:
    for name in ("s_axis_line_tdata", "s_axis_line_tvalid", "s_axis_line_tlast", "s_axis_line_tuser", "drop_clock"):
        getattr(dut, name).value = 0
    dut.interlock.value = 1
    dut.aresetn.value = 0
    cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
    options = {"reset": dut.aresetn, "reset_active_level": False}
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, **options)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_batch"), dut.aclk, **options)
    for end in (master.write_if, master.read_if, sink):
        end.log.setLevel(logging.WARNING)
    sink.set_pause_generator(pauses(0.3))
    channel = Channel()

    async def packets() -> None:
        while True:
            channel.waiting.append(bytes((await sink.recv()).tdata))

    await ClockCycles(dut.aclk, 8)
    dut.aresetn.value = 1
    cocotb.start_soon(packets())
    return master, channel


def module(master: AxiLiteMaster, channel: Channel) -> Any:
    """What stands for `pynq`."""

    @resume
    async def read(offset: int) -> int:
        answer = await master.read(offset, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    @resume
    async def write(offset: int, value: int) -> None:
        assert (await master.write(offset, value.to_bytes(4, "little"))).resp == AxiResp.OKAY

    dma = SimpleNamespace(recvchannel=channel, mmio=SimpleNamespace(read=lambda _: 0, write=lambda *_: channel.stop()))
    overlay = SimpleNamespace(sorter=SimpleNamespace(mmio=SimpleNamespace(read=read, write=write)), dma=dma)
    overlay.is_loaded = lambda: True
    return SimpleNamespace(Overlay=lambda *_, **__: overlay, allocate=allocate)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def cells_reach_the_host_as_the_references_have_them(dut):
    build = load_build(Path(os.environ["ICSORT_BUILD"]))
    model = build.manifest
    master, channel = await begin(dut)
    sys.modules["pynq"] = module(master, channel)
    rng = np.random.default_rng(random.getrandbits(32))
    height, width, channels = model.input.height, model.line.width, model.input.channels
    cells = rng.integers(100, 400, (2, height, width, channels)).astype(np.uint16)
    dark = np.zeros((height, width, channels), np.uint16)

    @resume
    async def cycles(count: int) -> None:
        await ClockCycles(dut.aclk, count)

    def host(port: str) -> None:
        with Sorter.open(port) as sorter:
            assert sorter.check_model(model, build.build_id).clock_hz == 1e6 * build.clock_mhz
            sorter.clear_faults()  # of the interlock, which was open before its pin was seen
            sorter.set_front(model)
            sorter.set_images(ImageReason.EVERY, 1)
            with LineSource(sorter) as source:
                source.store(np.concatenate([dark, *(part for cell in cells for part in (cell, dark))]))
                source.play(1000)  # slow enough for each window to leave before the next comes
                cycles(70_000)
            cycles(round(2 * build.clock_mhz * 1e3))  # a batch waits for a millisecond at most
            messages = list(sorter.events(idle=0.5))
            events = [message for message in messages if isinstance(message, EventRecord)]
            assembler = ImageAssembler(height * model.input.width * channels)
            images = [assembler.see(message) for message in messages if isinstance(message, ImagePiece)]
            windows = {image.event_id: image.pixels for image in images if image is not None}
            assert [event.event_id for event in events] == list(windows) == [0, 1]
            assert {event.outcome for event in events} == {Outcome.DISARMED}
            shape = (len(events), height, model.input.width, channels)
            pixels = np.frombuffer(b"".join(windows.values()), np.uint8).reshape(shape)
            logits = np.array([event.logits for event in events])
            assert (logits == finn_logits(build, pixels)).all()
            assert (logits == qonnx_logits(build, pixels)[0]).all()
            assert sorter.counters()["ACCEPTED"] == 2
            sorter.set_gate([model.classes[0]], 0.5, model)
            sorter.arm(model, build_id=build.build_id)
            assert dut.armed.value
            sorter.disarm()
            assert not dut.armed.value

    with tempfile.NamedTemporaryFile(suffix=".bit") as overlay:
        try:
            await bridge(host)(f"pynq://{Path(overlay.name).resolve()}")
        finally:
            del sys.modules["pynq"]
