# SPDX-License-Identifier: Apache-2.0
"""Cells with membrane, nucleus, organelles and stains, as light on the channels of a FIRE microscope.

A `Kind` says how cells of one class are built; `paint` draws as many as asked, each with its own size, shape, nucleus,
organelles and amount of dye. Lengths are in micrometres, light in the detector's units (see synthetic.fire). The
shapes are projections of a soft spheroid; the weights of absorption, refraction and scatter are plausible, not fitted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.quant.synthetic.fire import CHANNELS, Instrument

Maps = NDArray[Any]  # float32

# How a dye's light divides among the four bandpass channels (534, 586, 700, 783 nm), overlapping as common dyes do.
DYES = {
    "green": (0.78, 0.18, 0.03, 0.01),
    "orange": (0.05, 0.74, 0.17, 0.04),
    "red": (0.01, 0.24, 0.60, 0.15),
    "far red": (0.00, 0.03, 0.22, 0.75),
}
BACKGROUND = 0.69  # light loss without a cell, as in the sorter's published images


@dataclass(frozen=True)
class Spots:
    """Organelles as points: mean number, their half width, and between which radii of the cell (0 to 1) they lie."""

    number: float
    width_um: float
    inner: float
    outer: float


ORGANELLES = {
    "nucleoli": Spots(4, 0.55, 0.0, 0.6),  # of the nucleus' radius
    "mitochondria": Spots(36, 0.35, 0.5, 0.9),
    "golgi": Spots(9, 0.45, 0.0, 0.28),  # about a place beside the nucleus
    "golgi dispersed": Spots(40, 0.45, 0.25, 0.9),
    "reticulum": Spots(48, 0.9, 0.35, 0.85),
    "lysosomes": Spots(13, 0.45, 0.35, 0.9),
}
COMPARTMENTS = ("membrane", "cytosol", "nucleus", *ORGANELLES)


@dataclass(frozen=True)
class Stain:
    """A dye in one compartment. amount: mean light a pixel of the cell's area, if it were spread over all of it."""

    where: str
    dye: str
    amount: float = 0.35
    spread: float = 0.25

    def __post_init__(self) -> None:
        if self.where not in COMPARTMENTS or self.dye not in DYES:
            raise IcsortError(
                f"stain of {self.where} with {self.dye}: compartments are {', '.join(COMPARTMENTS)}; "
                f"dyes {', '.join(DYES)}"
            )


@dataclass(frozen=True)
class Kind:
    """How the cells of one class are built.

    radius_um and its relative spread; elongation: spread of the logarithm of the axes' ratio; ruffles: relative height
    of the membrane's waves. nucleus: its radius relative to the cell's, in `lobes` parts; stretch: mean logarithm of
    its axes' ratio (the plate of a dividing cell). index: optical density against the medium; granules: mean number of
    scattering granules, granule_scatter their strength. autofluorescence: light a pixel in every bandpass. mixture: the
    kinds that this class is a mixture of; then nothing else counts.
    """

    radius_um: float = 6.0
    spread: float = 0.08
    elongation: float = 0.06
    ruffles: float = 0.02
    nucleus: float = 0.62
    lobes: int = 1
    stretch: float = 0.0
    index: float = 1.0
    granules: float = 5.0
    granule_scatter: float = 1.0
    autofluorescence: float = 0.012
    stains: tuple[Stain, ...] = ()
    mixture: tuple["Kind", ...] = ()


def paint(kind: Kind, count: int, height: int, instrument: Instrument, random: np.random.Generator) -> Maps:
    """Light of `count` cells, float32 (count, 7, height, instrument.columns), in the order of fire.CHANNELS."""
    light = np.empty((count, len(CHANNELS), height, instrument.columns), np.float32)
    if kind.mixture:
        which = random.integers(len(kind.mixture), size=count)
        for index, part in enumerate(kind.mixture):
            members = np.flatnonzero(which == index)
            if len(members):
                light[members] = paint(part, len(members), height, instrument, random)
        return light
    cells = _Cells(kind, count, height, instrument, random)
    light[:, 0], light[:, 1], light[:, 2] = cells.light_loss(), cells.forward_scatter(), cells.side_scatter()
    light[:, 3:] = (kind.autofluorescence * cells.thickness)[:, None]
    for stain in kind.stains:
        dye = np.asarray(DYES[stain.dye], np.float32)
        light[:, 3:] += cells.stained(stain)[:, None] * dye[:, None, None]
    return light


