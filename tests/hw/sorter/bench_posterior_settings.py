# SPDX-License-Identifier: Apache-2.0
"""posterior_settings: logits are calibrated where the event began behind the last commit of a multiplier, else not."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

OUTPUTS = ("multiplier", "shift", "calibrated")
IDLE = {"commit": 0, "begun": 0, "taken": 0, "new_multiplier": 0, "new_shift": 0}


class Model:
    """Each open event by the number of commits that it has seen, in the order in which events begin."""

    def __init__(self) -> None:
        self.commits = 0
        self.constants = 0, 0
        self.open: list[int] = []

    def outputs(self) -> tuple[int, int, int]:
        """Those that the next event's logits go by; of one that has not begun yet those in force."""
        now = not self.open or self.open[0] == self.commits
        return (*self.constants, int(now and self.constants[0] != 0))

    def step(self, commit: int, begun: int, taken: int, new_multiplier: int, new_shift: int) -> None:
        self.open += [self.commits] * begun
        if taken:
            del self.open[0]
        if commit:
            self.commits += 1
            self.constants = new_multiplier, new_shift


@cocotb.test()
@cocotb.parametrize(commits=[0.02, 0.3])
async def events_of_before_a_commit_are_not_calibrated(dut, commits):
    await start(dut, **IDLE)
    limit, taken_in_doubt = dut.EVENTS.value.to_unsigned(), 0
    for _ in range(3):
        model = Model()
        assert await cycle(dut, *OUTPUTS, **IDLE) == (0, 0, 0)
        pace = 0.5
        for number in range(3000):
            if number % 100 == 0:
                pace = random.random()
            taken = int(bool(model.open) and random.random() < pace)
            inputs = {
                "commit": int(random.random() < commits),
                "begun": int(len(model.open) < limit and random.random() < 0.5),
                "taken": taken,
                "new_multiplier": random.choice([0, 1, 2**18 - 1, random.randrange(2**18)]),
                "new_shift": random.randrange(48),
            }
            outputs = await cycle(dut, *OUTPUTS, **inputs)
            assert outputs == model.outputs()
            taken_in_doubt += taken and not outputs[2]
            model.step(**inputs)
        await reset(dut)
    assert taken_in_doubt
