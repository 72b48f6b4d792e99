# SPDX-License-Identifier: Apache-2.0
"""Whole networks: every logit of icsort_net in Verilator against FINN's graph and against QONNX."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from icsort.formats.build import Build
from icsort.hw.compile import compile_package
from icsort.hw.folding.folding import MARGIN
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.simulate.layer_times import layer_figures
from icsort.sim.verilator.net import run_net
from tests.hw.networks import Basic, BranchNetwork, Inverted, Network, Parallel, make_package, random_images

# Small units, so that vectors are replayed, sums accumulate over beats, and converters of both kinds appear.
NARROW = {
    "MVAU_0": {"PE": 2, "SIMD": 3, "fifo_depth": 5},
    "Thresholding_0": {"PE": 1},
    "MVAU_1": {"PE": 1, "SIMD": 1},
    "Thresholding_1": {"PE": 6},
    "MVAU_2": {"PE": 1, "SIMD": 2},
}


# Both kinds of shortcut and of join; vectors that are replayed, and accumulators over taps, behind the strides; a pool
# whose border is padded.
BRANCHES = {
    "residual": BranchNetwork(height=7, width=6, blocks=(Basic(4), Basic(6, stride=2))),
    "padded pool": BranchNetwork(height=9, width=10, pool=True, blocks=(Basic(4),)),
    "parallel": BranchNetwork(height=7, width=8, blocks=(Parallel((3, 5), (1, 3)),)),
    "dense": BranchNetwork(height=6, width=7, blocks=(Parallel((2, 3), (1, 3), dense=True),)),
    "depthwise": BranchNetwork(
        height=7,
        width=8,
        blocks=(Inverted(4, expand=1), Inverted(6, stride=2), Inverted(6, quantize_sum=False)),
        head=8,
    ),
}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return random_images(Network(), 8, 5)


@pytest.fixture
def folder(build: Build, tmp_path: Path) -> Path:
    """A folder with a fresh copy of the build's memory files, to be damaged."""
    shutil.copytree(build.folder / "mem", tmp_path / "mem")
    return tmp_path


@pytest.fixture(scope="module")
def expected(build: Build, images: np.ndarray) -> np.ndarray:
    """Both references, which must agree before the RTL is looked at."""
    logits = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], logits)
    assert len(np.unique(logits, axis=0)) == len(images)
    return logits


def test_full_rate_and_predicted_cycles(build, images, expected):
    run = run_net(build, images).steady
    np.testing.assert_array_equal(run.logits, expected)
    assert set((run.done - run.first).tolist()) == {build.net_latency_cycles}
    assert set((run.done - run.last).tolist()) == {build.last_pixel_latency_cycles}
    assert set(np.diff(run.first).tolist()) == {build.interval_cycles}


def test_random_stalls(build, images, expected, seed):
    outcome = run_net(build, images, stall_runs=20, seed=seed)
    assert [run.seed for run in outcome.stalled] == list(range(seed, seed + 20))
    for run in outcome.runs:
        np.testing.assert_array_equal(run.logits, expected)


def test_narrow_folding_of_signed_activations(images, tmp_path, seed):
    package = make_package(tmp_path / "package", Network(signed_activations=True), 2)
    (tmp_path / "folding.json").write_text(json.dumps(NARROW))
    narrow = compile_package(package, tmp_path / "build", folding=tmp_path / "folding.json")
    expected = finn_logits(narrow, images[:3])
    np.testing.assert_array_equal(qonnx_logits(narrow, images[:3])[0], expected)
    for run in run_net(narrow, images[:3], stall_runs=5, seed=seed).runs:
        np.testing.assert_array_equal(run.logits, expected)


@pytest.mark.parametrize("board", ["virtual", "zcu104"])  # DSP slices of both widths
def test_products_in_dsp_slices(board, tmp_path, seed):
    """All layers with DSP slices, folded so that several products share one, of 7 x 8 residual and depthwise blocks."""
    package = make_package(tmp_path / "package", BRANCHES["depthwise"], 4)
    plain = compile_package(package, tmp_path / "plain", board=board)
    style = {name: {"mult_style": "dsp"} for name, unit in plain.folding.items() if "mult_style" in unit}
    style["MVAU_0"] |= {"PE": 4}
    (tmp_path / "folding.json").write_text(json.dumps(style))
    build = compile_package(package, tmp_path / "build", board=board, folding=tmp_path / "folding.json")
    matrices = [layer for layer in build.layers if layer.op in ("MVAU", "VVAU")]
    assert {layer.params["MULT_STYLE"] for layer in matrices} == {"dsp"}
    assert sum(layer.resources["DSP"] for layer in matrices) > 0
    images = random_images(BRANCHES["depthwise"], 3, 5)
    expected = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], expected)
    for run in run_net(build, images, stall_runs=2, seed=seed).runs:
        np.testing.assert_array_equal(run.logits, expected)


