# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check

VECTORS = 12


def run(labels: int, pe: int, bits: int, signed: bool, out_bits: int, seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    name, out_type = finn_node.datatype(bits, signed), finn_node.datatype(out_bits, False)
    vectors = finn_node.random_integers(rng, (VECTORS, labels), bits, signed)
    # The largest value in several places, and all values equal.
    ties = rng.integers(labels, size=(VECTORS // 3, 3))
    np.put_along_axis(vectors[: VECTORS // 3], ties, vectors.max(), axis=1)
    vectors[VECTORS // 3] = vectors.min()
    result = finn_node.execute(
        "LabelSelect",
        [(vectors, name)],
        (VECTORS, 1),
        Labels=labels,
        PE=pe,
        K=1,
        inputDataType=name,
        outputDataType=out_type,
        numInputVectors=[VECTORS],
    )
    folds = labels // pe
    latency = 1 + (pe - 1).bit_length()
    case = StreamCase(
        finn_node.beats(vectors, pe, name),
        finn_node.beats(result, 1, out_type),
        list(range(VECTORS * folds)),
        [vector * folds + folds - 1 + latency for vector in range(VECTORS)],
    )
    parameters = {"LABELS": labels, "PE": pe, "BITS": bits, "SIGNED": int(signed), "OUT_BITS": out_bits}
    check("label_select", parameters, case, folder, seed)


@pytest.mark.parametrize(
    ("labels", "pe", "bits", "signed", "out_bits"),
    [
        (7, 1, 12, True, 8),  # FINN's own output type is a whole number of bytes
        (36, 36, 14, True, 6),  # one beat: the tree alone
        (10, 5, 3, True, 4),
        (12, 3, 2, False, 4),
        (4, 2, 1, False, 2),
        (1, 1, 8, True, 1),
    ],
)
@pytest.mark.quick(4)
def test_values_and_cycles(
    labels: int, pe: int, bits: int, signed: bool, out_bits: int, tmp_path: Path, seed: int
) -> None:
    run(labels, pe, bits, signed, out_bits, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    folds, pe, bits = (int(value) for value in rng.integers([1, 1, 2], [6, 6, 12], endpoint=True))
    labels = folds * pe
    run(labels, pe, bits, bool(rng.integers(2)), max(1, (labels - 1).bit_length()), seed, tmp_path)
