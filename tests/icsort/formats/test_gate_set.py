# SPDX-License-Identifier: Apache-2.0
"""Gate sets in TOML: scales against flowutils and SciPy, files there and back, refusals by name."""

import re
from pathlib import Path

import numpy as np
import pytest
from flowutils import transforms
from scipy.optimize import brentq

from icsort.errors import IcsortError
from icsort.formats import gate_set
from icsort.formats.gate_set import Arcsinh, Linear, Log, Logicle, of_classes, parse, to_toml

EXAMPLE = """
format = "icsort-gate-set"
version = 1
name = "large and \\"mitotic\\""

[scales.wide]
kind = "logicle"
t = 262144
m = 4.5
w = 0.5

[scales."to scale"]
kind = "log"
t = 10000.0
m = 4

[[tests]]
name = "mitotic"
kind = "class"
classes = ["M", "A"]
posterior = 0.8

[[tests]]
name = "long"
kind = "range"
x = {value = "event length", min = 5.5}
y = {classes = ["M"], max = 0.25}

[[tests]]
name = "drawn"
kind = "polygon"
x = {value = "size", scale = "wide"}
y = {value = "total", scale = "to scale"}
corners = [[0.1, 0.2], [0.8, 0.3], [0.5, 0.9]]

[[tests]]
name = "round"
kind = "ellipse"
x = {value = "size", scale = "wide"}
y = {classes = ["A", "M"]}
center = [0.4, 0.5]
radii = [0.2, 0.3]
angle = 30

[[gates]]
name = "sort"
all = ["mitotic", "not long", "shape"]

[[gates]]
name = "shape"
any = ["drawn", "not round"]

[[directions]]
output = 2
gate = "sort"
priority = 1
"""


def rows(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, 1)


@pytest.mark.parametrize(
    ("t", "m", "w", "a"),
    [(262144, 4.5, 0.5, 0.0), (262144, 4.5, 1.0, 0.5), (1000, 4, 0, 0), (5e8, 5, 1, -0.5), (30, 3, 1.5, 0)],
)
def test_logicle(t: float, m: float, w: float, a: float) -> None:
    scale = Logicle(kind="logicle", t=t, m=m, w=w, a=a)
    x = np.linspace(float(scale.from_axis(np.asarray(0.0))), t, 2000)
    assert np.abs(scale.to_axis(x) - transforms.logicle(rows(x), [0], t=t, m=m, w=w, a=a)[:, 0]).max() < 1e-9
    assert scale.to_axis(np.asarray([t])) == pytest.approx(1)
    # Far beyond the axis, where flowutils ends: the root by SciPy.
    for far in (-3 * t, -t, 5 * t):
        root = brentq(lambda y, far=far: float(scale.from_axis(np.asarray(y))) - far, -3, 4, xtol=1e-13)
        assert scale.to_axis(np.asarray([far])) == pytest.approx(root, abs=1e-9)


def test_the_other_scales() -> None:
    x = np.concatenate([-np.geomspace(1e-3, 1e6, 300), [0], np.geomspace(1e-3, 1e6, 300)])
    arcsinh = Arcsinh(kind="arcsinh", t=5000, m=4, a=0.5)
    assert np.abs(arcsinh.to_axis(x) - transforms.asinh(rows(x), [0], t=5000, m=4, a=0.5)[:, 0]).max() < 1e-12
    log = Log(kind="log", t=5000, m=4)
    positive = x[x > 0]
    assert np.abs(log.to_axis(positive) - transforms.log(rows(positive), [0], t=5000, m=4)[:, 0]).max() < 1e-12
    assert np.isneginf(log.to_axis(x[x <= 0])).all()
    linear = Linear(kind="linear", t=5000, a=100)
    assert np.array_equal(linear.to_axis(x), (x + 100) / 5100)
    for scale in (arcsinh, linear):
        assert np.allclose(scale.from_axis(scale.to_axis(x)), x, rtol=1e-9, atol=1e-9)
    assert np.allclose(log.from_axis(log.to_axis(positive)), positive)


