# SPDX-License-Identifier: Apache-2.0
"""Random gate sets and events for the gate engine: what its bench and its model's tests share."""

import itertools
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate_engine import Axis, Gate, Kind, Program, Scale, Test


@dataclass(frozen=True)
class Size:
    """What an engine was built for."""

    classes: int
    logit_bits: int
    features: int
    tests: int = engine.TESTS
    gates: int = engine.GATES
    scales: int = engine.SCALES
    corners: int = engine.CORNERS

    def values(self, sets: int) -> list[int]:
        """Indices of the values that an event has, with so many class sets, and of one that it has not."""
        return [
            *range(sets),
            engine.VALUE_LENGTH,
            engine.VALUE_INTERVAL,
            *range(engine.VALUE_LOGIT, engine.VALUE_LOGIT + self.classes),
            *range(engine.VALUE_FEATURE, engine.VALUE_FEATURE + self.features),
            *[engine.VALUE_FEATURE + self.features] * (self.features < engine.FEATURES),  # which no event has
        ]


def random_scale(rng: random.Random) -> Scale:
    """256 pieces from 0 to 16383, joined, of random heights."""
    knots = sorted(rng.randint(0, engine.COORDINATE_MAX) for _ in range(engine.PIECES + 1))
    return Scale(tuple(knots[:-1]), tuple(b - a for a, b in itertools.pairwise(knots)))


def random_axis(rng: random.Random, size: Size, sets: int) -> Axis:
    mantissa, octaves = rng.randint(0, engine.MANTISSA_MAX), rng.randint(0, engine.OCTAVES_MAX)
    top = (octaves + 2) << mantissa
    return Axis(
        rng.choice(size.values(sets)),
        rng.randrange(size.scales),
        mantissa,
        octaves,
        max(-2048, min(2047, rng.choice([-128, -top, rng.randint(-top, top), top - 256]))),
    )


def random_corners(rng: random.Random, most: int) -> list[tuple[int, int]]:
    """Corners anywhere: the even-odd rule also holds for lines that cross; some lie on one height."""
    top = engine.COORDINATE_MAX
    heights = [0, top, rng.randint(0, top)]
    return [
        (rng.choice([0, top, rng.randint(0, top)]), rng.choice([*heights, *[rng.randint(0, top)] * 5]))
        for _ in range(rng.randint(3, most))
    ]


def random_ellipse(rng: random.Random) -> tuple[tuple[engine.Edge, engine.Edge], tuple[int, int]]:
    rows, shifts = [], []
    for _ in range(2):
        slope_x, slope_y = rng.randint(-5700, 5700), rng.choice([0, rng.randint(0, 5700)])
        x, y = rng.randint(0, engine.COORDINATE_MAX), rng.randint(0, engine.COORDINATE_MAX)
        rows.append(engine.Edge(slope_x, slope_y, slope_y * x - slope_x * y))
        shifts.append(rng.randrange(engine.SHIFTS))
    return (rows[0], rows[1]), (shifts[0], shifts[1])


def random_bounds(rng: random.Random, known: list[int]) -> tuple[int, int]:
    """Low and high, now and then exactly a value that an event has."""
    if rng.random() < 0.2:
        return engine.INT32
    if rng.random() < 0.3:
        return (rng.choice(known),) * 2
    low, high = sorted([rng.choice([rng.choice(known), rng.randint(*engine.INT32)]) for _ in range(2)])
    return low, high


def random_program(rng: random.Random, size: Size, values: NDArray[np.int32], *, largest: bool = False) -> Program:
    """A gate set over these events' values, (E, 256): all kinds of tests, gates of gates, directions that meet."""
    tests, gates = (most if largest else rng.randint(1, most) for most in (size.tests, size.gates))
    sets = engine.CLASS_SETS if largest else rng.randint(0, engine.CLASS_SETS)
    made = []
    for _ in range(tests):
        x, y = random_axis(rng, size, sets), random_axis(rng, size, sets)
        kind = Kind.POLYGON if largest else rng.choice(list(Kind))
        if kind is Kind.RANGE:
            bounds = [random_bounds(rng, values[:, axis.value].tolist()) for axis in (x, y)]
            class_set = rng.randrange(sets) if sets and rng.random() < 0.4 else None
            made.append(
                Test(kind, x, y, (bounds[0][0], bounds[1][0]), (bounds[0][1], bounds[1][1]), class_set=class_set)
            )
        elif kind is Kind.POLYGON:
            made.append(Test(kind, x, y, edges=engine.polygon(random_corners(rng, size.corners))))
        else:
            rows, shifts = random_ellipse(rng)
            made.append(Test(kind, x, y, edges=rows, shifts=shifts))
    return Program(
        tuple(rng.getrandbits(size.classes) for _ in range(sets)),
        tuple(made),
        tuple(random_gate(rng, tests, number) for number in range(gates)),
        tuple(random_scale(rng) for _ in range(size.scales)),
        size.classes,
    )


def random_gate(rng: random.Random, tests: int, earlier: int) -> Gate:
    named = sum(1 << bit for bit in rng.sample(range(tests), min(tests, rng.randint(1, 3))))
    of_gates = rng.getrandbits(earlier) & rng.getrandbits(16) if earlier and rng.random() < 0.5 else 0
    return Gate(
        named,
        named & rng.getrandbits(32),
        of_gates,
        of_gates & rng.getrandbits(16),
        rng.random() < 0.4,
        rng.choice([None, *range(engine.DIRECTIONS)]),
        rng.choice([0, 7, rng.randrange(engine.PRIORITIES)]),
    )


@dataclass(frozen=True)
class Events:
    """E events: logits (E, N), features (E, F), whether there are any, length and interval (E,)."""

    logits: NDArray[np.int64]
    features: NDArray[np.int64]
    featureless: NDArray[np.bool_]
    length: NDArray[np.int64]
    interval: NDArray[np.int64]


def random_events(rng: random.Random, size: Size, number: int) -> Events:
    """All sizes of values and of distances between logits, ties, the extremes."""
    generator = np.random.default_rng(rng.getrandbits(64))
    low, high = -(2 ** (size.logit_bits - 1)), 2 ** (size.logit_bits - 1) - 1
    spread = 2 ** generator.integers(0, size.logit_bits, (number, 1))
    middle = generator.integers(low, high, (number, 1))
    logits = np.clip(middle + generator.integers(-spread, spread + 1, (number, size.classes)), low, high)
    logits = np.where(generator.random(logits.shape) < 0.1, generator.choice([low, high], logits.shape), logits)
    features = generator.integers(-(2**31), 2**31, (number, size.features)) >> generator.integers(
        0, 32, (number, size.features)
    )
    length = generator.integers(1, 256, number)
    interval = generator.integers(0, 2**31, number) >> generator.integers(0, 31, number)
    featureless = generator.random(number) < (0.1 if size.features else 1)
    return Events(logits, features, featureless, length, interval)
