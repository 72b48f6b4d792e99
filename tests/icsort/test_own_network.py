# SPDX-License-Identifier: Apache-2.0
"""`icsort package`: networks as a stranger builds them in Brevitas, to the RTL; refusals by the user's own layer."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import known
from icsort.formats import package as manifest
from icsort.formats.integer import IntegerNetwork
from icsort.hw.compile import compile_package
from icsort.own_network import NEVER, package
from icsort.sim.simulate.images import generated_images
from icsort.sim.simulate.network import simulate_net
from tests.hw.frontend.test_convert import SMALL, node_of
from tests.hw.networks import make_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brevitas import nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.quant import Uint8ActPerTensorFloat


def conv(inputs: int, outputs: int, size: int, stride: int = 1, bits: int = 4, **more: object) -> qnn.QuantConv2d:
    return qnn.QuantConv2d(inputs, outputs, size, stride, size // 2, weight_bit_width=bits, **{"bias": False, **more})


class Block(nn.Module):
    """Of a ResNet: one quantizer for both branches of the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), qnn.QuantReLU(bit_width=4)
        )
        self.second = nn.Sequential(conv(outputs, outputs, 3), nn.BatchNorm2d(outputs))
        same = stride == 1 and inputs == outputs
        self.down = nn.Identity() if same else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.shared = qnn.QuantIdentity(bit_width=4, return_quant_tensor=True)
        self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.shared(self.second(self.first(x))) + self.shared(self.down(x)))


def resnet8() -> nn.Module:
    """Seven convolutions and a linear layer; an image quantizer behind mean and deviation, a float bias."""
    width = 8
    stem = (qnn.QuantIdentity(bit_width=8), conv(3, width, 3, bits=8), nn.BatchNorm2d(width))
    blocks = (Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), qnn.QuantLinear(4 * width, 10, bias=True, weight_bit_width=8))
    return nn.Sequential(*stem, qnn.QuantReLU(bit_width=4, return_quant_tensor=True), *blocks, *head)


def mixed_widths() -> nn.Module:
    """5 channels; 5 x 5 depthwise convolutions; weights of 2 to 8 bits, activations of 3 to 6."""
    layers: list[nn.Module] = []
    plan = [(5, 6, 3, 2, 1, 6, 5), (6, 6, 5, 1, 6, 3, 4), (6, 12, 1, 1, 1, 4, 3), (12, 12, 5, 2, 12, 8, 6)]
    for inputs, outputs, size, stride, groups, weight_bits, bits in [*plan, (12, 8, 1, 1, 1, 2, 4)]:
        layers += [conv(inputs, outputs, size, stride, weight_bits, groups=groups), nn.BatchNorm2d(outputs)]
        layers.append(qnn.QuantReLU(bit_width=bits))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), qnn.QuantLinear(8, 4, bias=True, weight_bit_width=5))
    return nn.Sequential(*layers, *head)


def dense_stack() -> nn.Module:
    """128 inputs, and what stands in such files: biases, a dropout, a softmax."""

    def linear(inputs: int, outputs: int) -> nn.Module:
        return qnn.QuantLinear(inputs, outputs, bias=True, weight_bit_width=4)

    layers: list[nn.Module] = [qnn.QuantIdentity(bit_width=8, act_quant=Uint8ActPerTensorFloat)]
    for inputs, outputs in ((128, 32), (32, 16)):
        layers += [linear(inputs, outputs), nn.BatchNorm1d(outputs), qnn.QuantReLU(bit_width=4), nn.Dropout(0.2)]
    return nn.Sequential(*layers, linear(16, 3), nn.Softmax(1))


def settled(network: nn.Module, shape: tuple[int, ...], seed: int) -> nn.Module:
    """Norms and scales that have seen pixels, so that no layer is dead."""
    torch.manual_seed(seed)
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.randint(0, 256, (32, *shape)).float())
    return network.eval()


def equal_in_rtl(folder: Path, tmp_path: Path) -> None:
    build = compile_package(folder, tmp_path / "build")
    images = generated_images(build.manifest.input, 3)
    result, _ = simulate_net(build, images)
    assert result.logits_compared == result.logits_equal == 3 * len(build.manifest.classes)


