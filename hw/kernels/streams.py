# SPDX-License-Identifier: Apache-2.0
"""A tensor as it flows: when its pixels come, in how many beats, and what serving them one by one does to that."""

from dataclasses import dataclass, replace
from math import lcm

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

# What stands between layers, by the heads of fifo.sv and width_converter.sv.
FIFO_CYCLES = 1
FIFO_BEATS = 2  # where nothing waits
CONVERTER_CYCLES = 1  # from a beat to what it completes
LONG_AGO = -(1 << 40)  # a cycle before all others


@dataclass(frozen=True)
class Stream:
    """times: when the last beat of each pixel can be taken by the next layer, cycles (frames, H, W). lanes: elements in
    a beat. spread: cycles between the first and the last beat of a pixel."""

    times: Times
    lanes: int
    spread: int = 0

    @property
    def pixels(self) -> int:
        """Of a frame."""
        return int(self.times[0].size)

    def beats(self, number: int) -> Times:
        """When each of the `number` beats of a pixel comes, in order, of all pixels of all frames."""
        begins = (self.times - self.spread).reshape(-1, 1)
        beats = (begins + np.linspace(0, self.spread, number).round().astype(np.int64)).reshape(-1)
        order = np.arange(beats.size)  # one a cycle, also where a pixel takes less than `spread`
        return np.maximum.accumulate(beats - order) + order

    def later(self, cycles: int) -> "Stream":
        return replace(self, times=self.times + cycles)

    def through(self, beats: int, cycles: int) -> "Stream":
        """Behind a kernel that takes and gives `beats` beats a pixel, one a cycle, each after `cycles` cycles."""
        times = serve(self.times - min(self.spread, beats - 1), beats)
        return replace(self, times=times + cycles, spread=max(self.spread, beats - 1))

    def converted(self, elements: int, needed: int) -> "Stream":
        """Behind the width converters to beats of `needed` elements; `elements` in a pixel."""
        if self.lanes == needed:
            return self
        common = lcm(self.lanes, needed)
        if common not in (self.lanes, needed):
            return self.converted(elements, common).converted(elements, needed)
        if needed > self.lanes:
            return Stream(self.times + CONVERTER_CYCLES, needed, self.spread if needed < elements else 0)
        ratio, beats = self.lanes // needed, elements // needed
        times = serve(self.times - min(self.spread, beats - ratio), beats)
        return Stream(times + CONVERTER_CYCLES, needed, max(self.spread, beats - 1))

    def left_through(self, beats: int, left: Times) -> Times:
        """What is left from each pixel on, of what is left (see `before_serving`) behind `through(beats, 0)`."""
        return before_serving(left, beats) - min(self.spread, beats - 1)

    def left_converted(self, elements: int, needed: int, left: Times) -> Times:
        """What is left from each pixel on, of what is left (see `before_serving`) behind `converted`."""
        if self.lanes == needed:
            return left
        common = lcm(self.lanes, needed)
        if common not in (self.lanes, needed):
            behind = self.converted(elements, common).left_converted(elements, needed, left)
            return self.left_converted(elements, common, behind)
        if needed > self.lanes:
            return left + CONVERTER_CYCLES
        ratio, beats = self.lanes // needed, elements // needed
        return before_serving(left, beats) - min(self.spread, beats - ratio) + CONVERTER_CYCLES


@dataclass(frozen=True)
class Step:
    """What a layer makes of its input: what it gives, cycles a frame in which it works, and when it takes its input.

    ready: from when on it can take each pixel. taken: when it has, as the input's own times. A window generator's are
    known only with the layer that takes its windows: None.
    """

    out: Stream
    busy: int
    ready: Times | None
    taken: Stream | None


def element_by_element(elements: int, arriving: Stream, cycles: int) -> Step:
    """A layer that gives each beat `cycles` cycles after it took it. elements: of a pixel."""
    beats = elements // arriving.lanes
    taken = arriving.through(beats, 0)
    return Step(taken.later(cycles), arriving.pixels * beats, after_the_one_before(taken.times), taken)


def serve(begins: Times, cycles: int) -> Times:
    """When a server that spends `cycles` on each item, in order, is in the last cycle of each."""
    flat = begins.reshape(-1)
    steps = np.arange(flat.size, dtype=np.int64) * cycles
    begun = np.maximum.accumulate(flat - steps) + steps
    return (begun + cycles - 1).reshape(begins.shape)


def before_serving(left: Times, cycles: int) -> Times:
    """Cycles left from each item's begin until all is done, where `left` has those from its end: `serve` backwards.

    All is done at the latest of `ends + left`, which is the latest of `begins + before_serving(left, cycles)`, whatever
    the begins: each item may hold up all those behind it.
    """
    flat = left.reshape(-1)
    steps = np.arange(flat.size, dtype=np.int64) * cycles
    longest = np.maximum.accumulate((flat + steps)[::-1])[::-1] - steps
    return (longest + cycles - 1).reshape(left.shape)


def at_pixels(left: Times, pixels: tuple[slice, ...], shape: tuple[int, ...]) -> Times:
    """What is left from each pixel of a frame on, where only some lead to what follows. shape: (frames, H, W)."""
    everywhere = np.full(shape, LONG_AGO, np.int64)
    everywhere[pixels] = left
    return everywhere


def after_the_one_before(ends: Times) -> Times:
    """From when on a server that is done with each item at `ends` can take it: when it is done with the one before."""
    return np.concatenate([[LONG_AGO], ends.reshape(-1)[:-1] + 1]).reshape(ends.shape)


def tree_levels(leaves: int) -> int:
    """Levels of a binary tree."""
    return (leaves - 1).bit_length()
