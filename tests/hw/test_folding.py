# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from hw import folding
from hw.compile import compile_package
from sim.bit_true.errors import IcsortError
from tests.hw.networks import Basic, BranchNetwork, make_package


@pytest.fixture
def model(build) -> ModelWrapper:
    return ModelWrapper(str(build.graph))


def test_chosen_folding_keeps_up_with_one_pixel_a_cycle(model):
    """By hand: a window each cycle; behind a 2 x 2 pool a pixel each 2 cycles, behind the second each 4."""
    chosen = folding.choose(model)
    assert chosen["MVAU_0"] == {"PE": 4, "SIMD": 18, "fifo_depth": 2}  # 1 cycle a window
    assert chosen["MVAU_1"] == {"PE": 3, "SIMD": 36, "fifo_depth": 2}  # 2 cycles
    assert chosen["MVAU_2"] == {"PE": 3, "SIMD": 2, "fifo_depth": 2}  # 3 of at most 4 cycles for 6 channels
    assert (chosen["Thresholding_0"]["PE"], chosen["Thresholding_1"]["PE"]) == (4, 3)


def test_folding_is_in_the_graph_and_in_build_json(build, model):
    chosen = folding.choose(model)
    assert build.data["folding"] == chosen
    for layer in build.data["layers"]:
        for key in ("PE", "SIMD"):
            if key in chosen[layer["name"]]:
                assert layer["params"][key] == chosen[layer["name"]][key]


def test_a_build_is_a_folding_file(build, model):
    assert folding.load(build.folder / "build.json", model) == build.data["folding"]


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
        ('{"Pool_0": {"PE": 1}}', "Pool_0 has no 'PE'"),
        ('{"MVAU_0": {"PE": 0}}', "must be a positive whole number"),
        ('{"MVAU_0": {"PE": true}}', "must be a positive whole number"),
        ('{"Pool_0": {"fifo_depth": 1}}', "Pool_0 fifo_depth 1 is less than 2"),
    ],
)
def test_bad_folding_files_are_refused(contents, message, model, tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(contents)
    with pytest.raises(IcsortError, match=message):
        folding.load(path, model)


def test_missing_folding_file_is_refused(model, tmp_path):
    with pytest.raises(IcsortError, match="cannot be read"):
        folding.load(tmp_path / "none.json", model)


def test_a_slower_folding_predicts_more_cycles(model, tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"MVAU_1": {"PE": 1, "SIMD": 1}}))
    folding.apply(model, folding.load(path, model))
    slow = folding.predict(model)
    assert slow.layers["MVAU_1"][0] == 3 * 4 * 36 * 6  # windows x MW x MH
    assert slow.interval == slow.layers["MVAU_1"][0]
    assert slow.after_last_pixel > 1000


def test_budget_names_resource_amount_and_largest_layer():
    estimate = {"a": {"LUT": 10, "DSP": 1}, "b": {"LUT": 30, "DSP": 0}}
    folding.check_budget(estimate, {"LUT": 40, "DSP": 1}, "small")
    with pytest.raises(IcsortError, match="needs 40 LUT by FINN's estimate, board 'small' has 39; b takes 30"):
        folding.check_budget(estimate, {"LUT": 39, "DSP": 1}, "small")


@pytest.fixture(scope="module")
def residual(tmp_path_factory) -> ModelWrapper:
    folder = tmp_path_factory.mktemp("residual")
    network = BranchNetwork(height=6, width=9, blocks=(Basic(4),))
    return ModelWrapper(str(compile_package(make_package(folder / "package", network, 1), folder / "build").graph))


def test_join_fifo_holds_what_two_convolutions_wait_for(residual):
    """By hand: two 3 x 3 convolutions look two rows and two pixels ahead; the longer branch needs no room."""
    join = folding.choose(residual)["ElementwiseAdd_0"]
    ahead = 2 * 9 + 2
    assert ahead < join["rhs_fifo_depth"] < 2 * ahead + 20
    assert join["lhs_fifo_depth"] < 6


def test_join_fifo_follows_the_folding_and_a_file_overrides_it(residual, tmp_path):
    path = tmp_path / "folding.json"
    chosen = folding.choose(residual)["ElementwiseAdd_0"]
    path.write_text('{"ElementwiseAdd_0": {"PE": 1}}')
    narrow = folding.load(path, residual)["ElementwiseAdd_0"]
    assert narrow["rhs_fifo_depth"] > 3 * chosen["rhs_fifo_depth"]  # 4 beats a pixel
    path.write_text('{"ElementwiseAdd_0": {"rhs_fifo_depth": 99}}')
    assert folding.load(path, residual)["ElementwiseAdd_0"] == {**chosen, "rhs_fifo_depth": 99}
    path.write_text('{"ElementwiseAdd_0": {"rhs_fifo_depth": 1}}')
    with pytest.raises(IcsortError, match="rhs_fifo_depth 1 is less than 2"):
        folding.load(path, residual)
