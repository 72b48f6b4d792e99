# SPDX-License-Identifier: Apache-2.0
"""A gate set as it was drawn, in floating point: beside the gate engine, it tells which events the integers change."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from icsort.formats.compile_gate import Board, Compiled
from icsort.formats.gate import class_mask, posterior_threshold
from icsort.formats.gate_set import AnyTest, Axis, Bounds, ClassTest, EllipseTest, PolygonTest
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate import POSTERIOR_ONE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]


def evaluate(
    compiled: Compiled, board: Board, values: NDArray[np.int32], best: NDArray[np.int64], known: "ArrayLike"
) -> engine.Result:
    """Tests, gates and direction of E events, as `gate_engine.evaluate` takes and gives them.

    Values are the board's integers in their units; all that is done with them is floating point, on the axes as they
    are.
    """
    drawn = _Drawn(compiled, board, values, best)
    tests = np.stack([drawn.test(test) for test in compiled.source.tests], axis=1)
    return engine.combine(compiled.program, tests, engine.unknown_tests(compiled.program, known, len(values)))


class _Drawn:
    """What all tests look at. values: (E, 256); best: (E,)."""

    def __init__(self, compiled: Compiled, board: Board, values: NDArray[np.int32], best: NDArray[np.int64]) -> None:
        self._compiled = compiled
        self._board = board
        self._values = values
        self._best = best

    def test(self, test: AnyTest) -> Bools:
        """Whether it holds, (E,)."""
        if isinstance(test, ClassTest):
            sure = self._posterior(test.classes) >= posterior_threshold(test.posterior) / POSTERIOR_ONE
            mask = class_mask(test.classes, self._board.classes)
            of_them = np.asarray([bool(mask >> c & 1) for c in range(len(self._board.classes))])
            return sure & of_them[self._best] if test.best else sure
        if isinstance(test, PolygonTest):
            return _in_polygon(self._axis(test.x), self._axis(test.y), test.corners)
        if isinstance(test, EllipseTest):
            return _in_ellipse(self._axis(test.x), self._axis(test.y), test)
        return self._within(test.x) & (True if test.y is None else self._within(test.y))

    def _within(self, bounds: Bounds) -> Bools:
        place = self._axis(bounds)
        least = -math.inf if bounds.min is None else bounds.min
        most = math.inf if bounds.max is None else bounds.max
        return (place >= least) & (place <= most)

    def _axis(self, axis: Axis) -> Reals:
        """Places on the axis, (E,)."""
        if axis.classes is not None:
            value: Reals = self._posterior(axis.classes)
        else:
            of_board = self._board.values[axis.value or ""]
            value = self._values[:, of_board.index].astype(np.float64) * of_board.unit_value
        scale = None if axis.scale is None else self._compiled.source.scales[axis.scale]
        return value if scale is None else np.asarray(scale.to_axis(value), np.float64)

    def _posterior(self, classes: tuple[str, ...]) -> Reals:
        number = self._compiled.program.class_sets.index(class_mask(classes, self._board.classes))
        return self._values[:, engine.VALUE_POSTERIOR + number] / POSTERIOR_ONE


def _in_polygon(x: Reals, y: Reals, corners: tuple[tuple[float, float], ...]) -> Bools:
    """Even-odd; a point on a left or lower edge is inside, one on a right or upper edge is not."""
    inside = np.zeros(len(x), np.bool_)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _in_ellipse(x: Reals, y: Reals, test: EllipseTest) -> Bools:
    turn = math.radians(test.angle)
    dx, dy = x - test.center[0], y - test.center[1]
    u = (dx * math.cos(turn) + dy * math.sin(turn)) / test.radii[0]
    v = (dy * math.cos(turn) - dx * math.sin(turn)) / test.radii[1]
    return np.asarray(u * u + v * v < 1)
