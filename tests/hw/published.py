# SPDX-License-Identifier: Apache-2.0
"""Networks that others published, with random weights: those of Brevitas's examples, as they are there.

TFC, LFC and CNV are FINN's first networks (Umuroglu et al. 2017, "FINN: A Framework for Fast, Scalable Binarized
Neural Network Inference"). They show that a network which this project did not build goes through the same hardware;
nothing here is trained.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brevitas names a CUDA package that is of no use here
    from brevitas.nn import QuantIdentity, QuantLinear
    from brevitas_examples.bnn_pynq.models import model_with_cfg
    from brevitas_examples.bnn_pynq.models.tensor_norm import TensorNorm

CALIBRATION_IMAGES = 32
FULL_SCALE = 255.0


@dataclass(frozen=True)
class Published:
    """A network (see `make`), the shape (C, H, W) of its input, its number of classes, and where it comes from."""

    make: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    classes: int
    source: str


class FromPixels(nn.Module):
    """A network that was trained on values 0..1, for pixels 0..255. Logits (N, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (N, C, H, W) float of whole numbers 0..255."""
        logits: Tensor = self.network(pixels / FULL_SCALE)
        return logits

    def logit_scale(self) -> float:
        """Logit of one accumulator step: the last norm's factor times the last layer's scales."""
        last: dict[type, Any] = {type(module): module for module in self.network.modules()}  # the last of each kind
        norm, layer, activation = last[TensorNorm], last[QuantLinear], last[QuantIdentity]
        with torch.no_grad():
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            return float(factor) * float(activation.act_quant.scale()) * float(layer.quant_weight().scale)


def _bnn_pynq(name: str) -> Published:
    shape = (3, 32, 32) if name.startswith("cnv") else (1, 28, 28)
    return Published(lambda: model_with_cfg(name, pretrained=False)[0], shape, 10, f"brevitas_examples.bnn_pynq {name}")


PUBLISHED = {
    name.replace("_", "-"): _bnn_pynq(name)
    for name in (
        "tfc_1w1a", "tfc_1w2a", "tfc_2w2a", "lfc_1w1a", "lfc_1w2a", "cnv_1w1a", "cnv_1w2a", "cnv_2w2a",
    )
}  # fmt: skip


def build(name: str, seed: int) -> FromPixels:
    """The network of that name in PUBLISHED, with random weights and batch norms calibrated on random pixels.

    The same seed gives the same network. It is in evaluation mode.
    """
    published = PUBLISHED[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = FromPixels(published.make()).eval()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
        for norm in norms:
            norm.train()
            norm.momentum = None  # the mean over all images, not a moving one
        with torch.no_grad():
            network(torch.randint(0, 256, (CALIBRATION_IMAGES, *published.shape)).float())
            for norm in norms:
                norm.eval()
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0.0, 0.3)
    return network
