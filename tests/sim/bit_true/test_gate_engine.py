# SPDX-License-Identifier: Apache-2.0
"""The gate engine's model against Matplotlib's paths, NumPy's interpolation, plain Python and today's class gate."""

import itertools
import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from icsort.errors import IcsortError
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate import calibrate, decide
from icsort.sim.bit_true.gate_engine import Axis, Edge, Gate, Kind, Program, Scale, Test
from tests.hw.sorter.gate_sets import Size, random_events, random_program

TOP = engine.COORDINATE_MAX
# Value v of 0..16382 is coordinate v: 64 pieces of 256 values between flat ones.
PLAIN = Scale((0, *range(0, 2**14, 256), *[TOP] * 191), (0, *[256] * 63, 255, *[0] * 191))
AXES = Axis(80, 0, 6, 16, -1), Axis(81, 0, 6, 16, -1)


def inside(points: np.ndarray, test: Test) -> np.ndarray:
    """Of points (E, 2), coordinates, whether they pass."""
    values = np.zeros((len(points), engine.VALUES), np.int32)
    values[:, 80:82] = points
    program = Program((), (test,), (Gate(1),), (PLAIN,))
    return engine.evaluate(program, values, np.zeros(len(points), np.int64)).tests[:, 0]


def test_a_plain_scale_is_plain() -> None:
    values = np.asarray([-(2**31), -1, *range(TOP - 255), 2**14, 2**31 - 1])
    expected = np.clip(values, 0, TOP)
    assert np.array_equal(engine.coordinate(values, AXES[0], PLAIN), expected)


def simple_polygon(rng: random.Random, corners: int) -> list[tuple[int, int]]:
    """Star-shaped, so that its edges do not cross."""
    angles = sorted(rng.uniform(0, 2 * np.pi) for _ in range(corners))
    return [
        (round(8000 + rng.uniform(200, 8000) * np.cos(a)), round(8000 + rng.uniform(200, 8000) * np.sin(a)))
        for a in angles
    ]


@pytest.mark.parametrize("corners", [3, 5, 16])
def test_polygons_are_those_of_matplotlib(seed: int, corners: int) -> None:
    """Points off the edges, anywhere: of polygons that cross themselves Matplotlib has the same even-odd rule."""
    rng, generator = random.Random(seed), np.random.default_rng(seed)
    for _ in range(20):
        polygon = simple_polygon(rng, corners)
        points = generator.integers(0, TOP, (3000, 2))
        ends = np.asarray(polygon, np.int64)
        following = np.roll(ends, -1, axis=0)
        cross = (following[:, 0] - ends[:, 0]) * (points[:, None, 1] - ends[:, 1]) - (following[:, 1] - ends[:, 1]) * (
            points[:, None, 0] - ends[:, 0]
        )
        off = (cross != 0).all(axis=1)
        expected = Outline(ends).contains_points(points)
        found = inside(points, Test(Kind.POLYGON, *AXES, edges=engine.polygon(polygon)))
        assert np.array_equal(found[off], expected[off])


def test_points_on_edges_belong_to_one_of_two_neighbours() -> None:
    """Left and lower edges are inside, right and upper ones are not: tiles share no point and leave none out."""
    xs = [10, 300, 301, 5000, 5001, 12000]
    tiles = [[(a, c), (b, c), (b, d), (a, d)] for a, b in itertools.pairwise(xs) for c, d in itertools.pairwise(xs)]
    tiles += [[(10, 10), (12000, 10), (10, 12000)], [(12000, 12000), (10, 12000), (12000, 10)]]
    rng = np.random.default_rng(1)
    corners = np.stack(np.meshgrid(xs, xs), -1).reshape(-1, 2)
    diagonal = rng.integers(10, 12000, 200)
    points = np.concatenate([corners, rng.integers(10, 12000, (2000, 2)), np.stack([diagonal, 12010 - diagonal], -1)])
    within = (points >= 10).all(axis=1) & (points < 12000).all(axis=1)
    counts = [
        sum(inside(points, Test(Kind.POLYGON, *AXES, edges=engine.polygon(tile))).astype(int) for tile in group)
        for group in (tiles[:-2], tiles[-2:])
    ]
    for count in counts:
        assert np.array_equal(count, within.astype(int))
    # Neither the sense of rotation nor the corner that it begins with matters.
    polygon = simple_polygon(random.Random(2), 9)
    reference = inside(points, Test(Kind.POLYGON, *AXES, edges=engine.polygon(polygon)))
    for other in (polygon[::-1], polygon[4:] + polygon[:4]):
        assert np.array_equal(inside(points, Test(Kind.POLYGON, *AXES, edges=engine.polygon(other))), reference)


