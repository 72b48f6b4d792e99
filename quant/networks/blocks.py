# SPDX-License-Identifier: Apache-2.0
"""What networks are built of, float or quantized, so that FINN's streamlining leaves integers only.

An activation's integers are worth one `Step` each, for all channels; weights of convolutions have a scale for each
channel. Quantizers that meet in a residual sum share a step, or the sum would be no integer. Every part can `settle`:
after training, the thresholds that batch norm and quantizer become in hardware are moved away from whole numbers,
where float rounding would decide and no two programs need agree. With many bits that does not suffice, as sums of
products are rounded by more than their thresholds lie apart from whole numbers: steps of more than FREE_BITS bits and
the factors of batch norms in front of them have one or two significant bits, so that float32 holds all sums exactly.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brevitas names a CUDA package that is of no use here
    import brevitas.nn as qnn
    from brevitas.inject.enum import RestrictValueType
    from brevitas.quant import (
        Int8ActPerTensorFloat,
        Int8WeightPerChannelFloat,
        Int8WeightPerTensorFloat,
        Uint8ActPerTensorFloat,
    )

MIN_GAMMA = 1e-3
CLIPS = 64  # candidates among which the first step of an activation is searched
TIE_MARGIN = 2.0**-16  # relative distance from a whole number: several float32 roundings
NUDGE = 2.0**-12  # relative change of a step that is tried to get there
FREE_BITS = 6  # of weights or activations whose steps may be any numbers
GRID = 64  # parts of an accumulator step in which means are whole then


@dataclass(frozen=True)
class Bits:
    """Bits of weights and activations (2..8), and of the first and the last layer's weights. None: float."""

    weights: int | None = 4
    activations: int | None = 4
    first: int | None = 4
    last: int | None = 4


class Step(nn.Module):
    """What one integer of an activation is worth: a positive scalar, trained as its logarithm.

    coarse: of two significant bits, a power of two or 1.5 times one.
    """

    def __init__(self, *, coarse: bool = False) -> None:
        super().__init__()
        self.coarse = coarse
        self.log = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor | None = None, threshold: Tensor | None = None) -> Tensor:
        """The step, shape (). The arguments are what brevitas hands to a scaling."""
        del x, threshold
        step = self.log.exp()
        return step + (_coarse(step.detach()) - step.detach()) if self.coarse else step

    def get(self) -> Tensor:
        """The step, shape (), for arithmetic outside of training."""
        return self.forward().detach()

    def set(self, value: float | Tensor) -> None:
        """Assign the step itself, not its logarithm."""
        with torch.no_grad():
            self.log.copy_(torch.as_tensor(value, dtype=torch.float64).log())


