# SPDX-License-Identifier: Apache-2.0
"""What becomes of images before they are lines: against scikit-image, Pillow, NumPy and scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.exposure import match_histograms
from skimage.measure import block_reduce
from sklearn.preprocessing import QuantileTransformer

from icsort.errors import IcsortError
from icsort.sim.bit_true.prepare import STEPS, crop_middle, learn_quantiles, match_quantiles, reduce_area


@pytest.fixture
def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def an_image(draw: np.random.Generator, high: int = 65536) -> NDArray[np.uint16]:
    shape = draw.integers(20, 60), draw.integers(20, 60), draw.integers(1, 4)
    return draw.integers(0, high, shape).astype(np.uint16)


def test_an_area_mean_is_that_of_scikit_image_rounded(draw: np.random.Generator) -> None:
    for _ in range(10):
        image, factor = an_image(draw), int(draw.integers(1, 9))
        whole = image[: image.shape[0] // factor * factor, : image.shape[1] // factor * factor]
        means = block_reduce(whole.astype(np.float64), (factor, factor, 1), np.mean)
        reduced = reduce_area(image, factor)
        assert reduced.dtype == np.uint16
        assert reduced.shape == means.shape
        assert np.array_equal(reduced, np.floor(means + 0.5))


def test_an_area_mean_is_near_that_of_pillow(draw: np.random.Generator) -> None:
    image = draw.integers(0, 256, (48, 64)).astype(np.uint8)
    box = np.asarray(Image.fromarray(image).reduce(4), np.int64)
    assert np.abs(reduce_area(image.astype(np.uint16)[..., None], 4)[..., 0].astype(np.int64) - box).max() <= 1


def test_halves_are_rounded_upwards() -> None:
    image = np.asarray([[0, 1], [0, 1]], np.uint16)[..., None]
    assert reduce_area(image, 2).tolist() == [[[1]]]


def test_the_middle(draw: np.random.Generator) -> None:
    image = an_image(draw)
    for size in range(1, min(image.shape[:2]) + 1):
        rest = [length - size for length in image.shape[:2]]
        sides = [slice(left // 2, -(left - left // 2) or None) for left in rest]
        assert np.array_equal(crop_middle(image, size), image[tuple(sides)])


def test_too_small_images_are_refused(draw: np.random.Generator) -> None:
    image = an_image(draw)
    with pytest.raises(IcsortError, match="smaller --reduce"):
        reduce_area(image, max(image.shape) + 1)
    with pytest.raises(IcsortError, match="smaller --crop"):
        crop_middle(image, min(image.shape[:2]) + 1)


def test_quantiles_are_those_of_numpy(draw: np.random.Generator) -> None:
    images = [draw.integers(0, 3000, (draw.integers(3, 40), 17, 2)).astype(np.uint16) for _ in range(5)]
    tables = learn_quantiles(images)
    for channel in range(2):
        pixels = np.concatenate([image[..., channel].ravel() for image in images])
        steps = np.arange(STEPS + 1) / STEPS
        assert tables[channel] == tuple(np.quantile(pixels, steps, method="inverted_cdf").tolist())


def test_an_image_is_matched_as_scikit_image_does(draw: np.random.Generator) -> None:
    """A reference of as many different pixels as a table has steps holds all that scikit-image takes of it."""
    for _ in range(5):
        image = draw.integers(0, draw.integers(2, 5000), (31, 23, 2)).astype(np.uint16)
        reference = np.stack([draw.choice(65536, STEPS, replace=False) for _ in range(2)], axis=-1)
        reference = reference.astype(np.uint16).reshape(16, 16, 2)
        expected = match_histograms(image.astype(np.float64), reference.astype(np.float64), channel_axis=-1)
        matched = match_quantiles(image, learn_quantiles([reference]))
        assert np.abs(matched - expected).max() <= 0.5 + 1e-6  # of rounding


def test_an_image_is_matched_as_scikit_learn_does(draw: np.random.Generator) -> None:
    """Through the quantiles of one set and back through those of the other; scikit-learn puts a count at the middle of
    its equals, so each count but the ends has one pixel here."""
    image = draw.permutation(4096).astype(np.uint16).reshape(64, 64, 1)
    reference = draw.gamma(2, 2000, (200, 200, 1)).clip(0, 65535).astype(np.uint16)
    to_uniform = QuantileTransformer(n_quantiles=4096, subsample=None).fit(image.reshape(-1, 1).astype(float))
    from_uniform = QuantileTransformer(n_quantiles=STEPS + 1, subsample=None).fit(
        reference.reshape(-1, 1).astype(float)
    )
    expected = from_uniform.inverse_transform(to_uniform.transform(image.reshape(-1, 1).astype(float)))[:, 0]
    matched = match_quantiles(image, learn_quantiles([reference])).ravel()
    middle = (image.ravel() > 64) & (image.ravel() < 4032)  # in the tails a pixel more or less is many counts
    assert np.abs(matched - expected)[middle].max() < 0.01 * np.ptp(reference)


def test_light_that_differs_is_taken_out(draw: np.random.Generator) -> None:
    """Whatever rises with the counts changes nothing: a lamp twice as bright, a camera with an offset."""
    image = draw.integers(0, 4000, (40, 40, 1)).astype(np.uint16)
    tables = learn_quantiles([draw.integers(0, 65536, (64, 64, 1)).astype(np.uint16)])
    matched = match_quantiles(image, tables)
    assert np.array_equal(match_quantiles((image * 3 + 500).astype(np.uint16), tables), matched)
    assert np.ptp(matched) > 60_000
    again = match_quantiles(matched, tables)
    assert np.array_equal(again, matched)


def test_another_number_of_channels_is_refused(draw: np.random.Generator) -> None:
    with pytest.raises(IcsortError, match="3 channels cannot be normalized by 1 tables"):
        match_quantiles(draw.integers(0, 9, (5, 5, 3)).astype(np.uint16), ((0,) * (STEPS + 1),))
