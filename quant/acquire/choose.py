# SPDX-License-Identifier: Apache-2.0
"""What the hardware in front of the network is set to, chosen from the training cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import Acquisition, InputSpec, LineSpec, PreprocessSpec, TriggerSpec
from icsort.formats.background import Background, FalseTriggers
from icsort.formats.document import refusals
from icsort.sim.bit_true.event import Trigger
from icsort.sim.bit_true.preprocess import GAIN_MAX

WINDOWS = ("trigger", "image")
TRIGGER_NOISE = 6.0  # the threshold lies this many standard deviations of an empty line's sum above it
LEAST_NOISE = 5.0  # or lower, where cells are dimmer, but never below this many: 3 of 10 million lines of white noise
DIMMEST = 1.0  # percentage of cells that may be dimmer than the threshold: empty crops are among the images
DARKEST, BRIGHTEST = 0.1, 99.9  # percentiles of the training pixels that map to 0 and 255
FEW = 3.0  # percentage of images that may begin with empty lines where each is a window
MAX_SHIFT = 16
BESIDE = 2.0  # standard deviations by which the line beside a cell's first or last one is bright too
BANK_LINES = 1024  # background lines that are kept, at most


class NoTriggerError(IcsortError):
    """No channel tells a cell's lines from those between cells."""


@dataclass(frozen=True)
class Setup:
    """Acquisition settings, the lines that flow between cells, and how often those trigger."""

    acquisition: Acquisition
    background: Background
    false_triggers: FalseTriggers


def choose_setup(
    images: Sequence[NDArray[np.uint16]],
    channels: Sequence[str],
    height: int | None = None,
    window: str = "trigger",
    brightest: float = BRIGHTEST,
) -> Setup:
    """Trigger, window and preprocessing from the training cells, and what they show beside cells.

    images: (height_i, width, C) raw counts. The window is as wide as the images and `height` (the tallest image) high.
    window: "trigger" cuts cells out of the background around them; "image" takes each image as the window, for images
    that show neighbours too: lines between images are empty (zero), and the first that is not starts the window.
    brightest: percentile of each channel's pixels that maps to 255; whatever is brighter cannot be told apart.

    Raises NoTriggerError where no trigger tells the cells from noise, IcsortError for a window that the hardware cannot
    hold and for a percentile that is none.
    """
    if not 50 < brightest <= 100:
        raise IcsortError(f"--brightest {brightest:g}: give a percentile above 50 and at most 100")
    if window not in WINDOWS:
        raise IcsortError(f"there is no window {window!r}: choose one of {', '.join(WINDOWS)}")
    width = images[0].shape[1]
    with refusals("the window over the images", "crop the images, or give a smaller --height"):
        shape = InputSpec(
            height=height or max(image.shape[0] for image in images), width=width, channels=images[0].shape[2]
        )
    if window == "trigger":
        channel, threshold = _line_trigger(images, channels)
        trigger = Trigger(channel, threshold, shape.height, width)
        background, false_triggers = measure_background(images, trigger)
    else:
        channel, threshold = _frame_trigger(images)
        background, false_triggers = _nothing(images), FalseTriggers(0, 0)
    with refusals("the images", "give images that an instrument can have made"):
        acquisition = Acquisition(
            channels=tuple(channels),
            input=shape,
            line=LineSpec(width=width),
            trigger=TriggerSpec(channel=channel, threshold=threshold),
            preprocess=_preprocessing(images, brightest),
        )
    return Setup(acquisition, background, false_triggers)


