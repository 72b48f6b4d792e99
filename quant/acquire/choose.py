# SPDX-License-Identifier: Apache-2.0
"""What the hardware in front of the network is set to, chosen from the training cells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icsort.errors import IcsortError
from icsort.formats.acquisition import (
    Acquisition,
    FeatureSpec,
    FlatFieldSpec,
    InputSpec,
    LineSpec,
    PreprocessSpec,
    TriggerSpec,
)
from icsort.formats.background import Background, FalseTriggers
from icsort.formats.document import refusals
from icsort.sim.bit_true.event import FLAT_ONE, MAX_LINES, line_sums
from icsort.sim.bit_true.features import MAX_CHANNELS
from icsort.sim.bit_true.preprocess import GAIN_MAX, SAMPLE_MAX

WINDOWS = ("trigger", "image")
TRIGGER_NOISE = 6.0  # the threshold lies this many standard deviations of an empty line's sum above it
LEAST_NOISE = 5.0  # or lower, where cells are dimmer, but never below this many: 3 of 10 million lines of white noise
OFF = 0.5  # of the way from an empty line to the threshold, below which lines end an event
SPLIT = 0.5  # percentage of cells that may have more lines below that inside them than end an event
END_LINES = 2, 8  # that end an event, at least and at most
PRE_LINES = 2  # lines before the first that triggers: the dim rim of a cell
LONGEST = 2  # an event may have so many times the lines of the longest training cell
DIMMEST = 1.0  # percentage of cells that may be dimmer than the threshold: empty crops are among the images
DARKEST, BRIGHTEST = 0.1, 99.9  # percentiles of the training pixels that map to 0 and 255
FEW = 3.0  # percentage of images that may begin with empty lines where each is a window
MAX_SHIFT = 16
BESIDE = 2.0  # standard deviations by which the line beside a cell's first or last one is bright too
BANK_LINES = 1024  # background lines that are kept, at most
LIGHT = 6.0  # standard deviations of a background pixel from which on features count it as light


class NoTriggerError(IcsortError):
    """No channel tells a cell's lines from those between cells."""


