# SPDX-License-Identifier: Apache-2.0
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.base import Transformation

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package
from icsort.hw.frontend import convert as frontend
from tests.hw.networks import Basic, BranchNetwork, Inverted, Network, Parallel, make_model, make_package, random_images

SMALL = Network(height=10, width=10, features=(2, 3))
BRANCHES = {
    "residual": BranchNetwork(blocks=(Basic(4),)),
    "inverted residual": BranchNetwork(blocks=(Inverted(4),)),
    "sums that go on as they are": BranchNetwork(blocks=(Inverted(4, quantize_sum=False),) * 2),
    "small MobileNetV2": BranchNetwork(blocks=(Inverted(4, expand=1), Inverted(6, stride=2), Inverted(6)), head=8),
    "small ResNet": BranchNetwork(
        stem_stride=2, height=11, width=12, blocks=(Basic(4), Basic(6, stride=2), Basic(6)), weight_bits=3
    ),
    "ResNet's stem": BranchNetwork(
        stem_stride=2, pool=True, height=13, width=16, blocks=(Basic(4), Basic(6, stride=2))
    ),
    "eight bit branches": BranchNetwork(height=5, width=4, blocks=(Basic(4), Inverted(3)), activation_bits=8),
    "parallel": BranchNetwork(height=6, width=7, blocks=(Parallel((3, 5), (1, 3)),)),
    "many branches": BranchNetwork(height=6, width=7, blocks=(Parallel((2, 3, 1), (1, 3, 5), dense=True),)),
    "two bit": BranchNetwork(blocks=(Basic(4), Inverted(4, stride=2)), weight_bits=2, activation_bits=2),
}
NETWORKS = {
    **BRANCHES,
    "square": Network(height=12, width=12),
    "oblong": Network(height=11, width=16, channels=1, features=(3, 5), classes=2),
    "kernels": Network(height=14, width=13, channels=3, kernels=((1, 1), (2, 3)), features=(2, 2)),
    "two bits": Network(weight_bits=2, activation_bits=2),
    "eight bit weights": Network(weight_bits=8, features=(2, 2)),
    "eight bit activations": Network(activation_bits=8, features=(2, 2), kernels=((2, 2), (2, 2))),
    "one bit activations": Network(activation_bits=1),
    "signed": Network(signed_activations=True, weight_bits=3),
}


