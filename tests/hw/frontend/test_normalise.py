# SPDX-License-Identifier: Apache-2.0
"""What exporters leave in a file is taken away, and the logits stay; what cannot be is refused by the layer."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from icsort.errors import IcsortError
from icsort.hw.frontend import convert as frontend
from icsort.hw.frontend.lint import lint
from icsort.hw.frontend.normalise import image_shape
from tests.hw.frontend.test_convert import SMALL, node_of, set_constant
from tests.hw.networks import HEADS, make_head, make_model, random_images

Change = Callable[[onnx.ModelProto], None]


def behind(op: str, **attributes: object) -> Change:
    """An operation behind the logits."""

    def change(model: onnx.ModelProto) -> None:
        last = model.graph.output[0].name
        inputs, outputs = [last], ["result"]
        if op == "TopK":
            model.graph.initializer.append(numpy_helper.from_array(np.int64([2]), "two"))
            inputs, outputs = [last, "two"], ["result", "indices"]
        model.graph.node.append(helper.make_node(op, inputs, outputs, name="tail", **attributes))
        kinds = {"result": TensorProto.INT64 if op == "ArgMax" else TensorProto.FLOAT, "indices": TensorProto.INT64}
        del model.graph.output[:]
        model.graph.output.extend(helper.make_tensor_value_info(name, kinds[name], None) for name in outputs)

    return change


def dynamic_batch(model: onnx.ModelProto) -> None:
    """As torch exports it: N in every shape, and a Reshape to what a Shape of the data says."""
    for info in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        if info.type.tensor_type.shape.dim and info.name != "flat":
            info.type.tensor_type.shape.dim[0].dim_param = "N"
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.int64([0]), "first"), numpy_helper.from_array(np.int64([-1]), "rest")]
    )
    nodes = [
        helper.make_node("Shape", ["permute_out"], ["shape"], name="shape"),
        helper.make_node("Gather", ["shape", "first"], ["batch"], name="gather", axis=0),
        helper.make_node("Concat", ["batch", "rest"], ["target"], name="concat", axis=0),
    ]
    at = list(model.graph.node).index(node_of(model, "flatten"))
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    node_of(model, "flatten").input[1] = "target"


def in_front(op: str, **attributes: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node_of(model, "conv0").input[0] = "prepared"
        model.graph.node.insert(0, helper.make_node(op, ["image"], ["prepared"], name="front", **attributes))
        if op == "Cast":
            model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8

    return change


def constant_nodes(model: onnx.ModelProto) -> None:
    """Constants as nodes instead of initializers."""
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name in ("flat", "act0_scale", "gamma1")]:
        model.graph.node.insert(
            0, helper.make_node("Constant", [], [tensor.name], name=f"c_{tensor.name}", value=tensor)
        )
        model.graph.initializer.remove(tensor)


CHANGES = {
    "identity last": behind("Identity"),
    "softmax": behind("Softmax", axis=1),
    "largest two": behind("TopK", axis=1),
    "class": behind("ArgMax", axis=1),
    "symbolic batch": dynamic_batch,
    "pixels cast": in_front("Cast", to=TensorProto.FLOAT),
    "dropout": in_front("Dropout"),
    "constant nodes": constant_nodes,
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_logits_stay(name, tmp_path, seed):
    """QONNX's execution of the file as it was, and of what is left of it."""
    plain, _ = make_model(SMALL, seed)
    changed, _ = make_model(SMALL, seed)
    CHANGES[name](changed)
    onnx.save(changed, tmp_path / "model.onnx")
    model = frontend.load_qonnx(tmp_path / "model.onnx")
    lint(model)
    assert model.get_tensor_shape(model.graph.input[0].name) == [1, SMALL.channels, SMALL.height, SMALL.width]
    for image in random_images(SMALL, 2, seed):
        pixels = image.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
        expected = execute_onnx(ModelWrapper(plain).transform(InferShapes()), {"image": pixels})["linear_out"]
        actual = execute_onnx(model.transform(InferShapes()), {"image": pixels})[model.graph.output[0].name]
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("kind", HEADS)
def test_heads_that_are_converted(kind, tmp_path, seed):
    """Integer for integer, on images that the front end's own checks did not see."""
    model, network = make_head(kind, seed)
    onnx.save(model, tmp_path / "model.onnx")
    shape = (network.height, network.width, network.channels)
    images = random_images(network, 2, seed)
    graph = frontend.convert(tmp_path / "model.onnx", shape=shape, classes=network.classes, scale=None, images=images)
    reference = ModelWrapper(model)
    for image in random_images(network, 3, seed + 1):
        expected = execute_onnx(reference, {"image": image.transpose(2, 0, 1)[np.newaxis].astype(np.float32)})
        logits = expected[reference.graph.output[0].name].reshape(-1) / graph.scale
        np.testing.assert_allclose(logits, np.rint(logits), atol=frontend.TOLERANCE)
        output = graph.model.graph.output[0].name
        actual = execute_onnx(graph.model, frontend.float_input(graph.model, image))[output].reshape(-1)
        if not any(graph.near_ties.values()):
            np.testing.assert_array_equal(actual, np.rint(logits))
    names = {node.name for node in model.graph.node}
    assert set(graph.sources.values()) <= names | {"the image"}


def test_a_weight_quantizer_that_two_layers_share(tmp_path):
    """Each gets its own."""
    model, network = make_head("join last", 3)
    other = helper.make_node("Conv", ["stem_act_out", "conv_weight_quant_out"], ["twin_out"], name="twin",
                             kernel_shape=[3, 3], pads=[1] * 4)  # fmt: skip
    model.graph.node.insert(list(model.graph.node).index(node_of(model, "conv")), other)
    node_of(model, "shared1").input[0] = "twin_out"
    onnx.save(model, tmp_path / "model.onnx")
    shape = (network.height, network.width, network.channels)
    images = random_images(network, 2, 1)
    graph = frontend.convert(tmp_path / "model.onnx", shape=shape, classes=network.classes, scale=None, images=images)
    assert {"conv", "twin"} <= set(graph.sources.values())


REFUSED = {
    "nan": (
        lambda m: set_constant(m, "gamma1", np.full(6, np.nan, np.float32)),
        r"'norm1' .* NaN or infinite; .*train",
    ),
    "half a bit": (
        lambda m: set_constant(m, "bits4", np.float32(4.5)),
        r"'.*' \(Quant\): the quantizer needs .* and 4.5 bits",
    ),
    "a scale below 0": (lambda m: set_constant(m, "act1_scale", np.float32(-1)), r"'act1' .* must be positive"),
    "a cast to integers": (in_front("Cast", to=TensorProto.INT32), r"'front' \(Cast\): a cast to int32 is not covered"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_the_layer(name, tmp_path):
    change, message = REFUSED[name]
    model, _ = make_model(SMALL, 1)
    change(model)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(IcsortError, match=message):
        lint(frontend.load_qonnx(tmp_path / "model.onnx"))


def test_a_vector_is_an_image_of_lines():
    assert image_shape(128) == (1, 128)
    assert image_shape(784) == (4, 196)
    with pytest.raises(IcsortError, match="a vector of 257 numbers is no image"):
        image_shape(257)