def exported(network: nn.Module, shape: tuple[int, ...], path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(network, torch.zeros(1, *shape), export_path=str(path), opset_version=18)
    return path


def test_a_dense_stack_from_its_file(tmp_path, seed):
    """The command: a vector, biases, Dropout, Softmax; every logit of the RTL is that of the file it was made of."""
    path = exported(settled(dense_stack(), (128,), seed), (128,), tmp_path / "dense.onnx")
    out = tmp_path / "package"
    result = CliRunner().invoke(app, ["package", str(path), "--classes", "a,b,c", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "posterior: not calibrated, and the trigger never fires" in result.output
    made = manifest.load(out)
    assert (made.input.channels, made.input.height, made.input.width) == (1, 1, 128)
    assert (made.name, made.trigger.on, made.accuracy.cells) == ("dense", NEVER, 0)
    equal_in_rtl(out, tmp_path)


@pytest.mark.full
def test_a_strangers_resnet8(tmp_path, seed):
    """Images in 0..1 whose mean and deviation a channel are taken off, as torchvision prepares them."""
    mean, deviation = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    network = resnet8()
    columns = [torch.tensor(values).reshape(1, 3, 1, 1) for values in (mean, deviation)]
    network.train()
    torch.manual_seed(seed)
    with torch.no_grad():
        for _ in range(4):
            network((torch.randint(0, 256, (16, 3, 16, 16)) / 255 - columns[0]) / columns[1])
    made = package(
        network.eval(), tmp_path / "package", classes=[f"c{i}" for i in range(10)], shape=(3, 16, 16),
        input_scale=1 / 255, mean=mean, deviation=deviation,
    )  # fmt: skip
    assert 0 < made.rounded <= made.manifest.logits.scale / 2
    equal_in_rtl(tmp_path / "package", tmp_path)


@pytest.mark.full
def test_five_channels_of_mixed_widths(tmp_path, seed):
    shape = (5, 36, 28)
    network = settled(mixed_widths(), shape, seed)
    package(network, tmp_path / "package", classes=list("abcd"), shape=shape)
    equal_in_rtl(tmp_path / "package", tmp_path)


def write(tmp_path: Path, changed: bool = False) -> Path:
    model, _ = make_model(SMALL, 1)
    if changed:
        node_of(model, "relu1").op_type = "Softplus"
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_external_weights_become_one_file(tmp_path):
    model, _ = make_model(SMALL, 1)
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    package(tmp_path / "model.onnx", tmp_path / "package", classes=["a", "b", "c"], name="one")
    tensors = onnx.load(tmp_path / "package" / "model.onnx", load_external_data=False).graph.initializer
    assert all(numpy_helper.to_array(tensor) is not None for tensor in tensors)
    assert manifest.load(tmp_path / "package").name == "one"


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        (True, {}, r"layer 'relu1' \(Softplus\) is not covered"),
        (False, {"classes": ["a", "b"]}, "gives 3 logits, --classes names 2"),
        (False, {"channels": ["x"]}, "--channels names 1, the network takes 2"),
        (False, {"deviation": [0.0]}, "--std 0.0: give one finite number"),
    ],
)
def test_refused(changed, options, message, tmp_path):
    """In one line, and nothing is written."""
    path = write(tmp_path, changed)
    with pytest.raises(IcsortError, match=message) as caught:
        package(path, tmp_path / "package", **{"classes": ["a", "b", "c"], **options})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "package").exists()


def test_calibrated_on_labelled_cells(tmp_path, seed):
    """Trigger, preprocessing and temperature come from the cells; a class that the network does not name is refused."""
    random = np.random.default_rng(seed)
    path = write(tmp_path)
    import tifffile

    for name, level in (("a", 300), ("b", 900), ("c", 2000)):
        cells = random.normal(100, 3, (12, SMALL.channels, SMALL.height, SMALL.width))
        cells[:, :, 3:-3, 4:-4] += random.normal(level, 20, (12, SMALL.channels, 1, 1))
        (tmp_path / "cells").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "cells" / f"{name}.tif", cells.clip(0).astype(np.uint16), metadata={"axes": "TCYX"})
    made = package(path, tmp_path / "package", classes=["a", "b", "c"], cells=tmp_path / "cells")
    assert made.calibrated
    assert made.manifest.accuracy.cells == 36
    assert made.manifest.trigger.on < NEVER
    assert made.manifest.logits.temperature != 1.0
    kept = known.load(tmp_path / "package", made.manifest)
    assert len(kept.lines) == known.CELLS
    assert (kept.logits == IntegerNetwork(tmp_path / "package").logits(kept.pixels)).all()
    with pytest.raises(IcsortError, match="c is in one of them only"):
        package(path, tmp_path / "other", classes=["a", "b", "d"], cells=tmp_path / "cells")
