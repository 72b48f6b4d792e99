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
                "value": Field(0, 32, 0x3),
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
                "testing": Field(3, 1, None),
                "disarmed_by": Field(4, 2, None),
                "schedule_valid": Field(6, 1, None),
                "interlock": Field(7, 1, None),
            },
        ),
        Register(
            "NETWORK_ID_LO",
            0x2C,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "NETWORK_ID_HI",
            0x30,
            True,
            False,
            {
                "value": Field(0, 32, None),
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
            "HARDWARE",
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
        Register(
            "DEBRIS",
            0xC4,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "WINDOWS_LOST",
            0xC8,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "FEATURES_LOST",
            0xCC,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_DELAY",
            0x100,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_PULSE",
            0x104,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_EVERY",
            0x108,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_TARGET",
            0x10C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_COST",
            0x110,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_0_BURST",
            0x114,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_DELAY",
            0x118,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_PULSE",
            0x11C,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_EVERY",
            0x120,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_TARGET",
            0x124,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_COST",
            0x128,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_1_BURST",
            0x12C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_DELAY",
            0x130,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_PULSE",
            0x134,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_EVERY",
            0x138,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_TARGET",
            0x13C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_COST",
            0x140,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_2_BURST",
            0x144,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_DELAY",
            0x148,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_PULSE",
            0x14C,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_EVERY",
            0x150,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_TARGET",
            0x154,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_COST",
            0x158,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_3_BURST",
            0x15C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_DELAY",
            0x160,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_PULSE",
            0x164,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_EVERY",
            0x168,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_TARGET",
            0x16C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_COST",
            0x170,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_4_BURST",
            0x174,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_DELAY",
            0x178,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_PULSE",
            0x17C,
            True,
            True,
            {
                "width": Field(0, 16, None),
                "dead": Field(16, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_EVERY",
            0x180,
            True,
            True,
            {
                "value": Field(0, 16, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_TARGET",
            0x184,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_COST",
            0x188,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DIRECTION_5_BURST",
            0x18C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_MODE",
            0x190,
            True,
            True,
            {
                "purity": Field(0, 2, None),
                "droplet": Field(2, 1, None),
                "external_clock": Field(3, 1, None),
                "envelope": Field(4, 2, None),
                "doublets": Field(6, 1, None),
                "overlong": Field(7, 1, None),
                "first_phase": Field(8, 4, None),
                "last_phase": Field(12, 4, None),
                "margin": Field(16, 5, None),
                "outputs": Field(24, 6, None),
            },
        ),
        Register(
            "SCHEDULE_BEFORE",
            0x194,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_AFTER",
            0x198,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DROP_INCREMENT",
            0x19C,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_DROP_TIMEOUT",
            0x1A0,
            True,
            True,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SCHEDULE_COMMIT",
            0x1E0,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "SCHEDULE_VIEW",
            0x1E4,
            True,
            True,
            {
                "value": Field(0, 1, 0x0),
            },
        ),
        Register(
            "SCHEDULE_SERIAL",
            0x1E8,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "ARM_TEST",
            0x1EC,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "TEST_PULSE",
            0x1F0,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "TEST_PERIOD",
            0x1F4,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TEST",
            0x1F8,
            True,
            True,
            {
                "direction": Field(0, 3, 0x0),
                "events": Field(8, 1, 0x0),
                "width": Field(16, 16, 0x1),
            },
        ),
        Register(
            "TRIGGER_ON",
            0x200,
            True,
            True,
            {
                "value": Field(0, 32, 0xFFFFFFFF),
            },
        ),
        Register(
            "TRIGGER_OFF",
            0x204,
            True,
            True,
            {
                "value": Field(0, 32, 0xFFFFFFFF),
            },
        ),
        Register(
            "TRIGGER_WEIGHTS_LO",
            0x208,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TRIGGER_WEIGHTS_HI",
            0x20C,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TRIGGER_COLUMNS",
            0x210,
            True,
            True,
            {
                "first": Field(0, 16, 0x0),
                "last": Field(16, 16, 0x0),
            },
        ),
        Register(
            "TRIGGER_LINES",
            0x214,
            True,
            True,
            {
                "end_lines": Field(0, 6, 0x1),
                "min_lines": Field(8, 8, 0x1),
                "pre_lines": Field(16, 6, 0x0),
                "post_lines": Field(24, 6, 0x0),
            },
        ),
        Register(
            "TRIGGER_LIMITS",
            0x218,
            True,
            True,
            {
                "max_lines": Field(0, 8, 0xFF),
                "dip": Field(8, 5, 0x0),
            },
        ),
        Register(
            "WINDOW",
            0x21C,
            True,
            True,
            {
                "x_offset": Field(0, 16, 0x0),
                "centred": Field(16, 1, 0x0),
                "flat_field": Field(17, 1, 0x0),
            },
        ),
        Register(
            "CHANNEL_DELAYS_LO",
            0x220,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "CHANNEL_DELAYS_HI",
            0x224,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "PREPROCESS_SHIFT",
            0x228,
            True,
            True,
            {
                "value": Field(0, 5, 0x0),
            },
        ),
        Register(
            "FRONT_COMMIT",
            0x22C,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "FRONT_SERIAL",
            0x230,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "FRONT_INDEX",
            0x234,
            True,
            True,
            {
                "index": Field(0, 24, 0x0),
                "table_number": Field(24, 8, 0x0),
            },
        ),
        Register(
            "FRONT_DATA",
            0x238,
            False,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "FRONT_READ",
            0x23C,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "POSTERIOR",
            0x240,
            True,
            True,
            {
                "multiplier": Field(0, 18, 0x0),
                "shift": Field(24, 6, 0x0),
            },
        ),
        Register(
            "POSTERIOR_IN_FORCE",
            0x244,
            True,
            False,
            {
                "multiplier": Field(0, 18, None),
                "shift": Field(24, 6, None),
            },
        ),
        Register(
            "SETTINGS_ID_LO",
            0x248,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SETTINGS_ID_HI",
            0x24C,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SETTINGS_IN_FORCE_LO",
            0x250,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "SETTINGS_IN_FORCE_HI",
            0x254,
            True,
            False,
            {
                "value": Field(0, 32, None),
            },
        ),
        Register(
            "GATE_INDEX",
            0x300,
            True,
            True,
            {
                "index": Field(0, 13, 0x0),
                "active": Field(31, 1, 0x0),
            },
        ),
        Register(
            "GATE_DATA",
            0x304,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_COMMIT",
            0x308,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "GATE_SERIAL",
            0x30C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "GATE_STATE",
            0x310,
            True,
            False,
            {
                "committing": Field(0, 1, None),
                "reading": Field(1, 1, None),
            },
        ),
        Register(
            "GATE_SIZE",
            0x314,
            True,
            False,
            {
                "tests": Field(0, 8, None),
                "gates": Field(8, 8, None),
                "scales": Field(16, 8, None),
                "corners": Field(24, 8, None),
            },
        ),
        Register(
            "GATE_VALUES",
            0x318,
            True,
            False,
            {
                "features": Field(0, 8, None),
            },
        ),
        Register(
            "RECORD_FIELDS",
            0x400,
            True,
            True,
            {
                "base": Field(0, 1, 0x1),
                "timing": Field(1, 1, 0x1),
                "features": Field(2, 1, 0x0),
                "logits": Field(3, 1, 0x1),
            },
        ),
        Register(
            "NETWORK_MARGIN",
            0x410,
            True,
            True,
            {
                "value": Field(0, 32, 0x3E8),
            },
        ),
        Register(
            "STATISTICS_PERIOD",
            0x420,
            True,
            True,
            {
                "value": Field(0, 32, 0xFFFFFFFF),
            },
        ),
        Register(
            "IMAGE_RULE",
            0x428,
            True,
            True,
            {
                "rule": Field(0, 2, 0x0),
                "argument": Field(8, 24, 0x0),
            },
        ),
        Register(
            "IMAGE_REQUEST",
            0x42C,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "FAULTS",
            0x440,
            True,
            False,
            {
                "interlock": Field(0, 1, None),
                "cells_lost": Field(1, 1, None),
                "drop_clock": Field(2, 1, None),
                "pairing": Field(3, 1, None),
                "network": Field(4, 1, None),
            },
        ),
        Register(
            "FAULTS_CLEAR",
            0x444,
            False,
            True,
            {
                "interlock": Field(0, 1, 0x0),
                "cells_lost": Field(1, 1, 0x0),
                "drop_clock": Field(2, 1, 0x0),
                "pairing": Field(3, 1, 0x0),
                "network": Field(4, 1, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE",
            0x480,
            True,
            True,
            {
                "select": Field(0, 1, 0x0),
                "while_armed": Field(1, 1, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_LINES",
            0x484,
            True,
            True,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_GAP",
            0x488,
            True,
            True,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_REPEATS",
            0x48C,
            True,
            True,
            {
                "value": Field(0, 16, 0x1),
            },
        ),
        Register(
            "LINE_SOURCE_START",
            0x490,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_STOP",
            0x494,
            False,
            True,
            {
                "strobe": Field(0, 1, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_INDEX",
            0x498,
            True,
            True,
            {
                "channel": Field(0, 8, 0x0),
                "column": Field(8, 16, 0x0),
                "line": Field(24, 8, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_DATA",
            0x49C,
            False,
            True,
            {
                "value": Field(0, 16, 0x0),
            },
        ),
        Register(
            "LINE_SOURCE_STATUS",
            0x4A0,
            True,
            False,
            {
                "selected": Field(0, 1, None),
                "playing": Field(1, 1, None),
                "lines": Field(16, 16, None),
            },
        ),
        Register(
            "COINCIDENCE",
            0x500,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "AMBIGUOUS",
            0x504,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "OVERLONG",
            0x508,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "STALLED",
            0x50C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "FAULT",
            0x510,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "LIMITED",
            0x514,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SKIPPED",
            0x518,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "COMPLETE",
            0x51C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "TEST_PULSES",
            0x520,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_0",
            0x524,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_1",
            0x528,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_2",
            0x52C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_3",
            0x530,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_4",
            0x534,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "SORTED_5",
            0x538,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "STATISTICS_LOST",
            0x53C,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
        Register(
            "IMAGES_SKIPPED",
            0x540,
            True,
            False,
            {
                "value": Field(0, 32, 0x0),
            },
        ),
    )
}

SCHEDULE_WORDS: dict[int, str] = {
    0: "SCHEDULE_DIRECTION_0_DELAY",
    1: "SCHEDULE_DIRECTION_0_PULSE",
    2: "SCHEDULE_DIRECTION_0_EVERY",
    3: "SCHEDULE_DIRECTION_0_TARGET",
    4: "SCHEDULE_DIRECTION_0_COST",
    5: "SCHEDULE_DIRECTION_0_BURST",
    6: "SCHEDULE_DIRECTION_1_DELAY",
    7: "SCHEDULE_DIRECTION_1_PULSE",
    8: "SCHEDULE_DIRECTION_1_EVERY",
    9: "SCHEDULE_DIRECTION_1_TARGET",
    10: "SCHEDULE_DIRECTION_1_COST",
    11: "SCHEDULE_DIRECTION_1_BURST",
    12: "SCHEDULE_DIRECTION_2_DELAY",
    13: "SCHEDULE_DIRECTION_2_PULSE",
    14: "SCHEDULE_DIRECTION_2_EVERY",
    15: "SCHEDULE_DIRECTION_2_TARGET",
    16: "SCHEDULE_DIRECTION_2_COST",
    17: "SCHEDULE_DIRECTION_2_BURST",
    18: "SCHEDULE_DIRECTION_3_DELAY",
    19: "SCHEDULE_DIRECTION_3_PULSE",
    20: "SCHEDULE_DIRECTION_3_EVERY",
    21: "SCHEDULE_DIRECTION_3_TARGET",
    22: "SCHEDULE_DIRECTION_3_COST",
    23: "SCHEDULE_DIRECTION_3_BURST",
    24: "SCHEDULE_DIRECTION_4_DELAY",
    25: "SCHEDULE_DIRECTION_4_PULSE",
    26: "SCHEDULE_DIRECTION_4_EVERY",
    27: "SCHEDULE_DIRECTION_4_TARGET",
    28: "SCHEDULE_DIRECTION_4_COST",
    29: "SCHEDULE_DIRECTION_4_BURST",
    30: "SCHEDULE_DIRECTION_5_DELAY",
    31: "SCHEDULE_DIRECTION_5_PULSE",
    32: "SCHEDULE_DIRECTION_5_EVERY",
    33: "SCHEDULE_DIRECTION_5_TARGET",
    34: "SCHEDULE_DIRECTION_5_COST",
    35: "SCHEDULE_DIRECTION_5_BURST",
    36: "SCHEDULE_MODE",
    37: "SCHEDULE_BEFORE",
    38: "SCHEDULE_AFTER",
    39: "SCHEDULE_DROP_INCREMENT",
    40: "SCHEDULE_DROP_TIMEOUT",
}
"""Words of the scheduler's memory: index and the register that it is."""

COUNTERS: tuple[str, ...] = (
    "ACCEPTED",
    "MISSED",
    "SORTED",
    "REJECTED",
    "DISARMED",
    "LATE",
    "HARDWARE",
    "CONFLICT",
    "RECORDS_LOST",
    "LINE_ERRORS",
    "LINK_BAD_FRAMES",
    "LINK_GOOD_FRAMES",
    "HEARTBEATS_LOST",
    "LINE_GAPS",
    "LINES_STOPPED",
    "DEAD_TIME",
    "DEBRIS",
    "WINDOWS_LOST",
    "FEATURES_LOST",
    "COINCIDENCE",
    "AMBIGUOUS",
    "OVERLONG",
    "STALLED",
    "FAULT",
    "LIMITED",
    "SKIPPED",
    "COMPLETE",
    "TEST_PULSES",
    "SORTED_0",
    "SORTED_1",
    "SORTED_2",
    "SORTED_3",
    "SORTED_4",
    "SORTED_5",
    "STATISTICS_LOST",
    "IMAGES_SKIPPED",
)
"""Counters in the order in which a frame of statistics has them."""
