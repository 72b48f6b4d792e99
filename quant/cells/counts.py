# SPDX-License-Identifier: Apache-2.0
"""Pixels as raw counts, unsigned 16 bit: integers as they are, floating-point values digitized."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.package import DigitizationSpec
from icsort.sim.bit_true.preprocess import SAMPLE_MAX

CLIPPED_SHARE = 0.01  # of an image's pixels may lie outside what a digitization covers: noise below, saturation above


@dataclass(frozen=True)
class Digitization:
    """counts = clip(round((value - offset) * counts_per_unit), 0, 65535).

    The sorter stores detector values in arbitrary units, about -0.9 to 1.8 in the images that are known. The default
    covers -1 to 3 with the whole range of 16 bit. Assumed, not the instrument's: its converter is not published.
    """

    offset: float = -1.0
    counts_per_unit: float = 16384.0

    @classmethod
    def parse(cls, words: str) -> "Digitization":
        """From what a user types, OFFSET,SCALE. Raises IcsortError for anything else."""
        try:
            offset, scale = (float(word) for word in words.split(","))
        except ValueError:
            offset, scale = math.nan, math.nan
        if not (math.isfinite(offset) and math.isfinite(scale) and scale > 0):
            raise IcsortError(
                f"--digitize {words}: write it as OFFSET,SCALE for counts = (value - OFFSET) * SCALE, "
                "such as 0,1 for values that are counts already"
            )
        return cls(offset, scale)

    @classmethod
    def of(cls, spec: DigitizationSpec | None) -> "Digitization | None":
        """As a run or package keeps it."""
        return None if spec is None else cls(spec.offset, spec.counts_per_unit)

    @property
    def spec(self) -> DigitizationSpec:
        """As a run or package keeps it."""
        return DigitizationSpec(offset=self.offset, counts_per_unit=self.counts_per_unit)

    @property
    def covered(self) -> tuple[float, float]:
        """The least and the greatest value that are not clipped."""
        return self.offset, self.offset + SAMPLE_MAX / self.counts_per_unit

    def counts(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Finite floating-point values of any shape to uint16 counts of that shape."""
        scaled = np.rint((values.astype(np.float64) - self.offset) * self.counts_per_unit)
        return np.clip(scaled, 0, SAMPLE_MAX).astype(np.uint16)


def to_counts(path: Path, pixels: NDArray[np.generic], digitization: Digitization) -> NDArray[np.uint16]:
    """Pixels of any shape as uint16 counts of that shape: floats digitized, integers as they are.

    Raises IcsortError for other types, for integers that do not fit 16 bit, for values that are not finite, and where
    more than CLIPPED_SHARE of the pixels lie outside what the digitization covers.
    """
    if np.issubdtype(pixels.dtype, np.floating):
        bad = int(np.count_nonzero(~np.isfinite(pixels)))
        if bad:
            raise IcsortError(f"{path}: {bad} pixels are NaN or infinite; remove the file or export it again")
        low, high = digitization.covered
        values = pixels.astype(np.float64)
        clipped = int(np.count_nonzero((values < low) | (values > high)))
        if clipped > CLIPPED_SHARE * pixels.size:
            raise IcsortError(
                f"{path}: {clipped} of {pixels.size} pixels lie outside {low:g} to {high:g} (they go from "
                f"{values.min():g} to {values.max():g}), which digitization covers; give --digitize OFFSET,SCALE, such "
                "as 0,1 for values that are counts already"
            )
        return digitization.counts(pixels)
    if not np.issubdtype(pixels.dtype, np.integer):
        raise IcsortError(f"{path}: pixels are of type {pixels.dtype}; store them as unsigned 16-bit or float32")
    if pixels.size and (pixels.min() < 0 or pixels.max() > SAMPLE_MAX):
        raise IcsortError(f"{path}: pixels are outside 0..{SAMPLE_MAX}; store them as unsigned 16-bit")
    return pixels.astype(np.uint16)
