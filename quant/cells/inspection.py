# SPDX-License-Identifier: Apache-2.0
"""What is in a set of cells: classes, channels, sizes, value ranges, duplicates, and what is not read of its files."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.quant.cells.dataset import MIN_CLASS, Dataset, check_alike
from icsort.sim.bit_true.preprocess import SAMPLE_MAX

NO_LABEL = "no label"


@dataclass
class _Channels:
    """Running figures of every channel, each (C,); float64 sums are exact enough for a mean of 16-bit counts."""

    least: NDArray[np.int64]
    most: NDArray[np.int64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    saturated: NDArray[np.int64]
    pixels: int = 0
    same: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, count: int) -> "_Channels":
        def zeros() -> NDArray[Any]:
            return np.zeros(count)

        pairs = {(first, second) for first in range(count) for second in range(first + 1, count)}
        return cls(zeros() + SAMPLE_MAX, zeros(), zeros(), zeros(), zeros(), same=pairs)

    def add(self, image: NDArray[np.uint16]) -> None:
        pixels = image.reshape(-1, image.shape[2])
        values = pixels.astype(np.float64)
        self.least = np.minimum(self.least, pixels.min(axis=0))
        self.most = np.maximum(self.most, pixels.max(axis=0))
        self.total += values.sum(axis=0)
        self.squares += (values**2).sum(axis=0)
        self.saturated += (pixels == SAMPLE_MAX).sum(axis=0)
        self.pixels += len(pixels)
        self.same = {pair for pair in self.same if (pixels[:, pair[0]] == pixels[:, pair[1]]).all()}

    def report(self, names: Sequence[str]) -> list[dict[str, Any]]:
        mean = self.total / self.pixels
        deviation = np.sqrt(np.maximum(self.squares / self.pixels - mean**2, 0))
        return [
            {
                "name": name,
                "minimum": int(self.least[index]),
                "maximum": int(self.most[index]),
                "mean": float(mean[index]),
                "standard_deviation": float(deviation[index]),
                "saturated_pixels": int(self.saturated[index]),
                "same_as": next((names[first] for first, second in sorted(self.same) if second == index), None),
            }
            for index, name in enumerate(names)
        ]


def inspect(pieces: Iterable[Dataset], min_class: int = MIN_CLASS) -> dict[str, Any]:
    """Look at every cell of a set, piece by piece, once. Returns what `icsort data info --json` prints.

    Channels: range, mean and standard deviation of raw counts, pixels at full scale, and the earlier channel whose
    pixels are the same in every cell. Duplicates: cells with identical pixels. Raises IcsortError for pieces that
    differ in channels or width.
    """
    classes: Counter[str] = Counter()
    heights: Counter[int] = Counter()
    groups: Counter[str] = Counter()
    types: defaultdict[str, Counter[str]] = defaultdict(Counter)
    alike: defaultdict[bytes, list[tuple[str, str]]] = defaultdict(list)
    skipped: list[str] = []
    passed_over: list[str] = []
    channels = first = None
    for piece in pieces:
        if first is None or channels is None:
            first, channels = piece, _Channels.of(len(piece.channels))
        check_alike(piece, first)
        classes.update(piece.counts())
        groups.update([] if piece.groups is None else piece.groups.tolist())
        skipped += piece.skipped
        passed_over += piece.passed_over
        read = heights.total()
        for index, (image, label) in enumerate(zip(piece.images, piece.labels.tolist(), strict=True)):
            channels.add(image)
            heights[image.shape[0]] += 1
            name = piece.name_of(index) if piece.names else f"cell {read + index}"
            of_class = piece.classes[label] if label >= 0 else NO_LABEL
            if piece.pixel_types is not None:
                types[str(piece.pixel_types[index])][of_class] += 1
            digest = hashlib.blake2b(image.tobytes(), digest_size=16, key=str(image.shape).encode()).digest()
            alike[digest].append((name, of_class))
    assert first is not None
    assert channels is not None
    return {
        "source": first.source,
        "origin": first.origin,
        "cells": heights.total(),
        "classes": dict(classes),
        "unlabelled": heights.total() - classes.total(),
        "small_classes": {name: count for name, count in classes.items() if count < min_class},
        "channels": channels.report(first.channels),
        "pixel_types": {kind: {"cells": count.total(), "classes": sorted(count)} for kind, count in types.items()},
        "width": first.images[0].shape[1],
        "heights": {str(height): heights[height] for height in sorted(heights)},
        "groups": dict(sorted(groups.items())) if groups else None,
        "parameters": None if first.parameters is None else list(first.parameters.columns),
        "duplicates": [
            {"cells": [name for name, _ in cells], "classes": sorted({label for _, label in cells})}
            for cells in alike.values()
            if len(cells) > 1
        ],
        "unreadable": skipped,
        "passed_over": passed_over,
    }


def plot_classes(counts: Mapping[str, int], min_class: int, path: Path) -> None:
    """A bar for each class as a PNG, the largest on top, those of fewer than `min_class` cells in another colour."""
    from matplotlib.figure import Figure

    from icsort.report.figures import BAR, INK, PLAIN, save

    ordered = sorted(counts.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7, 1.2 + 0.24 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    names, sizes = [name for name, _ in ordered], [count for _, count in ordered]
    bars = axes.barh(names, sizes, color=[BAR if count >= min_class else PLAIN for count in sizes])
    axes.bar_label(bars, padding=3)
    axes.margins(x=0.12, y=0.01)
    if min(sizes) < min_class:
        axes.axvline(min_class, color=INK, linestyle=":", label=f"{min_class} cells: smaller classes are dropped")
        axes.legend(loc="lower right")
    axes.set_xlabel("cells")
    save(figure, path)
