# SPDX-License-Identifier: Apache-2.0
"""Networks that others published, as Brevitas's examples build them, with random weights.

TFC, LFC and CNV are FINN's first networks (Umuroglu et al. 2017, "FINN: A Framework for Fast, Scalable Binarized
Neural Network Inference"); MobileNetV1 (Howard et al. 2017) is FINN's largest. They show that a network which this
project did not build goes through the same hardware. Nothing here is trained on cells.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from icsort.errors import IcsortError
from icsort.quant.networks.blocks import settle_norm
from icsort.quant.networks.registry import PUBLISHED

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brevitas names a CUDA package that is of no use here
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
    from brevitas.quant import Int32Bias
    from brevitas_examples.bnn_pynq.models import get_model_cfg, model_impl
    from brevitas_examples.bnn_pynq.models.tensor_norm import TensorNorm
    from brevitas_examples.imagenet_classification.models import quant_mobilenet_v1_4b
    from brevitas_examples.imagenet_classification.models.common import CommonIntWeightPerTensorQuant

FULL_SCALE = 255.0
NORMS = nn.BatchNorm1d, nn.BatchNorm2d
ACTIVATIONS = QuantIdentity, QuantReLU
LAYERS = QuantConv2d, QuantLinear


class PublishedNetwork(nn.Module):
    """A network that was trained on values 0..1, for pixels 0..255. Logits (N, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels: (N, C, H, W) float of whole numbers 0..255."""
        return self.network(pixels / FULL_SCALE)

    def calibrate(self, batches: Sequence[Tensor]) -> None:
        """Fit batch norms and the scales of activations to batches of pixels (N, C, H, W); give each norm a factor and
        an offset of its own. Leaves the network in evaluation mode, clear of thresholds that float32 cannot decide."""
        self.eval()
        for norm in self._all(*NORMS):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.0, 0.3)
            norm.momentum = None  # torch's sign for a plain average
        for module in (*self._all(*NORMS), *self._all(*ACTIVATIONS)):
            module.train()
        with torch.no_grad():
            for pixels in batches:
                self(pixels)
        self.eval()
        self._settle()

    def logit_scale(self) -> float:
        """Logit of one accumulator step: the last activation's scale times that of the last layer's weights, and the
        factor of a norm behind it. A truncated average of 2 x 2 pixels does not change the scale."""
        with torch.no_grad():
            scale = float(self._all(*ACTIVATIONS)[-1].act_quant.scale()) * float(_weight_scale(self._all(*LAYERS)[-1]))
            for norm in self._all(TensorNorm):
                scale *= float(norm.weight / (norm.running_var + norm.eps).sqrt())
        return scale

    def _settle(self) -> None:
        """See networks.blocks: the networks are chains of layer, norm and activation, and modules stand in that
        order."""
        with torch.no_grad():
            step, layer, norm = torch.tensor(1 / FULL_SCALE, dtype=torch.float64), None, None
            for module in self.network.modules():
                if isinstance(module, LAYERS):
                    layer = module
                elif isinstance(module, NORMS):
                    norm = module
                elif isinstance(module, ACTIVATIONS):
                    scale = module.act_quant.scale().double().flatten()
                    if layer is not None and norm is not None:
                        settle_norm(norm, _levels(module) * scale[:, None], step * _weight_scale(layer))
                    step = scale

    def _all(self, *kinds: type) -> list[Any]:
        return [module for module in self.network.modules() if isinstance(module, kinds)]


def _weight_scale(layer: Any) -> Tensor:
    """Float64, (1,) or one a channel."""
    return layer.quant_weight().scale.double().flatten()


def _levels(activation: Any) -> Tensor:
    """Where an activation goes from one integer to the next, in steps: float64."""
    quantizer = activation.act_quant
    values = 2 ** int(quantizer.bit_width())
    if values == 2:
        return torch.zeros(1, dtype=torch.float64)  # -1 below, 1 above
    low = -(values // 2) + int(quantizer.is_narrow_range) if quantizer.is_signed else 0
    return torch.arange(low, low + values - 1 - int(quantizer.is_narrow_range), dtype=torch.float64) + 0.5


@dataclass(frozen=True)
class Published:
    """A network as it was published: its name, the shape (C, H, W) of its input, and how it is made for some classes.

    It stands where an `Architecture` may, but takes no options.
    """

    title: str
    shape: tuple[int, int, int]
    make: Callable[[int], nn.Module]
    classes: int = 10  # unless told otherwise

    def build(self, classes: int) -> PublishedNetwork:
        """The network with random weights."""
        return PublishedNetwork(self.make(classes))


def _bnn_pynq(name: str, classes: int) -> nn.Module:
    config = get_model_cfg(name.replace("-", "_"))
    config.set("MODEL", "NUM_CLASSES", str(classes))
    return model_impl[config.get("MODEL", "ARCH")](config)


def _mobilenet_v1(classes: int) -> nn.Module:
    """For images of 64 x 64: the last map has 2 x 2 pixels, all of which its pool of 7 x 7 is made to take."""
    network: Any = quant_mobilenet_v1_4b(pretrained=False)
    network.final_pool.kernel_size = 2
    was = network.output
    network.output = QuantLinear(
        was.in_features,
        classes,
        bias=True,
        bias_quant=Int32Bias,
        weight_quant=CommonIntWeightPerTensorQuant,
        weight_bit_width=int(was.weight_quant.bit_width()),
    )
    return network


def published(name: str) -> Published:
    """The network of that name in registry.PUBLISHED."""
    if name == "mobilenet-v1-4b":
        return Published(name, (3, 64, 64), _mobilenet_v1)
    return Published(name, (3, 32, 32) if name.startswith("cnv") else (1, 28, 28), partial(_bnn_pynq, name))


def published_named(name: str, plain: bool) -> Published | None:
    """The network of that name, or None. plain: whether no options are given. Raises IcsortError for options."""
    if name not in PUBLISHED:
        return None
    if not plain:
        raise IcsortError(
            f"{name} is as it was published: leave out --input and the options of width, depth, bits and stem"
        )
    return published(name)
