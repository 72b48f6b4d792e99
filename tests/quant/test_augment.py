# SPDX-License-Identifier: Apache-2.0
"""Augmentations against NumPy's and SciPy's own, for any number of channels, seeded."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from quant.augment import Augmentation
from sim.bit_true.errors import IcsortError

STILL = {"horizontal": False, "vertical": False}


def images(count: int = 64, channels: int = 7, height: int = 12, width: int = 12) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1))


def changed(augmentation: Augmentation, batch: torch.Tensor, seed: int, fill: torch.Tensor | None = None) -> np.ndarray:
    return augmentation(batch, torch.Generator().manual_seed(seed), fill).numpy()


def smooth(height: int, width: int) -> torch.Tensor:
    """Blobs that interpolation hardly changes, (3, 2, height, width)."""
    blurred = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(3, 2, height, width)), (0, 0, 3, 3))
    return torch.from_numpy((blurred / blurred.std()).astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_flips_are_the_default_and_all_four_happen(channels: int, seed: int) -> None:
    batch = images(channels=channels, height=9)
    before = batch.clone()
    found = changed(Augmentation(), batch, seed)
    assert torch.equal(batch, before)
    kinds = (lambda x: x, lambda x: x[:, ::-1], lambda x: x[..., ::-1], lambda x: x[:, ::-1, ::-1])
    which = [
        [(kind(each) == out).all() for kind in kinds].index(True)
        for each, out in zip(before.numpy(), found, strict=True)
    ]
    assert set(which) == {0, 1, 2, 3}


def test_quarter_turns(seed: int) -> None:
    batch = images()
    found = changed(Augmentation(**STILL, quarter_turns=True), batch, seed)
    turns = [
        [(np.rot90(each, turn, (1, 2)) == out).all() for turn in range(4)].index(True)
        for each, out in zip(batch.numpy(), found, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}
    with pytest.raises(IcsortError, match="square"):
        changed(Augmentation(quarter_turns=True), images(height=10), seed)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 64)])
def test_rotation_is_that_of_scipy(height: int, width: int) -> None:
    batch = smooth(height, width)
    augmentation = Augmentation(**STILL, degrees=30)
    drawn = torch.tensor([[0.5, 0, 0, 0], [-1.0, 0, 0, 0], [0.2, 0, 0, 0]])
    found = augmentation._moved(batch, drawn).numpy()
    middle = (..., slice(12, height - 12), slice(12, width - 12))
    for out, each, angle in zip(found, batch.numpy(), (15, -30, 6), strict=True):
        expected = ndimage.rotate(each, angle, axes=(2, 1), reshape=False, order=1)
        assert np.abs(out - expected)[middle].max() < 0.1


def test_shift_and_fill() -> None:
    batch = torch.full((50, 2, 20, 20), 5.0)
    fill = torch.tensor([1.0, 2.0])
    found = changed(Augmentation(**STILL, shift=0.25), batch, 0, fill)
    assert found[:, :, 6:14, 6:14] == pytest.approx(5.0, abs=1e-4)
    assert found[:, 0].min() == pytest.approx(1.0, abs=1e-4)
    assert found[:, 1].min() == pytest.approx(2.0, abs=1e-4)
    moved = smooth(20, 20)
    out = Augmentation(**STILL, shift=0.25)._moved(moved, torch.tensor([[0, 0, 0.4, -0.8]] * 3)).numpy()
    expected = ndimage.shift(moved.numpy(), (0, 0, 4, -2), order=1)
    assert out[:, :, 5:-5, 5:-5] == pytest.approx(expected[:, :, 5:-5, 5:-5], abs=1e-3)


def test_scale_makes_a_disc_larger_or_smaller() -> None:
    y, x = np.mgrid[:40, :40] - 19.5
    disc = torch.from_numpy((np.hypot(y, x) < 8).astype(np.float32)).expand(200, 1, 40, 40)
    areas = changed(Augmentation(**STILL, scale=0.2), disc, 0).sum(axis=(1, 2, 3)) / float(disc[0].sum())
    assert 0.67 < areas.min() < 0.75
    assert 1.35 < areas.max() < 1.46


def test_gain_brightness_and_noise(seed: int) -> None:
    batch = torch.full((400, 3, 8, 8), 10.0)
    gain = changed(Augmentation(**STILL, gain=0.2), batch, seed)[:, :, 0, 0]
    assert 8 <= gain.min() < 8.3
    assert 11.7 < gain.max() <= 12
    assert abs(np.corrcoef(gain.T)[0, 1]) < 0.3  # each channel by itself
    brightness = changed(Augmentation(**STILL, brightness=3.0), batch, seed)[:, :, 0, 0]
    assert 7 <= brightness.min() < 7.3
    assert 12.7 < brightness.max() <= 13
    noise = changed(Augmentation(**STILL, noise=0.5), batch, seed)
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert noise.mean() == pytest.approx(10.0, abs=0.02)


def test_the_generator_decides() -> None:
    every = Augmentation(quarter_turns=True, degrees=20, shift=0.1, scale=0.1, brightness=1.0, gain=0.1, noise=0.1)
    batch = images()
    assert (changed(every, batch, 5) == changed(every, batch, 5)).all()
    assert (changed(every, batch, 5) != changed(every, batch, 6)).any()
    assert (changed(Augmentation(**STILL), batch, 5) == batch.numpy()).all()


@pytest.mark.parametrize(("name", "value"), [("noise", -1.0), ("degrees", float("nan")), ("gain", 1.0), ("scale", 2.0)])
def test_settings_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(IcsortError, match=name):
        Augmentation(**{name: value})
