# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check


def run(channels: int, bits: int, signed: bool, kernel: tuple[int, int], seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    rows, columns, window = 3, 4, kernel[0] * kernel[1]
    name = finn_node.datatype(bits, signed)
    windows = finn_node.random_integers(rng, (1, rows, columns, window * channels), bits, signed)
    result = finn_node.execute(
        "Pool",
        [(windows, name)],
        (1, rows, columns, channels),
        Channels=channels,
        PE=channels,
        KernelSize=list(kernel),
        Function="MaxPool",
        OutImgDims=[rows, columns],
        InputDataType=name,
        OutputDataType=name,
    )
    latency = max(1, int(np.ceil(np.log2(window))))
    cycles = list(range(rows * columns))
    case = StreamCase(
        finn_node.beats(windows, window * channels, name),
        finn_node.beats(result, channels, name),
        cycles,
        [cycle + latency for cycle in cycles],
    )
    parameters = {"CHANNELS": channels, "BITS": bits, "SIGNED": int(signed), "WINDOW": window}
    check("max_pool", parameters, case, folder, seed)


@pytest.mark.parametrize(
    ("channels", "bits", "signed", "kernel"),
    [(16, 4, False, (2, 2)), (3, 4, True, (3, 3)), (2, 8, True, (1, 1)), (5, 1, False, (2, 1)), (1, 6, True, (1, 5))],
)
@pytest.mark.quick(3)
def test_values_and_cycles(
    channels: int, bits: int, signed: bool, kernel: tuple[int, int], tmp_path: Path, seed: int
) -> None:
    run(channels, bits, signed, kernel, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    channels, bits, rows, columns = (int(value) for value in rng.integers(1, [20, 8, 4, 4], endpoint=True))
    run(channels, bits, bool(bits > 1 and rng.integers(2)), (rows, columns), seed, tmp_path)
