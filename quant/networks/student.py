# SPDX-License-Identifier: Apache-2.0
"""The smallest network: two convolutions, then a linear layer over all that is left."""

from icsort.quant.networks.blocks import Chain, MaxPool, Unit, activation
from icsort.quant.networks.trunk import Options


def student(channels: int, options: Options) -> Chain:
    """Two 3 x 3 convolutions without padding, each with a 2 x 2 max pool."""
    features, bits = options.features(16), options.bits
    return Chain(
        Unit(channels, features, 3, activation(bits), bits.first, padding=0),
        MaxPool(2),
        Unit(features, features, 3, activation(bits), bits.weights, padding=0),
        MaxPool(2),
    )
