# SPDX-License-Identifier: Apache-2.0
"""Packages of networks that others published; what hardware makes of them is in tests/hw/frontend/test_published.py."""

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from icsort.errors import IcsortError
from icsort.formats import package as manifest
from icsort.quant.cells.find import Dataset
from icsort.quant.commands import model as cli
from icsort.quant.networks.published import published, published_named
from icsort.quant.networks.registry import PUBLISHED
from icsort.quant.packaging.untrained import fitted, untrained_package


def test_package(dataset: Dataset, tmp_path: Path) -> None:
    """Its own check compares the file with Brevitas, and every logit with whole steps."""
    network = published("tfc-2w2a")
    cells = fitted(dataset, *network.shape)
    package = untrained_package(network, cells, tmp_path / "package", classes=12, seed=3)
    again = untrained_package(network, cells, tmp_path / "again", classes=12, seed=3, name="package")
    assert (package.input.channels, package.input.height, package.input.width) == network.shape
    assert len(package.classes) == 12
    assert manifest.load(tmp_path / "package") == package
    assert again == package


def test_package_of_images_that_a_cell_fills(tmp_path: Path, seed: int) -> None:
    """No line of them is empty, so that no trigger tells cells from what lies between them."""
    random = np.random.default_rng(seed)
    images = tuple(random.integers(100, 4000, (64, 28, 28, 1)).astype(np.uint16))
    cells = Dataset("test", "crops", images, np.arange(64) % 2, ("A", "B"), ("X",))
    package = untrained_package(published("tfc-2w2a"), cells, tmp_path / "package")
    assert (package.input.height, package.input.width) == (28, 28)


def test_thresholds_keep_off_whole_numbers() -> None:
    """Where batch norm and quantizer of one channel step, in the integers of the product in front of them."""
    torch.manual_seed(1)
    network = published("tfc-2w2a").build(10)
    network.calibrate([torch.randint(0, 256, (32, 1, 28, 28)).float()])
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        deviation = (norm.running_var.double() + norm.eps).sqrt() / norm.weight.double()
        for level in (-0.5, 0.5):  # the three values are -1, 0, 1
            thresholds = (level - norm.bias.double()) * deviation + norm.running_mean.double()
            assert float((thresholds - thresholds.round()).abs().min().detach()) > 0.2  # of two, a quarter can be had


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_help_names_it(name: str) -> None:
    assert name in cli.PUBLISHED


def test_options_are_refused_and_names_known() -> None:
    assert published_named("student", plain=False) is None
    found = published_named("tfc-1w1a", plain=True)
    assert found is not None
    assert found.title == "tfc-1w1a"
    with pytest.raises(IcsortError, match="tfc-1w1a is as it was published: leave out"):
        published_named("tfc-1w1a", plain=False)


@pytest.mark.parametrize("option", [["--width", "0.5"], ["--input", "3x32x32"], ["--weight-bits", "2"]])
def test_the_command_refuses_options(option: list[str], tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("model")(cli.model)
    result = CliRunner().invoke(app, ["--arch", "cnv-1w1a", *option, "--out", str(tmp_path / "package")])
    assert isinstance(result.exception, IcsortError)
    assert "leave out --input" in str(result.exception)
    assert not (tmp_path / "package").exists()
