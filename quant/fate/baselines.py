# SPDX-License-Identifier: Apache-2.0
"""What simpler means see of a division that is to come: measures of one frame, and age alone."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from icsort.quant.fate.lives import Lives, Outcomes
from icsort.quant.tracking.cells import Cells

AGE = "age alone"
AREA = "logistic regression on area, intensity, age"
SHAPE = "the same, with texture and shape"


def values_of(cells: Cells, known: Lives) -> dict[str, NDArray[np.float64]]:
    """What each baseline sees of the N cells, (N, F)."""
    area, contrast, texture = np.log(cells.measures[:, :3]).T
    age = known.age.astype(np.float64)
    few = np.column_stack([area, contrast, age])
    return {AREA: few, SHAPE: np.column_stack([few, texture, cells.measures[:, 3]])}


def logistic(values: NDArray[np.float64], taught: Outcomes, tested: Outcomes, ahead: int) -> NDArray[np.float64]:
    """Probability (n, ahead) of a division of the tested cells within 1, 2, ... frames, a regression for each.

    values: (N, F). Of the taught cells those whose outcome is known count. Where all of these end alike, 0 or 1.
    """
    found = np.zeros((len(tested.cells), ahead))
    for frames in range(1, ahead + 1):
        known = taught.known(frames)
        divides = taught.within(frames)[known]
        if divides.all() or not divides.any():
            found[:, frames - 1] = float(divides.any())
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(values[taught.cells[known]], divides)
        found[:, frames - 1] = model.predict_proba(values[tested.cells])[:, 1]
    return found
