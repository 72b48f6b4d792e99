# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from icsort import cache
from icsort.hw.kernels import KERNELS, adder_graph, kernel_of
from icsort.hw.kernels.adder_graph import STYLES
from icsort.hw.kernels.finn import Integers
from icsort.hw.kernels.kernel import Node
from tests.hw.kernels import finn_node
from tests.hw.kernels.stream_case import StreamCase, check_generated

VECTORS = 9
KERNEL = KERNELS["constant_mvau"]


def layer(weights: Integers, act_type: str, weight_type: str, acc_type: str) -> Node:
    """The node of an MVAU. weights: (MW, MH), as FINN has them."""
    act, bipolar = DataType[act_type], weight_type == "BIPOLAR"
    columns, rows = weights.shape
    parameters = {
        "ACT_BITS": act.bitwidth(), "ACT_SIGNED": int(act.signed()), "ACT_BIPOLAR": int(act_type == "BIPOLAR"),
        "WEIGHT_BITS": DataType[weight_type].bitwidth(), "ACC_BITS": DataType[acc_type].bitwidth(),
    }  # fmt: skip
    return Node(
        "MVAU_0", "MVAU", "layer", ("x",), ("y",), 1, VECTORS, columns, (act.bitwidth(),), parameters["ACC_BITS"],
        parameters, (weights.T + 1) // 2 if bipolar else weights.T, rows=rows, columns=columns,
    )  # fmt: skip


def run(
    shape: tuple[int, int],
    act_type: str,
    weight_type: str,
    style: str,
    rng: np.random.Generator,
    folder: Path,
    seed: int,
) -> None:
    mw, mh = shape
    weights = finn_node.random_values(rng, shape, weight_type)
    if weight_type != "BIPOLAR":
        weights *= rng.random(shape) > rng.choice([0, 0.5])
        weights[:, rng.random(mh) < 0.1] = 0  # a row that is always 0
    acc_type = finn_node.accumulator(weights, DataType[act_type], DataType[weight_type])
    vectors = finn_node.random_values(rng, (VECTORS, mw), act_type)
    result = finn_node.matrix_product(vectors, act_type, weights, weight_type, acc_type, mw, mh)
    node, unit = layer(weights, act_type, weight_type, acc_type), {"PE": mh, "SIMD": mw, "mult_style": style}
    assert kernel_of(node, unit) is KERNEL
    assert not KERNEL.refuses(node, unit)
    digits = DataType[act_type].bitwidth() if style == "serial" else 1
    latency = int(KERNEL.parameters(node, unit, "xcup")["DELAY"]) + 2 + (digits if digits > 1 else 0)
    case = StreamCase(
        finn_node.beats(vectors, mw, act_type),
        finn_node.beats(result, mh, acc_type),
        [vector * digits for vector in range(VECTORS)],
        [vector * digits + latency for vector in range(VECTORS)],
    )
    check_generated("constant_mvau", KERNEL.source(node, unit, "generated"), case, folder, seed)


# The weights are part of the compiled model, so these are the same in each run; the stalls are not.
@pytest.mark.parametrize(
    "case",
    [
        ((12, 4), "UINT4", "INT4", "serial"),
        ((9, 4), "INT4", "INT8", "adders"),
        ((7, 3), "UINT2", "TERNARY", "serial"),
        ((20, 5), "UINT1", "BIPOLAR", "adders"),
        ((1, 1), "UINT8", "INT2", "serial"),
        ((3, 2), "UINT3", "INT3", "adders"),
        ((27, 16), "UINT8", "INT4", "adders"),
        ((144, 16), "UINT4", "INT4", "serial"),
        ((30, 12), "INT8", "INT3", "adders"),
        ((12, 6), "UINT8", "BIPOLAR", "serial"),
    ],
    ids=str,
)
@pytest.mark.quick(3)
def test_values_and_cycles(case: tuple[tuple[int, int], str, str, str], tmp_path: Path, seed: int) -> None:
    run(*case, np.random.default_rng(sum(map(ord, repr(case)))), tmp_path, seed)


