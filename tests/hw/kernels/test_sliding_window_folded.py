# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check

FRAMES = 3
NAMES = ("IFM_H", "IFM_W", "CHANNELS", "SIMD", "BITS", "K_H", "K_W", "STRIDE_H", "STRIDE_W", "DEPTHWISE")


def windows(
    frames: np.ndarray, name: str, kernel: tuple[int, int], stride: tuple[int, int], simd: int, depthwise: int
) -> np.ndarray:
    """FINN's windows of `frames` (N, H, W, C) in the order of the stream, shape (N, OH, OW, beats, simd)."""
    number, height, width, channels = frames.shape
    out_h, out_w = (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
    result = np.stack(
        [
            finn_node.execute(
                "ConvolutionInputGenerator",
                [(frame[np.newaxis], name)],
                (1, out_h, out_w, kernel[0] * kernel[1] * channels),
                ConvKernelDim=list(kernel),
                IFMChannels=channels,
                IFMDim=[height, width],
                OFMDim=[out_h, out_w],
                SIMD=simd,
                Stride=list(stride),
                Dilation=[1, 1],
                inputDataType=name,
                outputDataType=name,
                depthwise=depthwise,
            )
            for frame in frames
        ]
    )
    result = result.reshape(number, out_h, out_w, kernel[0] * kernel[1], channels // simd, simd)
    if depthwise:
        # FINN's Python gives (kh, kw, c) whatever the attribute says; its hardware sends all taps of SIMD channels,
        # then the next SIMD channels, which its Python VVAU undoes before it computes.
        result = result.swapaxes(3, 4)
    return result.reshape(number, out_h, out_w, -1, simd)


def cycles(values: tuple[int, ...], sources: np.ndarray) -> tuple[list[int], list[int]]:
    """Cycles of the input and output beats by the rules at the head of the kernel.

    `sources` (FRAMES, OH, OW, beats) says which beat of its frame each output beat copies.
    """
    height, width, channels, simd, _, k_h, _, stride_h, _, _ = values
    line = width * channels // simd
    taken: list[int] = []
    given: list[int] = []
    free = [0] * (k_h + stride_h)  # first cycle in which line number i (over all frames) may be written

    def take_until(beat: int) -> None:
        while len(taken) <= beat:
            row = len(taken) // line
            taken.append(max(taken[-1] + 1 if taken else 0, free[row]))

    start = 0  # first cycle in which a row of windows may be read
    for frame, rows in enumerate(sources):
        for index, row in enumerate(rows):
            for beat in row.ravel():
                source = frame * height * line + int(beat)
                take_until(source)
                given.append(max(taken[source] + 2, given[-1] + 1 if given else 0, start))
            top = frame * height + index * stride_h
            next_top = top + stride_h if index + 1 < len(rows) else (frame + 1) * height
            take_until(next_top * line - 1)
            # The last beat is read one cycle before it is offered; the lines go in that cycle, or when they are there.
            let_go = max(given[-1] - 1, taken[next_top * line - 1] + 1)
            free += [let_go + 1] * (next_top - top)
            start = let_go + 2
    take_until(FRAMES * height * line - 1)
    return taken, given


def run(values: tuple[int, ...], rng: np.random.Generator, folder: Path, seed: int, style: str = "auto") -> None:
    height, width, channels, simd, bits, k_h, k_w, stride_h, stride_w, depthwise = values
    name = finn_node.datatype(bits, False)
    arguments = (k_h, k_w), (stride_h, stride_w), simd, depthwise
    frames = finn_node.random_integers(rng, (FRAMES, height, width, channels), bits, False)
    beat_numbers = np.arange(height * width * channels).reshape(1, height, width, channels) // simd
    sources = windows(np.repeat(beat_numbers, FRAMES, axis=0), "UINT32", *arguments)[..., 0]
    case = StreamCase(
        finn_node.beats(frames, simd, name),
        finn_node.beats(windows(frames, name, *arguments), simd, name),
        *cycles(values, sources),
    )
    check("sliding_window_folded", dict(zip(NAMES, values, strict=True)) | {"RAM_STYLE": style}, case, folder, seed)


@pytest.mark.parametrize(
    "values",
    [
        (5, 6, 4, 2, 4, 3, 3, 1, 1, 0),
        (5, 6, 4, 2, 4, 3, 3, 1, 1, 1),
        (7, 8, 6, 2, 3, 3, 3, 2, 2, 1),  # the last column belongs to no window
        (6, 7, 3, 1, 4, 2, 2, 2, 2, 0),
        (4, 5, 3, 3, 2, 1, 1, 1, 1, 0),  # a pixel a beat, copied
        (8, 7, 4, 2, 5, 1, 1, 3, 2, 0),  # stride larger than the window: the input decides the rate
        (3, 4, 2, 1, 8, 3, 4, 1, 1, 1),  # one window, as large as the image
        (5, 1, 2, 1, 3, 3, 1, 1, 1, 0),  # an image one pixel wide
        (2, 9, 2, 2, 8, 1, 3, 1, 2, 1),  # one line a window
        (1, 1, 4, 2, 4, 1, 1, 1, 1, 1),
    ],
)
@pytest.mark.quick(6)
def test_values_and_cycles(values: tuple[int, ...], tmp_path: Path, seed: int) -> None:
    run(values, np.random.default_rng(seed), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(3))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    height, width = rng.integers(1, 7, 2, endpoint=True)
    kernel = rng.integers(1, height, endpoint=True), rng.integers(1, width, endpoint=True)
    fold, simd, bits = rng.integers(1, [4, 3, 8], endpoint=True)
    strides = rng.integers(1, 3, 2, endpoint=True)
    values = (height, width, fold * simd, simd, bits, *kernel, *strides, rng.integers(2))
    run(tuple(map(int, values)), rng, tmp_path, seed)
