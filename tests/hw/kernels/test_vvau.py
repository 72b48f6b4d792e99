# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file

WINDOWS = 5


@dataclass(frozen=True)
class Layer:
    channels: int
    kernel: tuple[int, int]
    simd: int
    pe: int
    act_type: str
    weight_type: str
    whole_window: bool = False
    mult_style: str = "auto"


def run(layer: Layer, rng: np.random.Generator, folder: Path, seed: int) -> None:
    channels, pe, simd, taps = layer.channels, layer.pe, layer.simd, layer.kernel[0] * layer.kernel[1]
    act, weight = DataType[layer.act_type], DataType[layer.weight_type]
    weights = finn_node.random_values(rng, (channels, 1, *layer.kernel), layer.weight_type)
    # In the order of FINN's depthwise window generator: PE channels, all taps of them, then the next PE channels.
    windows = finn_node.random_values(rng, (1, 1, WINDOWS, channels // pe, taps, pe), layer.act_type)
    result = finn_node.execute(
        "VVAU",
        [(windows.reshape(1, 1, WINDOWS, -1), layer.act_type), (weights, layer.weight_type)],
        (1, 1, WINDOWS, channels),
        Channels=channels,
        Kernel=list(layer.kernel),
        Dim=[1, WINDOWS],
        SIMD=simd,
        PE=pe,
        noActivation=1,
        inputDataType=layer.act_type,
        weightDataType=layer.weight_type,
        outputDataType="INT32",
    )
    # The narrowest accumulator that holds every result; partial sums may wrap.
    acc_type = finn_node.accumulator(weights.reshape(channels, taps).T, act, weight)
    sf, nf = taps // simd, channels // pe
    words = weights.reshape(nf, pe, sf, simd).transpose(0, 2, 1, 3)
    memory = memory_file(finn_node.memory_text(finn_node.beats(words, pe * simd, layer.weight_type)))
    latency = 2 + (simd - 1).bit_length() + (sf > 1)
    parts = [window * nf * sf + fold * sf for window in range(WINDOWS) for fold in range(nf)]
    if layer.whole_window:
        # (tap, channel), as the parallel window generator sends it
        inputs = finn_node.beats(windows.transpose(0, 1, 2, 4, 3, 5), taps * channels, layer.act_type)
        # The first window is offered for nf*sf cycles, and cycle 0 is the one in which it is taken.
        input_cycles = [window * nf * sf for window in range(WINDOWS)]
        output_cycles = [part + sf - 1 + latency - (nf * sf - 1) for part in parts]
    else:
        inputs = finn_node.beats(windows, simd * pe, layer.act_type)
        input_cycles = list(range(WINDOWS * nf * sf))
        output_cycles = [part + sf - 1 + latency for part in parts]
    parameters = {
        "CHANNELS": channels,
        "KERNEL": taps,
        "SIMD": simd,
        "PE": pe,
        "ACT_BITS": act.bitwidth(),
        "ACT_SIGNED": int(act.signed() and layer.act_type != "BIPOLAR"),
        "ACT_BIPOLAR": int(layer.act_type == "BIPOLAR"),
        "WEIGHT_BITS": weight.bitwidth(),
        "ACC_BITS": DataType[acc_type].bitwidth(),
        "WHOLE_WINDOW": int(layer.whole_window),
        "WEIGHTS_FILE": memory,
        "MULT_STYLE": layer.mult_style,
    }
    case = StreamCase(inputs, finn_node.beats(result, pe, acc_type), input_cycles, output_cycles)
    check("vvau", parameters, case, folder, seed)


# The weights are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "layer",
    [
        Layer(6, (3, 3), 1, 2, "UINT4", "INT4"),
        Layer(4, (3, 3), 9, 4, "UINT4", "INT4"),  # one word of weights: they become constants
        Layer(3, (3, 3), 3, 1, "INT8", "INT8"),
        Layer(4, (1, 5), 5, 2, "UINT8", "INT2"),
        Layer(6, (2, 3), 2, 3, "INT4", "BIPOLAR"),
        Layer(4, (3, 3), 3, 2, "BIPOLAR", "BIPOLAR"),  # counts equal pairs
        Layer(4, (3, 3), 3, 2, "INT8", "INT8", mult_style="lut"),
        Layer(6, (3, 3), 1, 2, "UINT4", "INT4", whole_window=True),
        Layer(6, (3, 3), 3, 3, "INT4", "INT3", whole_window=True),
        Layer(2, (1, 1), 1, 1, "INT3", "INT4"),
        Layer(4, (3, 3), 3, 2, "UINT4", "TERNARY"),
        Layer(4, (3, 3), 1, 2, "UINT2", "BIPOLAR"),
        Layer(4, (3, 3), 9, 2, "BIPOLAR", "INT3"),
        Layer(4, (3, 3), 9, 2, "UINT4", "INT4", whole_window=True),
        Layer(3, (2, 2), 4, 3, "UINT4", "INT4", whole_window=True),  # one beat is all there is to do
    ],
    ids=lambda layer: f"{layer.channels}x{layer.kernel}-{layer.simd}-{layer.pe}-{layer.act_type}-{layer.weight_type}",
)
@pytest.mark.quick(9)
def test_values_and_cycles(layer: Layer, tmp_path: Path, seed: int) -> None:
    run(layer, np.random.default_rng(sum(map(ord, repr(layer)))), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(2))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    nf, pe, rows, sf, simd = (int(value) for value in rng.integers(1, [3, 4, 2, 3, 3], endpoint=True))
    act_bits, weight_bits = (int(value) for value in rng.integers([1, 2], [8, 8], endpoint=True))
    act_type = finn_node.datatype(act_bits, bool(act_bits > 1 and rng.integers(2)))
    layer = Layer(nf * pe, (rows, sf * simd), simd, pe, act_type, f"INT{weight_bits}", bool(rng.integers(2)))
    run(layer, rng, tmp_path, seed)
