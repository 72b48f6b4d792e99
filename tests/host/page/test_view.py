# SPDX-License-Identifier: Apache-2.0
"""Bins and axes of the page's plots, and the events that they are of."""

import base64

import numpy as np
import pytest
from pydantic import TypeAdapter

from icsort.formats.fcs import Parameter
from icsort.formats.gate_set import AnyScale
from icsort.formats.page_request import PlotAxis
from icsort.formats.recording import GATES
from icsort.host.page.kept import Kept
from icsort.host.page.view import BINS, LEVELS, Chosen, density, edges, fitted, histogram, plot_json, ticks

SCALES = (
    {"kind": "linear", "t": 1000.0, "a": 50.0},
    {"kind": "log", "t": 1000.0, "m": 4.0},
    {"kind": "arcsinh", "t": 1000.0, "m": 4.0, "a": 1.0},
    {"kind": "logicle", "t": 1000.0, "m": 4.5, "w": 0.7},
)


def axis(scale: dict[str, object], value: str = "x", low: float = 0.0, high: float = 1.0) -> PlotAxis:
    return PlotAxis(value=value, scale=TypeAdapter(AnyScale).validate_python(scale), low=low, high=high)


@pytest.mark.parametrize("x_scale", SCALES)
@pytest.mark.parametrize("y_scale", SCALES)
def test_density_is_numpys_histogram(x_scale: dict[str, object], y_scale: dict[str, object]) -> None:
    """Of the places on the axes, and of the values between the bins' edges, to the event."""
    draw = np.random.default_rng(3)
    x, y = draw.normal(100, 200, (2, 20_000))
    x_axis, y_axis = axis(x_scale), axis(y_scale, low=0.1, high=1.1)
    found = density(x, y, x_axis, y_axis)
    by_value, *_ = np.histogram2d(y, x, bins=(edges(y_axis), edges(x_axis)))
    assert np.array_equal(found, by_value)
    limits = np.linspace(0.1, 1.1, BINS + 1), np.linspace(0, 1, BINS + 1)
    on_axes, *_ = np.histogram2d(y_axis.scale.to_axis(y), x_axis.scale.to_axis(x), bins=limits)
    assert np.abs(found - on_axes).sum() <= 2  # a value on an edge, by rounding
    assert found.sum() > 1000


def test_edges_belong_to_bins_as_numpy_has_it() -> None:
    whole = axis({"kind": "linear", "t": 128.0})
    values = np.arange(-1.0, 131.0)
    assert np.array_equal(histogram(values, whole), np.histogram(values, bins=edges(whole))[0])
    assert histogram(values, whole).sum() == 129


def test_levels_tell_every_bin_that_has_an_event() -> None:
    kept = Kept((Parameter("x", 1), Parameter("y", 1), Parameter(GATES, 1)), {})
    kept.add(np.array([[10.0, 10.0, 1.0]] * 5000 + [[90.0, 90.0, 2.0]]))
    both = axis({"kind": "linear", "t": 100.0}), axis({"kind": "linear", "t": 100.0}, "y")
    shown = plot_json(kept.last(), *both, Chosen())
    levels = np.frombuffer(base64.b64decode(shown["levels"]), np.uint8).reshape(BINS, BINS)
    assert (shown["events"], shown["most"], levels.max(), np.count_nonzero(levels)) == (5001, 5000, LEVELS, 2)
    assert levels[12, 12] == LEVELS
    assert plot_json(kept.last(), *both, Chosen(1))["events"] == 1
    assert plot_json(kept.last(), *both, Chosen(7))["events"] == 0


def test_no_events_are_a_plot_as_well() -> None:
    kept = Kept((Parameter("x", 1), Parameter(GATES, 1)), {})
    one = axis({"kind": "linear", "t": 100.0})
    assert plot_json(kept.last(), one, one, Chosen())["most"] == 0


@pytest.mark.parametrize("kind", ["linear", "log", "arcsinh", "logicle"])
@pytest.mark.parametrize("seed", range(4))
def test_a_fitted_axis_shows_the_events(kind: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.lognormal(seed * 3, 1.2, 5000) * (draw.choice([1, -0.1], 5000) if seed % 2 else 1)
    scale, low, high = fitted(kind, values)
    shown = PlotAxis(value="x", scale=scale, low=low, high=high)
    inside = histogram(values, shown).sum()
    assert inside >= 0.98 * np.count_nonzero(values > (0 if kind == "log" else -np.inf))
    marks = ticks(shown)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in marks)
    named = [(place, float(text)) for place, text in marks if text]
    assert len(named) >= 2
    for place, number in named:
        assert scale.to_axis(np.array([number]))[0] == pytest.approx(low + place * (high - low), abs=1e-6)


@pytest.mark.parametrize("values", [[], [0.0], [5.0, 5.0], [-3.0], [2.0**40, 2.0**40 + 1]])
@pytest.mark.parametrize("kind", ["linear", "log", "arcsinh", "logicle"])
def test_any_values_have_an_axis(kind: str, values: list[float]) -> None:
    scale, low, high = fitted(kind, np.array(values))
    assert ticks(PlotAxis(value="x", scale=scale, low=low, high=high)) is not None


def test_the_last_events_are_kept_in_their_order() -> None:
    kept = Kept((Parameter("x", 1), Parameter("y", 1)), {}, most=100)
    taken, number, given = [], 0, []
    for count in np.random.default_rng(0).integers(1, 260, 60):
        rows = np.stack([np.arange(number, number + count), -np.arange(number, number + count)], axis=1).astype(float)
        number += int(count)
        kept.add(rows)
        last = kept.last()
        taken = np.arange(max(0, number - 100), number).astype(float).tolist()
        assert last.column("x").tolist() == taken
        assert (-last.rows(0, 1000)[:, 1]).tolist() == taken
        assert kept.last(7).column("x").tolist() == taken[-7:]
        given.append((last, taken))
    assert kept.added == number
    for last, were in given:  # what was given out stays as it was
        assert last.column("x").tolist() == were
