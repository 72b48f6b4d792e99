# SPDX-License-Identifier: Apache-2.0
"""Quantized networks, built so that FINN's streamlining leaves integers only."""

import warnings

import torch
from torch import Tensor, nn

from sim.bit_true.errors import IcsortError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brevitas names a CUDA package that is of no use here
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat

WIDTH = 16
WEIGHT_BITS = 4
ACTIVATION_BITS = 4
SMALLEST = 10
MIN_GAMMA = 1e-3


class _ActivationQuant(Uint8ActPerTensorFloat):  # type: ignore[misc]  # brevitas has no types
    """Unsigned activations; the scale starts from the 99.999th percentile of the first batches, then is trained."""

    bit_width = ACTIVATION_BITS
    collect_stats_steps = 30


class StudentW4A4(nn.Module):
    """Two 3x3 convolutions of 16 channels, each with batch norm, 4-bit ReLU and 2x2 max pool, then a linear layer.

    Input (N, C, H, W), integer values 0..255 as float, no padding. Output (N, classes) logits: integer accumulators
    times `logit_scale()`. The flatten is in NHWC order, the order in which hardware streams pixels.
    """

    def __init__(self, channels: int, classes: int, height: int, width: int) -> None:
        super().__init__()
        if height < SMALLEST or width < SMALLEST:
            raise IcsortError(
                f"a window of {height} x {width} is too small for this network: it needs {SMALLEST} x {SMALLEST} pixels"
            )
        rows, columns = (((side - 2) // 2 - 2) // 2 for side in (height, width))
        self.conv1 = _convolution(channels, WIDTH)
        self.norm1 = nn.BatchNorm2d(WIDTH)
        self.relu1 = qnn.QuantReLU(act_quant=_ActivationQuant)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = _convolution(WIDTH, WIDTH)
        self.norm2 = nn.BatchNorm2d(WIDTH)
        self.relu2 = qnn.QuantReLU(act_quant=_ActivationQuant)
        self.pool2 = nn.MaxPool2d(2)
        self.head = qnn.QuantLinear(
            rows * columns * WIDTH,
            classes,
            bias=False,
            weight_quant=Int8WeightPerTensorFloat,
            weight_bit_width=WEIGHT_BITS,
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (N, C, H, W) float of whole numbers 0..255. Returns logits (N, classes)."""
        features = self.pool1(self.relu1(self.norm1(self.conv1(pixels))))
        features = self.pool2(self.relu2(self.norm2(self.conv2(features))))
        logits: Tensor = self.head(torch.flatten(features.permute(0, 2, 3, 1), 1))
        return logits

    def keep_gammas_positive(self) -> None:
        """Call after each optimizer step: a negative batch-norm factor would turn a threshold's direction round."""
        with torch.no_grad():
            for norm in (self.norm1, self.norm2):
                norm.weight.clamp_(min=MIN_GAMMA)

    def settle_thresholds(self) -> None:
        """Call once after training: moves each channel's batch-norm mean by at most half an accumulator step, so that
        the thresholds which batch norm and activation become in hardware keep clear of whole numbers.

        On a whole number, float rounding would decide which side an accumulator falls, and no two programs need agree.
        """
        with torch.no_grad():
            step = torch.ones(())
            for convolution, norm, relu in (
                (self.conv1, self.norm1, self.relu1),
                (self.conv2, self.norm2, self.relu2),
            ):
                step = (step * convolution.quant_weight().scale).flatten().double()
                scale = relu.act_quant.scale().double()
                levels = (torch.arange(2**ACTIVATION_BITS - 1) + 0.5) * scale
                variance, mean = norm.get_buffer("running_var"), norm.get_buffer("running_mean")
                deviation = (variance.double() + norm.eps).sqrt() / norm.weight.double()
                thresholds = (levels - norm.bias.double()[:, None]) * deviation[:, None]
                thresholds = (thresholds + mean.double()[:, None]) / step[:, None]
                fractions = torch.remainder(thresholds, 1.0).sort(dim=1).values
                gaps = torch.diff(fractions, append=fractions[:, :1] + 1.0, dim=1)
                widest, at = gaps.max(dim=1)
                middle = fractions.gather(1, at[:, None])[:, 0] + widest / 2  # this must come to lie on a whole number
                mean += (step * (middle.round() - middle)).float()
                step = scale

    def logit_scale(self) -> float:
        """Logit of one accumulator step: scale of the last activation times scale of the head's weights."""
        with torch.no_grad():
            return float(self.relu2.act_quant.scale()) * float(self.head.quant_weight().scale)


def _convolution(inputs: int, outputs: int) -> qnn.QuantConv2d:
    return qnn.QuantConv2d(
        inputs, outputs, 3, bias=False, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=WEIGHT_BITS
    )
