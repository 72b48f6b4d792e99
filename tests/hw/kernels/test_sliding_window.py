# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check

FRAMES = 3


def run(parameters: dict[str, int], rng: np.random.Generator, folder: Path, seed: int) -> None:
    height, width, channels, bits, k_h, k_w, stride_h, stride_w = parameters.values()
    name = finn_node.datatype(bits, False)
    out_h, out_w = (height - k_h) // stride_h + 1, (width - k_w) // stride_w + 1
    frames = finn_node.random_integers(rng, (FRAMES, height, width, channels), bits, False)
    windows = [
        finn_node.execute(
            "ConvolutionInputGenerator",
            [(frame[np.newaxis], name)],
            (1, out_h, out_w, k_h * k_w * channels),
            ConvKernelDim=[k_h, k_w],
            IFMChannels=channels,
            IFMDim=[height, width],
            OFMDim=[out_h, out_w],
            SIMD=channels,
            Stride=[stride_h, stride_w],
            Dilation=[1, 1],
            inputDataType=name,
            outputDataType=name,
            parallel_window=1,
        )
        for frame in frames
    ]
    last_pixels = [
        (frame * height + row * stride_h + k_h - 1) * width + column * stride_w + k_w - 1
        for frame in range(FRAMES)
        for row in range(out_h)
        for column in range(out_w)
    ]
    case = StreamCase(
        finn_node.beats(frames, channels, name),
        finn_node.beats(np.concatenate(windows), k_h * k_w * channels, name),
        list(range(FRAMES * height * width)),  # one pixel a cycle, never a bubble
        [pixel + 1 for pixel in last_pixels],
    )
    check("sliding_window", parameters, case, folder, seed)


NAMES = ("IFM_H", "IFM_W", "CHANNELS", "BITS", "K_H", "K_W", "STRIDE_H", "STRIDE_W")


@pytest.mark.parametrize(
    "values",
    [
        (5, 6, 3, 4, 3, 3, 1, 1),
        (7, 9, 2, 4, 2, 2, 2, 2),  # the last row and the last column belong to no window
        (4, 5, 1, 1, 4, 5, 1, 1),  # one window, as large as the image
        (5, 1, 2, 3, 3, 1, 1, 1),  # an image one pixel wide
        (1, 9, 2, 8, 1, 3, 1, 2),  # one line: no line memory
        (8, 7, 1, 5, 1, 1, 3, 4),  # stride larger than the window
    ],
)
@pytest.mark.quick(4)
def test_values_and_cycles(values: tuple[int, ...], tmp_path: Path, seed: int) -> None:
    run(dict(zip(NAMES, values, strict=True)), np.random.default_rng(seed), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(3))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    height, width = rng.integers(1, 10, 2, endpoint=True)
    kernel = rng.integers(1, height, endpoint=True), rng.integers(1, width, endpoint=True)
    values = (height, width, *rng.integers(1, [5, 8], endpoint=True), *kernel, *rng.integers(1, 3, 2, endpoint=True))
    run(dict(zip(NAMES, map(int, values), strict=True)), rng, tmp_path, seed)
