# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file

NAMES = ("CHANNELS", "PE", "IN_BITS", "IN_SIGNED", "STEPS", "OUT_BITS", "OUT_BIAS", "PER_TENSOR")
PIXELS = 6


def run(
    values: tuple[int, ...], rng: np.random.Generator, folder: Path, seed: int, out_type: str | None = None
) -> None:
    channels, pe, in_bits, in_signed, steps, out_bits, out_bias, per_tensor = values
    in_type = finn_node.datatype(in_bits, bool(in_signed))
    out_type = out_type or finn_node.datatype(out_bits, out_bias < 0)
    rows = 1 if per_tensor else channels
    thresholds = np.sort(finn_node.random_integers(rng, (rows, steps), in_bits, bool(in_signed)), axis=1)
    pixels = finn_node.random_integers(rng, (1, 1, PIXELS, channels), in_bits, bool(in_signed))
    # Every other pixel meets a threshold exactly.
    met = np.take_along_axis(thresholds, rng.integers(steps, size=(rows, 1)), axis=1)[:, 0]
    pixels[:, :, ::2] = met
    result = finn_node.execute(
        "Thresholding",
        [(pixels, in_type), (thresholds, in_type)],
        pixels.shape,
        NumChannels=channels,
        PE=pe,
        numSteps=steps,
        numInputVectors=[1, 1, PIXELS],
        ActVal=out_bias,
        inputDataType=in_type,
        weightDataType=in_type,
        outputDataType=out_type,
    )
    latency = 2 if steps <= 16 else 3
    cycles = list(range(PIXELS * channels // pe))
    case = StreamCase(
        finn_node.beats(pixels, pe, in_type),
        finn_node.beats(result, pe, out_type),
        cycles,
        [cycle + latency for cycle in cycles],
    )
    memory = memory_file(finn_node.memory_text(finn_node.beats(thresholds, (1 if per_tensor else pe) * steps, in_type)))
    parameters = dict(zip(NAMES, values, strict=True)) | {"THRESHOLDS_FILE": memory}
    check("threshold", parameters, case, folder, seed)


# The thresholds are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "values",
    [
        (16, 16, 14, 1, 15, 4, 0, 0),  # one word of thresholds: they become constants
        (12, 4, 9, 1, 15, 4, -8, 0),
        (6, 1, 8, 0, 1, 1, 0, 0),
        (4, 2, 11, 1, 255, 8, -128, 0),
        (3, 3, 6, 0, 17, 5, 3, 0),  # one comparison more than one cycle counts
        (12, 4, 9, 1, 15, 4, 0, 1),  # one row of thresholds for all channels
        (2, 1, 1, 0, 16, 6, 0, 0),
        (6, 6, 7, 1, 3, 2, -2, 1),
        (4, 1, 12, 0, 40, 6, 0, 1),
    ],
)
@pytest.mark.quick(6)
def test_values_and_cycles(values: tuple[int, ...], tmp_path: Path, seed: int) -> None:
    run(values, np.random.default_rng([abs(value) for value in values]), tmp_path, seed)


@pytest.mark.parametrize("per_tensor", [0, 1])
def test_bipolar_output(per_tensor: int, tmp_path: Path, seed: int) -> None:
    values = (8, 2, 6, 0, 1, 1, 0, per_tensor)
    run(values, np.random.default_rng(values), tmp_path, seed, out_type="BIPOLAR")


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(2))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    folds, pe, in_bits, out_bits = (int(value) for value in rng.integers([1, 1, 2, 1], [4, 6, 16, 8], endpoint=True))
    steps = int(rng.integers(1, 2**out_bits))
    bias = -(2 ** (out_bits - 1)) if out_bits > 1 and rng.integers(2) else 0
    flags = int(rng.integers(2)), int(rng.integers(2))
    run((folds * pe, pe, in_bits, flags[0], steps, out_bits, bias, flags[1]), rng, tmp_path, seed)
