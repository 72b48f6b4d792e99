# SPDX-License-Identifier: Apache-2.0
"""Preprocessing against exact rational arithmetic, and its refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from icsort.errors import IcsortError
from icsort.sim.bit_true.preprocess import GAIN_MAX, GAIN_MIN, preprocess

SAMPLES = st.integers(0, 65535)
GAINS = st.integers(GAIN_MIN, GAIN_MAX)


def exact(sample: int, background: int, gain: int, shift: int) -> int:
    """Round half up, then clip, in rationals: the definition rather than the shifter."""
    value = math.floor(Fraction((sample - background) * gain, 2**shift) + Fraction(1, 2))
    return max(0, min(255, value))


@given(st.lists(SAMPLES, min_size=1, max_size=20), SAMPLES, GAINS, st.integers(1, 31))
@example([0, 65535], 65535, GAIN_MIN, 1)
@example([0, 65535], 0, GAIN_MIN, 31)
@example([0, 65535], 65535, GAIN_MAX, 31)
@example([1, 3, 5], 0, 1, 1)
@example([1, 3, 5], 2, -1, 1)
def test_equals_rational_arithmetic(samples: list[int], background: int, gain: int, shift: int) -> None:
    pixels = preprocess(np.asarray(samples, np.uint16)[:, None], [background], [gain], shift)
    assert pixels.dtype == np.uint8
    assert pixels[:, 0].tolist() == [exact(sample, background, gain, shift) for sample in samples]


def test_each_channel_has_its_own_constants() -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (4, 5, 6, 3)).astype(np.uint16)
    background, gain, shift = [100, 30000, 65535], [300, -70000, -2], 16
    pixels = preprocess(samples, background, gain, shift)
    assert pixels.shape == samples.shape
    for channel in range(3):
        alone = preprocess(
            samples[..., channel : channel + 1], background[channel : channel + 1], [gain[channel]], shift
        )
        assert (pixels[..., channel] == alone[..., 0]).all()


@pytest.mark.parametrize(
    ("samples", "background", "gain", "shift", "named"),
    [
        (np.zeros((2, 1), np.uint16), [0], [GAIN_MAX + 1], 16, r"gain\[0\]"),
        (np.zeros((2, 1), np.uint16), [0], [GAIN_MIN - 1], 16, r"gain\[0\]"),
        (np.zeros((2, 1), np.uint16), [65536], [1], 16, r"background\[0\]"),
        (np.zeros((2, 1), np.uint16), [-1], [1], 16, r"background\[0\]"),
        (np.zeros((2, 1), np.uint16), [0], [1], 0, "shift"),
        (np.zeros((2, 1), np.uint16), [0], [1], 32, "shift"),
        (np.zeros((2, 2), np.uint16), [0, 0], [1], 16, "2 backgrounds and 1 gains"),
        (np.zeros((2, 2), np.uint16), [0], [1], 16, "1 channels"),
        (np.zeros((2, 1), np.int32), [0], [1], 16, "int32"),
        (np.uint16(3), [0], [1], 16, "shape"),
    ],
)
def test_refuses(samples: np.ndarray, background: list[int], gain: list[int], shift: int, named: str) -> None:
    with pytest.raises(IcsortError, match=named) as caught:
        preprocess(samples, background, gain, shift)
    assert "\n" not in str(caught.value)
