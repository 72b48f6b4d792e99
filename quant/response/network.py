# SPDX-License-Identifier: Apache-2.0
"""A network of several inputs, whose joined features pass an attention gate."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from icsort.quant.networks.pictures import halving

WIDTH = 16  # features of the first convolution of the image
JOINED = 64  # features that each input brings
TABLE = "table"


class ResponseNetwork(nn.Module):
    """Pictures and a table in, logits out; Zhu 2024 ("Project 2"), with smaller branches for sets of some 1,000 cells.

    A branch for each input: convolutions for a picture, one layer for the table; each ends in JOINED features. Two
    layers and a sigmoid weigh every joined feature (the attention gate), a projection and a linear layer give the
    logits.

    channels: of each picture, by its name. columns: of the table, 0 without one. dropout: share of the joined
    features that a training step leaves out.
    """

    def __init__(self, channels: Mapping[str, int], columns: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {name: _picture_branch(count, fine=name == "image") for name, count in channels.items()}
        )
        if columns:
            self.branches[TABLE] = nn.Sequential(
                nn.Dropout(dropout), nn.Linear(columns, JOINED), nn.ReLU(), nn.BatchNorm1d(JOINED)
            )
        joined = JOINED * len(self.branches)
        self.gate = nn.Sequential(
            nn.Linear(joined, joined // 4), nn.ReLU(), nn.Linear(joined // 4, joined), nn.Sigmoid()
        )
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(joined, JOINED), nn.ReLU(), nn.Dropout(dropout), nn.Linear(JOINED, classes)
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) and the gate's weights (N, inputs, JOINED), 0..1.

        inputs: each picture (N, C, H, W) float, the table (N, columns).
        """
        joined = torch.cat([branch(inputs[name]) for name, branch in self.branches.items()], dim=1)
        weights = self.gate(joined)
        return self.head(joined * weights), weights.reshape(len(weights), len(self.branches), JOINED)


def _picture_branch(channels: int, fine: bool) -> nn.Sequential:
    """fine: whether single pixels say something; shapes are looked at in half the resolution, with half the width."""
    width = WIDTH if fine else WIDTH // 2
    features = [width * factor for factor in (1, 2, 3, 4)]
    first: list[nn.Module] = [] if fine else [nn.AvgPool2d(2)]
    last = [nn.Linear(features[-1], JOINED), nn.ReLU(), nn.BatchNorm1d(JOINED)]
    return nn.Sequential(*first, *halving(channels, features), *last)
