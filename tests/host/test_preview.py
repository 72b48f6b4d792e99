# SPDX-License-Identifier: Apache-2.0
"""Preview: counts are those of the gate engine on the integers that the board had, whatever way they took."""

import contextlib
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icsort.errors import IcsortError
from icsort.formats.compile_gate import board_values, compile_gate
from icsort.formats.fcs import FcsFile
from icsort.formats.gate_set import GateSet, order, parse
from icsort.formats.recording import Recording
from icsort.host import preview as module
from icsort.host.link.protocol import EventRecord
from icsort.host.preview import aborted, preview
from icsort.host.sort_report import figures, gather
from icsort.sim.bit_true import gate_engine as engine
from icsort.sim.bit_true.event_flag import EventFlag
from icsort.sim.bit_true.scheduler import Cell, Direction, Drops, Envelope, Outcome, Purity, Result, Scheduler, Settings
from tests.host.commands.test_board_commands import icsort, refusal
from tests.host.recordings import ALL, CLOCK_HZ, example
from tests.host.recordings import event as drawn
from tests.host.test_recorder import put

NEVER = 2**62
SET = """
format = "icsort-gate-set"
version = 1

[scales.wide]
kind = "logicle"
t = 262144
m = 4.5
w = 0.5

[scales.far]
kind = "arcsinh"
t = 2147483648
m = 6

[[tests]]
name = "dividing"
kind = "class"
classes = ["S", "M"]
posterior = 0.6

[[tests]]
name = "long"
kind = "range"
x = {value = "event length", min = 40, max = 200.5}
y = {value = "logit M", scale = "wide", min = 0.1}

[[tests]]
name = "drawn"
kind = "polygon"
x = {value = "Total Intensity (PI)", scale = "far"}
y = {value = "logit G1"}
corners = [[0.05, -4.0], [0.9, -5.0], [0.7, 5.1], [0.2, 3.0]]

[[tests]]
name = "round"
kind = "ellipse"
x = {value = "Correlation (Brightfield/PI)"}
y = {classes = ["S"]}
center = [100.0, 0.5]
radii = [30000.0, 0.4]
angle = 0.001

[[tests]]
name = "alone"
kind = "range"
x = {value = "time since the event before", min = 20, max = 35}

[[gates]]
name = "all of it"
all = ["either", "not dividing", "alone"]

[[gates]]
name = "either"
any = ["drawn", "round", "not long"]

[[gates]]
name = "rest"
all = ["dividing", "not round"]

[[directions]]
output = 3
gate = "all of it"
priority = 2

[[directions]]
output = 1
gate = "rest"
priority = 1
"""


def source() -> GateSet:
    return parse(SET, "test")


def record(path: Path, events: list[EventRecord]) -> Recording:
    put(path, events)
    return Recording(FcsFile(path), example())


def events_of(numbers: range | list[int]) -> list[EventRecord]:
    """Features are smaller, as real ones are, so that the shapes hold some of them."""
    made = []
    for number in numbers:
        one = drawn(number)
        small = one.features and tuple(int(value / 2 ** (number % 29)) for value in one.features)
        made.append(replace(one, features=small))
    return made


def decided(events: list[EventRecord], found: GateSet) -> engine.Result:
    """By the gate engine, from the integers of the events; the first one is the board's first."""
    model = example()
    program = compile_gate(found, board_values(model, CLOCK_HZ, True)).program
    times = np.array([event.time for event in events])
    values = engine.values_of(
        np.array([event.logits for event in events]),
        program,
        model.posterior.multiplier,
        model.posterior.shift,
        features=np.array([event.features or (0,) * 20 for event in events]),
        length=np.array([event.length for event in events]),
        interval=np.concatenate([[engine.INTERVAL_MAX], np.diff(times)]),
    )
    blind = np.array([EventFlag.FEATURELESS in event.flags for event in events])
    known = np.where(blind, engine.VALUE_FEATURE, engine.VALUES)
    return engine.evaluate(program, values, np.array([event.class_index for event in events]), known)


