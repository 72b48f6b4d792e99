# SPDX-License-Identifier: Apache-2.0
# Made from hw/registers/icsort.rdl by hw/registers/generate.py; do not edit.
"""Registers of the sorter: addresses, access, fields and reset values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """`bits` bits of a register from bit `low` up; `reset`: constant or reset value, None if live."""

    low: int
    bits: int
    reset: int | None


@dataclass(frozen=True)
class Register:
    """A 32-bit register at a byte address."""

    name: str
    address: int
    writable: bool
    fields: dict[str, Field]


REGISTERS: dict[str, Register] = {
    register.name: register
    for register in (
        Register(
            "MAGIC",
            0x00,
            False,
            {
                "value": Field(0, 32, 0x52534349),
            },
        ),
        Register(
            "PROTOCOL",
            0x04,
            False,
            {
                "value": Field(0, 32, 0x1),
            },
        ),
        Register(
            "BUILD_ID_LO",
            0x08,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "BUILD_ID_HI",
            0x0C,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "MODEL_ID_LO",
            0x10,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "MODEL_ID_HI",
            0x14,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "GEOMETRY",
            0x18,
            False,
            {
                "classes": Field(0, 8, None),
                "channels": Field(8, 8, None),
                "height": Field(16, 8, None),
                "width": Field(24, 8, None),
            },
        ),
        Register(
            "CLOCK_HZ",
            0x1C,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "TIMESTAMP_LO",
            0x20,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TIMESTAMP_HI",
            0x24,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "STATUS",
            0x28,
            False,
            {
                "armed": Field(0, 1, None),
                "gate_valid": Field(1, 1, 0x0),
                "idle": Field(2, 1, None),
            },
        ),
        Register(
            "CONTROL",
            0x40,
            True,
            {
                "arm": Field(0, 1, 0x0),
                "snapshot": Field(1, 1, 0x0),
            },
        ),
        Register(
            "GATE_CLASSES_LO",
            0x44,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_CLASSES_HI",
            0x48,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_POSTERIOR",
            0x4C,
            True,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "GATE_COMMIT",
            0x50,
            True,
            {
                "commit": Field(0, 1, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_CLASSES_LO",
            0x54,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_CLASSES_HI",
            0x58,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_POSTERIOR",
            0x5C,
            False,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "GATE_SERIAL",
            0x60,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "DROP_DELAY",
            0x64,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "PULSE_CYCLES",
            0x68,
            True,
            {
                "value": Field(0, 16, 0x1),
            },
        ),
        Register(
            "TRIGGER_CHANNEL",
            0x6C,
            True,
            {
                "value": Field(0, 8, 0x0),
            },
        ),
        Register(
            "TRIGGER_THRESHOLD",
            0x70,
            True,
            {
                "value": Field(0, 32, 0xFFFFFFFF),
            },
        ),
        Register(
            "ACCEPTED",
            0x80,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "MISSED",
            0x84,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED",
            0x88,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "REJECTED",
            0x8C,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "DISARMED",
            0x90,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LATE",
            0x94,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "ABORTED",
            0x98,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "CONFLICT",
            0x9C,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "RECORDS_LOST",
            0xA0,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_ERRORS",
            0xA4,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_STALLS",
            0xA8,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINK_BAD_FRAMES",
            0xAC,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINK_GOOD_FRAMES",
            0xB0,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
    )
}
