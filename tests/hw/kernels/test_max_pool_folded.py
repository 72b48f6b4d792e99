# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check


def run(folds: int, pe: int, bits: int, signed: bool, kernel: tuple[int, int], seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    rows, columns, window, channels = 3, 4, kernel[0] * kernel[1], folds * pe
    name = finn_node.datatype(bits, signed)
    windows = finn_node.random_integers(rng, (1, rows, columns, window, channels), bits, signed)
    result = finn_node.execute(
        "Pool",
        [(windows.reshape(1, rows, columns, -1), name)],
        (1, rows, columns, channels),
        Channels=channels,
        PE=pe,
        KernelSize=list(kernel),
        Function="MaxPool",
        OutImgDims=[rows, columns],
        InputDataType=name,
        OutputDataType=name,
    )
    # All taps of PE channels, then the next PE channels, as the depthwise window generator sends them.
    taps = windows.reshape(rows, columns, window, folds, pe).swapaxes(2, 3)
    cycles = list(range(taps.size // pe))
    case = StreamCase(
        finn_node.beats(taps, pe, name),
        finn_node.beats(result, pe, name),
        cycles,
        [cycle + 1 for cycle in cycles[window - 1 :: window]],
    )
    parameters = {"PE": pe, "BITS": bits, "SIGNED": int(signed), "WINDOW": window}
    check("max_pool_folded", parameters, case, folder, seed)


@pytest.mark.parametrize(
    ("folds", "pe", "bits", "signed", "kernel"),
    [(4, 2, 4, False, (2, 2)), (2, 3, 4, True, (3, 3)), (3, 1, 8, True, (1, 1)), (1, 5, 1, False, (2, 1))],
)
@pytest.mark.quick(3)
def test_values_and_cycles(
    folds: int, pe: int, bits: int, signed: bool, kernel: tuple[int, int], tmp_path: Path, seed: int
) -> None:
    run(folds, pe, bits, signed, kernel, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    folds, pe, bits, rows, columns = (int(value) for value in rng.integers(1, [4, 6, 8, 4, 4], endpoint=True))
    run(folds, pe, bits, bool(bits > 1 and rng.integers(2)), (rows, columns), seed, tmp_path)