def test_a_file_there_and_back() -> None:
    gates = parse(EXAMPLE, "example")
    assert gates.name == 'large and "mitotic"'
    assert parse(to_toml(gates), "again") == gates
    assert to_toml(gates).startswith('format = "icsort-gate-set"\nversion = 1\n')
    short = of_classes(("M", "A"), 0.25)
    assert parse(to_toml(short), "again") == short
    assert [gate.name for gate in gate_set.order(gates.gates)] == ["shape", "sort"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('format = "icsort-gate-set"\n', "", "format is missing"),
        ("version = 1", "version = 2", "version is 2, and this icsort reads version 1"),
        ("[[tests]]", "[[tests]", "not a TOML file"),
        (
            "posterior = 0.8",
            "posterior = 1.8",
            r"tests\[0\].class.posterior is 1.8: it must be less than or equal to 1",
        ),
        ("posterior = 0.8", "posterior = 2020-01-01", "dates and times have no place"),
        ("posterior = 0.8", "posterior = nan", "posterior"),
        ('classes = ["M", "A"]\nposterior', "classes = []\nposterior", "at least 1"),
        ('kind = "class"', 'kind = "cloud"', "tests"),
        ("min = 5.5}", "min = 5.5, max = 5}", r"min 5.5 is above max 5: no event would pass"),
        (", min = 5.5}", "}", "a range needs min, max or both"),
        ('{classes = ["M"], max', '{classes = ["M"], value = "x", max', "an axis has either `value`"),
        ("[0.5, 0.9]]", "[0.5, 0.9], [0.1, 0.2]]", "a corner is there twice; a polygon closes by itself"),
        ("[0.5, 0.9]]", "[0.5, 0.9], [0.6, 0.1]]", "the edges from corners 0 and 2 cross"),
        ("[0.8, 0.3], [0.5, 0.9]]", "[0.8, 0.3], [0.45, 0.25]]", "the edges from corners 0 and 1 cross"),
        (", [0.5, 0.9]]", "]", "at least 3"),
        ("w = 0.5", "w = 2.5", "w must be at most m / 2"),
        ("m = 4\n", "m = 1000\n", "m is 1000: it must be less than or equal to 100"),
        ("radii = [0.2, 0.3]", "radii = [0.2, 0]", "radii"),
        ('name = "shape"', 'name = "long"', "the name 'long' is there twice"),
        ('name = "shape"', 'name = "not shape"', "a name must not begin with 'not '"),
        ('"drawn", "not round"', '"drawn", "not square"', "gate 'shape' names 'square', which is no test and no gate"),
        ('"drawn", "not round"', '"drawn", "sort"', "gates name each other in a circle: sort -> shape -> sort"),
        ('any = ["drawn", "not round"]', "any = []", "at least 1"),
        ('any = ["drawn", "not round"]', "", "a gate has either `all` or `any`"),
        (
            'scale = "wide"}\ny = {value',
            'scale = "w"}\ny = {value',
            "test 'drawn' names the scale 'w', which is not there",
        ),
        ('gate = "sort"', 'gate = "long"', "direction 2 names 'long', which is no gate"),
        ("output = 2", "output = 6", "output is 6: it must be less than or equal to 5"),
        ("priority = 1", '[[directions]]\noutput = 2\ngate = "shape"', "output 2 has two directions"),
        ("priority = 1", '[[directions]]\noutput = 1\ngate = "sort"', "gate 'sort' has two directions"),
        ("priority = 1", "colour = 1", "unknown key directions"),
    ],
)
def test_refusals(old: str, new: str, message: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(IcsortError, match=message) as refused:
        parse(EXAMPLE.replace(old, new, 1), "gates.toml")
    assert str(refused.value).startswith("gates.toml: ")
    assert "\n" not in str(refused.value) or "TOML" in str(refused.value)


def test_the_page_s_example_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs/gates.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [test.kind for test in parse(example, "docs/gates.md").tests] == ["class", "range", "polygon"]


def test_what_edges_may_do() -> None:
    """Corners of any simple polygon, also one that touches none of its edges by a hair; and what is not simple."""
    square = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
    notched = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 0.1), (0.0, 4.0))
    assert gate_set._crossing(square) is None
    assert gate_set._crossing(notched) is None
    assert gate_set._crossing(notched[::-1]) is None
    assert gate_set._crossing(((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 0.0), (0.0, 4.0))) == (0, 2)  # touches
    assert gate_set._crossing(((0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0))) == (0, 2)  # a bow tie
    assert gate_set._crossing(((0.0, 0.0), (4.0, 0.0), (2.0, 0.0))) is not None  # goes back on itself
    assert gate_set._crossing(((0.0, 0.0), (2.0, 0.0), (4.0, 0.0), (4.0, 4.0))) is None  # a corner on a straight line


def test_a_posterior_that_is_none() -> None:
    with pytest.raises(IcsortError, match=r"posterior 1\.5 is not within 0\.\.1"):
        of_classes(("M",), 1.5)
    with pytest.raises(IcsortError, match="at least 1"):
        of_classes((), 0.5)
