# SPDX-License-Identifier: Apache-2.0
"""Generated cells: seeded, in range, and told apart by a classifier that is not ours."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from icsort.quant.synthetic import demo_cells as cells


def test_the_seed_decides() -> None:
    images, labels = cells.generate(5, seed=3)
    again, _ = cells.generate(5, seed=3)
    other, _ = cells.generate(5, seed=4)
    assert images.shape == (5 * len(cells.CLASSES), 40, 40, len(cells.CHANNELS))
    assert images.dtype == np.uint16
    assert (images == again).all()
    assert (images != other).any()
    assert np.bincount(labels).tolist() == [5] * len(cells.CLASSES)


def test_classes_differ_but_overlap() -> None:
    images, labels = cells.generate(60, seed=0)
    features = np.concatenate([images.mean((1, 2)), images.std((1, 2)), images.max((1, 2))], axis=1)
    score = cross_val_score(RandomForestClassifier(random_state=0), features, labels, cv=4).mean()
    assert 0.6 < score < 0.999


def test_brightfield_goes_both_ways_around_its_background() -> None:
    images, _ = cells.generate(20, seed=0)
    brightfield = images[..., 0].astype(float) - cells.BACKGROUND[0]
    assert (brightfield.min((1, 2)) < -4 * cells.NOISE[0]).all()
    assert np.median(brightfield[:, 17:23, 17:23]) > cells.NOISE[0]