@pytest.mark.usefixtures("throwaway_models")
@pytest.mark.parametrize("index", range(3))
@pytest.mark.quick(1)
def test_random_parameters(index: int, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng((seed, index))
    mw, mh, act, weight = (int(value) for value in rng.integers(1, [24, 8, 8, 6], endpoint=True))
    style = str(rng.choice(STYLES)) if act > 1 else "adders"
    act_type = finn_node.datatype(act, style == "adders" and act > 1 and bool(rng.integers(2)))
    run((mw, mh), act_type, f"INT{max(2, weight)}", style, rng, tmp_path, seed)


def value(graph: adder_graph.Graph, vector: list[int]) -> list[int]:
    """A graph's outputs, adder by adder, each value within its range."""
    values = list(vector)
    for adder in graph.adders:
        left = 0 if adder.left == adder_graph.ZERO else values[adder.left] << adder.left_shift
        right = values[adder.right] << adder.right_shift
        values.append(left - right if adder.minus else left + right)
    for number, (low, high) in zip(values, graph.ranges, strict=True):
        assert low <= number <= high
    return [0 if output.value == adder_graph.ZERO else values[output.value] << output.shift for output in graph.outputs]


@pytest.mark.parametrize("index", range(8))
def test_graphs_against_numpy(index: int, seed: int) -> None:
    """Outputs, and what the stages promise: no adder before its operands, at most two behind each other."""
    rng = np.random.default_rng((seed, index))
    rows, columns, bits = (int(value) for value in rng.integers(1, [10, 30, 6], endpoint=True))
    low, high = [(0, (1 << bits) - 1), (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)][int(rng.integers(2))]
    weights = rng.integers(-9, 9, (rows, columns), endpoint=True) * (rng.random((rows, columns)) > 0.3)
    weights[:, rng.random(columns) < 0.2] = 0
    graph = adder_graph.solve(weights, low, high)
    for _ in range(5):
        vector = rng.integers(low, high, columns, endpoint=True)
        assert value(graph, vector.tolist()) == (weights @ vector).tolist()
    stages, depth = graph.stages, [0] * columns  # adders behind each other in its stage
    for number, adder in enumerate(graph.adders):
        made = stages.stage[columns + number]
        operands = [operand for operand in (adder.left, adder.right) if operand != adder_graph.ZERO]
        assert all(stages.stage[operand] <= made <= stages.last[operand] for operand in operands)
        depth.append(1 + max((depth[operand] for operand in operands if stages.stage[operand] == made), default=0))
    assert max(depth) <= adder_graph.ADDERS_A_STAGE
    assert all(stages.last[output.value] == stages.count for output in graph.outputs if output.value >= 0)


def test_sums_are_shared_and_zeros_cost_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-7, 7, (8, 16), endpoint=True)
    one, twice = (adder_graph.solve(matrix, 0, 15) for matrix in (weights, np.concatenate([weights, 2 * weights])))
    wider = adder_graph.solve(np.concatenate([weights, np.zeros_like(weights)], axis=1), 0, 15)
    assert 0 < len(one.adders) < sum(bin(abs(weight)).count("1") for weight in weights.ravel().tolist())
    assert len(twice.adders) < 1.25 * len(one.adders)  # not found by exact search
    assert len(wider.adders) == len(one.adders)
    assert adder_graph.counts(adder_graph.solve(np.zeros((3, 5), dtype=np.int64), 0, 15)) == {
        "DELAY": 0, "ADDER_BITS": 0, "REGISTER_BITS": 0,
    }  # fmt: skip


def test_a_kept_graph_that_is_damaged_is_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    weights = np.random.default_rng(seed).integers(-7, 7, (3, 4), endpoint=True)
    adder_graph._solved.cache_clear()
    graph = adder_graph.solve(weights, 0, 15)
    (kept,) = tmp_path.rglob("graph.json")
    kept.write_text(kept.read_text()[:-9])
    adder_graph._solved.cache_clear()
    assert adder_graph.solve(weights, 0, 15) == graph


@pytest.mark.parametrize(
    ("changes", "style", "reason"),
    [
        ({"whole": False}, "adders", "its vector comes in several pixels"),
        ({"rows": 1000}, "adders", "6000 weights are too many for shared adders, which take 4096"),
        ({"parameters": {"ACT_BITS": 1, "ACT_SIGNED": 0, "ACT_BIPOLAR": 1}}, "adders", "activations of -1 and 1"),
        ({"parameters": {"ACT_BITS": 4, "ACT_SIGNED": 1, "ACT_BIPOLAR": 0}}, "serial", "only unsigned activations"),
        ({"parameters": {"ACT_BITS": 1, "ACT_SIGNED": 0, "ACT_BIPOLAR": 0}}, "serial", "only unsigned activations"),
        ({"columns": 7}, "adders", "PE must be 4 and SIMD 7"),
    ],
)
def test_what_it_cannot_do(changes: dict[str, object], style: str, reason: str) -> None:
    node = layer(np.ones((6, 4), dtype=np.int64), "UINT4", "INT4", "INT12")
    unit = {"PE": 4, "SIMD": 6, "mult_style": style}
    assert not KERNEL.refuses(node, unit)
    assert reason in KERNEL.refuses(replace(node, **changes), unit)
