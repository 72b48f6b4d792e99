# SPDX-License-Identifier: Apache-2.0
"""line_input against icsort.sim.bit_true.event: windows, line sums, times and errors of lines of every length."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.event import Trigger, line_sums, normalise_line
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {"timestamp": 0, "trigger_channel": 0, "s_axis_line_tdata": 0, "s_axis_line_tvalid": 0, "s_axis_line_tlast": 0,
          "space": 0}  # fmt: skip
OUTPUTS = (
    "s_axis_line_tready", "beat_valid", "beat_data", "beat_store", "beat_short", "beat_summed", "beat_sum", "beat_end",
    "beat_bad", "beat_time", "line_time", "line_error",
)  # fmt: skip


class Line:
    """What came out of one line."""

    def __init__(self) -> None:
        self.pixels: list[int] = []
        self.short = False
        self.sums: list[tuple[int, int]] = []  # (line sum, beat time)
        self.end: tuple[int, int] | None = None  # (bad, line time)


async def send(dut, lines: list[np.ndarray], channels: list[int], idle: float, stall: float) -> tuple[list, list, int]:
    """Send lines. Returns (what came out of each, cycles in which each beat of each was taken, error pulses)."""
    out, times, errors, now = [Line()], [], 0, random.getrandbits(40)
    beats = [(i, pixel, k == len(line) - 1) for i, line in enumerate(lines) for k, pixel in enumerate(line)]
    taken, flush = 0, 3
    while flush:
        present = taken < len(beats) and random.random() >= idle
        space = random.random() >= stall
        index, pixel, last = beats[min(taken, len(beats) - 1)]
        # The channel register may change at any time; a line goes by its value at column 0.
        begun = present and (taken == 0 or beats[taken - 1][0] != index)
        ready, valid, data, store, short, summed, total, end, bad, beat_time, line_time, error = await cycle(
            dut, *OUTPUTS, timestamp=now, space=space, s_axis_line_tvalid=present, s_axis_line_tlast=last,
            s_axis_line_tdata=sum(int(sample) << 16 * c for c, sample in enumerate(pixel)),
            trigger_channel=channels[index] if begun else random.getrandbits(2),
        )  # fmt: skip
        assert ready == space
        if present and ready:
            if begun:
                times.append([])
            times[-1].append(now)
            taken += 1
        elif taken == len(beats):
            flush -= 1
        errors += error
        if valid:
            if store:
                out[-1].pixels.append(data)
                out[-1].short |= bool(short)
            if summed:
                assert store
                out[-1].sums.append((total, beat_time))
            if end:
                out[-1].end = (bad, line_time)
                out.append(Line())
        now += 1
    return out[:-1], times, errors


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.3], stall=[0.0, 0.3])
async def equals_the_model(dut, idle, stall):
    await start(dut, **INPUTS)
    width, line_w, offset, c = (dut[name].value.to_unsigned() for name in ("W", "LINE_W", "X_OFFSET", "C"))
    rng = np.random.default_rng(random.getrandbits(32))
    lengths = [random.choice([line_w, line_w, random.randrange(1, 2 * line_w)]) for _ in range(80)]
    lengths += [*range(1, 2 * line_w), line_w]
    lines = [rng.integers(0, 65536, size=(length, c), dtype=np.uint16) for length in lengths]
    channels = [random.choice([*range(c), *range(c), c]) for _ in lines]
    out, times, errors = await send(dut, lines, channels, idle, stall)
    assert len(out) == len(lines)
    assert errors == sum(length != line_w for length in lengths)
    for line, channel, got, taken in zip(lines, channels, out, times, strict=True):
        normal, good = normalise_line(line, line_w)
        window = normal[offset : offset + width]
        pixels = [sum(int(sample) << 16 * i for i, sample in enumerate(pixel)) for pixel in window]
        assert got.pixels + [0] * (width - len(got.pixels)) == pixels
        assert got.short == (len(got.pixels) < width or (got.short and pixels[-1] == 0))
        trigger = Trigger(min(channel, c - 1), 0, 1, width, offset)
        expected = 0 if channel == c else int(line_sums(normal[None], trigger)[0])
        assert got.sums == [(expected, taken[min(len(line), offset + width) - 1])]
        assert got.end == (not good, taken[0])


@cocotb.test()
async def reset_in_the_middle(dut):
    """The rest of a line that was cut by a reset counts as a line of its own, a malformed one."""
    await start(dut, **INPUTS)
    line_w = dut.LINE_W.value.to_unsigned()
    await cycle(dut, space=1, s_axis_line_tvalid=1, s_axis_line_tdata=7)
    await reset(dut)
    assert dut.beat_valid.value == 0
    channels = dut.C.value.to_unsigned()
    lines = [np.full((length, channels), 3, dtype=np.uint16) for length in (line_w - 1, line_w) if length]
    out, _, errors = await send(dut, lines, [0, 0], 0.0, 0.0)
    assert [line.end[0] for line in out] == [len(line) < line_w for line in lines]
    assert errors == len(lines) - 1
