# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package
from icsort.hw.folding import cycles, folding
from tests.hw.networks import Basic, BranchNetwork, Inverted, make_package

LINE = 14


@pytest.fixture
def graph(build) -> cycles.Graph:
    return cycles.read(ModelWrapper(str(build.graph)))


def load(contents: object, graph: cycles.Graph, base: folding.Folding, folder, line_cycles: int = LINE):
    path = folder / "folding.json"
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    return folding.load(path, graph, base, line_cycles)


def test_folding_is_in_the_graph_and_in_build_json(build):
    for node in ModelWrapper(str(build.graph)).graph.node:
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        layer = next(layer for layer in build.layers if layer.name == node.name)
        for key in ("PE", "SIMD"):
            if key in layer.params:
                assert attributes[key] == layer.params[key] == build.folding[node.name][key]


def test_finn_figures_are_those_of_the_same_layer(tmp_path):
    """Where branches join, FINN's specialized graph has another order: figures follow the tensor that a layer makes."""
    network = BranchNetwork(height=8, width=8, blocks=(Basic(4), Basic(8, stride=2)))
    make_package(tmp_path / "package", network, 3)
    build = compile_package(tmp_path / "package", tmp_path / "build")
    model = ModelWrapper(str(build.graph))
    matrices = {node.name: getCustomOp(node).get_nodeattr for node in model.graph.node if node.op_type == "MVAU"}
    assert len({get("MW") for get in matrices.values()}) > 2
    for cycle_target in (1024, 2048, 4096):
        chosen = folding.finn_throughput(model, "xc7z020clg400-1", cycle_target)
        for name, get in matrices.items():
            pe, simd = chosen[name]["PE"], chosen[name]["SIMD"]
            vectors = int(np.prod(get("numInputVectors")))
            assert (get("MH") % pe, get("MW") % simd) == (0, 0), name
            assert vectors * get("MH") // pe * get("MW") // simd <= cycle_target, name


def test_a_build_is_a_folding_file(build, graph):
    base = folding.complete(graph, {name: {"PE": 1, "SIMD": 1} for name in ("MVAU_0", "MVAU_1", "MVAU_2")}, LINE)
    found = folding.load(build.folder / "build.json", graph, base, LINE)
    assert found == build.folding
    assert found != base


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("{", "not JSON"),
        ("[]", "an object of layers"),
        ('{"MVAU_0": 3}', "an object of layers"),
        ('{"MVAU_9": {"PE": 1}}', "no layer 'MVAU_9'; the layers are ConvolutionInputGenerator_0"),
        ('{"MVAU_0": {"PE": 3}}', r"MVAU_0 PE 3 does not divide 4; use one of \[1, 2, 4\]"),
        ('{"MVAU_0": {"SIMD": 4}}', "MVAU_0 SIMD 4 does not divide 18"),
        ('{"MVAU_2": {"SIMD": 4}}', "MVAU_2 SIMD 4 does not divide 6"),
        ('{"Pool_0": {"SIMD": 1}}', "Pool_0 has no 'SIMD'"),
        ('{"MVAU_0": {"PE": 0}}', "must be a positive whole number"),
        ('{"MVAU_0": {"PE": true}}', "must be a positive whole number"),
        ('{"MVAU_0": {"ram_style": "tape"}}', "ram_style is 'tape'; it is one of auto, distributed, block"),
        ('{"MVAU_0": {"ram_style": "ultra"}}', "ram_style is 'ultra'; it is one of auto, distributed, block"),
        ('{"ConvolutionInputGenerator_0": {"ram_style": 1}}', "one of auto, distributed, block, ultra"),
        ('{"MVAU_0": {"mult_style": "fpga"}}', "mult_style is 'fpga'; it is one of auto, lut, dsp"),
        (
            '{"MVAU_1": {"mult_style": "adders", "PE": 1}}',
            "MVAU_1 mult_style 'adders': takes all at once",
        ),
        ('{"Pool_0": {"fifo_depth": 1}}', "Pool_0 fifo_depth 1 is less than 2"),
        ('{"ConvolutionInputGenerator_0": {"SIMD": 1}}', "sends whole windows; its SIMD must be 2"),
    ],
)
def test_bad_folding_files_are_refused(contents, message, build, graph, tmp_path):
    with pytest.raises(IcsortError, match=message):
        load(contents, graph, build.folding, tmp_path)


def test_missing_folding_file_is_refused(build, graph, tmp_path):
    with pytest.raises(IcsortError, match="cannot be read"):
        folding.load(tmp_path / "none.json", graph, build.folding, LINE)


def window(simd: int, parallel: int) -> folding.Unit:
    return {"SIMD": simd, "parallel_window": parallel, "ram_style": "auto", "fifo_depth": 2}


