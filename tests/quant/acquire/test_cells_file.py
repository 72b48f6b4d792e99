# SPDX-License-Identifier: Apache-2.0
"""Cells of a folder as a file that a build takes: images, labels in the package's classes, lines between them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from icsort.cli.root import app
from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats import package as manifest
from icsort.quant.acquire.cells_file import write_cells
from tests.icsort.formats.test_package import MODEL, example


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / manifest.MODEL_FILE).write_bytes(MODEL)
    manifest.save(example(), folder)
    return folder


def write_stacks(folder: Path, names: list[str], random: np.random.Generator) -> dict[str, np.ndarray]:
    """A stack of 7 cells a name, two channels of 104 pixels, a bright cell in the middle."""
    stacks = {}
    folder.mkdir()
    for name in names:
        stack = random.normal(5, 1, (7, 2, 30, 104)).clip(0)
        stack[:, :, 12:18, 20:40] += 400
        stacks[name] = stack.astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", stacks[name], metadata={"axes": "TCYX"}, imagej=True)
    return stacks


def test_cells_keep_pixels_and_the_labels_that_the_package_knows(package: Path, tmp_path: Path, seed: int) -> None:
    stacks = write_stacks(tmp_path / "cells", ["G1", "Other"], np.random.default_rng(seed))
    words = ["data", "cells", tmp_path / "cells", "--package", package, "--out", tmp_path / "cells.npz"]
    done = CliRunner().invoke(app, [*map(str, words), "--channels", "Brightfield,PI"], catch_exceptions=False)
    assert "14 cells, 7 of them labelled" in done.output
    cells = heldout.load(tmp_path / "cells.npz")
    assert cells.classes == example().classes
    assert cells.labels.tolist() == [0] * 7 + [-1] * 7
    expected = np.concatenate([stacks["G1"], stacks["Other"]]).transpose(0, 2, 3, 1)
    assert all((image == pixels).all() for image, pixels in zip(cells.images, expected, strict=True))
    assert cells.background.lines.max() < 100


def test_what_does_not_fit_is_refused(package: Path, tmp_path: Path, seed: int) -> None:
    write_stacks(tmp_path / "cells", ["G1"], np.random.default_rng(seed))
    with pytest.raises(IcsortError, match="Brightfield"):
        write_cells(tmp_path / "cells", package, tmp_path / "cells.npz")
    (tmp_path / "there.npz").touch()
    with pytest.raises(IcsortError, match="is there"):
        write_cells(tmp_path / "cells", package, tmp_path / "there.npz", ["Brightfield", "PI"])
    assert not (tmp_path / "cells.npz").exists()
