# SPDX-License-Identifier: Apache-2.0
"""Equality with QONNX's and FINN's own: the passes that have a faster twin, the model's answers, the execution."""

import numpy as np
import onnx
import pytest
from finn.transformation.streamline.absorb import Absorb1BitMulIntoConv, Absorb1BitMulIntoMatMul
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    GiveUniqueParameterTensors,
    RemoveUnusedTensors,
    SortGraph,
)
from qonnx.transformation.infer_shapes import InferShapes

from icsort.hw.frontend import convert as frontend
from icsort.hw.frontend.execution import Executor
from icsort.hw.frontend.fast_model import FASTER, FastModel
from tests.hw.networks import Basic, BranchNetwork, Inverted, make_model, random_images

BRANCHES = BranchNetwork(blocks=(Basic(4), Basic(6, stride=2), Inverted(6)))


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def contents(model: ModelWrapper) -> dict[str, object]:
    """All that a graph says: nodes in order, tensors with values, shapes and types. Orders of lists do not matter."""
    graph = model.graph
    tensors = {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    return {
        "nodes": [node.SerializeToString(deterministic=True) for node in graph.node],
        "inputs": [info.SerializeToString(deterministic=True) for info in (*graph.input, *graph.output)],
        "constants": {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in graph.initializer},
        "tensors": {name: (kind, model.get_tensor_shape(name)) for name, kind in tensors.items()},
        "types": {
            annotation.tensor_name: (
                model.get_tensor_datatype(annotation.tensor_name),
                model.get_tensor_layout(annotation.tensor_name),
            )
            for annotation in graph.quantization_annotation
        },
    }


def with_clutter(model: onnx.ModelProto) -> onnx.ModelProto:
    """A constant and a shape that nobody reads, tensors without shapes, annotations, parameters that layers share."""
    model = copied(model)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.float32([1, 2, 3]), "unused"))
    graph.value_info.append(helper.make_tensor_value_info("nowhere", TensorProto.FLOAT, [4]))
    for index in reversed(range(0, len(graph.value_info), 3)):
        del graph.value_info[index]
    wrapper = ModelWrapper(model)
    wrapper.set_tensor_datatype("nowhere", DataType["INT3"])
    wrapper.set_tensor_datatype(graph.node[-1].output[0], DataType["INT7"])
    wrapper.set_tensor_layout(graph.input[0].name, ["N", "C", "H", "W"])
    return model


@pytest.mark.parametrize(
    "transformation",
    [GiveReadableTensorNames(), InferShapes(), RemoveUnusedTensors(), GiveUniqueParameterTensors(), SortGraph()],
    ids=lambda transformation: type(transformation).__name__,
)
def test_a_faster_pass_gives_what_the_original_gives(transformation, seed):
    """Behind both: the clean-up of QONNX itself, and names, as some are random."""
    assert type(transformation) in FASTER
    proto = with_clutter(make_model(BRANCHES, seed)[0])
    expected = ModelWrapper(copied(proto)).transform(GiveUniqueNodeNames()).transform(transformation)
    fast = FastModel(copied(proto)).transform(GiveUniqueNodeNames(), cleanup=False)
    actual = ModelWrapper(fast.transform(transformation).model)
    both = [
        contents(model.transform(InferShapes()).transform(GiveUniqueNodeNames()).transform(GiveReadableTensorNames()))
        for model in (expected, actual)
    ]
    assert both[0] == both[1]


def test_nodes_out_of_order_are_sorted(seed):
    proto = make_model(BRANCHES, seed)[0]
    shuffled = copied(proto)
    order = np.random.default_rng(seed).permutation(len(proto.graph.node))
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(proto.graph.node[i] for i in order)
    actual = FastModel(shuffled).transform(SortGraph())
    assert actual.analysis(_sorted)
    assert sorted(node.name for node in actual.graph.node) == sorted(node.name for node in proto.graph.node)


