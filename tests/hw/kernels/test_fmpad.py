# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check

FRAMES = 3
NAMES = ("IFM_H", "IFM_W", "CHANNELS", "SIMD", "BITS", "PAD_TOP", "PAD_LEFT", "PAD_BOTTOM", "PAD_RIGHT")


def run(
    values: tuple[int, ...], signed: bool, rng: np.random.Generator, folder: Path, seed: int, pad_value: int = 0
) -> None:
    height, width, channels, simd, bits, top, left, bottom, right = values
    name = finn_node.datatype(bits, signed)
    frames = finn_node.random_integers(rng, (FRAMES, height, width, channels), bits, signed)
    # A pixel of ones, padded by FINN too, tells which beats are image.
    padded, image = (
        [
            finn_node.execute(
                "FMPadding",
                [(frame[np.newaxis], name)],
                (1, top + height + bottom, left + width + right, channels),
                ImgDim=[height, width],
                Padding=[top, left, bottom, right],
                NumChannels=channels,
                SIMD=simd,
                inputDataType=name,
            )
            for frame in array
        ]
        for array in (frames, -np.ones_like(frames) if signed else np.ones_like(frames))
    )
    if pad_value:  # which FINN does not have
        border = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = [np.pad(frames, border, constant_values=pad_value)]
    outputs = finn_node.beats(np.concatenate(padded), simd, name)
    taken = np.flatnonzero(np.concatenate(image).reshape(-1, simd)[:, 0])
    first = int(taken[0])
    # The border above the frame that would come next leaves as well.
    case = StreamCase(
        finn_node.beats(frames, simd, name),
        outputs + outputs[:first],
        [int(beat) - first for beat in taken],
        [None if beat < first else beat - first + 1 for beat in range(len(outputs) + first)],
    )
    check("fmpad", dict(zip(NAMES, values, strict=True)) | {"PAD_VALUE": pad_value}, case, folder, seed)


@pytest.mark.parametrize(
    ("values", "signed"),
    [
        ((4, 5, 3, 3, 4, 1, 1, 1, 1), False),
        ((3, 4, 6, 2, 4, 1, 1, 1, 1), True),  # a pixel in three beats
        ((5, 3, 2, 2, 8, 0, 1, 2, 0), False),
        ((2, 3, 2, 1, 3, 3, 0, 0, 2), True),
        ((1, 1, 1, 1, 1, 2, 3, 2, 3), False),
        ((3, 2, 4, 2, 5, 0, 0, 0, 0), True),  # no border
    ],
)
@pytest.mark.quick(4)
def test_values_and_cycles(values: tuple[int, ...], signed: bool, tmp_path: Path, seed: int) -> None:
    run(values, signed, np.random.default_rng(seed), tmp_path, seed)


@pytest.mark.parametrize(("pad_value", "signed"), [(-8, True), (13, False)])
def test_pad_value(pad_value: int, signed: bool, tmp_path: Path, seed: int) -> None:
    run((3, 4, 6, 2, 4, 1, 2, 0, 1), signed, np.random.default_rng(seed), tmp_path, seed, pad_value)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    height, width, fold, simd, bits = (int(value) for value in rng.integers(1, [6, 6, 3, 4, 8], endpoint=True))
    padding = (int(value) for value in rng.integers(0, 3, 4, endpoint=True))
    run((height, width, fold * simd, simd, bits, *padding), bool(bits > 1 and rng.integers(2)), rng, tmp_path, seed)
