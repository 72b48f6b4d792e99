# SPDX-License-Identifier: Apache-2.0
"""What a pair of cells of two frames shows: motion, appearance, neighbourhood, and whether a sister would fit.

After Moen et al. 2019 (doi:10.1101/803205), whose network sees the same four kinds; here they are numbers in units of
the movie's own cell diameter, so that a cost which one movie taught holds for another one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from icsort.quant.tracking.cells import Cells

HISTORY = 7  # frames of a track that are looked back
REACH = 2.5  # diameters, within which a cell is looked for
NEIGHBOURS = 5
FAR = 4.0  # diameters: stands for "nobody there"
FEATURES = (
    "distance",
    "distance from where it was going",
    "distance in typical steps",
    "nearer than its next candidate",
    "nearer than the candidate's next source",
    "distance from where its neighbours went",
    "area ratio",
    "contrast ratio",
    "texture ratio",
    "eccentricity difference",
    "appearance",
    "border of the first",
    "border of the second",
    "age of the track",
    "contrast against its past",
    "area against its past",
    "cells more around it",
    "sisters' middle",
    "sisters' distance",
    "sisters' area",
    "sisters' area ratio",
    "sisters' contrast ratio",
    "sisters' angle",
    "sister nearer to another",
)


@dataclass(frozen=True)
class Pairs:
    """P candidate pairs: first, second (P,) int64 indices into the cells; features (P, F) float64."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    features: NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """Tracks that end in n cells: velocity (n, 2) pixels a frame, age (n,) frames, past (n, 2) mean logarithms of area
    and contrast."""

    velocity: NDArray[np.float64]
    age: NDArray[np.int64]
    past: NDArray[np.float64]


def history(cells: Cells, parent: NDArray[np.int64], ends: NDArray[np.int64]) -> Track:
    """Tracks that end in these cells, over the last HISTORY frames; they begin anew at a division."""
    children = np.bincount(parent[parent >= 0], minlength=len(cells))
    velocity, age, past = np.zeros((len(ends), 2)), np.zeros(len(ends), np.int64), np.zeros((len(ends), 2))
    logs = np.log(cells.measures[:, :2])
    for index, end in enumerate(ends):
        chain = [end]
        while len(chain) <= HISTORY and (before := parent[chain[-1]]) >= 0 and children[before] == 1:
            chain.append(before)
        age[index] = len(chain) - 1
        past[index] = logs[chain[1:] or chain].mean(axis=0)
        if len(chain) > 1:
            frames = cells.frame[end] - cells.frame[chain[-1]]
            steps = len(chain) - 1
            velocity[index] = (cells.position[end] - cells.position[chain[-1]]) / frames * steps / (steps + 2)
    return Track(velocity, age, past)


def typical_step(cells: Cells) -> float:
    """Median way, in pixels, to the nearest cell of the next frame, of cells that are each other's nearest."""
    ways = []
    for frame in range(cells.frames - 1):
        here, there = cells.at(frame), cells.at(frame + 1)
        if len(here) and len(there):
            distance = cdist(cells.position[here], cells.position[there])
            nearest = distance.argmin(axis=1)
            mutual = distance.argmin(axis=0)[nearest] == np.arange(len(here))
            ways.extend(distance[mutual, nearest[mutual]])
    return max(float(np.median(ways)) if ways else 0.0, 0.02 * cells.diameter)


