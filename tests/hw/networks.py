# SPDX-License-Identifier: Apache-2.0
"""Small random networks as QONNX files and model packages, for tests of the front end, the generator and the RTL.

Built with onnx.helper, node by node, so that a test is not tied to one exporter; batch norm is calibrated on random
images, so that no activation is dead. `Network` is a straight line; `BranchNetwork` has residual and depthwise blocks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from icsort.formats import acquisition
from icsort.formats import package as manifest

QUANT_DOMAIN = "qonnx.custom_op.general"
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid(QUANT_DOMAIN, 2)]
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


@dataclass(frozen=True)
class Basic:
    """Two 3 x 3 convolutions and a shortcut (ResNet): a 1 x 1 convolution where shapes differ, else the input."""

    features: int
    stride: int = 1


@dataclass(frozen=True)
class Inverted:
    """1 x 1 to `expand` times the channels, 3 x 3 depthwise, 1 x 1; a shortcut where shapes agree (MobileNetV2).

    The quantizer behind the block, shared by both branches of the join, has a scale of its own in a block without a
    shortcut, and that of the block before in one with a shortcut.
    """

    features: int
    stride: int = 1
    expand: int = 2
    quantize_sum: bool = True  # False: the sum, a bit wider, goes on as it is


@dataclass(frozen=True)
class Parallel:
    """Convolutions of several sizes side by side, behind one shared quantizer, their channels concatenated (Inception),
    the input's in front of them where it is `dense` (DenseNet); then a 1 x 1 convolution.

    features: of each branch. sizes: of their kernels.
    """

    features: tuple[int, ...]
    sizes: tuple[int, ...]
    dense: bool = False


@dataclass(frozen=True)
class BranchNetwork:
    """A 3 x 3 stem, a padded max pool or none, blocks, for a wide head a 1 x 1 convolution, global average pool, linear
    layer without bias."""

    height: int = 8
    width: int = 10
    channels: int = 2
    stem: int = 4
    stem_stride: int = 1
    pool: bool = False
    blocks: tuple[Basic | Inverted | Parallel, ...] = ()
    head: int = 0  # features of the last 1 x 1 convolution; 0: none
    classes: int = 3
    weight_bits: int = 4
    activation_bits: int = 4


class _Graph:
    def __init__(self, random: np.random.Generator, network: Network | BranchNetwork) -> None:
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
        return helper.make_model(graph, opset_imports=OPSETS, ir_version=9)

    def run(self, output: str, images: int) -> np.ndarray:
        model = ModelWrapper(self.model(output)).transform(InferShapes())
        shape = (images, 1, self.network.channels, self.network.height, self.network.width)
        pictures = self.random.integers(0, 256, shape).astype(np.float32)
        return np.concatenate([execute_onnx(model, {"image": picture})[output] for picture in pictures])


class _Branches(_Graph):
    """Node by node like `_Graph`, but each step runs alone on the calibration images: large networks take seconds."""

    network: BranchNetwork

    def __init__(self, random: np.random.Generator, network: BranchNetwork, images: int = 4) -> None:
        super().__init__(random, network)
        shape = (images, network.channels, network.height, network.width)
        self.values = {"image": random.integers(0, 256, shape).astype(np.float32)}
        self.scales: dict[str, float] = {"image": 1.0}  # what one integer of a tensor is worth

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """The node; its output's values on the calibration images."""
        output = super().add(op, inputs, name, **attributes)
        info = helper.make_tensor_value_info
        streams = {tensor: self.values[tensor] for tensor in inputs if tensor in self.values}
        constants = [numpy_helper.from_array(self.constants[i], i) for i in inputs if i in self.constants]
        graph = helper.make_graph(
            [self.nodes[-1]],
            "step",
            [info(tensor, TensorProto.FLOAT, value.shape) for tensor, value in streams.items()],
            [info(output, TensorProto.FLOAT, None)],
            constants,
        )
        step = helper.make_model(graph, opset_imports=OPSETS, ir_version=9)
        self.values[output] = execute_onnx(ModelWrapper(step).transform(InferShapes()), streams)[output]
        return output

    def convolution(
        self, tensor: str, name: str, features: int, size: int, stride: int, depthwise: bool = False
    ) -> str:
        """Convolution of odd `size` with half of it as padding, and batch norm calibrated on its responses."""
        channels = self.values[tensor].shape[1]
        shape = (features, 1 if depthwise else channels, size, size)
        scale = self.random.uniform(0.01, 0.1, (features, 1, 1, 1)).astype(np.float32)
        weight = self.weight(f"{name}_weight", shape, scale)
        convolved = self.add(
            "Conv",
            [tensor, weight],
            name,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
            group=channels if depthwise else 1,
        )
        self.integer = scale.reshape(features).astype(np.float64) * self.scales[tensor]
        return convolved

    def activation(self, convolved: str, name: str, *, signed: bool, scale: float | None = None) -> str:
        """Batch norm, ReLU unless signed, quantizer; thresholds away from integers. scale: one given by a partner."""
        bits = self.network.activation_bits
        scale = scale or float(np.float32(self.random.uniform(1.5, 2.5) * 2**signed / 2**bits))
        responses = self.values[convolved].astype(np.float64)
        features = responses.shape[1]
        gamma = self.random.uniform(0.5, 1.5, features) * self.random.choice([-1, 1], features)
        beta = self.random.normal(0.0 if signed else 0.3, 0.3, features)
        variance = responses.var((0, 2, 3)) + 1e-3
        mean = responses.mean((0, 2, 3))
        for channel in range(features):
            deviation = np.sqrt(variance[channel] + BATCH_NORM_EPSILON) / gamma[channel]
            thresholds = (quantizer_steps(bits, signed) * scale - beta[channel]) * deviation + mean[channel]
            mean[channel] += away_from_integers(thresholds / self.integer[channel]) * self.integer[channel]
        values = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
        normal = [self.constant(f"{name}_{key}", value) for key, value in values.items()]
        active = self.add("BatchNormalization", [convolved, *normal], f"{name}_norm")
        return self.quantizer(active, name, scale, signed)

    def quantizer(self, tensor: str, name: str, scale: float, signed: bool) -> str:
        if not signed:
            tensor = self.add("Relu", [tensor], f"{name}_relu")
        output = self.quant(tensor, name, scale, self.network.activation_bits, int(signed))
        self.scales[output] = scale
        return output

    def requantized_scale(self, scale: float, signed: bool) -> float:
        """A scale for a quantizer of integers worth `scale` each, with its steps away from them."""
        ratios = self.random.uniform(1.2, 1.8, 50)
        steps = quantizer_steps(self.network.activation_bits, signed)
        distances = [np.abs(ratio * steps - np.rint(ratio * steps)).min() for ratio in ratios]
        return float(np.float32(scale * ratios[np.argmax(distances)]))

    def basic(self, name: str, tensor: str, block: Basic) -> str:
        features, stride = block.features, block.stride
        first = self.convolution(tensor, f"{name}_conv1", features, 3, stride)
        first = self.activation(first, f"{name}_act1", signed=False)
        if stride == 1 and self.values[tensor].shape[1] == features:
            scale = self.requantized_scale(self.scales[tensor], signed=True)
            shortcut = self.quantizer(tensor, f"{name}_shared1", scale, signed=True)
        else:
            shortcut = self.convolution(tensor, f"{name}_down", features, 1, stride)
            shortcut = self.activation(shortcut, f"{name}_shared1", signed=True)
            scale = self.scales[shortcut]
        second = self.convolution(first, f"{name}_conv2", features, 3, 1)
        second = self.activation(second, f"{name}_shared2", signed=True, scale=scale)
        joined = self.add("Add", [second, shortcut], f"{name}_join")
        return self.quantizer(joined, f"{name}_act2", self.requantized_scale(scale, signed=False), signed=False)

    def inverted(self, name: str, tensor: str, block: Inverted) -> str:
        channels, inner = self.values[tensor].shape[1], tensor
        if block.expand > 1:
            inner = self.convolution(inner, f"{name}_expand", channels * block.expand, 1, 1)
            inner = self.activation(inner, f"{name}_act1", signed=False)
        inner = self.convolution(inner, f"{name}_depthwise", channels * block.expand, 3, block.stride, depthwise=True)
        inner = self.activation(inner, f"{name}_act2", signed=False)
        inner = self.convolution(inner, f"{name}_project", block.features, 1, 1)
        if block.stride != 1 or channels != block.features:
            return self.activation(inner, f"{name}_shared", signed=True)
        scale = self.scales[tensor]
        inner = self.activation(inner, f"{name}_shared", signed=True, scale=scale)
        joined = self.add("Add", [inner, tensor], f"{name}_join")
        self.scales[joined] = scale
        return self.quantizer(joined, f"{name}_sum", scale, signed=True) if block.quantize_sum else joined

    def parallel(self, name: str, tensor: str, block: Parallel) -> str:
        scale = self.scales[tensor] if block.dense else float(np.float32(self.random.uniform(0.1, 0.15)))
        branches = [tensor] if block.dense else []
        for number, (features, size) in enumerate(zip(block.features, block.sizes, strict=True)):
            branch = self.convolution(tensor, f"{name}_conv{number}", features, size, 1)
            branches.append(self.activation(branch, f"{name}_shared{number}", signed=False, scale=scale))
        joined = self.add("Concat", branches, f"{name}_concat", axis=1)
        self.scales[joined] = scale
        last = self.convolution(joined, f"{name}_last", self.values[tensor].shape[1], 1, 1)
        return self.activation(last, f"{name}_act", signed=False)

    def build(self) -> float:
        """The whole network. Returns what one integer logit is worth."""
        network = self.network
        tensor = self.convolution("image", "stem", network.stem, 3, network.stem_stride)
        # An inverted block with a shortcut takes its input as the other branch: signed, as the shared quantizer is.
        tensor = self.activation(tensor, "stem_act", signed=isinstance(network.blocks[0], Inverted))
        if network.pool:
            scale = self.scales[tensor]
            tensor = self.add("MaxPool", [tensor], "stem_pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
            self.scales[tensor] = scale
        for index, block in enumerate(network.blocks):
            name = f"block{index}"
            if isinstance(block, Basic):
                tensor = self.basic(name, tensor, block)
            elif isinstance(block, Inverted):
                tensor = self.inverted(name, tensor, block)
            else:
                tensor = self.parallel(name, tensor, block)
        if network.head:
            tensor = self.activation(self.convolution(tensor, "head", network.head, 1, 1), "head_act", signed=False)
        features, pixels = self.values[tensor].shape[1], int(np.prod(self.values[tensor].shape[2:]))
        pooled = self.add("GlobalAveragePool", [tensor], "pool")
        flat = self.add("Flatten", [pooled], "flatten", axis=1)
        scale = np.float32(self.random.uniform(0.01, 0.1))
        weight = self.weight("linear_weight", (features, network.classes), scale)
        self.tensor = self.add("MatMul", [flat, weight], "linear")
        return float(scale * self.scales[tensor] / pixels)


def quantizer_steps(bits: int, signed: bool) -> np.ndarray:
    """Where a quantizer of scale 1 (narrow if signed) goes from one integer to the next."""
    low = 1 - 2 ** (bits - 1) if signed else 0
    return np.arange(low, low + 2**bits - 1 - signed) + 0.5


def away_from_integers(thresholds: np.ndarray) -> float:
    """The shift in -1..0 that takes all thresholds as far from integers as one shift can.

    A threshold within float32 rounding of an integer has no exact answer in the QONNX model, and a test over random
    networks would fail once in a while for it.
    """
    fractions = np.sort(thresholds % 1.0)
    gaps = np.diff(fractions, append=fractions[0] + 1.0)
    widest = int(np.argmax(gaps))
    return -float((fractions[widest] + gaps[widest] / 2) % 1.0)


def make_model(network: Network | BranchNetwork, seed: int) -> tuple[onnx.ModelProto, float]:
    """A random network as QONNX, input NCHW (1, C, H, W), and what one integer logit is worth."""
    if isinstance(network, BranchNetwork):
        branches = _Branches(np.random.default_rng(seed), network)
        scale = branches.build()
        return ModelWrapper(branches.model(branches.tensor)).transform(InferShapes()).model, scale
    graph = _Graph(np.random.default_rng(seed), network)
    graph.block(0)
    graph.block(1)
    scale = graph.head()
    return ModelWrapper(graph.model(graph.tensor)).transform(InferShapes()).model, scale


def make_package(folder: Path, network: Network | BranchNetwork, seed: int) -> Path:
    """A model package with that network. Returns the folder."""
    model, scale = make_model(network, seed)
    folder.mkdir(parents=True)
    onnx.save(model, folder / manifest.MODEL_FILE)
    write_manifest(folder, network, scale)
    return folder


def write_manifest(folder: Path, network: Network | BranchNetwork, scale: float) -> None:
    """A manifest for the model.onnx that is in `folder`."""
    channels = network.channels
    manifest.save(
        manifest.Manifest(
            name="random",
            created_by="tests",
            classes=tuple(f"class{i}" for i in range(network.classes)),
            channels=tuple(f"channel{i}" for i in range(channels)),
            input=acquisition.InputSpec(height=network.height, width=network.width, channels=channels),
            line=acquisition.LineSpec(width=network.width),
            trigger=acquisition.TriggerSpec.whole_window(0, network.channels, 1000, network.height),
            preprocess=acquisition.PreprocessSpec(background=(100,) * channels, gain=(1000,) * channels, shift=10),
            logits=manifest.LogitsSpec(scale=scale, temperature=1.0),
            posterior=manifest.PosteriorSpec(multiplier=1000, shift=8),
            accuracy=manifest.AccuracySpec(accuracy=0.5, balanced_accuracy=0.5, cells=10),
            data=manifest.DataSpec(source="generated", hash="0" * 64, split_seed=0),
            files={manifest.MODEL_FILE: manifest.sha256_of_model(folder)},
        ),
        folder,
    )


def random_images(network: Network | BranchNetwork, count: int, seed: int) -> np.ndarray:
    """uint8 (count, H, W, C) noise over the full range."""
    shape = (count, network.height, network.width, network.channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


HEADS = ("image into a linear layer", "convolution last", "mean last", "two linear", "join last", "sparse pool")


def make_head(kind: str, seed: int) -> tuple[onnx.ModelProto, BranchNetwork]:
    """A small network that ends, or begins, in one of the ways of HEADS."""
    network = BranchNetwork(height=6, width=5)
    graph = _Branches(np.random.default_rng(seed), network)

    def linear(tensor: str, name: str, outputs: int) -> str:
        return graph.add(
            "MatMul", [tensor, graph.weight(f"{name}_weight", (graph.values[tensor].shape[1], outputs), 0.05)], name
        )

    def active(tensor: str, name: str, signed: bool = False) -> str:
        largest = float(np.abs(graph.values[tensor]).max())
        return graph.quantizer(tensor, name, float(np.float32(largest / 11.3)), signed)

    def flat(tensor: str, name: str) -> str:
        return graph.add("Flatten", [tensor], name, axis=1)

    if kind == "image into a linear layer":
        hidden = active(linear(flat("image", "flatten"), "linear1", 8), "act1")
        tensor = linear(hidden, "linear2", network.classes)
    else:
        graph.integer = np.ones(4)
        stem = active(graph.convolution("image", "stem", 4, 3, 1), "stem_act")
        features = graph.values[stem].shape
        if kind == "convolution last":
            weight = graph.weight("last_weight", (network.classes, *features[1:]), 0.05)
            tensor = flat(graph.add("Conv", [stem, weight], "last", kernel_shape=list(features[2:])), "flatten")
        elif kind == "mean last":
            weight = graph.weight("last_weight", (network.classes, features[1], 1, 1), 0.05)
            last = graph.add("Conv", [stem, weight], "last", kernel_shape=[1, 1])
            tensor = flat(graph.add("GlobalAveragePool", [last], "mean"), "flatten")
        elif kind == "two linear":
            pooled = flat(graph.add("GlobalAveragePool", [stem], "mean"), "flatten")
            tensor = linear(active(linear(pooled, "linear1", 8), "act1"), "linear2", network.classes)
        elif kind == "join last":
            scale = graph.scales[stem] * 1.37
            shortcut = graph.quantizer(stem, "shared1", scale, signed=True)
            other = graph.quantizer(graph.convolution(stem, "conv", 4, 3, 1), "shared2", scale, signed=True)
            joined = graph.add("Add", [other, shortcut], "join")
            tensor = linear(flat(joined, "flatten"), "linear", network.classes)
        else:
            pooled = graph.add("MaxPool", [stem], "pool", kernel_shape=[2, 1], strides=[3, 2])
            tensor = linear(flat(pooled, "flatten"), "linear", network.classes)
    return ModelWrapper(graph.model(tensor)).transform(InferShapes()).model, network
