# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file

NAMES = ("CHANNELS", "PE", "IN_BITS", "IN_SIGNED", "ADDEND_BITS", "ADDEND_SIGNED")
PIXELS = 6


def run(values: tuple[int, ...], rng: np.random.Generator, folder: Path, seed: int) -> None:
    channels, pe, in_bits, in_signed, addend_bits, addend_signed = values
    in_type = finn_node.datatype(in_bits, bool(in_signed))
    addend_type = finn_node.datatype(addend_bits, bool(addend_signed))
    types = DataType[in_type], DataType[addend_type]
    low, high = sum(kind.min() for kind in types), sum(kind.max() for kind in types)
    out_bits = int(high).bit_length() if low >= 0 else 1 + max(int(high).bit_length(), int(-low - 1).bit_length())
    out_type = finn_node.datatype(out_bits, bool(low < 0))
    pixels = finn_node.random_integers(rng, (1, 1, PIXELS, channels), in_bits, bool(in_signed))
    addends = finn_node.random_integers(rng, (channels,), addend_bits, bool(addend_signed))
    result = finn_node.execute(
        "ElementwiseAdd",
        [(pixels, in_type), (addends, addend_type)],
        pixels.shape,
        lhs_dtype=in_type,
        rhs_dtype=addend_type,
        out_dtype=out_type,
        lhs_shape=list(pixels.shape),
        rhs_shape=[channels],
        out_shape=list(pixels.shape),
        rhs_style="const",
        PE=pe,
    )
    cycles = list(range(PIXELS * channels // pe))
    case = StreamCase(
        finn_node.beats(pixels, pe, in_type),
        finn_node.beats(result, pe, out_type),
        cycles,
        [cycle + 1 for cycle in cycles],
    )
    memory = memory_file(finn_node.memory_text(finn_node.beats(addends, pe, addend_type)))
    parameters = dict(zip(NAMES, values, strict=True)) | {"OUT_BITS": out_bits, "ADDENDS_FILE": memory}
    check("channel_add", parameters, case, folder, seed)


# The addends are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "values",
    [
        (10, 10, 14, 1, 8, 1),  # one word of addends: they become constants
        (12, 4, 9, 1, 12, 1),
        (6, 1, 8, 0, 5, 1),
        (4, 2, 11, 1, 3, 0),
        (5, 1, 4, 0, 6, 0),
    ],
)
@pytest.mark.quick(3)
def test_values_and_cycles(values: tuple[int, ...], tmp_path: Path, seed: int) -> None:
    run(values, np.random.default_rng(values), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folds, pe, bits, addend_bits = (int(value) for value in rng.integers([1, 1, 2, 2], [4, 6, 16, 16], endpoint=True))
    signs = int(rng.integers(2)), int(rng.integers(2))
    run((folds * pe, pe, bits, signs[0], addend_bits, signs[1]), rng, tmp_path, seed)
