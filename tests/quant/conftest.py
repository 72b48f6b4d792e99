# SPDX-License-Identifier: Apache-2.0
"""A tiny training on generated cells and its package, made once for all tests of a worker."""

from pathlib import Path

import pytest

from icsort.quant.cells.find import Dataset, generated_dataset
from icsort.quant.packaging.export import export_package
from icsort.quant.training.train import Recipe, train_run


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return generated_dataset(per_class=40, seed=5)


@pytest.fixture(scope="session")
def run_folder(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quant") / "run"
    train_run(dataset, out, Recipe(epochs=8, batch=16), seed=1, progress=False)
    return out


@pytest.fixture(scope="session")
def package_folder(run_folder: Path) -> Path:
    out = run_folder.parent / "package"
    export_package(run_folder, out)
    return out
