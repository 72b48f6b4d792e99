# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check

FRAMES = 3


def run(channels: int, pe: int, image: tuple[int, int], bits: int, signed: bool, seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    pixels = image[0] * image[1]
    name = finn_node.datatype(bits, signed)
    low, high = DataType[name].min(), DataType[name].max()
    out_type = DataType.get_smallest_possible(pixels * (low if signed else high))  # FINN's own rule
    frames = finn_node.random_integers(rng, (FRAMES, *image, channels), bits, signed)
    frames[-1] = low if signed else high  # the largest sum there is
    sums = [
        finn_node.execute(
            "GlobalAccPool",
            [(frame[np.newaxis], name)],
            (1, 1, 1, channels),
            NumChannels=channels,
            PE=pe,
            inputDataType=name,
            numInputVectors=[1, *image],
        )
        for frame in frames
    ]
    folds = channels // pe
    inputs = finn_node.beats(frames, pe, name)
    case = StreamCase(
        inputs,
        finn_node.beats(np.concatenate(sums), pe, out_type.name),
        list(range(len(inputs))),
        [(frame * pixels + pixels - 1) * folds + fold + 1 for frame in range(FRAMES) for fold in range(folds)],
    )
    parameters = {
        "CHANNELS": channels,
        "PE": pe,
        "PIXELS": pixels,
        "BITS": bits,
        "SIGNED": int(signed),
        "OUT_BITS": out_type.bitwidth(),
    }
    check("global_acc_pool", parameters, case, folder, seed)


@pytest.mark.parametrize(
    ("channels", "pe", "image", "bits", "signed"),
    [
        (6, 2, (2, 2), 4, False),
        (4, 4, (3, 3), 4, True),  # one beat a pixel: no memory
        (8, 1, (1, 5), 8, True),
        (3, 1, (1, 1), 5, False),  # one pixel: nothing to add
        (4, 2, (7, 3), 1, False),
    ],
)
@pytest.mark.quick(4)
def test_values_and_cycles(
    channels: int, pe: int, image: tuple[int, int], bits: int, signed: bool, tmp_path: Path, seed: int
) -> None:
    run(channels, pe, image, bits, signed, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    folds, pe, rows, columns, bits = (int(value) for value in rng.integers(1, [5, 4, 4, 4, 8], endpoint=True))
    run(folds * pe, pe, (rows, columns), bits, bool(bits > 1 and rng.integers(2)), seed, tmp_path)
