# SPDX-License-Identifier: Apache-2.0
"""What would fit where a network does not: a rate, or a share of the board, each tried.

Both are looked for on fixed scales, whatever was asked for, so that every refusal of a network on a board names the
same: rates of three digits, shares of whole hundredths.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, log10
from typing import TYPE_CHECKING, TypeVar

from icsort.formats.fill import Fill

if TYPE_CHECKING:
    from icsort.hw.folding.optimizer import Target

DIGITS = 3  # of a rate
STEPS = 100  # of a share

Value = TypeVar("Value")


def rate_that_fits(
    target: "Target", slowest: int, fits: Callable[["Target"], bool], below: float = float("inf")
) -> float | None:
    """The highest rate, cells a second, below `below`, at which a network fits; None where it fits at none.

    slowest: cycles a cell of its slowest folding. fits: whether the network fits a target.
    """
    clock = target.clock_mhz * 1e6
    least, most = clock / slowest, clock / target.pixels
    decades = range(int(log10(least)) - DIGITS, int(log10(most)) + 1)
    scale = 10 ** (DIGITS - 1)
    rates = [
        digits * 10.0 ** (decade - DIGITS + 1)
        for decade in reversed(decades)
        for digits in range(10 * scale - 1, scale - 1, -1)
    ]
    able = [rate for rate in rates if rate < below and target.can(rate)]
    return _first(able, lambda rate: fits(target.at(rate)))


def fill_that_fits(target: "Target", key: str, needed: float, fits: Callable[["Target"], bool]) -> Fill | None:
    """The least share of the board with which a network fits at the target's rate; None where the whole is too little.

    Where resources have shares of their own, only that of `key` is raised, to `needed`.
    """
    if isinstance(target.fill, Mapping):
        shares: list[Fill] = []
        if 0 < needed <= target.budget.get(key, 0):
            shares = [{**target.fill, key: ceil(STEPS * needed / target.budget[key]) / STEPS}]
    else:
        shares = [step / STEPS for step in range(1, STEPS + 1)]
    return _first(shares, lambda share: fits(target.with_fill(share)))


def _first(values: Sequence[Value], fits: Callable[[Value], bool]) -> Value | None:
    """The first that fits, by bisection; the last one is the easiest. What is returned has been tried."""
    if not values or not fits(values[-1]):
        return None
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(values[middle]) else (middle + 1, high)
    return values[high]
