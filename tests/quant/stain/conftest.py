# SPDX-License-Identifier: Apache-2.0
"""A tiny network that predicts the DNA stain of generated cells from their other channels, made once."""

from pathlib import Path

import pytest

from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import generated_dataset
from icsort.quant.networks.architectures import Architecture
from icsort.quant.packaging.export import export_package
from icsort.quant.stain.cells import stained
from icsort.quant.training.recipe import Recipe
from icsort.quant.training.train import train_run

INPUTS = ("Brightfield", "Darkfield")
STAIN = "DNA"


@pytest.fixture(scope="session")
def cells() -> Dataset:
    return generated_dataset(per_class=30, seed=5)


@pytest.fixture(scope="session")
def value_run(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stain") / "run"
    train_run(stained(cells, INPUTS, STAIN), out, Recipe(epochs=8, batch=16), Architecture(), seed=1, progress=False)
    return out


@pytest.fixture(scope="session")
def value_package(value_run: Path) -> Path:
    out = value_run.parent / "package"
    export_package(value_run, out)
    return out