class _Cells:
    """Drawn cells of one kind. Maps are (N, H, W); `body` is 1 inside, `thickness` the path through the cell (0..1)."""

    def __init__(
        self, kind: Kind, count: int, height: int, instrument: Instrument, random: np.random.Generator
    ) -> None:
        self.kind, self.random, self.count = kind, random, count
        self.pitch, self.blur = instrument.pixel_um, instrument.optics_um
        self.lines = ((np.arange(height) - (height - 1) / 2) * self.pitch).astype(np.float32)
        self.columns = ((np.arange(instrument.columns) - (instrument.columns - 1) / 2) * self.pitch).astype(np.float32)
        self.radius = self._draw(kind.radius_um, kind.spread)
        self.centre = random.normal(0, 0.6, (2, count)).astype(np.float32)
        ratio = self._draw(1.0, kind.elongation)
        distance, wave = self._distance(self.centre, self.radius, ratio, waves=True)
        distance *= 1 + np.float32(kind.ruffles) * wave
        soft = np.maximum(self.blur / self.radius, 0.06).astype(np.float32)[:, None, None]
        self.body = _edge(distance, soft)
        self.thickness = np.sqrt(np.maximum(1 - distance**2, 0))
        self.rim = np.exp(-(((distance - 1) / (1.2 * soft)) ** 2))
        self.halo = np.exp(-(((distance - 1.3) / 0.15) ** 2))
        self.nucleus_centre, self.nucleus_radius, self.nucleus = self._nucleus()
        self.granules = self._spots(Spots(kind.granules, 0.4, 0.1, 0.85), self.centre, self.radius)

    def light_loss(self) -> Maps:
        """Transmitted light: the rim refracts it away, the cell focuses it, nucleus and granules absorb."""
        density = self._draw(self.kind.index, 0.05)[:, None, None]
        change = 0.20 * self.thickness**3 - 0.26 * self.rim - 0.09 * self.nucleus - 0.05 * self.granules
        return np.asarray(np.maximum(BACKGROUND * (1 + density * change), 0))

    def forward_scatter(self) -> Maps:
        """Light scattered forward: grows with size and density; a fringe lies outside the rim."""
        density = self._draw(self.kind.index, 0.08)
        strength = (density * (self.radius / 6)).astype(np.float32)[:, None, None]
        scatter = 0.24 * self.thickness + 0.12 * self.rim + 0.06 * self.halo + 0.05 * self.nucleus
        return np.asarray(strength * scatter)

    def side_scatter(self) -> Maps:
        """Light scattered sideways: granules, and a little of everything else."""
        strength = self._draw(self.kind.granule_scatter, 0.15)[:, None, None]
        density = np.float32(self.kind.index)
        return np.asarray(density * (0.05 * self.thickness + 0.03 * self.rim) + strength * 0.28 * self.granules)

    def stained(self, stain: Stain) -> Maps:
        """Where a dye is and how much: its amount is the cell's, whatever compartment holds it."""
        shape = self._compartment(stain.where)
        area, total = self.body.sum(axis=(1, 2)), shape.sum(axis=(1, 2))
        scale = self._draw(stain.amount, stain.spread) * area / np.maximum(total, 1e-3)
        return np.asarray(shape * scale.astype(np.float32)[:, None, None])

    def _compartment(self, where: str) -> Maps:
        if where == "membrane":
            return np.asarray(self.rim + 0.25 * self.body)
        if where == "cytosol":
            return np.asarray(self.thickness * (1 - 0.85 * self.nucleus))
        if where == "nucleus":
            return np.asarray(self.nucleus * (0.4 + 0.6 * self.thickness))
        spots = ORGANELLES[where]
        if where == "nucleoli":
            return self._spots(spots, self.nucleus_centre, self.nucleus_radius) + 0.12 * self.nucleus
        if where == "golgi":
            angle = self.random.uniform(0, 2 * np.pi, self.count)
            beside = self.nucleus_radius * 0.9 * np.stack([np.sin(angle), np.cos(angle)])
            return self._spots(spots, self.nucleus_centre + beside.astype(np.float32), self.radius) + 0.01 * self.body
        return np.asarray(
            (self._spots(spots, self.centre, self.radius) + 0.06 * self.thickness) * (1 - 0.8 * self.nucleus)
        )

    def _nucleus(self) -> tuple[NDArray[np.float32], NDArray[np.float32], Maps]:
        """Centre (2, N), radius (N,) and map of the nucleus, the union of its lobes."""
        kind = self.kind
        radius = (self.radius * self._draw(kind.nucleus, 0.06)).astype(np.float32)
        room = np.maximum(self.radius - radius, 0.1)
        centre = self.centre + (self.random.normal(0, 0.25, (2, self.count)) * room).astype(np.float32)
        lobe = (radius / kind.lobes**0.45).astype(np.float32)
        outside = np.ones_like(self.body)
        turn = self.random.uniform(0, 2 * np.pi, self.count)
        for index in range(kind.lobes):
            angle = turn + 2 * np.pi * index / kind.lobes + self.random.normal(0, 0.2, self.count)
            apart = lobe * (kind.lobes > 1)
            place = centre + (apart * np.stack([np.sin(angle), np.cos(angle)])).astype(np.float32)
            ratio = self._draw(float(np.exp(kind.stretch)), 0.06)
            distance, _ = self._distance(place, lobe, ratio)
            outside *= 1 - _edge(distance, np.maximum(self.blur / lobe, 0.06).astype(np.float32)[:, None, None])
        return centre, radius, 1 - outside

    def _distance(
        self, centre: NDArray[np.float32], radius: NDArray[np.float32], ratio: NDArray[np.float32], waves: bool = False
    ) -> tuple[Maps, Maps]:
        """Distance from the centre in radii of a turned ellipse, and a wave of three periods around it."""
        angle = self.random.uniform(0, np.pi, self.count)
        turn = np.exp(-1j * angle).astype(np.complex64)
        line = self.lines[None, :] - centre[0][:, None]
        column = self.columns[None, :] - centre[1][:, None]
        # turned coordinates are sums of a part of the line and a part of the column
        along = (column * turn.real[:, None])[:, None, :] - (line * turn.imag[:, None])[:, :, None]
        across = (column * turn.imag[:, None])[:, None, :] + (line * turn.real[:, None])[:, :, None]
        axis = (radius * np.sqrt(ratio)).astype(np.float32)[:, None, None]
        along /= axis
        across *= ratio.astype(np.float32)[:, None, None] / axis
        distance = np.sqrt(along**2 + across**2)
        if not waves:
            return distance, distance
        return distance, (along**3 - 3 * along * across**2) / np.maximum(distance, 1e-3) ** 3

    def _spots(self, spots: Spots, centre: NDArray[np.float32], radius: NDArray[np.float32]) -> Maps:
        """Gaussian points of differing brightness, evenly spread over a ring; separable, so one product draws them."""
        number = self.random.poisson(spots.number, self.count)
        most = max(1, int(number.max()))
        shape = (self.count, most)
        far = np.sqrt(self.random.uniform(spots.inner**2, spots.outer**2, shape)) * radius[:, None]
        angle = self.random.uniform(0, 2 * np.pi, shape)
        bright = self.random.lognormal(0, 0.35, shape) * (np.arange(most) < number[:, None])
        width = np.hypot(spots.width_um, self.blur / 2)
        line = centre[0][:, None] + far * np.sin(angle)
        column = centre[1][:, None] + far * np.cos(angle)
        by_line = np.exp(-(((self.lines - line[..., None]) / width) ** 2) / 2).astype(np.float32)
        by_column = np.exp(-(((self.columns - column[..., None]) / width) ** 2) / 2).astype(np.float32)
        by_line *= bright[..., None].astype(np.float32)
        return np.asarray(np.matmul(by_line.transpose(0, 2, 1), by_column))

    def _draw(self, mean: float, spread: float) -> NDArray[np.float32]:
        """One lognormal number a cell."""
        return (mean * self.random.lognormal(0, spread, self.count)).astype(np.float32)


def _edge(distance: Maps, soft: Maps) -> Maps:
    """1 inside, 0 outside, over a border `soft` wide, all in radii."""
    return 1 / (1 + np.exp(np.clip((distance - 1) * (3 / soft), -30, 30)))
