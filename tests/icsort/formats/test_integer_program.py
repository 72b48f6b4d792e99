# SPDX-License-Identifier: Apache-2.0
"""The compiled network: each kernel against FINN's execution of its node, whole networks, and what goes wrong."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from qonnx.core.datatype import DataType

from icsort.errors import IcsortError
from icsort.formats import integer_program
from icsort.formats.build import Build
from icsort.formats.integer import IntegerNetwork
from icsort.formats.integer_program import IntegerProgram, compile_program
from icsort.formats.integer_source import Elements, source
from icsort.formats.netlist import Instance, MemoryFile, Netlist
from icsort.hw.compile import compile_package
from icsort.hw.kernels import LAYER_KERNELS
from icsort.hw.reference import finn_logits, qonnx_logits
from tests.hw.kernels import finn_node
from tests.hw.networks import Network, make_package, random_images
from tests.hw.test_networks import BRANCHES

Values = NDArray[np.int64]
IMAGES = 3


@dataclass
class Chain:
    """A netlist in the making, of one kernel behind the other, and its memory files."""

    folder: Path
    instances: list[Instance] = field(default_factory=list)
    stream: str = "s_axis"

    def add(
        self,
        module: str,
        parameters: dict[str, int],
        words: Values | None = None,
        kind: str = "",
        inputs: dict[str, str] | None = None,
        outputs: int = 1,
    ) -> list[str]:
        """words: (words, elements) of FINN type `kind`, in the order of the memory. Returns the streams that leave."""
        name = f"{module}_{len(self.instances)}"
        memory = None
        if words is not None:
            memory = MemoryFile(parameter="FILE", file=f"{name}.hex")
            digits = -(-words.shape[1] * DataType[kind].bitwidth() // 4)
            lines = (f"{word:0{digits}x}\n" for word in finn_node.beats(words, words.shape[1], kind))
            (self.folder / memory.file).write_text("".join(lines))
        streams = [name] if outputs == 1 else [f"{name}[{index}]" for index in range(outputs)]
        instance = Instance(
            name=name,
            module=module,
            parameters=dict(parameters),
            memory=memory,
            inputs=inputs or {"s_axis": self.stream},
            outputs=tuple(streams),
        )
        self.instances.append(instance)
        self.stream = streams[0]
        return streams

    def run(self, inputs: Values, kind: str) -> Values:
        """What leaves the program, of inputs (N, ...) of FINN type `kind`; bipolar ones enter as their bits."""
        netlist = Netlist(input="s_axis", output=self.stream, streams={}, instances=tuple(self.instances))
        data = DataType[kind]
        if kind == "BIPOLAR":
            inputs = (inputs + 1) // 2
        signed = data.signed() and kind != "BIPOLAR"
        elements = Elements(inputs[0].size, data.bitwidth(), signed)
        return IntegerProgram(netlist, self.folder, elements).run(inputs)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """One for kernels alone, whose programs are small and soon compiled."""
    monkeypatch.setattr(integer_program, "OPTIONS", (*integer_program.OPTIONS, "-O1"))
    return Chain(tmp_path)


def draw(rng: np.random.Generator, low: Sequence[int], high: Sequence[int]) -> list[int]:
    return [int(value) for value in rng.integers(low, high, endpoint=True)]


def steps(rng: np.random.Generator, sums: Values, channels: int, number: int) -> Values:
    """Thresholds (channels, number), ascending, of which some are sums that there are."""
    values = rng.choice(np.unique(sums), (channels, number)) + rng.integers(0, 2, (channels, number))
    return np.sort(values, axis=1)


KINDS = [("UINT4", "INT4"), ("BIPOLAR", "BIPOLAR"), ("UINT8", "INT8"), ("INT4", "INT3"), ("UINT8", "INT4")]
KINDS += [("UINT2", "BIPOLAR"), ("BIPOLAR", "INT4"), ("INT8", "INT8"), ("UINT16", "INT4")]


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("act", "weight", "adders"),
    [(*kind, False) for kind in KINDS] + [("UINT4", "INT4", True), ("INT8", "INT8", True), ("UINT2", "BIPOLAR", True)],
)
def test_windows_and_products_and_thresholds(act: str, weight: str, adders: bool, chain: Chain, seed: int) -> None:
    """A convolution of any stride: its sums or, by chance, the thresholds behind them, few or many."""
    rng = np.random.default_rng((seed, *map(ord, act + weight)))
    height, width, channels, groups, pe = draw(rng, (3, 3, 1, 1, 1), (9, 9, 7, 9, 9))
    k_h, k_w, s_h, s_w = draw(rng, (1, 1, 1, 1), (3, 3, 2, 2))
    rows, columns = groups * pe, k_h * k_w * channels
    out = ((height - k_h) // s_h + 1, (width - k_w) // s_w + 1)
    images = finn_node.random_values(rng, (IMAGES, height, width, channels), act)
    weights = finn_node.random_values(rng, (columns, rows), weight)
    kind = finn_node.accumulator(weights, DataType[act], DataType[weight])
    sums = []
    for image in images:
        windows = finn_node.execute(
            "ConvolutionInputGenerator", [(image[np.newaxis], act)], (1, *out, columns), ConvKernelDim=[k_h, k_w],
            IFMChannels=channels, IFMDim=[height, width], OFMDim=list(out), SIMD=channels, Stride=[s_h, s_w],
            Dilation=[1, 1], inputDataType=act, outputDataType=act,
        )  # fmt: skip
        sums.append(finn_node.matrix_product(windows.reshape(-1, columns), act, weights, weight, kind, columns, pe))
    bits = DataType[kind].bitwidth() + (not DataType[kind].signed())
    chain.add("sliding_window", {
        "IFM_H": height, "IFM_W": width, "CHANNELS": channels, "BITS": DataType[act].bitwidth(),
        "K_H": k_h, "K_W": k_w, "STRIDE_H": s_h, "STRIDE_W": s_w,
    })  # fmt: skip
    chain.add("fifo", {"WIDTH": 8, "DEPTH": 2})
    words = weights.T.reshape(groups, pe, 1, columns).transpose(0, 2, 1, 3).reshape(groups, -1)
    if adders:
        chain.add("constant_mvau", {
            "MW": columns, "MH": rows, "ACT_BITS": DataType[act].bitwidth(), "ACC_BITS": bits, "DIGITS": 1, "DELAY": 2,
        }, weights.T, f"INT{bits}")  # fmt: skip
    else:
        chain.add("mvau", {
            "MW": columns, "MH": rows, "SIMD": columns, "PE": pe, "ACT_BITS": DataType[act].bitwidth(),
            "ACT_SIGNED": int(DataType[act].signed()), "ACT_BIPOLAR": int(act == "BIPOLAR"),
            "WEIGHT_BITS": DataType[weight].bitwidth(), "ACC_BITS": bits,
        }, words, weight)  # fmt: skip
    expected = np.stack(sums)
    if rng.integers(2):
        np.testing.assert_array_equal(chain.run(images, act), expected.reshape(IMAGES, -1))
        return
    number, typed = int(rng.choice([1, 7, 15, 40, 255])), f"INT{bits + 1}"
    thresholds = steps(rng, expected, rows, number)
    counted = finn_node.execute(
        "Thresholding", [(expected.reshape(1, 1, -1, rows), typed), (thresholds, typed)],
        (1, 1, IMAGES * out[0] * out[1], rows), NumChannels=rows, PE=1, numSteps=number, ActVal=-3,
        numInputVectors=[1, 1, IMAGES * out[0] * out[1]], inputDataType=typed, weightDataType=typed,
        outputDataType="INT10",
    )  # fmt: skip
    chain.add("width_converter", {"IN_WIDTH": 8, "OUT_WIDTH": 8})
    chain.add("threshold", {
        "CHANNELS": rows, "PE": pe, "IN_BITS": bits + 1, "IN_SIGNED": 1, "STEPS": number, "OUT_BITS": 10,
        "OUT_BIAS": -3,
    }, thresholds.reshape(groups, -1), typed)  # fmt: skip
    np.testing.assert_array_equal(chain.run(images, act), counted.reshape(IMAGES, -1))


def test_no_sum_of_large_products_overflows(chain: Chain) -> None:
    """600 products, all of the largest size: more than 16 bits hold together, and more than one of the parts."""
    columns = 600
    vectors = np.full((IMAGES, columns), 15)
    weights = np.repeat([[7], [-8], [7]], columns, axis=1)
    chain.add("mvau", {
        "MW": columns, "MH": 3, "SIMD": columns, "PE": 1, "ACT_BITS": 4, "ACT_SIGNED": 0, "WEIGHT_BITS": 4,
        "ACC_BITS": 18,
    }, weights, "INT4")  # fmt: skip
    np.testing.assert_array_equal(chain.run(vectors, "UINT4"), vectors @ weights.T)


@pytest.mark.quick(1)
@pytest.mark.parametrize(("act", "weight"), KINDS)
def test_depthwise(act: str, weight: str, chain: Chain, seed: int) -> None:
    rng = np.random.default_rng((seed, *map(ord, act + weight)))
    height, width, groups, pe = draw(rng, (3, 3, 1, 1), (8, 8, 12, 6))
    k_h, k_w, stride = draw(rng, (1, 1, 1), (3, 3, 2))
    channels, taps = groups * pe, k_h * k_w
    out = ((height - k_h) // stride + 1, (width - k_w) // stride + 1)
    images = finn_node.random_values(rng, (IMAGES, height, width, channels), act)
    weights = finn_node.random_values(rng, (channels, 1, k_h, k_w), weight)
    kind = finn_node.accumulator(weights.reshape(channels, taps).T, DataType[act], DataType[weight])
    expected = []
    for image in images:
        windows = finn_node.execute(
            "ConvolutionInputGenerator", [(image[np.newaxis], act)], (1, *out, taps * channels),
            ConvKernelDim=[k_h, k_w], IFMChannels=channels, IFMDim=[height, width], OFMDim=list(out), SIMD=pe,
            Stride=[stride, stride],
            Dilation=[1, 1], inputDataType=act, outputDataType=act, depthwise=1,
        )  # fmt: skip
        expected.append(
            finn_node.execute(
                "VVAU", [(windows, act), (weights, weight)], (1, *out, channels), Channels=channels, Kernel=[k_h, k_w],
                Dim=list(out), SIMD=1, PE=channels, noActivation=1, inputDataType=act, weightDataType=weight,
                outputDataType=kind,  # FINN's Python gives windows as (kh, kw, c), as with PE = channels
            )
        )  # fmt: skip
    chain.add("sliding_window_folded", {
        "IFM_H": height, "IFM_W": width, "CHANNELS": channels, "SIMD": pe, "BITS": DataType[act].bitwidth(),
        "K_H": k_h, "K_W": k_w, "STRIDE_H": stride, "STRIDE_W": stride, "DEPTHWISE": 1,
    })  # fmt: skip
    words = weights.reshape(groups, pe, taps).transpose(0, 2, 1).reshape(groups * taps, pe)
    chain.add("vvau", {
        "CHANNELS": channels, "KERNEL": taps, "SIMD": 1, "PE": pe, "ACT_BITS": DataType[act].bitwidth(),
        "ACT_SIGNED": int(DataType[act].signed()), "ACT_BIPOLAR": int(act == "BIPOLAR"),
        "WEIGHT_BITS": DataType[weight].bitwidth(),
        "ACC_BITS": DataType[kind].bitwidth() + (not DataType[kind].signed()),
    }, words, weight)  # fmt: skip
    np.testing.assert_array_equal(chain.run(images, act), np.stack(expected).reshape(IMAGES, -1))


@pytest.mark.quick(2)
@pytest.mark.parametrize("bits", [8, 14, 4, 16])
def test_thresholds_alone(bits: int, chain: Chain, seed: int) -> None:
    """From a table where values have few bits."""
    rng = np.random.default_rng((seed, bits))
    groups, pe, number, signed = draw(rng, (1, 1, 1, 0), (4, 12, 40, 1))
    channels, kind = groups * pe, finn_node.datatype(bits, bool(signed))
    thresholds = np.sort(finn_node.random_integers(rng, (channels, number), bits, bool(signed)), axis=1)
    pixels = finn_node.random_integers(rng, (IMAGES, 1, 5, channels), bits, bool(signed))
    pixels[:, :, ::2] = thresholds[:, number // 2]
    expected = finn_node.execute(
        "Thresholding", [(pixels.reshape(1, 1, -1, channels), kind), (thresholds, kind)], (1, 1, IMAGES * 5, channels),
        NumChannels=channels, PE=1, numSteps=number, ActVal=0, numInputVectors=[1, 1, IMAGES * 5],
        inputDataType=kind, weightDataType=kind, outputDataType="UINT8",
    )  # fmt: skip
    chain.add("threshold", {
        "CHANNELS": channels, "PE": pe, "IN_BITS": bits, "IN_SIGNED": signed, "STEPS": number, "OUT_BITS": 8,
        "OUT_BIAS": 0,
    }, thresholds.reshape(groups, -1), kind)  # fmt: skip
    np.testing.assert_array_equal(chain.run(pixels, kind), expected.reshape(IMAGES, -1))


@pytest.mark.quick(1)
@pytest.mark.parametrize("index", range(4))
def test_what_stands_between_products(index: int, chain: Chain, seed: int) -> None:
    """A fork; one side padded and pooled; addends, concatenation and sum of both sides; the sum of all pixels."""
    rng = np.random.default_rng((seed, index))
    height, width, channels, bits, folded = draw(rng, (2, 2, 1, 2, 0), (7, 7, 12, 8, 1))
    signed = bool(rng.integers(2))
    kind, addend_bits = finn_node.datatype(bits, signed), int(rng.integers(2, 9))
    pads = draw(rng, (0, 0, 0, 0), (2, 2, 2, 2))
    top, left, bottom, right = pads
    padded = (top + height + bottom, left + width + right)
    k_h, k_w, stride = draw(rng, (1, 1, 1), (2, 2, 2))
    out = ((padded[0] - k_h) // stride + 1, (padded[1] - k_w) // stride + 1)
    pixels = out[0] * out[1]
    images = finn_node.random_integers(rng, (IMAGES, height, width, channels), bits, signed)
    addends = finn_node.random_integers(rng, (channels,), addend_bits, True)
    wide, addend = f"INT{max(bits, addend_bits) + 2}", f"INT{addend_bits}"
    doubled, summed = f"INT{max(bits, addend_bits) + 3}", "INT28"
    expected = []
    for image in images:
        border = finn_node.execute(
            "FMPadding", [(image[np.newaxis], kind)], (1, *padded, channels), ImgDim=[height, width], Padding=pads,
            NumChannels=channels, SIMD=channels, inputDataType=kind,
        )  # fmt: skip
        windows = finn_node.execute(
            "ConvolutionInputGenerator", [(border, kind)], (1, *out, k_h * k_w * channels), ConvKernelDim=[k_h, k_w],
            IFMChannels=channels, IFMDim=list(padded), OFMDim=list(out), SIMD=channels, Stride=[stride, stride],
            Dilation=[1, 1], inputDataType=kind, outputDataType=kind,
        )  # fmt: skip
        pooled = finn_node.execute(
            "Pool", [(windows, kind)], (1, *out, channels), Channels=channels, PE=channels, KernelSize=[k_h, k_w],
            Function="MaxPool", OutImgDims=list(out), InputDataType=kind, OutputDataType=kind,
        )  # fmt: skip
        shape = [1, *out, channels]
        moved = finn_node.execute(
            "ElementwiseAdd", [(pooled, kind), (addends, addend)], shape, lhs_dtype=kind, rhs_dtype=addend,
            out_dtype=wide, lhs_shape=shape, rhs_shape=[channels], out_shape=shape,
        )  # fmt: skip
        sums = finn_node.execute(
            "ElementwiseAdd", [(moved, wide), (pooled, kind)], shape, lhs_dtype=wide, rhs_dtype=kind, out_dtype=doubled,
            lhs_shape=shape, rhs_shape=shape, out_shape=shape,
        )  # fmt: skip
        both = finn_node.execute(
            "StreamingConcat", [(sums, doubled), (sums, doubled)], (1, *out, 2 * channels), SIMD=1,
            ChannelsPerStream=[channels, channels], inputDataTypes=[doubled, doubled], numInputVectors=[1, *out],
        )  # fmt: skip
        expected.append(
            finn_node.execute(
                "GlobalAccPool", [(both, doubled)], (1, 1, 1, 2 * channels), NumChannels=2 * channels, PE=1,
                inputDataType=doubled, numInputVectors=[1, *out],
            )
        )  # fmt: skip
    width_bits = DataType[doubled].bitwidth()
    chain.add("fmpad", {
        "IFM_H": height, "IFM_W": width, "CHANNELS": channels, "SIMD": 1, "BITS": bits,
        "PAD_TOP": top, "PAD_LEFT": left, "PAD_BOTTOM": bottom, "PAD_RIGHT": right,
    })  # fmt: skip
    size = {"IFM_H": padded[0], "IFM_W": padded[1], "CHANNELS": channels, "BITS": bits}
    stepped = {"K_H": k_h, "K_W": k_w, "STRIDE_H": stride, "STRIDE_W": stride}
    if folded:
        chain.add("sliding_window_folded", {**size, "SIMD": 1, **stepped, "DEPTHWISE": 1})
        chain.add("max_pool_folded", {"PE": 1, "BITS": bits, "SIGNED": int(signed), "WINDOW": k_h * k_w})
    else:
        chain.add("sliding_window", {**size, **stepped})
        chain.add("max_pool", {"CHANNELS": channels, "BITS": bits, "SIGNED": int(signed), "WINDOW": k_h * k_w})
    lhs, rhs = chain.add("stream_fork", {"WIDTH": bits, "OUTPUTS": 2}, outputs=2)
    (moved_stream,) = chain.add(
        "channel_add",
        {"CHANNELS": channels, "PE": 1, "IN_BITS": bits, "IN_SIGNED": int(signed), "ADDEND_BITS": addend_bits,
         "ADDEND_SIGNED": 1, "OUT_BITS": DataType[wide].bitwidth()},
        addends.reshape(-1, 1), addend, {"s_axis": lhs},
    )  # fmt: skip
    chain.add(
        "stream_add",
        {"PE": 1, "LHS_BITS": DataType[wide].bitwidth(), "LHS_SIGNED": 1, "RHS_BITS": bits, "RHS_SIGNED": int(signed),
         "OUT_BITS": width_bits},
        inputs={"s_axis_lhs": moved_stream, "s_axis_rhs": rhs},
    )  # fmt: skip
    lhs, rhs = chain.add("stream_fork", {"WIDTH": width_bits, "OUTPUTS": 2}, outputs=2)
    chain.add(
        "stream_concat", {"LHS_WIDTH": channels * width_bits, "RHS_WIDTH": channels * width_bits},
        inputs={"s_axis_lhs": lhs, "s_axis_rhs": rhs},
    )  # fmt: skip
    chain.add("global_acc_pool", {
        "CHANNELS": 2 * channels, "PE": 1, "PIXELS": pixels, "BITS": width_bits, "SIGNED": 1,
        "OUT_BITS": DataType[summed].bitwidth(),
    })  # fmt: skip
    np.testing.assert_array_equal(chain.run(images, kind), np.stack(expected).reshape(IMAGES, -1))


NETWORKS = {
    "plain": Network(),
    **BRANCHES,
    "signed": Network(signed_activations=True),
    "8 bits": Network(weight_bits=8, activation_bits=8),
    "2 bits": Network(weight_bits=2, activation_bits=2),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", NETWORKS)
def test_whole_networks(name: str, tmp_path: Path, seed: int) -> None:
    """Every logit against FINN's execution and QONNX's, which the RTL is held to."""
    network = NETWORKS[name]
    package = make_package(tmp_path / "package", network, seed % 1000)
    build = compile_package(package, tmp_path / "build")
    images = random_images(network, 6, seed)
    expected = finn_logits(build, images)
    np.testing.assert_array_equal(qonnx_logits(build, images)[0], expected)
    np.testing.assert_array_equal(IntegerNetwork(build.folder).logits(images), expected)
    assert len(np.unique(expected, axis=0)) > 1


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("packages") / "package", Network(), 1)


@pytest.fixture(scope="module")
def build(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return compile_package(package, tmp_path_factory.mktemp("builds") / "build")


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return random_images(Network(), 70, 5)  # more than are in memory at once


def program(build: Build, memories: Path | None = None) -> IntegerProgram:
    shape = build.manifest.input
    elements = Elements(shape.height * shape.width * shape.channels, 8, signed=False)
    return IntegerProgram(build.netlist, memories or build.folder / "mem", elements)


def test_of_a_package_and_of_its_build_alike(build: Build, package: Path, images: NDArray[np.uint8]) -> None:
    of_build, of_package = IntegerNetwork(build.folder), IntegerNetwork(package)
    np.testing.assert_array_equal(of_build.logits(images), of_package.logits(images))
    np.testing.assert_array_equal(of_build.features(images[:2]), of_package.features(images[:2]))
    assert of_build.logits(images[:0]).shape == (0, 3)


@pytest.mark.parametrize("kernel", ["mvau", "threshold"])
def test_a_changed_constant_is_noticed(kernel: str, build: Build, images: NDArray[np.uint8], tmp_path: Path) -> None:
    """A bit of every word of a memory file, which the RTL reads too."""
    expected = program(build).run(images)
    for path in (build.folder / "mem").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = next(iter(sorted(tmp_path.glob(f"{kernel}_*.hex"))))
    path.write_text("".join(f"{int(word, 16) ^ 1:0{len(word)}x}\n" for word in path.read_text().split()))
    assert (program(build, tmp_path).run(images) != expected).any()


def test_memory_files_that_are_not_whole(build: Build, tmp_path: Path) -> None:
    for path in (build.folder / "mem").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = next(path for path in sorted(tmp_path.iterdir()))
    for contents in ("", first.read_text()[:-3], "g" * len(first.read_text().split()[0])):
        first.write_text(contents)
        with pytest.raises(IcsortError, match=r"is missing, or does not hold .* compile again"):
            program(build, tmp_path)


def test_images_of_another_shape(build: Build, images: NDArray[np.uint8]) -> None:
    with pytest.raises(IcsortError, match=r"takes uint8 pixels \(N, 12, 14, 2\), not uint8 \(70, 12, 13, 2\)"):
        IntegerNetwork(build.folder).logits(images[:, :, 1:])
    with pytest.raises(IcsortError, match="have 312 elements; the network takes 336"):
        program(build).run(images[:, :, 1:])


@pytest.mark.parametrize("name", [kernel.name for kernel in LAYER_KERNELS])
def test_every_kernel_of_a_layer_has_its_arithmetic(name: str, tmp_path: Path) -> None:
    """An instance without parameters: whatever else is wrong with it, its kernel is known."""
    instance = Instance(name="x_0", module=name, parameters={}, inputs={"s_axis": "s_axis"}, outputs=("x_0",))
    netlist = Netlist(input="s_axis", output="s_axis", streams={}, instances=(instance,))
    said = ""
    try:
        source(netlist, tmp_path, Elements(4, 8, signed=False))
    except IcsortError as error:
        said = str(error)
    assert "is no kernel" not in said


def test_a_kernel_without_arithmetic(build: Build) -> None:
    instance = Instance(name="x_0", module="label_select", parameters={}, inputs={"s_axis": "s_axis"}, outputs=("x_0",))
    netlist = Netlist(input="s_axis", output="x_0", streams={}, instances=(instance,))
    with pytest.raises(IcsortError, match=r"x_0 \(label_select\) is no kernel of the model"):
        source(netlist, build.folder / "mem", Elements(4, 8, signed=False))
    wide = Netlist(input="s_axis", output="s_axis", streams={}, instances=())
    with pytest.raises(ValueError, match="at most 32"):
        source(wide, build.folder / "mem", Elements(4, 32, signed=False))


TINY = '#include "integer_kernels.h"\nextern "C" int answer() { return integer::VECTOR; }\n'


SLOW_COMPILER = """#!/bin/sh
case "$*" in *network.cpp*) echo half > part.so; touch "$STARTED"; exec sleep 60;; esac
exec "$REAL" "$@"
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICSORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(integer_program, "OPTIONS", ("-O0", *integer_program.OPTIONS[:1], "-fPIC", "-shared"))
    return tmp_path / "cache"


