# SPDX-License-Identifier: Apache-2.0
"""arming against its contract, told from the times of what happened: who arms, who disarms, when the host is silent."""

import random

import cocotb

from tests.hw.sorter.signals import cycle, reset, start

INPUTS = {
    "arm": 0, "arm_test": 0, "disarm": 0, "gate_valid": 0, "schedule_valid": 1, "faulty": 0, "alive": 0, "timeout": 100,
}  # fmt: skip
OUTPUTS = ("armed", "testing", "disarmed_by", "silenced")
NOTHING, HOST, SILENCE, FAULT = range(4)


@cocotb.test()
@cocotb.parametrize(timeout=[1, 2, 30])
async def equals_the_contract(dut, timeout):
    await start(dut, **INPUTS)
    gate_from, schedule_from, last_life = random.randrange(100), random.randrange(100), -1
    armed, testing, cause, silenced = 0, 0, NOTHING, 0
    falls = {HOST: 0, SILENCE: 0, FAULT: 0}
    rises = {"armed": 0, "testing": 0}
    for now in range(5000):
        arm, arm_test = random.random() < 0.2, random.random() < 0.1
        disarm, faulty = random.random() < 0.02, random.random() < 0.02
        alive = random.random() < (0.5 if timeout < 10 else 0.06)
        inputs = {
            "arm": arm,
            "arm_test": arm_test,
            "disarm": disarm,
            "faulty": faulty,
            "alive": alive,
            "timeout": timeout,
        }
        inputs |= {"gate_valid": now >= gate_from, "schedule_valid": now >= schedule_from}
        seen = await cycle(dut, *OUTPUTS, **inputs)
        assert seen == (armed, testing, cause, silenced), now
        silent = now - last_life >= timeout + 2
        silenced = int((armed or testing) and silent and not disarm and not faulty)
        if disarm or faulty or silent:
            if armed or testing:
                cause = HOST if disarm else FAULT if faulty else SILENCE
                falls[cause] += 1
            armed = testing = 0
        elif now >= schedule_from:
            if arm and now >= gate_from and not testing:
                rises["armed"] += not armed
                armed = 1
            elif arm_test and not armed:
                rises["testing"] += not testing
                testing = 1
        if alive:
            last_life = now
    assert min(*falls.values(), *rises.values()) > 5


@cocotb.test()
async def falls_a_set_time_after_the_last_sign_of_life(dut):
    """A change of the timeout counts from the last sign of life; an `arm` while the host is silent does nothing."""
    await start(dut, **INPUTS)
    await cycle(dut, gate_valid=1, alive=1, timeout=10**6)
    await cycle(dut, alive=0, arm=1)
    (armed,) = await cycle(dut, "armed", arm=0, timeout=40)
    assert armed
    high = 2  # cycles since the sign of life
    while (await cycle(dut, "armed"))[0]:
        high += 1
    assert high + 1 == 40 + 3
    assert (await cycle(dut, *OUTPUTS, arm=1))[:3] == (0, 0, SILENCE)
    assert (await cycle(dut, "armed", arm=0)) == (0,)


@cocotb.test()
async def no_timeout_no_arming(dut):
    await start(dut, **INPUTS)
    for _ in range(20):
        inputs = {"arm": 1, "arm_test": 1, "alive": 1, "gate_valid": 1, "timeout": 0}
        assert await cycle(dut, *OUTPUTS, **inputs) == (0, 0, NOTHING, 0)


@cocotb.test()
async def reset_in_the_middle(dut):
    await start(dut, **INPUTS)
    await cycle(dut, gate_valid=1, alive=1, arm=1)
    assert (await cycle(dut, "armed", arm=0)) == (1,)
    await reset(dut)
    assert await cycle(dut, *OUTPUTS) == (0, 0, NOTHING, 0)
