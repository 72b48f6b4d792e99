# SPDX-License-Identifier: Apache-2.0
"""sliding_window_folded: FINN's ConvolutionInputGenerator where the next layer takes SIMD channels of a tap."""

import random
from typing import ClassVar

import numpy as np

from icsort.hw.kernels import windows
from icsort.hw.kernels.fabric import Use, counter_bits
from icsort.hw.kernels.kernel import Bound, Node, Parameters, Sample, Unit
from icsort.hw.kernels.streams import (
    LONG_AGO,
    Step,
    Stream,
    Times,
    after_the_one_before,
    at_pixels,
    before_serving,
    serve,
)

CYCLES = 2  # from the pixel that completes a window to that pixel's own beats of it
BLOCK_DEPTH = 128
BLOCK_BITS = 4096  # of the 18 Kibit of a block RAM


class SlidingWindowFolded(windows.WindowKernel):
    name = "sliding_window_folded"
    defaults: ClassVar = {**windows.WindowKernel.defaults, "DEPTHWISE": 0}
    draws = 10

    def folds(self, unit: Unit) -> bool:
        return not unit["parallel_window"]

    def out_lanes(self, node: Node, unit: Unit) -> int:
        return int(unit["SIMD"])

    def step(self, node: Node, unit: Unit, arriving: Stream) -> Step:
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        # What is there of a window leaves before it is complete. Only the beats of its last pixel come behind that
        # pixel; in depthwise order each channel's last tap, that is from the first channels' last tap on.
        taps, fold = k_h * k_w, node.elements // arriving.lanes
        beats = taps * fold
        complete = arriving.times[:, k_h - 1 :: s_h, k_w - 1 :: s_w] + CYCLES
        begins = complete - arriving.spread - (taps - 1) if node.depthwise else complete - (beats - 1)
        out = Stream(np.maximum(serve(begins, beats), complete), arriving.lanes, beats - 1)
        return Step(out, max(out.pixels * beats, arriving.pixels * fold), None, None)

    def left(self, node: Node, unit: Unit, arriving: Stream, left: Times) -> Times:
        (k_h, k_w), (s_h, s_w) = node.kernel, node.stride
        taps, beats = k_h * k_w, k_h * k_w * (node.elements // arriving.lanes)
        ahead = arriving.spread + taps - 1 if node.depthwise else beats - 1
        complete = np.maximum(before_serving(left, beats) - ahead, left)
        return at_pixels(complete + CYCLES, np.s_[:, k_h - 1 :: s_h, k_w - 1 :: s_w], arriving.times.shape)

    def room(self, node: Node, unit: Unit, arriving: Stream, behind: Stream) -> Times:
        k_h, s_h = node.kernel[0], node.stride[0]
        frames, height, width = arriving.times.shape
        row_done = behind.times[:, :, -1]  # (frames, rows of windows)
        line = np.arange(frames * height) - line_count(height, k_h, s_h)  # the one that is written over
        row = np.minimum(line % height // s_h, row_done.shape[1] - 1)
        done = np.where(line >= 0, row_done[np.maximum(line, 0) // height, row] + 1, LONG_AGO)
        free = np.broadcast_to(done.reshape(frames, height, 1), (frames, height, width))
        fold = node.elements // int(unit["SIMD"])
        begins = np.maximum(arriving.times - min(arriving.spread, fold - 1), free)
        ready: Times = np.maximum(after_the_one_before(serve(begins, fold)), free)
        return ready

    def parameters(self, node: Node, unit: Unit, family: str) -> Parameters:
        simd = int(unit["SIMD"])
        lines = line_count(node.height, node.kernel[0], node.stride[0])
        style = unit.get("ram_style", "auto")
        if style == "auto":  # not into a block RAM that it would leave nearly empty
            depth = lines * node.width * (node.elements // simd)
            style = "block" if depth >= BLOCK_DEPTH and depth * simd * node.out_bits >= BLOCK_BITS else "distributed"
        return {
            **windows.size(node), "BITS": node.out_bits, **windows.kernel_size(node),
            "SIMD": simd, "LINES": lines, "DEPTHWISE": int(node.depthwise), "RAM_STYLE": style,
        }  # fmt: skip

    def frame_beats(self, p: Bound) -> int:
        rows, columns = ((p[f"IFM_{axis}"] - p[f"K_{axis}"]) // p[f"STRIDE_{axis}"] + 1 for axis in "HW")
        beats: int = rows * columns * p["K_H"] * p["K_W"] * p["CHANNELS"] // p["SIMD"]
        return beats

    def use(self, p: Bound, family: str) -> Use:
        line = p["IFM_W"] * (p["CHANNELS"] // p["SIMD"])
        words = p.get("LINES", p["K_H"] + p["STRIDE_H"]) * line
        counters = counter_bits(words) + counter_bits(line)
        use = Use({"control": 1, "counter": counters}, ff=4 * counters + 16)
        use.ram(words, p["SIMD"] * p["BITS"], family, p["RAM_STYLE"])
        return use

    def sample(self, draw: random.Random) -> Sample:
        parameters = windows.sample(draw)
        fold, simd = draw.choice([1, 2, 4, 8]), draw.choice([1, 2, 4, 8])
        style = draw.choice(["distributed", "block"])
        own: Parameters = {
            "CHANNELS": fold * simd, "SIMD": simd, "DEPTHWISE": draw.choice([0, 1]), "RAM_STYLE": style
        }  # fmt: skip
        return Sample(parameters | own)


def line_count(height: int, kernel: int, stride: int) -> int:
    """Lines that hold the first windows of a frame beside the last of the one before."""
    return kernel + height - (height - kernel) // stride * stride