def measure_background(images: Sequence[NDArray[np.uint16]], trigger: Trigger) -> tuple[Background, FalseTriggers]:
    """Lines without a cell among the first and last lines of images (height_i, LINE_W, C), and how often they trigger.

    Such a line shows the tip of a cell where it would trigger and the one beside it is bright as well, by BESIDE
    standard deviations; noise rarely makes two. Images most of whose edges show something are frames without a border:
    between them nothing is seen.
    """
    columns = slice(trigger.x_offset, trigger.x_offset + trigger.width)
    edges = [image[rows] for image in images for rows in ([0, min(1, len(image) - 1)], [-1, max(-2, -len(image))])]
    sums = np.stack([pair[:, columns, trigger.channel].sum(axis=1, dtype=np.int64) for pair in edges])
    over = sums[:, 0] >= trigger.threshold
    level, noise = _level_and_noise(sums[:, 0])
    empty = np.flatnonzero(~(over & (sums[:, 1] >= min(trigger.threshold, level + BESIDE * noise))))
    if 2 * len(empty) < len(edges):
        return _nothing(images), FalseTriggers(0, 0)
    kept = np.random.default_rng(0).permutation(empty)[:BANK_LINES]
    false_triggers = FalseTriggers(len(empty), int(over[empty].sum()))
    return Background(np.stack([edges[index][0] for index in kept])), false_triggers


def _level_and_noise(sums: NDArray[np.int64]) -> tuple[float, float]:
    """Median, and the standard deviation about it as the median distance gives it; at least a count."""
    level = float(np.median(sums))
    return level, max(1.0, 1.4826 * float(np.median(np.abs(sums - level))))


def _nothing(images: Sequence[NDArray[np.uint16]]) -> Background:
    return Background(np.zeros((1, *images[0].shape[1:]), np.uint16))


def _preprocessing(images: Sequence[NDArray[np.uint16]], brightest: float) -> PreprocessSpec:
    # a generator, so that one channel is in memory at a time
    planes = (np.concatenate([image[..., c].ravel() for image in images]) for c in range(images[0].shape[2]))
    low, high = np.transpose([np.percentile(plane, [DARKEST, brightest]) for plane in planes])
    gains = 255.0 / np.maximum(high - low, 1.0)
    shift = MAX_SHIFT
    while shift > 1 and np.rint(gains.max() * 2**shift) > GAIN_MAX:
        shift -= 1
    return PreprocessSpec(
        background=tuple(int(value) for value in np.rint(low)),
        gain=tuple(int(value) for value in np.rint(gains * 2**shift)),
        shift=shift,
    )


def _line_trigger(images: Sequence[NDArray[np.uint16]], channels: Sequence[str]) -> tuple[int, int]:
    """Channel and threshold that tell a cell's lines from empty ones.

    Noise of a channel: the robust standard deviation of the sums of all images' first and last lines about their
    median. Trigger channel: the one whose dim cells (percentile DIMMEST of the brightest line) stand out most from that
    median, in units of the noise. Threshold: TRIGGER_NOISE of these above it, so that little of the cell's top is lost;
    lower where the dim cells would stay below, down to LEAST_NOISE.
    """
    levels, noises, contrasts = [], [], []
    for channel in range(len(channels)):
        sums = [image[:, :, channel].sum(axis=1, dtype=np.int64) for image in images]
        edges = np.asarray([[lines[0], lines[-1]] for lines in sums])
        level, noise = _level_and_noise(edges)
        levels.append(level)
        noises.append(noise)
        dim = float(np.percentile([lines.max() for lines in sums], DIMMEST))
        contrasts.append((dim - level) / noise)
    best = int(np.argmax(contrasts))
    if contrasts[best] < LEAST_NOISE:
        raise NoTriggerError(
            f"no channel tells cells from empty lines: the dimmest {DIMMEST:g} % stand out most in {channels[best]}, "
            f"by {contrasts[best]:.1f} standard deviations of an empty line, and a trigger needs {LEAST_NOISE:g}; take "
            "out images without a cell, or, where cells fill their images or neighbours show, use --window image"
        )
    return best, math.ceil(levels[best] + min(TRIGGER_NOISE, contrasts[best]) * noises[best])


def _frame_trigger(images: Sequence[NDArray[np.uint16]]) -> tuple[int, int]:
    """Channel and threshold that find the first line of images between empty (zero) lines.

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
    return channel, math.ceil(dim[channel] / 2)
