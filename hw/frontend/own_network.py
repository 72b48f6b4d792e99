# SPDX-License-Identifier: Apache-2.0
"""A QONNX file of anybody's as the `model.onnx` of a model package: uint8 pixels in, whole steps of one scale out.

What is taken away or written otherwise leaves each logit as it was, but for a float bias behind the last layer, which
is rounded to the accumulator's steps: at most half of one. `frontend.class_scales` has what stands behind that layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from icsort.errors import IcsortError
from icsort.hw.frontend import class_scales
from icsort.hw.frontend import convert as frontend
from icsort.hw.frontend.fast_model import FastModel

CHECK_SEED = 1
OPTIONS = {"Mul": "input-scale", "Sub": "mean", "Div": "std"}


@dataclass(frozen=True)
class OwnNetwork:
    """model: the file to write. shape: (H, W, C) of its image. classes: its logits. scale: what one integer logit is
    worth. rounded: most that the rounding of a bias moved a logit by; 0 without one."""

    model: onnx.ModelProto
    shape: tuple[int, int, int]
    classes: int
    scale: float
    rounded: float


def take_in(
    path: Path,
    work: Path,
    *,
    input_scale: float | None = None,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> OwnNetwork:
    """Take in a QONNX file, by converting it to FINN's hardware graph: what cannot be compiled is refused here.

    work: a folder for files in between. input_scale: of a network that takes floats, what a step of a pixel is worth to
    it, as 1/255 for 0..1. mean, deviation: numbers a channel that are then taken off and divided by. progress:
    called with each step's name before it. Raises IcsortError naming the layer of the file.
    """
    model = frontend.load_qonnx(path, external=True)
    shape, classes = _interface(model, path)
    _scale_pixels(model, input_scale, mean, deviation, shape[2])
    images, target = _images(shape), work / path.name
    original = _copied(model.model)
    bias = class_scales.take_off(model, classes)

    def converted() -> float:
        onnx.save(model.model, target)
        return frontend.convert(
            target, shape=shape, classes=classes, scale=None, images=images, progress=progress
        ).scale

    scale, rounded = converted(), 0.0
    if bias is not None and bias.any():
        steps = np.rint(bias / scale)
        rounded = float(np.abs(bias - steps * scale).max())
        class_scales.add_bias(model, steps * scale)
        scale = converted()
    if bias is not None:
        difference = np.abs(frontend.logits(model.model, images) - frontend.logits(original, images)).max()
        if not difference <= rounded + frontend.TOLERANCE * scale:
            raise IcsortError(
                f"{path.name}: what stands behind its last layer cannot be taken into it exactly, its logits change by "
                f"{difference:.3g} (one integer step is {scale:.3g}); take it into the weights before they are "
                "quantized"
            )
    return OwnNetwork(model.model, shape, classes, scale, rounded)


def _interface(model: ModelWrapper, path: Path) -> tuple[tuple[int, int, int], int]:
    """(H, W, C) of the image and the number of logits."""
    if len(model.graph.output) != 1:
        raise IcsortError(f"{path}: has {len(model.graph.output)} outputs; one with the classes' logits is covered")
    image = model.get_tensor_shape(model.graph.input[0].name)
    try:
        logits = frontend.clean(FastModel(_copied(model.model))).graph.output[0].type.tensor_type.shape.dim
    except IcsortError as error:
        raise IcsortError(f"{path}: {error}") from None
    if image is None or len(image) != 4 or not all(image) or image[0] != 1:
        raise IcsortError(
            f"{path}: takes {image}; an image (1, channels, height, width) or a vector (1, numbers) is covered: export "
            "it with one such input"
        )
    sizes = [dimension.dim_value for dimension in logits]
    if len(sizes) != 2 or sizes[0] != 1:
        raise IcsortError(f"{path}: gives {sizes}; logits (1, classes) are covered: flatten them at the end")
    return (image[2], image[3], image[1]), sizes[1]


def _copied(proto: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return copy


def _scale_pixels(
    model: FastModel, input_scale: float | None, mean: Sequence[float], deviation: Sequence[float], channels: int
) -> None:
    """Mul, Sub and Div between uint8 pixels and the network's own input."""
    steps = [("Mul", [] if input_scale is None else [input_scale]), ("Sub", list(mean)), ("Div", list(deviation))]
    name = model.graph.input[0].name
    shape = model.get_tensor_shape(name) or []
    for op, values in steps:
        if not values:
            continue
        if len(values) not in (1, channels) or not np.isfinite(values).all() or (op != "Sub" and min(values) <= 0):
            raise IcsortError(
                f"--{OPTIONS[op]} {','.join(map(str, values))}: give one finite "
                f"number, or one for each of the {channels} channels" + (", above 0" if op != "Sub" else "")
            )
        scaled, constant = f"{name}_{op.lower()}", f"{name}_{op.lower()}_by"
        model.set_initializer(constant, np.array(values, np.float32).reshape(1, -1, 1, 1))
        users = model.find_consumers(name)
        for user in users:
            for i, tensor in enumerate(user.input):
                if tensor == name:
                    user.input[i] = scaled
        at = min(list(model.graph.node).index(user) for user in users)
        model.graph.node.insert(at, helper.make_node(op, [name, constant], [scaled], name=f"pixels_{op.lower()}"))
        model.set_tensor_shape(scaled, shape)
        name = scaled


def _images(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """(2, H, W, C): noise over the full range, and dim noise as background has it."""
    random = np.random.default_rng(CHECK_SEED)
    return np.stack([random.integers(0, 256, shape), random.integers(0, 48, shape)]).astype(np.uint8)
