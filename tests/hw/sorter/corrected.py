# SPDX-License-Identifier: Apache-2.0
"""What the benches of flat_field and channel_delay share: beats in, beats out."""

import random
from dataclasses import dataclass

import numpy as np

from tests.hw.sorter.signals import cycle

INPUTS = {
    "beat_valid": 0, "beat_data": 0, "beat_end": 0, "beat_made": 0, "beat_bad": 0, "beat_time": 0, "line_stopped": 0,
}  # fmt: skip
OUTPUTS = tuple(f"m_{name}" for name in ("beat_valid", *list(INPUTS)[1:]))


@dataclass
class Line:
    """A line of beats: pixels (n, C), whether it is bad, whether a beat is made up behind it."""

    pixels: np.ndarray
    bad: bool
    made: bool
    time: int


class Bench:
    def __init__(self, dut) -> None:
        self.dut = dut
        self.line_w, self.c, self.bits, self.p = (
            dut[name].value.to_unsigned() for name in ("LINE_W", "C", "SAMPLE_BITS", "P")
        )
        self.beats = -(-self.line_w // self.p)

    def lines(self, count: int) -> list[Line]:
        """Most of them whole; the others end early, some of these by a beat that was made up."""
        rng = np.random.default_rng(random.getrandbits(32))
        lines = []
        for _ in range(count):
            width, bad, made = self.line_w, random.random() < 0.1, False
            if self.beats > 1 and random.random() < 0.1:
                width, bad, made = self.p * random.randrange(1, self.beats), True, random.random() < 0.5
            pixels = rng.integers(0, 2**self.bits, (width, self.c), dtype=np.uint16)
            lines.append(Line(pixels, bad, made, random.getrandbits(48)))
        return lines

    async def through(self, lines: list[Line], latency: int, idle: float) -> list[Line]:
        """What comes out of lines, each beat `latency` cycles behind its own."""
        events, expected, now = [], {}, 0
        out, at_hand = [], []

        async def step(**inputs: int) -> None:
            nonlocal now, at_hand
            valid, data, end, made, bad, time, stopped = await cycle(self.dut, *OUTPUTS, **inputs)
            assert (valid, stopped) == expected.get(now, (0, 0))
            if valid:
                beat = [data >> self.bits * i & (1 << self.bits) - 1 for i in range(self.p * self.c)]
                assert not made or not any(beat)
                at_hand += [] if made else np.reshape(beat, (self.p, self.c)).tolist()
                if end:
                    out.append(Line(np.reshape(at_hand, (-1, self.c))[: self.line_w], bool(bad), bool(made), time))
                    at_hand = []
            now += 1

        for line in lines:
            pad = np.zeros((-len(line.pixels) % self.p, self.c), np.int64)
            words = [
                sum(int(sample) << self.bits * k for k, sample in enumerate(beat))
                for beat in np.concatenate([line.pixels, pad]).reshape(-1, self.p * self.c)
            ]
            events = [(word, False) for word in words] + [(0, True)] * line.made
            for i, (word, made) in enumerate(events):
                while random.random() < idle:
                    stopped = random.getrandbits(1)
                    expected[now + latency] = (0, stopped)
                    await step(beat_valid=0, line_stopped=stopped, beat_data=random.getrandbits(self.bits))
                last = i == len(events) - 1
                expected[now + latency] = (1, 0)
                await step(
                    beat_valid=1, beat_data=word, beat_end=last, beat_made=made, beat_time=line.time, line_stopped=0,
                    beat_bad=line.bad if last else random.getrandbits(1),
                )  # fmt: skip
        for _ in range(latency):
            await step(beat_valid=0, line_stopped=0)
        return out

    def whole(self, lines: list[Line]) -> np.ndarray:
        """Lines of every width as one array, zero where no pixel came."""
        array = np.zeros((len(lines), self.line_w, self.c), np.uint16)
        for row, line in zip(array, lines, strict=True):
            row[: len(line.pixels)] = line.pixels
        return array
