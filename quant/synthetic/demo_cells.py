# SPDX-License-Identifier: Apache-2.0
"""Generated FIRE-like cell images, for tests and for a machine without real data.

Three channels in raw counts: brightfield goes both ways around its background (a dark rim, a bright centre), the DNA
stain shows the nucleus, darkfield scatters from granules. Five classes that differ in size, DNA content and nucleus,
with the overlaps of a real sample. Made up, not fitted to an instrument; they show that the path works.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = ("Small", "Large", "Granular", "Binucleate", "Mitotic")
CHANNELS = ("Brightfield", "DNA", "Darkfield")
SIZE = 40
CELLS_PER_CLASS = 500
BACKGROUND = (680.0, 42.0, 27.0)
NOISE = (18.0, 3.0, 3.0)


@dataclass(frozen=True)
class _Kind:
    """Mean cell radius (pixels), DNA content and nucleus radius relative to the cell, granules a cell."""

    radius: float
    dna: float
    nucleus: float
    granules: float


_KINDS = {
    "Small": _Kind(radius=7.5, dna=1.0, nucleus=0.62, granules=2.0),
    "Large": _Kind(radius=10.5, dna=1.9, nucleus=0.62, granules=3.0),
    "Granular": _Kind(radius=9.0, dna=1.1, nucleus=0.55, granules=7.0),
    "Binucleate": _Kind(radius=10.5, dna=1.9, nucleus=0.40, granules=3.0),
    "Mitotic": _Kind(radius=10.0, dna=2.0, nucleus=0.55, granules=3.0),
}


def generate(per_class: int = CELLS_PER_CLASS, seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """`per_class` cells of each class.

    Returns images uint16 (N, 40, 40, 3) in counts and labels int64 (N,), class after class. The same seed gives the
    same cells.
    """
    random = np.random.default_rng(seed)
    images = [_cell(_KINDS[name], name, random) for name in CLASSES for _ in range(per_class)]
    return np.stack(images), np.repeat(np.arange(len(CLASSES), dtype=np.int64), per_class)


def _cell(kind: _Kind, name: str, random: np.random.Generator) -> NDArray[np.uint16]:
    grid = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    y, x = grid - random.normal(0, 1.0, (2, 1, 1))
    angle = random.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = kind.radius * random.lognormal(0, 0.12)
    stretch = random.lognormal(0, 0.06)
    distance = np.hypot(along / stretch, across * stretch) / radius
    inside = 1 / (1 + np.exp((distance - 1) * 12))
    rim = np.exp(-(((distance - 1) / 0.12) ** 2))
    brightfield = 90 * inside * np.clip(1 - distance, 0, 1) - 170 * rim

    nucleus = radius * kind.nucleus
    if name == "Binucleate":
        apart = nucleus * random.normal(0.85, 0.2)
        shape = _disc(along - apart, across, nucleus) + _disc(along + apart, across, nucleus)
    elif name == "Mitotic":
        elongation = random.lognormal(0.35, 0.15)
        shape = _disc(along / elongation, across * elongation, nucleus)
    else:
        shape = _disc(along, across, nucleus)
    dna = 45_000 * kind.dna * random.lognormal(0, 0.18) * shape / shape.sum() + 12 * inside

    scatter = 30 * inside
    for _ in range(random.poisson(kind.granules)):
        where, direction = radius * 0.9 * np.sqrt(random.uniform()), random.uniform(0, 2 * np.pi)
        far = np.hypot(x - where * np.cos(direction), y - where * np.sin(direction))
        scatter = scatter + random.uniform(60, 220) * np.exp(-((far / 1.1) ** 2))

    channels = np.stack([brightfield, dna, scatter], axis=-1) * random.lognormal(0, 0.05, 3)
    noisy = channels + np.asarray(BACKGROUND) + random.normal(0, 1, channels.shape) * np.asarray(NOISE)
    noisy += random.normal(0, 1, channels.shape) * np.sqrt(np.clip(channels, 0, None))
    return np.asarray(np.clip(np.rint(noisy), 0, 2**16 - 1), dtype=np.uint16)


def _disc(along: NDArray[np.float64], across: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp((np.hypot(along, across) / radius - 1) * 9)))
