# SPDX-License-Identifier: Apache-2.0
"""Sequences of pictures in, hazards of division out: a convolutional encoder and a recurrent layer."""

import math

import torch
from torch import Tensor, nn

from icsort.quant.networks.pictures import halving

WIDTH = 8  # features of the first convolution
CODE = 16  # features of a picture
MEMORY = 24  # of the recurrent layer


class FateNetwork(nn.Module):
    """Three convolutions encode each picture, a gated recurrent unit (Cho et al. 2014) goes through the sequence, and a
    linear layer gives the hazard of a division in each of the next `ahead` frames.

    channels: of a picture. dropout: share of the memory that a training step leaves out. rate: hazard that it begins
    with, as divisions are rare.
    """

    def __init__(self, channels: int, ahead: int, dropout: float, rate: float) -> None:
        super().__init__()
        features = (WIDTH, 2 * WIDTH, 4 * WIDTH)
        self.encoder = nn.Sequential(*halving(channels, features), nn.Linear(features[-1], CODE), nn.ReLU())
        self.recurrent = nn.GRU(CODE, MEMORY, batch_first=True)
        last = nn.Linear(MEMORY, ahead)
        nn.init.constant_(last.bias, math.log(rate / (1 - rate)))
        self.head = nn.Sequential(nn.Dropout(dropout), last)

    def forward(self, pictures: Tensor, sequences: Tensor) -> Tensor:
        """Logits (n, ahead) of the hazards: of a division in that frame where none was before.

        pictures: (P, C, H, W) float. sequences: (n, length), indices of pictures, -1 in front of a short sequence.
        """
        codes = self.encoder(pictures)
        codes = torch.cat([codes, codes.new_zeros(1, CODE)])  # which -1 takes
        _, memory = self.recurrent(codes[sequences])
        logits: Tensor = self.head(memory[-1])
        return logits


def survival_loss(logits: Tensor, time: Tensor, divided: Tensor) -> Tensor:
    """Mean negative log likelihood of discrete times (n,) under hazards whose logits are (n, ahead).

    Censored cells (`divided` false) count with the frames that they were seen not to divide in, and no further:
    Singer and Willett 1993, It's about time; Gensheimer and Narasimhan 2019 (doi:10.7717/peerj.6257).
    """
    frames = torch.arange(1, logits.shape[1] + 1)
    event = divided[:, None] & (frames == time[:, None])
    at_risk = event | (frames < time[:, None] + (~divided[:, None]).long())
    losses = nn.functional.binary_cross_entropy_with_logits(logits, event.float(), reduction="none")
    return (losses * at_risk).sum() / at_risk.sum().clamp(min=1)


def risks(logits: Tensor) -> Tensor:
    """Probability (n, ahead) of a division within 1, 2, ... frames."""
    return 1 - torch.cumprod(1 - torch.sigmoid(logits.double()), dim=1)
