# SPDX-License-Identifier: Apache-2.0
"""Random changes of training images, for any number of channels: flips by default, others where asked for."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sim.bit_true.errors import IcsortError


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image, each drawn for each image by itself; all channels of an image move together.

    horizontal, vertical: flips, half of the time. quarter_turns: by 0, 90, 180 or 270 degrees, of square images.
    degrees: rotation by up to so many, either way. shift: by up to this part of height and width. scale: by up to this
    factor smaller or larger, as 0.1. brightness: by up to so much added, in the pixels' unit. gain: by up to this
    factor, of each channel by itself. noise: standard deviation added to each pixel. What a rotation, shift or scale
    brings in from outside is `fill`.

    Flips alone are the default, as in the study: what else leaves a cell what it is, only its biologist can say.
    """

    horizontal: bool = True
    vertical: bool = True
    quarter_turns: bool = False
    degrees: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    gain: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("degrees", "shift", "scale", "brightness", "gain", "noise"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise IcsortError(f"augmentation {name} is {value}: give a number from 0 up")
        for name in ("scale", "gain"):
            if getattr(self, name) >= 1:
                raise IcsortError(f"augmentation {name} is {getattr(self, name)}: it must be below 1")

    def __call__(self, images: Tensor, generator: torch.Generator, fill: Tensor | None = None) -> Tensor:
        """Changed images. images (N, C, H, W) floating point, fill (C,), zeros without it; the input is left as it is.

        The same state of the generator gives the same images. Raises IcsortError for quarter turns of images that are
        not square.
        """
        count, channels, height, width = images.shape
        if self.quarter_turns and height != width:
            raise IcsortError(f"quarter turns need square images, these are {height} x {width}; leave them out")

        def uniform(*shape: int) -> Tensor:
            """Between -1 and 1."""
            return (torch.rand(shape, generator=generator) * 2 - 1).to(images)

        def coins() -> Tensor:
            return (torch.rand(count, 1, 1, 1, generator=generator) < 0.5).to(images.device)

        if self.horizontal:
            images = torch.where(coins(), images.flip(3), images)
        if self.vertical:
            images = torch.where(coins(), images.flip(2), images)
        if self.quarter_turns:  # a half turn and a transposition and flip, each or not, are all four
            images = torch.where(coins(), images.flip((2, 3)), images)
            images = torch.where(coins(), images.transpose(2, 3).flip(3), images)
        if self.degrees or self.shift or self.scale:
            base = torch.zeros(channels) if fill is None else fill
            base = base.to(images).reshape(1, channels, 1, 1)
            images = base + self._moved(images - base, uniform(count, 4))
        if self.gain:
            images = images * (1 + self.gain * uniform(count, channels, 1, 1))
        if self.brightness:
            images = images + self.brightness * uniform(count, channels, 1, 1)
        if self.noise:
            images = images + self.noise * torch.randn(images.shape, generator=generator).to(images)
        return images

    def _moved(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Rotated, scaled and shifted by what was drawn, (N, 4) between -1 and 1; zero comes in from outside."""
        height, width = images.shape[2:]
        angle = torch.deg2rad(self.degrees * drawn[:, 0])
        larger = (1 + self.scale) ** drawn[:, 1]
        cos, sin = torch.cos(angle) / larger, torch.sin(angle) / larger
        # grid coordinates run from -1 to 1 on both axes, so a turn of an oblong image mixes them with its proportions
        across = torch.stack([cos, -sin * (height / width), 2 * self.shift * drawn[:, 2]], dim=1)
        down = torch.stack([sin * (width / height), cos, 2 * self.shift * drawn[:, 3]], dim=1)
        grid = functional.affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
