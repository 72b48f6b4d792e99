# SPDX-License-Identifier: Apache-2.0
"""Generated cells: painted kinds seen by a FIRE microscope. Never part of a figure on real cells: `origin` says so."""

from collections.abc import Iterator, Mapping

import numpy as np

from icsort.errors import IcsortError
from icsort.quant.cells.dataset import Dataset
from icsort.quant.synthetic.anatomy import Kind, paint
from icsort.quant.synthetic.fire import Instrument

CELLS_PER_DRAW = 16  # of each class, so that a piece holds all classes; another number gives other cells


def generate(
    kinds: Mapping[str, Kind], per_class: int, height: int, instrument: Instrument | None = None, seed: int = 0
) -> Iterator[Dataset]:
    """`per_class` cells of each kind, in pieces in which the classes take turns.

    Images are uint16 (height, instrument.columns, C) raw counts. The same arguments give the same pixels. Raises
    IcsortError for an image too small for the largest cells.
    """
    instrument = instrument or Instrument()
    largest = max(part.radius_um * (1 + 3 * part.spread) for kind in kinds.values() for part in kind.mixture or (kind,))
    needed = int(np.ceil(2 * largest / instrument.pixel_um)) + 2
    if min(height, instrument.columns) < needed:
        raise IcsortError(
            f"images of {height} x {instrument.columns} pixels of {instrument.pixel_um} um are too small for the "
            f"largest cells ({needed} pixels): give a larger --size or --pixel-um"
        )
    classes = tuple(kinds)
    for draw, begin in enumerate(range(0, per_class, CELLS_PER_DRAW)):
        count = min(CELLS_PER_DRAW, per_class - begin)
        drawn = []
        for label, kind in enumerate(kinds.values()):
            random = np.random.Generator(np.random.SFC64([seed, draw, label]))
            drawn.append(instrument.image(paint(kind, CELLS_PER_DRAW, height, instrument, random), random)[:count])
        images = np.stack(drawn, axis=1).reshape(count * len(classes), *drawn[0].shape[1:])
        yield Dataset(
            source="generated",
            origin=f"generated cells (no real data), {per_class} of each class, seed {seed}",
            images=tuple(images),
            labels=np.tile(np.arange(len(classes)), count),
            classes=classes,
            channels=tuple(detector.name for detector in instrument.detectors),
        )
