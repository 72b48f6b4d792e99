# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file

VECTORS = 5
Layer = tuple[int, int, int, int, str, str]  # MW, MH, SIMD, PE, types of activations and weights


def run(
    layer: Layer, rng: np.random.Generator, folder: Path, seed: int, style: dict[str, int | str] | None = None
) -> None:
    mw, mh, simd, pe, act_type, weight_type = layer
    act, weight = DataType[act_type], DataType[weight_type]
    weights = finn_node.random_values(rng, (mw, mh), weight_type)
    # The narrowest accumulator that holds every result; partial sums may wrap.
    acc_type = finn_node.accumulator(weights, act, weight)
    vectors = finn_node.random_values(rng, (VECTORS, mw), act_type)
    result = finn_node.matrix_product(vectors, act_type, weights, weight_type, acc_type, simd, pe)
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
    parameters = {
        "MW": mw,
        "MH": mh,
        "SIMD": simd,
        "PE": pe,
        "ACT_BITS": act.bitwidth(),
        "ACT_SIGNED": int(act.signed() and act_type != "BIPOLAR"),
        "ACT_BIPOLAR": int(act_type == "BIPOLAR"),
        "WEIGHT_BITS": weight.bitwidth(),
        "ACC_BITS": DataType[acc_type].bitwidth(),
        "WEIGHTS_FILE": memory,
    } | (style or {})
    check("mvau", parameters, case, folder, seed)


# The weights are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "layer",
    [
        (27, 16, 27, 16, "UINT8", "INT4"),  # one word of weights: they become constants
        (36, 8, 9, 4, "UINT4", "INT4"),
        (12, 6, 3, 2, "INT4", "INT3"),
        (10, 7, 1, 1, "UINT3", "INT2"),  # one multiplier
        (5, 6, 5, 1, "INT8", "INT8"),  # SF = 1: the vector of one beat is replayed
        (20, 3, 4, 3, "UINT1", "INT4"),  # NF = 1; activations of one bit
        (16, 6, 4, 3, "UINT2", "BIPOLAR"),
        (15, 4, 5, 2, "BIPOLAR", "BIPOLAR"),  # counts equal pairs, 0 to 15: four bits are enough
        (12, 6, 3, 2, "BIPOLAR", "INT4"),
        (1, 4, 1, 2, "UINT4", "INT4"),
        (1, 1, 1, 1, "INT2", "INT2"),
        (18, 8, 6, 4, "UINT4", "TERNARY"),
        (9, 4, 9, 4, "INT8", "BIPOLAR"),
        (64, 8, 64, 8, "BIPOLAR", "BIPOLAR"),
    ],
    ids=str,
)
@pytest.mark.quick(9)
def test_values_and_cycles(layer: Layer, tmp_path: Path, seed: int) -> None:
    run(layer, np.random.default_rng(sum(map(ord, repr(layer)))), tmp_path, seed)


@pytest.mark.parametrize(
    ("layer", "style"),
    [
        ((12, 7, 4, 7, "UINT4", "INT4"), {"MULT_STYLE": "dsp"}),  # rows by 2, 2 and 3
        ((10, 5, 2, 5, "INT8", "INT8"), {"MULT_STYLE": "dsp"}),
        ((6, 8, 3, 8, "UINT2", "TERNARY"), {"MULT_STYLE": "dsp", "DSP_A_BITS": 27}),
        ((1, 3, 1, 3, "INT5", "INT6"), {"MULT_STYLE": "dsp"}),  # the product is the result
        ((12, 6, 4, 3, "INT8", "INT8"), {"MULT_STYLE": "lut"}),
        ((12, 6, 4, 3, "UINT8", "INT4"), {"MULT_STYLE": "lut", "DSP_A_BITS": 18}),  # of an ECP5
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in (
                ((12, 6, 4, 3, "INT4", "INT4"), {"MULT_STYLE": "dsp"}),
                ((10, 8, 5, 4, "UINT8", "INT8"), {"MULT_STYLE": "dsp"}),
                ((6, 4, 3, 4, "BIPOLAR", "INT4"), {"MULT_STYLE": "dsp"}),
                ((6, 4, 3, 4, "INT4", "BIPOLAR"), {"MULT_STYLE": "dsp"}),  # no multiplier
                ((6, 3, 3, 1, "UINT4", "INT4"), {"MULT_STYLE": "dsp"}),  # one row: in LUTs after all
                ((3, 4, 1, 4, "INT5", "INT6"), {"MULT_STYLE": "dsp"}),
                ((12, 6, 4, 3, "UINT8", "INT3"), {"MULT_STYLE": "lut"}),
            )
        ),
    ],
    ids=str,
)
def test_multiplier_styles(layer: Layer, style: dict[str, int | str], tmp_path: Path, seed: int) -> None:
    run(layer, np.random.default_rng(sum(map(ord, repr(layer)))), tmp_path, seed, style)


def test_xnor_mode(tmp_path: Path, seed: int) -> None:
    """FINN's binaryXnorMode names both types BINARY, 0 and 1: the same bits, the same count."""
    rng = np.random.default_rng(0)
    weights, vectors = finn_node.random_values(rng, (12, 4), "BINARY"), finn_node.random_values(rng, (5, 12), "BINARY")
    result = finn_node.execute(
        "MVAU",
        [(vectors, "BINARY"), (weights, "BINARY")],
        (5, 4),
        MW=12,
        MH=4,
        SIMD=12,
        PE=4,
        numInputVectors=[5],
        noActivation=1,
        binaryXnorMode=1,
        inputDataType="BINARY",
        weightDataType="BINARY",
        outputDataType="UINT4",
        accDataType="UINT4",
    )
    word = finn_node.beats(weights.T, 48, "BINARY")
    parameters = {"MW": 12, "MH": 4, "SIMD": 12, "PE": 4, "ACT_BITS": 1, "ACT_BIPOLAR": 1, "WEIGHT_BITS": 1}
    case = StreamCase(
        finn_node.beats(vectors, 12, "BINARY"),
        finn_node.beats(result, 4, "UINT4"),
        list(range(5)),
        [vector + 6 for vector in range(5)],
    )
    memory = {"ACC_BITS": 4, "WEIGHTS_FILE": memory_file(finn_node.memory_text(word))}
    check("mvau", parameters | memory, case, tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(3))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    sf, nf, simd, pe = (int(value) for value in rng.integers(1, [5, 5, 12, 6], endpoint=True))
    act_bits, weight_bits = (int(value) for value in rng.integers([1, 2], [8, 8], endpoint=True))
    act_type = finn_node.datatype(act_bits, bool(act_bits > 1 and rng.integers(2)))
    style = {"MULT_STYLE": str(rng.choice(["auto", "lut", "dsp"])), "DSP_A_BITS": int(rng.choice([18, 25, 27]))}
    run((sf * simd, nf * pe, simd, pe, act_type, f"INT{weight_bits}"), rng, tmp_path, seed, style)
