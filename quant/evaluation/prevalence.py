# SPDX-License-Identifier: Apache-2.0
"""What a package would give in a sample of another class mix: labelled sets hold more rare cells than samples do.

Cells of a class are taken to look alike in both; only how many there are differs. What share of each class a gate
sorts is measured on the labelled cells, and those shares are weighted as the classes are in the sample. `intervals`
draws every share from its posterior, so that a class of which no cell was sorted by mistake still counts with what so
few cells leave possible.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.evaluation.intervals import DRAWS, Interval, of_draws, share_draws
from icsort.quant.evaluation.metrics import Decisions, sorted_cells


def in_sample(decisions: Decisions, named: Mapping[str, float], posterior: float, seed: int = 0) -> dict[str, Any]:
    """Accuracy, and what gates at a least posterior would sort, in a sample with these prevalences.

    named: class -> its share of the sample, 0..1; the other classes share the rest as they do here. A gate's `sorted`
    is a share of all cells of the sample. Raises IcsortError as `prevalences` does.
    """
    shares = prevalences(decisions, named)
    return {
        "prevalence": dict(zip(decisions.names, shares.tolist(), strict=True)),
        "accuracy": _accuracy(decisions, shares, seed),
        "gates": [_gate(decisions, shares, index, posterior, seed) for index in (None, *range(len(decisions.names)))],
    }


def prevalences(decisions: Decisions, named: Mapping[str, float]) -> NDArray[np.float64]:
    """Share (K,) of each class in the sample, of sum 1.

    Raises IcsortError for a class that is unknown or has no cell here, and for shares that cannot be.
    """
    cells = _cells(decisions).astype(np.float64)
    for name, share in named.items():
        if name not in decisions.names:
            raise IcsortError(f"--prevalence names the class {name}; there are {', '.join(decisions.names)}")
        if not 0 <= share <= 1:
            raise IcsortError(f"--prevalence {name}={share:g}: give a share of the sample, from 0 to 1")
        if share > 0 and not cells[decisions.names.index(name)]:
            raise IcsortError(f"--prevalence {name}: the data has no cell of it, so that nothing is known of it")
    given = np.asarray([named.get(name, np.nan) for name in decisions.names])
    rest, open_ = 1 - np.nansum(given), np.isnan(given)
    if rest < -1e-6 or (rest > 1e-6 and not cells[open_].any()):
        raise IcsortError(f"--prevalence: the shares add up to {1 - rest:g}; they must make 1 with those not named")
    given[open_] = 0.0
    return np.asarray(given + max(rest, 0.0) * cells * open_ / max(1.0, cells[open_].sum()))


def weights(decisions: Decisions, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight (N,) of each cell that triggered, with which the labelled cells stand for the sample."""
    return np.asarray((shares / np.maximum(1, _cells(decisions)))[decisions.labels])


def _accuracy(decisions: Decisions, shares: NDArray[np.float64], seed: int) -> Interval | dict[str, None]:
    """Share of the sample's triggered cells whose decision is right."""
    cells, right = _cells(decisions), _count(decisions, decisions.right)
    triggered = cells - decisions.missed
    of = shares * triggered / np.maximum(1, cells)
    draws = share_draws(np.random.default_rng(seed), right, triggered)
    return _ratio(float(of / np.maximum(1, triggered) @ right), of.sum(), draws @ of, np.full(DRAWS, of.sum()))


def _gate(
    decisions: Decisions, shares: NDArray[np.float64], index: int | None, posterior: float, seed: int
) -> dict[str, Any]:
    chosen, cells = sorted_cells(decisions, index, posterior), _cells(decisions)
    sorted_, right = _count(decisions, chosen), _count(decisions, chosen & decisions.right)
    random = np.random.default_rng(seed)
    taken = share_draws(random, sorted_, cells)
    if index is None:
        wanted, of = taken * share_draws(random, right, sorted_), 1.0
    else:
        wanted, of = taken * (np.arange(len(cells)) == index), shares[index]
    cell_weights = shares / np.maximum(1, cells)
    caught, every = float(cell_weights @ right), float(cell_weights @ sorted_)
    purity = _ratio(caught, every, wanted @ shares, taken @ shares)
    high = purity["high"]
    return {
        "gate": None if index is None else decisions.names[index],
        "posterior": posterior,
        "sorted": every,
        "purity": purity,
        "kept": None if high is None else bool(high >= posterior),
        "yield": _ratio(caught, of, wanted @ shares, np.full(DRAWS, of)),
    }


def _cells(decisions: Decisions) -> NDArray[np.int64]:
    """(K,) cells of each class, with those that never triggered."""
    return _count(decisions, np.ones(len(decisions.best), bool)) + decisions.missed


def _count(decisions: Decisions, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(K,) chosen cells of each class."""
    return np.bincount(decisions.labels[chosen], minlength=len(decisions.names))


def _ratio(
    above: float, below: float, above_draws: NDArray[np.float64], below_draws: NDArray[np.float64]
) -> Interval | dict[str, None]:
    """above / below with the interval of its draws; None where there is nothing below."""
    if below == 0:
        return {"value": None, "low": None, "high": None}
    draws = above_draws / below_draws
    return of_draws(float(above / below), draws, draws)
