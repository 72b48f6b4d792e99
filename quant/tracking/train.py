# SPDX-License-Identifier: Apache-2.0
"""A cost learned from a movie whose lineage is known, and from simulated ones, as few movies show enough divisions."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from icsort.quant.tracking.cells import Cells, measure
from icsort.quant.tracking.cost import Learned, examples, fit
from icsort.quant.tracking.lineage import parents, thinned
from icsort.quant.tracking.simulated import simulate

MOVIES, FRAMES = 60, 16  # simulated
STEPS = (1, 2, 4)  # frames from one to the next: a movie is also seen as if it had been taken more slowly

Progress = Callable[[str, int, int], None]
Known = tuple[Cells, NDArray[np.int64]]


def train(
    movies: Sequence[Known], seed: int = 0, simulated: int = MOVIES, progress: Progress = lambda *_: None
) -> Learned:
    """A cost of movies, each cells (N) and parents (N,), and of simulated ones. progress: step, done, total."""
    features, classes = [], []
    for index, movie in enumerate(chain(movies, _simulated(seed, simulated))):
        progress("measure movies", index + 1, len(movies) + simulated)
        for step in STEPS:
            for begin in range(step if index < len(movies) else 1):
                seen, kinds = examples(*thinned(*movie, step, begin))
                features.append(seen)
                classes.append(kinds)
    progress("fit", 0, 0)
    return fit(np.concatenate(features), np.concatenate(classes), seed)


def _simulated(seed: int, count: int) -> Iterator[Known]:
    for movie in range(count):
        made = simulate(1000 * (seed + 1) + movie, FRAMES)
        cells = measure(made.images, made.masks)
        yield cells, parents(cells, made.tracks, "simulated movie")


if __name__ == "__main__":  # writes the cost that comes along
    from icsort.quant.tracking.cost import BUILT_IN, save

    save(train([]), BUILT_IN)
