# SPDX-License-Identifier: Apache-2.0
"""Masks and measured features, against figures that NumPy and SciPy give of known shapes."""

import numpy as np
import pytest
from scipy import ndimage, stats

from icsort.quant.response.features import distance_map, features, segment
from tests.quant.cells.files import refusal
from tests.quant.response.cells import blobs


def test_the_cell_nearest_the_middle_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(10):
        image = random.normal(100, 3, (40, 40, 2))
        rows, columns = np.mgrid[:40, :40]
        cell = np.hypot(rows - random.uniform(17, 23), columns - random.uniform(17, 23)) < random.uniform(5, 8)
        neighbour = np.hypot(rows - 2, columns - 2) < 5
        image[cell] += 200
        image[neighbour] += random.uniform(200, 2000)
        mask = segment(image.astype(np.uint16), "cell")
        assert not (mask & neighbour).any()
        both = (mask & cell).sum() / (mask | cell).sum()
        assert both > 0.75


def test_no_cell_is_told() -> None:
    assert "dark.png: no cell stands out" in refusal(segment, np.full((20, 20, 2), 7, np.uint16), "dark.png")


def test_a_cell_that_was_cut_out_keeps_its_mask(seed: int) -> None:
    random = np.random.default_rng(seed)
    cell = np.zeros((30, 30), bool)
    cell[8:20, 9:23] = True
    image = (random.integers(1, 2000, (30, 30, 1)) * cell[..., np.newaxis]).astype(np.uint16)
    assert (segment(image, "cell") == cell).all()


def test_the_distance_map_is_scipys(seed: int) -> None:
    mask = np.random.default_rng(seed).random((15, 12)) < 0.8
    inside = np.pad(mask, 1)
    expected = np.zeros(inside.shape)
    outside = np.argwhere(~inside)
    for place in np.argwhere(inside):
        expected[tuple(place)] = np.sqrt(((outside - place) ** 2).sum(axis=1)).min()
    expected = expected[1:-1, 1:-1]
    np.testing.assert_allclose(distance_map(mask), expected / expected.max(), rtol=1e-6)


def test_features_are_what_they_are_called(seed: int) -> None:
    cells = blobs(6, seed)
    masks = [segment(image, "cell") for image in cells.images]
    table = features(cells.images, masks, cells.channels)
    assert np.isfinite(table.to_numpy()).all()
    assert not table.columns.duplicated().any()
    for row, (image, mask) in enumerate(zip(cells.images, masks, strict=True)):
        inside = image[mask].astype(float)
        values = table.iloc[row]
        assert values["cell_area"] == mask.sum()
        assert values["actin_mean"] == pytest.approx(inside[:, 1].mean())
        assert values["actin_total"] == pytest.approx(inside[:, 1].sum())
        assert values["DNA_p25"] == pytest.approx(np.percentile(inside[:, 0], 25))
        assert values["DNA_actin_correlation"] == pytest.approx(stats.pearsonr(*inside.T)[0])
        assert values["cell_radius_max"] == pytest.approx(ndimage.distance_transform_edt(np.pad(mask, 1)).max())
        assert sum(values[f"DNA_pattern{code}"] for code in range(10)) == pytest.approx(1)


def test_a_constant_image_has_finite_features() -> None:
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    for value in (0, 1, 65535):
        table = features([np.full((16, 16, 2), value, np.uint16)], [mask], ["a", "b"])
        assert np.isfinite(table.to_numpy()).all()


def test_what_a_turned_cell_keeps(seed: int) -> None:
    """All features but those of no direction change by nothing but rounding when the picture is turned."""
    (image, *_) = blobs(1, seed).images
    mask = segment(image, "cell")
    upright = features([image], [mask], ["a", "b"]).iloc[0]
    turned = features([np.rot90(image)], [np.rot90(mask)], ["a", "b"]).iloc[0]
    same = [name for name in upright.index if "bright" not in name]  # a part as near as another may be taken
    np.testing.assert_allclose(upright[same], turned[same], rtol=1e-5, atol=1e-6)