def test_an_ellipse_is_that_of_the_formula() -> None:
    rows = (Edge(4000, 3000, 3000 * 5000 - 4000 * 7000 + 512), Edge(-1500, 2000, 2000 * 5000 + 1500 * 7000 + 128))
    test = Test(Kind.ELLIPSE, *AXES, edges=rows, shifts=(5, 4))
    points = np.random.default_rng(3).integers(0, TOP, (20000, 2))
    x, y = points.T.astype(float)
    u = (4000 * (y - 7000) - 3000 * (x - 5000)) / 2**10
    v = (-1500 * (y - 7000) - 2000 * (x - 5000)) / 2**8
    radius = np.hypot(u, v)
    found = inside(points, test)
    clear = np.abs(radius - engine.RADIUS) > 2
    assert 100 < found.sum() < 19900
    assert np.array_equal(found[clear], (radius < engine.RADIUS)[clear])


def test_a_scale_joins_its_knots_by_straight_lines(seed: int) -> None:
    """Whatever pieces it has, and over all of 32 bits: NumPy's interpolation of the knots, rounded down."""
    rng, generator = random.Random(seed), np.random.default_rng(seed)
    values = np.unique(
        np.concatenate(
            [
                generator.integers(-(2**31), 2**31, 3000) >> generator.integers(0, 31, 3000),
                np.arange(-70, 70),
                [-(2**31), 2**31 - 1],
            ]
        )
    )
    for _ in range(60):
        mantissa, octaves = rng.randint(0, 6), rng.randint(0, 30)
        start = rng.randint(-(octaves + 2) << mantissa, (octaves + 2) << mantissa)
        start = max(-2048, min(2047, start))
        places = sorted(rng.randint(0, TOP) for _ in range(257))
        scale = Scale(tuple(places[:-1]), tuple(b - a for a, b in itertools.pairwise(places)))
        axis = Axis(0, 0, mantissa, octaves, start)
        knots = [engine.knot(code, mantissa, octaves) for code in range(start, start + 257)]
        known = (values >= knots[0] + 1) & (values < knots[-1] - 1)
        if start < 0 < start + 256:  # the last piece of negative values ends at -1, the first of the others begins at 0
            knots.insert(-start, -1.0)
            places.insert(-start, places[-start])
        expected = np.interp(values[known], knots, places)
        # Rounded down twice: the 17 bits of the fraction, and their product with the rise.
        found = engine.coordinate(values[known], axis, scale)
        steps = np.diff(places).max() / 2**17
        assert np.abs(found - expected).max(initial=0) <= 1 + steps


def test_codes_rise_with_the_value() -> None:
    for mantissa in range(7):
        for octaves in range(31):
            edges = {s * (2**k + d) for k in range(31) for d in (-1, 0, 1) for s in (-1, 1)} | {2**31 - 1, -(2**31)}
            values = sorted(value for value in edges if -(2**31) <= value < 2**31)
            codes = [engine.code_of(value, mantissa, octaves) for value in values]
            assert codes == sorted(codes)
            for value, code in zip(values, codes, strict=True):
                low, high = engine.knot(code, mantissa, octaves), engine.knot(code + 1, mantissa, octaves)
                assert low <= value <= high if value >= 0 else low < value <= high


def test_the_class_gate_to_the_bit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(30):
        classes, constants = int(generator.integers(1, 65)), calibrate(0.004, 1.1)
        logits = generator.integers(-900, 900, (2000, classes))
        mask = int(generator.integers(0, 2**classes, dtype=np.uint64))
        passes, best, posterior = decide(logits, mask, 0, *constants)
        threshold = int(generator.choice([0, 65535, int(generator.choice(posterior))]))
        passes, best, posterior = decide(logits, mask, threshold, *constants)
        program = engine.of_classes(mask, threshold, classes)
        values = engine.values_of(logits, program, *constants)
        assert np.array_equal(values[:, 0], posterior)
        result = engine.evaluate(program, values, best)
        assert np.array_equal(result.direction == 0, passes)
        assert not result.ambiguous.any()


def by_hand(program: Program, tests: list[bool]) -> tuple[list[bool], int, bool]:
    """Gates and direction of one event, one at a time."""
    gates: list[bool] = []
    hits: list[tuple[int, int]] = []
    for gate in program.gates:
        members = [
            value != bool(negated >> bit & 1)
            for named, negated, of in ((gate.tests, gate.not_tests, tests), (gate.gates, gate.not_gates, gates))
            for bit, value in enumerate(of)
            if named >> bit & 1
        ]
        gates.append(all(members) != gate.negated)
        if gates[-1] and gate.direction is not None:
            hits.append((gate.priority, gate.direction))
    top = [direction for priority, direction in hits if priority == max(hits)[0]]
    return gates, top[0] if len(top) == 1 else -1, len(top) > 1


