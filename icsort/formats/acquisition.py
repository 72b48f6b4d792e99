# SPDX-License-Identifier: Apache-2.0
"""Acquisition settings: channels, lines, trigger, window, preprocessing. The one form for training, package and sorter.

Whatever the hardware cannot hold is refused when settings are made, so before a training begins.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from icsort.errors import IcsortError
from icsort.formats.document import Document, Name, Strict
from icsort.sim.bit_true import event, prepare, preprocess
from icsort.sim.bit_true.event import Trigger, Window
from icsort.sim.bit_true.features import MATRIX_MAX
from icsort.sim.bit_true.features import Settings as FeatureSettings

PIXEL_BITS = 8
MIN_SAMPLE_BITS, SAMPLE_BITS = 8, 16
MAX_GEOMETRY = 255  # eight bits each in the GEOMETRY register
MAX_LINE_WIDTH = 2**16 - 1
MAX_REDUCE = 64
FAINT = 16  # of 255: pixels that are light, where nothing else says so

Size = Annotated[int, Field(ge=1, le=MAX_GEOMETRY)]
Sample = Annotated[int, Field(ge=0, le=preprocess.SAMPLE_MAX)]
Gain = Annotated[int, Field(ge=preprocess.GAIN_MIN, le=preprocess.GAIN_MAX)]
Threshold = Annotated[int, Field(ge=0, le=event.THRESHOLD_MAX)]
Lines = Annotated[int, Field(ge=0, le=event.MAX_LINES)]
Weight = Annotated[int, Field(ge=0, le=event.WEIGHT_MAX)]
Delay = Annotated[int, Field(ge=0, le=event.MAX_DELAY)]
Flat = Annotated[int, Field(ge=0, le=event.FLAT_MAX)]
Coefficient = Annotated[int, Field(ge=-MATRIX_MAX - 1, le=MATRIX_MAX)]


class InputSpec(Strict):
    """Network input: height x width pixels of `channels` channels, unsigned `bits` bit, NHWC in hardware."""

    height: Size
    width: Size
    channels: Size
    bits: Annotated[int, Field(ge=PIXEL_BITS, le=PIXEL_BITS)] = PIXEL_BITS

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, self.channels


class LineSpec(Strict):
    """Line stream: `width` pixels a line, samples of `sample_bits` bit. The window begins at column x_offset, or lies
    about the centroid of the line with which an event begins (`centred`). delays: lines by which each channel's laser
    sees a cell earlier than the last one; none where it is empty."""

    width: Annotated[int, Field(ge=1, le=MAX_LINE_WIDTH)]
    x_offset: Annotated[int, Field(ge=0)] = 0
    sample_bits: Annotated[int, Field(ge=MIN_SAMPLE_BITS, le=SAMPLE_BITS)] = SAMPLE_BITS
    centred: bool = False
    delays: tuple[Delay, ...] = ()


class FlatFieldSpec(Strict):
    """What each column is corrected by, a row a column with an entry a channel: counts, and unsigned 2.14 factors."""

    dark: tuple[tuple[Sample, ...], ...]
    flat: tuple[tuple[Flat, ...], ...]


class TriggerSpec(Strict):
    """Event trigger, the rules of icsort.sim.bit_true.event: line sum by `weights`, one a channel, thresholds `on` and
    `off` in its counts, lengths in lines, `dip` in sixteenths. Its columns are the window's, or the whole line where
    the window is centred."""

    weights: tuple[Weight, ...]
    on: Threshold
    off: Threshold
    end_lines: Lines = 1
    min_lines: Lines = 1
    max_lines: Lines
    pre_lines: Lines = 0
    post_lines: Lines = 0
    dip: Annotated[int, Field(ge=0, le=event.DIP_MAX)] = 0

    @classmethod
    def whole_window(cls, channel: int, channels: int, threshold: int, height: int) -> Self:
        """One threshold for one of `channels`, and windows of `height` lines that go on whatever they hold."""
        behind = min(height, event.BACK_LINES - 1)
        return cls(
            weights=tuple(int(channel == other) for other in range(channels)),
            on=threshold,
            off=threshold,
            end_lines=behind,
            max_lines=event.MAX_LINES - behind,
            post_lines=behind,
        )


class PreprocessSpec(Strict):
    """Constants of icsort.sim.bit_true.preprocess, one background and gain a channel."""

    background: tuple[Sample, ...]
    gain: tuple[Gain, ...]
    shift: Annotated[int, Field(ge=preprocess.SHIFT_MIN, le=preprocess.SHIFT_MAX)]


class FeatureSpec(Strict):
    """What features count as light: samples of each channel, less `background`, from `threshold` on. compensation: a
    row for each channel that comes out, of total and largest, signed in 1 / 2^14; the identity where it is empty."""

    background: tuple[Sample, ...]
    threshold: tuple[Sample, ...]
    compensation: tuple[tuple[Coefficient, ...], ...] = ()


class PreparationSpec(Strict):
    """What is done to an image before its lines are offered to the sorter, whose hardware has none of it: area mean
    over `reduce` x `reduce` pixels; of what is left the middle `crop` x `crop` pixels (0: all); each channel's counts
    distributed as `quantiles` say, a row a channel in the order of the channels, none where they stay
    (icsort.sim.bit_true.prepare)."""

    reduce: Annotated[int, Field(ge=1, le=MAX_REDUCE)] = 1
    crop: Annotated[int, Field(ge=0, le=MAX_GEOMETRY, exclude_if=lambda crop: not crop)] = 0
    quantiles: Annotated[tuple[tuple[Sample, ...], ...], Field(exclude_if=lambda quantiles: not quantiles)] = ()

    @model_validator(mode="after")
    def _rising(self) -> Self:
        for row in self.quantiles:
            if len(row) != prepare.STEPS + 1 or list(row) != sorted(row):
                raise ValueError(f"quantiles must have {prepare.STEPS + 1} counts a channel that do not fall")
        return self

    def applied(self, image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """An image (H, W, C) as its lines are offered. Raises IcsortError where it is too small."""
        if self.reduce > 1:
            image = prepare.reduce_area(image, self.reduce)
        if self.crop:
            image = prepare.crop_middle(image, self.crop)
        return prepare.match_quantiles(image, self.quantiles) if self.quantiles else image

    def lines(self, heights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lines (N,) that are offered of images of so many."""
        return np.full_like(heights, self.crop) if self.crop else heights // self.reduce

    def after(self, done: "PreparationSpec") -> "PreparationSpec":
        """What is left to do to images of which `done` has been done. Raises IcsortError where that is no beginning."""
        left: dict[str, Any] = {}
        for step in PreparationSpec.model_fields:  # in their order
            wanted, had = getattr(self, step), getattr(done, step)
            if had not in (getattr(AS_TAKEN, step), wanted) or (left and had != getattr(AS_TAKEN, step)):
                raise IcsortError(f"its images are {done.in_words}, where the network's are {self.in_words}")
            if had != wanted:
                left[step] = wanted
        return PreparationSpec(**left)

    def with_channels(self, order: Sequence[int]) -> "PreparationSpec":
        """For images with these of their channels, in this order."""
        return self.model_copy(update={"quantiles": tuple(self.quantiles[i] for i in order if self.quantiles)})

    @property
    def in_words(self) -> str:
        """For a message."""
        words = [f"reduced {self.reduce} x {self.reduce}"] * (self.reduce > 1)
        words += [f"cropped to {self.crop} x {self.crop}"] * bool(self.crop)
        return ", ".join(words + ["normalized by quantiles"] * bool(self.quantiles)) or "as they were taken"


