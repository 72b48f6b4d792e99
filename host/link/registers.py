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
    """A 32-bit register at a byte address. One that is not readable is a strobe: writing 1 acts, once."""

    name: str
    address: int
    readable: bool
    writable: bool
    fields: dict[str, Field]


REGISTERS: dict[str, Register] = {
    register.name: register
    for register in (
        Register(
            "MAGIC",
            0x00,
            True,
            False,
            {
                "value": Field(0, 32, 0x52534349),
            },
        ),
        Register(
            "PROTOCOL",
            0x04,
            True,
            False,
            {
                "value": Field(0, 32, 0x2),
            },
        ),
        Register(
            "BUILD_ID_LO",
            0x08,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "BUILD_ID_HI",
            0x0C,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "MODEL_ID_LO",
            0x10,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "MODEL_ID_HI",
            0x14,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "GEOMETRY",
            0x18,
            True,
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
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "TIMESTAMP_LO",
            0x20,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TIMESTAMP_HI",
            0x24,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "STATUS",
            0x28,
            True,
            False,
            {
                "armed": Field(0, 1, None),
                "gate_valid": Field(1, 1, 0x0),
                "idle": Field(2, 1, None),
                "disarmed_by": Field(4, 2, None),
            },
        ),
        Register(
            "SNAPSHOT",
            0x38,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "ARM",
            0x3C,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "DISARM",
            0x40,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "GATE_CLASSES_LO",
            0x44,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_CLASSES_HI",
            0x48,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_POSTERIOR",
            0x4C,
            True,
            True,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "GATE_COMMIT",
            0x50,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_CLASSES_LO",
            0x54,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_CLASSES_HI",
            0x58,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_ACTIVE_POSTERIOR",
            0x5C,
            True,
            False,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "GATE_SERIAL",
            0x60,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "DROP_DELAY",
            0x64,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "PULSE_CYCLES",
            0x68,
            True,
            True,
            {
                "value": Field(0, 16, 0x1),
            },
        ),
        Register(
            "TRIGGER_CHANNEL",
            0x6C,
            True,
            True,
            {
                "value": Field(0, 8, 0x0),
            },
        ),
        Register(
            "TRIGGER_THRESHOLD",
            0x70,
            True,
            True,
            {
                "value": Field(0, 32, 0xFFFFFFFF),
            },
        ),
        Register(
            "HEARTBEAT",
            0x74,
            True,
            True,
            {
                "value": Field(0, 32, 0xBEBC200),
            },
        ),
        Register(
            "LINE_TIMEOUT",
            0x78,
            True,
            True,
            {
                "value": Field(0, 32, 0xF4240),
            },
        ),
        Register(
            "ACCEPTED",
            0x80,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "MISSED",
            0x84,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED",
            0x88,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "REJECTED",
            0x8C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "DISARMED",
            0x90,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LATE",
            0x94,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "ABORTED",
            0x98,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "CONFLICT",
            0x9C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "RECORDS_LOST",
            0xA0,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_ERRORS",
            0xA4,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_STALLS",
            0xA8,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINK_BAD_FRAMES",
            0xAC,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINK_GOOD_FRAMES",
            0xB0,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "HEARTBEATS_LOST",
            0xB4,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_GAPS",
            0xB8,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINES_STOPPED",
            0xBC,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "DEAD_TIME",
            0xC0,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
    )
}
