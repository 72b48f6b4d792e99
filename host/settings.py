# SPDX-License-Identifier: Apache-2.0
"""What a model package sets in front of the network and behind it, as writes of registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line starts without numpy
    from icsort.formats.package import Manifest

GAIN_BITS = 18


class Table(IntEnum):
    """Memories behind FRONT_INDEX, FRONT_DATA and FRONT_READ."""

    DARK = 0
    FLAT = 1
    BACKGROUND = 2
    GAIN = 3
    FEATURES = 4


@dataclass(frozen=True)
class FrontSettings:
    """registers: by name. tables: their words by index, the channel; of the flat field column << 8 | channel, of
    features that of their settings."""

    registers: dict[str, int]
    tables: dict[Table, dict[int, int]]

    @classmethod
    def of(cls, manifest: "Manifest", features: bool) -> "FrontSettings":
        """Those of a model package. features: whether the build has them."""
        trigger, line, constants = manifest.event_trigger, manifest.line, manifest.preprocess
        identity = int(manifest.model_id, 16)
        weights, delays = _eights(trigger.weights), _eights(line.delays)
        field = manifest.flat_field
        registers = {
            "TRIGGER_ON": trigger.on,
            "TRIGGER_OFF": trigger.off,
            "TRIGGER_WEIGHTS_LO": weights & 0xFFFFFFFF,
            "TRIGGER_WEIGHTS_HI": weights >> 32,
            "TRIGGER_COLUMNS": trigger.last_column << 16 | trigger.first_column,
            "TRIGGER_LINES": _eights((trigger.end_lines, trigger.min_lines, trigger.pre_lines, trigger.post_lines)),
            "TRIGGER_LIMITS": trigger.dip << 8 | trigger.max_lines,
            "WINDOW": (field is not None) << 17 | line.centred << 16 | line.x_offset,
            "CHANNEL_DELAYS_LO": delays & 0xFFFFFFFF,
            "CHANNEL_DELAYS_HI": delays >> 32,
            "PREPROCESS_SHIFT": constants.shift,
            "POSTERIOR": manifest.posterior.shift << 24 | manifest.posterior.multiplier,
            "SETTINGS_ID_LO": identity & 0xFFFFFFFF,
            "SETTINGS_ID_HI": identity >> 32,
        }
        tables = {
            Table.BACKGROUND: dict(enumerate(constants.background)),
            Table.GAIN: {channel: gain % 2**GAIN_BITS for channel, gain in enumerate(constants.gain)},
        }
        if field is not None:
            tables |= {Table.DARK: _columns(field.dark), Table.FLAT: _columns(field.flat)}
        if features:
            tables[Table.FEATURES] = manifest.feature_settings.entries
        return cls(registers, tables)

    def writes(self) -> Iterator[tuple[str, int]]:
        """Register and value of every write, in order, the commit last.

        The index is written with each word, although it goes on by itself: a request may be carried out twice.
        """
        yield from self.registers.items()
        for table, words in self.tables.items():
            for index, word in words.items():
                yield "FRONT_INDEX", table << 24 | index
                yield "FRONT_DATA", word
        yield "FRONT_COMMIT", 1


def _columns(rows: tuple[tuple[int, ...], ...]) -> dict[int, int]:
    """Words of every column and channel by their index."""
    return {column << 8 | channel: word for column, row in enumerate(rows) for channel, word in enumerate(row)}


def _eights(values: tuple[int, ...]) -> int:
    """Values of 8 bits in one word, the first one lowest."""
    return sum(value << 8 * index for index, value in enumerate(values))
