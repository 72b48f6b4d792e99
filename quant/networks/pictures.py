# SPDX-License-Identifier: Apache-2.0
"""What float networks that look at pictures, for analysis, share: pictures turned, and convolutions that halve them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

ORIENTATIONS = tuple((turn, mirrored) for turn in range(4) for mirrored in (False, True))


def oriented(pictures: Tensor, turn: int, mirrored: bool) -> Tensor:
    """Pictures (N, C, H, W), H equal to W, turned by so many quarters and mirrored."""
    turned = torch.rot90(pictures, turn, dims=(2, 3))
    return turned.flip(3) if mirrored else turned


def halving(channels: int, features: Sequence[int]) -> list[nn.Module]:
    """A convolution of stride 2 with batch norm and ReLU for each number of features, then the mean over what is left:
    (N, channels, H, W) to (N, features[-1])."""
    layers: list[nn.Module] = []
    for count in features:
        layers += [nn.Conv2d(channels, count, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(count), nn.ReLU()]
        channels = count
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
