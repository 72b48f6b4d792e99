# SPDX-License-Identifier: Apache-2.0
"""Acquisition settings: channels, lines, trigger, window, preprocessing. The one form for training, package and sorter.

Whatever the hardware cannot hold is refused when settings are made, so before a training begins.
"""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from icsort.formats.document import Document, Name, Strict
from icsort.sim.bit_true import preprocess
from icsort.sim.bit_true.event import Trigger

PIXEL_BITS = 8
SAMPLE_BITS = 16
MAX_GEOMETRY = 255  # eight bits each in the GEOMETRY register
MAX_LINE_WIDTH = 2**16 - 1
MAX_TRIGGER_THRESHOLD = 2**32 - 1

Size = Annotated[int, Field(ge=1, le=MAX_GEOMETRY)]
Sample = Annotated[int, Field(ge=0, le=preprocess.SAMPLE_MAX)]
Gain = Annotated[int, Field(ge=preprocess.GAIN_MIN, le=preprocess.GAIN_MAX)]


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
    """Line stream: `width` pixels a line, the window begins at column x_offset, samples of `sample_bits` bit."""

    width: Annotated[int, Field(ge=1, le=MAX_LINE_WIDTH)]
    x_offset: Annotated[int, Field(ge=0)] = 0
    sample_bits: Annotated[int, Field(ge=SAMPLE_BITS, le=SAMPLE_BITS)] = SAMPLE_BITS


class TriggerSpec(Strict):
    """Event trigger: line sum of `channel` over the window columns >= `threshold` counts."""

    channel: Annotated[int, Field(ge=0)]
    threshold: Annotated[int, Field(ge=0, le=MAX_TRIGGER_THRESHOLD)]


class PreprocessSpec(Strict):
    """Constants of icsort.sim.bit_true.preprocess, one background and gain a channel."""

    background: tuple[Sample, ...]
    gain: tuple[Gain, ...]
    shift: Annotated[int, Field(ge=preprocess.SHIFT_MIN, le=preprocess.SHIFT_MAX)]


class Acquisition(Document):
    """What the hardware in front of the network is set to. A run's configuration and a package's manifest extend it."""

    channels: tuple[Name, ...]
    input: InputSpec
    line: LineSpec
    trigger: TriggerSpec
    preprocess: PreprocessSpec

    @model_validator(mode="after")
    def _agree(self) -> Self:
        counts = {
            "channels": len(self.channels),
            "preprocess.background": len(self.preprocess.background),
            "preprocess.gain": len(self.preprocess.gain),
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
        if self.trigger.channel >= self.input.channels:
            raise ValueError(
                f"trigger.channel is {self.trigger.channel}: it must be within 0..{self.input.channels - 1}"
            )
        return self

    @property
    def event_trigger(self) -> Trigger:
        """Trigger and window for icsort.sim.bit_true.event."""
        return Trigger(
            channel=self.trigger.channel,
            threshold=self.trigger.threshold,
            height=self.input.height,
            width=self.input.width,
            x_offset=self.line.x_offset,
        )

    def pixels(self, windows: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Raw windows (N, H, W, C) to network pixels of that shape."""
        constants = self.preprocess
        return preprocess.preprocess(windows, constants.background, constants.gain, constants.shift)
