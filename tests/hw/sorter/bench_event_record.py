# SPDX-License-Identifier: Apache-2.0
"""event_record against icsort.formats.event_record: every field at its extremes, words in order, ids without a gap."""

import random
import struct

import cocotb

from icsort.formats.event_record import pack
from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "timestamp": 0, "decided": 0, "outcome": 0, "event_time": 0, "last_time": 0, "best_class": 0, "logits": 0,
    "posterior_valid": 0, "posterior": 0,
}  # fmt: skip


async def record(dut, event: int) -> None:
    """One event through the block, compared byte by byte."""
    classes, bits = dut.N_CLASSES.value.to_unsigned(), dut.LOGIT_BITS.value.to_unsigned()
    time = random.getrandbits(random.choice([10, 48]))
    first = random.choice([100, 2**32 - 1, 2**32, 2**47])
    last = min(first, random.choice([20, 2**31 - 1, 2**31, 2**46]))
    logits = [random.choice([0, -1, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1]) for _ in range(classes)]
    outcome, best, posterior = random.randrange(6), random.getrandbits(8), random.getrandbits(16)
    await cycle(
        dut, decided=1, timestamp=(time + first) % 2**48, event_time=time, last_time=(time + first - last) % 2**48,
        outcome=outcome, best_class=best, logits=sum((v & (2**bits - 1)) << bits * c for c, v in enumerate(logits)),
    )  # fmt: skip
    # Everything but the posterior was taken with the decision.
    others = {"timestamp": 0, "event_time": 1, "last_time": 2, "outcome": 0, "best_class": 0, "logits": 0}
    for _ in range(random.randrange(20)):
        valid, busy = await cycle(dut, "m_word_tvalid", "busy", decided=0, **others)
        assert (valid, busy) == (0, 1)
    await cycle(dut, decided=0, posterior_valid=1, posterior=posterior, **others)
    header = {
        "event_id": event,
        "time": time,
        "outcome": outcome,
        "class_index": best,
        "posterior": posterior,
        "first_pixel_to_decision": min(first, 2**32 - 1),
        "last_pixel_to_decision": min(last, 2**31 - 1),
    }
    expected = pack(header, logits)
    words = []
    for i in range(6 + classes):
        whole, valid, last_word, body, word = await cycle(
            dut, "record_valid", "m_word_tvalid", "m_word_tlast", "record", "m_word_tdata", posterior_valid=0
        )
        assert (whole, valid, last_word) == (i == 0, 1, i == 5 + classes)
        if whole:
            assert body.to_bytes(len(expected), "little") == expected
        words.append(word)
    assert struct.pack(f"<{len(words)}I", *words) == expected
    valid, busy = await cycle(dut, "m_word_tvalid", "busy")
    assert (valid, busy) == (0, 0)


@cocotb.test()
async def packs_records(dut):
    await start(dut, **INPUTS)
    for event in range(60):
        await record(dut, event)


@cocotb.test()
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    await record(dut, 0)
    await cycle(dut, decided=1)
    await cycle(dut, decided=0, posterior_valid=1)
    await cycle(dut, posterior_valid=0)
    await reset(dut)
    assert dut.m_word_tvalid.value == 0
    assert dut.busy.value == 0
    await record(dut, 0)
