# SPDX-License-Identifier: Apache-2.0
"""Networks of others, with random weights: every logit of the RTL against FINN's graph and QONNX's execution."""

from pathlib import Path

import numpy as np
import pytest
import torch
from brevitas_examples.imagenet_classification.models.mobilenetv1 import MobileNet
from qonnx.core.datatype import DataType

from icsort.formats import package as manifest
from icsort.hw.compile import compile_package
from icsort.hw.folding.explore import ALL_IN, EQUAL, FINN, OURS, explore
from icsort.hw.frontend import convert as frontend
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.quant.networks.published import Published, published
from icsort.quant.networks.registry import PUBLISHED
from icsort.quant.packaging.export import write_qonnx
from icsort.sim.flows.benchmark import NETWORKS, load_networks
from icsort.sim.verilator.net import run_net
from tests.hw.networks import Network, random_images, write_manifest

QUICK = ("tfc-1w1a", "tfc-1w2a", "tfc-2w2a")
# All that is special about MobileNetV1, in few channels: a scale a channel in front of depthwise convolutions, a
# truncated average, a bias a class; its first layer and its head in 4 bits as well.
SMALL = Published(
    "small MobileNetV1",
    (2, 8, 8),
    lambda classes: MobileNet(
        channels=[[8], [12], [24, 24]],
        first_stage_stride=False,
        act_bit_width=4,
        weight_bit_width=4,
        round_average_pool=False,
        first_layer_bit_width=4,
        last_layer_bit_width=4,
        avg_pool_kernel_size=2,
        in_channels=2,
        num_classes=classes,
    ),
    classes=6,
)


def like(published: Published) -> Network:
    channels, height, width = published.shape
    return Network(height, width, channels, classes=published.classes)


def package(published: Published, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = published.build(published.classes)
        network.calibrate(torch.randint(0, 256, (2, 16, *published.shape)).float().unbind())
    folder.mkdir()
    write_qonnx(network, published.shape, folder / manifest.MODEL_FILE)
    write_manifest(folder, like(published), network.logit_scale())
    return folder


def convert(folder: Path, network: Network) -> frontend.HardwareGraph:
    return frontend.convert(
        folder / manifest.MODEL_FILE,
        shape=(network.height, network.width, network.channels),
        classes=network.classes,
        scale=manifest.load(folder).logits.scale,
        images=random_images(network, 2, 1),
    )


def check_rtl(folder: Path, published: Published, count: int, seed: int, **target: str | float | None) -> None:
    compiled = compile_package(folder, folder.parent / "build", **target)
    images = random_images(like(published), count, 5)
    expected = finn_logits(compiled, images)
    np.testing.assert_array_equal(qonnx_logits(compiled, images)[0], expected)
    assert len(np.unique(expected, axis=0)) == len(images)
    for run in run_net(compiled, images, stall_runs=2, seed=seed).runs:
        np.testing.assert_array_equal(run.logits, expected)


FEW_BITS = [name for name in PUBLISHED if name != "mobilenet-v1-4b"]


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in FEW_BITS])
def test_the_front_end_takes_it(name, tmp_path):
    """Its own check after each pass is the comparison; here: what the layers became."""
    graph = convert(package(published(name), tmp_path / "package", 1), like(published(name))).model
    products = [node for node in graph.graph.node if node.op_type == "MVAU"]
    weights, activations = (int(part[0]) for part in name.partition("-")[2].split("w"))
    hidden = {tuple(graph.get_tensor_datatype(tensor).name for tensor in node.input) for node in products[1:-1]}
    kinds = {1: "BIPOLAR", 2: "INT2"}
    assert hidden == {(kinds[activations], kinds[weights])}
    # One bit by one bit is counted, not added: without thresholds behind it the last layer must not be.
    assert {graph.get_tensor_datatype(tensor) for tensor in products[-1].input} != {DataType["BIPOLAR"]}


def test_explore_folds_a_vector_that_comes_pixel_by_pixel(tmp_path):
    """FINN would take more of it at once than a pixel has."""
    network = published("tfc-1w1a")
    found = explore([package(network, tmp_path / "package", 1)], ["pynq_z2"], [100_000.0])
    assert not found.refused
    assert [point.folding for point in found.points] == [FINN, OURS, ALL_IN, EQUAL]


@pytest.mark.full
def test_a_small_mobilenet_v1(tmp_path, seed):
    folder = package(SMALL, tmp_path / "package", 1)
    graph = convert(folder, like(SMALL))
    found = [(node.op_type, graph.sources[node.name]) for node in graph.model.graph.node][-5:]
    assert found == [
        ("Thresholding", "Quant_15"),
        ("GlobalAccPool", "AveragePool_0"),
        ("Thresholding", "Trunc_0"),
        ("MVAU", "Gemm_0"),
        ("ElementwiseAdd", "Gemm_0"),
    ]
    # floor(sum / 4): a step at every fourth sum.
    steps = [node for node in graph.model.graph.node if node.op_type == "Thresholding"][-1]
    np.testing.assert_array_equal(graph.model.get_initializer(steps.input[1]), [[4.0 * step for step in range(1, 16)]])
    check_rtl(folder, SMALL, 8, seed)


@pytest.mark.parametrize(
    "name", [QUICK[0], *(pytest.param(n, marks=pytest.mark.full) for n in PUBLISHED if n != QUICK[0])]
)
def test_the_rtl_equals_it(name, tmp_path, seed):
    """On the board and at the rate of the benchmark."""
    (network,) = load_networks(NETWORKS, [name])
    folder = package(published(name), tmp_path / "package", 1)
    check_rtl(folder, published(name), network.images, seed, board=network.board, rate=network.rate)
