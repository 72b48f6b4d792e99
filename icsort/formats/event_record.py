# SPDX-License-Identifier: Apache-2.0
"""Layout of an event record, the body of an EVENT frame: written here once, for host, simulation and tests alike.

Little endian: the fields of `FIELDS`, then one signed 32-bit logit a class. hw/rtl/sorter/event_record.sv packs it;
tests/icsort/formats/test_event_record.py holds that file and docs/link.md to this table.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Field(NamedTuple):
    """One integer of the record: `offset` and `width` in bytes."""

    name: str
    offset: int
    width: int
    signed: bool = False

    @property
    def type(self) -> str:
        """As docs/link.md names it: u32, i32."""
        return f"{'i' if self.signed else 'u'}{8 * self.width}"


FIELDS: Final = (
    Field("event_id", 0, 4),
    Field("time", 4, 8),
    Field("outcome", 12, 1),
    Field("class_index", 13, 1),
    Field("posterior", 14, 2),
    Field("first_pixel_to_decision", 16, 4),
    Field("last_pixel_to_decision", 20, 4, signed=True),
)
HEADER_BYTES: Final = FIELDS[-1].offset + FIELDS[-1].width
LOGIT_BYTES: Final = 4
_CODES: Final = {"u8": "B", "u16": "H", "u32": "I", "i32": "i", "u64": "Q"}
_HEADER: Final = struct.Struct("<" + "".join(_CODES[field.type] for field in FIELDS))


def size(classes: int) -> int:
    """Bytes of a record of so many classes."""
    return HEADER_BYTES + LOGIT_BYTES * classes


def pack(header: Mapping[str, int], logits: Sequence[int]) -> bytes:
    """The record of these values, one for each name of `FIELDS`. Raises struct.error where one does not fit."""
    return _HEADER.pack(*(header[field.name] for field in FIELDS)) + struct.pack(f"<{len(logits)}i", *logits)


def unpack(body: bytes) -> tuple[dict[str, int], tuple[int, ...]]:
    """Values by name, and the logits. Raises struct.error for bytes that are no whole record."""
    header = dict(zip((field.name for field in FIELDS), _HEADER.unpack(body[:HEADER_BYTES]), strict=True))
    return header, struct.unpack(f"<{(len(body) - HEADER_BYTES) // LOGIT_BYTES}i", body[HEADER_BYTES:])
