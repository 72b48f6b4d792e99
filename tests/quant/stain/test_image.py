# SPDX-License-Identifier: Apache-2.0
"""The image of a stain: boxes, the linear filter and the figures against other people's arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.measure import regionprops
from sklearn.linear_model import Ridge

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.stain import image as module
from icsort.quant.stain.image import Drawn, UNet, boxes, check_size, figures
from tests.quant.stain.conftest import INPUTS, STAIN


@pytest.mark.parametrize("shape", [(40, 40), (13, 22)])
def test_the_network_gives_a_plane_of_its_input_s_size(shape: tuple[int, int]) -> None:
    assert UNet(2)(torch.zeros(2, 2, *shape)).shape == (2, 1, *shape)


def test_boxes(seed: int) -> None:
    random = np.random.default_rng(seed)
    stain = random.normal(0, 0.5, (6, 30, 24)).astype(np.float32)
    for plane in stain:
        top, left = random.integers(2, 12, 2)
        plane[top : top + random.integers(5, 15), left : left + random.integers(4, 10)] += 100
    for plane, inside in zip(stain, boxes(stain), strict=True):
        (region,) = regionprops((plane >= 10).astype(int))
        expected = np.zeros(plane.shape, np.bool_)
        expected[region.slice] = True
        assert (inside == expected).all()


def test_the_filter_is_ridge_regression_on_patches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted to all pixels, away from the edges, it is scikit-learn's; and it finds a filter that made the stain."""
    random = np.random.default_rng(seed)
    inputs = random.normal(0, 1, (4, 2, 20, 21)).astype(np.float32)
    true = random.normal(0, 1, (2, module.PATCH, module.PATCH))
    stain = np.stack(
        [
            sum(correlate(plane, weights, mode="nearest") for plane, weights in zip(cell, true, strict=True))
            for cell in inputs
        ]
    ).astype(np.float32)
    monkeypatch.setattr(module, "RIDGE", 1e-6)
    kernel = module.fit_linear(inputs, stain, seed)
    assert kernel == pytest.approx(true, abs=1e-2)
    assert module.filtered(kernel, inputs) == pytest.approx(stain, abs=0.1)
    reach = module.PATCH // 2
    monkeypatch.setattr(module, "RIDGE", 50.0)
    seen = np.stack(
        [
            np.pad(cell, ((0, 0), (reach, reach), (reach, reach)), mode="edge")[
                :, row : row + module.PATCH, column : column + module.PATCH
            ].ravel()
            for cell in inputs
            for row in range(20)
            for column in range(21)
        ]
    )
    expected = Ridge(alpha=50.0, fit_intercept=False).fit(seen, stain.ravel()).coef_
    assert module.fit_linear(inputs, stain, seed).ravel() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_turns_keep_inputs_and_stain_together(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 2, 8, 8, generator=draw)
    seen = set()
    for _ in range(40):
        turned, stain = module._turned(x, x[:, 1], draw)
        assert torch.equal(turned[:, 1], stain)
        seen.add(stain[0, 0, 0].item())
    assert len(seen) == 4  # each corner comes first


def drawn(seed: int) -> Drawn:
    random = np.random.default_rng(seed)
    measured = np.zeros((25, 20, 20), np.float32)
    measured[:, 5:15, 6:16] = random.uniform(50, 100, (25, 10, 10)) * random.uniform(0.5, 2, (25, 1, 1))
    noisy = (measured + random.normal(0, 10, measured.shape)).astype(np.float32)
    empty = np.zeros((20, 20), np.float32)
    empty[3, 4] = -30
    return Drawn(np.arange(25), measured[:, None], measured, noisy, np.zeros_like(measured), empty)


def test_figures(seed: int) -> None:
    made = drawn(seed)
    found = figures(made)
    inside = np.s_[:, 5:15, 6:16]
    pixels = made.measured[inside].ravel(), made.unet[inside].ravel()
    assert found["unet"]["pixels"]["r"] == pytest.approx(np.corrcoef(*pixels)[0, 1])
    assert found["unet"]["pixels"]["pixels"] == 2500
    own = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(made.measured[inside], made.unet[inside], strict=True)
    ]
    assert found["unet"]["cells"] == pytest.approx(np.mean(own))
    sums = made.measured.sum((1, 2)), made.unet.sum((1, 2))
    assert found["unet"]["total"]["r"] == pytest.approx(np.corrcoef(*sums)[0, 1])
    assert found["linear"]["pixels"]["r"] is None  # it draws nothing
    assert found["linear"]["ssim"] < found["unet"]["ssim"] < 1
    assert figures(replace(made, unet=made.measured))["unet"]["ssim"] == pytest.approx(1)
    peak = np.median(made.measured.max((1, 2)))
    assert found["invented"]["empty_image"] == pytest.approx(30 / peak)
    assert found["invented"]["measured_outside"] == 0
    assert 0 < found["invented"]["outside_the_cell"] < 0.5


def test_images_of_several_sizes_are_refused(cells: Dataset) -> None:
    short = replace(cells, images=(cells.images[0][:-1], *cells.images[1:]))
    with pytest.raises(IcsortError, match=r"images of 39 to 40 lines.*--no-image"):
        check_size(short)
    check_size(cells)


def test_planes_are_above_their_background(cells: Dataset) -> None:
    planes = module.stacked(cells, [*INPUTS, STAIN])
    assert planes.shape == (150, 3, 40, 40)
    edges = np.concatenate(
        [planes[..., 0, :], planes[..., -1, :], planes[..., 1:-1, 0], planes[..., 1:-1, -1]], axis=-1
    )
    assert np.median(edges, axis=-1) == pytest.approx(0)
