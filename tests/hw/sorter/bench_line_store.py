# SPDX-License-Identifier: Apache-2.0
"""line_store against a NumPy array: beats written and read at once, lines of every length, the ring around twice."""

import random

import cocotb
import numpy as np

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "beat_valid": 0, "beat_data": 0, "beat_end": 0, "beat_made": 0, "read_address": 0, "read_enable": 0,
    "length_line": 0,
}  # fmt: skip
OUTPUTS = ("write_line", "write_beat", "read_data", "length_beats")


async def run(dut, idle: float) -> None:
    """From reset on: lines, most of them whole, while random words are read."""
    line_w, c, bits, p, lines, index_bits = (
        dut[name].value.to_unsigned() for name in ("LINE_W", "C", "SAMPLE_BITS", "P", "LINES", "INDEX_BITS")
    )
    beats, pixel_bits = -(-line_w // p), c * bits
    address_bits = (lines * beats - 1).bit_length()
    memory = np.full((p, lines * beats), -1, dtype=object)  # -1: never written
    lengths = [-1] * lines
    line = beat = 0
    asked_for: list[int] = []
    length_of = -1  # of the line asked for the cycle of read_enable before
    expected: list[int] = []  # of the read two cycles of read_enable before

    async def step(**inputs: int) -> None:
        nonlocal asked_for, expected, length_of
        reads = [random.randrange(lines * beats) for _ in range(p)]
        enable, asked = random.random() < 0.8, random.randrange(lines)
        address = sum(place << address_bits * i for i, place in enumerate(reads))
        at_line, at_beat, data, length = await cycle(
            dut, *OUTPUTS, read_address=address, read_enable=enable, length_line=asked, **inputs
        )
        assert (at_line, at_beat) == (line % 2**index_bits, beat)
        assert length_of in (-1, length)
        for i, word in enumerate(expected):
            assert word in (-1, data >> pixel_bits * i & 2**pixel_bits - 1)
        if enable:
            length_of = lengths[asked]
            asked_for, expected = [memory[i, place] for i, place in enumerate(reads)], asked_for

    for _ in range(2 * lines + 3):
        stored = random.choice([beats] * 6 + [random.randint(1, beats)])
        made = stored < beats and random.random() < 0.5  # the line ends with a beat that is none
        for i in range(stored + made):
            while random.random() < idle:
                await step(beat_valid=0, beat_data=random.getrandbits(8), beat_end=random.getrandbits(1))
            words = [random.getrandbits(pixel_bits) for _ in range(p)]
            data = sum(word << pixel_bits * k for k, word in enumerate(words))
            end = i == stored + made - 1
            await step(beat_valid=1, beat_data=data, beat_end=end, beat_made=made and end)
            if not (made and end):
                memory[:, line % lines * beats + i] = words
            if end:
                lengths[line % lines] = stored
                line, beat = line + 1, 0
            else:
                beat += 1
    await step(beat_valid=0)


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.4])
async def equals_an_array(dut, idle):
    await start(dut, **INPUTS)
    await run(dut, idle)


@cocotb.test()
async def reset_in_the_middle(dut):
    """The next line is line 0, whatever was at hand."""
    await start(dut, **INPUTS)
    for _ in range(3):
        await cycle(dut, beat_valid=1, beat_data=1, beat_end=0)
    await cycle(dut, beat_valid=0)
    await reset(dut)
    await run(dut, 0.2)
