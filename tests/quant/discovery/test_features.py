# SPDX-License-Identifier: Apache-2.0
"""First features: alike for all orientations, in units of each channel's own noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.discovery.features import DESCRIPTORS, RINGS, cell_features

SIDE, NOISE, LEVEL = 33, 7.0, 900


def cells(seed: int, count: int = 12, brightness: float = 400.0) -> list[NDArray[np.uint16]]:
    """Spots of random width and place on a noisy background, two channels."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    images = []
    for _ in range(count):
        y, x, width = random.uniform(13, 19), random.uniform(13, 19), random.uniform(2, 4)
        spot = brightness * np.exp(-((rows - y) ** 2 + 2 * (columns - x) ** 2) / (2 * width**2))
        image = LEVEL + random.normal(0, NOISE, (SIDE, SIDE, 2)) + spot[..., None] * [1.0, 0.5]
        images.append(image.round().astype(np.uint16))
    return images


@pytest.mark.parametrize(
    "turn", [lambda image: np.rot90(image), lambda image: image[:, ::-1], lambda image: image[::-1]]
)
def test_orientation_changes_nothing(turn: object, seed: int) -> None:
    images = cells(seed)
    upright, turned = cell_features(images, "AB"), cell_features([turn(image) for image in images], "AB")  # type: ignore[operator]
    assert np.allclose(upright.rings, turned.rings, atol=1e-6)
    assert np.allclose(upright.descriptors, turned.descriptors, rtol=1e-9)


def test_noise_is_the_unit(seed: int) -> None:
    images = cells(seed, 30)
    found = cell_features(images, "AB")
    assert found.noise == pytest.approx([NOISE, NOISE], rel=0.15)
    assert found.rings.shape == (30, 2 * RINGS)
    assert found.names == tuple(f"{channel} {name}" for channel in "AB" for name in DESCRIPTORS)
    louder = [(image * np.array([1, 4])).astype(np.uint16) for image in images]
    other = cell_features(louder, "AB")
    assert other.noise == pytest.approx(found.noise * [1, 4])
    assert np.allclose(other.rings, found.rings)


def test_rings_hold_the_distances_of_round_cells() -> None:
    """Of images that are the same in all directions, rings are as far apart as the pixels."""
    rows, columns = np.mgrid[:41, :41] - 20
    step = 41 / 2 / RINGS
    ring = np.minimum((np.hypot(rows, columns) / step).astype(int), RINGS - 1)
    profiles = np.array([[90, 80, 40, 20, 10, 0, 0, 0, 0, 0], [70, 90, 60, 30, 0, 0, 0, 0, 0, 0]])
    images = [(100 + profile[ring])[..., None].astype(np.uint16) for profile in profiles]
    found = cell_features(images, "A")
    distance = np.linalg.norm((images[0].astype(float) - images[1]) / found.noise)
    assert np.linalg.norm(found.rings[0] - found.rings[1]) == pytest.approx(distance)


def test_descriptors_of_a_spot() -> None:
    """A round Gaussian's root mean square radius is its width times the root of two."""
    rows, columns = np.mgrid[:61, :61] - 30
    round_spot = 20_000 * np.exp(-(rows**2 + columns**2) / (2 * 5**2))
    long_spot = 20_000 * np.exp(-(rows**2 / 9**2 + columns**2 / 3**2) / 2)
    images = [(50 + spot)[..., None].round().astype(np.uint16) for spot in (round_spot, long_spot)]
    light, maximum, spread, elongation, _ = cell_features(images, "A").descriptors.T
    assert light == pytest.approx([spot.sum() / 0.5 for spot in (round_spot, long_spot)], rel=0.01)
    assert maximum == pytest.approx([40_000, 40_000])
    assert spread == pytest.approx([5 * np.sqrt(2), np.sqrt(90)], rel=0.01)
    assert elongation == pytest.approx([0, (81 - 9) / 90], abs=0.01)


def test_images_that_are_all_alike_are_refused() -> None:
    with pytest.raises(IcsortError, match="look alike"):
        cell_features([np.full((20, 20, 1), 300, np.uint16)] * 5, "A")
