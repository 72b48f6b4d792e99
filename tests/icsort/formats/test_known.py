# SPDX-License-Identifier: Apache-2.0
"""Known cells of a package: which are kept, and which files are refused.

tests/sim/verilator/test_board.py compares their logits with FINN's execution.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import integer, known
from icsort.formats import package as packages
from icsort.formats.background import Background
from icsort.formats.heldout import HeldOut
from icsort.formats.package import Manifest
from tests.host.recordings import MODEL
from tests.host.test_self_test import small

PER_CLASS = 5


class Network:
    """In place of a network: a class's logit is the sum of the pixels that many rows down."""

    def __init__(self, folder: Path) -> None:
        self.manifest = packages.load(folder)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.astype(np.int64).sum(axis=(2, 3))[:, : len(self.manifest.classes)]


@pytest.fixture
def manifest() -> Manifest:
    return small()


@pytest.fixture
def folder(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(integer, "IntegerNetwork", Network)
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / packages.MODEL_FILE).write_bytes(MODEL)
    packages.save(manifest, folder)
    return folder


def cells(seed: int, lit: int = 4, channels: tuple[str, ...] = ("Brightfield", "PI")) -> HeldOut:
    """Cells of so many lines of light, no two alike, the classes one behind the other."""
    random = np.random.default_rng(seed)
    images = tuple(random.integers(400, 900, (lit, 6, 2)).astype(np.uint16) for _ in range(3 * PER_CLASS))
    background = Background(random.integers(0, 60, (50, 6, 2)).astype(np.uint16))
    return HeldOut(images, np.repeat([0, 1, 2], PER_CLASS), ("G1", "S", "M"), channels, background)


def test_each_class_in_turn(folder: Path, manifest: Manifest, seed: int) -> None:
    stored = cells(seed)
    assert known.write(folder, stored) == known.CELLS
    kept = known.load(folder, manifest)
    # Classes 0, 1, 2, 0 ..: the first cell of each, then the second.
    for index, lines in enumerate(kept.lines):
        image = stored.images[index % 3 * PER_CLASS + index // 3]
        assert (lines[2:6] == image).all()
        assert len(lines) == 1 + 1 + 4 + 3  # a line before the pre-line; behind, as many as end an event
        front = known.played(lines, manifest)
        assert front is not None
        assert (front.pixels == kept.pixels[index]).all()
        assert front.events.trigger.tolist() == [2]
    assert (kept.logits == Network(folder).logits(kept.pixels)).all()
    assert kept.pixels.any()
    assert [len(part) for part in (kept.first(3).lines, kept.first(3).pixels, kept.first(3).logits)] == [3, 3, 3]
    assert len(kept.first(None).lines) == known.CELLS


def test_what_does_not_fit_is_left_out(folder: Path, manifest: Manifest, seed: int) -> None:
    """One that is too long for the line source or the trigger, one that is dark, one that is two events, one with
    debris."""
    stored = cells(seed)
    dark, gap = stored.background.lines[:4], stored.background.lines[:5]
    long = np.concatenate([stored.images[3], np.resize(stored.background.lines, (known.LINES - 4 - 4, 6, 2))])
    overlong = np.resize(stored.images[4], (manifest.trigger.max_lines + 1, 6, 2))
    twice = np.concatenate([stored.images[1], gap, stored.images[1]])
    speck = np.concatenate([stored.images[5][:1], gap, stored.images[5]])
    images = (dark, stored.images[0], long, overlong, twice, speck, stored.images[2])
    labels = np.zeros(len(images), np.int64)
    assert known.write(folder, HeldOut(images, labels, stored.classes, stored.channels, stored.background)) == 2
    kept = known.load(folder, manifest)
    for lines, image in zip(kept.lines, (stored.images[0], stored.images[2]), strict=True):
        assert (lines[2:6] == image).all()


def test_none_is_kept_where_none_fits(folder: Path, seed: int) -> None:
    bright = cells(seed)
    assert known.write(folder, cells(seed, lit=known.LINES)) == 0
    loud = Background(np.full((10, 6, 2), 900, np.uint16))
    assert known.write(folder, HeldOut(bright.images, bright.labels, bright.classes, bright.channels, loud)) == 0
    assert not (folder / known.KNOWN_FILE).exists()


def altered(folder: Path, **changes: Any) -> None:
    with np.load(folder / known.KNOWN_FILE) as stored:
        arrays = dict(stored)
    np.savez(folder / known.KNOWN_FILE, **(arrays | changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "other"}, "not icsort-known-cells version 1"),
        ({"version": 2}, "not icsort-known-cells version 1"),
        ({"network_id": "f" * 16}, f"of network {'f' * 16}, the manifest beside it of network "),
        ({"logits": np.zeros((8, 2), np.int64)}, r"logits is int64 of shape \(8, 2\)"),
        ({"logits": np.zeros((8, 3), np.int32)}, r"logits is int32 of shape \(8, 3\)"),
        ({"pixels": np.zeros((7, 6, 4, 2), np.uint8)}, r"pixels is uint8 of shape \(7, 6, 4, 2\)"),
        ({"lines": np.zeros((8, 9, 6, 3), np.uint16)}, r"lines is uint16 of shape \(8, 9, 6, 3\)"),
        ({"heights": np.zeros(8, np.int64)}, "heights has 0 to 0"),
        ({"heights": np.full(8, 10)}, "heights has 10 to 10"),
        ({"heights": np.zeros(0, np.int64)}, "lines is uint16"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    folder: Path, manifest: Manifest, seed: int, changes: dict[str, Any], told: str
) -> None:
    known.write(folder, cells(seed))
    altered(folder, **changes)
    with pytest.raises(IcsortError, match=f"{told}.*export the run again"):
        known.load(folder, manifest)


def test_other_settings_than_those_of_the_export_are_refused(folder: Path, manifest: Manifest, seed: int) -> None:
    known.write(folder, cells(seed))
    kept = {name: value for name, value in manifest if name != "model_id"}
    moved = manifest.preprocess.model_copy(update={"background": (400, 30)})
    with pytest.raises(IcsortError, match="cell 0 is another one by the settings of"):
        known.load(folder, Manifest(**(kept | {"preprocess": moved})))
    deaf = manifest.trigger.model_copy(update={"on": 10**6})
    with pytest.raises(IcsortError, match="cell 0 is another one by the settings of"):
        known.load(folder, Manifest(**(kept | {"trigger": deaf})))


def test_channels_that_see_the_cell_later(folder: Path, manifest: Manifest, seed: int) -> None:
    """Their delay is a matter of more quiet lines on both sides."""
    kept = {name: value for name, value in manifest if name != "model_id"}
    delayed = Manifest(**(kept | {"line": manifest.line.model_copy(update={"delays": (3, 0)})}))
    packages.save(delayed, folder)
    known.write(folder, cells(seed))
    assert {len(lines) for lines in known.load(folder, delayed).lines} == {9 + 2 * 3}
