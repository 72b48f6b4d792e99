# SPDX-License-Identifier: Apache-2.0
"""What another folding makes of the latency, against following every pixel through the whole network anew."""

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from icsort.hw.compile import compile_package
from icsort.hw.folding import cycles, folding, optimizer
from icsort.hw.folding.trials import Trials
from tests.hw.networks import Basic, BranchNetwork, Inverted, Network, make_package

NETWORKS = {
    "branches": BranchNetwork(height=9, width=10, blocks=(Basic(4), Basic(4), Inverted(6, stride=2)), head=8),
    "chain": Network(),
}


@pytest.fixture(scope="module", params=NETWORKS)
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> cycles.Graph:
    folder = tmp_path_factory.mktemp("trials")
    package = make_package(folder / "package", NETWORKS[request.param], 1)
    return cycles.read(ModelWrapper(str(compile_package(package, folder / "build").graph)))


def drawn(graph: cycles.Graph, random: np.random.Generator) -> folding.Folding:
    """Any folding of the layers that multiply."""
    inventory, chosen = optimizer.Inventory(graph, "xc7"), {}
    for node in graph.nodes:
        if node.op in folding.MULTIPLIERS:
            options = inventory.options(node)
            chosen |= options[random.integers(len(options))].units
    return chosen


def test_every_cut_tells_the_latency(graph: cycles.Graph, seed: int) -> None:
    random = np.random.default_rng(seed)
    for line_cycles in random.integers(graph.width, 100, 5):
        trials = Trials(graph, drawn(graph, random), int(line_cycles))
        for crossing in trials.crossing:
            streams = ((trials.flow.streams[tensor], trials.left[tensor]) for tensor in crossing)
            assert max(int((stream.times + left).max()) for stream, left in streams) == trials.latency


def test_another_folding_of_a_layer_is_followed_exactly(graph: cycles.Graph, seed: int) -> None:
    random = np.random.default_rng(seed)
    inventory, differ = optimizer.Inventory(graph, "xc7"), 0
    for _ in range(6):
        line_cycles, chosen = int(random.integers(graph.width, 100)), drawn(graph, random)
        trials = Trials(graph, chosen, line_cycles)
        for node in graph.nodes:
            if node.op not in folding.MULTIPLIERS:
                continue
            options = inventory.options(node)
            units = options[random.integers(len(options))].units
            tried = folding.derive(graph, {**chosen, **units})
            first = (
                min(graph.position[name] for name in graph.position if tried[name] != trials.units[name])
                if tried != trials.units
                else graph.position[node.name]
            )
            whole = cycles.latency(graph, cycles.follow(graph, tried, line_cycles).streams)
            assert trials.latency_with(units, min(first, graph.position[node.name])) == whole
            differ += whole != trials.latency
    assert differ > 3