def convert(path: Path, network: Network | BranchNetwork, scale: float, seed: int = 3) -> frontend.HardwareGraph:
    shape = (network.height, network.width, network.channels)
    images = random_images(network, 2, seed)
    return frontend.convert(path, shape=shape, classes=network.classes, scale=scale, images=images)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    def save(model: onnx.ModelProto) -> Path:
        onnx.save(model, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    return save


@pytest.mark.parametrize("name", NETWORKS)
def test_hardware_graph_equals_the_model(name, saved, seed):
    """On images that the front end's own checks did not see, integer for integer."""
    network = NETWORKS[name]
    images = random_images(network, 4, seed)
    # A dead network proves nothing; and where a threshold lies near an integer, as one of hundreds now and then does,
    # the file itself has no exact answer.
    for attempt in range(20):
        model, scale = make_model(network, seed + attempt)
        reference = frontend.clean(ModelWrapper(model))
        output = reference.graph.output[0].name
        expected = [execute_onnx(reference, frontend.float_input(reference, image))[output] for image in images]
        graph = convert(saved(model), network, scale)
        if len({logits.tobytes() for logits in expected}) > 1 and not any(graph.near_ties.values()):
            break
    else:
        pytest.fail(f"seeds {seed} to {seed + attempt}: every network is dead or has thresholds near integers")
    for image, logits in zip(images, expected, strict=True):
        actual = execute_onnx(graph.model, frontend.float_input(graph.model, image))[graph.model.graph.output[0].name]
        integers = np.rint(logits / scale)
        np.testing.assert_allclose(logits / scale, integers, atol=frontend.TOLERANCE)
        np.testing.assert_array_equal(actual, integers)


def test_layers_types_and_sources(saved):
    network = Network()
    model, scale = make_model(network, 1)
    graph = convert(saved(model), network, scale)
    nodes = graph.model.graph.node
    window, conv, quant = "ConvolutionInputGenerator", "MVAU", "Thresholding"
    assert [n.op_type for n in nodes] == [window, conv, quant, window, "Pool"] * 2 + [conv]
    assert [graph.sources[n.name] for n in nodes] == [
        "conv0", "conv0", "act0", "pool0", "pool0", "conv1", "conv1", "act1", "pool1", "pool1", "linear",
    ]  # fmt: skip
    assert graph.scale == pytest.approx(scale, rel=1e-6)
    assert graph.model.get_tensor_datatype(graph.model.graph.input[0].name).name == "UINT8"
    assert graph.model.get_tensor_shape(graph.model.graph.input[0].name) == [1, 12, 14, 2]


def test_layers_and_sources_of_branches(saved):
    """A join has two branches of different length; each layer is found along its own."""
    network = BRANCHES["inverted residual"]
    model, scale = make_model(network, 1)
    graph = convert(saved(model), network, scale)
    found = [(node.op_type, graph.sources[node.name]) for node in graph.model.graph.node]
    window = ("FMPadding", "ConvolutionInputGenerator")
    expected = [*((op, "stem") for op in (*window, "MVAU")), ("Thresholding", "stem_act")]
    expected += [("DuplicateStreams", "stem_act"), ("MVAU", "block0_expand"), ("Thresholding", "block0_act1")]
    expected += [(op, "block0_depthwise") for op in (*window, "VVAU")]
    expected += [("Thresholding", "block0_act2"), ("MVAU", "block0_project"), ("Thresholding", "block0_shared")]
    expected += [("ElementwiseAdd", "block0_join"), ("Thresholding", "block0_sum")]
    expected += [("GlobalAccPool", "pool"), ("MVAU", "linear")]
    assert found == expected


def test_a_mean_over_rows_and_columns_is_a_global_pool(saved):
    """As `x.mean((2, 3))` is exported: without the two axes; and a mean over something else is refused."""
    network = BRANCHES["residual"]
    for axes, refused in (([2, 3], False), ([-1, -2], False), ([1, 2], True)):
        model, scale = make_model(network, 1)
        bypass(model, "flatten")
        node = node_of(model, "pool")
        mean = helper.make_node("ReduceMean", [node.input[0], "axes"], list(node.output), name="mean", keepdims=0)
        model.graph.initializer.append(numpy_helper.from_array(np.int64(axes), "axes"))
        model.graph.node.insert(list(model.graph.node).index(node), mean)
        model.graph.node.remove(node)
        del model.graph.value_info[:]
        if refused:
            with pytest.raises(IcsortError, match=r"'mean' \(ReduceMean\): .* use axes 2 and 3"):
                convert(saved(model), network, scale)
        else:
            assert "GlobalAccPool" in [n.op_type for n in convert(saved(model), network, scale).model.graph.node]


def test_accumulators_hold_the_worst_case_and_no_more(saved):
    """Each accumulator's type against the largest and smallest sums that the weights allow, computed here."""
    network = Network()
    model, scale = make_model(network, 2)
    graph = convert(saved(model), network, scale).model
    for node in graph.graph.node:
        if node.op_type == "MVAU":
            weights = graph.get_initializer(node.input[1])
            highest = graph.get_tensor_datatype(node.input[0]).max()
            sums = np.concatenate(
                [(np.maximum(weights, 0) * highest).sum(0), (np.minimum(weights, 0) * highest).sum(0)]
            )
            accumulator = graph.get_tensor_datatype(node.output[0])
            assert accumulator.min() <= sums.min()
            assert sums.max() <= accumulator.max()
            half = 2 ** (accumulator.bitwidth() - 2)
            assert sums.min() < -half or sums.max() >= half


class _Shift(Transformation):
    """Breaks a graph: the first weights are moved by one."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        name = next(n.input[1] for n in model.graph.node if n.op_type == "MVAU")
        model.set_initializer(name, model.get_initializer(name) + 1)
        return model, False


class _Fail(Transformation):
    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        raise AssertionError(f"cannot do this to {len(model.graph.node)} nodes")


@pytest.mark.parametrize(("bad", "message"), [(_Shift(), "changed the logits"), (_Fail(), "failed: cannot do this")])
def test_a_pass_that_goes_wrong_is_named(bad, message, saved, monkeypatch):
    network = Network()
    model, scale = make_model(network, 1)
    broken = (*frontend.PASSES, frontend.Pass("the bad one", (bad,)))
    monkeypatch.setattr(frontend, "PASSES", broken)
    with pytest.raises(IcsortError, match=f"pass 'the bad one' .*{message}"):
        convert(saved(model), network, scale)


def test_checkpoints_show_the_graph_after_each_pass(tmp_path, monkeypatch):
    """One file a pass, in order; the last is the one that failed its check."""
    monkeypatch.setattr(frontend, "PASSES", (*frontend.PASSES, frontend.Pass("the bad one", (_Shift(),))))
    package = make_package(tmp_path / "package", SMALL, 1)
    with pytest.raises(IcsortError, match="pass 'the bad one'"):
        compile_package(package, tmp_path / "build", checkpoints=tmp_path / "passes" / "new")
    assert not (tmp_path / "build").exists()
    files = sorted((tmp_path / "passes" / "new").iterdir())
    names = [f"{i:02}_{item.name.replace(' ', '_')}.onnx" for i, item in enumerate(frontend.PASSES)]
    assert [file.name for file in files] == names
    first, last = (ModelWrapper(str(file)) for file in (files[0], files[-1]))
    assert {node.domain for node in last.graph.node[:-1]} == {frontend.HW_DOMAIN}
    assert "Conv" in {node.op_type for node in first.graph.node}


def node_of(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def bypass(model: onnx.ModelProto, name: str) -> None:
    """Remove a node: its consumers read its first input."""
    node = node_of(model, name)
    for other in model.graph.node:
        for i, tensor in enumerate(other.input):
            if tensor == node.output[0]:
                other.input[i] = node.input[0]
    model.graph.node.remove(node)


def set_attribute(model: onnx.ModelProto, name: str, key: str, value: object) -> None:
    node = node_of(model, name)
    kept = [attribute for attribute in node.attribute if attribute.name != key]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(key, value)])


def set_constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    found = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    found.CopyFrom(numpy_helper.from_array(value, name))
    for info in [info for info in model.graph.value_info if info.name == name]:
        model.graph.value_info.remove(info)


def padded_signed_pool(model: onnx.ModelProto) -> None:
    set_attribute(model, "act0", "signed", 1)
    set_attribute(model, "pool0", "pads", [1, 1, 1, 1])


def replace_relu(model: onnx.ModelProto) -> None:
    node_of(model, "relu1").op_type = "Softplus"


def join(model: onnx.ModelProto, op: str, other: str, **attributes: int) -> None:
    """Put a join of act0's output and another tensor in front of pool0."""
    node = helper.make_node(op, ["act0_out", other], ["joined"], name="join", **attributes)
    position = list(model.graph.node).index(node_of(model, "pool0"))
    model.graph.node.insert(position, node)
    node_of(model, "pool0").input[0] = "joined"


def unshared(
    model: onnx.ModelProto, op: str = "Add", scale: float | None = 0.123, bits: str = "bits4", **attributes: int
) -> None:
    """Join act0's output and that of another quantizer. scale: None for the same as act0's."""
    join(model, op, "other_out", **attributes)
    if scale is not None:
        model.graph.initializer.append(numpy_helper.from_array(np.float32(scale), "other_scale"))
    name = "act0_scale" if scale is None else "other_scale"
    quant = helper.make_node(
        "Quant", ["relu0_out", name, "zero", bits], ["other_out"], name="other",
        domain="qonnx.custom_op.general", signed=0, narrow=0, rounding_mode="ROUND",
    )  # fmt: skip
    model.graph.node.insert(list(model.graph.node).index(node_of(model, "join")), quant)


def narrower(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.float32(3.0), "bits3"))
    unshared(model, "Concat", scale=None, bits="bits3", axis=1)


