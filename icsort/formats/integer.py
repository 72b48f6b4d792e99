# SPDX-License-Identifier: Apache-2.0
"""A model package's network, executed in batches and as exact as hardware: integers in, integers out.

qonnx executes its own graphs node by node, image by image. Here qonnx turns the quantizers into standard ONNX operators
(QuantToQCDQ) and ONNX Runtime executes the graph, some hundred times as fast. Tests hold the integers to qonnx's.

Of a build, which has a netlist, a compiled program (`integer_program`) gives the logits: integers throughout, faster.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.qonnx_to_qcdq import QuantToQCDQ

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.build import BUILD_FILE, load_build
from icsort.formats.integer_program import IntegerProgram
from icsort.formats.integer_source import Elements

INTEGER_TOLERANCE = 0.25  # of a step of a logit: float32 rounds logits of 10^6 steps to tenths of one
BATCH = 64
QUANTIZERS = {"Quant", "BipolarQuant", "Trunc", "IntQuant", "FloatQuant"}


class IntegerNetwork:
    """The network of a model package, or of a build. Raises IcsortError for a package that manifest.load or ONNX
    Runtime refuses, and for a build as load_build and IntegerProgram do."""

    def __init__(self, package: Path, threads: int = 1) -> None:
        self.manifest = manifest.load(package)
        self._file = package / manifest.MODEL_FILE
        self._threads = threads
        self._program = None
        if (package / BUILD_FILE).is_file():
            build, shape = load_build(package), self.manifest.input
            elements = Elements(shape.height * shape.width * shape.channels, 8, signed=False)
            self._program = IntegerProgram(build.netlist, build.folder / "mem", elements)
        else:
            _ = self._session  # refused here rather than with the first cells

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        """ONNX Runtime's, which gives logits and what the last layer sees."""
        graph = ModelWrapper(str(self._file)).transform(QuantToQCDQ())
        left = next((node for node in graph.graph.node if node.op_type in QUANTIZERS), None)
        if left is not None:
            raise IcsortError(
                f"{self._file}: quantizer {left.name} ({left.op_type}) has no standard ONNX form (constant scale, zero "
                "point 0, 2 to 8 bits, rounding to the nearest); export again with such quantizers"
            )
        graph = graph.transform(ChangeBatchSize(BATCH))
        head = next(node for node in reversed(graph.graph.node) if node.op_type in ("Gemm", "MatMul"))
        graph.graph.output.append(helper.make_tensor_value_info(head.input[0], TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Fused integer kernels saturate on some processors; quantizer by quantizer the arithmetic is that of QONNX.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        return onnxruntime.InferenceSession(
            graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Integer logits (N, classes), the hardware's accumulators, of network pixels (N, H, W, C) uint8."""
        self._check(pixels)
        return self._program.run(pixels) if self._program else self._run(pixels)[0]

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the last layer sees: (N, features) activations of network pixels (N, H, W, C) uint8."""
        self._check(pixels)
        return self._run(pixels)[1]

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        shape = self.manifest.input
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (shape.height, shape.width, shape.channels):
            raise IcsortError(
                f"the network takes uint8 pixels (N, {shape.height}, {shape.width}, {shape.channels}), "
                f"not {pixels.dtype} {pixels.shape}"
            )

    def _run(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        source = self._session.get_inputs()[0].name
        logits, features = [np.empty((0, len(self.manifest.classes)))], []
        for begin in range(0, len(pixels), BATCH):
            part = pixels[begin : begin + BATCH]
            batch = np.zeros((BATCH, *pixels.shape[1:]), np.float32)
            batch[: len(part)] = part
            floats, seen = self._session.run(None, {source: batch.transpose(0, 3, 1, 2)})
            logits.append(floats[: len(part)].astype(np.float64))
            features.append(seen[: len(part)])
        steps = np.concatenate(logits) / self.manifest.logits.scale
        integers = np.rint(steps)
        worst = float(np.abs(steps - integers).max(initial=0.0))
        if not worst <= INTEGER_TOLERANCE:
            raise IcsortError(
                f"{self._file}: a logit lies {worst:.3g} of a step beside a multiple of the manifest's scale; "
                "export again"
            )
        return integers.astype(np.int64), np.concatenate(features) if features else np.empty((0, 0), np.float32)
