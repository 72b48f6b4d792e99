# SPDX-License-Identifier: Apache-2.0
"""A zip archive of images: classes of the innermost folders, cells of any width put in the middle of wide lines."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icsort.quant.cells.find import read_folder
from tests.quant.cells.files import real, refusal


def add(archive: zipfile.ZipFile, name: str, pixels: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    archive.writestr(name, stream.getvalue())


@pytest.fixture
def pictures(seed: int) -> dict[str, np.ndarray]:
    """Cells of two donors, of 5 to 9 pixels."""
    random = np.random.default_rng(seed)
    names = [f"set/donor_{donor}/{kind}/c{cell}.png" for donor in (1, 2) for kind in ("on", "off") for cell in range(2)]
    return {name: random.integers(0, 256, random.integers(5, 10, 2)).astype(np.uint8) for name in names}


def test_pixels_labels_and_groups(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as archive:
        for name, pixels in pictures.items():
            add(archive, name, pixels)
        archive.writestr("set/notes.txt", "no image")
        archive.writestr("__MACOSX/set/donor_1/on/._c0.png", "no image either")
    cells = read_folder(tmp_path / "cells.zip", group_by=r"donor_(\d)")
    assert cells.classes == ("off", "on")
    assert cells.names == tuple(sorted(pictures))
    assert cells.groups is not None
    assert cells.passed_over == (
        "__MACOSX/set/donor_1/on/._c0.png: no image that is read",
        "set/notes.txt: no image that is read",
    )
    width = max(pixels.shape[1] for pixels in pictures.values())
    for name, image, label, group in zip(cells.names, cells.images, cells.labels, cells.groups, strict=True):
        pixels = pictures[name]
        assert image.shape == (len(pixels), width, 1)
        left = (width - pixels.shape[1]) // 2
        assert (image[:, left : left + pixels.shape[1], 0] == pixels).all()
        rest = np.delete(image[..., 0], np.s_[left : left + pixels.shape[1]], axis=1)
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (rest == edge.min()).all()
        assert name.split("/")[1:3] == [f"donor_{group}", cells.classes[label]]


def test_what_is_refused(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    path = tmp_path / "cells.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in pictures.items():
            add(archive, name, pixels)
        add(archive, "set/donor_1/on/colour.png", np.zeros((6, 6, 3), np.uint8))
    assert "images of [1, 3] channels" in refusal(read_folder, path)
    with zipfile.ZipFile(path, "w") as archive:
        add(archive, "a/good.png", next(iter(pictures.values())))
        archive.writestr("a/bad.png", b"\x89PNG\r\n\x1a\n no more")
    assert "1 of 2 images cannot be read" in refusal(read_folder, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "holds no image" in refusal(read_folder, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "truncated or damaged archive" in refusal(read_folder, path)


def test_the_real_archive() -> None:
    cells = read_folder(real("tcell_activation") / "sample_images.zip", group_by=r"donor_(\d+)")
    assert cells.counts() == {"activated": 302, "quiescent": 550}
    assert cells.groups is not None
    assert len(np.unique(cells.groups)) == 6
