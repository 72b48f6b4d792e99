# SPDX-License-Identifier: Apache-2.0
"""Cells without a microscope: the host stores lines in the board, which plays them at the instrument's pace."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from icsort.errors import IcsortError
from icsort.host.sorter import Sorter

if TYPE_CHECKING:  # the command line starts without numpy
    import numpy as np
    from numpy.typing import NDArray


class LineSource:
    """The stored lines of a board. While this is open the sorter takes these in place of the instrument's, where it is
    not armed; closing gives it the instrument's back."""

    def __init__(self, sorter: Sorter) -> None:
        self._sorter = sorter
        sorter.write_checked("LINE_SOURCE", 1)

    def __enter__(self) -> "LineSource":
        return self

    def __exit__(self, *_: object) -> None:
        self._sorter.write("LINE_SOURCE_STOP", 1)
        self._sorter.write_checked("LINE_SOURCE", 0)

    @property
    def capacity(self) -> int:
        """Lines that the board can hold."""
        return self._sorter.fields("LINE_SOURCE_STATUS")["lines"]

    def store(self, lines: "NDArray[np.uint16]", progress: Callable[[int], None] = lambda _: None) -> None:
        """Store lines (L, LINE_W, C). progress: called with the number of lines done.

        Raises IcsortError for more than the board holds.
        """
        if len(lines) > self.capacity:
            raise IcsortError(f"the board holds {self.capacity} lines, not {len(lines)}: give shorter cells")
        retries = -1
        for line, pixels in enumerate(lines.tolist()):
            with self._sorter.turn():
                for column, samples in enumerate(pixels):
                    for channel, sample in enumerate(samples):
                        # The index goes on by itself; a request that was repeated may have moved it twice.
                        if self._sorter.retries != retries or channel == column == 0:
                            self._sorter.write("LINE_SOURCE_INDEX", line << 24 | column << 8 | channel)
                            retries = self._sorter.retries
                        self._sorter.write("LINE_SOURCE_DATA", sample)
            progress(line + 1)
        self._sorter.write_checked("LINE_SOURCE_LINES", len(lines))

    def play(self, cycles_per_line: int, repeats: int = 1) -> None:
        """Play the stored lines so many times, a line every `cycles_per_line` cycles, or as fast as they are."""
        self._sorter.write_checked("LINE_SOURCE_GAP", cycles_per_line)
        self._sorter.write_checked("LINE_SOURCE_REPEATS", repeats)
        self._sorter.write("LINE_SOURCE_START", 1)
