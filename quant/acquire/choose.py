# SPDX-License-Identifier: Apache-2.0
"""What the hardware is set to before the network, chosen from the training cells, and cells cut as it would cut them.

Every cell becomes what the hardware would give the network: its lines, followed by lines of background, go through the
bit-true trigger and window of icsort.sim.bit_true.event, then through icsort.sim.bit_true.preprocess.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.sim.bit_true.event import Trigger, cut_events
from icsort.sim.bit_true.preprocess import GAIN_MAX, preprocess

WINDOWS = ("trigger", "image")
TRIGGER_NOISE = 6.0  # the threshold lies this many standard deviations of a background line's sum above it
DARKEST, BRIGHTEST = 0.1, 99.9  # percentiles of the training pixels that map to 0 and 255
FEW = 3.0  # percentage of images that may begin with empty lines where each is a window
MAX_SHIFT = 16


@dataclass(frozen=True)
class Constants:
    """What the hardware is set to: trigger and window, line width, preprocessing, and the value of empty lines.

    background_line: (C,) counts of a pixel between cells. background, gain, shift: see icsort.sim.bit_true.preprocess.
    """

    trigger: Trigger
    line_width: int
    background_line: tuple[int, ...]
    background: tuple[int, ...]
    gain: tuple[int, ...]
    shift: int

    def pixels(self, windows: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Raw windows (N, H, W, C) to network pixels of that shape."""
        return preprocess(windows, self.background, self.gain, self.shift)


@dataclass(frozen=True)
class Cut:
    """Windows of the cells that triggered, uint16 (M, H, W, C); `cells` (M,) their index; `missed` the other cells."""

    windows: NDArray[np.uint16]
    cells: NDArray[np.int64]
    missed: NDArray[np.int64]


def choose_constants(
    images: Sequence[NDArray[np.uint16]],
    height: int | None = None,
    window: str = "trigger",
    brightest: float = BRIGHTEST,
) -> Constants:
    """Constants of trigger, window and preprocessing from the training cells.

    images: (height_i, width, C) raw counts. The window is as wide as the images and `height` (the tallest image) high.
    window: "trigger" cuts cells out of the background around them; "image" takes each image as the window, for images
    that show neighbours too: lines between images are empty (zero), and the first that is not starts the window.
    brightest: percentile of each channel's pixels that maps to 255; whatever is brighter cannot be told apart.

    Raises IcsortError where no trigger finds the cells, and for a percentile that is none.
    """
    if not 50 < brightest <= 100:
        raise IcsortError(f"--brightest {brightest:g}: give a percentile above 50 and at most 100")
    if window not in WINDOWS:
        raise IcsortError(f"there is no window {window!r}: choose one of {', '.join(WINDOWS)}")
    width, channels = images[0].shape[1], images[0].shape[2]
    channel, threshold, background_line = (_line_trigger if window == "trigger" else _frame_trigger)(images)
    # a generator, so that one channel is in memory at a time
    planes = (np.concatenate([image[..., each].ravel() for image in images]) for each in range(channels))
    low, high = np.transpose([np.percentile(plane, [DARKEST, brightest]) for plane in planes])
    gains = 255.0 / np.maximum(high - low, 1.0)
    shift = MAX_SHIFT
    while shift > 1 and np.rint(gains.max() * 2**shift) > GAIN_MAX:
        shift -= 1
    tallest = max(image.shape[0] for image in images)
    return Constants(
        trigger=Trigger(channel, threshold, height or tallest, width),
        line_width=width,
        background_line=background_line,
        background=tuple(int(value) for value in np.rint(low)),
        gain=tuple(int(value) for value in np.rint(gains * 2**shift)),
        shift=shift,
    )


def _line_trigger(images: Sequence[NDArray[np.uint16]]) -> tuple[int, int, tuple[int, ...]]:
    """Channel and threshold that tell a cell's lines from background, and the counts of a background pixel.

    Background of a channel: the median of the first and last lines of all images. Trigger channel: the one whose
    dimmest cells (first percentile of the brightest line) stand out most from background lines, in units of the
    background line's robust standard deviation. Threshold: TRIGGER_NOISE of these above a background line, so that
    little of the cell's top is lost; lower where a training cell would stay below it, but always above the
    background itself.
    """
    edges = np.concatenate([np.concatenate([image[:1], image[-1:]]) for image in images])
    background_line = np.median(edges, axis=(0, 1))
    width, channels = images[0].shape[1], images[0].shape[2]
    best_channel, best_contrast, thresholds = 0, -np.inf, []
    for channel in range(channels):
        level = float(np.rint(background_line[channel])) * width
        sums = edges[:, :, channel].sum(axis=1, dtype=np.int64)
        noise = max(1.0, 1.4826 * float(np.median(np.abs(sums - np.median(sums)))))
        peaks = np.asarray([image[:, :, channel].sum(axis=1, dtype=np.int64).max() for image in images])
        contrast = (float(np.percentile(peaks, 1)) - level) / noise
        lowest = max(level + noise, float(peaks.min()))
        thresholds.append(math.ceil(min(level + TRIGGER_NOISE * noise, lowest)))
        if contrast > best_contrast:
            best_channel, best_contrast = channel, contrast
    if best_contrast <= 1.0:
        raise IcsortError("no channel tells cells from empty lines, so no trigger can be set; check the images")
    return best_channel, thresholds[best_channel], tuple(int(value) for value in np.rint(background_line))


def _frame_trigger(images: Sequence[NDArray[np.uint16]]) -> tuple[int, int, tuple[int, ...]]:
    """Channel and threshold that find the first line of images between empty (zero) lines, and such a pixel.

    The channel whose dim first lines (percentile FEW) are brightest, and half of that as threshold: of the few images
    that begin with empty lines these are cut off.
    """
    sums = np.stack([image[0].sum(axis=0, dtype=np.int64) for image in images])
    dim = np.percentile(sums, FEW, axis=0)
    channel = int(dim.argmax())
    if dim[channel] < 1:
        raise IcsortError(
            f"more than {FEW:g} % of the images begin with an empty line, as what lies between images does; use "
            "--window trigger"
        )
    return channel, math.ceil(dim[channel] / 2), (0,) * images[0].shape[2]


def cut_cells(images: Sequence[NDArray[np.uint16]], constants: Constants) -> Cut:
    """Send cells through the trigger as the line stream does: each one's lines, then a window of background lines.

    images: (height_i, width, C) raw counts. A tall cell that triggers again after its window keeps its first event.
    """
    trigger = constants.trigger
    heights = np.asarray([image.shape[0] + trigger.height for image in images])
    begins = np.concatenate([[0], np.cumsum(heights)])
    lines = np.empty((begins[-1], constants.line_width, len(constants.background_line)), np.uint16)
    lines[:] = np.asarray(constants.background_line, np.uint16)
    for begin, image in zip(begins, images, strict=False):
        lines[begin : begin + len(image)] = image
    starts = cut_events(lines, trigger)
    cells, first = np.unique(np.searchsorted(begins, starts, side="right") - 1, return_index=True)
    rows = starts[first][:, None] + np.arange(trigger.height)
    windows = lines[rows, trigger.x_offset : trigger.x_offset + trigger.width]
    return Cut(windows, cells, np.setdiff1d(np.arange(len(images)), cells))
