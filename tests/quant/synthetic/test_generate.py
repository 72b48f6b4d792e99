# SPDX-License-Identifier: Apache-2.0
"""The 36 generated classes: what their recipes say can be measured in them; some are easy, some nearly alike."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset, concatenate
from icsort.quant.synthetic.anatomy import Kind, Stain, paint
from icsort.quant.synthetic.fire import CHANNELS, Instrument
from icsort.quant.synthetic.generate import generate
from icsort.quant.synthetic.study_kinds import KINDS

GREEN, ORANGE, RED, FAR_RED = 3, 4, 5, 6


@pytest.fixture(scope="module")
def cells() -> Dataset:
    return concatenate(generate(KINDS, 24, 64, seed=11))


def light(cells: Dataset, name: str) -> np.ndarray:
    """Pixels of a class in the detector's units, (N, H, W, C)."""
    mine = np.flatnonzero(cells.labels == cells.classes.index(name))
    return np.stack([cells.images[i] for i in mine]) / 16384 - 1.0


def area_um2(images: np.ndarray, level: float) -> float:
    """Median area of the largest object above a level; SciPy labels the objects."""
    areas = []
    for image in images:
        objects, _ = ndimage.label(ndimage.median_filter(image, 3) > level)
        areas.append(np.bincount(objects.ravel())[1:].max(initial=0) * 0.25)
    return float(np.median(areas))


def test_what_is_generated(cells: Dataset) -> None:
    assert len(cells.classes) == 36
    assert set(cells.counts().values()) == {24}
    assert {image.shape for image in cells.images} == {(64, 64, 7)}
    assert cells.channels == tuple(detector.name for detector in CHANNELS)
    assert cells.source == "generated"
    assert "no real data" in cells.origin
    assert len(set(cells.labels[:36])) == 36  # the classes take turns, so that shards are mixed


def test_the_seed_decides() -> None:
    few = dict(list(KINDS.items())[::7])
    first, again, other = (concatenate(generate(few, 5, 64, seed=seed)) for seed in (1, 1, 2))
    assert first.sha256() == again.sha256() != other.sha256()
    more = concatenate(generate(few, 18, 64, seed=1))
    assert all((a == b).all() for a, b in zip(first.images, more.images, strict=False))


def test_a_class_that_is_a_mixture_draws_any_number(seed: int) -> None:
    mixed = {"ill defined": KINDS["CD4 T ill defined"], "B cell": KINDS["B cell"]}
    for count in (1, 2, 5):
        assert len(concatenate(generate(mixed, count, 32, Instrument(columns=32), seed)).images) == 2 * count


@pytest.mark.parametrize("name", ["Jurkat", "HeLa", "U2OS", "B cell"])
def test_the_size_of_a_cell(name: str) -> None:
    quiet = paint(KINDS[name], 40, 64, Instrument(), np.random.default_rng(0))
    forward = quiet[:, 1] / quiet[:, 1].max(axis=(1, 2), keepdims=True)
    expected = np.pi * KINDS[name].radius_um ** 2
    assert area_um2(forward, 0.4) == pytest.approx(expected, rel=0.25)


def test_the_size_of_a_nucleus() -> None:
    kind = Kind(radius_um=8.0, nucleus=0.5, stains=(Stain("nucleus", "green", 0.3),))
    quiet = paint(kind, 40, 64, Instrument(), np.random.default_rng(0))[:, GREEN]
    half = quiet / quiet.max(axis=(1, 2), keepdims=True)
    assert area_um2(half, 0.45) == pytest.approx(np.pi * 4.0**2, rel=0.2)


def test_lobes_are_apart() -> None:
    def solidity(lobes: int) -> float:
        """Area of the nucleus over that of its convex hull."""
        kind = Kind(radius_um=10.0, nucleus=0.7, lobes=lobes, stains=(Stain("nucleus", "green"),))
        image = paint(kind, 20, 64, Instrument(), np.random.default_rng(0))[:, GREEN]
        filled = image > 0.35 * image.max(axis=(1, 2), keepdims=True)
        return float(np.mean([each.sum() / ConvexHull(np.argwhere(each)).volume for each in filled]))

    assert solidity(1) > 1.05 * solidity(3)


def test_light_loss_goes_both_ways_around_its_background(cells: Dataset) -> None:
    images = light(cells, "HeLa")[..., 0]
    edge = images[:, [0, -1]]
    assert edge.mean() == pytest.approx(0.69, abs=0.005)
    assert (images.min(axis=(1, 2)) < 0.69 - 6 * edge.std()).all()
    assert np.median(images[:, 30:34, 30:34]) > 0.69 + edge.std()


def test_a_label_lies_in_its_compartment(cells: Dataset) -> None:
    def spread(name: str) -> float:
        """Mean distance of green light from the cell's middle, in um."""
        total = light(cells, name)[..., GREEN].sum(axis=0).clip(0)
        y, x = np.mgrid[:64, :64] - 31.5
        return float((np.hypot(y, x) * total).sum() / total.sum() * 0.5)

    assert spread("HeLa nucleoli") < spread("HeLa mitochondria") < spread("HeLa membrane")
    assert spread("HeLa nucleus") < spread("HeLa reticulum")
    assert spread("HeLa untreated") < spread("HeLa treated")


def test_dyes_shine_in_their_bandpass(cells: Dataset) -> None:
    def brightest(name: str) -> int:
        return int(light(cells, name)[..., 3:].sum(axis=(0, 1, 2)).argmax()) + 3

    assert brightest("HeLa nucleus") == GREEN
    assert brightest("HeLa orange far red") in (ORANGE, FAR_RED)
    far = light(cells, "HeLa orange far red").sum(axis=(0, 1, 2))
    assert far[FAR_RED] > 4 * far[GREEN]
    assert far[ORANGE] > 4 * far[GREEN]


def test_granules_scatter_sideways(cells: Dataset) -> None:
    def scattered(name: str) -> float:
        return float(light(cells, name)[..., 2].std())

    assert scattered("Neutrophil") > 2 * scattered("CD4 T naive")
    assert scattered("HepG2") > scattered("MCF-7")


def test_some_classes_are_easy_and_some_nearly_alike(cells: Dataset) -> None:
    pixels = np.stack(cells.images) / 16384 - 1.0
    features = np.concatenate(
        [pixels.mean((1, 2)), pixels.std((1, 2)), *np.percentile(pixels, [1, 75, 90, 97, 99.5], axis=(1, 2))], axis=1
    )
    found = cross_val_predict(ExtraTreesClassifier(200, random_state=0), features, cells.labels, cv=4)
    recall = {name: float((found == i)[cells.labels == i].mean()) for i, name in enumerate(cells.classes)}
    assert all(recall[name] > 0.8 for name in ("HeLa four colours", "HeLa orange far red", "HeLa untreated"))
    assert all(recall[name] < 0.7 for name in ("CD4 T ill defined", "HeLa green orange, day 2", "CD4 T naive"))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(IcsortError, match="too small"):
        next(generate(KINDS, 1, 24, Instrument(columns=24)))
    with pytest.raises(IcsortError, match="compartments are"):
        Stain("tail", "green")
    with pytest.raises(IcsortError, match="dyes"):
        Stain("nucleus", "pink")
