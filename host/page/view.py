# SPDX-License-Identifier: Apache-2.0
"""Events binned on the axes that a page shows, and scales that show all of a value.

Bins are even in the coordinates of the scale, in which gates are drawn.
"""

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from icsort.errors import IcsortError
from icsort.formats.recording import GATES, TIMING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from icsort.formats.gate_set import AnyScale
    from icsort.formats.page_request import PlotAxis
    from icsort.host.page.kept import Last

SERIAL: Final = TIMING[0].name
"""Of the gate set that an event was decided by."""
BINS: Final = 128
"""Of each axis."""
LEVELS: Final = 255
MOST_TICKS: Final = 7
LEAST_APART: Final = 0.09
"""Of the axis, between two ticks that have a number."""
TAIL: Final = 0.002
"""Of the events, at either end, that a scale need not show."""


def edges(axis: "PlotAxis", bins: int = BINS) -> "NDArray[Any]":
    """Edges of the bins as values, (bins + 1,), ascending."""
    import numpy as np

    return np.asarray(axis.scale.from_axis(np.linspace(axis.low, axis.high, bins + 1)), np.float64)


def places(values: "NDArray[Any]", axis: "PlotAxis", bins: int = BINS) -> "NDArray[Any]":
    """Bin of each value, (E,); -1 of those that are on neither. As NumPy has it, the last bin has both its edges."""
    import numpy as np

    limits = edges(axis, bins)
    found = np.searchsorted(limits, values, side="right") - 1
    found[values == limits[-1]] = bins - 1
    found[found >= bins] = -1
    return found


def density(x: "NDArray[Any]", y: "NDArray[Any]", x_axis: "PlotAxis", y_axis: "PlotAxis") -> "NDArray[Any]":
    """Events in each bin, (BINS, BINS): rows are y from below, columns x."""
    import numpy as np

    columns, rows = places(x, x_axis), places(y, y_axis)
    inside = (columns >= 0) & (rows >= 0)
    return np.bincount(rows[inside] * BINS + columns[inside], minlength=BINS * BINS).reshape(BINS, BINS)


def histogram(values: "NDArray[Any]", axis: "PlotAxis") -> "NDArray[Any]":
    """Events in each bin, (BINS,)."""
    import numpy as np

    found = places(values, axis)
    return np.bincount(found[found >= 0], minlength=BINS)


@dataclass(frozen=True)
class Chosen:
    """Which events are shown: those that a gate passed, as the board said, under the gate set of that serial number.
    None: whatever the gate, or the set."""

    gate: int | None = None
    serial: int | None = None

    def of(self, events: "Last") -> "NDArray[Any] | slice":
        """What picks them, (E,)."""
        import numpy as np

        if self.gate is None:
            return slice(None)
        passed: NDArray[Any] = events.column(GATES).astype(np.int64) >> self.gate & 1 == 1
        if self.serial is not None and events.has(SERIAL):
            passed &= events.column(SERIAL) == self.serial
        return passed


def plot_json(events: "Last", x: "PlotAxis", y: "PlotAxis", chosen: Chosen) -> dict[str, Any]:
    """A density plot as a page draws it. levels: a byte a bin in base64, 0 where there is no event, else the logarithm
    of their number, LEVELS at the fullest. Raises IcsortError for a value that the events lack."""
    import numpy as np

    some = chosen.of(events)
    counts = density(column(events, x.value)[some], column(events, y.value)[some], x, y)
    most = int(counts.max())
    levels = np.ceil(np.log1p(counts) * (LEVELS / math.log1p(max(1, most)))).astype(np.uint8)
    return {
        "x": axis_json(x),
        "y": axis_json(y),
        "bins": BINS,
        "levels": base64.b64encode(levels.tobytes()).decode(),
        "most": most,
        "events": int(counts.sum()),
    }


def histogram_json(events: "Last", axis: "PlotAxis", chosen: Chosen) -> dict[str, Any]:
    """A histogram as a page draws it. Raises IcsortError for a value that the events lack."""
    counts = histogram(column(events, axis.value)[chosen.of(events)], axis)
    return {"axis": axis_json(axis), "counts": counts.tolist(), "events": int(counts.sum())}


