# SPDX-License-Identifier: Apache-2.0
"""Class and posteriors of cells without labels, with a package's own integer arithmetic, in bounded memory.

A cell goes the way that evaluation.evaluate describes. Between cells flows what the edges of the first piece's images
show; a tall cell that triggers again after its window keeps its first event.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icsort.formats.integer import IntegerNetwork
from icsort.formats.package import Manifest
from icsort.output import result_file
from icsort.quant.acquire.cut import cut_cells
from icsort.quant.cells.counts import Digitization
from icsort.quant.cells.dataset import Dataset
from icsort.quant.cells.find import read_pieces
from icsort.quant.cells.readers.reading import Unreadable
from icsort.quant.evaluation.evaluate import CHUNK, background_of
from icsort.sim.bit_true import gate

HEAD = "cell,triggered,class,"  # what every table of this kind begins with


@dataclass(frozen=True)
class Classified:
    """N cells as the hardware would see them.

    names: where each was read. triggered (N,) bool. best (N,) int64 index into the package's classes, posteriors (N, K)
    uint16 in 65536ths and logits (N, K) int64, as the hardware reports them; 0 where no event was triggered.
    """

    names: tuple[str, ...]
    triggered: NDArray[np.bool_]
    best: NDArray[np.int64]
    posteriors: NDArray[np.uint16]
    logits: NDArray[np.int64]

    def table(self, package: Manifest) -> pd.DataFrame:
        """A row a cell: cell, triggered, class, then posterior and logit of each class; empty where not triggered. Of a
        package of values these, in their units, and no class."""
        classes = package.classes
        columns: dict[str, Any] = {
            "cell": self.names,
            "triggered": self.triggered.astype(np.int64),
            "class": pd.Series([classes[label] for label in self.best]).where(self.triggered & (not package.values)),
        }
        if package.values:
            for name, integers, unit in zip(classes, self.logits.T, package.unit_values, strict=True):
                columns[name] = pd.Series(integers * unit).where(self.triggered)
            return pd.DataFrame(columns)
        for index, name in enumerate(classes):
            posterior = pd.Series(self.posteriors[:, index] / gate.POSTERIOR_ONE)
            columns[f"posterior {name}"] = posterior.where(self.triggered)
        for index, name in enumerate(classes):
            columns[f"logit {name}"] = pd.Series(self.logits[:, index], dtype="Int64").where(self.triggered)
        return pd.DataFrame(columns)


def classify(
    package: Path,
    data: Path,
    out: Path,
    *,
    channels: Sequence[str] | None = None,
    digitization: Digitization | None = None,
    unreadable: Unreadable = "refuse",
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the table of a set's cells (a CSV, whole or not at all), labelled or not. Returns the summary.

    data, channels, digitization, unreadable: as in cells.find.read_pieces; without a digitization, that of the cells
    that the package was trained on. progress: called with the cells that are
    done, in words. Raises IcsortError for a package or data that cannot be read, channels or lines that are not the
    package's, and an output that exists or cannot be written.
    """
    network = IntegerNetwork(package)
    classes = network.manifest.classes
    counts: Counter[str] = Counter()
    cells, triggered, origin = 0, 0, ""
    skipped: list[str] = []
    passed_over: list[str] = []

    counting = digitization or Digitization.of(network.manifest.data.digitization)

    def pieces() -> Iterator[Dataset]:
        nonlocal origin
        for piece in read_pieces(data, channels, counting, "none", unreadable, labelled=False):
            origin = piece.origin
            skipped.extend(piece.skipped)
            passed_over.extend(piece.passed_over)
            yield piece

    with result_file(out, HEAD, force) as stream:
        for part in classified(network, pieces()):
            part.table(network.manifest).to_csv(stream, index=False, header=cells == 0, lineterminator="\n")
            counts.update(np.asarray(classes)[part.best[part.triggered]].tolist())
            triggered += int(part.triggered.sum())
            cells += len(part.names)
            progress(f"{cells:,} cells")
    return {
        "package": {"name": network.manifest.name, "model_id": network.manifest.model_id},
        "origin": origin,
        "cells": cells,
        "triggered": triggered,
        "not_triggered": cells - triggered,
        "classes": {} if network.manifest.values else {name: counts[name] for name in classes},
        "unreadable": skipped,
        "passed_over": passed_over,
    }


def classified(network: IntegerNetwork, pieces: Iterator[Dataset]) -> Iterator[Classified]:
    """What the package says of cells, CHUNK at a time. Raises IcsortError for channels or lines that are not its."""
    package = network.manifest
    done, background = 0, None
    for whole in pieces:
        piece = whole.fitted_to(package.channels, package.line.width, package.preparation)
        background = background or background_of(piece, package)
        for begin in range(0, len(piece.images), CHUNK):
            images = piece.images[begin : begin + CHUNK]
            cut = cut_cells(images, package, background)
            logits = network.logits(package.pixels(cut.windows))
            names = [piece.name_of(begin + i) if piece.names else f"cell {done + i}" for i in range(len(images))]
            yield _decided(package, tuple(names), cut.cells, logits)
            done += len(images)


def _decided(
    package: Manifest, names: tuple[str, ...], events: NDArray[np.int64], logits: NDArray[np.int64]
) -> Classified:
    numbers, shape = package.posterior, (len(names), len(package.classes))
    triggered = np.zeros(len(names), np.bool_)
    triggered[events] = True
    best = np.zeros(len(names), np.int64)
    posteriors = np.zeros(shape, np.uint16)
    accumulators = np.zeros(shape, np.int64)
    accumulators[events] = logits
    for label in range(len(package.classes)):
        _, best[events], posteriors[events, label] = gate.decide(
            logits, 1 << label, 0, numbers.multiplier, numbers.shift
        )
    return Classified(names, triggered, best, posteriors, accumulators)
