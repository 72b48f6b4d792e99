# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from icsort.sim.verilator.bench import RTL, run_bench
from tests.hw.kernels import finn_node


@pytest.mark.parametrize(
    ("outputs", "channels", "pe", "bits"), [(2, 6, 3, 4), (3, 2, 1, 8), (5, 4, 4, 1), (1, 3, 3, 2)]
)
@pytest.mark.quick(3)
def test_copies(outputs: int, channels: int, pe: int, bits: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    name = finn_node.datatype(bits, False)
    pixels = finn_node.random_integers(rng, (1, 5, 6, channels), bits, False)
    copies = finn_node.execute_all(
        "DuplicateStreams",
        [(pixels, name)],
        [pixels.shape] * outputs,
        NumChannels=channels,
        PE=pe,
        NumOutputStreams=outputs,
        inputDataType=name,
        numInputVectors=[1, 5, 6],
    )
    case = tmp_path / "case.json"
    beats = {
        "inputs": finn_node.beats(pixels, pe, name),
        "outputs": [finn_node.beats(copy, pe, name) for copy in copies],
    }
    case.write_text(json.dumps(beats))
    run_bench(
        "stream_fork",
        "tests.hw.kernels.bench_stream_fork",
        [RTL / "kernels" / "stream_fork.sv"],
        parameters={"WIDTH": pe * bits, "OUTPUTS": outputs},
        environment={"ICSORT_STREAM_CASE": str(case)},
        seed=seed,
    )
