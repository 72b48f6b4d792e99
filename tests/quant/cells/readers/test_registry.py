# SPDX-License-Identifier: Apache-2.0
"""The table of readers, and the one that CONTRIBUTING.md adds to it."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from icsort.quant.cells.find import read_folder
from icsort.quant.cells.readers import registry
from icsort.quant.cells.readers.registry import READERS, reader_of
from tests.quant.cells.files import refusal

CONTRIBUTING = Path(__file__).parents[4] / "CONTRIBUTING.md"


@pytest.fixture
def npy_stacks() -> ModuleType:
    """The reader in CONTRIBUTING.md, as a module."""
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Adding a reader")[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code is not None
    module = ModuleType("npy_stacks")
    exec(code[1], module.__dict__)
    return module


def test_every_module_of_the_package_that_reads_is_in_the_table() -> None:
    folder = Path(registry.__file__).parent
    with_layout = {path.stem for path in folder.glob("*.py") if "\nLAYOUT = " in path.read_text(encoding="utf-8")}
    assert {vars(reader)["__name__"].rpartition(".")[2] for reader in READERS} == with_layout
    assert all(reader.LAYOUT for reader in READERS)


def test_the_documented_reader_reads(tmp_path: Path, npy_stacks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(5).integers(0, 65536, (7, 6, 5, 2)).astype(np.uint16)
    np.save(tmp_path / "A.npy", pixels[:4])
    np.save(tmp_path / "B.npy", pixels[4:])
    (tmp_path / "notes.txt").write_text("no array")
    assert "no images that are read (2 of .npy, 1 of .txt)" in refusal(reader_of, tmp_path)
    monkeypatch.setattr(registry, "READERS", (npy_stacks, *READERS))
    cells = read_folder(tmp_path, ["x", "y"])
    assert (np.stack(cells.images) == pixels).all()
    assert cells.counts() == {"A": 4, "B": 3}
    assert cells.channels == ("x", "y")
    assert cells.passed_over == ("notes.txt: no array",)
    np.save(tmp_path / "B.npy", (pixels[4:] >> 8).astype(np.uint8))
    assert "differing types" in refusal(read_folder, tmp_path)
