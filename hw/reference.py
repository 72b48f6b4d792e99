# SPDX-License-Identifier: Apache-2.0
"""What others compute of the same images: FINN's Python execution of the hardware graph, QONNX's of the model file.

Neither knows of this repository's kernels, so equality with them is what makes the RTL exact. Both run image by
image and node by node.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.formats.build import Build
from icsort.hw.frontend import convert as frontend
from icsort.hw.frontend.execution import Executor
from icsort.hw.frontend.fast_model import FastModel
from icsort.hw.frontend.passes import quiet

INTEGER_TOLERANCE = frontend.TOLERANCE
ImageProgress = Callable[[int], None]


def finn_logits(
    build: Build, images: npt.NDArray[np.uint8], progress: ImageProgress = lambda _: None
) -> npt.NDArray[np.int64]:
    """Integer logits (N, classes) of images (N, H, W, C) uint8, by FINN's node-by-node execution of graph.onnx.

    progress: called with the number of images done. Raises IcsortError for images of another shape.
    """
    _check(build.manifest, images)
    model = FastModel(onnx.load(build.graph))
    logits = np.zeros((len(images), len(build.manifest.classes)), np.int64)
    for i, image in enumerate(images):
        logits[i] = _exact(_tensors(model, image)[model.graph.output[0].name], "graph.onnx")
        progress(i + 1)
    return logits


def finn_tensors(build: Build, image: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.int64]]:
    """Output of every layer of graph.onnx for one image (H, W, C) uint8: layer name -> integers, NHWC; logits last."""
    _check(build.manifest, image[np.newaxis])
    model = FastModel(onnx.load(build.graph))
    tensors = _tensors(model, image)
    return {node.name: _exact(tensors[node.output[0]], node.name) for node in model.graph.node}


def qonnx_logits(
    package: Build | Path, images: npt.NDArray[np.uint8], progress: ImageProgress = lambda _: None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Logits of images (N, H, W, C) uint8 by QONNX's execution of model.onnx: (N, classes) integers and floats.

    package: a build, or the folder of a model package. Raises IcsortError where a logit is not a multiple of the
    manifest's scale (to 0.01 of it), or for images of another shape.
    """
    folder, description = (
        (package.folder, package.manifest) if isinstance(package, Build) else (package, manifest.load(package))
    )
    _check(description, images)
    model = frontend.clean(frontend.load_qonnx(folder / manifest.MODEL_FILE))
    floats = np.zeros((len(images), len(description.classes)), np.float64)
    for i, image in enumerate(images):
        floats[i] = _tensors(model, image)[model.graph.output[0].name].reshape(-1)
        progress(i + 1)
    steps = floats / description.logits.scale
    integers = np.rint(steps)
    worst = float(np.abs(steps - integers).max(initial=0.0))
    if not worst <= INTEGER_TOLERANCE:
        raise IcsortError(
            f"{folder / manifest.MODEL_FILE}: a logit lies {worst:.3g} of a step beside a multiple "
            "of the manifest's scale; export again"
        )
    return integers.astype(np.int64), floats


def _tensors(model: FastModel, image: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
    with quiet():
        return Executor().execute(model, [frontend.float_input(model, image)])[0]


def _check(description: manifest.Manifest, images: npt.NDArray[np.uint8]) -> None:
    expected = (description.input.height, description.input.width, description.input.channels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
        raise IcsortError(
            f"images are {images.dtype} {images.shape}; the network takes uint8 (N, {', '.join(map(str, expected))})"
        )


def _exact(values: npt.NDArray[np.float32], where: str) -> npt.NDArray[np.int64]:
    integers = np.rint(values)
    if not np.array_equal(integers, values):
        raise IcsortError(f"{where}: FINN's execution gave values that are not integers; compile again")
    return integers.astype(np.int64)