def _coarse(x: Tensor) -> Tensor:
    """The nearest numbers of two significant bits."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp((mantissa * 4).round() / 4, exponent)


class Activation(nn.Module):
    """Quantizer of `bits` bits: unsigned behind a ReLU, or signed. step: a partner's, where both meet in a sum."""

    def __init__(self, bits: int, *, signed: bool, step: Step | None = None) -> None:
        super().__init__()
        self.low: int = -(2 ** (bits - 1)) if signed else 0
        self.high: int = self.low + 2**bits - 1
        self.borrowed = step is not None
        self.step = step or Step(coarse=bits > FREE_BITS)
        kind, layer = (Int8ActPerTensorFloat, qnn.QuantIdentity) if signed else (Uint8ActPerTensorFloat, qnn.QuantReLU)
        self.quantizer = layer(act_quant=kind.let(bit_width=bits, scaling_impl=self.step))

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape; returns the same shape, whole multiples of the step."""
        quantized: Tensor = self.quantizer(x)
        return quantized

    def levels(self) -> Tensor:
        """Where the quantizer steps from one integer to the next, in steps: float64, one fewer than it has values."""
        return torch.arange(self.low, self.high, dtype=torch.float64) + 0.5

    def fit_step(self, x: Tensor) -> None:
        """The step of least squared error on x, among steps that clip ever more of it."""
        with torch.no_grad():
            x = x.detach().flatten()
            x = x[:: max(1, len(x) // 100_000)]
            x = x if self.low < 0 else x.clamp(min=0)
            widest = float(torch.maximum(x.max() / self.high, x.min() / min(self.low, -1))) or 1.0
            steps = widest * torch.linspace(0.05, 1.0, CLIPS)
            errors = [(((x / step).round().clamp(self.low, self.high) * step - x) ** 2).mean() for step in steps]
            self.step.set(steps[int(torch.stack(errors).argmin())])

    def settle(self, step: Tensor) -> Tensor:
        """For a quantizer of integers worth `step` each (a residual sum): keep its thresholds off whole numbers."""
        own = self.step.get().double()
        if self.borrowed or own == step:
            return own
        changes = torch.arange(-64, 65, dtype=torch.float64)
        candidates: Tensor = own / step * (1 + NUDGE * changes)
        if self.step.coarse:
            candidates = _coarse(own * 2.0 ** (changes / 64)) / step
        thresholds = candidates[:, None] * self.levels().abs()
        clear = ((thresholds - thresholds.round()).abs() / thresholds.clamp(min=1.0)).amin(dim=1)
        usable = torch.where(clear > TIE_MARGIN, (candidates * step - own).abs(), torch.inf)
        best = usable.argmin() if usable.isfinite().any() else clear.argmax()
        self.step.set(candidates[best] * step)
        return self.step.get().double()


def activation(
    bits: Bits, *, signed: bool = False, step: Step | None = None, ceiling: float | None = None
) -> nn.Module:
    """ReLU (clipped at `ceiling` where float), or nothing where signed; and the quantizer, unless float."""
    if bits.activations is not None:
        return Activation(bits.activations, signed=signed, step=step)
    if signed:
        return nn.Identity()
    return nn.ReLU() if ceiling is None else nn.Hardtanh(0.0, ceiling)


def step_of(layer: nn.Module) -> Step | None:
    """The step of an activation, for a partner to share; None where the network is float."""
    return layer.step if isinstance(layer, Activation) else None


class Unit(nn.Module):
    """Convolution without bias, batch norm, activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        act: nn.Module,
        weight_bits: int | None,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        """padding: half the kernel where None."""
        super().__init__()
        shape = (inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding)
        self.conv: nn.Conv2d
        if weight_bits is None:
            self.conv = nn.Conv2d(*shape, groups=groups, bias=False)
        else:
            self.conv = qnn.QuantConv2d(
                *shape,
                groups=groups,
                bias=False,
                weight_quant=_scaled(Int8WeightPerChannelFloat, weight_bits),
                weight_bit_width=weight_bits,
            )
        self.norm = nn.BatchNorm2d(outputs)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y

    def settle(self, step: Tensor) -> Tensor:
        """Move each channel's batch-norm mean by at most half an accumulator step. step: of the input's integers."""
        assert isinstance(self.conv, qnn.QuantConv2d)
        assert isinstance(self.act, Activation)
        with torch.no_grad():
            if self.act.step.coarse:
                self._simplify_norm()
            accumulator = (step * self.conv.quant_weight().scale.double()).flatten()
            own = self.act.step.get().double()
            settle_norm(self.norm, self.act.levels() * own, accumulator)
            if self.act.step.coarse:
                mean = self.norm.get_buffer("running_mean")
                mean.copy_((mean.double() / accumulator * GRID).round() / GRID * accumulator)
        return own

    def _simplify_norm(self) -> None:
        """Leave a power of two of the batch norm's factor, and a mean; weights take the rest."""
        norm = self.norm
        variance, mean = norm.get_buffer("running_var"), norm.get_buffer("running_mean")
        factor = norm.weight.double() / (variance.double() + norm.eps).sqrt()
        power = 2.0 ** factor.log2().round()
        rest = factor / power
        self.conv.weight.mul_(rest.float()[:, None, None, None])
        mean.copy_(mean.double() * rest - norm.bias.double() / power)
        variance.fill_(1 - norm.eps)
        norm.weight.copy_(power)
        norm.bias.zero_()


