# SPDX-License-Identifier: Apache-2.0
"""gate_engine against icsort.sim.bit_true.gate_engine: every test, gate and direction of every event, the cycle of each
result, words read back, sets and constants of the posteriors that change while events come.
tests/hw/sorter/rtl/gate_engine_bench.sv drives it."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.gate_engine import Axis, Gate, Kind, Program, Test
from tests.hw.sorter.gate_sets import Events, Size, random_events, random_program
from tests.hw.sorter.signals import reset, start

COUNT = int(os.environ.get("ICSORT_GATE_EVENTS", "400"))
FULL_SETS = 6
NEAR = 100
ALL = "5 ffffffff 0"


def size_of(dut) -> Size:
    names = ("N_CLASSES", "LOGIT_BITS", "FEATURES", "TESTS", "GATES", "SCALES", "CORNERS")
    return Size(*(getattr(dut, name).value.to_unsigned() for name in names))


CONSTANTS = (int(os.environ.get("ICSORT_MULTIPLIER", "1")), int(os.environ.get("ICSORT_SHIFT", "0")))


def calibrate(constants: tuple[int, int]) -> str:
    """Of these constants are the posteriors from here on; a multiplier of 0: they are not known."""
    return "6 {:x} {:x}".format(*constants)


NOTHING = Program((), (Test(Kind.RANGE, Axis(0)),), (Gate(1),))


def write(words: dict[int, int]) -> list[str]:
    return [f"0 {index:x} {word:x}" for index, word in words.items()]


@dataclass
class Log:
    """What the bench wrote, in order. A result's `set` and `constants`: how many sets had come in force when its logits
    were taken, and the constants of posteriors in that cycle."""

    results: list[dict[str, Any]] = field(default_factory=list)
    latencies: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    commits: int = 0


def read_log() -> Log:
    log, seen, sets, constants, begun = Log(), 0, [], [], []
    fields = (
        "tag",
        "mismatch",
        "direction",
        "wanted",
        "ambiguous",
        "featureless",
        "tests",
        "gates",
        "class",
        "posterior",
        "logits",
    )
    bases = (16, 2, 16, 2, 2, 2, 16, 16, 16, 16, 16)
    for line in Path("log.txt").read_text().splitlines():
        what, *rest = line.split()
        if what == "C":
            log.commits += 1
        elif what == "L":
            sets.append(log.commits)
            constants.append((int(rest[2]), int(rest[3])))
        elif what == "V":
            begun.append(int(rest[0]))
        elif what == "R":
            log.words.append(int(rest[0], 16))
        else:
            result = {name: int(text, base) for name, text, base in zip(fields, rest[1:], bases, strict=True)}
            log.results.append(result | {"set": sets[seen], "constants": constants[seen]})
            log.latencies.append(int(rest[0]) - begun[seen])
            seen += 1
    return log


def write_events(size: Size, events: Events, tags: Sequence[int], wrong: frozenset[int] = frozenset()) -> None:
    """Files of the three streams. wrong: events whose length and interval come with another tag."""
    limit = 2**size.logit_bits
    packed = [
        sum((value % limit) << size.logit_bits * c for c, value in enumerate(row)) for row in events.logits.tolist()
    ]
    Path("logits.txt").write_text("".join(f"{tag:x} {row:x}\n" for tag, row in zip(tags, packed, strict=True)))
    ends = zip(tags, events.interval.tolist(), events.length.tolist(), strict=True)
    Path("events.txt").write_text(
        "".join(
            f"{(tag ^ (i in wrong)):x} {interval:08x}{length:08x}\n" for i, (tag, interval, length) in enumerate(ends)
        )
    )
    Path("features.txt").write_text(
        "".join(
            f"{tag:x} {int(none)} {int(i == len(row) - 1)} {value % 2**32:x}\n"
            for tag, none, values in zip(tags, events.featureless.tolist(), events.features.tolist(), strict=True)
            for row in [values[:1] if none else values]
            for i, value in enumerate(row)
        )
    )


async def run(dut, host: Sequence[str], results: int, stall: int = 0) -> Log:
    Path("host.txt").write_text("\n".join(host) + "\n")
    dut.events.value = results
    dut.stall.value = stall
    dut.go.value = 1
    await RisingEdge(dut.done)
    await ClockCycles(dut.clk, 2)
    dut.go.value = 0
    await ClockCycles(dut.clk, 3)
    return read_log()


def expect(dut, log: Log, events: Events, programs: Sequence[Program], tags: Sequence[int]) -> None:
    """Every result is that of the set and the constants that were in force when its logits were taken."""
    size, best = size_of(dut), events.logits.argmax(axis=1)
    of_settings = {}
    for number, constants in {(result["set"], result["constants"]) for result in log.results}:
        program = programs[number - 1]
        values = engine.values_of(
            events.logits,
            program,
            *(constants if constants[0] else CONSTANTS),
            features=events.features,
            length=events.length,
            interval=events.interval,
        )
        known = engine.VALUE_FEATURE + np.where(events.featureless, 0, size.features) if constants[0] else 0
        of_settings[number, constants] = engine.evaluate(program, values, best, known), values[:, 0], program
    limit = 2**size.logit_bits
    bits = [[1 << bit for bit in range(32)][: len(p.tests)] for p in programs]
    for i, result in enumerate(log.results):
        number = result["set"] - 1
        model, posterior, program = of_settings[result["set"], result["constants"]]
        direction = int(model.direction[i])
        wanted = {
            "tag": tags[i],
            "direction": 0 if direction < 0 else 1 << direction,
            "wanted": int(direction >= 0),
            "ambiguous": int(model.ambiguous[i]),
            "featureless": int(events.featureless[i]),
            "tests": int(np.dot(model.tests[i], bits[number])),
            "gates": int(np.dot(model.gates[i], [1 << bit for bit in range(len(program.gates))])),
            "class": int(best[i]),
            "logits": sum((value % limit) << size.logit_bits * c for c, value in enumerate(events.logits[i].tolist())),
        }
        if program.class_sets and result["constants"][0]:
            wanted["posterior"] = int(posterior[i])
        differs = {key: (result[key], value) for key, value in wanted.items() if result[key] != value}
        wrong = differs.get("tests", (0, 0))
        tests = [program.tests[bit] for bit in range(len(program.tests)) if (wrong[0] ^ wrong[1]) >> bit & 1]
        assert not differs, f"event {i} of set {number}: RTL, model {differs}; {tests}"
        assert log.latencies[i] == len(program.tests) + len(program.gates) + 16


def values_for(events: Events) -> np.ndarray:
    return engine.values_of(
        events.logits,
        NOTHING,
        *CONSTANTS,
        features=events.features,
        length=events.length,
        interval=events.interval,
    )


INPUTS = {"go": 0, "stall": 0, "events": 0}


@cocotb.test(timeout_time=20, timeout_unit="sec")
async def sets_change_while_events_come(dut):
    """Each event is that of one whole set and of one pair of constants, at full speed and stalled: both are written
    while events are decided. Without constants no gate of an event is known."""
    await start(dut, **INPUTS)
    size, rng = size_of(dut), random.Random(random.getrandbits(32))
    for stall in (0, 90):
        await reset(dut)
        count = COUNT // 2
        events = random_events(rng, size, count)
        values = values_for(events)
        programs = [random_program(rng, size, values, largest=i == 0) for i in range(FULL_SETS)]
        host = [calibrate(CONSTANTS)]
        for number, program in enumerate(programs):
            words = write(program.words())
            host += words[:-NEAR]
            if number:
                others = (CONSTANTS, (0, 0), (rng.randrange(1, 2**18), rng.randrange(48)))
                host.append(calibrate(others[number % len(others)]))
            if number:
                host.append(f"4 {count * number // FULL_SETS - 20:x} 0")
            # Events come while the last words are written, the set is put in force and the next one is begun.
            host += [f"5 {count * (number + 1) // FULL_SETS:x} 0", *words[-NEAR:], "2 0 0"]
        tags = [i % 256 for i in range(count)]
        write_events(size, events, tags)
        log = await run(dut, host, count, stall)
        # Events that came before a set was in force are those of none.
        first = next(i for i, result in enumerate(log.results) if result["set"])
        for result in log.results[:first]:
            assert (result["wanted"], result["direction"], result["ambiguous"]) == (0, 0, 0)
        assert log.commits == FULL_SETS
        assert {result["set"] for result in log.results[first:]} == set(range(1, FULL_SETS + 1))
        assert len({result["constants"] for result in log.results}) > 2
        log.results, log.latencies = log.results[first:], log.latencies[first:]
        rest = Events(*(array[first:] for array in vars(events).values()))
        expect(dut, log, rest, programs, tags[first:])


@cocotb.test(timeout_time=5, timeout_unit="sec")
async def words_are_read_back(dut):
    """The set that is written and the one in force, while events come."""
    await start(dut, **INPUTS)
    size, rng = size_of(dut), random.Random(random.getrandbits(32))
    events = random_events(rng, size, 60)
    values = values_for(events)
    old, new = (random_program(rng, size, values).words() for _ in range(2))
    sample = [rng.sample(sorted(words), min(len(words), 150)) for words in (old, new)]
    host = [calibrate(CONSTANTS), *write(old), "2 0 0", ALL, *write(new)]
    host += [f"1 {index:x} 1" for index in sample[0]] + [f"1 {index:x} 0" for index in sample[1]]
    tags = [i % 256 for i in range(60)]
    write_events(size, events, tags)
    log = await run(dut, host, 60, 30)
    assert log.words == [old[index] for index in sample[0]] + [new[index] for index in sample[1]]


@cocotb.test(timeout_time=5, timeout_unit="sec")
async def tags_that_differ_are_told(dut):
    await start(dut, **INPUTS)
    size, rng = size_of(dut), random.Random(random.getrandbits(32))
    events = random_events(rng, size, 40)
    program = random_program(rng, size, values_for(events))
    wrong = frozenset(rng.sample(range(40), 5))
    write_events(size, events, list(range(40)), wrong)
    log = await run(dut, [calibrate(CONSTANTS), *write(program.words()), "2 0 0", ALL], 40)
    assert {i for i, result in enumerate(log.results) if result["mismatch"]} == wrong


@cocotb.test(timeout_time=5, timeout_unit="sec")
async def reset_in_the_middle(dut):
    """After a reset no set is in force, whatever the memories hold, and what was in flight is forgotten."""
    await start(dut, **INPUTS)
    size, rng = size_of(dut), random.Random(random.getrandbits(32))
    events = random_events(rng, size, 30)
    program = random_program(rng, size, values_for(events))
    tags = list(range(30))
    for cycles in (rng.randint(10, 900), rng.randint(900, 9000)):
        write_events(size, events, tags)
        Path("host.txt").write_text("\n".join([calibrate(CONSTANTS), ALL, *write(program.words()), "2 0 0"]) + "\n")
        dut.events.value = 30
        dut.go.value = 1
        await ClockCycles(dut.clk, cycles)
        await reset(dut)
        log = await run(dut, [ALL], 30)
        assert [result["tag"] for result in log.results] == tags
        assert not any(result["wanted"] or result["ambiguous"] for result in log.results)
