# SPDX-License-Identifier: Apache-2.0
"""A folded window generator and what it is made for: FINN's result, and no cycle more than the windows take."""

from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check, memory_file
from tests.hw.kernels.test_sliding_window_folded import FRAMES, cycles, windows


@pytest.mark.parametrize("pool", [0, 1])
@pytest.mark.parametrize(("pe", "stride"), [(2, 1), (1, 2), (6, 1)])
def test_values_and_cycles(pe: int, stride: int, pool: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, channels, bits, kernel = 6, 6, 4, (3, 3)
    out = (size - 3) // stride + 1
    shape = (FRAMES, size, size, channels)
    frames = finn_node.random_integers(rng, shape, bits, False)
    arguments = kernel, (stride, stride), pe, 1
    taps = windows(frames, "UINT4", *arguments).reshape(1, FRAMES * out, out, -1)
    if pool:
        in_order = taps.reshape(FRAMES * out, out, channels // pe, 9, pe).swapaxes(
            2, 3
        )  # FINN's Python: (tap, channel)
        out_type, memory = "UINT4", ""
        result = finn_node.execute(
            "Pool",
            [(in_order.reshape(taps.shape), "UINT4")],
            (1, FRAMES * out, out, channels),
            Channels=channels,
            PE=pe,
            KernelSize=list(kernel),
            Function="MaxPool",
            OutImgDims=[FRAMES * out, out],
            InputDataType="UINT4",
            OutputDataType="UINT4",
        )
    else:
        weights = finn_node.random_integers(np.random.default_rng(pe), (channels, 1, *kernel), 4, True)
        words = weights.reshape(channels // pe, pe, 9).swapaxes(1, 2)
        out_type, memory = "INT16", memory_file(finn_node.memory_text(finn_node.beats(words, pe, "INT4")))
        result = finn_node.execute(
            "VVAU",
            [(taps, "UINT4"), (weights, "INT4")],
            (1, FRAMES * out, out, channels),
            Channels=channels,
            Kernel=list(kernel),
            Dim=[FRAMES * out, out],
            SIMD=1,
            PE=pe,
            noActivation=1,
            inputDataType="UINT4",
            weightDataType="INT4",
            outputDataType="INT32",
        )
    beat_numbers = np.arange(size * size * channels).reshape(1, size, size, channels) // pe
    sources = windows(np.repeat(beat_numbers, FRAMES, axis=0), "UINT32", *arguments)[..., 0]
    taken, given = cycles((size, size, channels, pe, bits, 3, 3, stride, stride, 1), sources)
    latency = 1 if pool else 3
    case = StreamCase(
        finn_node.beats(frames, pe, "UINT4"),
        finn_node.beats(result, pe, out_type),
        taken,
        [cycle + latency for cycle in given[8::9]],
    )
    parameters = {"IFM_H": size, "IFM_W": size, "CHANNELS": channels, "PE": pe, "STRIDE": stride, "POOL": pool}
    check("depthwise_layer", parameters | {"WEIGHTS_FILE": memory}, case, tmp_path, seed)
