# SPDX-License-Identifier: Apache-2.0
"""Equality with QONNX's and FINN's own: the passes that have a faster twin, the model's answers, the execution."""

import random
from collections.abc import Callable

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


# What FastModel answers for itself, and how a test calls it: (method, arguments drawn from a graph's names).
KINDS = [None, "INT5", "UINT4", "BIPOLAR", "FLOAT16"]
QUESTIONS = (
    ("get_tensor_datatype", ()),
    ("get_tensor_layout", ()),
    ("get_tensor_shape", ()),
    ("get_tensor_valueinfo", ()),
    ("get_initializer", ()),
    ("get_initializer", (True,)),
)
CHANGES = (
    *("set_tensor_datatype", "set_tensor_layout", "set_tensor_shape", "set_initializer", "del_initializer"),
    *("rename_tensor", "get_tensor_shape", "cleanup", "transform", "replaced", "retyped"),
)


def changed(model: ModelWrapper, change: str, name: str, draw: np.random.Generator) -> ModelWrapper:
    """One change, by a method or, as passes also do it, in the graph's own fields. The model, changed."""
    graph = model.graph
    random.seed(int(draw.integers(10**9)))  # QONNX draws the names of new tensors from it
    match change:
        case "set_tensor_datatype":
            kind = KINDS[draw.integers(len(KINDS))]
            model.set_tensor_datatype(name, kind and DataType[kind])
        case "set_tensor_layout":
            model.set_tensor_layout(name, [["N", "C"], ["N", "H", "W", "C"]][draw.integers(2)])
        case "set_tensor_shape":
            kind = [None, TensorProto.FLOAT16, TensorProto.INT64][draw.integers(3)]
            model.set_tensor_shape(name, draw.integers(1, 9, 3).tolist(), kind)
        case "set_initializer":
            model.set_initializer(name, draw.normal(size=draw.integers(1, 5, 2)).astype(np.float16))
        case "del_initializer":
            model.del_initializer(name)
        case "rename_tensor":
            model.rename_tensor(name, f"renamed{draw.integers(10**9)}")
        case "get_tensor_shape":
            model.get_tensor_shape(name, True)
        case "cleanup":
            model = model.cleanup()
        case "transform":
            model = model.transform(GiveUniqueNodeNames())
        case "replaced":  # as many entries as before
            infos = sorted(graph.value_info, key=lambda info: info.name)
            if infos:
                graph.value_info.remove(infos[draw.integers(len(infos))])
                graph.value_info.append(
                    helper.make_tensor_value_info(f"fresh{draw.integers(10**9)}", TensorProto.FLOAT, [7])
                )
        case "retyped":
            annotations = sorted(graph.quantization_annotation, key=lambda annotation: annotation.tensor_name)
            if annotations:
                graph.quantization_annotation.remove(annotations[draw.integers(len(annotations))])
                graph.quantization_annotation.add(tensor_name=f"fresh{draw.integers(10**9)}")
    return model


def test_every_method_of_the_model_answers_as_qonnxs_does(seed):
    """After each of many random changes of random graphs: every answer about names known and not."""
    overridden = {name for name in vars(FastModel) if not name.startswith("_") and hasattr(ModelWrapper, name)}
    assert overridden == {*CHANGES, *(name for name, _ in QUESTIONS)} - {"replaced", "retyped"}
    for attempt in range(3):
        draw = np.random.default_rng(seed + attempt)
        proto = with_clutter(make_model(BRANCHES, seed + attempt)[0])
        expected, actual = ModelWrapper(copied(proto)), FastModel(copied(proto))
        for step in range(60):
            constants = [tensor.name for tensor in expected.graph.initializer]
            names = [*{*expected.get_all_tensor_names(), *constants}, "no such"]
            change = CHANGES[draw.integers(len(CHANGES))]
            name = sorted(names)[draw.integers(len(names))]
            twins = [np.random.default_rng([seed, attempt, step]) for _ in range(2)]
            expected = changed(expected, change, name, twins[0])
            actual = changed(actual, change, name, twins[1])
            message = f"seed {seed}, graph {attempt}, step {step}: {change} of {name}"
            assert sorted(actual.get_all_tensor_names()) == sorted(expected.get_all_tensor_names()), message
            for asked in {name, "no such", *draw.choice(names, 15)}:
                for method, arguments in QUESTIONS:
                    answers = [_comparable(getattr(model, method), asked, *arguments) for model in (expected, actual)]
                    assert answers[0] == answers[1], f"{message}: {method}({asked})"


def _comparable(method: Callable[..., object], *arguments: object) -> object:
    answer = method(*arguments)
    parts = answer if isinstance(answer, tuple) else (answer,)
    return [
        (part.shape, part.dtype.name, part.tobytes()) if isinstance(part, np.ndarray)
        else part.SerializeToString(deterministic=True) if isinstance(part, onnx.ValueInfoProto)
        else part
        for part in parts
    ]  # fmt: skip


def test_a_constant_that_a_pass_writes_to_stays_what_it_was(seed):
    """A constant is kept once it was read: whoever writes into it is stopped, and not the next reader misled."""
    model = FastModel(make_model(BRANCHES, seed)[0])
    model.graph.initializer.append(helper.make_tensor("listed", TensorProto.FLOAT, [2], [1.0, 2.0]))
    with pytest.raises(ValueError, match="read-only"):
        model.get_initializer("listed")[0] = 5


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