def test_what_a_file_leaves_out_follows_from_what_it_says(build, graph, tmp_path):
    """A SIMD of no more than the channels lets the windows come tap by tap; thresholds take what the matrix gives."""
    found = load({"MVAU_1": {"SIMD": 2, "PE": 3}}, graph, build.folding, tmp_path)
    assert found["ConvolutionInputGenerator_2"] == window(2, 0)
    assert found["Thresholding_1"]["PE"] == 3
    found = load({"MVAU_1": {"SIMD": 12}, "Thresholding_1": {"PE": 1}}, graph, build.folding, tmp_path)
    assert found["ConvolutionInputGenerator_2"] == window(4, 1)
    assert found["Thresholding_1"]["PE"] == 1


def test_adders_take_all_at_once(build, graph, tmp_path):
    """Whoever asks for them need not say so, and whoever then asks for less at a time gets multipliers again."""
    layer = graph.nodes[graph.position["MVAU_1"]]
    found = load({"MVAU_1": {"mult_style": "serial"}}, graph, build.folding, tmp_path)
    assert found["MVAU_1"].items() >= {"PE": layer.rows, "SIMD": layer.columns, "mult_style": "serial"}.items()
    assert found["ConvolutionInputGenerator_2"]["parallel_window"] == 1
    narrow = load({"MVAU_1": {"PE": 1}}, graph, found, tmp_path)
    assert narrow["MVAU_1"].items() >= {"PE": 1, "SIMD": layer.columns, "mult_style": "auto"}.items()


def test_a_slower_folding_predicts_more_cycles(build, graph, tmp_path):
    slow = load({"MVAU_1": {"PE": 1, "SIMD": 1}}, graph, build.folding, tmp_path)
    prediction = cycles.predict(graph, slow, LINE)
    assert prediction.layers["MVAU_1"][0] == 3 * 4 * 36 * 6  # windows x MW x MH
    assert prediction.interval == prediction.layers["MVAU_1"][0]
    assert prediction.after_last_pixel > 1000


def test_lines_that_come_slowly_leave_less_to_do(build, graph):
    """By hand: what comes 5 cycles a pixel later ends 5 cycles a pixel later, and with nothing left over."""
    dense, slow = (cycles.predict(graph, build.folding, pace * LINE) for pace in (1, 5))
    assert slow.latency > dense.latency
    assert slow.after_last_pixel <= dense.after_last_pixel
    assert slow.interval == 5 * 12 * LINE


@pytest.fixture(scope="module")
def residual(tmp_path_factory) -> tuple[cycles.Graph, folding.Folding]:
    folder = tmp_path_factory.mktemp("residual")
    network = BranchNetwork(height=6, width=9, blocks=(Basic(4),))
    build = compile_package(make_package(folder / "package", network, 1), folder / "build")
    return cycles.read(ModelWrapper(str(build.graph))), build.folding


def test_join_fifo_holds_what_two_convolutions_wait_for(residual):
    """By hand: two 3 x 3 convolutions look two rows and two pixels ahead; the longer branch needs no room."""
    _, chosen = residual
    ahead = 2 * 9 + 2
    beats = 4 // chosen["ElementwiseAdd_0"]["PE"]
    assert ahead * beats < chosen["ElementwiseAdd_0"]["rhs_fifo_depth"] < (2 * ahead + 20) * beats
    assert chosen["ElementwiseAdd_0"]["lhs_fifo_depth"] < 6 * beats


def test_join_fifo_follows_the_folding_and_a_file_overrides_it(residual, tmp_path):
    graph, base = residual
    wide = load({"ElementwiseAdd_0": {"PE": 4}}, graph, base, tmp_path, 9)["ElementwiseAdd_0"]
    narrow = load({"ElementwiseAdd_0": {"PE": 1}}, graph, base, tmp_path, 9)["ElementwiseAdd_0"]
    assert narrow["rhs_fifo_depth"] > 2 * wide["rhs_fifo_depth"]  # 4 beats a pixel
    given = load({"ElementwiseAdd_0": {"PE": 4, "rhs_fifo_depth": 99}}, graph, base, tmp_path, 9)["ElementwiseAdd_0"]
    assert given == {**wide, "rhs_fifo_depth": 99}
    with pytest.raises(IcsortError, match="rhs_fifo_depth 1 is less than 2"):
        load({"ElementwiseAdd_0": {"rhs_fifo_depth": 1}}, graph, base, tmp_path, 9)


def test_depthwise_windows_must_agree_with_who_takes_them(tmp_path):
    network = BranchNetwork(height=6, width=8, blocks=(Inverted(4),))
    build = compile_package(make_package(tmp_path / "package", network, 1), tmp_path / "build")
    graph = cycles.read(ModelWrapper(str(build.graph)))
    name = graph.producer[next(node for node in graph.nodes if node.op == "VVAU").inputs[0]].name
    base = load({"VVAU_0": {"PE": 2, "SIMD": 1}}, graph, build.folding, tmp_path)
    assert base[name] == window(2, 0)
    with pytest.raises(IcsortError, match=f"{name} needs the PE of VVAU_0 as its SIMD"):
        load({"VVAU_0": {"PE": 2, "SIMD": 1}, name: {"SIMD": 4}}, graph, base, tmp_path)
    with pytest.raises(IcsortError, match="must have one parallel_window"):
        load({name: {"parallel_window": 1}}, graph, base, tmp_path)
