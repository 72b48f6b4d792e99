# SPDX-License-Identifier: Apache-2.0
"""Several pixels a beat: the same logits, in fewer cycles; and what cannot be grouped is refused."""

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package
from icsort.hw.reference import finn_logits, qonnx_logits
from icsort.sim.verilator.net import run_net
from tests.hw.networks import Basic, BranchNetwork, Network, make_package, random_images

NETWORKS = {
    "convolution and pool": Network(),
    "wide kernel": Network(height=12, width=18, kernels=((3, 5), (3, 3))),
    "padded stride": BranchNetwork(height=7, width=8, stem_stride=2, blocks=(Basic(4),)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.quick(2)
def test_equal_logits_in_fewer_cycles(name, tmp_path, seed):
    network = NETWORKS[name]
    package, images = make_package(tmp_path / "package", network, 3), random_images(network, 4, 5)
    single = compile_package(package, tmp_path / "single")
    pairs = compile_package(package, tmp_path / "pairs", pixels_per_beat=2)
    expected = qonnx_logits(single, images)[0]
    assert len(np.unique(expected, axis=0)) == len(images)
    np.testing.assert_array_equal(finn_logits(pairs, images), expected)
    outcome = run_net(pairs, images, stall_runs=10, seed=seed)
    for run in outcome.runs:
        np.testing.assert_array_equal(run.logits, expected)
    steady = outcome.steady
    assert steady.done[0] - steady.first[0] == pytest.approx(pairs.net_latency_cycles, rel=0.05)
    assert steady.last[0] - steady.first[0] < network.height * network.width - 1
    assert pairs.net_latency_cycles < single.net_latency_cycles


REFUSED = {
    "width": (Network(height=12, width=13), 2, "does not divide images of width 13"),
    "columns": (Network(height=12, width=12, kernels=((3, 2), (3, 3))), 2, "and 11 columns"),
    "no pool": (BranchNetwork(blocks=(Basic(4),)), 2, "no max pool of that many columns"),
    "another pool": (Network(height=12, width=12, kernels=((3, 1), (3, 3))), 4, "no max pool of that many columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    network, pixels, message = REFUSED[name]
    package = make_package(tmp_path / "package", network, 3)
    with pytest.raises(IcsortError, match=f"{message}.*use 1 pixel a beat"):
        compile_package(package, tmp_path / "build", pixels_per_beat=pixels)
    assert not (tmp_path / "build").exists()
