# SPDX-License-Identifier: Apache-2.0
"""The networks, float and quantized from one definition, and `Architecture`, which makes each by its name.

Input (N, C, H, W), whole numbers 0..255 as float: the preprocessed pixels, without any scaling in front. Output
(N, classes) logits; quantized, they are integer accumulators times `logit_scale()`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from icsort.errors import IcsortError
from icsort.quant.networks.blocks import Activation, Bits, Chain, MaxPool, Step, Unit, activation, head, step_of

MIN_BITS, MAX_BITS = 2, 8
MAX_FACTOR = 4.0
STEMS = ("standard", "3x3", "pool")
RELU6 = 6.0
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


def _student(channels: int, options: Options) -> Chain:
    """Two 3 x 3 convolutions without padding, each with a 2 x 2 max pool."""
    features, bits = options.features(16), options.bits
    return Chain(
        Unit(channels, features, 3, activation(bits), bits.first, padding=0),
        MaxPool(2),
        Unit(features, features, 3, activation(bits), bits.weights, padding=0),
        MaxPool(2),
    )


def _stem(channels: int, features: int, options: Options, standard: Callable[[], list[nn.Module]]) -> list[nn.Module]:
    """standard: the architecture's own. 3x3: one convolution of stride 2. pool: stride 1 and a 2 x 2 max pool."""
    if options.stem == "standard":
        return standard()
    stride = 2 if options.stem == "3x3" else 1
    stem: list[nn.Module] = [Unit(channels, features, 3, activation(options.bits), options.bits.first, stride=stride)]
    return stem if stride == 2 else [*stem, MaxPool(2)]


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

    parts = _stem(channels, inputs, options, standard)
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


# Expansion, outputs, blocks and first stride of each stage (Sandler et al. 2018, table 2).
INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
MOBILENET_STEM, MOBILENET_TOP = 32, 1280


def _mobilenet_v2(channels: int, options: Options) -> Chain:
    """Sandler et al. 2018, as torchvision builds it: inverted residual blocks, ReLU6."""
    bits, inputs = options.bits, options.features(MOBILENET_STEM)

    def act() -> nn.Module:
        return activation(bits, ceiling=RELU6)

    def standard() -> list[nn.Module]:
        return [Unit(channels, inputs, 3, act(), bits.first, stride=2)]

    parts = _stem(channels, inputs, options, standard)
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
    top = max(MOBILENET_TOP, options.features(MOBILENET_TOP))  # the top does not shrink with the width
    parts.append(Unit(inputs, top, 1, act(), bits.weights))
    return Chain(*parts)


TRUNKS: dict[str, Callable[[int, Options], Chain]] = {
    "student": _student,
    "resnet8": lambda channels, options: _resnet(channels, options, (24, 40, 56), (1, 1, 1), 1, small=True),
    "resnet18": lambda channels, options: _resnet(channels, options, (64, 128, 256, 512), (2, 2, 2, 2), 1),
    "resnet50": lambda channels, options: _resnet(channels, options, (64, 128, 256, 512), (3, 4, 6, 3), 4),
    "mobilenet_v2": _mobilenet_v2,
}
FLAT = ("student",)  # the others average the last features over rows and columns
SMALLEST = 10


@dataclass(frozen=True)
class Architecture:
    """A network by its name and options.

    name: of TRUNKS. width_multiplier, depth_multiplier: factors of all numbers of features and of the blocks in a
    stage. weight_bits, activation_bits: 2..8, both None for float; first_bits, last_bits: of the weights of the first
    and the last layer, `weight_bits` where None. stem: the architecture's own ("standard"), or for small images one
    3 x 3 convolution of stride 2 ("3x3"), or one of stride 1 and a 2 x 2 max pool ("pool").

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
        if self.name not in TRUNKS:
            raise IcsortError(f"there is no architecture {self.name!r}: choose one of {', '.join(TRUNKS)}")
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
        if channels < 1 or classes < 2:
            raise IcsortError(f"{channels} channels and {classes} classes: at least 1 and 2 are needed")
        if min(height, width) < SMALLEST:
            raise IcsortError(
                f"a window of {height} x {width} is too small for this network: it needs {SMALLEST} x {SMALLEST} pixels"
            )
        first, last = self.first_bits or self.weight_bits, self.last_bits or self.weight_bits
        bits = Bits(self.weight_bits, self.activation_bits, first, last)
        trunk = TRUNKS[self.name](channels, Options(self.width_multiplier, self.depth_multiplier, bits, self.stem))
        return Network(trunk, classes, (channels, height, width), bits.last, flat=self.name in FLAT)


def build_model(name: str, channels: int, classes: int, height: int, width: int, **options: Any) -> Network:
    """A network with random weights for windows (channels, height, width). options: of `Architecture`."""
    return Architecture(name, **options).build(channels, classes, height, width)
