# SPDX-License-Identifier: Apache-2.0
"""Small random networks as QONNX files and model packages, for tests of the front end, the generator and the RTL.

Built with onnx.helper, node by node, so that a test is not tied to one exporter; batch norm is calibrated on random
images, so that no activation is dead.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from sim.bit_true import manifest

QUANT_DOMAIN = "qonnx.custom_op.general"
BATCH_NORM_EPSILON = 1e-5  # ONNX's default


@dataclass(frozen=True)
class Network:
    """Two convolutions, each with batch norm, ReLU quantizer and 2 x 2 max pool, then a linear layer without bias."""

    height: int = 12
    width: int = 14
    channels: int = 2
    features: tuple[int, int] = (4, 6)
    kernels: tuple[tuple[int, int], tuple[int, int]] = ((3, 3), (3, 3))
    classes: int = 3
    weight_bits: int = 4
    activation_bits: int = 4
    signed_activations: bool = False  # a signed quantizer in place of the ReLU


class _Graph:
    def __init__(self, random: np.random.Generator, network: Network) -> None:
        self.random = random
        self.network = network
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.tensor = "image"
        self.shape = [1, network.channels, network.height, network.width]

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        self.constants[name] = np.asarray(value, dtype)
        return name

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        domain = QUANT_DOMAIN if op == "Quant" else ""
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_out"], name=name, domain=domain, **attributes))
        return f"{name}_out"

    def quant(self, source: str, name: str, scale: Any, bits: int, signed: int) -> str:
        inputs = [source, self.constant(f"{name}_scale", scale), self.constant("zero", 0.0)]
        inputs.append(self.constant(f"bits{bits}", float(bits)))
        return self.add("Quant", inputs, name, signed=signed, narrow=signed, rounding_mode="ROUND")

    def weight(self, name: str, shape: tuple[int, ...], scale: Any) -> str:
        """Integers over the whole narrow range, times scale, behind a weight quantizer."""
        high = 2 ** (self.network.weight_bits - 1) - 1
        integers = self.random.integers(-high, high + 1, shape)
        values = integers * np.asarray(scale, np.float32)
        return self.quant(self.constant(name, values), f"{name}_quant", scale, self.network.weight_bits, 1)

    def block(self, index: int) -> None:
        """Convolution, batch norm, ReLU, quantizer, pool."""
        features, kernel = self.network.features[index], self.network.kernels[index]
        scale = self.random.uniform(0.01, 0.1, (features, 1, 1, 1)).astype(np.float32)
        weight = self.weight(f"weight{index}", (features, self.shape[1], *kernel), scale)
        convolved = self.add("Conv", [self.tensor, weight], f"conv{index}", kernel_shape=list(kernel))
        bits, signed = self.network.activation_bits, int(self.network.signed_activations)
        act_scale = self.random.uniform(1.5, 2.5) * 2**signed / 2**bits
        gamma = self.random.uniform(0.5, 1.5, features) * self.random.choice([-1, 1], features)
        beta = self.random.normal(0.3, 0.3, features)
        responses = self.run(convolved, images=4)
        variance = responses.var((0, 2, 3)) + 1e-3
        mean = responses.mean((0, 2, 3)).astype(np.float64)
        steps = np.arange(-(2 ** (bits - 1)) + 1 if signed else 0, 2 ** (bits - 1) - 1 if signed else 2**bits - 1) + 0.5
        integer = scale.reshape(features) * (self.constants["act0_scale"] if index else 1.0)
        for channel in range(features):
            deviation = np.sqrt(variance[channel] + BATCH_NORM_EPSILON) / gamma[channel]
            thresholds = ((steps * act_scale - beta[channel]) * deviation + mean[channel]) / integer[channel]
            mean[channel] += away_from_integers(thresholds) * integer[channel]
        values = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        normal = [self.constant(f"{name}{index}", value) for name, value in values.items()]
        active = self.add("BatchNormalization", [convolved, *normal], f"norm{index}")
        if not signed:
            active = self.add("Relu", [active], f"relu{index}")
        activation = self.quant(active, f"act{index}", act_scale, bits, signed)
        self.tensor = self.add("MaxPool", [activation], f"pool{index}", kernel_shape=[2, 2], strides=[2, 2])
        self.shape = [1, features, *((size - k + 1) // 2 for size, k in zip(self.shape[2:], kernel, strict=True))]

    def head(self) -> float:
        """Flatten in NHWC order and the linear layer. Returns what one integer logit is worth."""
        vector = self.shape[1] * self.shape[2] * self.shape[3]
        nhwc = self.add("Transpose", [self.tensor], "permute", perm=[0, 2, 3, 1])
        flat = self.add("Reshape", [nhwc, self.constant("flat", [1, vector], np.int64)], "flatten")
        scale = np.float32(self.random.uniform(0.01, 0.1))
        weight = self.weight("weight_linear", (vector, self.network.classes), scale)
        self.tensor = self.add("MatMul", [flat, weight], "linear")
        return float(scale * self.constants["act1_scale"])

    def model(self, output: str) -> onnx.ModelProto:
        info = helper.make_tensor_value_info
        inputs = [info("image", TensorProto.FLOAT, [1, self.network.channels, self.network.height, self.network.width])]
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "network", inputs, [info(output, TensorProto.FLOAT, None)], constants)
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(QUANT_DOMAIN, 2)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def run(self, output: str, images: int) -> np.ndarray:
        model = ModelWrapper(self.model(output)).transform(InferShapes())
        shape = (images, 1, self.network.channels, self.network.height, self.network.width)
        pictures = self.random.integers(0, 256, shape).astype(np.float32)
        return np.concatenate([execute_onnx(model, {"image": picture})[output] for picture in pictures])


def away_from_integers(thresholds: np.ndarray) -> float:
    """The shift in -1..0 that takes all thresholds as far from integers as one shift can.

    A threshold within float32 rounding of an integer has no exact answer in the QONNX model, and a test over random
    networks would fail once in a while for it.
    """
    fractions = np.sort(thresholds % 1.0)
    gaps = np.diff(fractions, append=fractions[0] + 1.0)
    widest = int(np.argmax(gaps))
    return -float((fractions[widest] + gaps[widest] / 2) % 1.0)


def make_model(network: Network, seed: int) -> tuple[onnx.ModelProto, float]:
    """A random network as QONNX, input NCHW (1, C, H, W), and what one integer logit is worth."""
    graph = _Graph(np.random.default_rng(seed), network)
    graph.block(0)
    graph.block(1)
    scale = graph.head()
    return ModelWrapper(graph.model(graph.tensor)).transform(InferShapes()).model, scale


def make_package(folder: Path, network: Network, seed: int) -> Path:
    """A model package with that network. Returns the folder."""
    model, scale = make_model(network, seed)
    folder.mkdir(parents=True)
    onnx.save(model, folder / manifest.MODEL_FILE)
    write_manifest(folder, network, scale)
    return folder


def write_manifest(folder: Path, network: Network, scale: float) -> None:
    """A manifest for the model.onnx that is in `folder`."""
    channels = network.channels
    manifest.save(
        manifest.Manifest(
            name="random",
            created_by="tests",
            classes=tuple(f"class{i}" for i in range(network.classes)),
            channels=tuple(f"channel{i}" for i in range(channels)),
            input=manifest.InputSpec(network.height, network.width, channels),
            line=manifest.LineSpec(network.width),
            trigger=manifest.TriggerSpec(0, 1000),
            preprocess=manifest.PreprocessSpec((100,) * channels, (1000,) * channels, 10),
            logits=manifest.LogitsSpec(scale, 1.0),
            posterior=manifest.PosteriorSpec(1000, 8),
            accuracy=manifest.AccuracySpec(0.5, 0.5, 10),
            data=manifest.DataSpec("generated", "0" * 64, 0),
            model_sha256=hashlib.sha256((folder / manifest.MODEL_FILE).read_bytes()).hexdigest(),
        ),
        folder,
    )


def random_images(network: Network, count: int, seed: int) -> np.ndarray:
    """uint8 (count, H, W, C) noise over the full range."""
    shape = (count, network.height, network.width, network.channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