def test_it_is_what_the_hardware_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gate, every direction; whatever part of the events is in memory."""
    monkeypatch.setattr(module, "CHUNK", 777)
    events = events_of(range(6000))
    recording = record(tmp_path / "a.fcs", events)
    told: list[tuple[str, int, int]] = []
    seen = preview(source(), [recording], example(), True, lambda *step: told.append(step))
    assert told == [("events", first, 6000) for first in range(0, 6000, 777)]
    expected = decided(events, source())
    assert seen.events == 6000
    assert seen.left_out == 0
    names = [gate.name for gate in order(source().gates)]
    assert {name: one.events for name, one in seen.gates.items()} == dict(
        zip(names, expected.gates.sum(axis=0).tolist(), strict=True)
    )
    assert {output: one.events for output, one in seen.directions.items()} == {
        output: int((expected.direction == output).sum()) for output in (1, 3)
    }
    assert seen.ambiguous == expected.ambiguous.sum() > 0
    assert min(one.events for one in (*seen.gates.values(), *seen.directions.values())) > 100
    assert seen.gate_of == {3: "all of it", 1: "rest"}


def test_lost_events(tmp_path: Path) -> None:
    """Events behind a gap are left out where the set asks for the time before them; the rate counts the lost ones."""
    numbers = [number for number in range(3000) if number % 100 != 37]
    events = events_of(numbers)
    seen = preview(source(), [record(tmp_path / "a.fcs", events)], example(), True)
    assert (seen.events, seen.left_out) == (len(numbers) - 30, 30)
    apart = (events[-1].time - events[0].time) / CLOCK_HZ
    assert seen.rate == pytest.approx(2999 / apart, rel=1e-12)
    kept = [one.event_id % 100 != 38 for one in events]
    expected = decided(events, source())
    assert seen.gates["all of it"].events == expected.gates[:, 1][kept].sum()
    without = parse(SET.replace('"not dividing", "alone"]', '"not dividing"]').partition('[[tests]]\nname = "alone"')[0]
                    + SET[SET.index("[[gates]]"):].replace(', "alone"', ""), "test")  # fmt: skip
    assert preview(without, [Recording(FcsFile(tmp_path / "a.fcs"), example())], example(), True).left_out == 0


def test_a_board_that_was_reset_in_between(tmp_path: Path) -> None:
    """Its time and numbers begin anew; that is no time between events."""
    events = events_of(range(500))
    later = [replace(one, time=one.time - 2**39) for one in events]
    seen = preview(source(), [record(tmp_path / "a.fcs", events + later)], example(), True)
    span = (events[-1].time - events[0].time) / CLOCK_HZ
    assert seen.rate == pytest.approx(499 / span, rel=1e-12)


def test_what_the_recording_lacks(tmp_path: Path) -> None:
    put(tmp_path / "a.fcs", [replace(drawn(1), features=None)], ALL & ~4)
    with pytest.raises(IcsortError, match=r"has no 'Size \(Brightfield\)'; record with it"):
        preview(source(), [Recording(FcsFile(tmp_path / "a.fcs"), example())], example(), True)
    other = example().model_copy(update={"model_id": "0" * 16})
    with pytest.raises(IcsortError, match=r"is a recording of model .*, the folder is model 0000000000000000"):
        Recording(FcsFile(tmp_path / "a.fcs"), other)
    (tmp_path / "b.fcs").write_bytes(b"FCS3.1 and nothing else")
    with pytest.raises(IcsortError, match="is no FCS file"):
        FcsFile(tmp_path / "b.fcs")


def test_damaged_recordings_are_refused_or_read(tmp_path: Path, seed: int) -> None:
    """Cut anywhere, with bytes changed, a keyword gone or another number in it: read, or an IcsortError."""
    path, draw = tmp_path / "a.fcs", random.Random(seed)
    put(path, events_of(range(5)))
    whole, fields = path.read_bytes(), FcsFile(path).keywords
    # TEXT behind the end of the file.
    damaged = [whole[:10] + b"99999999" * 2 + whole[26:], *(whole[:end] for end in range(0, 1500, 97))]
    for name, value in fields.items():
        key = b"\x0c%s\x0c" % name.encode()
        damaged.append(whole.replace(key, key.replace(name[-1:].encode(), b"_")))
        if name in ("$TOT", "$PAR", "$BEGINDATA", "$LOST", "ICSORT CLOCK HZ"):
            at = whole.index(key) + len(key)
            for number in (b"-1", b"9" * len(value), b"0", b"1e9", b"nan", b"+1"):
                damaged.append(whole[:at] + number[: len(value)].rjust(len(value)) + whole[at + len(value) :])
    for bound in (len(whole), 3000):
        for _ in range(50):
            changed = bytearray(whole)
            for _ in range(draw.randrange(1, 4)):
                changed[draw.randrange(bound)] = draw.choice(b"\x0c019 -$\xff")
            damaged.append(bytes(changed))
    for content in damaged:
        path.write_bytes(content)
        with contextlib.suppress(IcsortError):
            preview(source(), [Recording(FcsFile(path), example())], example(), True)
        with contextlib.suppress(IcsortError):
            figures(gather(path, None))
    path.write_bytes(whole[:10] + b"99999999" * 2 + whole[26:])
    with pytest.raises(IcsortError, match="is no FCS file"):
        FcsFile(path)


@pytest.mark.parametrize("purity", list(Purity))
@pytest.mark.parametrize("droplet", [None, *Envelope])
def test_aborts_are_those_of_the_scheduler(seed: int, purity: Purity, droplet: Envelope | None) -> None:
    """Cells at random through the cycle-true scheduler: the share that neighbours abort, within five sigma."""
    draw = np.random.default_rng([seed, purity])
    number, rate = 12_000, 15_000
    times = np.cumsum(np.ceil(draw.exponential(CLOCK_HZ / rate, number))).astype(np.int64) + 10**6
    wished = draw.random(number) < 0.3
    settings = Settings({0: Direction(delay=60_000, width=100)}, purity, before=1500, after=900)
    drops = None
    if droplet is not None:
        begins = np.arange(0, int(times[-1]) + 10**6, 2000)
        settings = Settings(
            {0: Direction(delay=16 * 30)}, purity, droplet=True, envelope=droplet, margin=4, increment=2**32 // 2000
        )
        drops = Drops(begins.tolist())
    cells = [Cell(time + 50, time) for time in times.tolist()]
    results = [Result(time + 3000, 0 if wish else None) for time, wish in zip(times.tolist(), wished, strict=True)]
    final = Scheduler(settings, ((0, NEVER),), drops).run(cells, results).final
    ours = [outcome for outcome, wish in zip(final, wished, strict=True) if wish]
    share = ours.count(Outcome.COINCIDENCE) / len(ours)
    expected = aborted(settings, CLOCK_HZ, rate, {0: wished.mean()})[0]
    assert (expected > 0) == (purity is not Purity.YIELD)
    assert abs(share - expected) <= 5 * (expected * (1 - expected) / len(ours)) ** 0.5 + 0.004


def test_preview(package: Path, tmp_path: Path) -> None:
    """The command, on a recording of several files."""
    (tmp_path / "gates.toml").write_text(SET)
    put(tmp_path / "a.fcs", events_of(range(900)), max_events=400)
    words = (
        "gate",
        "preview",
        str(tmp_path / "gates.toml"),
        "--events",
        str(tmp_path / "a.fcs"),
        "--model",
        str(package),
    )
    done = icsort(*words, "--json", "--rate", "20000", "--mode", "single", "--coincidence-us", "10")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    events = events_of(range(900))
    expected = decided(events, source())
    assert told["events"] == 900
    assert told["directions"]["3"]["events"] == (expected.direction == 3).sum()
    assert told["directions"]["3"]["aborted"] == pytest.approx(1 - np.exp(-0.4), abs=1e-3)
    shown = icsort(*words)
    assert shown.returncode == 0, shown.stderr
    ends = [(0, 399), (400, 799), (800, 899)]  # of the files
    seconds = sum(events[last].time - events[first].time for first, last in ends) / CLOCK_HZ
    assert f"900 events at {897 / seconds:,.0f} events/s; {expected.ambiguous.sum()} ambiguous" in shown.stdout
    assert "the integers change the decision of" in shown.stdout
    missing = list(words)
    missing[4] = str(tmp_path / "nothing.fcs")
    assert "nothing.fcs: cannot be read" in refusal(*missing)