def settle_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, levels: Tensor, accumulator: Tensor) -> None:
    """Move each channel's mean by at most half an accumulator step, so that its thresholds stay off whole numbers.

    levels: where the quantizer behind it steps, (steps,) or a row a channel; accumulator: what one integer in front of
    it is worth, (1,) or one a channel. Both float64.
    """
    with torch.no_grad():
        variance, mean = norm.get_buffer("running_var"), norm.get_buffer("running_mean")
        deviation = (variance.double() + norm.eps).sqrt() / norm.weight.double()
        thresholds = (levels - norm.bias.double()[:, None]) * deviation[:, None]
        thresholds = (thresholds + mean.double()[:, None]) / accumulator[:, None]
        fractions = torch.remainder(thresholds, 1.0).sort(dim=1).values
        gaps = torch.diff(fractions, append=fractions[:, :1] + 1.0, dim=1)
        widest, at = gaps.max(dim=1)
        middle = fractions.gather(1, at[:, None])[:, 0] + widest / 2  # this must come to lie on a whole number
        mean += (accumulator * (middle.round() - middle)).float()


class MaxPool(nn.MaxPool2d):
    """Max pool; what an integer is worth does not change."""

    def settle(self, step: Tensor) -> Tensor:
        """Nothing to settle."""
        return step


class Chain(nn.Sequential):
    """Parts one after the other, each of which can `settle`."""

    def settle(self, step: Tensor) -> Tensor:
        """Each part with the step of the one before."""
        for part in self:
            step = part.settle(step)
        return step


def head(inputs: int, classes: int, weight_bits: int | None) -> nn.Linear:
    """Linear layer without bias; one scale for all of its weights, so that all logits have one."""
    if weight_bits is None:
        return nn.Linear(inputs, classes, bias=False)
    linear: nn.Linear = qnn.QuantLinear(
        inputs,
        classes,
        bias=False,
        weight_quant=_scaled(Int8WeightPerTensorFloat, weight_bits),
        weight_bit_width=weight_bits,
    )
    return linear


def _scaled(kind: Any, bits: int) -> Any:
    """A brevitas weight quantizer whose scales are powers of two if it has many bits."""
    return kind.let(restrict_scaling_type=RestrictValueType.POWER_OF_TWO) if bits > FREE_BITS else kind


def keep_gammas_positive(network: nn.Module) -> None:
    """Call after each optimizer step: a negative batch-norm factor would turn a threshold's direction round."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.clamp_(min=MIN_GAMMA)


def turn_gammas_positive(network: nn.Module) -> None:
    """The same function with positive batch-norm factors: signs move into weights. For weights trained as float."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Unit):
                sign = torch.where(module.norm.weight < 0, -1.0, 1.0)
                module.conv.weight.mul_(sign[:, None, None, None])
                module.norm.weight.mul_(sign)
                module.norm.get_buffer("running_mean").mul_(sign)
    keep_gammas_positive(network)


def fit_steps(network: nn.Module, pixels: Tensor) -> None:
    """Set the step of every activation from one batch, layer by layer, each behind layers that are quantized already.

    pixels: (N, C, H, W). The network is left in its mode; batch norms see the batch as one of training.
    """
    training = network.training
    with _observing(network, lambda layer, inputs: layer.fit_step(inputs[0])), torch.no_grad():
        network.train()
        network(pixels)
    network.train(training)


@contextmanager
def _observing(network: nn.Module, hook: Callable[[Activation, tuple[Tensor, ...]], None]) -> Iterator[None]:
    handles = [
        module.register_forward_pre_hook(hook)
        for module in network.modules()
        if isinstance(module, Activation) and not module.borrowed
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def fit_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every batch norm to the plain average over batches (N, C, H, W)."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    training = network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's sign for a plain average
    network.train()
    with torch.no_grad():
        for pixels in batches:
            network(pixels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)
