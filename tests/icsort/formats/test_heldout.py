# SPDX-License-Identifier: Apache-2.0
"""The held-out file: what is written is read, and whatever is another file is refused in one line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats import heldout
from icsort.formats.background import Background
from icsort.formats.heldout import HeldOut

CLASSES, CHANNELS = ("G1", "Ünusual"), ("Brightfield", "PI", "SSC")


@pytest.fixture
def cells(seed: int) -> HeldOut:
    random = np.random.default_rng(seed)
    images = tuple(random.integers(0, 2**16, (height, 6, 3)).astype(np.uint16) for height in (4, 9, 1, 9))
    background = Background(random.integers(0, 2**16, (11, 6, 3)).astype(np.uint16))
    return HeldOut(images, np.asarray([1, 0, 0, 1]), CLASSES, CHANNELS, background)


@pytest.fixture
def path(cells: HeldOut, tmp_path: Path) -> Path:
    heldout.save(tmp_path / "heldout.npz", cells)
    return tmp_path / "heldout.npz"


@pytest.mark.parametrize("known", [False, True])
def test_round_trip(cells: HeldOut, tmp_path: Path, known: bool) -> None:
    identities = np.asarray([3, 2**64 - 1, 0, 5], np.uint64) if known else None
    heldout.save(tmp_path / "cells.npz", replace(cells, identities=identities))
    back = heldout.load(tmp_path / "cells.npz")
    assert [image.shape for image in back.images] == [image.shape for image in cells.images]
    assert all((image == written).all() for image, written in zip(back.images, cells.images, strict=True))
    assert (back.labels == cells.labels).all()
    assert (back.classes, back.channels) == (CLASSES, CHANNELS)
    assert (back.background.lines == cells.background.lines).all()
    assert (back.identities is None) == (identities is None)
    few = back.first(2)
    assert (len(few.images), few.labels.tolist()) == (2, [1, 0])
    assert few.identities is None or few.identities.tolist() == [3, 2**64 - 1]


def refusal(path: Path) -> str:
    with pytest.raises(IcsortError) as caught:
        heldout.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert "heldout.npz of a training run" in message
    return message


def test_other_files(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    assert "does not exist" in refusal(tmp_path / "none.npz")
    refusal(tmp_path)
    other = tmp_path / "cells.npy"
    np.save(other, np.zeros((2, 8, 8, 1), np.uint8))
    assert "one array" in refusal(other)
    np.save(other, np.asarray([{"a": 1}], object))
    refusal(other)
    for content in (b"", b"text", whole[:-30], whole[: len(whole) // 2], b"\x80\x04." + whole):
        other.write_bytes(content)
        refusal(other)
    np.savez(other.with_suffix(".npz"), images=np.zeros(3))
    assert "version 1" in refusal(other.with_suffix(".npz"))


@pytest.mark.parametrize("name", ["format", "version", *heldout.ARRAYS])
def test_a_missing_array(path: Path, name: str) -> None:
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored if key != name}
    np.savez(path, **arrays)
    refusal(path)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("format", lambda _: np.asarray("icsort-run"), "version 1"),
        ("version", lambda _: np.asarray(2), "version 1"),
        ("version", lambda _: np.asarray([1, 2]), "heldout.npz"),
        ("images", lambda a: a.astype(np.float32), "images is float32"),
        ("images", lambda a: a[0], "images is uint16 of shape"),
        ("images", lambda a: a[:, :, :-1], "do not go together"),
        ("background", lambda a: a[0], "background is uint16 of shape"),
        ("background", lambda a: a.astype(np.int64), "background is int64"),
        ("background", lambda a: a[:0], "do not go together"),
        ("background", lambda a: a[..., :2], "do not go together"),
        ("labels", lambda a: a.astype(np.uint8), "labels is uint8"),
        ("labels", lambda a: a[:3], "labels is int64 of shape (3,)"),
        ("labels", lambda a: a + 1, "labels has 1 to 2: it must be within -1..1"),
        ("labels", lambda a: a - 2, "labels has -2 to -1"),
        ("heights", lambda a: a + 1, "heights has 2 to 10: it must be within 1..9"),
        ("heights", lambda a: a - 1, "heights has 0 to 8"),
        ("heights", lambda a: a.astype(float), "heights is float64"),
        ("classes", lambda _: np.asarray([1, 2]), "classes is int64"),
        ("classes", lambda a: a[None], "classes is"),
        ("channels", lambda a: a[:2], "2 channels do not go together"),
        ("channels", lambda a: a.astype("S"), "channels is"),
        ("identities", lambda _: np.zeros(4, np.int64), "identities is int64"),
        ("identities", lambda _: np.zeros(3, np.uint64), "identities is uint64 of shape (3,)"),
    ],
)
def test_what_does_not_go_together(path: Path, name: str, change: Callable[[Any], Any], said: str) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, name: change(arrays.get(name))})
    assert said in refusal(path)
