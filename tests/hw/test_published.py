# SPDX-License-Identifier: Apache-2.0
"""Networks of others, with random weights: every logit of the RTL against FINN's graph and QONNX's execution."""

from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from hw import frontend
from hw.compile import compile_package
from hw.reference import finn_logits, qonnx_logits
from quant.export import write_qonnx
from sim.bit_true import manifest
from sim.net import run_net
from tests.hw.networks import Network, random_images, write_manifest
from tests.hw.published import PUBLISHED, build

SMALL = ("tfc-1w1a", "tfc-1w2a", "tfc-2w2a")


def like(name: str) -> Network:
    channels, height, width = PUBLISHED[name].shape
    return Network(height, width, channels, classes=PUBLISHED[name].classes)


def package(name: str, folder: Path, seed: int) -> Path:
    network = build(name, seed)
    folder.mkdir()
    write_qonnx(network, PUBLISHED[name].shape, folder / manifest.MODEL_FILE)
    write_manifest(folder, like(name), network.logit_scale())
    return folder


@pytest.mark.parametrize("name", [n if n in SMALL else pytest.param(n, marks=pytest.mark.full) for n in PUBLISHED])
def test_the_front_end_takes_it(name, tmp_path):
    """Its own check after each pass is the comparison; here: what the layers became."""
    folder, network = package(name, tmp_path / "package", 1), like(name)
    graph = frontend.convert(
        folder / manifest.MODEL_FILE,
        shape=(network.height, network.width, network.channels),
        classes=network.classes,
        scale=manifest.load(folder).logits.scale,
        images=random_images(network, 2, 1),
    ).model
    products = [node for node in graph.graph.node if node.op_type == "MVAU"]
    weights, activations = (int(part[0]) for part in name.partition("-")[2].split("w"))
    hidden = {tuple(graph.get_tensor_datatype(tensor).name for tensor in node.input) for node in products[1:-1]}
    kinds = {1: "BIPOLAR", 2: "INT2"}
    assert hidden == {(kinds[activations], kinds[weights])}
    # One bit by one bit is counted, not added: without thresholds behind it the last layer must not be.
    assert {graph.get_tensor_datatype(tensor) for tensor in products[-1].input} != {DataType["BIPOLAR"]}


@pytest.mark.parametrize("name", [SMALL[0], *(pytest.param(n, marks=pytest.mark.full) for n in SMALL[1:])])
def test_the_rtl_equals_it(name, tmp_path, seed):
    compiled = compile_package(package(name, tmp_path / "package", 1), tmp_path / "build")
    images = random_images(like(name), 4, 5)
    expected = finn_logits(compiled, images)
    np.testing.assert_array_equal(qonnx_logits(compiled, images)[0], expected)
    assert len(np.unique(expected, axis=0)) == len(images)
    for run in run_net(compiled, images, stall_runs=2, seed=seed).runs:
        np.testing.assert_array_equal(run.logits, expected)
