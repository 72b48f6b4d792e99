# SPDX-License-Identifier: Apache-2.0
"""Quantizers to thresholds: the file's own staircase at every number, ties and rounding modes included."""

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from icsort.errors import IcsortError
from icsort.hw.frontend import convert as frontend
from icsort.hw.frontend.fast_model import FastModel
from icsort.hw.frontend.steps import QuantizersToThresholds
from tests.hw.frontend.test_convert import SMALL, bypass, set_constant
from tests.hw.networks import QUANT_DOMAIN, make_model, random_images

CHANNELS = 3
NORM = {"gamma": [1.5, -0.7, 0.3], "beta": [0.5, 0.25, -3.0], "mean": [4.0, -2.0, 0.0], "variance": [1.0, 4.0, 0.3]}
# What stands in front of the quantizer: (operation, constants, attributes).
FRONTS = {
    "nothing": [],
    "relu": [("Relu", [], {})],
    "batch norm, relu": [("BatchNormalization", list(NORM.values()), {}), ("Relu", [], {})],
    "falling": [("Mul", [[[[-0.5]], [[0.25]], [[-3.0]]]], {})],
    "constant minus values": [("Sub", [3.25], {"swapped": True}), ("Add", [[[[0.5]], [[1.5]], [[-2.0]]]], {})],
    "bounds": [("Clip", [-1.0, 6.0], {})],
    "leaky": [("LeakyRelu", [], {"alpha": 0.3}), ("Div", [0.7], {})],
    "sigmoid": [("Mul", [0.06], {}), ("Sigmoid", [], {}), ("Mul", [13.0], {})],
    "tanh": [("Mul", [0.02], {}), ("Tanh", [], {}), ("Mul", [9.0], {})],
}
ROUNDINGS = ["ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]


def staircase(front: str, rounding: str, *, signed: int, narrow: int = 0, scale: object = 1.0, bits: int = 3):
    """Numbers (1, C, 1, n) through a depthwise convolution with weights of 1, what FRONTS names, and a quantizer."""
    constants = {"ones": np.ones((CHANNELS, 1, 1, 1), np.float32)}
    nodes = [helper.make_node("Conv", ["x", "ones"], ["t0"], kernel_shape=[1, 1], group=CHANNELS, name="conv")]
    for i, (op, values, attributes) in enumerate(FRONTS[front]):
        names = [f"c{i}_{j}" for j in range(len(values))]
        constants |= {name: np.asarray(value, np.float32) for name, value in zip(names, values, strict=True)}
        given = {key: value for key, value in attributes.items() if key != "swapped"}
        inputs = [*names, f"t{i}"] if "swapped" in attributes else [f"t{i}", *names]
        nodes.append(helper.make_node(op, inputs, [f"t{i + 1}"], name=f"front{i}", **given))
    constants |= {"scale": np.asarray(scale, np.float32), "zero": np.float32(0), "bits": np.float32(bits)}
    settings = {"signed": signed, "narrow": narrow, "rounding_mode": rounding}
    inputs = [f"t{len(FRONTS[front])}", "scale", "zero", "bits"]
    nodes.append(helper.make_node("Quant", inputs, ["y"], name="quant", domain=QUANT_DOMAIN, **settings))
    # All quarters in a range beyond every level, and float32's neighbours of the halves.
    quarters = np.arange(-160, 161, dtype=np.float32) / 4
    numbers = np.concatenate(
        [quarters, np.nextafter(quarters, np.float32(99)), np.nextafter(quarters, np.float32(-99))]
    )
    x = np.broadcast_to(numbers, (1, CHANNELS, 1, len(numbers))).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "staircase",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QUANT_DOMAIN, 2)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return ModelWrapper(proto).transform(InferShapes()).model, x


@pytest.mark.parametrize(
    ("front", "rounding", "options"),
    [
        *((front, "ROUND", {"signed": signed, "scale": 1.0}) for front in FRONTS for signed in (0, 1)),
        *(("nothing", rounding, {"signed": 1, "narrow": 1}) for rounding in ROUNDINGS),
        *(("relu", rounding, {"signed": 1, "scale": 1.5}) for rounding in ROUNDINGS),
        ("nothing", "ROUND", {"signed": 0, "bits": 1}),
        ("nothing", "ROUND", {"signed": 0, "narrow": 1, "bits": 2}),
        ("batch norm, relu", "ROUND", {"signed": 0, "scale": [[[0.5]], [[0.3]], [[2.0]]]}),
    ],
)
def test_the_staircase_is_the_files(front, rounding, options):
    """QONNX's execution before and after, at ties and at their neighbours: every number gives the same."""
    model, x = staircase(front, rounding, **options)
    expected = execute_onnx(ModelWrapper(model), {"x": x})["y"]
    assert len(np.unique(expected)) > 1
    stepped = FastModel(model).transform(QuantizersToThresholds())
    assert {node.op_type for node in stepped.graph.node} <= {"Conv", "Mul", "MultiThreshold"}
    np.testing.assert_array_equal(execute_onnx(stepped, {"x": x})["y"], expected)


def power_of_two(seed: int) -> onnx.ModelProto:
    """A network without batch norms whose scales are powers of two: float32 is exact, and sums meet ties."""
    model, _ = make_model(SMALL, seed)
    for name in ("norm0", "norm1"):
        bypass(model, name)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, value in values.items():
        if name.endswith("_scale") and name.startswith("weight"):
            set_constant(model, name, np.full(value.shape, 2.0**-5, np.float32))
    set_constant(model, "act0_scale", np.float32(2.0**5))
    set_constant(model, "act1_scale", np.float32(2.0**6))
    return model


def test_ties_round_to_even_as_in_the_file(tmp_path, seed):
    """On many images, and with weights of which some meet ties: two images at compile time do not show them."""
    ties = 0
    for drawn in range(seed, seed + 8):
        ties += compare_at_ties(tmp_path / f"{drawn}.onnx", drawn)
        if ties and drawn > seed:
            return
    pytest.fail("eight networks met no tie, so that nothing was tested")


def compare_at_ties(path, seed):
    """Every logit of the graph with that of the file, for 20 images. Returns how many values lay on a tie."""
    onnx.save(power_of_two(seed), path)
    shape = (SMALL.height, SMALL.width, SMALL.channels)
    few = random_images(SMALL, 2, seed)
    graph = frontend.convert(path, shape=shape, classes=SMALL.classes, scale=None, images=few)
    assert math.log2(graph.scale).is_integer()
    assert not any(graph.near_ties.values()), "float32 is exact here: no threshold is in doubt"
    reference, ties = frontend.clean(FastModel(power_of_two(seed))), 0
    source = frontend.Executor()
    for image in random_images(SMALL, 20, seed + 1):
        values = source.execute(reference, [frontend.float_input(reference, image)])[0]
        ties += np.count_nonzero(values["Relu_0_out0"] / 2.0**5 % 1 == 0.5)
        expected = values[reference.graph.output[0].name] / graph.scale
        actual = source.execute(graph.model, [frontend.float_input(graph.model, image)])[0]
        np.testing.assert_array_equal(actual[graph.model.graph.output[0].name], expected)
    return ties


def test_a_fall_of_the_image_is_refused():
    """No weights could take the sign; the quantizer is named."""
    model, _ = staircase("falling", "ROUND", signed=0)
    graph = model.graph
    graph.node.remove(graph.node[0])
    graph.node[0].input[0] = "x"
    with pytest.raises(IcsortError, match=r"'quant' \(Quant\): falls where the image rises"):
        FastModel(model).transform(QuantizersToThresholds())