def test_without_a_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(IcsortError, match=r"c\+\+ not found, .* apt-get install g\+\+; or give .* the model package"):
        compile_program(TINY)
    assert not cache.exists()


def test_a_compiler_that_fails_names_its_log(cache: Path) -> None:
    with pytest.raises(IcsortError, match=r"could not compile the build's network, see .*/log: .*error"):
        compile_program(TINY + "no C++")
    assert not list(cache.rglob("*.so"))


@pytest.mark.usefixtures("cache")
def test_compiled_once_and_again_where_damaged() -> None:
    library = compile_program(TINY)
    before = library.stat().st_mtime_ns
    assert compile_program(TINY).stat().st_mtime_ns == before
    whole = library.read_bytes()
    for damage in (b"", whole[:-9], whole[:100] + b"!" + whole[101:]):
        library.write_bytes(damage)
        assert compile_program(TINY).stat().st_size == len(whole)
    (library.parent / "made.json").write_text("{")
    compile_program(TINY)
    assert "sha256" in (library.parent / "made.json").read_text()


@pytest.mark.usefixtures("cache")
def test_killed_while_compiling(tmp_path: Path) -> None:
    """A compiler that hangs, in a process that is killed: the next one compiles as if nothing had been."""
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "c++"
    slow.write_text(SLOW_COMPILER)
    slow.chmod(0o755)
    started = tmp_path / "started"
    code = f"from icsort.formats.integer_program import compile_program; compile_program({TINY!r})"
    environment = {**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}", "STARTED": str(started)}
    environment["REAL"] = shutil.which("c++") or ""
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert compile_program(TINY).stat().st_size > 1000


def test_two_at_once(cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        libraries = list(pool.map(lambda _: compile_program(TINY), range(3)))
    assert len(set(libraries)) == 1
    assert len(list(cache.rglob("network.so"))) == 1
