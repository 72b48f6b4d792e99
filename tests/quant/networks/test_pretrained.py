# SPDX-License-Identifier: Apache-2.0
"""Published weights: a file with torchvision's names, made here, read into our networks."""

from pathlib import Path

import pytest
import torch

from icsort.errors import IcsortError
from icsort.quant.networks.architectures import build_model
from icsort.quant.networks.blocks import Unit
from icsort.quant.networks.pretrained import load_published

BLOCKS = (2, 2, 2, 2)
WIDTHS = (64, 128, 256, 512)


def resnet18_state(seed: int) -> dict[str, torch.Tensor]:
    """Random weights under the names and shapes of torchvision's ResNet18."""
    random = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}

    def add(convolution: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        state[f"{convolution}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=random)
        for name in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{name}"] = torch.rand(outputs, generator=random) + 0.5
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    add("conv1", "bn1", 64, 3, 7)
    inputs = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS, strict=True), 1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            add(f"{prefix}.conv1", f"{prefix}.bn1", width, inputs, 3)
            add(f"{prefix}.conv2", f"{prefix}.bn2", width, width, 3)
            if inputs != width:
                add(f"{prefix}.downsample.0", f"{prefix}.downsample.1", width, inputs, 1)
            inputs = width
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, 512, generator=random), torch.zeros(1000)
    return state


def test_weights_come_to_their_layers(tmp_path: Path, seed: int) -> None:
    state = resnet18_state(seed)
    torch.save(state, tmp_path / "weights.pt")
    model = build_model("resnet18", 3, 5, 40, 40)
    load_published(model, tmp_path / "weights.pt")
    block = model.trunk[4]  # behind the stem, its pool and the two blocks of the first stage
    assert torch.equal(model.trunk[0].conv.weight, state["conv1.weight"])
    assert torch.equal(block.branch[1].conv.weight, state["layer2.0.conv2.weight"])
    assert torch.equal(block.branch[1].norm.running_var, state["layer2.0.bn2.running_var"])
    assert torch.equal(block.shortcut.conv.weight, state["layer2.0.downsample.0.weight"])
    assert torch.equal(block.shortcut.norm.bias, state["layer2.0.downsample.1.bias"])


@pytest.mark.parametrize("channels", [1, 2, 7])
def test_the_first_layer_answers_grey_images_as_before(channels: int, tmp_path: Path, seed: int) -> None:
    state = resnet18_state(seed)
    torch.save(state, tmp_path / "weights.pt")
    responses = []
    for count in (3, channels):
        model = build_model("resnet18", count, 5, 40, 40, weight_bits=None, activation_bits=None)
        load_published(model, tmp_path / "weights.pt")
        stem = next(module for module in model.modules() if isinstance(module, Unit)).conv
        grey = torch.rand(2, 1, 40, 40, generator=torch.Generator().manual_seed(seed))
        responses.append(stem(grey.expand(-1, count, -1, -1)))
    assert torch.allclose(*responses, atol=1e-3)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    model = build_model("resnet18", 3, 5, 40, 40)
    path = tmp_path / "weights.pt"
    with pytest.raises(IcsortError, match="cannot be read"):
        load_published(model, path)
    path.write_text("no weights")
    with pytest.raises(IcsortError, match="cannot be read"):
        load_published(model, path)
    state = resnet18_state(0)
    torch.save({"epoch": 3, "state": state}, path)
    with pytest.raises(IcsortError, match="other things than tensors"):
        load_published(model, path)
    torch.save(state, path)
    with pytest.raises(IcsortError, match="20 convolutions"):
        load_published(build_model("resnet50", 3, 5, 40, 40), path)
    with pytest.raises(IcsortError, match="convolution 0"):
        load_published(build_model("resnet18", 3, 5, 40, 40, width_multiplier=0.5), path)