def _sorted(model: ModelWrapper) -> bool:
    known = {"", model.graph.input[0].name, *(tensor.name for tensor in model.graph.initializer)}
    for node in model.graph.node:
        if not known.issuperset(node.input):
            return False
        known.update(node.output)
    return True


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "BIPOLAR"])
@pytest.mark.parametrize("product", ["MatMul", "Conv"])
def test_signs_are_absorbed_as_finn_absorbs_them(product, kind, seed):
    """Into weights that may be negative; not into weights that may not."""
    random = np.random.default_rng(seed)
    values = {"INT4": [-3, 0, 5], "UINT4": [1, 5, 9], "BIPOLAR": [-1, 1]}[kind]
    shapes = {
        "MatMul": ((1, 4), (4, 3), (3,), (1, 3)),
        "Conv": ((1, 4, 5, 5), (3, 4, 3, 3), (1, 3, 1, 1), (1, 3, 3, 3)),
    }
    inputs, weights, signs, outputs = shapes[product]
    tensor = helper.make_tensor_value_info
    constants = {
        "w": random.choice(values, weights).astype(np.float32),
        "s": random.choice([-1, 1], signs).astype(np.float32),
    }
    attributes = {"kernel_shape": [3, 3]} if product == "Conv" else {}
    graph = helper.make_graph(
        [helper.make_node(product, ["x", "w"], ["y"], **attributes), helper.make_node("Mul", ["y", "s"], ["z"])],
        "signs",
        [tensor("x", TensorProto.FLOAT, inputs)],
        [tensor("z", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[tensor("y", TensorProto.FLOAT, outputs)],
    )
    proto = helper.make_model(graph)
    results = []
    for wrapper in (ModelWrapper(copied(proto)), FastModel(copied(proto))):
        wrapper.set_tensor_datatype("w", DataType[kind])
        wrapper.set_tensor_datatype("s", DataType["BIPOLAR"])
        absorb = Absorb1BitMulIntoConv() if product == "Conv" else Absorb1BitMulIntoMatMul()
        results.append(contents(wrapper.transform(absorb)))
    assert results[0] == results[1]


def test_the_model_answers_as_qonnxs_does(seed):
    """After names, shapes, types, layouts and constants were changed through it."""
    proto = make_model(BRANCHES, seed)[0]
    models = ModelWrapper(copied(proto)), FastModel(copied(proto))
    for model in models:
        first, last = model.graph.node[0], model.graph.node[-1]
        model.set_tensor_datatype(first.output[0], DataType["UINT4"])
        model.set_tensor_datatype(first.output[0], DataType["INT5"])
        model.set_tensor_layout(last.output[0], ["N", "C"])
        model.set_tensor_shape("fresh", [2, 3])
        model.set_tensor_shape("fresh", [3, 2])
        constants = [tensor.name for tensor in model.graph.initializer]
        model.set_initializer(constants[0], np.float64([[1, 2], [3, 4]]))
        model.set_initializer("another", np.float32(5))
        model.del_initializer(constants[1])
        model.rename_tensor(first.output[0], "renamed")
    expected, actual = models
    names = [*expected.get_all_tensor_names(), *(tensor.name for tensor in expected.graph.initializer), "no such"]
    assert sorted(names) == sorted(
        [*actual.get_all_tensor_names(), *(tensor.name for tensor in actual.graph.initializer), "no such"]
    )
    for name in names:
        assert actual.get_tensor_shape(name) == expected.get_tensor_shape(name)
        assert actual.get_tensor_layout(name) == expected.get_tensor_layout(name)
        np.testing.assert_array_equal(actual.get_initializer(name), expected.get_initializer(name))
        if name != "no such":
            assert actual.get_tensor_datatype(name) == expected.get_tensor_datatype(name)


def test_execution_is_qonnxs(tmp_path, seed):
    """Every tensor of the file and of the hardware graph; then again from what was kept."""
    proto, scale = make_model(BRANCHES, seed)
    onnx.save(proto, tmp_path / "model.onnx")
    shape = (BRANCHES.height, BRANCHES.width, BRANCHES.channels)
    images = random_images(BRANCHES, 2, seed)
    graph = frontend.convert(tmp_path / "model.onnx", shape=shape, classes=BRANCHES.classes, scale=scale, images=images)
    executor = Executor()
    for model in (frontend.clean(ModelWrapper(proto)), graph.model):
        inputs = [frontend.float_input(model, image) for image in images]
        for _ in range(2):
            for given, actual in zip(inputs, executor.execute(model, inputs), strict=True):
                expected = execute_onnx(model, given, return_full_exec_context=True)
                assert set(actual) == {"global_in"} | {name for node in model.graph.node for name in node.output}
                for name, value in actual.items():
                    np.testing.assert_array_equal(value, expected[name], err_msg=name)
