# SPDX-License-Identifier: Apache-2.0
"""The drop delay at which most is collected, with its interval: a peak fitted to counts. NumPy alone.

The model is a Gaussian peak over a constant background; counts scatter as Poisson's, or more where the data says so.
The 95 % interval is that of the fit's centre by Student's t; `tests/host/test_delay_fit.py` holds its coverage to
simulated counts.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from icsort.errors import IcsortError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_COUNTED: Final = 10**9
LEAST_DELAYS: Final = 5
"""Different ones: the model has four parameters."""
_T_95: Final = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
"""Student's t, 97.5 %, of 1, 2, .. degrees of freedom."""
_FLAT: Final = 16.27
"""97.5 % and more of chi-squared with three degrees of freedom: 99.9 %, by which a peak must explain the counts better
than their mean."""
_SCATTER: Final = 6.0
"""Pearson's chi-squared over its degrees of freedom, from which on the counts are no single peak."""
_STEPS: Final = 200


@dataclass(frozen=True)
class DelayFit:
    """delay: of the peak, low and high of its 95 % interval. width: standard deviation of the peak. height, background:
    counts. scatter: how much more the counts scatter than Poisson's, 1 or more, as a ratio of variances."""

    delay: float
    low: float
    high: float
    width: float
    height: float
    background: float
    scatter: float


def read_counts(path: Path) -> tuple[list[float], list[int]]:
    """Delays and counts of a CSV file with the columns delay and count. Raises IcsortError, with the line that is
    wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no CSV file"
        raise IcsortError(f"{path}: cannot be read ({reason}); give a CSV file with the columns delay, count") from None
    head = [word.strip().lower() for word in rows[0]] if rows else []
    if not {"delay", "count"} <= set(head):
        raise IcsortError(
            f"{path}: its first line must name the columns delay and count, not {', '.join(head) or 'nothing'}"
        )
    delays, counts = [], []
    for number, row in enumerate(rows[1:], 2):
        if not any(word.strip() for word in row):
            continue
        try:
            delays.append(_delay(row[head.index("delay")]))
            counts.append(count_of(row[head.index("count")]))
        except (IndexError, ValueError) as error:
            said = str(error) if isinstance(error, ValueError) else "a column is missing"
            raise IcsortError(f"{path}: line {number}: {said}") from None
    return delays, counts


def count_of(word: str) -> int:
    """A count as somebody types it. Raises ValueError, which says what is wrong."""
    try:
        count = int(word.strip())
    except ValueError:
        raise ValueError(f"{word.strip()!r} is no count; give a whole number") from None
    if count < 0:
        raise ValueError(f"{count} is no count; give 0 or more")
    if count > MOST_COUNTED:
        raise ValueError(f"a count of {len(str(count))} digits is none; give at most {MOST_COUNTED:,}")
    return count


def _delay(word: str) -> float:
    try:
        delay = float(word.strip())
    except ValueError:
        delay = math.nan
    if not math.isfinite(delay) or delay < 0:
        raise ValueError(f"{word.strip()!r} is no delay; give a number, 0 or more")
    return delay


def fit_delay(delays: Sequence[float], counts: Sequence[int], unit: str) -> DelayFit:
    """Raises IcsortError, which says what to do, for counts that tell no optimum. unit: of the delays, for messages."""
    import numpy as np

    x, y = np.array(delays, float), np.array(counts, float)
    places = np.unique(x)
    if len(places) < LEAST_DELAYS:
        raise IcsortError(
            f"{len(places)} different delays tell no optimum; step over {LEAST_DELAYS} at least, better 10 to 20"
        )
    low, high, step = float(places[0]), float(places[-1]), float(np.diff(places).max())
    span = high - low
    means = np.array([y[x == place].mean() for place in places])
    if not means.any():
        raise IcsortError(
            f"nothing was collected at any delay from {low:g} to {high:g} {unit}; step over another range, or look "
            "after pulses and cells"
        )
    flat = IcsortError(
        f"the counts do not depend on the delay from {low:g} to {high:g} {unit} (they are flat); sort more at each "
        "delay, or step over another range"
    )
    if _even(x, y):
        raise flat
    best = int(np.argmax(means))
    if best in (0, len(places) - 1):
        begin, end = (max(0.0, low - span), low + 2 * step) if best == 0 else (high - 2 * step, high + span)
        raise IcsortError(
            f"most were counted at the edge, {places[best]:g} {unit}, so the optimum may be beyond; step from "
            f"{begin:g} to {end:g} {unit}"
        )
    theta = min((_fitted(x, y, start) for start in _starts(places, means)), key=lambda found: _deviance(x, y, found))
    gained = 2 * float((_log_likelihood(y, _peak(x, theta)) - _log_likelihood(y, np.full_like(y, y.mean()))).sum())
    mu = _peak(x, theta)
    scatter = max(1.0, float(((y - mu) ** 2 / mu).sum()) / max(1, len(y) - 4))
    centre, width = float(theta[0]), math.exp(theta[1])
    if gained < _FLAT * min(scatter, _SCATTER):
        raise flat
    height, background = math.exp(theta[2]), math.exp(theta[3])
    held = int((means > background + (means.max() - background) / 10).sum())
    if held < 3 or width < step / 3:
        raise IcsortError(
            f"only {held} delay{'s' * (held != 1)} about {places[best]:g} {unit} collect anything, so the peak's place "
            f"between them is not known; step finer, from {places[best - 1]:g} to {places[best + 1]:g} {unit}"
        )
    if scatter > _SCATTER:
        worst = float(x[int(np.argmax((y - mu) ** 2 / mu))])
        raise IcsortError(
            f"the counts are no single peak; count again, first of all at {worst:g} {unit}, or sort more at each delay"
        )
    if not low + step / 2 < centre < high - step / 2:
        raise IcsortError(f"the peak is at the edge, {centre:g} {unit}; step over a range that has it in its middle")
    jacobian = _jacobian(x, theta)
    variance = np.linalg.pinv(jacobian.T @ (jacobian / mu[:, None]))[0, 0] * scatter
    freedom = len(y) - 4
    half = (_T_95[freedom - 1] if freedom <= len(_T_95) else 1.96 + 2.6 / freedom) * math.sqrt(variance)
    return DelayFit(centre, centre - half, centre + half, width, height, background, scatter)


def _even(x: "NDArray[np.float64]", y: "NDArray[np.float64]") -> bool:
    """Whether the counts scatter no more between delays than Poisson's do, at 99.9 %."""
    import numpy as np

    places, index = np.unique(x, return_inverse=True)
    number = np.bincount(index)
    means, mean = np.bincount(index, y) / number, y.mean()
    excess = 2 * float((number * (means * np.log(np.maximum(means, 1e-300) / mean) - (means - mean))).sum())
    freedom = len(places) - 1
    # Chi-squared's quantile by Wilson and Hilferty.
    return excess < freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3