def column(events: "Last", name: str) -> "NDArray[Any]":
    """A value of the events, (E,). Raises IcsortError where they have none of this name."""
    try:
        return events.column(name)
    except KeyError:
        raise IcsortError(f"the events have no {name!r} now; choose another value") from None


def axis_json(axis: "PlotAxis") -> dict[str, Any]:
    """With ticks: places on the axis, and the numbers that stand there, empty for those between."""
    return axis.model_dump(mode="json") | {"ticks": ticks(axis)}


def ticks(axis: "PlotAxis") -> list[tuple[float, str]]:
    """Round numbers on an axis: place and text. Decades where the scale has them."""
    import numpy as np

    limits = edges(axis, 1)
    low, high = float(limits[0]), float(limits[-1])
    if axis.scale.kind == "linear":
        step = _nice((high - low) / MOST_TICKS)
        numbers = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    else:
        top = math.floor(math.log10(max(abs(low), abs(high))))
        decades = [10.0**power for power in range(top - 8, top + 1)]
        between = [digit * decade for decade in decades for digit in range(2, 10)]
        numbers = sorted(decades, reverse=True) + [0.0] + [-decade for decade in reversed(decades)]
        numbers += between + [-number for number in between]
    numbers = [number for number in numbers if low <= number <= high and (number > 0 or axis.scale.kind != "log")]
    at = (axis.scale.to_axis(np.asarray(numbers, np.float64)) - axis.low) / (axis.high - axis.low)
    taken: list[float] = []
    found = []
    for number, place in zip(numbers, at.tolist(), strict=True):
        round_one = axis.scale.kind == "linear" or number == 0 or math.log10(abs(number)).is_integer()
        named = round_one and all(abs(place - other) > LEAST_APART for other in taken)
        if named:
            taken.append(place)
        found.append((place, _short(number) if named else ""))
    return found


def _short(number: float) -> str:
    """1e9 in place of 1e+09."""
    digits, _, power = f"{number:.6g}".partition("e")
    return f"{digits}e{int(power)}" if power else digits


def fitted(kind: str, values: "NDArray[Any]") -> tuple["AnyScale", float, float]:
    """A scale of this kind that shows all but the tails of these values, and which part of it they take."""
    import numpy as np

    from icsort.formats.gate_set import Arcsinh, Linear, Log, Logicle

    low, high = (0.0, 1.0) if not len(values) else np.quantile(values, (TAIL, 1 - TAIL)).tolist()
    top = _up(max(high, abs(low) / 1e3, 1e-6))
    scale: AnyScale
    match kind:
        case "log":
            positive = values[values > 0]
            least = float(np.quantile(positive, TAIL)) if len(positive) else top / 1e3
            scale = Log(kind="log", t=top, m=float(min(6, max(1, math.ceil(math.log10(top / least))))))
        case "arcsinh":
            below = math.asinh(-min(low, 0.0) * math.sinh(4 * math.log(10)) / top) / math.log(10)
            scale = Arcsinh(kind="arcsinh", t=top, m=4.0, a=math.ceil(10 * below) / 10)
        case "logicle":
            width = 0.5 if low >= 0 else min(2.0, max(0.5, (4.5 - math.log10(top / -low)) / 2))
            scale = Logicle(kind="logicle", t=top, m=4.5, w=width)
        case _:
            scale = Linear(kind="linear", t=top, a=_up(-low) if low < 0 else 0.0)
            if low > top / 2:  # far from 0, as a time: the part where the values are
                first, last = scale.to_axis(np.asarray([low, max(high, low * (1 + 1e-9))])).tolist()
                return scale, first, last
    return scale, 0.0, 1.0


def _up(number: float) -> float:
    """The next number above that has one or two digits."""
    size = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.ceil(number / size / 5 - 1e-9) * 5 * size:.3g}")


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below."""
    size = 10.0 ** math.floor(math.log10(step))
    return next(digit * size for digit in (1.0, 2.0, 5.0, 10.0) if digit * size >= step * (1 - 1e-9))
