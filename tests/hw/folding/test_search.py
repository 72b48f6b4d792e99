# SPDX-License-Identifier: Apache-2.0
"""The search against the generator (what is placed), the cycle model (what is gained) and all foldings (small ones)."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package, load_board
from icsort.hw.folding import cycles, folding, search
from icsort.hw.frontend.convert import HardwareGraph
from icsort.hw.netlist import generator
from tests.hw.networks import Basic, BranchNetwork, Inverted, make_package

NETWORK = BranchNetwork(height=7, width=8, blocks=(Basic(4), Inverted(6, stride=2)), head=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> ModelWrapper:
    folder = tmp_path_factory.mktemp("search")
    return ModelWrapper(str(compile_package(make_package(folder / "package", NETWORK, 1), folder / "build").graph))


@pytest.fixture(scope="module")
def graph(model) -> cycles.Graph:
    return cycles.read(model)


def target(graph: cycles.Graph, budget: dict[str, int], frame_cycles: int) -> search.Target:
    return search.Target("test", "xc7", budget, True, frame_cycles // graph.height, frame_cycles)


PLENTY = {"LUT": 10**6, "DSP": 10**4, "BRAM_18K": 10**4, "URAM": 0}


def test_inventory_is_what_the_generator_places(model, graph, seed):
    random = np.random.default_rng(seed)
    inventory = search.Inventory(model, graph, "xc7")
    for _ in range(5):
        chosen = {}
        for node in graph.nodes:
            if node.op in folding.MULTIPLIERS:
                options = search.options(inventory, node)
                chosen |= options[random.integers(len(options))].units
        whole = folding.complete(graph, chosen, 100)
        sources = {node.name: node.name for node in graph.nodes}
        netlist = generator.generate(HardwareGraph(model, 1.0, sources, {}), whole, "xc7").netlist
        placed = [(instance.module, instance.parameters) for instance in netlist.instances]
        counted = [*inventory.glue(whole), *(inventory.kernel(node, whole[node.name]) for node in graph.nodes)]
        frozen = [Counter((kernel, *sorted(made.items())) for kernel, made in made_of) for made_of in (placed, counted)]
        assert frozen[0] == frozen[1]
        layers, glue = search.resources(netlist, "xc7")
        total = {key: glue[key] + sum(layer[key] for layer in layers.values()) for key in glue}
        assert list(total.values()) == list(inventory.total(whole))


def test_a_larger_budget_is_never_slower_and_is_kept(model, graph):
    inventory = search.Inventory(model, graph, "xc7")
    reached = []
    for luts in (6_000, 9_000, 30_000):
        budget = {**PLENTY, "LUT": luts}
        goal = target(graph, budget, 4000)
        found = search.fold(model, graph, goal)
        assert (inventory.total(found) <= goal.limits).all()
        prediction = cycles.predict(graph, found, goal.line_cycles)
        assert prediction.interval <= 4000
        reached.append(prediction.after_last_pixel)
    assert reached == sorted(reached, reverse=True)
    assert reached[0] > reached[-1]


def test_with_plenty_nothing_faster_is_left_out(model, graph):
    """No single layer can be folded otherwise and gain a thirtieth: checked with every option of every layer."""
    goal = target(graph, PLENTY, 4000)
    found = search.fold(model, graph, goal)
    inventory = search.Inventory(model, graph, "xc7")
    chosen = {node.name: found[node.name] for node in graph.nodes if node.op in (*folding.MULTIPLIERS, "Thresholding")}
    best = cycles.predict(graph, found, goal.line_cycles).after_last_pixel
    for node in graph.nodes:
        for option in search.options(inventory, node) if node.op in folding.MULTIPLIERS else ():
            other = folding.complete(graph, {**chosen, **option.units}, goal.line_cycles)
            assert cycles.predict(graph, other, goal.line_cycles).after_last_pixel >= best * 29 // 30


def test_a_board_without_a_limit_takes_what_is_too_large_for_it(model, graph):
    """As cheap as its rate allows, in what is short: each layer by itself against every PE and SIMD that keeps up."""
    goal = search.Target("test", "xc7", {**PLENTY, "LUT": 50}, False, 60, 500)
    found = search.fold(model, graph, goal)
    inventory = search.Inventory(model, graph, "xc7")
    luts = folding.RESOURCES.index("LUT")
    for node in graph.nodes:
        if node.op in folding.MULTIPLIERS:
            able = [option for option in search.options(inventory, node) if option.busy <= 500]
            mine = next(
                option
                for option in able
                if all(found[name][key] == value for name, unit in option.units.items() for key, value in unit.items())
            )
            assert mine.amounts[luts] == min(option.amounts[luts] for option in able)


def test_dsp_slices_take_work_where_luts_are_scarce(model, graph):
    """The first budget of LUTs, in steps of a tenth, that is too small without DSP slices is kept with them."""
    inventory = search.Inventory(model, graph, "xc7")
    luts, enough = 10_000, True
    while enough:
        try:
            search.fold(model, graph, target(graph, {**PLENTY, "LUT": luts, "DSP": 0}, 200))
            luts = luts * 9 // 10
        except IcsortError:
            enough = False
    goal = target(graph, {**PLENTY, "LUT": luts}, 200)
    found = search.fold(model, graph, goal)
    assert (inventory.total(found) <= goal.limits).all()
    assert any(unit.get("mult_style") == "dsp" for unit in found.values())


def test_options_that_another_one_beats_are_left_out(model, graph, seed):
    """Against a plain comparison of each with each."""
    inventory = search.Inventory(model, graph, "xcup")
    random = np.random.default_rng(seed)
    drawn = [search.Option({}, int(busy), sizes) for busy, *sizes in random.integers(0, 4, (60, 5))]
    for options in (drawn, search.options(inventory, next(node for node in graph.nodes if node.op == "MVAU"))):
        sizes = [(option.busy, *option.amounts) for option in options]
        beaten = {mine for mine in sizes for other in sizes if other != mine and np.less_equal(other, mine).all()}
        kept = [(option.busy, *option.amounts) for option in search._undominated(options)]
        assert sorted(kept) == sorted(set(sizes) - beaten)


@pytest.mark.parametrize(
    ("budget", "frame_cycles", "message"),
    [
        (
            {**PLENTY, "LUT": 7_000},
            100,
            r"needs \d+ LUT for a cell each 100 cycles, board 'test' has 7000; .*what fits",
        ),
        ({**PLENTY, "LUT": 50}, 4000, "board 'test' has 50; .*it does not fit at any rate"),
    ],
)
def test_a_budget_that_is_too_small(budget, frame_cycles, message, model, graph):
    with pytest.raises(IcsortError, match=message):
        search.fold(model, graph, target(graph, budget, frame_cycles))


def test_what_is_said_to_fit_does_fit(model, graph):
    goal = target(graph, {**PLENTY, "LUT": 7_000}, 100)
    with pytest.raises(IcsortError) as refused:
        search.fold(model, graph, goal)
    fits = int(str(refused.value).rpartition("what fits takes ")[2].split()[0])
    found = search.fold(model, graph, target(graph, dict(goal.budget), fits))
    assert (search.Inventory(model, graph, "xc7").total(found) <= goal.limits).all()


@pytest.mark.parametrize(
    ("rate", "line_rate", "message"),
    [(3e6, None, "at most 1785714 cells/s at 100 MHz"), (1000.0, 2e7, "at most 12500000 lines/s at 100 MHz")],
)
def test_rates_that_no_folding_reaches(rate, line_rate, message, graph):
    with pytest.raises(IcsortError, match=message):
        search.target(load_board("virtual"), graph, rate, line_rate)


@pytest.mark.parametrize("fill", [0.0, -0.5, 1.01, float("nan")])
def test_shares_that_no_network_can_take(fill, graph):
    with pytest.raises(IcsortError, match=r"--fill .* more than 0 and at most 1"):
        search.target(load_board("zcu104"), graph, None, None, fill)


def test_fill_leaves_room(model, graph):
    """With half of a board a network is folded as on a board of half the size."""
    small = {"LUT": 9_000, "DSP": 8, "BRAM_18K": 10, "URAM": 0}
    double = {key: 2 * amount + 1 for key, amount in small.items()}
    half = replace(target(graph, double, 4000), fill=0.5)
    assert search.fold(model, graph, half) == search.fold(model, graph, target(graph, small, 4000))
    with pytest.raises(IcsortError, match=r"board 'test' has 5 at --fill 0\.1; .*does not fit at any rate"):
        search.fold(model, graph, replace(target(graph, {**PLENTY, "LUT": 50}, 4000), fill=0.1))


def test_finn_folds_for_throughput_and_waits_longer(model, graph):
    """FINN's own SetFolding at the same rate, placed on our kernels: fewer resources, and a longer wait at the end."""
    goal = target(graph, PLENTY, 2000)
    theirs = folding.complete(graph, folding.finn_throughput(model, "xc7z020clg400-1", 2000), goal.line_cycles)
    ours = search.fold(model, graph, goal)
    late, early = (cycles.predict(graph, found, goal.line_cycles).after_last_pixel for found in (theirs, ours))
    assert early < late
    busy = [cycles.predict(graph, theirs, goal.line_cycles).layers[name][0] for name in theirs]
    assert max(busy) <= 2000
