# SPDX-License-Identifier: Apache-2.0
"""The cycle model against counting: handshakes and FIFOs moved cycle by cycle, with no formula in common."""

from itertools import pairwise, product

import numpy as np
import pytest

from icsort.hw.folding import cycles
from icsort.hw.kernels.kernel import Node
from icsort.hw.kernels.streams import Stream


def convolution(height: int, width: int, kernel: int, stride: int, rows: int) -> cycles.Graph:
    """Windows of one channel, and a matrix of so many rows behind them; no border, no thresholds."""
    taps = kernel * kernel
    out_height, out_width = ((size - kernel) // stride + 1 for size in (height, width))
    window = Node(
        "window", "ConvolutionInputGenerator", "conv", ("image",), ("windows",), height, width, 1, (8,), 8,
        kernel=(kernel, kernel), stride=(stride, stride), channels=1,
    )  # fmt: skip
    matrix = Node(
        "matrix", "MVAU", "conv", ("windows",), ("logits",), out_height, out_width, taps, (8,), 16,
        rows=rows, columns=taps,
    )  # fmt: skip
    return cycles.Graph((window, matrix), "image", "logits", height, width, 1, rows)


def frame_interval(height: int, width: int, kernel: int, stride: int, cycles_a_window: int, frames: int = 6) -> int:
    """Cycles from frame to frame where pixels never pause, by moving every handshake: a window register that takes a
    pixel when it is empty or emptied, a FIFO of two windows behind it, a layer that is busy with each of them."""
    completes = {
        (row, column)
        for row, column in product(range(kernel - 1, height, stride), range(kernel - 1, width, stride))
    }  # fmt: skip
    pixels = [pixel in completes for pixel in product(range(height), range(width))] * frames
    windows = len(completes)
    waiting, held, busy, taken, cycle, ends = False, 0, 0, 0, 0, []
    while len(ends) < frames:
        room = held < 2
        takes = held > 0 and busy <= 1
        busy = cycles_a_window if takes else max(0, busy - 1)
        shifts = bool(pixels) and (not waiting or room)
        held += (waiting and room) - takes
        if shifts:
            waiting = pixels.pop(0)
        elif room:
            waiting = False
        taken += takes
        if takes and taken % windows == 0:
            ends.append(cycle)
        cycle += 1
    intervals = {later - earlier for earlier, later in pairwise(ends[2:])}
    assert len(intervals) == 1
    return intervals.pop()


WHOLE_WINDOWS = {"window": {"SIMD": 1, "parallel_window": 1}}


@pytest.mark.parametrize(
    ("height", "width", "kernel", "stride", "rows"),
    [(7, 9, 3, 1, 2), (7, 9, 3, 1, 3), (6, 8, 3, 2, 4), (9, 9, 5, 1, 2), (8, 8, 3, 2, 5), (8, 8, 5, 1, 3)],
)
def test_an_interval_that_is_promised_is_kept(height, width, kernel, stride, rows):
    """Pixels that complete no window take their time although the matrix waits for work: it is busy for less."""
    graph = convolution(height, width, kernel, stride, rows)
    prediction = cycles.predict(graph, WHOLE_WINDOWS | {"matrix": {"PE": 1, "SIMD": kernel * kernel}}, width)
    counted = frame_interval(height, width, kernel, stride, rows)
    assert prediction.layers["matrix"][0] < counted <= prediction.interval


@pytest.mark.parametrize(("height", "width", "kernel"), [(7, 9, 3), (6, 6, 5), (5, 8, 2)])
def test_a_layer_that_keeps_up_takes_a_pixel_a_cycle(height, width, kernel):
    graph = convolution(height, width, kernel, 1, 1)
    prediction = cycles.predict(graph, WHOLE_WINDOWS | {"matrix": {"PE": 1, "SIMD": kernel * kernel}}, width)
    assert prediction.interval == frame_interval(height, width, kernel, 1, 1) == height * width


@pytest.mark.parametrize(("size", "stride", "waits"), [(9, 1, True), (9, 2, True), (8, 1, True), (8, 2, False)])
def test_whether_logits_wait_for_the_last_pixel(size, stride, waits):
    """Windows of 3 x 3 in steps of two leave out the last row and column of an even image."""
    graph = convolution(size, size, 3, stride, 1)
    assert cycles.waits(graph, WHOLE_WINDOWS | {"matrix": {"PE": 1, "SIMD": 9}}) == waits


def most_held(arrives: np.ndarray, leaves: np.ndarray) -> int:
    """Most beats in a FIFO at once, counted in every cycle; one that leaves in a cycle is there in it."""
    return max(int(((arrives <= cycle) & (cycle <= leaves)).sum()) for cycle in range(int(leaves.max()) + 1))


def test_beats_that_wait_at_a_join_are_counted(seed):
    random = np.random.default_rng(seed)
    join = Node("join", "ElementwiseAdd", "add", ("lhs", "rhs"), ("sum",), 2, 20, 4, (4, 4), 5)
    for _ in range(50):
        lhs, rhs = (np.cumsum(random.integers(1, 5, 40)) + random.integers(0, 30) for _ in range(2))
        sides = tuple(Stream(times.reshape(1, 2, 20), 4) for times in (lhs, rhs))
        leaves = np.maximum(lhs, rhs)
        flow = cycles.Flow({}, {}, {"join": sides}, {}, {})
        counted = most_held(lhs, leaves), most_held(rhs, leaves)
        assert cycles.held_at_join(join, {"PE": 4}, flow) == counted


@pytest.mark.parametrize(("line_cycles", "rows"), [(30, 3), (20, 2), (24, 2), (10, 1), (45, 4)])
def test_beats_that_wait_for_a_slow_layer_are_counted(line_cycles, rows):
    """Lines of 10 pixels come in bursts; a matrix takes `rows` cycles for each pixel."""
    height, width, frames = 4, 10, 3
    threshold = Node(
        "threshold", "Thresholding", "act", ("image",), ("steps",), height, width, 2, (8,), 4, parameters={"STEPS": 15}
    )
    matrix = Node(
        "matrix", "MVAU", "conv", ("steps",), ("logits",), height, width, 2, (4,), 12, rows=rows, columns=2
    )  # fmt: skip
    graph = cycles.Graph((threshold, matrix), "image", "logits", height, width, 2, rows)
    units = {"threshold": {"PE": 2}, "matrix": {"PE": 1, "SIMD": 2}}
    flow = cycles.follow(graph, units, line_cycles, frames=frames)
    arrives = np.array([line * line_cycles + column for line in range(frames * height) for column in range(width)])
    leaves = []
    for cycle in arrives:
        leaves.append(max(cycle, leaves[-1] + rows) if leaves else cycle)
    assert cycles.held(graph, units, flow)["steps"] == most_held(arrives, np.array(leaves))


@pytest.mark.parametrize("clock_mhz", [20.0, 100.0, 200.0])
def test_the_instruments_line_rate_decides_when_pixels_come(clock_mhz):
    """2.2 million lines a second, or a pixel a cycle where a line has more pixels than that leaves cycles."""
    graph = convolution(9, 9, 3, 1, 1)
    units = WHOLE_WINDOWS | {"matrix": {"PE": 1, "SIMD": 9}}
    line_cycles = {20.0: 9, 100.0: 45, 200.0: 90}[clock_mhz]
    assert cycles.at_line_rate(graph, units, clock_mhz) == cycles.predict(graph, units, line_cycles).latency
    assert cycles.at_line_rate(graph, units, clock_mhz) > 8 * line_cycles
