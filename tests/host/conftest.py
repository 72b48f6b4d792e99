# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from icsort.formats import package as manifest
from tests.host.fake_board import FakeBoard
from tests.host.recordings import MODEL, example


@pytest.fixture
def model() -> manifest.Manifest:
    return example()


@pytest.fixture
def package(tmp_path: Path, model: manifest.Manifest) -> Path:
    """Folder of the model package that the board was built from."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    manifest.save(model, folder)
    return folder


@pytest.fixture
def board(model: manifest.Manifest) -> Iterator[FakeBoard]:
    with FakeBoard(model.model_id, model.network_id) as board:
        yield board
