# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from icsort.sim.verilator.bench import RTL, run_bench
from tests.hw.kernels import finn_node

PIXELS = (1, 5, 6)


def run(left: int, right: int, bits: int, signed: bool, seed: int, folder: Path) -> None:
    """Channels of both sides against FINN's StreamingConcat, which concatenates the last axis."""
    rng = np.random.default_rng(seed)
    name = finn_node.datatype(bits, signed)
    sides = [finn_node.random_integers(rng, (*PIXELS, channels), bits, signed) for channels in (left, right)]
    result = finn_node.execute(
        "StreamingConcat",
        [(side, name) for side in sides],
        (*PIXELS, left + right),
        SIMD=1,
        ChannelsPerStream=[left, right],
        inputDataTypes=[name, name],
        numInputVectors=PIXELS,
    )
    case = folder / "case.json"
    beats = {
        "lhs": finn_node.beats(sides[0], left, name),
        "rhs": finn_node.beats(sides[1], right, name),
        "outputs": finn_node.beats(result, left + right, name),
    }
    case.write_text(json.dumps(beats))
    run_bench(
        "stream_concat",
        "tests.hw.kernels.bench_join",
        [RTL / "kernels" / "stream_concat.sv"],
        parameters={"LHS_WIDTH": left * bits, "RHS_WIDTH": right * bits},
        environment={"ICSORT_STREAM_CASE": str(case)},
        seed=seed,
    )


@pytest.mark.parametrize(
    ("left", "right", "bits", "signed"),
    [(3, 5, 4, False), (4, 4, 4, True), (1, 7, 2, True), (16, 2, 8, False), (1, 1, 1, False)],
)
@pytest.mark.quick(3)
def test_channels(left: int, right: int, bits: int, signed: bool, tmp_path: Path, seed: int) -> None:
    run(left, right, bits, signed, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    left, right, bits = (int(value) for value in rng.integers([1, 1, 2], [9, 9, 8], endpoint=True))
    run(left, right, bits, bool(rng.integers(2)), seed, tmp_path)
