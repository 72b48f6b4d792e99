# SPDX-License-Identifier: Apache-2.0
"""Raw lines again, of windows as the network took them: those that the same hardware would make the same windows of.

A grey level stands for an interval of counts, of which the middle is taken. Whatever the middle would do, the window
begins where it began: the line that triggered reaches the threshold, those before it do not, each within its levels.
What was outside the window is background.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icsort.formats.acquisition import Acquisition
from icsort.formats.background import Background, FalseTriggers
from icsort.quant.acquire.choose import Setup
from icsort.sim.bit_true.event import line_sums
from icsort.sim.bit_true.features import MAX_CHANNELS
from icsort.sim.bit_true.preprocess import PIXEL_MAX

LEVELS = PIXEL_MAX + 1
BANK_LINES = 1024  # background lines that are kept, at most


def restore_lines(windows: NDArray[np.uint8], acquisition: Acquisition) -> list[NDArray[np.uint16]]:
    """Windows (N, H, W, C) to raw counts, (H + the longest channel delay, LINE_W, C) each."""
    low, middle, high = _intervals(acquisition)
    channels = np.arange(windows.shape[-1])
    trigger, first = acquisition.event_trigger, acquisition.line.x_offset
    lines = np.empty((*windows.shape[:2], acquisition.line.width, len(channels)), np.uint16)
    lines[:] = background_counts(acquisition)
    columns = lines[:, :, first : first + windows.shape[2]]
    columns[:] = middle[channels, windows]
    rows = np.arange(windows.shape[1])
    sums = line_sums(lines.reshape(-1, *lines.shape[2:]), trigger).reshape(windows.shape[:2])
    # What is not of the event is black in a window, whatever flowed there: the last lines that are not end it.
    members = np.asarray((windows > 0).any(axis=(2, 3)))
    last = windows.shape[1] - 1 - members[:, ::-1].argmax(axis=1)
    last_lit = np.where(last < windows.shape[1] - 1, last - trigger.post_lines, windows.shape[1])[:, np.newaxis]
    triggers, before, behind = rows == trigger.pre_lines, rows < trigger.pre_lines, rows > last_lit
    dim = (triggers & (sums < trigger.on)) | ((rows == last_lit) & (sums < trigger.off))
    bright = (before & (sums >= trigger.on)) | (behind & (sums >= trigger.off))
    for wrong, ends in ((dim, high), (bright, low)):
        columns[wrong] = ends[channels, windows[wrong]]
    return list(_undelayed(_uncorrected(lines, acquisition), acquisition))


def restored_setup(images: Sequence[NDArray[np.uint16]], acquisition: Acquisition) -> Setup:
    """The settings that windows were recorded with, for those that were restored. Background are their first lines
    that do not trigger; how often that triggers by itself, windows do not show."""
    firsts = np.stack([image[max(acquisition.line.delays, default=0)] for image in images])
    # What is not of the event is black in a window, whatever flowed there.
    seen = firsts[(acquisition.pixels(acquisition.corrected(firsts)) > 0).any(axis=(1, 2))]
    quiet = Background(seen).quiet(acquisition) if len(seen) else seen
    if not len(quiet):
        lines = np.empty((1, *firsts.shape[1:]), np.uint16)
        lines[:] = background_counts(acquisition)
        quiet = _uncorrected(lines, acquisition)
    chosen = np.random.default_rng(0).permutation(len(quiet))[:BANK_LINES]
    return Setup(acquisition, Background(quiet[chosen]), FalseTriggers(0, 0))


def background_counts(acquisition: Acquisition) -> NDArray[np.uint16]:
    """Corrected counts where no cell is, (C,): those that the features take off, or that become black."""
    known = len(acquisition.channels) <= MAX_CHANNELS
    counts = acquisition.feature_settings.background if known else acquisition.preprocess.background
    return np.asarray(counts, np.uint16)


def _intervals(acquisition: Acquisition) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """Least, middle and largest corrected count of each level, (C, 256). The outermost levels hold all that is darker
    or brighter, so that for these the middle is the end next to the others."""
    channels = len(acquisition.channels)
    counts = np.arange(1 << acquisition.line.sample_bits, dtype=np.uint16)
    grey = acquisition.pixels(counts[:, np.newaxis].repeat(channels, axis=1)[np.newaxis])[0]
    low, middle, high = (np.zeros((channels, LEVELS), np.uint16) for _ in range(3))
    for channel in range(channels):
        rises = grey[-1, channel] >= grey[0, channel]
        for level in range(LEVELS):
            found = np.flatnonzero(grey[:, channel] == level)
            if not len(found):  # a level that steps over it, which no window holds
                found = np.abs(grey[:, channel].astype(int) - level).argmin()[np.newaxis]
            low[channel, level], high[channel, level] = counts[found[0]], counts[found[-1]]
            inner = {0: found[-1 if rises else 0], PIXEL_MAX: found[0 if rises else -1]}
            middle[channel, level] = counts[inner.get(level, (found[0] + found[-1]) // 2)]
    return low, middle, high


def _uncorrected(lines: NDArray[np.uint16], acquisition: Acquisition) -> NDArray[np.uint16]:
    """Raw counts of which the flat field makes these, (.., LINE_W, C), or the nearest ones that it can make."""
    if acquisition.flat_field is None:
        return lines
    dark, flat = (np.asarray(rows, np.int64) for rows in (acquisition.flat_field.dark, acquisition.flat_field.flat))
    factor = np.maximum(flat, 1)
    raw = dark + ((2 * lines.astype(np.int64) + 1) << 14) // (2 * factor) * (flat > 0)
    return np.asarray(np.clip(raw, 0, (1 << acquisition.line.sample_bits) - 1), np.uint16)


def _undelayed(lines: NDArray[np.uint16], acquisition: Acquisition) -> NDArray[np.uint16]:
    """Lines (N, H, LINE_W, C) as they came, before channels waited for each other."""
    delays = acquisition.line.delays
    if not any(delays):
        return lines
    longest = max(delays)
    empty = np.empty((1, *lines.shape[2:]), np.uint16)
    empty[:] = background_counts(acquisition)
    came = np.empty((len(lines), lines.shape[1] + longest, *lines.shape[2:]), np.uint16)
    came[:] = _uncorrected(empty, acquisition)
    for channel, delay in enumerate(delays):
        begin = longest - delay
        came[:, begin : begin + lines.shape[1], :, channel] = lines[..., channel]
    return came
