# SPDX-License-Identifier: Apache-2.0
"""Weights of a published network, trained on natural images, for the first step of a training on cells.

The file is a state dictionary of torchvision's MobileNetV2, ResNet18 or ResNet50. Its convolutions and batch norms
stand in the order in which the network has them, which is ours too, so they are matched by order and shape, not by
name. The head is for other classes and is left out. The first layer is fitted to the cells' channels: each filter's
mean over red, green and blue, three over the channels' number times as strong, so that responses keep their size.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from icsort.errors import IcsortError
from icsort.quant.networks.architectures import Network
from icsort.quant.networks.blocks import Unit
from icsort.quant.networks.stored import load_stored

NORM = ("weight", "bias", "running_mean", "running_var")
COLOURS = 3


def load_published(model: Network, path: Path) -> None:
    """Copy a torchvision state dictionary into the trunk. Raises IcsortError for a file of another network."""
    refused = f"{path}: is not a state dictionary of this architecture at width 1"
    state = load_stored(path, "give a state dictionary")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise IcsortError(f"{refused}: it holds other things than tensors")
    convolutions = [value for value in state.values() if value.ndim == 4]
    norms = [key.removesuffix("running_mean") for key in state if key.endswith("running_mean")]
    units = _in_order(model.trunk)
    if not len(convolutions) == len(norms) == len(units):
        raise IcsortError(
            f"{refused}: {len(convolutions)} convolutions and {len(norms)} batch norms, not {len(units)} of each"
        )
    with torch.no_grad():
        for index, (unit, kernel, norm) in enumerate(zip(units, convolutions, norms, strict=True)):
            target = unit.conv.weight
            if index == 0 and kernel.shape[1] == COLOURS != target.shape[1]:
                channels = target.shape[1]
                kernel = kernel.mean(dim=1, keepdim=True).repeat(1, channels, 1, 1) * COLOURS / channels
            if kernel.shape != target.shape:
                raise IcsortError(f"{refused}: convolution {index} is {tuple(kernel.shape)}, not {tuple(target.shape)}")
            target.copy_(kernel)
            for name in NORM:
                if norm + name not in state or state[norm + name].shape != unit.norm.weight.shape:
                    raise IcsortError(f"{refused}: batch norm {index} ({norm}{name}) does not fit")
                getattr(unit.norm, name).copy_(state[norm + name])


def _in_order(trunk: nn.Module) -> list[Unit]:
    return [module for module in trunk.modules() if isinstance(module, Unit)]
