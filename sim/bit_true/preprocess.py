# SPDX-License-Identifier: Apache-2.0
"""Integer preprocessing of raw samples to the network's unsigned 8-bit pixels, the same in training and in hardware.

For every channel::

    y = clip(((x - background) * gain + 2**(shift - 1)) >> shift, 0, 255)

with x and background unsigned 16 bit, gain signed 18 bit and an arithmetic (flooring) shift to the right. The widest
product is below 2**34, so that 64-bit arithmetic is exact.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from icsort.errors import IcsortError

SAMPLE_MAX = 2**16 - 1
GAIN_MIN = -(2**17)
GAIN_MAX = 2**17 - 1
SHIFT_MIN = 1
SHIFT_MAX = 31
PIXEL_MAX = 255


def check_constants(background: Sequence[int], gain: Sequence[int], shift: int) -> None:
    """Refuse constants that the hardware cannot hold.

    background: C values, unsigned 16 bit. gain: C values, signed 18 bit. shift: 1..31.
    Raises IcsortError that names the constant.
    """
    if len(background) != len(gain):
        raise IcsortError(
            f"preprocess has {len(background)} backgrounds and {len(gain)} gains: give one of each for every channel"
        )
    for channel, value in enumerate(background):
        if not 0 <= value <= SAMPLE_MAX:
            raise IcsortError(f"preprocess.background[{channel}] is {value}: it must be within 0..{SAMPLE_MAX}")
    for channel, value in enumerate(gain):
        if not GAIN_MIN <= value <= GAIN_MAX:
            raise IcsortError(f"preprocess.gain[{channel}] is {value}: it must be within {GAIN_MIN}..{GAIN_MAX}")
    if not SHIFT_MIN <= shift <= SHIFT_MAX:
        raise IcsortError(f"preprocess.shift is {shift}: it must be within {SHIFT_MIN}..{SHIFT_MAX}")


def preprocess(samples: ArrayLike, background: Sequence[int], gain: Sequence[int], shift: int) -> NDArray[np.uint8]:
    """Raw samples to network pixels.

    samples: unsigned 16-bit counts, shape (..., C). background, gain: C constants; shift: one for all channels.
    Returns uint8 of the same shape. Raises IcsortError for samples that are not uint16, another number of channels or
    constants out of range.
    """
    check_constants(background, gain, shift)
    raw = np.asarray(samples)
    if raw.dtype != np.uint16:
        raise IcsortError(f"preprocess takes uint16 samples, not {raw.dtype}: digitize the images first")
    if raw.ndim == 0 or raw.shape[-1] != len(background):
        raise IcsortError(
            f"samples of shape {raw.shape} do not end in the {len(background)} channels of the preprocessing constants"
        )
    offset = np.asarray(background, dtype=np.int64)
    factor = np.asarray(gain, dtype=np.int64)
    scaled = ((raw.astype(np.int64) - offset) * factor + (1 << (shift - 1))) >> shift
    return np.asarray(np.clip(scaled, 0, PIXEL_MAX), dtype=np.uint8)