def _starts(places: "NDArray[np.float64]", means: "NDArray[np.float64]") -> "list[NDArray[np.float64]]":
    """Where the search may begin: peaks of several widths at the highest count."""
    import numpy as np

    floor = max(0.1, float(np.percentile(means, 20)))
    height = max(1.0, float(means.max()) - floor)
    step, span = float(np.diff(places).min()), float(places[-1] - places[0])
    centre = float(places[int(np.argmax(means))])
    widths = np.geomspace(step, span / 3, 3)
    return [np.array([centre, math.log(width), math.log(height), math.log(floor)]) for width in widths]


def _peak(x: "NDArray[np.float64]", theta: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Counts expected, (N,). theta: centre, logarithms of width, height and background."""
    import numpy as np

    return np.asarray(np.exp(theta[2] - ((x - theta[0]) / np.exp(theta[1])) ** 2 / 2) + np.exp(theta[3]))


def _jacobian(x: "NDArray[np.float64]", theta: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """(N, 4)."""
    import numpy as np

    u = (x - theta[0]) / np.exp(theta[1])
    bell = np.exp(theta[2] - u**2 / 2)
    return np.stack([bell * u / np.exp(theta[1]), bell * u**2, bell, np.full_like(x, np.exp(theta[3]))], axis=1)


def _log_likelihood(y: "NDArray[np.float64]", mu: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Of Poisson's counts, (N,), but for what does not depend on mu."""
    import numpy as np

    return np.asarray(y * np.log(mu) - mu)


def _deviance(x: "NDArray[np.float64]", y: "NDArray[np.float64]", theta: "NDArray[np.float64]") -> float:
    return -float(_log_likelihood(y, _peak(x, theta)).sum())


def _fitted(x: "NDArray[np.float64]", y: "NDArray[np.float64]", start: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The most likely parameters, by Fisher's scoring with damping."""
    import numpy as np

    theta, damping = start, 1e-2
    lowest = np.array([-np.inf, math.log(np.ptp(x)) - 9, -2.0, math.log(0.02)])
    highest = np.array([np.inf, math.log(np.ptp(x)) + 2, 25.0, 25.0])
    now = _deviance(x, y, theta)
    for _ in range(_STEPS):
        mu, jacobian = _peak(x, theta), _jacobian(x, theta)
        weighted = jacobian / mu[:, None]
        information, slope = jacobian.T @ weighted, weighted.T @ (y - mu)
        scale = np.diag(np.maximum(np.diag(information), 1e-9))
        moved = np.clip(theta + np.linalg.solve(information + damping * scale, slope), lowest, highest)
        then = _deviance(x, y, moved)
        if then <= now:
            done = now - then < 1e-9 * (1 + abs(now))
            theta, now, damping = moved, then, max(damping / 5, 1e-9)
            if done:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    return theta