def flip(path: Path, word: int, bit: int) -> None:
    lines = path.read_text().splitlines()
    lines[word] = f"{int(lines[word], 16) ^ (1 << bit):0{len(lines[word])}x}"
    path.write_text("".join(f"{line}\n" for line in lines))


def test_one_flipped_weight_bit_is_caught(build, folder, images, expected):
    """Top bit of a weight of class 1, last element of the last pixel: class 1 changes where that element is not 0."""
    layer = build.layers[-1]
    params = layer.params
    bit = (1 * params["SIMD"] + params["SIMD"] - 1) * params["WEIGHT_BITS"] + params["WEIGHT_BITS"] - 1
    path = folder / layer.memory
    flip(path, len(path.read_text().splitlines()) - 1, bit)
    wrong = run_net(build, images, memories=folder).steady.logits != expected
    assert wrong[:, 1].any()
    assert not wrong[:, [0, 2]].any()


def test_one_flipped_threshold_bit_is_caught(build, folder, images, expected):
    layer = next(layer for layer in build.layers if layer.kernel == "threshold")
    params = layer.params
    flip(folder / layer.memory, 0, (params["STEPS"] // 2) * params["IN_BITS"] + params["IN_BITS"] - 1)
    assert (run_net(build, images, memories=folder).steady.logits != expected).any()


@pytest.mark.parametrize("name", BRANCHES)
def test_branches(name, tmp_path, seed):
    """At full rate and under random stalls, several frames back to back: each logit equal, and no join stands still."""
    images = random_images(BRANCHES[name], 4, 5)
    build = compile_package(make_package(tmp_path / "package", BRANCHES[name], 3), tmp_path / "build")
    expected = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], expected)
    assert len(np.unique(expected, axis=0)) == len(images)
    outcome = run_net(build, images, stall_runs=20, seed=seed)
    for run in outcome.runs:
        np.testing.assert_array_equal(run.logits, expected)
    steady = outcome.steady  # later frames also wait where borders make more pixels than came
    assert steady.done[0] - steady.first[0] == pytest.approx(build.net_latency_cycles, rel=0.05)
    assert np.diff(steady.first).mean() == pytest.approx(build.interval_cycles, rel=0.05)


@pytest.mark.parametrize("name", ["depthwise", "dense"])
def test_layers_end_and_joins_hold_as_the_model_says(name, tmp_path):
    """Of all layers, 35 in the larger one, the cycle in which each gave its last result, from an empty network; and the
    beats that waited in front of joins while images followed each other, for which the model chose the depths."""
    images = random_images(BRANCHES[name], 4, 5)
    build = compile_package(make_package(tmp_path / "package", BRANCHES[name], 3), tmp_path / "build")
    outcome = run_net(build, images)
    peaks = {fifo.name: int(peak) for fifo, peak in zip(outcome.fifos, outcome.steady.peak, strict=True)}
    joins = [fifo for layer in build.netlist.layers for fifo in build.netlist.join_fifos(layer)]
    assert [fifo.parameters["DEPTH"] - MARGIN for fifo in joins] == [peaks[f"u_{fifo.name}"] for fifo in joins]
    figures = layer_figures(build, outcome)
    assert {layer.instance: layer.last_beat for layer in figures} == {
        layer.instance: layer.predicted for layer in figures
    }


def test_pools_tap_by_tap(images, tmp_path):
    """A folding file may let windows come tap by tap, half of the channels at a time, and the pool takes them so."""
    halves = {"parallel_window": 0}
    folding = {"Pool_0": {"PE": 2, **halves}, "ConvolutionInputGenerator_1": {"SIMD": 2, **halves}}
    (tmp_path / "folding.json").write_text(json.dumps(folding))
    package = make_package(tmp_path / "package", Network(), 1)
    build = compile_package(package, tmp_path / "build", folding=tmp_path / "folding.json")
    assert "max_pool_folded" in {instance.module for instance in build.netlist.layers}
    run = run_net(build, images).steady
    np.testing.assert_array_equal(run.logits, finn_logits(build, images))
    assert run.done[0] - run.first[0] == build.net_latency_cycles  # later images wait for the slow pool