AS_TAKEN = PreparationSpec()


class Acquisition(Document):
    """What the hardware in front of the network is set to. A run's configuration and a package's manifest extend it."""

    channels: tuple[Name, ...]
    input: InputSpec
    line: LineSpec
    trigger: TriggerSpec
    preprocess: PreprocessSpec
    flat_field: Annotated[FlatFieldSpec | None, Field(exclude_if=lambda flat_field: flat_field is None)] = None
    features: Annotated[FeatureSpec | None, Field(exclude_if=lambda features: features is None)] = None
    preparation: Annotated[PreparationSpec, Field(exclude_if=lambda preparation: preparation == AS_TAKEN)] = AS_TAKEN

    @model_validator(mode="after")
    def _agree(self) -> Self:
        counts = {
            "channels": len(self.channels),
            "preprocess.background": len(self.preprocess.background),
            "preprocess.gain": len(self.preprocess.gain),
            "trigger.weights": len(self.trigger.weights),
            "line.delays": len(self.line.delays) or self.input.channels,
            "preparation.quantiles": len(self.preparation.quantiles) or self.input.channels,
        }
        if self.features is not None:
            rows = self.features.compensation
            counts |= {f"features.compensation[{r}]": len(row) for r, row in enumerate(rows)}
            counts |= {
                "features.background": len(self.features.background),
                "features.threshold": len(self.features.threshold),
                "features.compensation": len(rows) or self.input.channels,
            }
        for name, count in counts.items():
            if count != self.input.channels:
                raise ValueError(f"{name} has {count} entries but input.channels is {self.input.channels}")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels names one channel twice")
        if self.line.width < self.input.width:
            raise ValueError(f"line.width {self.line.width} is less than input.width {self.input.width}")
        if self.line.x_offset > self.line.width - self.input.width:
            raise ValueError(
                f"line.x_offset is {self.line.x_offset}: it must be within 0..{self.line.width - self.input.width}"
            )
        if self.flat_field is not None:
            shape = self.line.width, self.input.channels
            for name, rows in (("dark", self.flat_field.dark), ("flat", self.flat_field.flat)):
                if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
                    raise ValueError(f"flat_field.{name} must have {shape[0]} rows of {shape[1]}, one a column")
        try:
            self.event_trigger  # noqa: B018  # refuses rules that do not go together
        except IcsortError as error:
            raise ValueError(f"trigger: {error.args[0].partition('): ')[2]}") from None
        return self

    @property
    def event_trigger(self) -> Trigger:
        """The trigger's rules for icsort.sim.bit_true.event."""
        first, width = (0, self.line.width) if self.line.centred else (self.line.x_offset, self.input.width)
        return Trigger(first_column=first, last_column=first + width - 1, **dict(self.trigger))

    @property
    def event_window(self) -> Window:
        """The window for icsort.sim.bit_true.event."""
        return Window(self.input.height, self.input.width, self.line.x_offset, self.line.centred)

    @property
    def feature_settings(self) -> FeatureSettings:
        """What the features go by. A package that says nothing of them: the preprocessing's background, and what the
        network sees as FAINT or more. Raises IcsortError for more channels than have features."""
        if self.features is not None:
            return FeatureSettings(self.features.background, self.features.threshold, self.features.compensation)
        constants = self.preprocess
        threshold = (-(-(FAINT << constants.shift) // max(1, abs(gain))) for gain in constants.gain)
        return FeatureSettings(constants.background, tuple(min(preprocess.SAMPLE_MAX, level) for level in threshold))

    def corrected(self, lines: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Raw lines (L, LINE_W, C), from reset on, as trigger and network take them: flat field, channel delays."""
        if self.flat_field is not None:
            lines = event.flat_field(lines, self.flat_field.dark, self.flat_field.flat, self.line.sample_bits)
        return event.delay_channels(lines, self.line.delays) if any(self.line.delays) else lines

    def pixels(self, windows: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Windows (N, H, W, C) of corrected counts to network pixels of that shape."""
        constants = self.preprocess
        return preprocess.preprocess(windows, constants.background, constants.gain, constants.shift)


def with_trigger_rules(contents: dict[str, Any]) -> dict[str, Any]:
    """Contents of a file of before the trigger had rules, a channel and one threshold, as they are written now.

    Raises IcsortError where they are none.
    """
    try:
        trigger, shape = contents["trigger"], contents["input"]
        rules = TriggerSpec.whole_window(trigger["channel"], shape["channels"], trigger["threshold"], shape["height"])
    except (KeyError, TypeError, ValueError):
        raise IcsortError("its trigger is not that of its version") from None
    return contents | {"trigger": rules.model_dump(mode="json")}
