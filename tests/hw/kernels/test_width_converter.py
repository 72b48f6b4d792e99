# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check


@pytest.mark.parametrize(
    ("bits", "elements_in", "elements_out"),
    [(3, 1, 7), (4, 3, 6), (5, 7, 1), (2, 64, 16), (6, 4, 4)],
)
@pytest.mark.quick(4)
def test_values_and_cycles(bits: int, elements_in: int, elements_out: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    name = finn_node.datatype(bits, False)
    wide_beats, ratio = 9, max(elements_in, elements_out) // min(elements_in, elements_out)
    data = finn_node.random_integers(rng, (1, wide_beats, max(elements_in, elements_out)), bits, False)
    result = finn_node.execute(
        "StreamingDataWidthConverter",
        [(data, name)],
        data.shape,
        inShape=data.shape,
        outShape=data.shape,
        inWidth=elements_in * bits,
        outWidth=elements_out * bits,
        dataType=name,
    )
    narrow, wide = list(range(wide_beats * ratio)), [ratio * beat for beat in range(wide_beats)]
    if elements_in < elements_out:
        cycles = narrow, [beat + ratio for beat in wide]
    elif elements_in > elements_out:
        cycles = wide, [beat + 1 for beat in narrow]
    else:
        cycles = narrow, narrow
    check(
        "width_converter",
        {"IN_WIDTH": elements_in * bits, "OUT_WIDTH": elements_out * bits},
        StreamCase(finn_node.beats(data, elements_in, name), finn_node.beats(result, elements_out, name), *cycles),
        tmp_path,
        seed,
    )