def scale_per_channel(model: onnx.ModelProto) -> None:
    unshared(model)
    set_constant(model, "other_scale", np.full((1, 2, 1, 1), 0.1, np.float32))


def zero_point(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.0), "one"))
    node_of(model, "act1").input[2] = "one"


REFUSED = {
    "an operation that is not covered": (replace_relu, r"'relu1' \(Softplus\) is not covered"),
    "float between two layers": (lambda m: bypass(m, "act0"), r"'conv1' \(Conv\): float values reach it from 'relu0'"),
    "float weights": (lambda m: bypass(m, "weight1_quant"), r"'conv1' \(Conv\): its weights are float"),
    "a float branch": (
        lambda m: join(m, "Add", "relu0_out"),
        r"'join' \(Add\): a branch comes from 'relu0' \(Relu\) without a quantizer; send both .* one shared quantizer",
    ),
    "two scales at a join": (unshared, r"'join' \(Add\): .* different scales, .*0.123; .* one shared quantizer"),
    "a scale for each channel at a join": (scale_per_channel, r"'join' \(Add\): quantizer 'other' .* each channel"),
    "two scales at a concatenation": (
        lambda m: unshared(m, "Concat", axis=1),
        r"'join' \(Concat\): .* different scales, .*0.123; .* one shared quantizer",
    ),
    "two types at a concatenation": (
        narrower,
        r"'join' \(Concat\): .* different types, 4 bits unsigned and 3 bits unsigned; .* one shared quantizer",
    ),
    "a float branch of a concatenation": (
        lambda m: join(m, "Concat", "relu0_out", axis=1),
        r"'join' \(Concat\): a branch comes from 'relu0' \(Relu\) without a quantizer",
    ),
    "a concatenation of rows": (
        lambda m: join(m, "Concat", "act0_out", axis=-2),
        r"'join' \(Concat\): .* axis 1 of 4, not axis -2 of 4",
    ),
    "a sum of one branch": (lambda m: join(m, "Add", "act0_out"), r"'join' \(Add\): takes 'act0_out' twice"),
    "a concatenation of one branch": (
        lambda m: join(m, "Concat", "act0_out", axis=1),
        r"'join' \(Concat\): takes 'act0_out' twice",
    ),
    "a product of two branches": (
        lambda m: join(m, "Mul", "act0_out"),
        r"'join' \(Mul\): .* joined by Add or Concat only",
    ),
    "zero point": (zero_point, r"'act1' \(Quant\): the quantizer needs zero point 0"),
    "padding of a signed pool": (padded_signed_pool, r"'pool0' \(MaxPool\): pads .* an unsigned quantizer in front"),
    "groups": (lambda m: set_attribute(m, "conv1", "group", 2), r"'conv1' \(Conv\): group \[2\] is not covered"),
    "automatic padding": (lambda m: set_attribute(m, "conv1", "auto_pad", "SAME_UPPER"), r"'conv1' \(Conv\): auto_pad"),
    "sixteen bits": (lambda m: set_constant(m, "bits4", np.float32(16)), r"1 to 8 bits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_the_layers_name(name, saved):
    change, message = REFUSED[name]
    model, scale = make_model(SMALL, 1)
    change(model)
    with pytest.raises(IcsortError, match=message) as caught:
        convert(saved(model), SMALL, scale)
    assert "\n" not in str(caught.value)


def test_logits_with_a_bias_are_refused(saved):
    """A float is left over that only the passes can find: it is named, and so is what to do."""
    model, scale = make_model(SMALL, 1)
    model.graph.initializer.append(numpy_helper.from_array(np.float32([0.1, 0.2, 0.3]), "bias"))
    model.graph.node.append(helper.make_node("Add", ["linear_out", "bias"], ["biased"], name="bias_add"))
    model.graph.output[0].name = "biased"
    with pytest.raises(IcsortError, match=r"do not end in one scale .*\(Add\)"):
        convert(saved(model), SMALL, scale)


def test_a_bias_in_whole_steps_is_added(saved):
    model, scale = make_model(SMALL, 1)
    steps = np.array([5, -70, 0])
    model.graph.initializer.append(numpy_helper.from_array((steps * scale).astype(np.float32), "bias"))
    model.graph.node.append(helper.make_node("Add", ["linear_out", "bias"], ["biased"], name="bias_add"))
    model.graph.output[0].name = "biased"
    graph = convert(saved(model), SMALL, scale)
    last = graph.model.graph.node[-1]
    assert (last.op_type, graph.sources[last.name]) == ("ElementwiseAdd", "linear")
    np.testing.assert_array_equal(graph.model.get_initializer(last.input[1]), steps)


@pytest.mark.parametrize("name", ["conv1", "linear"])
def test_a_bias_in_front_of_a_batch_norm(name, saved):
    """As torch makes it with `Conv2d(bias=True)` or `Linear(bias=True)`: the norm's thresholds take it in."""
    model, scale = make_model(SMALL, 1)
    random = np.random.default_rng(5)
    if name == "linear":  # not the last one: a norm, a quantizer and the last layer stand behind it
        hidden = {
            "gamma1": [1.0, -0.5, 0.8],
            "beta1": [0.1, 0.2, 0.0],
            "mean1": [0.1, 0.0, -0.1],
            "variance1": [1, 2, 3],
        }
        constants = [numpy_helper.from_array(np.float32(value), f"hidden_{key}") for key, value in hidden.items()]
        weights = random.integers(-7, 8, (3, SMALL.classes)).astype(np.float32)
        constants += [numpy_helper.from_array(weights, "last"), numpy_helper.from_array(np.float32(1.0), "one")]
        model.graph.initializer.extend(constants)
        quantizer = {"domain": "qonnx.custom_op.general", "rounding_mode": "ROUND", "narrow": 0}
        names = [constant.name for constant in constants]
        model.graph.node.extend(
            [
                helper.make_node("BatchNormalization", ["linear_out", *names[:4]], ["n"], name="norm_hidden"),
                helper.make_node("Quant", ["n", "act0_scale", "zero", "bits4"], ["q"], name="q", signed=1, **quantizer),
                helper.make_node("Quant", ["last", "one", "zero", "bits4"], ["w"], name="w", signed=1, **quantizer),
                helper.make_node("MatMul", ["q", "w"], ["logits"], name="last_linear"),
            ]
        )
        model.graph.output[0].name = "logits"
        node_of(model, "linear").op_type = "Gemm"
        scale = float(next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "act0_scale"))
    bias = random.normal(0, 0.2, SMALL.features[1] if name == "conv1" else 3).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    node_of(model, name).input.append("bias")
    graph = convert(saved(model), SMALL, scale)
    source = {"conv1": "act1", "linear": "q"}[name]
    assert source in graph.sources.values()


def test_weight_scales_per_class_are_refused(saved):
    model, scale = make_model(SMALL, 1)
    set_constant(model, "weight_linear_quant_scale", np.float32([0.01, 0.02, 0.03]))
    with pytest.raises(IcsortError, match="do not end in one scale"):
        convert(saved(model), SMALL, scale)


def test_shapes_that_contradict_each_other_are_refused(saved):
    """A declared shape that is not the constant's; a constant that does not fit the tensor beside it."""
    model, scale = make_model(SMALL, 1)
    next(
        info for info in model.graph.value_info if info.name == "gamma1"
    ).type.tensor_type.shape.dim.add().dim_value = 9
    with pytest.raises(IcsortError, match="the ONNX file contradicts itself"):
        convert(saved(model), SMALL, scale)
    model, scale = make_model(SMALL, 1)
    set_constant(model, "gamma1", np.ones(7, np.float32))
    with pytest.raises(IcsortError, match="cannot be executed"):
        convert(saved(model), SMALL, scale)


def test_another_scale_than_the_manifests_is_refused(saved):
    model, scale = make_model(SMALL, 1)
    with pytest.raises(IcsortError, match="one integer logit is worth"):
        convert(saved(model), SMALL, scale * 1.001)


@pytest.mark.parametrize("change", [{"height": 11}, {"channels": 3}, {"classes": 4}])
def test_another_shape_than_the_manifests_is_refused(change, saved):
    model, scale = make_model(SMALL, 1)
    with pytest.raises(IcsortError, match="but the manifest says"):
        convert(saved(model), replace(SMALL, **change), scale)


@pytest.mark.parametrize("contents", [b"", b"not a model", b"\x08\x07\x12\x04abcd", bytes(1000)])
def test_a_file_that_is_not_onnx_is_refused(contents, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(contents)
    with pytest.raises(IcsortError, match=rf"^{re.escape(str(path))}: not an ONNX file"):
        convert(path, SMALL, 1.0)


def test_weights_in_another_file_are_refused(tmp_path):
    """The package's hash would not cover them."""
    model, scale = make_model(Network(), 1)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(IcsortError, match="keeps its weights in another file"):
        convert(path, Network(), scale)


def test_near_ties_are_counted():
    """Thresholds 5 (a tie), 5 + 1e-6 (within float32's reach) and 5.5 (clear)."""
    tensor = helper.make_tensor_value_info
    node = helper.make_node("Thresholding", ["x", "t"], ["y"], name="Thresholding_0", domain=frontend.HW_DOMAIN)
    thresholds = numpy_helper.from_array(np.float32([[5.0, 5.000001, 5.5]]), "t")
    graph = helper.make_graph([node], "g", [tensor("x", 1, [1, 1])], [tensor("y", 1, [1, 1])], [thresholds])
    assert frontend.count_near_ties(ModelWrapper(helper.make_model(graph))) == {"Thresholding_0": 2}


@pytest.mark.parametrize(("kind", "fits"), [("INT4", True), ("UINT4", False), ("INT3", False)])
def test_thresholds_that_leave_their_type_are_refused(kind, fits, saved):
    """-7 to 7: what FINN typed the output is what the next kernel will read."""
    network = NETWORKS["signed"]
    model, scale = make_model(network, 1)
    converted = convert(saved(model), network, scale)
    graph, sources = converted.model, converted.sources
    node = next(node for node in graph.graph.node if node.op_type == "Thresholding")
    graph.set_tensor_datatype(node.output[0], DataType[kind])
    if fits:
        frontend.check_hardware(graph, sources)
    else:
        with pytest.raises(IcsortError, match=f"gives -7 to 7 but FINN typed it {kind}"):
            frontend.check_hardware(graph, sources)
