# SPDX-License-Identifier: Apache-2.0
"""One layout of the event record: Python's struct and the page say the same as the table.

tests/hw/sorter/test_package.py holds the RTL's structures to it, tests/hw/sorter/bench_event_record.py compares the
RTL's bytes with `pack` in simulation.
"""

import random
import re
import struct
from itertools import pairwise
from pathlib import Path

import pytest

from icsort.formats.event_record import FIELDS, Group, Record, bytes_of, pack, split, unpack

REPOSITORY = Path(__file__).parents[3]
# struct has no u48: the time is a u32 and a u16.
BASE, TIMING = "<IIHBBBBHBBHI", "<IiI"


def drawn(draw: random.Random, timing: bool) -> dict[str, int]:
    fields = [*FIELDS[Group.BASE], *(FIELDS[Group.TIMING] if timing else ())]
    return {
        field.name: draw.choice([0, 1, 2 ** (8 * field.width - field.signed) - 1]) - draw.choice([0, field.signed])
        for field in fields
        if field.name != "groups"
    }


@pytest.mark.parametrize(("group", "layout"), [(Group.BASE, BASE), (Group.TIMING, TIMING)])
def test_fields_follow_each_other_without_a_gap(group: Group, layout: str) -> None:
    fields = FIELDS[group]
    assert fields[0].offset == 0
    assert all(before.offset + before.width == field.offset for before, field in pairwise(fields))
    assert struct.calcsize(layout) == bytes_of(group)
    assert bytes_of(group) % 4 == 0


def test_bytes_are_those_of_struct(seed: int) -> None:
    draw = random.Random(seed)
    bodies, records = [], []
    for groups in (1, 3, 5, 9, 11, 13, 15):
        values = drawn(draw, bool(groups & 2))
        lists = [tuple(draw.randrange(-(2**31), 2**31) for _ in range(draw.choice([0, 1, 64]))) for _ in range(2)]
        features, logits = (content if groups & bit else None for bit, content in zip((4, 8), lists, strict=True))
        body = pack(values, features, logits)
        event, time, tag, *others = (values[field.name] for field in FIELDS[Group.BASE] if field.name != "groups")
        expected = struct.pack(BASE, event, time % 2**32, time >> 32, tag, groups, *others)
        if groups & 2:
            expected += struct.pack(TIMING, *(values[field.name] for field in FIELDS[Group.TIMING]))
        for content in (features, logits):
            if content is not None:
                expected += struct.pack(f"<I{len(content)}i", len(content), *content)
        assert body == expected
        records.append(Record({**values, "groups": groups}, features, logits))
        assert unpack(body) == records[-1]
        bodies.append(body)
    assert split(b"".join(bodies)) == bodies
    with pytest.raises(ValueError, match="cut short"):
        split(b"".join(bodies)[:-1])


def test_what_is_no_whole_record_is_refused(seed: int) -> None:
    draw = random.Random(seed)
    body = pack(drawn(draw, True), (1, 2), (3,))
    for length in range(len(body)):
        with pytest.raises(ValueError, match="cut short"):
            unpack(body[:length])
    for wrong in (body + b"\0", body[:11] + b"\x0e" + body[12:], body[:11] + b"\x1f" + body[12:]):
        with pytest.raises(ValueError, match="record"):
            unpack(wrong)


@pytest.mark.parametrize("group", FIELDS)
def test_the_page_names_these_types(group: Group) -> None:
    page = (REPOSITORY / "docs/link.md").read_text().partition(f"| {group.name} | type |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (\d+) \| ([ui]\d+) \|", page, re.MULTILINE)
    assert rows == [(str(field.offset), field.type) for field in FIELDS[group]]
