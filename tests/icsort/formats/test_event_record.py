# SPDX-License-Identifier: Apache-2.0
"""One layout of the event record: Python's struct, the RTL and the page say the same as the table.

tests/hw/sorter/bench_event_record.py compares the RTL's bytes with `pack` in simulation.
"""

import random
import re
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from icsort.formats.event_record import FIELDS, HEADER_BYTES, pack, size, unpack

REPOSITORY = Path(__file__).parents[3]
LAYOUT = "<IQBBHIi"


def test_fields_follow_each_other_without_a_gap() -> None:
    assert FIELDS[0].offset == 0
    assert all(before.offset + before.width == field.offset for before, field in pairwise(FIELDS))
    assert struct.calcsize(LAYOUT) == HEADER_BYTES == 24
    assert size(7) == struct.calcsize(LAYOUT + "7i")


def test_bytes_are_those_of_struct(seed: int) -> None:
    draw = random.Random(seed)
    for classes in (0, 1, 7, 64):
        values = {
            field.name: draw.choice([0, 1, 2 ** (8 * field.width - field.signed) - 1]) - draw.choice([0, field.signed])
            for field in FIELDS
        }
        logits = tuple(draw.randrange(-(2**31), 2**31) for _ in range(classes))
        body = struct.pack(f"{LAYOUT}{classes}i", *values.values(), *logits)
        assert pack(values, logits) == body
        assert unpack(body) == (values, logits)
        assert len(body) == size(classes)


@pytest.mark.parametrize("length", [0, 23, 25, 27])
def test_what_is_no_whole_record_is_refused(length: int) -> None:
    with pytest.raises(struct.error):
        unpack(bytes(length))


def test_the_rtl_concatenates_these_widths() -> None:
    """The concatenation of event_record.sv, last field first, with the widths that the file declares."""
    source = (REPOSITORY / "hw/rtl/sorter/event_record.sv").read_text()
    (parts,) = re.findall(r"shift_q <= \{\s*logits_wide,([^}]*)\}", source)
    declared = {
        name: 1 + int(high or 0)
        for high, names in re.findall(r"logic (?:\[(\d+):0\])?\s+([a-z_0-9]+(?:, [a-z_0-9]+)*)", source)
        for name in names.split(", ")
    }
    widths = [
        int(constant.partition("'")[0]) if "'" in constant else declared[constant]
        for constant in (part.strip() for part in reversed(parts.split(",")))
    ]
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    assert ends[-1] == 8 * HEADER_BYTES
    # zeros fill up the outcome's byte and the time's upper bits, so that not every part ends a field
    assert {8 * (field.offset + field.width) for field in FIELDS} <= set(ends)


def test_the_head_of_the_rtl_file_and_the_page_name_these_types() -> None:
    head = (REPOSITORY / "hw/rtl/sorter/event_record.sv").read_text().partition("`default_nettype")[0]
    assert re.findall(r"\b([ui]\d+) (?!logits)", head.replace("\n//  ", "")) == [field.type for field in FIELDS]
    page = (REPOSITORY / "docs/link.md").read_text().partition("### Event record")[2]
    rows = re.findall(r"^\| (\d+) \| ([ui]\d+) \|", page, re.MULTILINE)
    assert rows == [(str(field.offset), field.type) for field in FIELDS]
