# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2 (Sandler et al. 2018)."""

from torch import nn

from icsort.quant.networks.blocks import Chain, Step, Unit, activation, step_of
from icsort.quant.networks.trunk import Options, Residual, stem

# Expansion, outputs, blocks and first stride of each stage (Sandler et al. 2018, table 2).
INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM, TOP = 32, 1280
RELU6 = 6.0


def mobilenet_v2(channels: int, options: Options) -> Chain:
    """Sandler et al. 2018, as torchvision builds it: inverted residual blocks, ReLU6."""
    bits, inputs = options.bits, options.features(STEM)

    def act() -> nn.Module:
        return activation(bits, ceiling=RELU6)

    def standard() -> list[nn.Module]:
        return [Unit(channels, inputs, 3, act(), bits.first, stride=2)]

    parts = stem(channels, inputs, options, standard)
    step: Step | None = None
    for expansion, width, count, first_stride in INVERTED:
        outputs = options.features(width)
        for block in range(options.repeats(count)):
            stride, inner = first_stride if block == 0 else 1, inputs * expansion
            joins = stride == 1 and inputs == outputs and block > 0
            ending = activation(bits, signed=True, step=step if joins else None)
            units = [] if expansion == 1 else [Unit(inputs, inner, 1, act(), bits.weights)]
            units.append(Unit(inner, inner, 3, act(), bits.weights, stride=stride, groups=inner))
            units.append(Unit(inner, outputs, 1, ending, bits.weights))
            if joins:
                parts.append(Residual(Chain(*units), None, activation(bits, signed=True, step=step)))
            else:
                parts.append(Chain(*units))
                step = step_of(ending)
            inputs = outputs
    top = max(TOP, options.features(TOP))  # the top does not shrink with the width
    parts.append(Unit(inputs, top, 1, act(), bits.weights))
    return Chain(*parts)
