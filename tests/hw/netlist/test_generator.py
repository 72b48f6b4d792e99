# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from icsort.errors import IcsortError
from icsort.hw.compile import compile_package
from icsort.hw.frontend.convert import HW_DOMAIN, HardwareGraph
from icsort.hw.kernels import kernel_of, read_node
from icsort.hw.kernels.kernel import pack
from icsort.hw.netlist import generator
from icsort.sim.verilator import verilate


def decode(path, per_word, bits):
    """Memory file -> signed integers (words, elements); unlike pack, through a string of bits."""
    rows = []
    for line in path.read_text().split():
        assert len(line) == -(-per_word * bits // 4)
        text = f"{int(line, 16):0{per_word * bits}b}"
        assert len(text) == per_word * bits
        fields = [text[len(text) - (i + 1) * bits : len(text) - i * bits] for i in range(per_word)]
        rows.append([int(field, 2) - (int(field[0]) << bits) for field in fields])
    return np.array(rows)


def test_memory_files_hold_the_graphs_weights(package, tmp_path):
    (tmp_path / "folding.json").write_text(json.dumps({f"MVAU_{n}": {"mult_style": "lut"} for n in range(3)}))
    build = compile_package(package, tmp_path / "build", folding=tmp_path / "folding.json")
    graph = ModelWrapper(str(build.graph))
    tensors = {node.name: graph.get_initializer(node.input[1]) for node in graph.graph.node if len(node.input) > 1}
    seen = 0
    for layer in build.layers:
        p, path = layer.params, build.folder / str(layer.memory)
        if layer.kernel == "mvau":
            words = decode(path, p["PE"] * p["SIMD"], p["WEIGHT_BITS"])
            expected = tensors[layer.name].T
            for (row, column), weight in np.ndenumerate(expected):
                word = (row // p["PE"]) * (p["MW"] // p["SIMD"]) + column // p["SIMD"]
                assert words[word, (row % p["PE"]) * p["SIMD"] + column % p["SIMD"]] == weight
            assert words.size == expected.size
            seen += 1
        elif layer.kernel == "threshold":
            words = decode(path, p["PE"] * p["STEPS"], p["IN_BITS"])
            expected = tensors[layer.name]
            for (channel, step), threshold in np.ndenumerate(expected):
                assert words[channel // p["PE"], (channel % p["PE"]) * p["STEPS"] + step] == threshold
            assert words.size == expected.size
            seen += 1
        else:
            assert layer.memory is None
    assert seen == 5


@pytest.mark.parametrize(
    ("rows", "bits", "words"),
    [
        ([[1, 2, -1]], 4, [0xF21]),
        ([[7], [-8]], 4, [7, 8]),
        ([[255, 0]], 8, [0xFF]),
        ([[-1, 1, 0, -2]], 2, [0b10_00_01_11]),
    ],
)
def test_pack(rows, bits, words):
    assert pack(np.array(rows), bits) == words


@pytest.mark.parametrize(("rows", "bits"), [([[8, -1]], 4), ([[-9]], 4), ([[256]], 8)])
def test_pack_refuses_what_does_not_fit(rows, bits):
    with pytest.raises(ValueError, match="does not fit"):
        pack(np.array(rows), bits)


def placed(model, proto, unit):
    """Parameters and memory of a node's instance."""
    node = read_node(model, proto)
    kernel = kernel_of(node, unit)
    return kernel.parameters(node, unit, "xc7"), kernel.memory(node, unit)


def test_thresholds_that_are_never_reached_widen_the_accumulator():
    """INT5 accumulators reach 15; FINN's threshold 16 means never, and 5 bits would read it as -16: always."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MVAU", ["x", "w"], ["a"], name="MVAU_0", domain=HW_DOMAIN, MW=1, MH=1, SIMD=1, PE=1,
                         numInputVectors=[1], inputDataType="UINT4", weightDataType="INT2", outputDataType="INT5",
                         accDataType="INT5", noActivation=1, backend="fpgadataflow"),
        helper.make_node("Thresholding", ["a", "t"], ["y"], name="Thresholding_0", domain=HW_DOMAIN,
                         NumChannels=1, PE=1, numSteps=3, numInputVectors=[1], ActVal=0, inputDataType="INT5",
                         weightDataType="INT6", outputDataType="UINT2", backend="fpgadataflow"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [info("x", 1, [1, 1])], [info("y", 1, [1, 1])], value_info=[info("a", 1, [1, 1])]
    )
    model = ModelWrapper(helper.make_model(graph))
    model.set_initializer("w", np.float32([[1]]))
    for tensor, kind in {"x": "UINT4", "w": "INT2", "a": "INT5", "t": "INT6", "y": "UINT2"}.items():
        model.set_tensor_datatype(tensor, DataType[kind])
    widths = {}
    for highest in (15, 16):
        model.set_initializer("t", np.float32([[-3, 4, highest]]))
        model.set_tensor_datatype("t", DataType["INT6"])
        (mvau, _), (threshold, memory) = (placed(model, node, {"PE": 1, "SIMD": 1}) for node in model.graph.node)
        assert mvau["ACC_BITS"] == threshold["IN_BITS"]
        bits = int(threshold["IN_BITS"])
        word = sum((value & (2**bits - 1)) << (i * bits) for i, value in enumerate((-3, 4, highest)))
        assert [int(line, 16) for line in memory.text().split()] == [word]
        widths[highest] = bits
    assert widths == {15: 5, 16: 6}


def test_thresholds_that_no_value_reaches_are_left_out():
    """A quantizer straight behind another one: UINT4 in, so 16 is never there; one for each channel, so 15 stays."""
    info = helper.make_tensor_value_info
    node = helper.make_node(
        "Thresholding", ["x", "t"], ["y"], name="Thresholding_0", domain=HW_DOMAIN, NumChannels=2, PE=1, numSteps=3,
        numInputVectors=[1], ActVal=0, inputDataType="UINT4", weightDataType="UINT5", outputDataType="UINT2",
        backend="fpgadataflow",
    )  # fmt: skip
    model = ModelWrapper(
        helper.make_model(helper.make_graph([node], "g", [info("x", 1, [1, 2])], [info("y", 1, [1, 2])]))
    )
    for tensor, kind in {"x": "UINT4", "y": "UINT2"}.items():
        model.set_tensor_datatype(tensor, DataType[kind])
    model.set_initializer("t", np.float32([[3, 7, 16], [4, 15, 16]]))
    parameters, memory = placed(model, model.graph.node[0], {"PE": 1})
    assert (parameters["STEPS"], parameters["IN_BITS"]) == (2, 4)
    assert [int(line, 16) for line in memory.text().split()] == [3 + (7 << 4), 4 + (15 << 4)]
    model.set_initializer("t", np.float32([[3, 7, 16], [4, 5, 15]]))
    with pytest.raises(IcsortError, match=r"layer 'act' .*: a threshold above the range of the input"):
        read_node(model, model.graph.node[0], "act")


def test_a_layer_without_a_kernel_is_refused_by_name():
    info = helper.make_tensor_value_info
    node = helper.make_node("Crop", ["x"], ["y"], name="Crop_0", domain=HW_DOMAIN)
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "g", [info("x", 1, [1])], [info("y", 1, [1])])))
    graph = HardwareGraph(model, 1.0, {"Crop_0": "features.3.crop"}, {})
    with pytest.raises(IcsortError, match=r"layer 'features.3.crop' \(FINN's Crop_0\): Crop is not covered"):
        generator.generate(graph, {"Crop_0": {"fifo_depth": 2}}, "xc7")


def test_generated_verilog_is_lint_clean(build):
    sources = [str(path) for path in build.sources()]
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", "--top-module", "icsort_build", *sources],
        env={**os.environ, **verilate.environment()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_each_instance_says_which_layer_it_is_of(build):
    text = (build.folder / "rtl" / "icsort_net.sv").read_text()
    for layer in build.layers:
        comment = f"// {layer.name}, from layer '{layer.source}'\n"
        module = rf"{layer.kernel} #\((?:[^;]*?)\)" if layer.kernel != "constant_mvau" else layer.instance
        pattern = rf"{comment}  {module} u_{layer.instance} \("
        assert re.search(pattern, text), layer
        assert re.search(rf"\.DEPTH +\({layer.fifo_depths[0]}\),\n[^;]*?\n  \) u_{layer.instance}_fifo ", text), layer


def test_wrapper_binds_the_manifest(build):
    text = (build.folder / "rtl" / "icsort_build.sv").read_text()
    bound = dict(re.findall(r"\.(\w+) +\(([^\n]*)\),?\n", text))
    assert bound["BUILD_ID"] == f"64'h{build.build_id}"
    assert bound["MODEL_ID"] == f"64'h{build.manifest.model_id}"
    assert bound["NETWORK_ID"] == f"64'h{build.manifest.network_id}"
    assert (bound["H"], bound["W"], bound["C"], bound["N_CLASSES"]) == ("12", "14", "2", "3")
    assert bound["BACKGROUND"] == "{16'd100, 16'd100}"
    assert bound["GAIN"] == "{18'sd1000, 18'sd1000}"
    assert bound["LOGIT_BITS"] == str(build.logit_bits)
