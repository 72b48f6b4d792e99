# SPDX-License-Identifier: Apache-2.0
"""A norm, scales and biases behind the last layer: taken into its integers where that is exact, else refused by name.

The reference is QONNX's execution of the file as its user has it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package
from icsort.own_network import package
from icsort.sim.simulate.network import simulate_net
from tests.hw.frontend.test_convert import SMALL, node_of, set_constant
from tests.hw.networks import make_model, random_images

FACTORS = np.array([0.75, -1.5, 0.25])  # whole multiples of a quarter
Change = Callable[[onnx.ModelProto], None]


def norm(gamma: np.ndarray, variance: np.ndarray, beta: np.ndarray) -> Change:
    """A batch norm behind the logits, as `nn.BatchNorm1d` is exported."""

    def change(model: onnx.ModelProto) -> None:
        values = {"gamma": gamma, "beta": beta, "mean": np.array([0.5, -1.25, 3.0]), "variance": variance}
        names = [f"last_{key}" for key in values]
        pairs = zip(names, values.values(), strict=True)
        model.graph.initializer.extend(numpy_helper.from_array(np.float32(value), name) for name, value in pairs)
        result = model.graph.output[0].name
        model.graph.node.append(
            helper.make_node("BatchNormalization", [result, *names], ["normed"], name="last_norm", epsilon=0.0)
        )
        model.graph.output[0].name = "normed"

    return change


def behind(op: str, constant: np.ndarray, first: bool = False) -> Change:
    """An operation with a constant behind the logits."""

    def change(model: onnx.ModelProto) -> None:
        result, name = model.graph.output[0].name, f"{op.lower()}_{len(model.graph.node)}"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(constant), f"{name}_by"))
        inputs = [f"{name}_by", result] if first else [result, f"{name}_by"]
        model.graph.node.append(helper.make_node(op, inputs, [name], name=name))
        model.graph.output[0].name = name

    return change


def class_weights(model: onnx.ModelProto) -> None:
    """Weights with a scale a class, in powers of two, as Brevitas's fixed-point quantizers a channel have them."""
    scales = np.float32([0.03125, 0.125, 0.0625])
    integers = np.random.default_rng(4).integers(-7, 8, (64, 3))[: linear_inputs(model)]
    set_constant(model, "weight_linear", integers.astype(np.float32) * scales)
    set_constant(model, "weight_linear_quant_scale", scales)


def linear_inputs(model: onnx.ModelProto) -> int:
    return next(tensor.dims[0] for tensor in model.graph.initializer if tensor.name == "weight_linear")


def together(*changes: Change) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for each in changes:
            each(model)

    return change


NO_SHIFT = np.zeros(3)
VARIANCE = np.array([4.0, 0.25, 16.0])
EXACT = {
    "norm of whole multiples": norm(FACTORS * np.sqrt(VARIANCE), VARIANCE, np.array([0.5, -0.3, 0.0])),
    "norm of one factor": norm(np.full(3, 0.8), np.full(3, 0.64), np.array([1.5, -0.3, 0.25])),
    "a factor a class": behind("Mul", FACTORS),
    "divided, and from a constant": together(
        behind("Div", 1 / FACTORS), behind("Sub", np.array([1, 2, 3]), first=True)
    ),
    "weights with a scale a class": class_weights,
    "scaled and normed weights": together(class_weights, norm(np.array([1, 3, -1]), np.ones(3), NO_SHIFT)),
    "bias between scalars": together(
        behind("Mul", np.array(0.37)), behind("Add", np.array([0.1, 0.2, -3.0])), behind("Div", np.array(1.7))
    ),
    "one negative factor": behind("Mul", np.array(-0.37)),
    "a class of constant logit": behind("Mul", np.array([1.0, 0.0, 2.0])),
}