@dataclass(frozen=True)
class Rules:
    """What of trigger and window is chosen by hand.

    width: columns of the window, the image's where None, else its middle, or `centred` on each cell. pre_lines: lines
    of the window before the one that triggers, None: PRE_LINES where cells are cut. min_lines: shorter events are
    debris. dip: depth, in sixteenths of the height, by which the line sum falls between the two maxima of a doublet; 0:
    none is looked for.
    """

    width: int | None = None
    centred: bool = False
    pre_lines: int | None = None
    min_lines: int = 1
    dip: int = 0


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
    rules: Rules | None = None,
) -> Setup:
    """Trigger, window and preprocessing from the training cells, and what they show beside cells.

    images: (height_i, LINE_W, C) raw counts. The window is `height` (the tallest image) high. window: "trigger" cuts
    cells out of the background around them; "image" takes each image as the window, for images that show neighbours
    too: lines between images are empty (zero), and the first that is not starts the window. brightest: percentile of
    each channel's pixels that maps to 255; whatever is brighter cannot be told apart. Where windows are centred, the
    flat field takes the background out of each column, so that the centroid is the cell's.

    Raises NoTriggerError where no trigger tells the cells from noise, IcsortError for a window that the hardware cannot
    hold and for a percentile that is none.
    """
    if not 50 < brightest <= 100:
        raise IcsortError(f"--brightest {brightest:g}: give a percentile above 50 and at most 100")
    if window not in WINDOWS:
        raise IcsortError(f"there is no window {window!r}: choose one of {', '.join(WINDOWS)}")
    rules = rules or Rules()
    if rules.centred and window == "image":
        raise IcsortError(
            "--centred with --window image: there is no background that tells where in a line the cell is"
        )
    line_width = images[0].shape[1]
    width = rules.width or line_width
    with refusals("the window over the images", "crop the images, or give a smaller --height or --window-width"):
        shape = InputSpec(
            height=height or max(image.shape[0] for image in images), width=width, channels=images[0].shape[2]
        )
        line = LineSpec(width=line_width, x_offset=max(0, line_width - width) // 2, centred=rules.centred)
    flat_field = _column_dark(images) if rules.centred else None
    if flat_field is not None:
        dark = np.asarray(flat_field.dark)
        corrected = [np.asarray(np.maximum(image.astype(np.int64) - dark, 0), np.uint16) for image in images]
    else:
        corrected = list(images)
    columns = slice(0, line_width) if rules.centred else slice(line.x_offset, line.x_offset + width)
    seen = [image[:, columns] for image in corrected]
    with refusals("the images", "give images that an instrument can have made, or other lengths of an event"):
        trigger = _line_trigger(seen, channels, rules) if window == "trigger" else _frame_trigger(seen, shape, rules)
        acquisition = Acquisition(
            channels=tuple(channels),
            input=shape,
            line=line,
            trigger=trigger,
            preprocess=_preprocessing(corrected, brightest),
            flat_field=flat_field,
        )
    if window == "trigger":
        background, false_triggers = measure_background(images, acquisition)
        if shape.channels <= MAX_CHANNELS:
            features = _feature_levels(acquisition.corrected(background.lines))
            acquisition = acquisition.model_copy(update={"features": features})
        return Setup(acquisition, background, false_triggers)
    return Setup(acquisition, _nothing(images), FalseTriggers(0, 0))


def measure_background(
    images: Sequence[NDArray[np.uint16]], acquisition: Acquisition
) -> tuple[Background, FalseTriggers]:
    """Lines without a cell among the first and last lines of images (height_i, LINE_W, C), and how often they trigger.

    Such a line shows the tip of a cell where it would trigger and the one beside it is bright as well, by BESIDE
    standard deviations; noise rarely makes two. A line that reaches the threshold is a false trigger, although where
    events must be longer than one line it ends as debris. Images most of whose edges show something are frames without
    a border: between them nothing is seen.
    """
    trigger = acquisition.event_trigger
    edges = [image[rows] for image in images for rows in ([0, min(1, len(image) - 1)], [-1, max(-2, -len(image))])]
    sums = np.stack([line_sums(acquisition.corrected(pair), trigger) for pair in edges])
    over = sums[:, 0] >= trigger.on
    level, noise = _level_and_noise(sums[:, 0])
    empty = np.flatnonzero(~(over & (sums[:, 1] >= min(trigger.on, level + BESIDE * noise))))
    if 2 * len(empty) < len(edges):
        return _nothing(images), FalseTriggers(0, 0)
    kept = np.random.default_rng(0).permutation(empty)[:BANK_LINES]
    false_triggers = FalseTriggers(len(empty), int(over[empty].sum()))
    return Background(np.stack([edges[index][0] for index in kept])), false_triggers


def _feature_levels(lines: NDArray[np.uint16]) -> FeatureSpec:
    """Of background lines (L, LINE_W, C): each channel's median, and LIGHT times its noise above it."""
    levels = [_level_and_noise(lines[..., channel].astype(np.int64)) for channel in range(lines.shape[2])]
    return FeatureSpec(
        background=tuple(round(level) for level, _ in levels),
        threshold=tuple(min(SAMPLE_MAX, math.ceil(LIGHT * noise)) for _, noise in levels),
    )


def _column_dark(images: Sequence[NDArray[np.uint16]]) -> FlatFieldSpec:
    """The median of each column in the first and last lines, taken out of the line."""
    dark = np.median(np.stack([image[row] for image in images for row in (0, -1)]), axis=0)
    columns = tuple(tuple(int(value) for value in row) for row in np.rint(dark))
    return FlatFieldSpec(dark=columns, flat=tuple((FLAT_ONE,) * len(row) for row in columns))


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


def _line_trigger(images: Sequence[NDArray[np.uint16]], channels: Sequence[str], rules: Rules) -> TriggerSpec:
    """Channel, thresholds and lengths that tell a cell's lines from empty ones.

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
    contrast = min(TRIGGER_NOISE, contrasts[best]) * noises[best]
    on, off = math.ceil(levels[best] + contrast), math.ceil(levels[best] + OFF * contrast)
    sums = [image[:, :, best].sum(axis=1, dtype=np.int64) for image in images]
    end_lines, longest = _lengths(sums, on, off)
    pre_lines = PRE_LINES if rules.pre_lines is None else rules.pre_lines
    return TriggerSpec(
        weights=tuple(int(channel == best) for channel in range(len(channels))),
        on=on,
        off=off,
        end_lines=end_lines,
        min_lines=rules.min_lines,
        max_lines=max(rules.min_lines, min(LONGEST * longest, MAX_LINES - pre_lines - end_lines)),
        pre_lines=pre_lines,
        post_lines=end_lines,
        dip=rules.dip,
    )


def _lengths(sums: Sequence[NDArray[np.int64]], on: int, off: int) -> tuple[int, int]:
    """Lines below `off` that end an event, so that few cells are split, and lines of the longest cell."""
    gaps, longest = [], 1
    for lines in sums:
        high = np.flatnonzero(lines >= on)
        if len(high):
            lit = np.flatnonzero(lines[: high[-1] + 1] >= off)
            lit = lit[lit >= high[0]]
            gaps.append(int(np.diff(lit).max(initial=1)) - 1)
            longest = max(longest, int(lit[-1] - lit[0]) + 1)
    split = math.ceil(np.percentile(gaps, 100 - SPLIT)) if gaps else 0
    return min(max(split + 1, END_LINES[0]), END_LINES[1]), longest


def _frame_trigger(images: Sequence[NDArray[np.uint16]], shape: InputSpec, rules: Rules) -> TriggerSpec:
    """Thresholds that find the first line of images between empty (zero) lines, and go on to the window's end.

    All channels count. Threshold: half of the dim first lines' sum (percentile FEW); of the few images that begin with
    empty lines these are cut off. An event ends with a window's height of empty lines, or as many as there can be.
    """
    sums = np.stack([image[0].sum(axis=0, dtype=np.int64) for image in images])
    dim = float(np.percentile(sums.sum(axis=1), FEW))
    if dim < 1:
        raise IcsortError(
            f"more than {FEW:g} % of the images begin with an empty line, as what lies between images does; use "
            "--window trigger"
        )
    rest = TriggerSpec.whole_window(0, shape.channels, 1, shape.height)
    pre_lines = rules.pre_lines or 0
    return rest.model_copy(
        update={
            "weights": (1,) * shape.channels,
            "on": math.ceil(dim / 2),
            "pre_lines": pre_lines,
            "min_lines": rules.min_lines,
            "max_lines": rest.max_lines - pre_lines,
            "dip": rules.dip,
        }
    )
