# SPDX-License-Identifier: Apache-2.0
"""event_join: each event is decided once, in order, and only one whose parts are all its own is without fault."""

import random
from collections import deque

import cocotb

from tests.hw.sorter.signals import cycle, start

INPUTS = {
    "event_valid": 0, "event_tag": 0, "ended_valid": 0, "ended_tag": 0, "result_valid": 0, "result_tag": 0,
    "result_failed": 0, "take": 0,
}  # fmt: skip
OUTPUTS = ("joined", "fault", "mismatch", "take_event", "take_ended", "take_result")


def parts(events: int, missing: float, strange: float) -> list[int]:
    """Which event each part is of: some are missing, up to 100 in a row, some there twice; the last one is there."""
    found: list[int] = []
    event = 0
    while event < events - 1:
        if random.random() < missing:
            event = min(event + random.choice([1, 1, 2, 100]), events - 1)
        found += [event] * (2 if random.random() < strange else 1)
        event += 1
    return [*(event for event in found if event < events - 1), events - 1]


@cocotb.test(timeout_time=500, timeout_unit="us")
@cocotb.parametrize(missing=[0.0, 0.05], strange=[0.0, 0.05], idle=[0.0, 0.5])
async def every_event_once(dut, missing, strange, idle):
    await start(dut, **INPUTS)
    events = 600
    of_end, of_result = parts(events, missing, strange), parts(events, missing, strange)
    failed = [random.random() < strange for _ in of_result]
    # An event is good where its end and its result are there, and the first result of it did not fail.
    good = set(of_end) & {event for i, event in enumerate(of_result) if event not in of_result[:i] and not failed[i]}
    begun, ends, results = deque(range(events)), deque(of_end), deque(zip(of_result, failed, strict=True))
    decided: list[tuple[int, bool]] = []
    mismatches = 0
    while begun:
        inputs = {"take": random.random() >= idle}
        for name, queue in (("event", begun), ("ended", ends), ("result", results)):
            inputs[f"{name}_valid"] = bool(queue) and random.random() >= idle
        inputs["event_tag"] = begun[0] % 256
        inputs["ended_tag"] = ends[0] % 256 if ends else random.getrandbits(8)
        inputs["result_tag"], inputs["result_failed"] = (results[0][0] % 256, results[0][1]) if results else (0, 0)
        joined, fault, mismatch, event, end, result = await cycle(dut, *OUTPUTS, **inputs)
        assert not end or inputs["ended_valid"]
        assert not result or inputs["result_valid"]
        mismatches += mismatch
        if event:
            assert joined
            decided.append((begun.popleft(), not fault))
        if end:
            ends.popleft()
        if result:
            results.popleft()
    assert [event for event, _ in decided] == list(range(events))
    assert {event for event, is_good in decided if is_good} == good
    assert (mismatches == 0) == (len(of_end) == len(of_result) == events)
    assert len(ends) + len(results) <= 2  # at most the last ones, twice