def logits_of(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """(n, classes) in float32, as QONNX executes the file."""
    reference = ModelWrapper(model).transform(InferShapes())
    pixels = images.transpose(0, 3, 1, 2)[:, np.newaxis].astype(np.float32)
    output = reference.graph.output[0].name
    return np.concatenate([execute_onnx(reference, {"image": image})[output] for image in pixels]).reshape(
        len(images), -1
    )


def saved(tmp_path: Path, change: Change, seed: int) -> tuple[onnx.ModelProto, Path]:
    model, _ = make_model(SMALL, seed)
    change(model)
    onnx.save(model, tmp_path / "model.onnx")
    return model, tmp_path / "model.onnx"


@pytest.mark.parametrize("name", EXACT)
def test_the_logits_are_those_of_the_file(name, tmp_path, seed):
    """But for a bias, which is rounded to a step by as much as is told; and no class changes its place by it."""
    model, path = saved(tmp_path, EXACT[name], seed)
    made = package(path, tmp_path / "package", classes=["a", "b", "c"])
    images = random_images(SMALL, 6, seed + 1)
    expected = logits_of(model, images)
    actual = logits_of(onnx.load(tmp_path / "package" / "model.onnx"), images)
    scale = made.manifest.logits.scale
    assert made.rounded <= scale / 2
    assert np.abs(actual - expected).max() <= made.rounded + 0.01 * scale
    steps = actual / scale
    np.testing.assert_allclose(steps, np.rint(steps), atol=0.01)
    if not made.rounded:
        np.testing.assert_array_equal(actual.argsort(axis=1), expected.argsort(axis=1))


def test_the_rtl_computes_them(tmp_path, seed):
    """Weights of 4 bits become wider than 8."""
    exact = EXACT["scaled and normed weights"]
    wide = together(exact, behind("Mul", np.array([1.0, 1.0, 29.0])), behind("Add", np.array([0.4, -0.9, 2.2])))
    model, path = saved(tmp_path, wide, seed)
    made = package(path, tmp_path / "package", classes=["a", "b", "c"])
    build = compile_package(tmp_path / "package", tmp_path / "build")
    images = random_images(SMALL, 3, seed + 1)
    result, outcome = simulate_net(build, images)
    assert result.logits_compared == result.logits_equal == 9
    scale = made.manifest.logits.scale
    difference = np.abs(outcome.runs[0].logits * scale - logits_of(model, images))
    assert difference.max() <= made.rounded + 0.01 * scale


REFUSED = {
    "norm": (
        norm(np.array([0.9, 1.1, 1.3]), np.array([0.7, 0.9, 1.9]), NO_SHIFT),
        r"layer 'last_norm' \(BatchNormalization\): .* worth .*; take it into the weights of layer 'linear' \(MatMul\)",
    ),
    "scales": (behind("Mul", np.array([1.0, np.sqrt(2), np.e])), r"layer 'mul_\d+' \(Mul\): .* no whole multiples"),
    "beyond sixteen bits": (behind("Mul", np.array([1.0, 1.0, 2.0**13])), r"\(Mul\): .* within 16 bits"),
    "nothing left": (behind("Mul", np.zeros(3)), r"\(Mul\): .* worth 0, 0, 0"),
    "weights": (
        lambda model: set_constant(model, "weight_linear_quant_scale", np.float32([0.01, 0.01 * np.sqrt(3), 0.03])),
        r"layer 'weight_linear_quant' \(Quant\): .* quantized, per tensor",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_the_layer(name, tmp_path, seed):
    change, message = REFUSED[name]
    _, path = saved(tmp_path, change, seed)
    with pytest.raises(IcsortError, match=message) as caught:
        package(path, tmp_path / "package", classes=["a", "b", "c"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "package").exists()


def test_weights_of_other_layers_have_eight_bits(tmp_path, seed):
    """Only the last layer's may be wider: a factor a class may have made them so."""

    def wide(model: onnx.ModelProto) -> None:
        for layer in ("weight0_quant", "weight_linear_quant"):
            node_of(model, layer).input[3] = "bits12"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(12), "bits12"))

    _, path = saved(tmp_path, wide, seed)
    with pytest.raises(IcsortError, match=r"'weight0_quant' .* 1 to 8 bits"):
        package(path, tmp_path / "package", classes=["a", "b", "c"])
