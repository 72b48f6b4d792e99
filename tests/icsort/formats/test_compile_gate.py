# SPDX-License-Identifier: Apache-2.0
"""Compiled gate sets select what was drawn: real-valued gates by NumPy and Matplotlib beside the engine's integers."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from icsort.errors import IcsortError
from icsort.formats.compile_gate import Board, Value, compile_gate
from icsort.formats.gate import posterior_threshold
from icsort.formats.gate_set import AnyScale, GateSet, of_classes, parse
from icsort.sim.bit_true import gate_engine as engine
from tests.icsort.formats.test_gate_set import EXAMPLE

CLASSES = ("G1", "M", "A")
BOARD = Board(
    {
        "event length": Value(engine.VALUE_LENGTH, 1.0, "lines"),
        "size": Value(engine.VALUE_FEATURE, 1 / 256, "pixels"),
        "total": Value(engine.VALUE_FEATURE + 1, 1.0, "counts"),
    },
    CLASSES,
)
HEAD = 'format = "icsort-gate-set"\nversion = 1\n'
TAIL = '[[gates]]\nname = "g"\nall = ["t"]\n[[directions]]\noutput = 0\ngate = "g"\n'


def values(size: np.ndarray, total: np.ndarray) -> np.ndarray:
    table = np.zeros((len(size), engine.VALUES), np.int32)
    table[:, engine.VALUE_FEATURE], table[:, engine.VALUE_FEATURE + 1] = size, total
    return table


def selected(gates: GateSet, table: np.ndarray, best: np.ndarray | None = None) -> np.ndarray:
    program = compile_gate(gates, BOARD).program
    assert engine.unpack(program.words()) == program
    return engine.evaluate(program, table, np.zeros(len(table), np.int64) if best is None else best).tests[:, 0]


def test_today_s_gate_is_one_test_and_one_gate() -> None:
    for classes, posterior in ((("M", "G1"), 0.9), (("A",), 0.0), (("A",), 1.0)):
        compiled = compile_gate(of_classes(classes, posterior), BOARD)
        mask = sum(1 << CLASSES.index(name) for name in classes)
        expected = engine.of_classes(mask, posterior_threshold(posterior), 3)
        assert compiled.program == expected
        assert compiled.words == expected.words()
        assert compiled.identity == f"{expected.words()[engine.INDEX_ID]:08x}"


def random_features(seed: int, scale: AnyScale, number: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """All sizes and both signs, and as many all over the axis."""
    rng = np.random.default_rng(seed)
    columns = []
    for unit in (1 / 256, 1.0):
        sizes = rng.integers(-(2**31), 2**31, number) >> rng.integers(0, 31, number)
        spread = scale.from_axis(rng.uniform(-0.1, 1.1, number)) / unit
        columns.append(rng.permutation(np.r_[sizes, np.rint(spread).clip(-(2**31), 2**31 - 1).astype(np.int64)]))
    return columns[0], columns[1]


DRAWN = '[[tests]]\nname = "t"\nkind = "class"\nclasses = ["M"]\n'
SCALES = {
    "linear": 'kind = "linear"\nt = 100000\na = 50',
    "log": 'kind = "log"\nt = 100000\nm = 4',
    "arcsinh": 'kind = "arcsinh"\nt = 100000\nm = 4\na = 1',
    "logicle": 'kind = "logicle"\nt = 100000\nm = 4\nw = 0.5',
}


AXES = 'x = {value = "size", scale = "s"}\ny = {value = "total", scale = "s"}\n'


def with_scale(scale: str, test: str) -> GateSet:
    return parse(f"{HEAD}[scales.s]\n{SCALES[scale]}\n{test}{TAIL}", "t")


@pytest.mark.parametrize("scale", SCALES)
def test_a_range_selects_exactly_what_its_axis_says(seed: int, scale: str) -> None:
    size, total = random_features(seed, with_scale(scale, DRAWN).scales["s"])
    for low, high in ((0.2, 0.8), (0.35, 0.36), (-0.2, 0.1)):
        for bounds, passes in (
            (f"min = {low}, max = {high}", lambda g, low=low, high=high: (low <= g) & (g <= high)),
            (f"min = {low}", lambda g, low=low: low <= g),
            (f"max = {high}", lambda g, high=high: g <= high),
        ):
            gates = with_scale(
                scale, f'[[tests]]\nname = "t"\nkind = "range"\nx = {{value = "size", scale = "s", {bounds}}}\n'
            )
            axis = gates.scales["s"].to_axis(size / 256)
            assert np.array_equal(selected(gates, values(size, total)), passes(axis))


@pytest.mark.parametrize("scale", SCALES)
def test_a_polygon_on_any_axis(seed: int, scale: str) -> None:
    """All events but those that the statement says may lie on either side of an edge."""
    corners = [(0.15, 0.1), (0.8, 0.2), (0.95, 0.9), (0.5, 0.4), (0.2, 0.7)]
    gates = with_scale(
        scale, f'[[tests]]\nname = "t"\nkind = "polygon"\n{AXES}corners = {[list(corner) for corner in corners]}\n'
    )
    size, total = random_features(seed, gates.scales["s"])
    points = np.stack([gates.scales["s"].to_axis(size / 256), gates.scales["s"].to_axis(total * 1.0)], axis=1)
    points = np.where(np.isfinite(points), points, -9.0)
    expected = Outline(corners).contains_points(points)
    found = selected(gates, values(size, total))
    # Distance to each edge; 0.002 of the axis is what the worst of these scales states.
    ends, following = np.asarray(corners), np.roll(np.asarray(corners), -1, axis=0)
    along = following - ends
    share = (((points[:, None] - ends) * along).sum(-1) / (along**2).sum(-1)).clip(0, 1)
    distance = np.linalg.norm(points[:, None] - ends - share[..., None] * along, axis=-1).min(axis=1)
    clear = distance > 0.002
    assert clear.mean() > 0.9
    assert 100 < expected.sum() < len(expected) - 100
    assert np.array_equal(found[clear], expected[clear])


@pytest.mark.parametrize("angle", [0, 30, 90, 200])
@pytest.mark.parametrize("scale", ["arcsinh", "logicle"])
def test_an_ellipse_on_any_axis(seed: int, scale: str, angle: int) -> None:
    gates = with_scale(
        scale,
        f'[[tests]]\nname = "t"\nkind = "ellipse"\n{AXES}center = [0.5, 0.45]\nradii = [0.3, 0.05]\nangle = {angle}\n',
    )
    size, total = random_features(seed, gates.scales["s"])
    x, y = gates.scales["s"].to_axis(size / 256) - 0.5, gates.scales["s"].to_axis(total * 1.0) - 0.45
    turn = np.deg2rad(angle)
    radius = np.hypot((x * np.cos(turn) + y * np.sin(turn)) / 0.3, (y * np.cos(turn) - x * np.sin(turn)) / 0.05)
    found = selected(gates, values(size, total))
    clear = np.abs(radius - 1) > 0.03
    assert (radius < 1).sum() > 100
    assert np.array_equal(found[clear], (radius < 1)[clear])


def test_the_statement_bounds_what_a_scale_misses(seed: int) -> None:
    """The coordinate of every integer is within what the statement says of its place on the axis."""
    compiled = compile_gate(parse(EXAMPLE, "example"), BOARD)
    line = next(change for change in compiled.changes if change.startswith("drawn: "))
    stated = float(line.split("size through wide: at most ")[1].split(" ")[0])
    step = float(line.split("whose steps are ")[1].split(",")[0])
    scale = parse(EXAMPLE, "example").scales["wide"]
    axis = compiled.program.tests[2].x
    low, high = (int(scale.from_axis(np.asarray(g)) * 256) for g in (0.21, 0.79))  # within the shapes' reach
    integers = np.unique(np.random.default_rng(seed).integers(low, high, 20000))
    places = scale.to_axis(integers / 256)
    coordinates = engine.coordinate(integers, axis, compiled.program.scales[axis.scale])
    slope, bottom = np.polyfit(places, coordinates, 1)
    assert 1 / slope == pytest.approx(step, rel=0.01)
    assert np.abs((coordinates - bottom) / slope - places).max() <= 1.5 * stated
    assert stated < 0.001


def test_gates_and_class_sets_in_their_order() -> None:
    program = compile_gate(parse(EXAMPLE, "example"), BOARD).program
    # mitotic, long's M, round's A and M again
    assert program.class_sets == (0b110, 0b010)
    assert [test.kind.name for test in program.tests] == ["RANGE", "RANGE", "POLYGON", "ELLIPSE"]
    shape, sort = program.gates
    assert shape == engine.Gate(tests=0b1100, not_tests=0b0100, negated=True)  # either: not (not drawn and round)
    assert sort == engine.Gate(tests=0b0011, not_tests=0b0010, gates=0b1, direction=2, priority=1)


def with_test(text: str) -> GateSet:
    return parse(f'{HEAD}[[tests]]\nname = "t"\n{text}\n{TAIL}', "t")


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (of_classes(("G2",), 0.5), "the model has no class 'G2'; its classes are: G1, M, A"),
        (
            with_test('kind = "range"\nx = {value = "colour", min = 1}'),
            "test 't': this board has no value 'colour'; it has: ",
        ),
        (
            with_test('kind = "range"\nx = {value = "size", min = 1e9}'),
            "test 't': no value of size is within 1000000000.0 ",
        ),
        (
            with_test(
                'kind = "polygon"\nx = {value = "size"}\ny = {value = "total"}\ncorners = '
                f"{[[1000 * float(np.cos(a)), 1e6 * float(np.sin(a))] for a in np.linspace(0, 6, 17)]}"
            ),
            "test 't' has 17 corners, more than the 16 of the gate engine",
        ),
        (
            with_test(
                'kind = "polygon"\nx = {value = "size"}\ny = {value = "total"}\n'
                "corners = [[0, 0], [1000, 1000000], [1000.001, 1000000]]"
            ),
            "test 't': the polygon has no area in the steps of its scales",
        ),
        (
            with_test(
                'kind = "polygon"\nx = {value = "total"}\ny = {value = "size"}\n'
                "corners = [[2000000000, 0], [2000000300, 0], [2000000001, 100]]"
            ),
            "the scale of total cannot be held",
        ),
    ],
)
def test_refusals(gates: GateSet, message: str) -> None:
    with pytest.raises(IcsortError, match=message):
        compile_gate(gates, BOARD)


def test_more_than_the_engine_has() -> None:
    sets = "".join(
        f'[[tests]]\nname = "c{i}"\nkind = "class"\nclasses = {[f"k{j}" for j in range(4) if i >> j & 1]}\n'
        for i in range(1, 10)
    ).replace("'", '"')
    gates = parse(HEAD + sets + TAIL.replace('"t"', '"c1"'), "t")
    with pytest.raises(IcsortError, match="more than the 8 class sets"):
        compile_gate(gates, Board({}, ("k0", "k1", "k2", "k3")))
    many = "".join(
        f'[[tests]]\nname = "p{i}"\nkind = "polygon"\nx = {{value = "v{i}"}}\ny = {{value = "v{i + 1}"}}\n'
        "corners = [[0, 0], [9, 0], [0, 9]]\n"
        for i in range(16)
    )
    board = Board({f"v{i}": Value(80 + i, 1.0, "") for i in range(17)}, CLASSES)
    with pytest.raises(IcsortError, match="17 pairs of a value and a scale, more than the 16"):
        compile_gate(parse(HEAD + many + TAIL.replace('"t"', '"p1"'), "t"), board)
