# SPDX-License-Identifier: Apache-2.0
"""A recording on the page, at the pace at which its events came."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from icsort.formats.fcs import FcsFile, Parameter
from icsort.formats.recording import EVENT, OUTCOME, TIME
from icsort.host.page.state import PageState, rates_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK: Final = 20_000
STEP_SECONDS: Final = 0.1
"""Between two looks at the clock."""


def play(file: FcsFile, state: PageState, stopped: Callable[[], bool]) -> None:
    """Give the page the events of a recording as they came, then wait until it is stopped. A reset of the board in it
    takes no time. Raises IcsortError for a file that is cut short."""
    import numpy as np

    names = file.names
    tops = {name: float(file.keywords[f"$P{number}R"]) for number, name in enumerate(names, 1)}
    units = {name: file.keywords.get(f"P{number}UNIT", "") for number, name in enumerate(names, 1)}
    state.begin(tuple(Parameter(name, tops[name], units[name]) for name in names), file.keywords)
    at, outcome, number = (file.column(name) for name in (TIME, OUTCOME, EVENT))
    begun, seconds = time.monotonic(), 0.0  # of the recording, so far
    before: float | None = None
    second: list[NDArray[np.float64]] = []
    told = 0.0
    for first in range(0, file.events, CHUNK):
        rows = file.rows(first, CHUNK)
        apart = np.diff(rows[:, at], prepend=rows[0, at] if before is None else before) / state.clock_hz
        when = seconds + np.cumsum(np.where(apart > 0, apart, 0.0))
        before, seconds = float(rows[-1, at]), float(when[-1])
        done = 0
        while done < len(rows):
            if stopped():
                return
            now = time.monotonic() - begun
            due = int(np.searchsorted(when, now, side="right"))
            if due > done:
                part = rows[done:due]
                state.see_rows(part)
                second.append(part)
                done = due
            state.progress = first + done, file.events
            last = first + done == file.events
            if (now - told >= 1 or (last and now > told)) and second:
                ids = [float(second[0][0, number]), float(second[-1][-1, number])]
                came = max(sum(map(len, second)), int(ids[1] - ids[0]) + 1)
                state.add_point(time.time(), rates_of(np.concatenate(second)[:, outcome], came, now - told))
                told, second = now, []
            if done < len(rows):
                time.sleep(min(STEP_SECONDS, max(0.0, float(when[done]) - now)))
    while not stopped():
        time.sleep(STEP_SECONDS)