def test_gates_and_directions_one_at_a_time(seed: int) -> None:
    rng, size = random.Random(seed), Size(5, 16, 7)
    events = random_events(rng, size, 200)
    nothing = Program((1,) * 8, (Test(Kind.RANGE, Axis(0)),), (Gate(1),))
    values = engine.values_of(events.logits, nothing, 1, 0, features=events.features, length=events.length)
    ambiguous = 0
    for _ in range(40):
        program = random_program(rng, size, values)
        result = engine.evaluate(program, values, events.logits.argmax(axis=1))
        for i, tests in enumerate(result.tests.tolist()):
            expected = by_hand(program, tests)
            assert (result.gates[i].tolist(), result.direction[i], result.ambiguous[i]) == expected
        ambiguous += result.ambiguous.sum()
        words = program.words()
        assert engine.unpack(words) == program
        assert all(0 <= word < 2**32 for word in words.values())
        assert all(0 <= index < 2**13 for index in words)
    assert ambiguous > 0


def test_the_identity_is_that_of_all_words() -> None:
    words = engine.of_classes(5, 1000, 3).words()
    assert words[engine.INDEX_ID] == engine.identity(dict(reversed(words.items())))
    for index in set(words) - {engine.INDEX_ID}:
        assert engine.identity(words | {index: words[index] ^ 1}) != words[engine.INDEX_ID]
        assert engine.identity({i: w for i, w in words.items() if i != index}) != words[engine.INDEX_ID]
    with pytest.raises(IcsortError, match="are no gate set"):
        engine.unpack({engine.INDEX_COUNTS: 1 | 1 << 8})


BASE = engine.of_classes(1, 0, 3)
POLYGON = Test(Kind.POLYGON, *AXES, edges=engine.polygon([(0, 0), (TOP, 0), (0, TOP)]))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (replace(BASE, tests=BASE.tests * 33), "33 tests are more than the 32"),
        (replace(BASE, gates=BASE.gates * 17), "17 gates are more than the 16"),
        (replace(BASE, scales=(PLAIN,) * 17), "17 scales are more than the 16"),
        (replace(BASE, class_sets=(1,) * 9), "9 class sets are more than the 8"),
        (replace(BASE, gates=()), "at least one test and one gate"),
        (replace(BASE, tests=()), "at least one test and one gate"),
        (replace(BASE, gates=(Gate(),)), "gate 0 is empty"),
        (replace(BASE, gates=(Gate(2),)), "gate 0 names a test that is not there"),
        (
            replace(BASE, gates=(Gate(1), Gate(gates=2))),
            "gate 1 names a test that is not there, itself, or a gate behind",
        ),
        (replace(BASE, gates=(Gate(1, not_tests=2),)), "gate 0 negates what it does not name"),
        (replace(BASE, gates=(Gate(1, direction=6),)), r"direction 6 is not within 0\.\.5"),
        (replace(BASE, gates=(Gate(1, priority=8),)), r"priority 8 is not within 0\.\.7"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(256)),)), "test 0 holds a number"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(1)),)), "test 0 holds a number"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(0), class_set=1),)), "test 0 holds a number"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(0), low=(2**31, 0)),)), "test 0 holds a number"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(0, start=2048)),)), "test 0 holds a number"),
        (replace(BASE, tests=(Test(Kind.RANGE, Axis(0, mantissa=7)),)), "test 0 holds a number"),
        (replace(BASE, tests=(replace(POLYGON, edges=POLYGON.edges[:2]),)), "test 0 holds a number"),
        (replace(BASE, tests=(replace(POLYGON, edges=POLYGON.edges * 6),)), "test 0 holds a number"),
        (replace(BASE, tests=(replace(POLYGON, edges=(Edge(16384, 0, 0),) * 3),)), "test 0 holds a number"),
        (replace(BASE, tests=(replace(POLYGON, edges=(Edge(0, -1, 0),) * 3),)), "test 0 holds a number"),
        (replace(BASE, tests=(replace(POLYGON, edges=(Edge(9, 9, 2**28),) * 3),)), "test 0 holds a number"),
        (
            replace(BASE, scales=(Scale((TOP,) * 256, (*[0] * 255, 1)),)),
            r"scale 0 must have 256 pieces and coordinates within",
        ),
        (replace(BASE, scales=(Scale((0,) * 255, (0,) * 255),)), "scale 0 must have 256 pieces"),
    ],
)
def test_refuses_what_the_engine_cannot_hold(program: Program, message: str) -> None:
    with pytest.raises(IcsortError, match=message):
        program.words()


def test_every_point_of_small_polygons(seed: int) -> None:
    """On a grid of 13 x 13 points, by fractions: an edge is crossed where the point is left of it, in the rows from its
    lower end to below its upper one."""
    rng = random.Random(seed)
    points = np.stack(np.meshgrid(np.arange(13), np.arange(13)), -1).reshape(-1, 2)
    for _ in range(60):
        corners = [(rng.randrange(13), rng.randrange(13)) for _ in range(rng.randint(3, 7))]
        expected = []
        for x, y in points.tolist():
            crossings = 0
            for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                if min(y0, y1) <= y < max(y0, y1):
                    crossings += x < x0 + Fraction((y - y0) * (x1 - x0), y1 - y0)
            expected.append(crossings % 2 == 1)
        assert inside(points, Test(Kind.POLYGON, *AXES, edges=engine.polygon(corners))).tolist() == expected
