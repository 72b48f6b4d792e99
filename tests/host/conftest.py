# SPDX-License-Identifier: Apache-2.0
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from icsort.formats import acquisition
from icsort.formats import package as manifest
from tests.host.fake_board import FakeBoard

MODEL = b"stands for a QONNX file"


@pytest.fixture
def model() -> manifest.Manifest:
    return manifest.Manifest(
        name="example",
        created_by="icsort test",
        classes=("G1", "S", "M"),
        channels=("Brightfield", "PI"),
        input=acquisition.InputSpec(height=40, width=38, channels=2),
        line=acquisition.LineSpec(width=104, x_offset=10),
        trigger=acquisition.TriggerSpec(channel=1, threshold=1965),
        preprocess=acquisition.PreprocessSpec(background=(482, 34), gain=(33290, -12806), shift=16),
        logits=manifest.LogitsSpec(scale=0.0093, temperature=0.7),
        posterior=manifest.PosteriorSpec(multiplier=159633, shift=15),
        accuracy=manifest.AccuracySpec(accuracy=0.75, balanced_accuracy=0.5, cells=274),
        data=manifest.DataSpec(source="generated", hash="0" * 64, split_seed=3),
        files={manifest.MODEL_FILE: hashlib.sha256(MODEL).hexdigest()},
    )


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
    with FakeBoard(model.model_id) as board:
        yield board
