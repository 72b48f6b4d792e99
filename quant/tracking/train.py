# SPDX-License-Identifier: Apache-2.0
"""A cost learned from a movie whose lineage is known, and from simulated ones, as few movies show enough divisions."""

from collections.abc import Callable, Sequence
from functools import cache
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
Examples = tuple[NDArray[np.float64], NDArray[np.int64]]


def train(
    movies: Sequence[Known], seed: int = 0, simulated: int = MOVIES, progress: Progress = lambda *_: None
) -> Learned:
    """A cost of movies, each cells (N) and parents (N,), and of simulated ones. progress: step, done, total."""
    progress("measure movies", 0, 0)
    features, classes = zip(*chain(_simulated(seed, simulated), *map(_seen, movies)), strict=True)
    progress("fit", 0, 0)
    return fit(np.concatenate(features), np.concatenate(classes), seed)


def _seen(movie: Known) -> list[Examples]:
    """Pairs of a movie, as it is and as if it had been taken more slowly, from each of its first frames."""
    return [examples(*thinned(*movie, step, begin)) for step in STEPS for begin in range(step)]


@cache
def _simulated(seed: int, count: int) -> list[Examples]:
    pairs = []
    for movie in range(count):
        made = simulate(1000 * (seed + 1) + movie, FRAMES)
        cells = measure(made.images, made.masks)
        lineage = parents(cells, made.tracks, "simulated movie")
        pairs += [examples(*thinned(cells, lineage, step)) for step in STEPS]
    return pairs


if __name__ == "__main__":  # writes the cost that comes along
    from icsort.quant.tracking.cost import BUILT_IN, save

    save(train([]), BUILT_IN)
