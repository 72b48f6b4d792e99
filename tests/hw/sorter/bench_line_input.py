# SPDX-License-Identifier: Apache-2.0
"""line_input against icsort.sim.bit_true.event: windows, line sums, times, gaps and errors of lines of every length;
what it makes of lines that stop."""

import random

import cocotb
import numpy as np

from icsort.sim.bit_true.event import Trigger, doubtful_lines, line_sums, normalise_line
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {"timestamp": 0, "trigger_channel": 0, "s_axis_line_tdata": 0, "s_axis_line_tvalid": 0, "s_axis_line_tlast": 0,
          "s_axis_line_tuser": 0, "line_timeout": 2**32 - 1, "window_open": 0, "space": 0}  # fmt: skip
OUTPUTS = (
    "s_axis_line_tready", "beat_valid", "beat_data", "beat_store", "beat_short", "beat_summed", "beat_sum", "beat_end",
    "beat_bad", "beat_time", "line_time", "line_error", "line_gap",
)  # fmt: skip


class Line:
    """What came out of one line."""

    def __init__(self) -> None:
        self.pixels: list[int] = []
        self.short = False
        self.sums: list[tuple[int, int]] = []  # (line sum, beat time)
        self.end: tuple[int, int] | None = None  # (bad, line time)


async def send(
    dut, lines: list[np.ndarray], channels: list[int], idle: float, stall: float, wrong: float = 0.0
) -> tuple[list, list, list, int, int]:
    """Send lines, a part of them with a wrong number or time.

    Returns (what came out of each, cycles in which each beat of each was taken, tuser of each, error and gap pulses).
    """
    out, times, users, errors, gaps, now = [Line()], [], [], 0, 0, random.getrandbits(40)
    number = random.getrandbits(16)
    beats = [(i, pixel, k == len(line) - 1) for i, line in enumerate(lines) for k, pixel in enumerate(line)]
    taken, flush = 0, 3
    while flush:
        present = taken < len(beats) and random.random() >= idle
        space = random.random() >= stall
        index, pixel, last = beats[min(taken, len(beats) - 1)]
        # The channel register may change at any time; a line goes by its value at column 0.
        begun = present and (taken == 0 or beats[taken - 1][0] != index)
        if begun and len(users) == index:
            fault = random.choice(["number", "time"]) if random.random() < wrong else ""
            number += random.choice([0, 2, 50]) if fault == "number" else 1
            before = users[-1] % 2**48 if users else now
            time = random.choice([before, now - 1000, now + 100]) if fault == "time" else now
            users.append(number % 2**16 << 48 | time)
        ready, valid, data, store, short, summed, total, end, bad, beat_time, line_time, error, gap = await cycle(
            dut, *OUTPUTS, timestamp=now, space=space, s_axis_line_tvalid=present, s_axis_line_tlast=last,
            s_axis_line_tdata=sum(int(sample) << 16 * c for c, sample in enumerate(pixel)),
            trigger_channel=channels[index] if begun else random.getrandbits(2),
            s_axis_line_tuser=users[index] if begun else random.getrandbits(64),
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
        gaps += gap
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
    return out[:-1], times, users, errors, gaps


@cocotb.test()
@cocotb.parametrize(idle=[0.0, 0.3], stall=[0.0, 0.3], wrong=[0.0, 0.2])
async def equals_the_model(dut, idle, stall, wrong):
    await start(dut, **INPUTS)
    width, line_w, offset, c = (dut[name].value.to_unsigned() for name in ("W", "LINE_W", "X_OFFSET", "C"))
    rng = np.random.default_rng(random.getrandbits(32))
    lengths = [random.choice([line_w, line_w, random.randrange(1, 2 * line_w)]) for _ in range(80)]
    lengths += [*range(1, 2 * line_w), line_w]
    lines = [rng.integers(0, 65536, size=(length, c), dtype=np.uint16) for length in lengths]
    channels = [random.choice([*range(c), *range(c), c]) for _ in lines]
    out, times, users, errors, gaps = await send(dut, lines, channels, idle, stall, wrong)
    assert len(out) == len(lines)
    assert errors == sum(length != line_w for length in lengths)
    brought = np.asarray([[user >> 48, user % 2**48] for user in users], np.int64).T
    doubtful = doubtful_lines(*brought, np.asarray([taken[0] for taken in times]))
    assert gaps == doubtful.sum()
    assert (gaps > 0) == (wrong > 0)
    for line, channel, got, taken, user, doubt in zip(lines, channels, out, times, users, doubtful, strict=True):
        normal, good = normalise_line(line, line_w)
        window = normal[offset : offset + width]
        pixels = [sum(int(sample) << 16 * i for i, sample in enumerate(pixel)) for pixel in window]
        assert got.pixels + [0] * (width - len(got.pixels)) == pixels
        assert got.short == (len(got.pixels) < width or (got.short and pixels[-1] == 0))
        trigger = Trigger(min(channel, c - 1), 0, 1, width, offset)
        expected = 0 if channel == c else int(line_sums(normal[None], trigger)[0])
        assert got.sums == [(expected, taken[min(len(line), offset + width) - 1])]
        assert got.end == (not good or doubt, user % 2**48)


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
    out, _, _, errors, gaps = await send(dut, lines, [0, 0], 0.0, 0.0)
    assert gaps == 0  # the line that was cut is no line before
    assert [line.end[0] for line in out] == [len(line) < line_w for line in lines]
    assert errors == len(lines) - 1


@cocotb.test()
async def silence_within_a_line(dut):
    """A line that pauses for too long is bad, even if its next beat has to wait; one that pauses for less is not."""
    line_w = dut.LINE_W.value.to_unsigned()
    if line_w < 2:
        return
    await start(dut, **INPUTS)
    for pause, waits in [(20, 0), (21, 0), (21, 5), (60, 0), (20, 5)]:
        for column in range(line_w):
            if column == line_w - 1:
                for _ in range(pause):
                    await cycle(dut, s_axis_line_tvalid=0, line_timeout=20, space=1)
                for _ in range(waits):
                    await cycle(dut, s_axis_line_tvalid=1, s_axis_line_tlast=1, space=0)
            await cycle(dut, space=1, s_axis_line_tvalid=1, s_axis_line_tlast=column == line_w - 1)
        end, bad, error = await cycle(dut, "beat_end", "beat_bad", "line_error", s_axis_line_tvalid=0)
        assert (end, bad, error) == (1, pause > 20, 0), (pause, waits)
        await cycle(dut, s_axis_line_tvalid=1, s_axis_line_tlast=0)  # so that no line is doubtful for its time
        await reset(dut)


@cocotb.test()
async def lines_are_made_up(dut):
    """Behind a silence within an event its line is ended and empty lines follow, every other cycle, until it is whole;
    what still comes of the line that was ended is dropped."""
    width, line_w, offset = (dut[name].value.to_unsigned() for name in ("W", "LINE_W", "X_OFFSET"))
    signals = ("beat_valid", "beat_store", "beat_short", "beat_summed", "beat_end", "beat_bad",
               "beat_data", "line_error", "line_stopped")  # fmt: skip
    for part in range(line_w):
        await start(dut, **INPUTS) if part == 0 else await reset(dut)
        for _ in range(part):
            await cycle(dut, space=1, s_axis_line_tvalid=1, s_axis_line_tdata=7, window_open=1, line_timeout=10)
        lines, seen, stopped, errors, open_ = 3, [], 0, 0, 1
        for now in range(60):
            valid, *beat, error, stop = await cycle(dut, *signals, s_axis_line_tvalid=0, space=1, line_timeout=10,
                                                           window_open=open_)  # fmt: skip
            if valid and now:  # the first may be of the last column that was sent
                seen.append((now, tuple(beat)))
            open_ = int(len(seen) < lines)
            stopped, errors = stopped + stop, errors + error
        assert (stopped, errors, len(seen)) == (1, 0, lines)
        first = seen[0][0]
        assert [now for now, _ in seen] == [first, first + 2, first + 4]
        assert first >= 11
        in_window = [column < offset + width for column in (part, 0, 0)]
        short = [column < offset + width - 1 for column in (part, 0, 0)]
        assert [beat for _, beat in seen] == [
            (w, s, w, 1, 1, 0 if w else beat[-1]) for w, s, (_, beat) in zip(in_window, short, seen, strict=True)
        ]
        # The tail of the line that was ended, then a line.
        valids = []
        for column in range(part, line_w) if part else ():
            _, valid = await cycle(dut, "line_gap", "beat_valid", s_axis_line_tvalid=1, window_open=0,
                                   s_axis_line_tlast=column == line_w - 1, s_axis_line_tdata=9)  # fmt: skip
            valids.append(valid)
        assert not any(valids)
        await cycle(dut, s_axis_line_tvalid=1, s_axis_line_tlast=line_w == 1, window_open=0)
        assert (await cycle(dut, "beat_valid", s_axis_line_tvalid=0)) == (1,)
