# SPDX-License-Identifier: Apache-2.0
"""Streams images through icsort_net and writes down the logits and the cycles; the comparison is test_net's.

ICSORT_IMAGES: uint8 (N, H, W, C) .npy. ICSORT_RESULT: .npz to write. ICSORT_IDLE, ICSORT_STALL: probabilities a cycle.
"""

import os

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time

from tests.streams import start

CLOCK_NS = 10


@cocotb.test()
async def run(dut):
    images = np.load(os.environ["ICSORT_IMAGES"])
    stream = await start(dut, float(os.environ["ICSORT_IDLE"]), float(os.environ["ICSORT_STALL"]))
    first: list[int] = []
    last: list[int] = []
    done: list[int] = []
    pixels = images.shape[1] * images.shape[2]

    async def watch():
        accepted = 0
        while len(done) < len(images):
            await RisingEdge(dut.clk)
            cycle = int(get_sim_time("ns")) // CLOCK_NS
            if dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                if accepted % pixels == 0:
                    first.append(cycle)
                if accepted % pixels == pixels - 1:
                    last.append(cycle)
                accepted += 1
            if dut.m_axis_tvalid.value and dut.m_axis_tready.value:
                done.append(cycle)

    watcher = cocotb.start_soon(watch())
    stream.send([int.from_bytes(bytes(pixel), "little") for pixel in images.reshape(-1, images.shape[3])])
    beats = await stream.receive(len(images))
    await watcher
    width = len(dut.m_axis_tdata)
    words = [beat.to_bytes((width + 7) // 8, "little") for beat in beats]
    np.savez(os.environ["ICSORT_RESULT"], logits=words, width=width, first=first, last=last, done=done)
