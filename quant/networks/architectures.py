# SPDX-License-Identifier: Apache-2.0
"""The networks, float and quantized from one definition, and `Architecture`, which makes each by its name.

Input (N, C, H, W), whole numbers 0..255 as float: the preprocessed pixels, without any scaling in front. Output
(N, classes) logits; quantized, they are integer accumulators times `logit_scale()`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from icsort.errors import IcsortError
from icsort.quant.networks.blocks import Activation, Bits, Chain, head
from icsort.quant.networks.registry import ARCHITECTURES, STEMS
from icsort.quant.networks.trunk import Options

MIN_BITS, MAX_BITS = 2, 8
MAX_FACTOR = 4.0


class Network(nn.Module):
    """A trunk of layers; global average pool, or flatten in NHWC order (that of hardware's pixel stream); a head."""

    def __init__(self, trunk: Chain, classes: int, shape: tuple[int, int, int], last_bits: int | None, flat: bool):
        """shape: (C, H, W) of the input."""
        super().__init__()
        self.trunk = trunk
        self.flat = flat
        trunk.eval()  # or the empty image would be counted in the statistics of batch norm
        with torch.no_grad():
            _, features, rows, columns = trunk(torch.zeros(1, *shape)).shape
        trunk.train()
        self.positions = rows * columns
        self.head = head(features * self.positions if flat else features, classes, last_bits)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (N, C, H, W) float of whole numbers 0..255. Returns logits (N, classes)."""
        logits: Tensor = self.head(self.embed(pixels))
        return logits

    def embed(self, pixels: Tensor) -> Tensor:
        """What the head sees of pixels (N, C, H, W): (N, features)."""
        features = self.trunk(pixels)
        return torch.flatten(features.permute(0, 2, 3, 1), 1) if self.flat else features.mean((2, 3))

    @property
    def quantized(self) -> bool:
        """Whether hardware can be made of it."""
        return any(isinstance(module, Activation) for module in self.modules())

    @property
    def weights(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def settle_thresholds(self) -> None:
        """Call once after training: keeps the thresholds of all layers clear of whole numbers (see networks.blocks)."""
        self.trunk.settle(torch.ones((), dtype=torch.float64))

    def logit_scale(self) -> float:
        """Logit of one accumulator step: the last activation's step times the head's scale, over pooled positions."""
        with torch.no_grad():
            step = [module for module in self.trunk.modules() if isinstance(module, Activation)][-1].step()
            scale = float(step) * float(self.head.quant_weight().scale)
        return scale if self.flat else scale / self.positions


SMALLEST = 10


@dataclass(frozen=True)
class Architecture:
    """A network by its name and options.

    name: of registry.ARCHITECTURES. width_multiplier, depth_multiplier: factors of all numbers of features and of the
    blocks in a stage. weight_bits, activation_bits: 2..8, both None for float; first_bits, last_bits: of the weights of
    the first and the last layer, `weight_bits` where None. stem: the architecture's own ("standard"), or for small
    images one 3 x 3 convolution of stride 2 ("3x3"), or one of stride 1 and a 2 x 2 max pool ("pool").

    Raises IcsortError for a name that is not known and for numbers out of range.
    """

    name: str = "student"
    width_multiplier: float = 1.0
    depth_multiplier: float = 1.0
    weight_bits: int | None = 4
    activation_bits: int | None = 4
    first_bits: int | None = None
    last_bits: int | None = None
    stem: str = "standard"

    def __post_init__(self) -> None:
        if self.name not in ARCHITECTURES:
            raise IcsortError(f"there is no architecture {self.name!r}: choose one of {', '.join(ARCHITECTURES)}")
        if self.stem not in STEMS:
            raise IcsortError(f"there is no stem {self.stem!r}: choose one of {', '.join(STEMS)}")
        if (self.weight_bits is None) != (self.activation_bits is None):
            raise IcsortError("weights and activations are either both float or both quantized: give the bits of both")
        for bits in (self.weight_bits, self.activation_bits, self.first_bits, self.last_bits):
            if bits is not None and self.weight_bits is None:
                raise IcsortError("a float network has no quantized first or last layer: give --weight-bits too")
            if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
                raise IcsortError(f"{bits} bits cannot be had: give {MIN_BITS} to {MAX_BITS}")
        if not (0 < self.width_multiplier <= MAX_FACTOR and 0 < self.depth_multiplier <= MAX_FACTOR):
            raise IcsortError(f"the factors of width and depth must be above 0 and at most {MAX_FACTOR}")

    @property
    def title(self) -> str:
        """Name and bits, for people."""
        arithmetic = "float" if self.weight_bits is None else f"w{self.weight_bits}a{self.activation_bits}"
        return f"{self.name}-{arithmetic}"

    def as_float(self) -> "Architecture":
        """The same network in floating point."""
        return replace(self, weight_bits=None, activation_bits=None, first_bits=None, last_bits=None)

    def build(self, channels: int, classes: int, height: int, width: int) -> Network:
        """The network with random weights. Raises IcsortError for a window that is too small."""
        if channels < 1 or classes < 1:
            raise IcsortError(f"{channels} channels and {classes} outputs: at least 1 of each is needed")
        if min(height, width) < SMALLEST:
            raise IcsortError(
                f"a window of {height} x {width} is too small for this network: it needs {SMALLEST} x {SMALLEST} pixels"
            )
        first, last = self.first_bits or self.weight_bits, self.last_bits or self.weight_bits
        bits = Bits(self.weight_bits, self.activation_bits, first, last)
        entry = ARCHITECTURES[self.name]
        module, _, function = entry.trunk.partition(":")
        make: Callable[[int, Options], Chain] = getattr(import_module(f"icsort.quant.networks.{module}"), function)
        trunk = make(channels, Options(self.width_multiplier, self.depth_multiplier, bits, self.stem))
        return Network(trunk, classes, (channels, height, width), bits.last, entry.flat)


def build_model(name: str, channels: int, classes: int, height: int, width: int, **options: Any) -> Network:
    """A network with random weights for windows (channels, height, width). options: of `Architecture`."""
    return Architecture(name, **options).build(channels, classes, height, width)
