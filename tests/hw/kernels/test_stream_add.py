# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from icsort.sim.verilator.bench import RTL, run_bench
from tests.hw.kernels import finn_node

SHAPE = (1, 5, 6)
Element = tuple[int, bool]  # bits, signed


def run(channels: int, pe: int, lhs: Element, rhs: Element, seed: int, folder: Path) -> None:
    rng = np.random.default_rng(seed)
    names = [finn_node.datatype(*lhs), finn_node.datatype(*rhs)]
    low, high = (sum(function(DataType[name]) for name in names) for function in (lambda t: t.min(), lambda t: t.max()))
    signed = bool(low < 0)
    bits = max(high.bit_length(), (-low - 1).bit_length()) + 1 if signed else high.bit_length()
    out_type = finn_node.datatype(bits, signed)
    sides = [finn_node.random_integers(rng, (*SHAPE, channels), *element) for element in (lhs, rhs)]
    result = finn_node.execute(
        "ElementwiseAdd",
        list(zip(sides, names, strict=True)),
        (*SHAPE, channels),
        lhs_dtype=names[0],
        rhs_dtype=names[1],
        out_dtype=out_type,
        lhs_shape=[*SHAPE, channels],
        rhs_shape=[*SHAPE, channels],
        out_shape=[*SHAPE, channels],
        PE=pe,
    )
    case = folder / "case.json"
    beats = {
        "lhs": finn_node.beats(sides[0], pe, names[0]),
        "rhs": finn_node.beats(sides[1], pe, names[1]),
        "outputs": finn_node.beats(result, pe, out_type),
    }
    case.write_text(json.dumps(beats))
    parameters = {
        "PE": pe,
        "LHS_BITS": lhs[0],
        "LHS_SIGNED": int(lhs[1]),
        "RHS_BITS": rhs[0],
        "RHS_SIGNED": int(rhs[1]),
        "OUT_BITS": bits,
    }
    run_bench(
        "stream_add",
        "tests.hw.kernels.bench_join",
        [RTL / "kernels" / "stream_add.sv"],
        parameters=parameters,
        environment={"ICSORT_STREAM_CASE": str(case)},
        seed=seed,
    )


@pytest.mark.parametrize(
    ("channels", "pe", "lhs", "rhs"),
    [
        (6, 3, (4, False), (4, False)),
        (4, 4, (4, True), (4, True)),
        (3, 1, (8, True), (4, False)),
        (2, 2, (2, False), (6, True)),
        (5, 5, (1, False), (8, False)),
    ],
)
@pytest.mark.quick(3)
def test_sums(channels: int, pe: int, lhs: Element, rhs: Element, tmp_path: Path, seed: int) -> None:
    run(channels, pe, lhs, rhs, seed, tmp_path)


@pytest.mark.usefixtures("throwaway_models")
def test_random_parameters(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, 0))
    folds, pe, lhs, rhs = (int(value) for value in rng.integers([1, 1, 2, 2], [4, 5, 10, 10], endpoint=True))
    run(folds * pe, pe, (lhs, bool(rng.integers(2))), (rhs, bool(rng.integers(2))), seed, tmp_path)
