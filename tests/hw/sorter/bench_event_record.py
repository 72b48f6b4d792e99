# SPDX-License-Identifier: Apache-2.0
"""event_record against icsort.formats.event_record: fields at their extremes, all choices of groups, ids."""

import random
import struct

import cocotb

from icsort.formats.event_record import FIELDS, Group, pack
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "groups": 15, "timestamp": 0, "gate_serial": 0, "decided": 0, "tag": 0, "outcome": 0, "direction": 0, "flags": 0,
    "length": 0, "gates": 0, "event_time": 0, "last_time": 0, "best_class": 0, "logits": 0,
    "posterior": 0, "feature_data": 0,
}  # fmt: skip


def extreme(bits: int) -> int:
    return random.choice([0, 1, 2**bits - 1, random.getrandbits(bits)])


class Recorder:
    """What goes in and must come out."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.classes, self.bits = dut.N_CLASSES.value.to_unsigned(), dut.LOGIT_BITS.value.to_unsigned()
        self.features = [0] * dut.FEATURES.value.to_unsigned()
        self.index = self.before = 0
        self.event = 0

    async def cycle(self, *outputs: str, **inputs: int) -> tuple[int, ...]:
        """The memory of features answers two cycles behind the index."""
        data = self.features[self.before] % 2**32 if self.before < len(self.features) else random.getrandbits(32)
        self.before = self.index
        self.index, *values = await cycle(self.dut, "feature_index", *outputs, feature_data=data, **inputs)
        return tuple(values)

    async def decide(self) -> bytes:
        """Decide an event; returns the record that it is to have, empty where it is to have none."""
        time = extreme(48)
        first = random.choice([100, 2**32 - 1, 2**32, 2**47])
        last = min(first, random.choice([20, 2**31 - 1, 2**31, 2**46]))
        half = 2 ** (self.bits - 1)
        logits = [random.choice([0, -1, -half, half - 1, random.randrange(-half, half)]) for _ in range(self.classes)]
        groups = random.getrandbits(4)
        fields = {
            "tag": extreme(8), "outcome": random.randrange(6), "direction": extreme(8), "flags": extreme(6),
            "length": extreme(8), "gates": extreme(32), "event_time": time, "gate_serial": extreme(32),
        }  # fmt: skip
        best, posterior = extreme(8), extreme(16)
        await self.cycle(
            decided=1, groups=groups, timestamp=(time + first) % 2**48, last_time=(time + first - last) % 2**48,
            best_class=best, posterior=posterior,
            logits=sum((v % 2**self.bits) << self.bits * c for c, v in enumerate(logits)), **fields,
        )  # fmt: skip
        fields |= {
            "event_id": self.event, "class_index": best, "posterior": posterior,
            "first_pixel_to_decision": min(first, 2**32 - 1), "last_pixel_to_decision": min(last, 2**31 - 1),
        }  # fmt: skip
        self.event += 1
        if not groups & Group.BASE:
            return b""
        if not groups & Group.TIMING:
            fields = {name: value for name, value in fields.items() if name not in timing()}
        features = self.features if self.features and groups & Group.FEATURES else None
        return pack(fields, features, logits if groups & Group.LOGITS else None)

    async def record(self) -> None:
        """One event through the block, compared word by word."""
        self.features = [random.choice([0, -1, -(2**31), 2**31 - 1, random.getrandbits(31)]) for _ in self.features]
        expected = await self.decide()
        # Everything was taken with the decision.
        others = {
            "decided": 0, "timestamp": 0, "event_time": 1, "last_time": 2, "outcome": 0, "best_class": 0, "logits": 0,
            "posterior": 0, "groups": 15,
        }  # fmt: skip
        words = []
        for i in range(len(expected) // 4):
            valid, last, word = await self.cycle("m_word_tvalid", "m_word_tlast", "m_word_tdata", **others)
            assert (valid, last) == (1, 4 * i + 4 == len(expected))
            words.append(word)
        assert struct.pack(f"<{len(words)}I", *words) == expected
        assert await self.cycle("m_word_tvalid", "busy", "lost", **others) == (0, 0, 0)


def timing() -> set[str]:
    return {field.name for field in FIELDS[Group.TIMING]}


@cocotb.test()
async def packs_records(dut):
    await start(dut, **INPUTS)
    recorder = Recorder(dut)
    for _ in range(120):
        await recorder.record()


@cocotb.test()
async def a_decision_too_early_is_counted(dut):
    """Of events that are decided while a record still leaves none is recorded, each is counted and has an id."""
    await start(dut, **INPUTS)
    recorder = Recorder(dut)
    for _ in range(20):
        expected = await recorder.decide()
        while not expected:
            expected = await recorder.decide()
        words, due, lost = [], 0, 0
        for _ in range(len(expected) // 4 + 2):
            decided = random.getrandbits(1) if len(words) < len(expected) // 4 - 1 else 0
            valid, word, dropped = await recorder.cycle(
                "m_word_tvalid",
                "m_word_tdata",
                "lost",
                decided=decided,
                groups=1,
                event_time=0,
            )
            due, lost = due + decided, lost + dropped
            recorder.event += decided
            words += [word] if valid else []
        assert struct.pack(f"<{len(words)}I", *words) == expected
        assert lost == due
        await recorder.cycle(decided=0)
        await recorder.record()


@cocotb.test()
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    await Recorder(dut).record()
    await cycle(dut, decided=1, groups=15)
    await cycle(dut, decided=0)
    await cycle(dut)
    await reset(dut)
    assert dut.m_word_tvalid.value == 0
    assert dut.busy.value == 0
    await Recorder(dut).record()
