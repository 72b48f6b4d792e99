# SPDX-License-Identifier: Apache-2.0
"""Layout of an event record, the body of an EVENT frame: written here once, for host, simulation and tests alike.

Little endian. A record is its groups, in the order of `Group`, without those that the register RECORD_FIELDS leaves
out; its field `groups` states which are there. BASE is always there. BASE and TIMING are the fields of `FIELDS`,
FEATURES and LOGITS a u32 that counts values and the values, i32 each.

hw/rtl/sorter/event_record.sv packs it by the structures of icsort_pkg.sv. tests/hw/sorter/test_package.py holds those
to this table, tests/icsort/formats/test_event_record.py docs/link.md.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntFlag
from typing import Final, NamedTuple


class Group(IntFlag):
    """Groups of fields, as the register RECORD_FIELDS and the field `groups` name them."""

    BASE = 1
    TIMING = 2
    FEATURES = 4
    LOGITS = 8


class Field(NamedTuple):
    """One integer of a group: `offset` within it and `width`, bytes."""

    name: str
    offset: int
    width: int
    signed: bool = False

    @property
    def type(self) -> str:
        """As docs/link.md names it: u32, i32."""
        return f"{'i' if self.signed else 'u'}{8 * self.width}"


FIELDS: Final = {
    Group.BASE: (
        Field("event_id", 0, 4),
        Field("event_time", 4, 6),
        Field("tag", 10, 1),
        Field("groups", 11, 1),
        Field("outcome", 12, 1),
        Field("direction", 13, 1),
        Field("flags", 14, 2),
        Field("length", 16, 1),
        Field("class_index", 17, 1),
        Field("posterior", 18, 2),
        Field("gates", 20, 4),
    ),
    Group.TIMING: (
        Field("first_pixel_to_decision", 0, 4),
        Field("last_pixel_to_decision", 4, 4, signed=True),
        Field("gate_serial", 8, 4),
    ),
}
LISTS: Final = (Group.FEATURES, Group.LOGITS)
VALUE_BYTES: Final = 4
"""Of a count, a feature, a logit."""
NO_DIRECTION: Final = 255
"""`direction` of an event that was wished for none."""


class Record(NamedTuple):
    """values: of BASE and, where it is there, of TIMING, by name. features, logits: None where they are left out."""

    values: dict[str, int]
    features: tuple[int, ...] | None = None
    logits: tuple[int, ...] | None = None


def bytes_of(group: Group) -> int:
    """Bytes of BASE or TIMING."""
    last = FIELDS[group][-1]
    return last.offset + last.width


def pack(
    values: Mapping[str, int], features: Sequence[int] | None = None, logits: Sequence[int] | None = None
) -> bytes:
    """The record of these values, one for each name of BASE but `groups`, and all or none of TIMING. Raises
    OverflowError or struct.error where one does not fit."""
    timing = FIELDS[Group.TIMING][0].name in values
    lists = dict(zip(LISTS, (features, logits), strict=True))
    groups = Group.BASE | (Group.TIMING if timing else 0)
    for group, content in lists.items():
        groups |= group if content is not None else 0
    values = {**values, "groups": int(groups)}
    body = b"".join(
        values[field.name].to_bytes(field.width, "little", signed=field.signed)
        for group, fields in FIELDS.items()
        if group in groups
        for field in fields
    )
    for content in lists.values():
        if content is not None:
            body += struct.pack(f"<I{len(content)}i", len(content), *content)
    return body


def unpack(body: bytes) -> Record:
    """Inverse of `pack`. Raises ValueError for bytes that are no whole record."""
    record, at = _take(body, 0)
    if at != len(body):
        raise ValueError(f"record of {at} bytes in {len(body)}")
    return record


def split(data: bytes) -> list[bytes]:
    """Records that follow each other, one by one. Raises ValueError where the last one is not whole."""
    bodies, at = list[bytes](), 0
    while at < len(data):
        end = _take(data, at)[1]
        bodies.append(data[at:end])
        at = end
    return bodies


def _take(data: bytes, at: int) -> tuple[Record, int]:
    """The record that begins there, and where it ends."""
    try:
        values, at = _fields(data, at, Group.BASE)
        groups = values["groups"]
        if not groups & _BASE or groups > _ALL:
            raise ValueError(f"record with groups {groups:#x}")
        if groups & _TIMING:
            timing, at = _fields(data, at, Group.TIMING)
            values |= timing
        lists: list[tuple[int, ...] | None] = []
        for group in _LISTS:
            content = None
            if groups & group:
                (count,) = _COUNT.unpack_from(data, at)
                content = struct.unpack_from(f"<{count}i", data, at + VALUE_BYTES)
                at += VALUE_BYTES * (count + 1)
            lists.append(content)
    except struct.error:
        raise ValueError(f"record cut short after {len(data)} bytes") from None
    return Record(values, *lists), at


def _fields(data: bytes, at: int, group: Group) -> tuple[dict[str, int], int]:
    """Those of BASE or TIMING that begin there, by name, and where they end."""
    form, names = _FORMS[group]
    values = dict(zip(names, form.unpack_from(data, at), strict=True))
    for high in _HIGH[group]:
        values[high.removesuffix(_REST)] |= values.pop(high) << 32
    return values, at + form.size


# A record takes a few microseconds to read: what is known of its layout is made once, and groups are plain integers.
_REST: Final = " above 32 bits"
_CODES: Final = {1: "B", 2: "H", 4: "I", 6: "IH"}
_COUNT: Final = struct.Struct("<I")
_BASE, _TIMING, _ALL = int(Group.BASE), int(Group.TIMING), 2 * int(Group.LOGITS) - 1
_LISTS: Final = tuple(map(int, LISTS))
_FORMS: Final = {
    group: (
        struct.Struct("<" + "".join(_CODES[f.width].lower() if f.signed else _CODES[f.width] for f in fields)),
        tuple(name for f in fields for name in ((f.name, f.name + _REST) if f.width > 4 else (f.name,))),
    )
    for group, fields in FIELDS.items()
}
_HIGH: Final = {group: tuple(n for n in names if n.endswith(_REST)) for group, (_, names) in _FORMS.items()}
