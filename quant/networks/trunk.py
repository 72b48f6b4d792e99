# SPDX-License-Identifier: Apache-2.0
"""What the trunks of several architectures are made of: options, first layers, residual sums."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from icsort.quant.networks.blocks import Activation, Bits, Chain, MaxPool, Unit, activation

CHANNEL_MULTIPLE = 8


@dataclass(frozen=True)
class Options:
    """What the trunks take beside channels: factors of width and depth, bits, stem."""

    width: float
    depth: float
    bits: Bits
    stem: str

    def features(self, count: int) -> int:
        """Features of a layer at this width: a multiple of 8, at most a tenth below the exact number (MobileNetV2)."""
        exact = count * self.width
        rounded = max(CHANNEL_MULTIPLE, int(exact + CHANNEL_MULTIPLE / 2) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE)
        return rounded + CHANNEL_MULTIPLE if rounded < 0.9 * exact else rounded

    def repeats(self, count: int) -> int:
        """Blocks of a stage at this depth, at least one."""
        return max(1, round(count * self.depth))


class Residual(nn.Module):
    """The sum of a branch and a shortcut, quantized again. The branch ends in the shortcut's step."""

    def __init__(self, branch: Chain, shortcut: Unit | None, act: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.act(self.branch(x) + (x if self.shortcut is None else self.shortcut(x)))
        return y

    def settle(self, step: Tensor) -> Tensor:
        """Branch, shortcut, sum."""
        joined = self.branch.settle(step)
        if self.shortcut is not None:
            self.shortcut.settle(step)
        assert isinstance(self.act, Activation)
        return self.act.settle(joined)


def stem(channels: int, features: int, options: Options, standard: Callable[[], list[nn.Module]]) -> list[nn.Module]:
    """standard: the architecture's own. 3x3: one convolution of stride 2. pool: stride 1 and a 2 x 2 max pool."""
    if options.stem == "standard":
        return standard()
    stride = 2 if options.stem == "3x3" else 1
    layers: list[nn.Module] = [Unit(channels, features, 3, activation(options.bits), options.bits.first, stride=stride)]
    return layers if stride == 2 else [*layers, MaxPool(2)]
