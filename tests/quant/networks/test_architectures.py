# SPDX-License-Identifier: Apache-2.0
"""The networks: published sizes, one definition for float and quantized, integers inside, what FINN makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from icsort.errors import IcsortError
from icsort.hw.frontend import convert as frontend
from icsort.quant.networks import blocks as layers
from icsort.quant.networks.architectures import Architecture, Network, build_model
from icsort.quant.networks.registry import ARCHITECTURES
from icsort.quant.packaging.export import check_export, write_qonnx


def pixels(count: int, channels: int, size: int, seed: int) -> torch.Tensor:
    """Smooth random images (count, channels, size, size), whole numbers 0..255."""
    noise = torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.avg_pool2d(noise, 5, 1, 2)
    return ((smooth - smooth.amin()) / (smooth.amax() - smooth.amin()) * 255).round()


def calibrated(architecture: Architecture, images: torch.Tensor, classes: int, seed: int) -> Network:
    torch.manual_seed(seed)
    model = architecture.build(images.shape[1], classes, *images.shape[2:])
    if model.quantized:
        layers.fit_steps(model, images)
    layers.fit_norms(model, [images])
    return model.eval()


# Parameters of torchvision's networks of 1000 classes (its documentation), whose last layer has a bias.
@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet18", 11_689_512), ("resnet50", 25_557_032), ("mobilenet_v2", 3_504_872)]
)
def test_published_sizes(name: str, parameters: int) -> None:
    model = build_model(name, 3, 1000, 64, 64, weight_bits=None, activation_bits=None)
    assert model.weights == parameters - 1000
    assert not model.quantized


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 7])
def test_float_and_quantized_from_one_definition(name: str, channels: int) -> None:
    architecture = Architecture(name, width_multiplier=0.25)
    quantized = architecture.build(channels, 5, 24, 32)
    plain = architecture.as_float().build(channels, 5, 24, 32)
    shapes = {key: value.shape for key, value in quantized.state_dict().items()}
    assert {key: value.shape for key, value in plain.state_dict().items()}.items() <= shapes.items()
    assert all(key.endswith(".log") for key in shapes.keys() - plain.state_dict().keys())
    for model in (quantized, plain):
        assert model(torch.zeros(2, channels, 24, 32)).shape == (2, 5)


@pytest.mark.parametrize(("weight_bits", "activation_bits", "first_bits", "last_bits"), [(2, 3, 8, 5), (8, 2, 2, 8)])
def test_bits(weight_bits: int, activation_bits: int, first_bits: int, last_bits: int, seed: int) -> None:
    architecture = Architecture("resnet8", 0.5, 1.0, weight_bits, activation_bits, first_bits, last_bits)
    images = pixels(16, 2, 24, seed)
    model = calibrated(architecture, images, 4, seed)
    seen: dict[layers.Activation, np.ndarray] = {}

    def look(layer: layers.Activation, _: object, output: torch.Tensor) -> None:
        seen[layer] = (output / layer.step.get()).numpy()

    for module in model.modules():
        if isinstance(module, layers.Activation):
            module.register_forward_hook(look)
    with torch.no_grad():
        model(images)
    for layer, quotients in seen.items():
        integers = np.rint(quotients)
        assert np.abs(quotients - integers).max() < 1e-3
        assert layer.low <= integers.min() < integers.max() <= layer.high
        assert layer.high - layer.low == 2**activation_bits - 1
    units = [module for module in model.modules() if isinstance(module, layers.Unit)]
    for convolution, bits in [(units[0].conv, first_bits), (units[1].conv, weight_bits), (model.head, last_bits)]:
        weights = convolution.quant_weight()
        integers = (weights.value / weights.scale).detach().numpy()
        assert np.abs(integers - np.rint(integers)).max() < 1e-3
        largest = 2 ** (bits - 1) - 1
        nearest = 1.0 if bits <= layers.FREE_BITS else 2.0**0.5  # of a scale to the weights, where it is a power of two
        assert largest / nearest - 0.5 <= np.abs(integers).max() <= largest + 1e-3


def test_signs_move_into_weights(seed: int) -> None:
    images = pixels(8, 3, 24, seed)
    model = calibrated(Architecture("mobilenet_v2", 0.25, 0.5).as_float(), images, 3, seed).double()
    images = images.double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            with torch.no_grad():  # smaller ones are no longer the same
                module.weight += module.weight.sign() * layers.MIN_GAMMA
    with torch.no_grad():
        before = model(images)
        layers.turn_gammas_positive(model)
        after = model(images)
    assert all(module.weight.min() > 0 for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    assert torch.allclose(after, before, rtol=0, atol=1e-6 * float(before.abs().max()))


SMALL = [
    ("student", Architecture("student", 0.5), 16),
    ("resnet8", Architecture("resnet8", 0.34, 1.0, 4, 4, last_bits=8), 16),
    pytest.param("resnet18", Architecture("resnet18", 0.125, 1.0, stem="3x3"), 40, marks=pytest.mark.full),
    pytest.param("resnet50", Architecture("resnet50", 0.125, 0.5, 3, 5, stem="3x3"), 40, marks=pytest.mark.full),
    pytest.param("mobilenet_v2", Architecture("mobilenet_v2", 0.25, 0.5), 40, marks=pytest.mark.full),
]


def converted(architecture: Architecture, size: int, seed: int, path: Path) -> frontend.HardwareGraph:
    """FINN's graph of a network with random weights; the front end checks the logits after each pass."""
    images = pixels(64, 2, size, seed)
    model = calibrated(architecture, images, 3, seed)
    model.settle_thresholds()
    write_qonnx(model, images.shape[1:], path)
    check_export(model, path, images[:4], model.logit_scale())
    return frontend.convert(
        path,
        shape=(size, size, 2),
        classes=3,
        scale=model.logit_scale(),
        images=images[:2].numpy().transpose(0, 2, 3, 1).astype(np.uint8),
    )


