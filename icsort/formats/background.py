# SPDX-License-Identifier: Apache-2.0
"""What flows between cells: lines recorded without a cell, and how often the trigger takes one for a cell."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition
from icsort.sim.bit_true.event import line_sums

CELLS_PER_SECOND: Final = 15_000
"""What the published imaging sorter reaches."""
LINES_PER_SECOND: Final = 2.2e6
"""Assumption: from the published instrument's pitch and flow speed; set it for yours."""


@dataclass(frozen=True)
class Background:
    """Lines without a cell, (K, LINE_W, C) uint16 counts, in random order; one constant line stands for no noise."""

    lines: NDArray[np.uint16]

    def pixel(self, acquisition: Acquisition) -> NDArray[np.uint8]:
        """What the network is given for a pixel of median counts, (C,)."""
        median = np.median(acquisition.corrected(self.lines), axis=(0, 1))
        pixel: NDArray[np.uint8] = acquisition.pixels(np.asarray(np.rint(median), np.uint16)[np.newaxis])[0]
        return pixel

    def behind(self, image: NDArray[np.uint16], count: int) -> NDArray[np.uint16]:
        """The first `count` lines behind a cell's image, (count, LINE_W, C): always the same behind the same one."""
        return self.lines[(self.first_behind(image) + np.arange(count)) % len(self.lines)]

    @staticmethod
    def first_behind(image: NDArray[np.uint16]) -> int:
        """Which line, modulo their number, is the first behind a cell's image."""
        return zlib.crc32(image.astype("<u2").tobytes())

    def quiet(self, acquisition: Acquisition) -> NDArray[np.uint16]:
        """The lines that neither begin nor prolong an event, (Q, LINE_W, C); empty where all do."""
        trigger = acquisition.event_trigger
        return self.lines[line_sums(acquisition.corrected(self.lines), trigger) < trigger.off]


@dataclass(frozen=True)
class FalseTriggers:
    """Empty lines that were looked at, and those of them that trigger."""

    empty_lines: int
    triggers: int

    @property
    def per_line(self) -> float | None:
        """Share of empty lines that trigger; None where there were none."""
        return self.triggers / self.empty_lines if self.empty_lines else None

    def per_cell(self, height: int, cells_per_second: float, lines_per_second: float) -> float | None:
        """False triggers for each cell, where windows of `height` lines leave the rest of the lines empty."""
        if self.per_line is None:
            return None
        return self.per_line * max(0.0, lines_per_second / cells_per_second - height)

    def to_json(
        self, height: int, cells_per_second: float = CELLS_PER_SECOND, lines_per_second: float = LINES_PER_SECOND
    ) -> dict[str, float | None]:
        """Counts and rates, with what they were taken for."""
        return {
            "empty_lines": self.empty_lines,
            "false_triggers": self.triggers,
            "per_empty_line": self.per_line,
            "per_cell": self.per_cell(height, cells_per_second, lines_per_second),
            "cells_per_second": cells_per_second,
            "lines_per_second": lines_per_second,
        }


def in_words(false_triggers: Mapping[str, float | None]) -> str:
    """What `FalseTriggers.to_json` gives, for people."""
    if false_triggers["per_cell"] is None:
        return "none possible, nothing lies between the images"
    return (
        f"{false_triggers['false_triggers']} of {false_triggers['empty_lines']:,} empty lines, "
        f"{false_triggers['per_cell']:.2g} a cell at {false_triggers['cells_per_second']:,g} cells/s"
    )
