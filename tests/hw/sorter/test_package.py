# SPDX-License-Identifier: Apache-2.0
"""icsort_pkg.sv and its twins in Python name the same numbers."""

import re
from enum import IntEnum

import pytest

from icsort.formats import event_record
from icsort.host.link import protocol
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.framing import MessageType
from icsort.sim.bit_true.scheduler import Outcome
from icsort.sim.verilator.bench import RTL

PACKAGE = (RTL / "sorter" / "icsort_pkg.sv").read_text()


def number(text: str) -> int:
    """Of a literal of SystemVerilog: 5, 3'd5, 8'hE0."""
    digits = text.partition("'")[2]
    return int(digits[1:], 16 if digits[0] == "h" else 10) if digits else int(text)


def constants(prefix: str) -> dict[str, int]:
    """Constants of the package whose names begin so, without the beginning."""
    found = re.findall(rf"^ *localparam .*\b{prefix}(\w+) += ([\w']+);", PACKAGE, re.MULTILINE)
    return {name: number(value) for name, value in found}


def enumeration(name: str) -> dict[str, int]:
    (body,) = re.findall(rf"typedef enum [^{{]*\{{([^}}]*)\}} {name};", PACKAGE)
    return {item: number(value) for item, value in re.findall(r"(\w+) += ([\w']+)", body)}


@pytest.mark.parametrize(
    ("in_package", "in_python"), [(enumeration("outcome_e"), Outcome), (constants("FRAME_"), MessageType)]
)
def test_names_and_numbers(in_package: dict[str, int], in_python: type[IntEnum]) -> None:
    assert in_package == {member.name: member.value for member in in_python}


def test_flags_and_groups() -> None:
    assert {name: 1 << bit for name, bit in constants("FLAG_").items()} == {flag.name: flag.value for flag in EventFlag}
    assert constants("EVENT_")["FLAGS"] == len(EventFlag)
    groups = constants("RECORD_")
    assert groups.pop("GROUPS") == len(event_record.Group)
    assert {name: 1 << bit for name, bit in groups.items()} == {group.name: group.value for group in event_record.Group}
    assert constants("NO_") == {"DIRECTION": event_record.NO_DIRECTION}


def structure(name: str) -> list[tuple[str, int, bool]]:
    """Names, bits and signs of a packed structure, the field at the LSB first."""
    (body,) = re.findall(rf"typedef struct packed \{{([^}}]*)\}} {name};", PACKAGE)
    members = re.findall(r"logic( signed)? +\[(\d+):0\] +(\w+);", body)
    return [(name, int(high) + 1, bool(sign)) for sign, high, name in reversed(members)]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        *((f"record_{group.name.lower()}_t", fields) for group, fields in event_record.FIELDS.items()),
        ("statistics_head_t", protocol.STATISTICS_HEAD),
        ("image_head_t", protocol.IMAGE_HEAD),
    ],
)
def test_fields(name: str, fields: tuple[event_record.Field, ...]) -> None:
    assert structure(name) == [(field.name, 8 * field.width, field.signed) for field in fields]


def test_reasons_of_images() -> None:
    found = dict(re.findall(r"\bIMAGE_(\w+) = 2'd(\d)", PACKAGE))
    assert {name: int(value) for name, value in found.items()} == {one.name: one.value for one in protocol.ImageReason}


def test_widths() -> None:
    assert max(Outcome) < 2 ** constants("OUTCOME_")["BITS"]
    assert constants("TIME_") == {"BITS": 48}  # of tuser's 64 bits, the other 16 are the line's number
