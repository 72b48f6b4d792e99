# SPDX-License-Identifier: Apache-2.0
"""ResNets (He et al. 2016), and a small one for small images."""

from torch import nn

from icsort.quant.networks.blocks import Bits, Chain, MaxPool, Step, Unit, activation, step_of
from icsort.quant.networks.trunk import Options, Residual, stem


def resnet8(channels: int, options: Options) -> Chain:
    """Three stages of one basic block, behind a 3 x 3 stem without a pool."""
    return _resnet(channels, options, (24, 40, 56), (1, 1, 1), 1, small=True)


def resnet18(channels: int, options: Options) -> Chain:
    """Four stages of two basic blocks."""
    return _resnet(channels, options, (64, 128, 256, 512), (2, 2, 2, 2), 1)


def resnet50(channels: int, options: Options) -> Chain:
    """Four stages of bottlenecks."""
    return _resnet(channels, options, (64, 128, 256, 512), (3, 4, 6, 3), 4)


def _resnet(
    channels: int,
    options: Options,
    widths: tuple[int, ...],
    repeats: tuple[int, ...],
    bottleneck: int,
    *,
    small: bool = False,
) -> Chain:
    """He et al. 2016, as torchvision builds it; small: for small images, with a 3 x 3 stem without a pool.

    bottleneck: outputs over inner features; 1: blocks of two 3 x 3 convolutions.
    """
    bits, inputs = options.bits, options.features(widths[0])

    def standard() -> list[nn.Module]:
        if small:
            return [Unit(channels, inputs, 3, activation(bits), bits.first, stride=2)]
        return [Unit(channels, inputs, 7, activation(bits), bits.first, stride=2), MaxPool(3, 2, 1)]

    parts = stem(channels, inputs, options, standard)
    step = next(step_of(part.act) for part in parts if isinstance(part, Unit))
    for stage, (width, count) in enumerate(zip(widths, repeats, strict=True)):
        inner = options.features(width)
        for block in range(options.repeats(count)):
            stride = 2 if stage > 0 and block == 0 else 1
            parts.append(_residual(inputs, inner, inner * bottleneck, stride, bits, step))
            inputs = inner * bottleneck
            step = step_of(parts[-1].get_submodule("act"))
    return Chain(*parts)


def _residual(inputs: int, inner: int, outputs: int, stride: int, bits: Bits, step: Step | None) -> Residual:
    """A basic block, or a bottleneck where outputs differ from inner features. step: the input's."""
    down = stride != 1 or inputs != outputs
    ending = activation(bits, signed=True, step=None if down else step)
    if inner == outputs:
        units = [
            Unit(inputs, inner, 3, activation(bits), bits.weights, stride=stride),
            Unit(inner, outputs, 3, ending, bits.weights),
        ]
    else:
        units = [
            Unit(inputs, inner, 1, activation(bits), bits.weights),
            Unit(inner, inner, 3, activation(bits), bits.weights, stride=stride),
            Unit(inner, outputs, 1, ending, bits.weights),
        ]
    shortcut = Unit(inputs, outputs, 1, ending, bits.weights, stride=stride) if down else None
    return Residual(Chain(*units), shortcut, activation(bits))