def pairs(
    cells: Cells, track: Track, here: NDArray[np.int64], there: NDArray[np.int64], gap: int, scale: tuple[float, float]
) -> Pairs:
    """Candidate pairs of cells `here` (n,), whose tracks are known, with those `there` (m,), `gap` frames later.

    scale: the cells' diameter and typical_step.
    """
    diameter, step = scale
    if not len(here) or not len(there):
        return Pairs(here[:0], there[:0], np.zeros((0, len(FEATURES))))
    start, stop = cells.position[here], cells.position[there]
    way = stop[np.newaxis] - start[:, np.newaxis]  # (n, m, 2)
    distance = np.linalg.norm(way, axis=2) / diameter
    going = np.linalg.norm(way - gap * track.velocity[:, np.newaxis], axis=2) / diameter
    around = _neighbours_way(start, way, distance)
    logs = np.log(cells.measures[:, :3])
    ratio = logs[there][np.newaxis] - logs[here][:, np.newaxis]  # (n, m, 3)
    eccentricity = np.abs(cells.measures[there, 3][np.newaxis] - cells.measures[here, 3][:, np.newaxis])
    appearance = np.einsum("nyx,myx->nm", cells.crops[here], cells.crops[there])
    more = (distance < 1.2).sum(axis=1) - (cdist(start, start) / diameter < 1.2).sum(axis=1)
    borders = np.minimum(cells.border / diameter, 2)
    first, second = np.nonzero(distance < REACH)
    columns = [
        distance,
        going,
        np.log(distance * diameter / step / np.sqrt(gap) + 0.5),
        _but_this(going, axis=1) - going,
        _but_this(going, axis=0) - going,
        np.linalg.norm(way - around[:, np.newaxis], axis=2) / diameter,
        *ratio.transpose(2, 0, 1),
        eccentricity,
        appearance,
    ]
    of_first = [borders[here], track.age / HISTORY, *(logs[here, :2] - track.past).T[::-1], more]
    of_second = [borders[there]]
    plain = [column[first, second] for column in columns]
    plain += [of_first[0][first], of_second[0][second], *(part[first] for part in of_first[1:])]
    sisters = _sisters(way / diameter, distance, logs[here], logs[there], first, second)
    return Pairs(here[first], there[second], np.column_stack([*plain, sisters]))


def _but_this(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """For each entry of (n, m) the least of the others along the axis, FAR where there is none or they are farther."""
    if values.shape[axis] < 2:
        return np.full_like(values, FAR)
    least = np.partition(values, 1, axis=axis)
    lowest, next_one = np.take(least, [0], axis=axis), np.take(least, [1], axis=axis)
    return np.minimum(np.where(values == lowest, next_one, lowest), FAR)


def _neighbours_way(
    start: NDArray[np.float64], way: NDArray[np.float64], distance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Median way (n, 2) of each cell's nearest neighbours, each to the cell that is nearest to it."""
    nearest = way[np.arange(len(start)), distance.argmin(axis=1)]
    order = np.argsort(cdist(start, start), axis=1)[:, 1 : NEIGHBOURS + 1]
    return np.array([np.median(nearest[near], axis=0) if len(near) else (0, 0) for near in order])


def _sisters(
    way: NDArray[np.float64],
    distance: NDArray[np.float64],
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Of each pair the features (P, 7) of the cell that would best be the second one's sister, if the first divided.

    here, there: logarithms of area, contrast, texture.
    """
    nobody = np.array([FAR, FAR, 0.0, 2.0, 2.0, 1.0, FAR])
    found = np.tile(nobody, (len(first), 1))
    elsewhere = _but_this(distance, axis=0)
    for index, (i, j) in enumerate(zip(first, second, strict=True)):
        others = np.flatnonzero(distance[i] < REACH)
        others = others[others != j]
        if not len(others):
            continue
        middle = np.linalg.norm(way[i, others] + way[i, j], axis=1) / 2
        areas = np.abs(there[others, 0] - there[j, 0])
        contrasts = np.abs(there[others, 1] - there[j, 1])
        nearer = distance[i, others] - elsewhere[i, others]
        best = np.argmin(middle + 0.5 * areas + 0.5 * contrasts + nearer)
        k = others[best]
        total = np.logaddexp(there[j, 0], there[k, 0]) - here[i, 0]
        lengths = np.maximum(distance[i, j] * distance[i, k], 1e-9)
        found[index] = (
            middle[best],
            np.linalg.norm(way[i, k] - way[i, j]),
            total,
            areas[best],
            contrasts[best],
            float(way[i, j] @ way[i, k]) / lengths,
            nearer[best],
        )
    return found
