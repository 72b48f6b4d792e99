# SPDX-License-Identifier: Apache-2.0
"""Cells of any layout as a file that a build takes: what flows past it in a simulation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icsort.errors import IcsortError
from icsort.formats import heldout, package
from icsort.formats.heldout import HeldOut
from icsort.quant.acquire.choose import measure_background
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.find import read_pieces

NO_LABEL = -1


def write_cells(
    folder: Path,
    package_folder: Path,
    out: Path,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    force: bool = False,
) -> HeldOut:
    """Write the cells of a folder in the channels and classes of a model package, with the lines between them.

    channels, digitization: as in cells.find.read_pieces. A class that the package does not know is no label. Raises
    IcsortError for a folder without cells, other channels or lines, and an `out` that is there or cannot be written.
    """
    manifest = package.load(package_folder)
    if out.exists() and not force:
        raise IcsortError(f"{out}: is there; choose another --out, or replace it with --force")
    images, labels = [], []
    for piece in read_pieces(folder, channels, digitization, labelled=False):
        fitted = piece.fitted_to(manifest.channels, manifest.line.width, manifest.preparation)
        known = [manifest.classes.index(name) if name in manifest.classes else NO_LABEL for name in piece.classes]
        of_class = np.asarray([*known, NO_LABEL])
        images += list(fitted.images)
        labels.append(of_class[np.where(fitted.labels < 0, len(known), fitted.labels)])
    background = measure_background(images, manifest)[0]
    made = HeldOut(tuple(images), np.concatenate(labels), manifest.classes, manifest.channels, background)
    try:
        heldout.save(out, made)
    except OSError as error:
        raise IcsortError(f"{out}: cannot be written ({error.strerror})") from None
    return made
