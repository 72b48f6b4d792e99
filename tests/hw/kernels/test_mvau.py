# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.util.basic import calculate_matvec_accumulator_range

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file

VECTORS = 5
NAMES = ("MW", "MH", "SIMD", "PE", "ACT_BITS", "ACT_SIGNED", "WEIGHT_BITS")


def run(values: tuple[int, ...], rng: np.random.Generator, folder: Path, seed: int) -> None:
    mw, mh, simd, pe, act_bits, act_signed, weight_bits = values
    act_type, weight_type = finn_node.datatype(act_bits, bool(act_signed)), finn_node.datatype(weight_bits, True)
    weights = finn_node.random_integers(rng, (mw, mh), weight_bits, True)
    low, high = calculate_matvec_accumulator_range(weights, DataType[act_type])
    # The narrowest accumulator that holds every result; partial sums may wrap.
    acc_bits = 1 + max(int(high).bit_length(), int(-low - 1).bit_length() if low < 0 else 0)
    acc_type = finn_node.datatype(acc_bits, True)
    vectors = finn_node.random_integers(rng, (VECTORS, mw), act_bits, bool(act_signed))
    result = finn_node.execute(
        "MVAU",
        [(vectors, act_type), (weights, weight_type)],
        (VECTORS, mh),
        MW=mw,
        MH=mh,
        SIMD=simd,
        PE=pe,
        numInputVectors=[VECTORS],
        noActivation=1,
        inputDataType=act_type,
        weightDataType=weight_type,
        outputDataType=acc_type,
        accDataType=acc_type,
    )
    sf, nf = mw // simd, mh // pe
    words = weights.T.reshape(nf, pe, sf, simd).transpose(0, 2, 1, 3)
    memory = memory_file(finn_node.memory_text(finn_node.beats(words, pe * simd, weight_type)))
    latency = 2 + (simd - 1).bit_length() + (sf > 1)
    case = StreamCase(
        finn_node.beats(vectors, simd, act_type),
        finn_node.beats(result, pe, acc_type),
        [vector * sf * nf + beat for vector in range(VECTORS) for beat in range(sf)],
        [vector * sf * nf + fold * sf + sf - 1 + latency for vector in range(VECTORS) for fold in range(nf)],
    )
    parameters = dict(zip(NAMES, values, strict=True)) | {"ACC_BITS": acc_bits, "WEIGHTS_FILE": memory}
    check("mvau", parameters, case, folder, seed)


# The weights are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "values",
    [
        (27, 16, 27, 16, 8, 0, 4),  # one word of weights: they become constants
        (36, 8, 9, 4, 4, 0, 4),
        (12, 6, 3, 2, 4, 1, 3),
        (10, 7, 1, 1, 3, 0, 2),  # one multiplier
        (5, 6, 5, 1, 8, 1, 8),  # SF = 1: the vector of one beat is replayed
        (20, 3, 4, 3, 1, 0, 4),  # NF = 1; activations of one bit
        (1, 4, 1, 2, 4, 0, 4),
        (1, 1, 1, 1, 2, 1, 2),
    ],
)
def test_values_and_cycles(values: tuple[int, ...], tmp_path: Path, seed: int) -> None:
    run(values, np.random.default_rng(values), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(3))
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    sf, nf, simd, pe = (int(value) for value in rng.integers(1, [5, 5, 12, 6], endpoint=True))
    act_bits, weight_bits = (int(value) for value in rng.integers([1, 2], [8, 8], endpoint=True))
    act_signed = int(act_bits > 1 and rng.integers(2))
    run((sf * simd, nf * pe, simd, pe, act_bits, act_signed, weight_bits), rng, tmp_path, seed)
