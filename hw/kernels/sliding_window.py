# SPDX-License-Identifier: Apache-2.0
"""sliding_window: FINN's ConvolutionInputGenerator where the next layer takes whole windows."""

import random

import numpy as np

from icsort.hw.kernels import windows
from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import FIFO_BEATS, LONG_AGO, Step, Stream, Times, after_the_one_before, at_pixels, serve

CYCLES = 1  # from a pixel to the window that it completes


class SlidingWindow(windows.WindowKernel):
    name = "sliding_window"
    draws = 8

    def folds(self, unit: Unit) -> bool:
        return bool(unit["parallel_window"])

    def out_lanes(self, node: Node, unit: Unit) -> int:
        return node.elements * node.kernel[0] * node.kernel[1]

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        complete = arriving.times[:, k_h - 1 :: s_h, k_w - 1 :: s_w]
        return Step(Stream(complete + CYCLES, self.out_lanes(node, unit)), arriving.pixels, None, None)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        return at_pixels(left + CYCLES, np.s_[:, k_h - 1 :: s_h, k_w - 1 :: s_w], arriving.times.shape)

    def pause(self, node: Node, unit: Unit) -> int:
        """Windows are shifted in, so that pixels which complete none take a cycle each."""
        return node.height * node.width - self.windows(node)

    def room(self, node: Node, unit: Unit, arriving: Stream, behind: Stream) -> Times:
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        complete = np.zeros(arriving.times.shape, np.int64)
        complete[:, k_h - 1 :: s_h, k_w - 1 :: s_w] = 1
        # The window and those of the FIFO behind it are there, so the one before these must have gone.
        before = np.cumsum(complete) - complete.reshape(-1) - 1 - FIFO_BEATS
        begins = (behind.times - behind.spread).reshape(-1)
        free = np.where(before >= 0, begins[np.maximum(before, 0)] + 1, LONG_AGO).reshape(arriving.times.shape)
        return np.maximum(after_the_one_before(serve(np.maximum(arriving.times, free), 1)), free)

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        return {
            **windows.size(node), "BITS": node.out_bits, **windows.kernel_size(node),
            "RAM_STYLE": unit.get("ram_style", "auto"),
        }  # fmt: skip

    def use(self, p: Bound, family: str) -> Use:
        pixel, lines = p["CHANNELS"] * p["BITS"], p["K_H"] - 1
        counters = counter_bits(p["IFM_W"]) + counter_bits(p["IFM_H"])
        use = Use({"control": 1, "counter": counters}, ff=p["K_H"] * p["K_W"] * pixel + counters + 5)
        if lines:
            use.ram(p["IFM_W"], lines * pixel, family, p["RAM_STYLE"])
        return use

    def sample(self, draw: random.Random) -> Sample:
        return Sample(windows.sample(draw))
