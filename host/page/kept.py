# SPDX-License-Identifier: Apache-2.0
"""The last events, as a recording has them: what the page's plots, counts and previews are of."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from icsort.formats.fcs import Parameter, parameter_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 100_000
"""Events that are kept."""


class Last:
    """Some of the events kept, which do not change any more: a `icsort.formats.recording.Source`.

    columns: (P, E), in the order of `names`.
    """

    path = Path("the last events")

    def __init__(self, names: list[str], keywords: dict[str, str], columns: "NDArray[Any]") -> None:
        self.names = names
        self.keywords = keywords
        self.events = columns.shape[1]
        self._columns = columns

    def integer(self, name: str, least: int = 0) -> int:
        """A keyword that is a number."""
        return max(least, int(self.keywords[name]))

    def rows(self, first: int, count: int) -> "NDArray[Any]":
        """At most so many events from that one on, (E, P)."""
        return self._columns[:, first : first + count].T

    def has(self, name: str) -> bool:
        """Whether there is a parameter of this name."""
        return parameter_name(name) in self.names

    def column(self, name: str) -> "NDArray[Any]":
        """A parameter, (E,). Raises KeyError where there is none of this name."""
        try:
            found: NDArray[Any] = self._columns[self.names.index(parameter_name(name))]
        except ValueError:
            raise KeyError(name) from None
        return found


class Kept:
    """Takes events and keeps the last MOST. One thread adds, any may look.

    parameters: columns of the events. keywords: as a recording's. added: events so far.
    """

    def __init__(self, parameters: tuple[Parameter, ...], keywords: dict[str, str], most: int = MOST) -> None:
        import numpy as np

        self.parameters = parameters
        self.keywords = keywords
        self.added = 0
        self._names = [parameter_name(parameter.name) for parameter in parameters]
        self._most = most
        # Columns, and how many events are in them: replaced together, and what was given out is never written again.
        self._state = np.empty((len(parameters), 2 * most)), 0

    def add(self, rows: "NDArray[Any]") -> None:
        """Events, (E, P), in their order."""
        import numpy as np

        self.added += len(rows)
        rows = rows[-self._most :]
        columns, end = self._state
        if end + len(rows) > columns.shape[1]:
            before, stay = columns[:, :end], min(self._most - len(rows), end)
            columns, end = np.empty_like(columns), stay
            columns[:, :stay] = before[:, before.shape[1] - stay :]
        columns[:, end : end + len(rows)] = rows.T
        self._state = columns, end + len(rows)

    def last(self, count: int | None = None) -> Last:
        """The last events, at most so many, oldest first."""
        columns, end = self._state
        begin = max(0, end - min(self._most, count or self._most))
        return Last(self._names, self.keywords, columns[:, begin:end])