@pytest.mark.parametrize(("name", "architecture", "size"), SMALL)
def test_finn_takes_it_and_no_threshold_is_a_tie(
    name: str, architecture: Architecture, size: int, seed: int, tmp_path: Path
) -> None:
    """A tie would leave the logits to float rounding."""
    assert set(converted(architecture, size, seed, tmp_path / f"{name}.onnx").near_ties.values()) == {0}


@pytest.mark.parametrize(("name", "bits"), [("student", (8, 8)), ("resnet8", (7, 8))])
def test_float32_holds_sums_of_many_bits(name: str, bits: tuple[int, int], seed: int, tmp_path: Path) -> None:
    """Their hundreds of thresholds cannot all be clear of whole numbers; steps of few bits leave none in doubt."""
    width = 0.5 if name == "student" else 0.34
    graph = converted(Architecture(name, width, 1.0, *bits), 16, seed, tmp_path / f"{name}.onnx")
    assert not any(graph.near_ties.values())


def test_coarse_steps_have_two_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for value in np.exp(rng.uniform(-20, 20, 200)):
        step = layers.Step(coarse=True)
        step.set(value)
        mantissa, _ = np.frexp(step.get().numpy())
        assert mantissa * 4 in (2, 3)
        assert abs(float(step.get()) / value - 1) <= 1 / 4
    loss = step() * 3.0
    loss.backward()
    assert float(step.log.grad) == pytest.approx(3.0 * value, rel=1e-5)  # straight through


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "vgg"}, "no architecture"),
        ({"stem": "5x5"}, "no stem"),
        ({"weight_bits": None}, "both float or both quantized"),
        ({"weight_bits": 1}, "2 to 8"),
        ({"activation_bits": 9}, "2 to 8"),
        ({"weight_bits": None, "activation_bits": None, "first_bits": 8}, "no quantized first"),
        ({"width_multiplier": 0.0}, "factors"),
        ({"depth_multiplier": 9.0}, "factors"),
    ],
)
def test_architectures_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(IcsortError, match=message):
        Architecture(**options)


def test_windows_that_cannot_be() -> None:
    with pytest.raises(IcsortError, match="too small"):
        build_model("resnet8", 3, 5, 9, 40)
    with pytest.raises(IcsortError, match="at least 1 of each"):
        build_model("resnet8", 3, 0, 40, 40)
